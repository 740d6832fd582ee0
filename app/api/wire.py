"""A prediction as it stands on the wire: its document and its headers.

The document is a `PredictionReply`, but not made by that class: to validate what is our own as well takes nearly three
times as long (16.5 us and 6.0), for every answer of a line. tests/api/test_wire.py holds the two together.
"""

import base64
from functools import cache
from typing import Any
from urllib.parse import quote

from app.domain import EncodedPicture, Prediction


def document(prediction: Prediction) -> dict[str, Any]:
    """The fields of PredictionReply by their names on the wire, in its order."""
    top, model, image = prediction.top, prediction.model, prediction.image
    return {
        "id": prediction.id,
        "class": top.class_name,
        "class_index": top.class_index,
        "probability": top.probability,
        "top_k": [
            {
                "class": score.class_name,
                "class_index": score.class_index,
                "probability": score.probability,
                "logit": score.logit,
            }
            for score in prediction.top_k
        ],
        "model": {"name": model.name, "version": model.version, "digest": model.digest},
        "image": {"width": image.width, "height": image.height, "format": image.format},
        "cam": None if prediction.cam is None else _picture(prediction.cam),
        "batch_size": prediction.batch_size,
        "timings_ms": {stage: round(ms, 3) for stage, ms in prediction.timings.by_stage().items()},
        "warnings": list(prediction.warnings),
    }


def headers(prediction: Prediction) -> dict[str, str]:
    """What a client that asked for bytes alone still wants to know; names may be Korean, so percent-encoded."""
    stages = prediction.timings.by_stage()
    return {
        "Server-Timing": ", ".join([f"{stage};dur={ms:.2f}" for stage, ms in stages.items()]),
        "Lineside-Class": _quoted(prediction.top.class_name),
        "Lineside-Probability": f"{prediction.top.probability:.6f}",
        "Lineside-Model": f"{_quoted(prediction.model.name)}/{prediction.model.version}",
        "Lineside-Digest": prediction.model.digest,
    }


def _picture(picture: EncodedPicture) -> dict[str, Any]:
    return {
        "media_type": picture.media_type,
        "width": picture.width,
        "height": picture.height,
        "data": base64.b64encode(picture.data).decode("ascii"),
    }


@cache
def _quoted(name: str) -> str:
    """Of a class or a model, of which there are few."""
    return quote(name, safe=" ")
