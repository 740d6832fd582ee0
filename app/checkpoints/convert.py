"""Named tensors of any origin -> `Found`: architecture, head and class count settled or asked.

Raw -> renaming -> heads -> which architecture fits -> Found
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import nn

from app.checkpoints.found import Answers, Found, Note, Preprocessing, Question
from app.checkpoints.heads import FLATTENING, HeadFound, head_form
from app.checkpoints.pickled import Thing
from app.checkpoints.renaming import Named, named
from app.checkpoints.unwrap import Raw
from app.domain import FlattenHead, HeadSpec, OwnHead
from app.errors import WeightsRefused
from app.nets.architecture import Architecture
from app.nets.architectures import ARCHITECTURES, get_architecture
from app.nets.recognition import fitting_architectures

COMPARED: Final = ("kernel_size", "stride", "padding", "dilation", "groups", "eps", "output_size")
"""Attributes of torch's modules that change the answer and leave no trace in the tensors."""
HARMLESS: Final = frozenset({"Softmax", "LogSoftmax", "Dropout", "Identity", "Flatten", "AdaptiveAvgPool2d"})
"""Beside a network they change neither its classes' order nor, behind our own softmax, their probabilities."""
COUNTER: Final = "num_batches_tracked"


def converted(
    raw: Raw, file_format: str, answers: Answers, *, preprocessing: Preprocessing | None = None
) -> Found:
    """Raises WeightsRefused where no architecture or head computes what the file's network did."""
    parts = named(raw.tensors, answers)
    names = fitting_architectures(parts.trunk) if parts.trunk else []
    if answers.architecture is None:
        # Keras' strides leave no trace in the tensors; only its own files, or the owner, can say so.
        names = [name for name in names if ARCHITECTURES[name].family != "resnet_v1"]
    questions = [*raw.questions, *parts.questions]
    notes = [*raw.notes, *parts.notes]
    if answers.architecture is not None:
        get_architecture(answers.architecture)
        if parts.trunk and names and answers.architecture not in names:
            raise WeightsRefused(
                f"--architecture {answers.architecture}: the tensors are those of {' or '.join(names)}"
            )
        names = [answers.architecture] if answers.architecture in names else []
    head: HeadFound | None = None
    if not questions:
        if not names:
            raise WeightsRefused(_no_architecture(parts))
        found = head_form(
            parts.head,
            ARCHITECTURES[names[0]],
            style=parts.style,
            answers=answers,
            module=_head_module(raw.modules, parts),
        )
        if isinstance(found, Question):
            questions.append(found)
        elif found is None:
            raise WeightsRefused(
                "a trunk without a head (features only): there are no classes in it; save the whole model's state dict"
            )
        else:
            head = found
            notes += found.notes
    if raw.modules and names:
        notes.append(_same_modules(raw.modules, parts, names[0], head.spec if head else None))
    transforms_input = bool(names) and _transforms_input(raw, parts, names[0], answers)
    if isinstance(transforms_input, Question):
        questions.append(transforms_input)
    stated = raw.details.get("arch") or raw.details.get("architecture")
    if stated is not None and names and answers.architecture is None and _plain(stated) not in names:
        # timm's resnetblur50 has the very tensors of resnet50, and gives other answers.
        about = f"the file calls itself {stated}, its tensors are those of {names[0]}: whether they compute the same"
        questions.append(Question(about, f"--architecture {names[0]}"))
    if len(names) > 1:
        questions.append(
            Question(f"which architecture it is: {', '.join(names)} fit", f"--architecture {names[0]}")
        )
    tensors = dict(parts.trunk) | (dict(head.tensors) if head else {})
    return Found(
        format=file_format,
        origin=raw.origin if parts.style == "torchvision" else f"{raw.origin}, {parts.style} names",
        tensors={name: tensor for name, tensor in tensors.items() if not name.endswith(COUNTER)},
        architectures=tuple(names),
        head=head.spec if head else None,
        class_count=head.class_count if head else None,
        classes=raw.classes,
        preprocessing=preprocessing,
        transforms_input=transforms_input is True,
        details=raw.details,
        notes=tuple(notes),
        questions=tuple(questions),
    )


def _plain(name: str) -> str:
    """`tv_resnet50.in1k` and `ResNet-50` -> `resnet50`."""
    return name.partition(".")[0].removeprefix("tv_").lower().replace("-", "")


def _no_architecture(parts: Named) -> str:
    shapes = [f"{name} {tuple(tensor.shape)}" for name, tensor in list(parts.trunk.items())[:3]]
    if not shapes:
        return "it holds no network: no tensors with names of a known architecture"
    blocks = [
        len({m[1] for name in parts.trunk if (m := re.match(rf"layer{stage}\.(\d+)\.", name))})
        for stage in range(1, 5)
    ]
    layers = f"; layer1 to layer4 have {', '.join(map(str, blocks))} blocks" if any(blocks) else ""
    return (
        f"no known architecture has exactly these tensors (they begin with {', '.join(shapes)}{layers}); "
        "`lineside architectures` lists the known ones"
    )


