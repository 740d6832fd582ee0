"""The modules of a head in a whole pickled module: where each stands, and what the tensors alone do not say of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.checkpoints.pickled import Thing

PASSIVE: Final = frozenset(
    {"Dropout", "Dropout1d", "Dropout2d", "AlphaDropout", "Identity", "Flatten", "AdaptiveAvgPool2d"}
)
CONCAT_POOL: Final = "AdaptiveConcatPool2d"
AT_END: Final = PASSIVE | {"Softmax", "LogSoftmax"}

Position = tuple[int, ...]
"""Where a layer stands in Sequentials inside Sequentials: `1.0.weight` -> (1, 0)."""


@dataclass(frozen=True, slots=True)
class Modules:
    """A head of a whole module: what its file of weights does not say."""

    kinds: Mapping[Position, str]
    """Every module that is no Sequential."""
    paths: Mapping[str, Position]
    """The same by name, as the tensors have it."""
    states: Mapping[Position, Mapping[str, Any]]
    """Their attributes: `eps`, `padding`."""

    def between(self, before: Position | None, after: Position | None) -> list[str]:
        """Kinds strictly between two positions, or before the first and after the last."""
        return [
            kind
            for position, kind in sorted(self.kinds.items())
            if (before is None or position > before) and (after is None or position < after)
        ]


def modules_of(head: Thing) -> Modules:
    """The modules of a head, Sequentials opened."""
    kinds: dict[Position, str] = {}
    paths: dict[str, Position] = {}
    states: dict[Position, Mapping[str, Any]] = {}

    def walk(module: Thing, path: str, position: Position) -> None:
        state = module.state if isinstance(module.state, dict) else {}
        children = state.get("_modules")
        children = children.items if isinstance(children, Thing) else children
        if module.made_by.name == "Sequential" and isinstance(children, dict) and len(position) < 8:
            for index, (name, child) in enumerate(children.items()):
                if isinstance(child, Thing):
                    walk(child, f"{path}{name}.", (*position, index))
            return
        kinds[position] = module.made_by.name
        paths[path.removesuffix(".")] = position
        states[position] = state

    walk(head, "", ())
    return Modules(kinds, paths, states)
