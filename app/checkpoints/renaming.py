"""Names of other people's scripts -> names of torchvision's model.

Wrappers are stripped, `Sequential(*children)` gets its names back, Hugging Face's are translated. The head is
set apart: what follows the trunk's pooling, under local names (`weight`, `0.weight`, ...). ResNets are told by
their first names alone, so that one that is not known is refused as a ResNet; the others by every tensor.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from torch import Tensor

from app.checkpoints.beside_trunk import few, followed_in_its_sequential, head_path_in, losses_and_metrics
from app.checkpoints.found import Answers, Note, Question
from app.checkpoints.normalising import own_normalisation
from app.domain import Normalisation
from app.errors import WeightsRefused
from app.nets.architectures import ARCHITECTURES
from app.nets.naming import BATCH_COUNTER
from app.nets.recognition import trunk_children, trunk_places, trunk_shapes

CHILDREN: Final = dict(enumerate(("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")))
"""Positions of a torchvision ResNet's children in a Sequential."""
TRUNK_ROOMS: Final = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.")
HF_STEM: Final = "embedder.embedder.convolution.weight"


@dataclass(frozen=True, slots=True)
class Named:
    """A trunk under torchvision's names, and its head apart."""

    trunk: Mapping[str, Tensor]
    head: Mapping[str, Tensor]
    """Local names within the head."""
    head_path: str | None
    """Where the head was in the script's model; None where it is not known or there is none."""
    trunk_path: str
    style: str
    head_after: int | None = None
    """Where the head is all that follows in the trunk's own Sequential: the trunk's position in `head_path`."""
    notes: tuple[Note, ...] = ()
    questions: tuple[Question, ...] = ()
    left: Mapping[str, Tensor] = field(default_factory=dict)
    """What `--head` leaves out, under full names."""
    normalisation: Normalisation | None = None
    """Where the file holds a mean and a std for three channels: what the network does to pixels by itself."""
    children: Mapping[str, str] = field(default_factory=dict)
    """Of the trunk, where the file calls them otherwise: `conv1` -> `0`."""

    def is_of_head(self, path: str) -> bool:
        """Whether a module of the file is the head, or in it."""
        head = self.head_path
        if head is None:
            return False
        if self.head_after is None:
            return path == head or path.startswith(f"{head}.")
        room = f"{head}." if head else ""
        first = path.removeprefix(room).partition(".")[0]
        return path.startswith(room) and first.isdecimal() and int(first) > self.head_after


def named(tensors: Mapping[str, Tensor], answers: Answers) -> Named:
    """Raises WeightsRefused where several networks lie side by side and no answer says which."""
    tensors = _taken(tensors, answers)
    stems = sorted(name.removesuffix(HF_STEM) for name in tensors if name.endswith(HF_STEM))
    if len(stems) > 1:
        return _several(path.removesuffix("resnet.") for path in stems)
    if stems:
        return _hugging_face(tensors, stems[0], answers)
    paths = _trunk_paths(tensors)
    if not paths:
        return _any_architecture(tensors, answers)
    if len(paths) > 1:
        return _several(paths)
    return _resnet(tensors, paths[0], answers)


def _taken(tensors: Mapping[str, Tensor], answers: Answers) -> Mapping[str, Tensor]:
    """Those below the module that --take names, where it is one."""
    room = f"{answers.take}."
    inside = {name: tensor for name, tensor in tensors.items() if name.startswith(room)}
    if inside:
        answers.use("take")
    return inside or tensors


def _several(paths: Iterable[str]) -> Named:
    option = " or ".join(f"--take {path.removesuffix('.')}" for path in paths)
    question = Question("which of the networks in it is to be served", option)
    return Named({}, {}, None, "", "", questions=(question,))


def _trunk_paths(names: Iterable[str]) -> list[str]:
    """Where ResNets begin: `` or `module.`, `model.backbone.`, and `0.` for a Sequential of children."""
    found = set(names)
    paths = []
    for name in found:
        for stem, proof in (("conv1.weight", "layer1.0.conv1.weight"), ("0.weight", "4.0.conv1.weight")):
            path = name.removesuffix(stem)
            if path + stem == name and (not path or path.endswith(".")) and path + proof in found:
                paths.append(path)
    return sorted(paths)


