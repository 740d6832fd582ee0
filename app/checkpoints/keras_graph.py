"""The configuration of a Keras model -> one flat graph of layers, as data.

JSON of Keras 2 or 3 -> models inside models opened -> layers that do nothing when serving taken out
    -> Graph: layers by id, each with its inputs, one input, one output

Knows no architecture. Whatever could make the served network answer otherwise than Keras (a layer used
twice, a branch of outputs, batch statistics switched to training) is refused by name.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from app.checkpoints.keras_files import shown
from app.errors import WeightsRefused

MAX_LAYERS: Final = 20_000
TOO_MANY: Final = "its configuration has more layers than any network known here"
MODELS: Final = frozenset({"Functional", "Model", "Sequential"})
IDLE: Final = frozenset(
    {
        "Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization",
        "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness",
        "RandomHeight", "RandomWidth", "RandomShear", "RandomHue", "RandomSaturation", "RandomColorJitter",
    }
)  # fmt: skip
"""Layers that only training feels."""
FELT: Final = MODELS | {
    "BatchNormalization",
    "Dropout",
    "SpatialDropout2D",
    "GaussianDropout",
    "AlphaDropout",
}
"""What answers otherwise when it is told that it trains."""
OUR_MODULES: Final = ("keras.", "tensorflow.python.keras.", "tensorflow.keras.", "tf_keras.")


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, or one operation on a tensor, and what feeds it."""

    path: tuple[str, ...]
    """Names of the models around it, then its own."""
    numbered: tuple[str, ...]
    """The same as Keras 3 numbers its groups: class and position, `("functional", "conv2d_7")`."""
    kind: str
    """Keras' class name."""
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    call: Any
    """How it was called, as the file has it; operations keep their constants there."""

    @property
    def id(self) -> str:
        """Unique in the graph."""
        return "/".join(self.path)

    @property
    def words(self) -> str:
        """For messages: class and name."""
        return f"{shown(self.kind)} {shown(self.path[-1])!r}"


@dataclass(frozen=True, slots=True)
class Graph:
    """Layers from one input to one output."""

    layers: Mapping[str, Layer]
    input: Layer
    output: str
    idle: tuple[str, ...]
    """Class names of what was taken out because only training feels it."""

    def after(self, name: str) -> list[Layer]:
        """The layers that this one feeds."""
        return [layer for layer in self.layers.values() if name in layer.inputs]

    def next(self, name: str) -> Layer | None:
        """The only layer that this one feeds; None at the output.

        Raises:
            WeightsRefused: it feeds several.
        """
        found = self.after(name)
        if not found:
            return None
        if len(found) > 1 or name == self.output:
            words = " and ".join(layer.words for layer in found[:3])
            raise WeightsRefused(
                f"{shown(name)!r} feeds {words}: a network with branches that is not known here"
            )
        return found[0]


def read_graph(config: Mapping[str, Any]) -> Graph:
    """The model that `model_config` or `config.json` describes.

    Raises:
        WeightsRefused: not one image in and one answer out, or not to be followed.
        KeyError, TypeError, ...: no configuration that Keras writes; `read_keras` turns these into a refusal.
    """
    *layers, output = _model(config, (), (), None)
    if len(layers) > MAX_LAYERS:
        raise WeightsRefused(TOO_MANY)
    return _without_idle([layer for layer in layers if isinstance(layer, Layer)], str(output))


def activation(config: Mapping[str, Any]) -> str:
    """The name of a layer's activation; `linear` where there is none."""
    value = config.get("activation")
    if isinstance(value, Mapping):
        value = value.get("config") if value.get("class_name") == "function" else value.get("class_name")
    return "linear" if value is None else shown(str(value))


def _model(
    entry: Mapping[str, Any], path: tuple[str, ...], numbered: tuple[str, ...], given: str | None
) -> Iterator[Layer | str]:
    """The layers of one model and, last, the id of its output; `given` feeds it from outside."""
    config = entry["config"]
    if entry["class_name"] not in MODELS:
        raise WeightsRefused(
            f"a model of class {shown(str(entry['class_name']))!r}, whose graph is not in the file"
        )
    # The earliest Sequential was a bare list of layers.
    entries = config if isinstance(config, list) else config["layers"]
    if len(entries) > MAX_LAYERS or len(path) > 8:
        raise WeightsRefused(TOO_MANY)
    numbers = _numbers(entries)
    if entry["class_name"] == "Sequential":
        yield from _sequential(entries, numbers, path, numbered, given)
        return
    ids: dict[str, str] = {}
    waiting = list(zip(entries, numbers, strict=True))
    while waiting:
        later = []
        for each, number in waiting:
            calls = each.get("inbound_nodes") or []
            if len(calls) > 1:
                raise WeightsRefused(
                    f"layer {shown(each['name'])!r} is used {len(calls)} times; only once is known here"
                )
            feeding = list(_references(calls[0])) if calls else []
            if any(name not in ids for name in feeding):
                later.append((each, number))
                continue
            call = calls[0] if calls else None
            sources = tuple(ids[name] for name in feeding)
            *inner, end = _layer(each, (*path, _name(each)), (*numbered, number), sources, call, given)
            ids[_name(each)] = str(end)
            yield from inner
        if len(later) == len(waiting):
            raise WeightsRefused(f"layer {shown(_name(later[0][0]))!r} is fed by none that comes before it")
        waiting = later
    outputs = config["output_layers"]
    ends = [outputs] if isinstance(outputs[0], str) else outputs
    if len(ends) != 1 or ends[0][2] != 0:
        raise WeightsRefused(f"a model with {len(ends)} outputs; only one is known here")
    yield ids[ends[0][0]]


