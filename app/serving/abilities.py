"""What a model can be asked: its engine's abilities, and its classes by name or number."""

import re

from app.bundles.repository import Bundle
from app.engines.base import Engine, ProbingEngine
from app.errors import UnknownClass
from app.explain.plan import Abilities


def abilities_of(bundle: Bundle, engine: Engine) -> Abilities:
    """What a model on this engine can tell of a picture."""
    prober = engine if isinstance(engine, ProbingEngine) else None
    return Abilities(
        evidence_kind=engine.evidence_kind,
        evidence_methods=engine.evidence_methods,
        probe_methods=() if prober is None else prober.probe_methods,
        layers=(engine.target_layer,) if prober is None else prober.layers,
        target_layer=engine.target_layer,
        class_count=engine.class_count,
        temperature=bundle.manifest.calibration.temperature,
        class_index=lambda target: class_index(bundle, target),
    )


def class_index(bundle: Bundle, target: str) -> int:
    """Index of a class given by name, or by its index in digits.

    Raises:
        UnknownClass: with the names that exist.
    """
    if target in bundle.classes:
        return bundle.classes.index(target)
    # More digits are no index, and of more than 4,300 int() raises. Zeros in front are let pass.
    if re.fullmatch("[0-9]{1,18}", target) and int(target) < len(bundle.classes):
        return int(target)
    raise UnknownClass(f"no class {target[:80]!r} in {bundle.name}; it knows {', '.join(bundle.classes)}")