# --- whole modules -----------------------------------------------------------------------------


def _head_module(modules: Mapping[str, Thing], parts: Named) -> Thing | None:
    """The head itself; None where the file is no whole module."""
    head = modules.get(parts.head_path) if parts.head_path is not None else None
    if head is not None and head.made_by.name not in {"Sequential", "Linear", "Conv2d"}:
        raise WeightsRefused(f"its head is a {head.made_by}, whose forward nobody here has seen")
    return head


def _transforms_input(raw: Raw, parts: Named, architecture: str, answers: Answers) -> bool | Question:
    """Whether the forward pass normalises once more; only torchvision's two Inceptions can.

    Torchvision's pretrained weights bring it, fresh ones do not, and no tensor shows it.
    """
    if ARCHITECTURES[architecture].family not in {"inception", "googlenet"}:
        return False
    network = raw.modules.get(parts.trunk_path.removesuffix("."))
    if network is not None and isinstance(network.state, dict):
        return network.state.get("transform_input") is True
    if "architecture" in raw.details:
        return False  # timm's has no such thing
    if answers.transform_input is not None:
        return answers.transform_input
    return Question(
        f"whether the {architecture} had transform_input, which torchvision turns on where training begins from "
        "its pretrained weights (weights=... or pretrained=True)",
        "--transform-input on, or --transform-input off where it was trained from scratch",
    )


def _same_modules(
    modules: Mapping[str, Thing], parts: Named, architecture: str, spec: HeadSpec | None
) -> Note:
    """What no tensor tells is compared as well: kinds, strides, paddings, epsilons.

    Raises:
        WeightsRefused: a module of the trunk is not what the architecture has.
    """
    with torch.device("meta"):
        trunk = ARCHITECTURES[architecture].build_trunk()
    root = parts.trunk_path.removesuffix(".")
    if (
        parts.style == "torchvision"
        and root in modules
        and not re.fullmatch(r"torchvision\.models\.\w+\.\w+", str(modules[root].made_by))
    ):
        raise WeightsRefused(
            f"a {modules[root].made_by}, whose forward nobody here has seen; save its state dict"
        )
    head = parts.head_path or root
    for path, outer in modules.items():
        is_inside = not root or f"{path}.".startswith((f"{root}.", f"{head}.")) or root.startswith(f"{path}.")
        if not is_inside and path and outer.made_by.name not in HARMLESS:
            raise WeightsRefused(
                f"beside the network stands a {outer.made_by}, which may change its input or its answer"
            )
    compared = 0
    for name, module in trunk.named_modules():
        found = modules.get(f"{parts.trunk_path}{name}")
        if found is None or not name:
            continue
        if found.made_by.name != type(module).__name__:
            raise WeightsRefused(
                f"its {name} is a {found.made_by.name}, {architecture} has a {type(module).__name__}"
            )
        _same_attributes(name, module, found.state if isinstance(found.state, dict) else {}, architecture)
        compared += 1
    _check_pooling(modules.get(f"{parts.trunk_path}avgpool"), ARCHITECTURES[architecture], spec)
    return Note(
        "settled", f"kinds, strides, paddings and epsilons of {compared} modules are those of {architecture}"
    )


def _check_pooling(pool: Thing | None, architecture: Architecture, spec: HeadSpec | None) -> None:
    if pool is None or spec is None:
        return
    if pool.made_by.name != "AdaptiveAvgPool2d":
        raise WeightsRefused(f"it pools by {pool.made_by.name}; only average pooling gives this evidence")
    keeps_grid = isinstance(spec, FlattenHead | OwnHead)
    cells = FLATTENING.get(architecture.family, 1) if keeps_grid else 1
    size = pool.state.get("output_size") if isinstance(pool.state, dict) else None
    if size is not None and _pair(size) != (cells, cells):
        raise WeightsRefused(
            f"it pools to {size}; {architecture.name} with this head pools to {cells} x {cells}"
        )


def _same_attributes(name: str, module: nn.Module, state: Mapping[str, Any], architecture: str) -> None:
    for attribute in COMPARED:
        own = getattr(module, attribute, None)
        if own is None or attribute not in state:
            continue
        if _pair(own) != _pair(state[attribute]):
            raise WeightsRefused(
                f"its {name} has {attribute} = {state[attribute]}, {architecture} has {own}: the tensors fit, the answers "
                "would be wrong"
            )


def _pair(value: object) -> object:
    return (value, value) if isinstance(value, int) else value