def _sequential(
    entries: list[Any],
    numbers: list[str],
    path: tuple[str, ...],
    numbered: tuple[str, ...],
    given: str | None,
) -> Iterator[Layer | str]:
    last = given
    if entries and entries[0]["class_name"] != "InputLayer" and given is None:
        # Before Keras 2.3 a Sequential did not list its input; its first layer knows the shape.
        shape = entries[0]["config"].get("batch_input_shape")
        first = Layer((*path, "input"), (*numbered, "input"), "InputLayer", {"batch_shape": shape}, (), None)
        yield first
        last = first.id
    for each, number in zip(entries, numbers, strict=True):
        sources = () if last is None or each["class_name"] == "InputLayer" else (last,)
        *inner, end = _layer(each, (*path, _name(each)), (*numbered, number), sources, None, given)
        yield from inner
        last = str(end)
    if last is None:
        raise WeightsRefused("a model without layers")
    yield last


def _layer(
    entry: Mapping[str, Any],
    path: tuple[str, ...],
    numbered: tuple[str, ...],
    sources: tuple[str, ...],
    call: Any,
    given: str | None,
) -> Iterator[Layer | str]:
    """One layer, or all layers of a model used as a layer; last the id of its output."""
    kind = str(entry["class_name"])
    module = entry.get("module")
    if isinstance(module, str) and not f"{module}.".startswith(OUR_MODULES):
        raise WeightsRefused(
            f"layer {shown(path[-1])!r} is of a class {shown(kind)!r} of its own, not of Keras"
        )
    # Keras 3 notes training=True as the default of augmentations too, and overrides it when predicting.
    if _keywords(call).get("training") is True and kind in FELT:
        raise WeightsRefused(
            f"{shown(kind)} {shown(path[-1])!r} was called with training=True, so it has no fixed answer"
        )
    if kind in MODELS:
        if len(sources) > 1:
            raise WeightsRefused(
                f"the model {shown(path[-1])!r} takes {len(sources)} inputs; only one is known here"
            )
        yield from _model(entry, path, numbered, sources[0] if sources else None)
        return
    if kind == "InputLayer" and given is not None:
        yield given
        return
    layer = Layer(path, numbered, kind, entry["config"], sources, call)
    yield layer
    yield layer.id


def _name(entry: Mapping[str, Any]) -> str:
    """Functional models name a layer beside its configuration, Sequential ones only in it."""
    name = entry.get("name") or (entry["config"] if isinstance(entry["config"], dict) else {}).get("name")
    return str(name or entry["class_name"]).replace("/", "_")


def _numbers(entries: list[Any]) -> list[str]:
    """`conv2d`, `conv2d_1`, ...: how Keras 3 names groups of weights."""
    seen: Counter[str] = Counter()
    found = []
    for entry in entries:
        kind = re.sub(r"\W+", "", str(entry["class_name"]))
        snake = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind)).lower()
        found.append(f"{snake}_{seen[snake]}" if seen[snake] else snake)
        seen[snake] += 1
    return found


def _references(call: Any) -> Iterator[str]:
    """Names of the layers that feed a call.

    Keras 2: [[name, node, tensor, keywords], ...], and [name, node, tensor, keywords] for operations.
    Keras 3: {"args": [...], "kwargs": {...}} with `__keras_tensor__` anywhere inside.
    """
    if isinstance(call, Mapping):
        if call.get("class_name") == "__keras_tensor__":
            name, _, tensor = call["config"]["keras_history"]
            if tensor != 0:
                raise WeightsRefused(f"layer {shown(name)!r} has several outputs; only one is known here")
            yield name
            return
        for value in call.values():
            yield from _references(value)
    elif isinstance(call, list):
        if len(call) in {3, 4} and isinstance(call[0], str) and all(type(at) is int for at in call[1:3]):
            if call[2] != 0:
                raise WeightsRefused(f"layer {shown(call[0])!r} has several outputs; only one is known here")
            yield call[0]
            yield from _references(call[3:])
            return
        for value in call:
            yield from _references(value)


def _keywords(call: Any) -> Mapping[str, Any]:
    """Keyword arguments of a call; of the first reference in Keras 2, where all carry the same."""
    if isinstance(call, Mapping):
        kwargs = call.get("kwargs")
        return kwargs if isinstance(kwargs, Mapping) else {}
    while isinstance(call, list) and call:
        if isinstance(call[-1], Mapping):
            return call[-1]
        call = call[0]
    return {}


def _without_idle(layers: list[Layer], output: str) -> Graph:
    stand_in: dict[str, str] = {}
    kept: dict[str, Layer] = {}
    idle: list[str] = []
    for layer in layers:
        inputs = tuple(stand_in.get(name, name) for name in layer.inputs)
        nothing = layer.kind in IDLE or (layer.kind == "Activation" and activation(layer.config) == "linear")
        if nothing and len(inputs) == 1:
            stand_in[layer.id] = inputs[0]
            idle.append(layer.kind)
            continue
        if layer.id in kept:
            raise WeightsRefused(f"two layers are named {shown(layer.id)!r}")
        kept[layer.id] = replace(layer, inputs=inputs)
    starts = [layer for layer in kept.values() if layer.kind == "InputLayer"]
    if len(starts) != 1:
        raise WeightsRefused(f"a model with {len(starts)} inputs; only one image is known here")
    return Graph(kept, starts[0], stand_in.get(output, output), tuple(idle))
