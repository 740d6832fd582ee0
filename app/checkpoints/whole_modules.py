"""A whole module against the architecture that its tensors fit: what no tensor tells.

modules by path, as data -> the order in which they run -> compared one by one with the architecture's -> Note

Only containers whose forward is known are opened: torch's `Sequential` and wrappers, and torchvision's own
networks. Whatever runs before, inside or behind the network is accounted for, or the file is refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

from app.checkpoints.found import Note
from app.checkpoints.head_modules import AT_END, CONCAT_POOL, PASSIVE
from app.checkpoints.heads import FLATTENING, HeadFound
from app.checkpoints.imports import RESAVE
from app.checkpoints.pickled import Thing
from app.checkpoints.renaming import Named
from app.domain import FlattenHead, HeadSpec, OwnHead
from app.errors import WeightsRefused
from app.nets.architecture import Architecture
from app.nets.architectures import ARCHITECTURES

OPENED: Final = frozenset({"Sequential", "DataParallel", "DistributedDataParallel", "OptimizedModule"})
"""They call what is in them, one after another, and nothing else."""
TORCHVISIONS: Final = re.compile(r"torchvision\.models\.[a-z]\w*\.\w+")
"""Its networks; what it builds others from is in `_utils`."""
IDLE: Final = frozenset({"Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout"})
"""When serving they change nothing, wherever they stand."""
SAME: Final = {"SyncBatchNorm": "BatchNorm2d"}
"""Kinds that differ in training alone."""
OF_TRAINING: Final = frozenset(
    {"training", "inplace", "momentum", "p", "prob", "drop_rate", "memory_efficient", "track_running_stats",
     "return_indices"}
)  # fmt: skip
"""Attributes that change no answer of a network that is served."""


def same_modules(modules: Mapping[str, Thing], parts: Named, name: str, head: HeadFound | None) -> Note:
    """What stands around and inside the network is what the architecture has.

    Args:
        modules: every module by its path.
        parts: what the tensors' names said.
        name: of the architecture.
        head: as it will be served; None while there are questions.

    Raises:
        WeightsRefused: something else would give other answers with the same tensors.
    """
    architecture = ARCHITECTURES[name]
    with torch.device("meta"):
        trunk = architecture.build_trunk()
    compared = 0
    for own, module in trunk.named_modules():
        found = modules.get(_in_file(own, parts))
        if found is None or not own:
            continue
        if SAME.get(found.made_by.name, found.made_by.name) != type(module).__name__:
            raise WeightsRefused(f"its {own} is a {found.made_by.name}, {name} has a {type(module).__name__}")
        state = found.state if isinstance(found.state, dict) else {}
        if getattr(module, "in_channels", 0) == 3 and state.get("in_channels") == 1:
            state = {**state, "in_channels": 3}  # whose tensor fits, since `convert` spread it
        _same_attributes(own, module, state, name)
        compared += 1
    _no_others_inside(modules, trunk, parts, name)
    _in_order(modules, trunk, parts, architecture, head.outputs if head else None)
    if head is not None:
        _check_poolings(modules, parts, architecture, head.spec)
    return Note("settled", f"kinds, strides, paddings and epsilons of {compared} modules are those of {name}")


def _in_file(name: str, parts: Named) -> str:
    """The trunk's `layer1.0.conv1` -> where the file has it."""
    first, dot, rest = name.partition(".")
    return f"{parts.trunk_path}{parts.children.get(first, first)}{dot}{rest}"


# --- one by one --------------------------------------------------------------------------------


def _same_attributes(name: str, module: nn.Module, state: Mapping[str, Any], architecture: str) -> None:
    """Every plain value that both have, but for those of training; older versions of torch had fewer."""
    for attribute, own in vars(module).items():
        if attribute.startswith("_") or attribute in OF_TRAINING or attribute not in state:
            continue
        if isinstance(own, int | float | str | tuple | list) and _pair(own) != _pair(state[attribute]):
            raise WeightsRefused(
                f"its {name} has {attribute} = {_shown(state[attribute])}, {architecture} has {own}: the tensors fit, the "
                "answers would be wrong"
            )


def _shown(value: object) -> str:
    return ascii(value if not isinstance(value, Thing) else str(value.made_by))[:60]


def _pair(value: object) -> object:
    """Whole numbers stand for both sides."""
    if isinstance(value, list):
        return tuple(value)
    return (value, value) if isinstance(value, int) else value


def _no_others_inside(
    modules: Mapping[str, Thing], trunk: nn.Module, parts: Named, architecture: str
) -> None:
    known = {_in_file(name, parts) for name, _ in trunk.named_modules() if name}
    rooms = tuple(f"{_in_file(name, parts)}." for name, _ in trunk.named_children())
    for path, module in modules.items():
        if path.startswith(rooms) and path not in known and module.made_by.name not in IDLE:
            raise WeightsRefused(
                f"its {ascii(path)[1:-1][:60]} is a {module.made_by.name}, where {architecture} has nothing"
            )


