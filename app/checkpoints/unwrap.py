"""A training file's content -> the one state dict in it, and what else it says of itself.

TorchFile -> plain state dict | training dictionary | Lightning | fastai | whole module -> Raw

Nothing is dropped silently: what was taken and what was left lies in the notes. Where several networks lie
side by side, that is a question.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from torch import Tensor

from app.checkpoints.dictionaries import classes_of, details_of, opened, origin_of
from app.checkpoints.found import Answers, Note, Question
from app.checkpoints.imports import RESAVE, refusal, unknown_imports
from app.checkpoints.pickled import Thing
from app.checkpoints.programs import program_modules
from app.checkpoints.torch_files import TorchFile
from app.errors import WeightsRefused

EMA_KEYS: Final = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "model_ema_state_dict",
    "ema_model",
    "ema",
)
OF_TRAINING: Final = re.compile(r"(optims?|opt|optimi[sz]ers?|sched\w*|scaler|amp)(_|$)")
"""Keys of what holds tensors of every layer and is no network; `optimal_model` is one."""
MAX_DEPTH: Final = 24
"""Modules inside modules; a ResNet has four levels."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Named tensors as the training script named them."""

    origin: str
    tensors: Mapping[str, Tensor]
    modules: Mapping[str, Thing] = field(default_factory=dict)
    """Of a whole module: path -> what it was, so that strides and activations can be compared."""
    classes: tuple[str, ...] | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    questions: tuple[Question, ...] = ()
    keys: tuple[str, ...] = ()
    """Of a dictionary: those under which weights lie, that `--take` may name."""
    is_program: bool = False
    """Whether the modules are TorchScript's, whose classes may have any forward pass."""


def unwrap(file: TorchFile, answers: Answers) -> Raw:
    """Raises WeightsRefused where there is no network in it, or names that do not belong there."""
    unknown = unknown_imports(file.names)
    if unknown:
        raise WeightsRefused(refusal(file.path.name, unknown))
    value = file.value
    if file.is_tensor(value):
        raise WeightsRefused(
            f"{file.path.name}: a single tensor without a name; save the state dict: {RESAVE}"
        )
    if _is_module(value) or file.is_program:
        what = "TorchScript program" if file.is_program else f"whole module ({_kind(value)})"
        return _from_module(file, value, what)
    if isinstance(value, Thing) and value.items:
        value = value.items
    if not isinstance(value, dict) or not value:
        raise WeightsRefused(f"{file.path.name}: no state dict but {_words(value)}; save one: {RESAVE}")
    candidates = _candidates(file, value)
    records = {key: each for key, each in value.items() if isinstance(key, str) and file.is_tensor(each)}
    is_network = any(_dimensions(file, each) == 4 for each in records.values())
    if records and (
        not candidates or (is_network and not any(_has_convolution(file, c) for c in candidates.values()))
    ):
        notes = _left([key for key, each in value.items() if key not in records and each is not None])
        return Raw(
            "plain state dict",
            _tensors(file, records),
            {},
            classes_of(value),
            details_of(value),
            tuple(notes),
        )
    return _from_dictionary(file, value, candidates, answers)


def _candidates(file: TorchFile, value: Mapping[Any, Any]) -> dict[str, object]:
    """Networks under its keys, or one level further down: `model`, `ema.module`, `checkpoint.model`."""
    found: dict[str, object] = {}
    for key, inner in value.items():
        content = opened(inner)
        if OF_TRAINING.match(str(key)):
            continue
        if _is_module(inner) or _records(file, content) is not None:
            found[str(key)] = inner
        elif isinstance(content, dict):
            found |= {
                f"{key}.{k}": v
                for k, v in content.items()
                if _is_module(v) or _records(file, opened(v)) is not None
            }
    # A loss or a metric may have tensors too; what we serve begins with a convolution.
    networks = {key: inner for key, inner in found.items() if _has_convolution(file, inner)}
    return networks or found


def _has_convolution(file: TorchFile, value: object) -> bool:
    return _is_module(value) or any(
        _dimensions(file, record) == 4 for record in (_records(file, opened(value)) or {}).values()
    )


def _dimensions(file: TorchFile, record: Thing) -> int:
    """Of a tensor that was not made yet; 0 where its record is damaged, which making it will tell."""
    try:
        inner = record.arguments[0] if file.is_tensor(record.arguments[0]) else record
        shape = inner.arguments[2]
        return len(shape.arguments[0] if isinstance(shape, Thing) else shape)
    except (IndexError, TypeError):
        return 0


def _left(keys: Sequence[object]) -> list[Note]:
    shown = ", ".join(ascii(key)[1:-1][:40] for key in sorted(map(str, keys))[:12])
    return [Note("ignored", f"beside the weights: {shown}")] if keys else []


