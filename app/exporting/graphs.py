"""What is done with an openvino.Model besides running it: told apart into trunk and head, and saved."""

import sys
from pathlib import Path
from typing import Any, Final

from app.engines.openvino_engine import openvino, reason_of
from app.errors import ExportFailed

WEIGHTED: Final = frozenset({"Convolution", "GroupConvolution", "MatMul"})
"""Where nearly all arithmetic is."""
AFTER_ALL: Final = sys.maxsize


def kept_in_float32(model: Any) -> list[str]:
    """Names of the operations before the first layer with weights, and of the head.

    The head is what follows the last tensor that everything passes: the features, or, where the logits are the mean of
    the evidence, the evidence itself, whose layer is then part of it.
    """
    place: dict[str, int] = {}
    kinds: list[str] = []
    last_use: list[int] = []
    """Of each operation's tensor: the place of the last operation that takes it."""
    for operation in model.get_ordered_ops():
        kind = operation.get_type_name()
        names = (each.get_source_output().get_node().get_friendly_name() for each in operation.inputs())
        givers = [place[name] for name in names if name in place]
        # What is made of constants and shapes alone carries nothing of the pictures.
        if kind == "ShapeOf" or not (givers or kind == "Parameter"):
            continue
        for giver in givers:
            # A result is after everything, wherever it stands in the order.
            last_use[giver] = max(last_use[giver], AFTER_ALL if kind == "Result" else len(kinds))
        place[operation.get_friendly_name()] = len(kinds)
        kinds.append(kind)
        last_use.append(0)
    first = next(number for number, kind in enumerate(kinds) if kind in WEIGHTED)
    neck = max(
        number
        for number in range(first, len(kinds))
        if last_use[number] and max(last_use[:number], default=0) <= number
    )
    return [
        name
        for name, number in place.items()
        if (number < first or number >= neck) and kinds[number] not in {"Parameter", "Result"}
    ]


def save_graph(model: Any, path: Path) -> None:
    """Writes the .xml and the .bin beside it, in the precision that the model has.

    Raises:
        ExportFailed: the disk is full, or the folder cannot be written.
    """
    try:
        openvino().save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:  # what all of OpenVINO's own exceptions arrive as
        # It keeps the system's reason to itself: a full disk is `basic_ios::clear: iostream error`.
        raise ExportFailed(
            f"`{path.name}` cannot be written ({reason_of(error)}): is the disk full, or a limit on the size of files reached?"
        ) from error
