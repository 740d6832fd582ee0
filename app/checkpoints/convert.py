"""Named tensors of any origin -> `Found`: architecture, head and class count settled or asked.

Raw -> renaming -> heads -> which architecture fits -> Found
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from app.checkpoints.found import Answers, Found, Note, Preprocessing, Question
from app.checkpoints.heads import FLATTENING, HeadFound, head_form
from app.checkpoints.pickled import Name, Thing
from app.checkpoints.programs import unseen
from app.checkpoints.renaming import Named, named
from app.checkpoints.unwrap import Raw
from app.checkpoints.whole_modules import same_modules
from app.errors import InvalidRequest, WeightsRefused
from app.nets.architecture import Architecture
from app.nets.architectures import ARCHITECTURES, get_architecture
from app.nets.recognition import fitting_architectures

COUNTER: Final = "num_batches_tracked"
LUMA: Final = (0.299, 0.587, 0.114)
"""What Pillow's convert("L") and torchvision's Grayscale weigh red, green and blue by (ITU-R BT.601)."""
MAX_CHANNELS: Final = 4
"""Of a picture; a tensor of four dimensions with no more outputs is a mean or a deviation."""
GREY: Final = Note(
    "folded",
    "one channel into three, as 0.299 R + 0.587 G + 0.114 B: exact for grey pictures, within half a level of 255 for "
    "coloured ones",
)


def converted(
    raw: Raw, file_format: str, answers: Answers, *, preprocessing: Preprocessing | None = None
) -> Found:
    """Raises WeightsRefused where no architecture or head computes what the file's network did."""
    raw, spread = _of_three_channels(raw)
    parts = named(raw.tensors, answers)
    is_grey = any(tensor is spread for tensor in parts.trunk.values())
    _check_take(raw, answers)
    raw = _seen(raw, parts)
    names = _fitting(parts, answers)
    questions = [*raw.questions, *parts.questions]
    notes = [*raw.notes, *parts.notes, *((GREY,) if is_grey else ())]
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
            if not raw.modules:  # which say themselves what runs
                _check_left(parts, ARCHITECTURES[names[0]], head.outputs)
    if raw.modules and names:
        notes.append(same_modules(raw.modules, parts, names[0], head))
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
        normalisation=parts.normalisation,
        transforms_input=transforms_input is True,
        is_grey=is_grey,
        details=raw.details,
        notes=tuple(notes),
        questions=tuple(questions),
    )


def _of_three_channels(raw: Raw) -> tuple[Raw, Tensor | None]:
    """A first convolution over one grey channel as the same over three, and its tensor; others are left as they are.

    Only the first one: depthwise convolutions further down take one channel each, too.
    """
    kernels = ((name, t) for name, t in raw.tensors.items() if t.ndim == 4 and t.shape[0] > MAX_CHANNELS)
    name, kernel = next(kernels, ("", None))
    if kernel is None or kernel.shape[1] != 1:
        return raw, None
    spread = kernel.float() * torch.tensor(LUMA).reshape(1, 3, 1, 1)
    return replace(raw, tensors={**raw.tensors, name: spread}), spread


def _seen(raw: Raw, parts: Named) -> Raw:
    """Without the modules of a program where a class of its own calls trunk or head: they do not say how."""
    own = unseen(raw.modules, parts) if raw.is_program else None
    if own is None:
        return raw
    about = (
        f"the program runs a {ascii(own)[1:-1][:80]}, whose forward pass is not read: that it normalises, pools and "
        "activates as served is not known; `lineside verify --labelled FOLDER` tells"
    )
    return replace(raw, modules={}, notes=(*raw.notes, Note("warning", about)))


def _fitting(parts: Named, answers: Answers) -> list[str]:
    """Architectures that every tensor of the trunk fits; raises WeightsRefused where the owner names another."""
    names = fitting_architectures(parts.trunk) if parts.trunk else []
    if answers.architecture is None:
        # Keras' strides leave no trace in the tensors; only its own files, or the owner, can say so.
        return [name for name in names if ARCHITECTURES[name].family != "resnet_v1"]
    get_architecture(answers.architecture)
    if parts.trunk and names and answers.architecture not in names:
        raise WeightsRefused(
            f"--architecture {answers.architecture}: the tensors are those of {' or '.join(names)}"
        )
    return [answers.architecture] if answers.architecture in names else []


def _check_take(raw: Raw, answers: Answers) -> None:
    """Raises InvalidRequest where neither a dictionary's key nor a module has the name that --take says."""
    if answers.take is not None and "take" not in answers.used:
        there = f"weights are under {', '.join(raw.keys)}" if raw.keys else "leave it out"
        raise InvalidRequest(f"--take {answers.take}: there is no such key or module in the file; {there}")


def _check_left(parts: Named, architecture: Architecture, outputs: int) -> None:
    """Raises WeightsRefused where a layer that --head leaves out fits between trunk and head, or behind it."""
    channels = architecture.feature_channels
    inputs = {channels, 2 * channels, channels * FLATTENING.get(architecture.family, 1) ** 2}
    for name, tensor in parts.left.items():
        shape = tuple(tensor.shape)
        if name.endswith(".weight") and (
            (len(shape) == 2 and ({*shape} <= inputs or shape[1] == outputs))
            or (len(shape) == 1 and shape[0] in inputs)
        ):
            module, head = name.removesuffix(".weight"), parts.head_path
            raise WeightsRefused(
                f"--head {head} leaves out {ascii(module)[1:-1][:60]} of shape {shape}, which fits between trunk, head and "
                f"answer, so predictions may pass through it. Make them one, such as model.{head} = "
                f"torch.nn.Sequential(model.{module}, torch.nn.ReLU(), model.{head}), del model.{module}, and save the state "
                "dict; where it only helped training, delete it and save"
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
    channels = next((tensor.shape[1] for tensor in parts.trunk.values() if tensor.ndim == 4), 3)
    # Two pictures, RGB with an alpha or infrared; more are of a layer further down.
    stem = f"; its pictures have {channels} channels, served are those of three" if channels in {2, 4} else ""
    return (
        f"no known architecture has exactly these tensors (they begin with {', '.join(shapes)}{layers}{stem}); "
        "`lineside architectures` lists the known ones"
    )


# --- whole modules -----------------------------------------------------------------------------


def _head_module(modules: Mapping[str, Thing], parts: Named) -> Thing | None:
    """The head itself; None where the file is no whole module."""
    if modules and parts.head_after is not None and parts.head_path is not None:
        room = f"{parts.head_path}." if parts.head_path else ""
        behind = {
            path.removeprefix(room): module for path, module in modules.items() if parts.is_of_head(path)
        }
        own = {name: behind[name] for name in sorted((n for n in behind if n.isdecimal()), key=int)}
        return Thing(Name("torch.nn.modules.container", "Sequential"), state={"_modules": own})
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
    if network is not None and isinstance(network.state, dict) and "transform_input" in network.state:
        return network.state.get("transform_input") is True
    if "architecture" in raw.details:
        return False  # timm's has no such thing
    if answers.transform_input is not None:
        answers.use("transform_input")
        return answers.transform_input
    return Question(
        f"whether the {architecture} had transform_input, which torchvision turns on where training begins from "
        "its pretrained weights (weights=... or pretrained=True)",
        "--transform-input on, or --transform-input off where it was trained from scratch",
    )