def _stripped(path: str) -> tuple[Note, ...]:
    return (Note("stripped", f"the prefix `{path}` of the names"),) if path else ()


def _any_architecture(tensors: Mapping[str, Tensor], answers: Answers) -> Named:
    """Wherever all tensors of a known trunk lie; what no trunk fits is handed on as it is, to be refused."""
    style, notes = "torchvision", list[Note]()
    places = trunk_places(tensors)
    for renamed in () if places else _under_features(tensors):
        places = trunk_places(renamed)
        if places:
            tensors, style = renamed, "Sequential of children"
            notes.append(Note("renamed", "position 0 of a Sequential to features"))
            break
    if not places:
        return Named(tensors, {}, None, "", "torchvision")
    if len(places) > 1:
        return _several(places)
    ((path, names),) = places.items()
    notes[:0] = _stripped(path)
    architecture = ARCHITECTURES[answers.architecture if answers.architecture in names else names[0]]
    if style != "torchvision" and trunk_children(architecture) != ("features",):
        raise WeightsRefused(
            f"a Sequential of {architecture.name}'s children leaves out what its own forward does between them; "
            "the tensors fit, the answers would be wrong"
        )
    shapes = trunk_shapes(architecture)
    inside = {name.removeprefix(path): tensor for name, tensor in tensors.items() if name.startswith(path)}
    trunk = {name: tensor for name, tensor in inside.items() if name in shapes}
    counters = {name for name in tensors if name.endswith(BATCH_COUNTER)}
    for_training = {f"{path}{n}" for n in inside if n.startswith(architecture.training_only)}
    if for_training:
        notes.append(
            Note("ignored", f"auxiliary classifiers, which only help training: {few(sorted(for_training))}")
        )
    kept = {f"{path}{name}" for name in trunk} | for_training | counters
    others = {name: tensor for name, tensor in tensors.items() if name not in kept}
    found = _with_head(trunk, others, path, architecture.place.root, style, notes, answers)
    return found if style == "torchvision" else replace(found, children={"features": "0"})


def _under_features(tensors: Mapping[str, Tensor]) -> Iterator[Mapping[str, Tensor]]:
    """`0.0.weight` -> `features.0.weight`, where `Sequential(*children)` lost the name, as fastai does."""
    for start in ("0.", "0.0."):
        path = start.removesuffix("0.")
        if any(name.startswith(start) for name in tensors):
            yield {
                f"{path}features.{name.removeprefix(start)}" if name.startswith(start) else name: tensor
                for name, tensor in tensors.items()
            }


def _resnet(tensors: Mapping[str, Tensor], path: str, answers: Answers) -> Named:
    inside = {name.removeprefix(path): tensor for name, tensor in tensors.items() if name.startswith(path)}
    style, notes = "torchvision", list(_stripped(path))
    if "conv1.weight" not in inside:
        style = "Sequential of children"
        twice = sorted({name for name in inside if _child(name) != name and _child(name) in inside})
        if twice:
            raise WeightsRefused(
                f"it holds {few(twice)} and {few(map(_child, twice))}: a Sequential of a ResNet's children beside modules "
                "with the names of such children; which is whose is not told"
            )
        inside = {_child(name): tensor for name, tensor in inside.items()}
        notes.append(
            Note("renamed", "positions 0, 1, 4 to 7 of a Sequential to conv1, bn1, layer1 to layer4")
        )
    trunk = {name: tensor for name, tensor in inside.items() if name.startswith(TRUNK_ROOMS)}
    others = {f"{path}{name}": tensor for name, tensor in inside.items() if name not in trunk}
    others |= {name: tensor for name, tensor in tensors.items() if not name.startswith(path)}
    found = _with_head(trunk, others, path, "fc", style, notes, answers)
    if style == "torchvision":
        return found
    return replace(found, children={name: str(position) for position, name in CHILDREN.items()})


