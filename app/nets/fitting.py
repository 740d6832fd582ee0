"""Does a state dict fit? Strictly, and if not: what differs, and what was probably meant.

(names and shapes expected, state dict found) -> float32 tensors of our own, or WeightsRefused

A wrong tensor that is served is worse than one that is refused, so nothing is skipped, guessed or
renamed here. Knows the architectures by name, to say which one would have fitted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from app.domain import (
    ConcatPoolHead,
    ConvCamHead,
    FlattenHead,
    HeadSpec,
    LinearHead,
    MlpHead,
    NetworkSpec,
    OwnHead,
)
from app.errors import WeightsRefused
from app.nets.architectures import ARCHITECTURES
from app.nets.naming import BATCH_COUNTER
from app.nets.recognition import Shape, head_in, trunk_shapes, wrapping

LINES_PER_KIND = 10
"""Enough to see the pattern; a wrong architecture differs in hundreds of names."""

FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

WRAPPERS = {
    "module": "torch.nn.DataParallel or DistributedDataParallel",
    "_orig_mod": "torch.compile",
    "model": "a wrapping module, such as a LightningModule",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """What keeps a state dict from fitting, in the script's names."""

    missing: Sequence[str]
    surplus: Sequence[str]
    misshapen: Sequence[str]

    def __bool__(self) -> bool:
        """True where anything differs."""
        return bool(self.missing or self.surplus or self.misshapen)


def fitted(
    expected: Mapping[str, Shape], state: Mapping[str, Tensor], spec: NetworkSpec
) -> dict[str, Tensor]:
    """The expected tensors as contiguous float32 copies; the file's memory is not kept.

    Args:
        expected: script name -> shape; batch counters may be among them and may be absent in `state`.
        state: what was read.
        spec: for the words of the message.

    Raises:
        WeightsRefused: names or shapes differ, or a tensor holds no finite floating-point numbers.
    """
    difference = _difference(expected, state)
    if difference:
        raise WeightsRefused(_message(difference, state, spec))
    wrong_kind = [
        f"{_shown(name)}: {_kind(state[name])}"
        for name in sorted(expected)
        if not name.endswith(BATCH_COUNTER) and not _is_plain_float(state[name])
    ]
    if wrong_kind:
        raise WeightsRefused(
            "weights must be plain floating-point tensors (float16, bfloat16, float32 or float64)\n"
            + _listing("of another kind", wrong_kind)
        )
    tensors: dict[str, Tensor] = {}
    broken: list[str] = []
    for name, shape in expected.items():
        if name.endswith(BATCH_COUNTER):
            tensors[name] = torch.zeros(shape, dtype=torch.int64)
            continue
        # A copy: what was read may be a window on a file that somebody replaces while we serve.
        tensor = state[name].detach().to(device="cpu", dtype=torch.float32, copy=True).contiguous()
        tensors[name] = tensor
        if not bool(torch.isfinite(tensor).all()):
            count = int((~torch.isfinite(tensor)).sum())
            broken.append(f"{name}: {count} of {tensor.numel()} are NaN or infinite in float32")
        elif name.endswith(".running_var") and bool((tensor < 0).any()):
            broken.append(f"{name}: a variance below zero")
    if broken:
        raise WeightsRefused(
            "the weights hold no usable numbers; training probably diverged\n"
            + _listing("broken", sorted(broken))
        )
    return tensors


def _difference(expected: Mapping[str, Shape], state: Mapping[str, Tensor]) -> Difference:
    return Difference(
        missing=sorted(name for name in expected if name not in state and not name.endswith(BATCH_COUNTER)),
        surplus=sorted(name for name in state if name not in expected),
        misshapen=sorted(
            f"{name}: expected {shape}, found {tuple(state[name].shape)}"
            for name, shape in expected.items()
            if name in state and not name.endswith(BATCH_COUNTER) and tuple(state[name].shape) != shape
        ),
    )


def _is_plain_float(tensor: Tensor) -> bool:
    return (
        tensor.dtype in FLOATING
        and tensor.layout == torch.strided
        and not tensor.is_quantized
        and not tensor.is_meta
    )


def _kind(tensor: Tensor) -> str:
    words = [str(tensor.dtype).removeprefix("torch.")]
    if tensor.layout != torch.strided:
        words.append(str(tensor.layout).removeprefix("torch."))
    if tensor.is_meta:
        words.append("without values")
    return " ".join(words)


