"""What a Keras graph itself does to pixels before its network: facts, where there are any.

Graph -> layers between the input and the first padding -> Normalisation, or nothing to be seen

Rescaling, Normalization, and what `keras.applications.*.preprocess_input` leaves in a functional graph.
What a training script did outside the graph is in no file; a graph that takes pixels as they come says
neither "RGB / 255" nor "caffe".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose, sqrt
from typing import Any, Final, Literal

from app.checkpoints.keras_arrays import Arrays
from app.checkpoints.keras_files import shown
from app.checkpoints.keras_graph import Graph, Layer
from app.domain import Normalisation
from app.errors import WeightsRefused

Scheme = Literal["RGB/255", "caffe", "graph", "unknown"]
CAFFE: Final = Normalisation(channels="BGR", scale=1.0, mean=(103.939, 116.779, 123.68))
"""BGR minus ImageNet's mean: `keras.applications.resnet.preprocess_input`."""
RGB_255: Final = Normalisation()
NOTHING: Final = Normalisation(scale=1.0)

Three = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class KerasPreprocessing:
    """What is known of the arithmetic on pixels, 0 to 255, RGB."""

    scheme: Scheme
    normalisation: Normalisation | None
    """None where the graph says nothing."""


def find_preprocessing(graph: Graph, arrays: Arrays) -> tuple[KerasPreprocessing, str]:
    """What the graph does to pixels, and the id of the layer that hands them to the network.

    Raises:
        WeightsRefused: something on the way is not arithmetic per channel.
    """
    so_far = NOTHING
    at = graph.input.id
    is_touched = False
    while True:
        split = _channels_picked(graph, at)
        if split is not None:
            order, at = split
            so_far = _reordered(so_far, order)
            is_touched = True
            continue
        layer = graph.next(at)
        if layer is None:
            raise WeightsRefused("no network in it, only preprocessing")
        applied = _applied(layer, so_far, arrays)
        if applied is None:
            break
        so_far, at, is_touched = applied, layer.id, True
    if not is_touched:
        return KerasPreprocessing("unknown", None), at
    return _recognised(so_far), at


def _applied(layer: Layer, so_far: Normalisation, arrays: Arrays) -> Normalisation | None:
    """The arithmetic after this layer; None where it is none, so that the network begins here."""
    match layer.kind:
        case "Rescaling":
            scaled = _times(so_far, _numbers(layer.config["scale"], layer), layer)
            return _plus(scaled, _numbers(layer.config["offset"], layer))
        case "Normalization":
            return _normalised(layer, so_far, arrays)
        case "SlicingOpLambda" | "GetItem":
            return _reordered(so_far, _reversal(layer))
        case "TFOpLambda":
            return _arithmetic(str(layer.config.get("function")).rpartition(".")[2], layer, so_far)
        case "Add" | "Subtract" | "Multiply" | "Divide" | "TrueDivide":
            return _arithmetic(layer.kind.lower(), layer, so_far)
        case "Resizing" | "CenterCrop" | "RandomCrop" | "Lambda":
            raise WeightsRefused(
                f"{layer.words} stands before the network: its arithmetic is not that of any step of a manifest. "
                "Save the model without it and declare the step"
            )
        case _:
            return None


def _arithmetic(operation: str, layer: Layer, so_far: Normalisation) -> Normalisation:
    values = _constant(layer)
    match operation:
        case "add" | "bias_add":
            return _plus(so_far, values)
        case "subtract" | "sub":
            return _plus(so_far, _map(values, lambda value: -value))
        case "multiply" | "mul":
            return _times(so_far, values, layer)
        case "divide" | "truediv" | "truedivide":
            if 0.0 in values:
                raise WeightsRefused(f"{layer.words} divides by zero")
            return _times(so_far, _map(values, lambda value: 1.0 / value), layer)
        case _:
            raise WeightsRefused(f"{layer.words} ({shown(operation)}) before the network is not known here")


def _normalised(layer: Layer, so_far: Normalisation, arrays: Arrays) -> Normalisation:
    if layer.config.get("invert"):
        raise WeightsRefused(f"{layer.words} inverts; not known here")
    mean, variance = layer.config.get("mean"), layer.config.get("variance")
    if mean is None or variance is None:
        stored = arrays.of(layer)
        if "mean" not in stored or "variance" not in stored:
            raise WeightsRefused(f"{layer.words} has neither mean nor variance in the file")
        mean, variance = stored["mean"].tolist(), stored["variance"].tolist()
    # Keras never divides by less than its epsilon.
    gains = _map(_numbers(variance, layer), lambda value: 1.0 / max(sqrt(max(value, 0.0)), 1e-7))
    shifted = _plus(so_far, _map(_numbers(mean, layer), lambda value: -value))
    return _times(shifted, gains, layer)


def _times(so_far: Normalisation, gains: Three, layer: Layer) -> Normalisation:
    """(pixel * scale - mean) / std, times the gains."""
    if 0.0 in gains:
        raise WeightsRefused(f"{layer.words} multiplies by zero, so that nothing is left to see")
    if so_far.mean == NOTHING.mean and so_far.std == NOTHING.std and len(set(gains)) == 1:
        return replace(so_far, scale=so_far.scale * gains[0])
    return replace(so_far, std=_zip(so_far.std, gains, lambda std, gain: std / gain))