def _with_head(
    trunk: Mapping[str, Tensor],
    others: Mapping[str, Tensor],
    path: str,
    root: str,
    style: str,
    notes: list[Note],
    answers: Answers,
) -> Named:
    """The trunk, and the head that is found among the others, which have their full names.

    Args:
        trunk: under torchvision's names.
        others: everything else.
        path: what was before the trunk's names.
        root: where the architecture keeps its head.
        style: whose names they are.
        notes: what was done so far.
        answers: what its owner said.
    """
    beside = losses_and_metrics(others, path.partition(".")[0])
    if beside:
        notes.append(Note("ignored", f"losses and metrics: {few(sorted(beside))}"))
    kept = {name: tensor for name, tensor in others.items() if name not in beside}
    normalisation, rest = own_normalisation(kept, notes)
    if answers.head is None and (position := followed_in_its_sequential(rest, path)) is not None:
        parent, number = position
        notes.append(Note("renamed", f"positions behind {number} of the Sequential to `{root}`"))
        head = {name.removeprefix(parent): tensor for name, tensor in rest.items()}
        above = parent.removesuffix(".")
        return Named(trunk, head, above, path, style, number, tuple(notes), normalisation=normalisation)
    found = head_path_in(rest, path, root, style, answers)
    if isinstance(found, Question):
        return Named(trunk, {}, None, path, style, notes=tuple(notes), questions=(found,))
    if found is None:
        return Named(trunk, {}, None, path, style, notes=tuple(notes))
    head = {name.removeprefix(f"{found}."): t for name, t in rest.items() if name.startswith(f"{found}.")}
    left = {name: tensor for name, tensor in sorted(rest.items()) if not name.startswith(f"{found}.")}
    if left:
        if answers.head is None:
            raise WeightsRefused(
                f"beside the trunk and its head `{found}` the file holds {few(left)}, which no served network has; "
                f"if the predictions do not pass through them, say --head {found}"
            )
        notes.append(Note("warning", f"--head leaves out {few(left)}: no prediction may pass through them"))
    if found != f"{path}{root}":
        if ((path, found) == ("0.", "1") or path.endswith(".0.")) and any("running_mean" in n for n in head):
            style = "fastai"  # whose head begins with batch normalisation; others nest two Sequentials too
        notes.append(Note("renamed", f"the head `{found}` to `{root}`"))
    return Named(trunk, head, found, path, style, notes=tuple(notes), left=left, normalisation=normalisation)


def _child(name: str) -> str:
    first, dot, rest = name.partition(".")
    return f"{CHILDREN[int(first)] if first in set('01234567') else first}{dot}{rest}"


# --- Hugging Face ------------------------------------------------------------------------------

_HF_PARTS: Final = {"convolution": "conv", "normalization": "bn"}


def _hugging_face(tensors: Mapping[str, Tensor], path: str, answers: Answers) -> Named:
    """The trunk lies under `resnet.`, the classifier beside that, whatever stands before both."""
    rooms = (f"{path}embedder.", f"{path}encoder.")
    trunk = {
        _from_hugging_face(name.removeprefix(path)): tensor
        for name, tensor in tensors.items()
        if name.startswith(rooms)
    }
    others = {name: tensor for name, tensor in tensors.items() if not name.startswith(rooms)}
    wrapper = path.removesuffix("resnet.")
    notes = [*_stripped(wrapper), Note("renamed", "Hugging Face's names to torchvision's")]
    return _with_head(trunk, others, wrapper, "classifier", "Hugging Face", notes, answers)


def _from_hugging_face(name: str) -> str:
    if match := re.fullmatch(r"embedder\.embedder\.(convolution|normalization)\.(\w+)", name):
        return f"{_HF_PARTS[match[1]]}1.{match[2]}"
    block = r"encoder\.stages\.(\d)\.layers\.(\d+)\."
    if match := re.fullmatch(block + r"layer\.(\d)\.(convolution|normalization)\.(\w+)", name):
        stage, index, layer, part, tensor = match.groups()
        return f"layer{int(stage) + 1}.{index}.{_HF_PARTS[part]}{int(layer) + 1}.{tensor}"
    if match := re.fullmatch(block + r"shortcut\.(convolution|normalization)\.(\w+)", name):
        stage, index, part, tensor = match.groups()
        return f"layer{int(stage) + 1}.{index}.downsample.{'01'[part == 'normalization']}.{tensor}"
    return name