def _message(difference: Difference, state: Mapping[str, Tensor], spec: NetworkSpec) -> str:
    lines = [f"the weights do not fit {spec.architecture} with {_head_words(spec.head, spec.class_count)}"]
    lines += [
        _listing(kind, entries)
        for kind, entries in (
            ("missing", difference.missing),
            ("surplus", difference.surplus),
            ("of another shape", difference.misshapen),
        )
        if entries
    ]
    lines += [f"likely: {hint}" for hint in _hints(state, spec)]
    return "\n".join(lines)


def _hints(state: Mapping[str, Tensor], spec: NetworkSpec) -> list[str]:
    """What was probably meant, most fundamental first."""
    if not state:
        return ["the file holds no tensors at all"]
    hints: list[str] = []
    prefix, candidates = wrapping(state)
    bare = {name.removeprefix(prefix): tensor for name, tensor in state.items()} if prefix else state
    if prefix and (candidates or _overlap(bare, spec) > _overlap(state, spec)):
        origin = WRAPPERS.get(prefix.partition(".")[0])
        hints.append(
            f"the names begin with `{_shown(prefix)}`{f' ({origin})' if origin else ''}; "
            f"re-save without it: {{k.removeprefix({_shown(prefix)!r}): v for k, v in state.items()}}"
        )
    if spec.architecture not in candidates:
        if candidates:
            hints.append(f"the trunk in the file is {' or '.join(candidates)}; name it as architecture")
        return hints
    architecture = ARCHITECTURES[spec.architecture]
    found = head_in(bare, architecture)
    if found is None:
        root = architecture.place.root
        is_there = any(name.startswith(f"{root}.") for name in bare)
        kinds = (
            "linear, mlp and conv_cam" if architecture.own_head is None else "linear, mlp, conv_cam and own"
        )
        hints.append(
            "the trunk fits; the head in the file is "
            + (f"none of {kinds}" if is_there else f"missing, or not named `{root}`")
        )
        return hints
    head, class_count = found
    wanted = spec.head
    if isinstance(wanted, OwnHead) and architecture.own_head is None:
        wanted = LinearHead()
    if _same_but_for_classes(head, wanted, class_count):
        if class_count != spec.class_count:
            hints.append(
                f"only the head differs: the file has {class_count} classes, the manifest {spec.class_count}"
            )
    else:
        hints.append(f"the trunk fits; the head in the file is {_head_words(head, class_count)}")
    return hints


def _overlap(state: Mapping[str, Tensor], spec: NetworkSpec) -> int:
    return sum(name in state for name in trunk_shapes(ARCHITECTURES[spec.architecture]))


def _same_but_for_classes(found: HeadSpec, wanted: HeadSpec, found_count: int) -> bool:
    """Whether the heads are one but for the class count, on which a conv_cam's channels may rest."""
    if isinstance(found, ConvCamHead) and isinstance(wanted, ConvCamHead):
        if found.kernel_size != wanted.kernel_size:
            return False
        if wanted.channels is None:
            return found.channels == found_count
        return found.channels == wanted.channels
    return found == wanted


def _head_words(head: HeadSpec, class_count: int) -> str:
    classes = f"{class_count} class{'' if class_count == 1 else 'es'}"
    match head:
        case LinearHead():
            return f"a linear head of {classes}"
        case MlpHead(hidden=hidden):
            return f"an mlp head (hidden = {list(hidden)}) of {classes}"
        case ConvCamHead(kernel_size=kernel_size, channels=channels):
            width = class_count if channels is None else channels
            return f"a conv_cam head (kernel_size = {kernel_size}, channels = {width}) of {classes}"
        case FlattenHead(cells=cells, hidden=hidden):
            return f"a flatten_mlp head (cells = {cells}, hidden = {list(hidden)}) of {classes}"
        case ConcatPoolHead(hidden=hidden):
            return f"a concat_pool_mlp head (hidden = {list(hidden)}) of {classes}"
        case OwnHead():
            return f'the architecture\'s own head (kind = "own") of {classes}'


def _listing(kind: str, entries: Sequence[str]) -> str:
    shown = [f"  {_shown(entry)}" for entry in entries[:LINES_PER_KIND]]
    if len(entries) > LINES_PER_KIND:
        shown.append(f"  ... and {len(entries) - LINES_PER_KIND} more")
    return "\n".join([f"{kind} ({len(entries)}):", *shown])


def _shown(text: str) -> str:
    """A file's own words, made safe for one line of a log."""
    cut = text if len(text) <= 120 else f"{text[:117]}..."
    return cut if cut.isprintable() else ascii(cut)