def _plus(so_far: Normalisation, offsets: Three) -> Normalisation:
    shifts = _zip(so_far.std, offsets, lambda std, offset: std * offset)
    return replace(so_far, mean=_zip(so_far.mean, shifts, lambda mean, shift: mean - shift))


def _reordered(so_far: Normalisation, order: Sequence[int]) -> Normalisation:
    if list(order) == [0, 1, 2]:
        return so_far
    if list(order) != [2, 1, 0]:
        raise WeightsRefused(
            f"its graph takes the channels in the order {list(order)}; only RGB and BGR are known"
        )
    first, second, third = so_far.mean
    std = so_far.std
    channels: Literal["RGB", "BGR"] = "RGB" if so_far.channels == "BGR" else "BGR"
    return replace(so_far, channels=channels, mean=(third, second, first), std=(std[2], std[1], std[0]))


def _channels_picked(graph: Graph, at: str) -> tuple[list[int], str] | None:
    """Keras 3 exchanges channels by picking each one and stacking them: their order, and the stack's id."""
    picks = graph.after(at)
    if len(picks) != 3 or any(layer.kind != "GetItem" for layer in picks):
        return None
    (stack, *others) = {layer.id: layer for pick in picks for layer in graph.after(pick.id)}.values()
    if others or stack.kind != "Stack" or stack.config.get("axis") != -1:
        raise WeightsRefused(f"{stack.words} does something to channels that is not known here")
    chosen = {pick.id: _index(pick) for pick in picks}
    order = [chosen[name] for name in stack.inputs if name in chosen]
    if not all(isinstance(index, int) for index in order):
        raise WeightsRefused(f"{stack.words} does something to channels that is not known here")
    return [int(index) for index in order], stack.id


def _reversal(layer: Layer) -> list[int]:
    """[2, 1, 0] for `x[..., ::-1]`, the only slice known."""
    index = _index(layer)
    is_reversed = isinstance(index, Mapping) and _slice(index) == (None, None, -1)
    if not is_reversed:
        raise WeightsRefused(f"{layer.words} slices the picture in a way that is not known here")
    return [2, 1, 0]


def _slice(index: Mapping[str, Any]) -> tuple[Any, ...]:
    config = index.get("config", index)
    return (
        tuple(config.get(name) for name in ("start", "stop", "step")) if isinstance(config, Mapping) else ()
    )


def _index(layer: Layer) -> Any:
    """The last index of `x[..., index]`."""
    call = layer.call
    spec = call["args"][1] if isinstance(call, Mapping) else call[3]["slice_spec"]
    is_last_axis = (
        len(spec) == 2 and isinstance(spec[0], Mapping) and spec[0].get("class_name") == "__ellipsis__"
    )
    if not is_last_axis:
        raise WeightsRefused(f"{layer.words} slices the picture in a way that is not known here")
    return spec[1]


def _constant(layer: Layer) -> Three:
    """The constant of `x + constant`."""
    call = layer.call
    if isinstance(call, Mapping):
        arguments: list[Any] = [*call.get("args", []), *call.get("kwargs", {}).values()]
        first, values = arguments[0], arguments[1:]
        if not isinstance(first, Mapping) or first.get("class_name") != "__keras_tensor__":
            raise WeightsRefused(f"{layer.words} before the network has its constant first; not known here")
    else:
        keywords = call[3]
        values = [keywords[name] for name in ("bias", "y") if name in keywords]
    if len(values) != 1 or len(layer.inputs) != 1:
        raise WeightsRefused(f"{layer.words} before the network is not arithmetic with one constant")
    (value,) = values
    if isinstance(value, Mapping):
        value = value["config"]["value"]
    return _numbers(value, layer)


def _numbers(value: Any, layer: Layer) -> Three:
    """One number or three, however nested, as three."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    each = value if isinstance(value, list) else [value] * 3
    if len(each) != 3 or not all(isinstance(number, int | float) for number in each):
        raise WeightsRefused(f"{layer.words} has {shown(str(value))} where one or three numbers are known")
    return float(each[0]), float(each[1]), float(each[2])


def _map(values: Three, change: Callable[[float], float]) -> Three:
    return change(values[0]), change(values[1]), change(values[2])


def _zip(left: Three, right: Three, join: Callable[[float, float], float]) -> Three:
    return join(left[0], right[0]), join(left[1], right[1]), join(left[2], right[2])


def _recognised(found: Normalisation) -> KerasPreprocessing:
    """Known schemes under their name and with their exact constants; Keras 3 keeps its own in float32."""
    schemes: tuple[tuple[Scheme, Normalisation], ...] = (("RGB/255", RGB_255), ("caffe", CAFFE))
    for scheme, known in schemes:
        pairs = zip(
            (found.scale, *found.mean, *found.std), (known.scale, *known.mean, *known.std), strict=True
        )
        if found.channels == known.channels and all(
            isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in pairs
        ):
            return KerasPreprocessing(scheme, known)
    return KerasPreprocessing("graph", found)
