"""What a request asks to be explained, held against what its model can tell: refused or planned.

Question (as it was asked) + Abilities (of the model) -> Plan (indices, layers, the probe that it takes)

Made before a picture is read, so that nothing is computed for a question that has no answer. Knows no
pictures, no networks and no HTTP; a message names the parameter and what would be right.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.domain import Align, Check, EvidenceKind, Method, Probe, Score, Target, View
from app.errors import InvalidRequest

LAYER_METHODS: tuple[Method, ...] = ("layercam", "hirescam", "gradcam")
"""What `layers` takes, the default first."""
GRADCAM_IS_MISLEADING = (
    "gradcam gives every cell of a channel the same weight; in layers before the last this shows places that the "
    "network did not use; prefer layercam or hirescam"
)
MOST_CHANNELS = 64
"""A sheet of more is not looked at, and 64 maps of 56 x 56 are 2 MB of JSON."""
MOST_CLASSES = 64
"""The same for maps by class; 1,000 of them took 19 s to draw, and more pixels than a file may have."""


@dataclass(frozen=True, slots=True)
class Question:
    """The parameters of POST /explain, names not yet looked up; None: not given."""

    method: Method | None = None
    target: str | None = None
    score: Score = "logit"
    against: str | None = None
    classes: str | None = None
    """`all`, `topN`, or names and indices with commas between; no more than `MOST_CLASSES` come of it."""
    layers: str | None = None
    """`all`, or names with commas between."""
    feature_maps: str | None = None
    k: int | None = None
    view: View = "input"
    align: Align = "receptive_field"
    check: Check = "none"


@dataclass(frozen=True, slots=True)
class Abilities:
    """What one model can tell."""

    evidence_kind: EvidenceKind
    evidence_methods: tuple[Method, ...]
    """What its evidence is called; the first is its own name."""
    probe_methods: tuple[Method, ...]
    """Further maps that its engine computes; empty where it cannot."""
    layers: tuple[str, ...]
    target_layer: str
    class_count: int
    temperature: float
    """Of its probabilities."""
    class_index: Callable[[str], int]
    """By name or index; raises UnknownClass with the names that exist."""

    @property
    def methods(self) -> tuple[Method, ...]:
        """Every map that `method` may name, the default first."""
        return (*self.evidence_methods, *(m for m in self.probe_methods if m not in self.evidence_methods))

    @property
    def can_view(self) -> bool:
        """Whether the whole picture can be looked at: the head averages, whatever the number of cells."""
        return self.evidence_kind == "exact" and bool(self.probe_methods)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be computed for one request."""

    method: Method
    """Of the main map."""
    equivalent_to: tuple[Method, ...]
    target: Target
    classes: tuple[int, ...] | int | None
    """Indices; or how many of the most probable; None: no maps by class."""
    probe: Probe | None
    """None: the evidence of a plain prediction is enough."""
    layers_method: Method | None
    """Of the maps of several layers; None: the probe's only layer, if any, gives the main map."""
    view: View
    align: Align
    check: Check
    warnings: tuple[str, ...]

    @property
    def is_from_evidence(self) -> bool:
        """Whether the main map is the engine's evidence, and not a probe's."""
        return self.probe is None or not self.probe.layers or self.layers_method is not None


def planned(question: Question, model: Abilities) -> Plan:
    """What to compute.

    Raises:
        InvalidRequest: what the model cannot give, or parameters that do not go together.
        UnknownClass: with the names that exist.
    """
    layers = _layers(question.layers, model)
    method, layers_method = _methods(question, model, has_layers=bool(layers))
    target = _target(question, model, method)
    is_evidence = method in model.evidence_methods
    if not is_evidence:
        layers = (model.target_layer,)
    classes = _classes(question.classes, model)
    if classes is not None:
        count = classes if isinstance(classes, int) else len(classes)
        _check_classes(question, model, count, is_evidence=is_evidence)
    channels_of, channel_count = _channels(question, model)
    probe = None
    if layers or channels_of is not None:
        probe = Probe(target, layers_method or method, layers, channels_of, channel_count)
    if question.view == "full":
        _check_view(model, has_probe=probe is not None)
    if question.check != "none":
        _check_check(question, method)
    before_the_last = any(layer != model.target_layer for layer in layers)
    return Plan(
        method=method,
        equivalent_to=tuple(m for m in model.evidence_methods if m != method) if is_evidence else (),
        target=target,
        classes=classes,
        probe=probe,
        layers_method=layers_method,
        view=question.view,
        align=question.align,
        check=question.check,
        warnings=(GRADCAM_IS_MISLEADING,) if layers_method == "gradcam" and before_the_last else (),
    )


