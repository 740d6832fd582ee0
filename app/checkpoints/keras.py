"""A Keras checkpoint -> a network that we serve, its tensors under our names, and what was noticed.

path -> keras_files (bytes) -> keras_graph (layers) -> keras_preprocess, keras_trunk, keras_head (meaning)
     -> keras_arrays (layout) -> KerasFound

Keras itself is never imported. Converted are ResNet50, ResNet101 and ResNet152 of keras.applications with a
head that can be served; everything else is refused by name. The names of classes and the resizing of
pictures are in no Keras file: they are for the caller to ask.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from app.checkpoints.keras_apart import PATIENCE_S
from app.checkpoints.keras_arrays import Arrays, batch_normalisation, convolution
from app.checkpoints.keras_files import KerasFile, read_keras_file, shown
from app.checkpoints.keras_graph import Graph, read_graph
from app.checkpoints.keras_head import KerasHead, find_head
from app.checkpoints.keras_preprocess import KerasPreprocessing, find_preprocessing
from app.checkpoints.keras_trunk import Pair, find_trunk, refuse_other_bases
from app.checkpoints.keras_weights import read_named_weights
from app.domain import HeadSpec, Size
from app.errors import WeightsRefused
from app.nets.resnet_v1 import BATCH_NORM_EPSILON

PIXELS_QUESTION: Final = (
    "The graph takes pixels as they come, so what training did to them is not in the file. It was one of: RGB / 255 "
    "(scale = 1/255); keras.applications.resnet.preprocess_input, called caffe (channels = BGR, scale = 1, mean = "
    "[103.939, 116.779, 123.68]); or something of its own."
)
SIZE_QUESTION: Final = "The file does not say which picture size the network was trained with."
MAX_SIDE: Final = 4096
"""As in a manifest's steps."""
WEIGHTS_ALONE: Final = (
    "weights alone: that strides, epsilon and activations are those of keras.applications and that a hidden Dense "
    "layer and the head's convolution end in a ReLU is taken on trust; save the whole model to have them checked"
)


@dataclass(frozen=True, slots=True)
class KerasFound:
    """What a Keras file holds, ready for `load_servable`."""

    form: str
    """Which kind of file, in words."""
    keras_version: str | None
    architecture: str
    tensors: dict[str, Tensor] = field(repr=False)
    head: HeadSpec
    class_count: int
    preprocessing: KerasPreprocessing
    input_size: Size | None
    notes: tuple[str, ...]
    """What was folded, transposed or left out; the answers are the same."""
    warnings: tuple[str, ...]
    """What was taken on trust."""
    questions: tuple[str, ...]
    """What must be known before the model can serve and is not in the file; `--preprocess` says it."""


def read_keras(path: Path, *, patience_s: float = PATIENCE_S) -> KerasFound:
    """The network in a Keras `.h5`, `.weights.h5` or `.keras` file.

    Args:
        path: the file.
        patience_s: for the child process that reads it first; a large file gets more.

    Raises:
        WeightsRefused: unreadable, unsafe, or a network that is not converted exactly. Messages hold the file's
            name, never its folder.
    """
    file = read_keras_file(path, patience_s=patience_s)
    try:
        return interpreted(file)
    except WeightsRefused as refusal:
        raise WeightsRefused(f"{path.name}: {refusal.message}") from refusal


def interpreted(file: KerasFile) -> KerasFound:
    """What the contents of a file mean.

    Raises:
        WeightsRefused: a network that is not converted exactly.
    """
    try:
        return _from_weights(file) if file.config is None else _from_graph(file, file.config)
    except (
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:
        # A forged configuration can put anything anywhere.
        raise WeightsRefused(
            f"its configuration is not one that Keras writes ({shown(repr(error))})"
        ) from error


def _from_graph(file: KerasFile, config: dict[str, Any]) -> KerasFound:
    graph = read_graph(config)
    arrays = Arrays(file.stored)
    refuse_other_bases(
        {layer.path[-1] for layer in graph.layers.values()}, {layer.kind for layer in graph.layers.values()}
    )
    preprocessing, start = find_preprocessing(graph, arrays)
    trunk = find_trunk(graph, start)
    head = find_head(graph, trunk.output, arrays)
    size = _input_size(graph)
    idle = ", ".join(sorted(set(graph.idle)))
    notes = (f"left out, since only training feels them: {idle}",) if idle else ()
    return _found(file, trunk.architecture, trunk.pairs, arrays, head, preprocessing, size, notes)


def _from_weights(file: KerasFile) -> KerasFound:
    found = read_named_weights(file.stored)
    unknown = KerasPreprocessing("unknown", None)
    warnings = (WEIGHTS_ALONE,)
    return _found(
        file, found.architecture, found.pairs, found.arrays, found.head, unknown, None, warnings=warnings
    )


def _found(
    file: KerasFile,
    architecture: str,
    pairs: Sequence[Pair],
    arrays: Arrays,
    head: KerasHead,
    preprocessing: KerasPreprocessing,
    size: Size | None,
    notes: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
) -> KerasFound:
    tensors: dict[str, Tensor] = {}
    folded = 0
    for pair in pairs:
        kernel, bias = convolution(arrays, pair.convolution)
        folded += bias is not None
        tensors[f"{pair.our_convolution}.weight"] = kernel
        normalisation = batch_normalisation(
            arrays, pair.normalisation, bias, channels=len(kernel), epsilon=BATCH_NORM_EPSILON
        )
        tensors |= {f"{pair.our_normalisation}.{name}": tensor for name, tensor in normalisation.items()}
    tensors |= head.tensors
    transposed = f"{len(pairs)} kernels brought from (height, width, in, out) to (out, in, height, width)"
    biases = f"{folded} biases of convolutions folded into the batch normalisation behind them"
    questions = []
    if preprocessing.normalisation is None:
        questions.append(PIXELS_QUESTION)
    if size is None:
        questions.append(SIZE_QUESTION)
    return KerasFound(
        form=file.form,
        keras_version=file.keras_version,
        architecture=architecture,
        tensors=tensors,
        head=head.spec,
        class_count=head.class_count,
        preprocessing=preprocessing,
        input_size=size,
        notes=(transposed, *((biases,) if folded else ()), *notes, *head.notes),
        warnings=(*warnings, *head.warnings),
        questions=tuple(questions),
    )


def _input_size(graph: Graph) -> Size | None:
    """Height and width of the input; None where the network takes any."""
    config = graph.input.config
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if not isinstance(shape, list) or len(shape) != 4 or shape[3] != 3:
        raise WeightsRefused(
            f"its input is {shown(str(shape))}, not a colour picture (batch, height, width, 3)"
        )
    _, height, width, _ = shape
    if height is None or width is None:
        return None
    if not all(type(side) is int and 1 <= side <= MAX_SIDE for side in (height, width)):
        raise WeightsRefused(f"its input is {shown(str(shape))}; sides are from 1 to {MAX_SIDE}")
    return Size(height, width)