# --- what runs ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Step:
    path: str
    kind: str


def _steps(modules: Mapping[str, Thing], at: str, parts: Named, root: str) -> Iterator[_Step]:
    """What runs from here on, in order; a network of torchvision's is its trunk and then its own head."""
    module = modules[at]
    children = [
        path for path in modules if path and path.rpartition(".")[0] == at and path != at
    ]  # in the order of the file, which is the order in which containers call them
    if module.made_by.name in OPENED and str(module.made_by).startswith("torch."):
        for child in children:
            yield from _steps(modules, child, parts, root)
    elif at == parts.trunk_path.removesuffix(".") and TORCHVISIONS.fullmatch(str(module.made_by)):
        # Its own forward calls the trunk, pools, and calls the head; dropout stands among its children too.
        yield _Step(at, "")
        for child in children:
            name = child.rpartition(".")[2]
            if name == root:
                yield from _steps(modules, child, parts, root)
            elif name in {"dropout", "avgpool"}:
                yield _Step(child, modules[child].made_by.name)
    else:
        yield _Step(at, module.made_by.name)


def _in_order(
    modules: Mapping[str, Thing],
    trunk: nn.Module,
    parts: Named,
    architecture: Architecture,
    outputs: int | None,
) -> None:
    """Raises WeightsRefused where anything runs that is neither trunk nor head, or in another order."""
    network = parts.trunk_path.removesuffix(".")
    steps = [step for step in _steps(modules, "", parts, architecture.place.root) if step.kind not in IDLE]
    paths = [step.path for step in steps]
    if network in paths and not steps[paths.index(network)].kind:
        start, end = paths.index(network), paths.index(network) + 1
    else:
        order = [_in_file(name, parts) for name in _run_by(trunk)]
        start = paths.index(order[0]) if order[0] in paths else -1
        end = start + len(order)
        if start < 0 or paths[start:end] != order:
            missing = next((path for path in order if path not in paths), order[0])
            unknown = next((modules[path] for path in _above(missing) if path in modules), modules[""])
            raise WeightsRefused(
                f"{_described(unknown)}, whose forward nobody here has seen, or which leaves out {missing}; save its state "
                f"dict: {RESAVE}"
            )
    head = parts.head_path
    inside = [i for i, step in enumerate(steps) if parts.is_of_head(step.path)]
    first, last = (inside[0], inside[-1]) if inside else (len(steps), len(steps))
    behind = AT_END | {"Sigmoid"} if outputs == 1 else AT_END
    for index, step in enumerate(steps):
        if start <= index < end or index in inside:
            continue
        allowed = frozenset[str]() if index < start else behind if index > last else PASSIVE | {CONCAT_POOL}
        if step.kind not in allowed and not (head is None and index >= end):
            raise WeightsRefused(
                f"beside the network stands a {step.kind} ({step.path}), which may change its input or its answer"
            )
    if head is not None and first < end:
        raise WeightsRefused("its head stands before its trunk")


def _run_by(trunk: nn.Module, path: str = "") -> Iterator[str]:
    """What a trunk runs, Sequentials opened as in the file."""
    for name, child in trunk.named_children():
        if type(child) is nn.Sequential:
            yield from _run_by(child, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def _above(path: str) -> Iterator[str]:
    while path:
        path = path.rpartition(".")[0]
        yield path


def _described(module: Thing) -> str:
    return f"a {ascii(str(module.made_by))[1:-1][:80]}"


def _check_poolings(
    modules: Mapping[str, Thing], parts: Named, architecture: Architecture, spec: HeadSpec
) -> None:
    """Raises WeightsRefused where the features are not averaged over the cells that this head takes."""
    keeps_grid = isinstance(spec, FlattenHead | OwnHead)
    cells = FLATTENING.get(architecture.family, 1) if keeps_grid else 1
    own = modules.get(f"{parts.trunk_path}avgpool")
    if own is not None and own.made_by.name != "AdaptiveAvgPool2d":
        raise WeightsRefused(f"it pools by {own.made_by.name}; only average pooling gives this evidence")
    steps = list(_steps(modules, "", parts, architecture.place.root))
    poolings = [modules[step.path] for step in steps if step.kind == "AdaptiveAvgPool2d"]
    if not poolings and all(step.kind not in {"", CONCAT_POOL} for step in steps):
        raise WeightsRefused(
            "nothing pools its features before the head; only average pooling gives this evidence"
        )
    for pool in poolings:
        size = pool.state.get("output_size") if isinstance(pool.state, dict) else None
        if size is not None and _pair(size) != (cells, cells):
            raise WeightsRefused(
                f"it pools to {size}; {architecture.name} with this head pools to {cells} x {cells}"
            )