def _layers(asked: str | None, model: Abilities) -> tuple[str, ...]:
    if asked is None:
        return ()
    if not model.probe_methods:
        raise InvalidRequest(
            f"layers: this model's engine cannot look into its layers; it gives {_listed(model.methods)}"
        )
    if asked.strip() == "all":
        return model.layers
    return tuple(dict.fromkeys(_known_layer("layers", name.strip(), model) for name in asked.split(",")))


def _known_layer(parameter: str, name: str, model: Abilities) -> str:
    if name not in model.layers:
        raise InvalidRequest(
            f"{parameter}: no layer {name[:80]!r} in this model; it has {_listed(model.layers)}"
        )
    return name


def _methods(question: Question, model: Abilities, *, has_layers: bool) -> tuple[Method, Method | None]:
    """Of the main map, and of the layers' maps."""
    if not model.methods:
        raise InvalidRequest("this model's head gives no evidence, so there is nothing to explain with")
    asked = question.method
    if has_layers:
        if asked is not None and asked not in LAYER_METHODS:
            raise InvalidRequest(f"method: with layers it is one of {_listed(LAYER_METHODS)}, not {asked}")
        return model.methods[0], asked or LAYER_METHODS[0]
    if asked is not None and asked not in model.methods:
        raise InvalidRequest(f"method: this model cannot give {asked}; it gives {_listed(model.methods)}")
    return asked or model.methods[0], None


def _target(question: Question, model: Abilities, method: Method) -> Target:
    index = None if question.target is None else model.class_index(question.target)
    against = None if question.against is None else model.class_index(question.against)
    if method == "eigencam" and (index, against, question.score) != (None, None, "logit"):
        raise InvalidRequest("method: eigencam shows no class; leave target, against and score away")
    if against is not None:
        if question.score != "logit":
            raise InvalidRequest("against: it splits the margin between two logits; leave score away")
        if against == index:
            raise InvalidRequest("against: it names the target itself; name another class")
    return Target(index, question.score, against, model.temperature)


def _classes(asked: str | None, model: Abilities) -> tuple[int, ...] | int | None:
    if asked is None:
        return None
    if asked.strip() == "all":
        return tuple(range(model.class_count))
    if found := re.fullmatch(r"top([1-9][0-9]{0,5})", asked.strip()):
        return min(int(found[1]), model.class_count)
    return tuple(dict.fromkeys(model.class_index(name.strip()) for name in asked.split(",")))


def _check_classes(question: Question, model: Abilities, count: int, *, is_evidence: bool) -> None:
    if count > MOST_CLASSES:
        raise InvalidRequest(
            f"classes: up to {MOST_CLASSES} maps at once, not {count}; ask for top{MOST_CLASSES}, or name as many"
        )
    if question.against is not None:
        raise InvalidRequest("classes: it gives every class its own map; leave against away")
    if not is_evidence:
        raise InvalidRequest(
            f"classes: all of them at once are given by {_listed(model.evidence_methods) or 'no method'}; "
            f"ask for {question.method} one target at a time"
        )


def _channels(question: Question, model: Abilities) -> tuple[str | None, int]:
    if question.feature_maps is None:
        if question.k is not None:
            raise InvalidRequest("k: it is how many feature_maps are wanted; name a layer in feature_maps")
        return None, 0
    if not model.probe_methods:
        raise InvalidRequest("feature_maps: this model's engine cannot look into its layers")
    return _known_layer("feature_maps", question.feature_maps, model), question.k or 16


def _check_view(model: Abilities, *, has_probe: bool) -> None:
    if not model.can_view:
        raise InvalidRequest(
            "view: the whole picture needs an engine that takes any size and a head that averages its cells, "
            "which this model has not"
        )
    if has_probe:
        raise InvalidRequest(
            f"view: full shows {_listed(model.evidence_methods)}; leave layers and feature_maps away"
        )


def _check_check(question: Question, method: Method) -> None:
    if method == "eigencam":
        raise InvalidRequest("check: eigencam is of no class whose probability could fall; leave check away")
    if question.view == "full":
        raise InvalidRequest("check: it covers what the model itself sees; leave view=full away")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
