"""A prediction as it stands on the wire: its document and its headers.

The document is a `PredictionReply`, but not made by that class: to validate what is our own as well takes nearly three
times as long (16.5 us and 6.0), for every answer of a line. tests/api/test_wire.py holds the two together.
"""

import base64
from functools import cache
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

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


def answer(body: bytes, media_type: str, prediction: Prediction) -> Response:
    """The response, with what a client that asked for bytes alone still wants to know; names may be Korean, so percent-encoded.

    Starlette would write each header from a string, which takes longer than the document.
    """
    stages, top, model = prediction.timings.by_stage(), prediction.top, prediction.model
    timing = ", ".join([f"{stage};dur={ms:.2f}" for stage, ms in stages.items()])
    response = Response(body)
    response.raw_headers += (
        (b"content-type", media_type.encode()),
        (b"server-timing", timing.encode()),
        (b"lineside-class", _quoted(top.class_name)),
        (b"lineside-probability", b"%.6f" % top.probability),
        (b"lineside-model", b"%b/%d" % (_quoted(model.name), model.version)),
        (b"lineside-digest", model.digest.encode()),
    )
    return response


def _picture(picture: EncodedPicture) -> dict[str, Any]:
    return {
        "media_type": picture.media_type,
        "width": picture.width,
        "height": picture.height,
        "data": base64.b64encode(picture.data).decode("ascii"),
    }


@cache
def _quoted(name: str) -> bytes:
    """Of a class or a model, of which there are few."""
    return quote(name, safe=" ").encode()