def _from_dictionary(
    file: TorchFile, value: dict[Any, Any], candidates: Mapping[str, object], answers: Answers
) -> Raw:
    origin, details = origin_of(value), details_of(value)
    taken, notes = _choice(file, candidates, answers)
    if taken is None:
        option = f"--take {' or --take '.join(candidates)}"
        question = Question("which of the networks in it is to be served", option)
        return Raw(origin, {}, details=details, questions=(question,), keys=tuple(candidates))
    chosen = candidates[taken]
    room = value if taken in value else opened(value[taken.partition(".")[0]])
    notes += _left([key for key in value if str(key) != taken.partition(".")[0]])
    classes = classes_of(value) or (classes_of(room) if isinstance(room, dict) else None)
    keys = tuple(candidates)
    if _is_module(chosen):
        raw = _from_module(file, chosen, f"{origin} with a whole module")
        return Raw(raw.origin, raw.tensors, raw.modules, classes, details, (*notes, *raw.notes), keys=keys)
    records = _records(file, opened(chosen)) or {}
    return Raw(origin, _tensors(file, records), {}, classes, details, tuple(notes), keys=keys)


def _choice(
    file: TorchFile, candidates: Mapping[str, object], answers: Answers
) -> tuple[str | None, list[Note]]:
    """The key of the weights; None where that is a question."""
    names = ", ".join(candidates)
    if answers.take is not None and answers.take in candidates:
        answers.use("take")
        return answers.take, [
            Note("took", f"the weights under {answers.take!r}, as --take says (of: {names})")
        ]
    if not candidates:
        keys = ", ".join(sorted(ascii(key)[:40] for key in list(file.value)[:12]))
        raise WeightsRefused(
            f"{file.path.name}: no weights under any of its keys ({keys}); save them: {RESAVE}"
        )
    averaged = [name for name in candidates if name.partition(".")[0] in EMA_KEYS]
    others = [name for name in candidates if name not in averaged]
    if len(averaged) == 1 and len(others) <= 1:
        left = f"; not {others[0]} (--take {others[0]} takes that)" if others else ""
        return averaged[0], [Note("took", f"the averaged (EMA) weights under {averaged[0]!r}{left}")]
    if len(candidates) == 1:
        return others[0], [Note("took", f"the weights under {others[0]!r}")]
    return None, []


def _records(file: TorchFile, value: object) -> dict[str, Thing] | None:
    """The value as tensors by name, single numbers and words beside them left out; None where it is anything else."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        return None
    tensors = {key: each for key, each in value.items() if file.is_tensor(each)}
    others = [each for key, each in value.items() if key not in tensors]
    is_plain = all(isinstance(each, int | float | str | None) for each in others)
    return tensors if tensors and is_plain else None


def _tensors(file: TorchFile, records: Mapping[str, Thing]) -> dict[str, Tensor]:
    """Raises WeightsRefused where many tensors share a storage until they are more than the file."""
    limit, held = 2 * file.path.stat().st_size, 0
    tensors: dict[str, Tensor] = {}
    for name, record in records.items():
        tensor = file.tensor(record)
        held += tensor.numel() * tensor.element_size()
        if held > limit:
            raise WeightsRefused(f"{file.path.name}: its tensors are more than the file holds; forged")
        tensors[name] = tensor
    return tensors


# --- whole modules -----------------------------------------------------------------------------


def _is_module(value: object) -> bool:
    return isinstance(value, Thing) and isinstance(value.state, dict) and "_modules" in value.state


def _kind(value: object) -> str:
    return value.made_by.name if isinstance(value, Thing) else type(value).__name__


def _from_module(file: TorchFile, root: object, what: str) -> Raw:
    if not isinstance(root, Thing):
        raise WeightsRefused(f"{file.path.name}: no module in it")
    records: dict[str, Thing] = {}
    modules: dict[str, Thing] = {}
    _harvest(file, root, "", 0, records, modules)
    if not records:
        raise WeightsRefused(
            f"{file.path.name}: no named tensors in it (a frozen program?); save them: {RESAVE}"
        )
    note = Note("took", f"{len(records)} tensors of {len(modules)} modules, read as data; nothing was called")
    if file.is_program:
        modules = program_modules(modules, file.sources())
    return Raw(what, _tensors(file, records), modules, notes=(note,), is_program=file.is_program)


def _harvest(
    file: TorchFile,
    module: Thing,
    path: str,
    depth: int,
    records: dict[str, Thing],
    modules: dict[str, Thing],
) -> None:
    if depth > MAX_DEPTH or len(modules) > 20_000:
        raise WeightsRefused(f"{file.path.name}: modules inside modules without end; forged")
    modules[path.removesuffix(".")] = module
    state = module.state if isinstance(module.state, dict) else {}
    groups = [state] if file.is_program else [state.get(k) for k in ("_parameters", "_buffers", "_modules")]
    for group in (opened(group) for group in groups):
        for name, value in group.items() if isinstance(group, dict) else ():
            if file.is_tensor(value):
                records[f"{path}{name}"] = value
            elif isinstance(value, Thing) and isinstance(value.state, dict):
                _harvest(file, value, f"{path}{name}.", depth + 1, records, modules)


def _words(value: object) -> str:
    if isinstance(value, Thing):
        return f"an object of {ascii(str(value.made_by))[1:-1][:80]}"
    return f"a {type(value).__name__}"
