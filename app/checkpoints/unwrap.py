"""A training file's content -> the one state dict in it, and what else it says of itself.

TorchFile -> plain state dict | training dictionary | Lightning | fastai | whole module -> Raw

Nothing is dropped silently: what was taken and what was left lies in the notes. Where several networks lie
side by side, that is a question.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from torch import Tensor

from app.checkpoints.found import Answers, Note, Question
from app.checkpoints.imports import RESAVE, refusal, unknown_imports
from app.checkpoints.pickled import Thing
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
PLAIN_KEYS: Final = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "module",
)
CLASS_KEYS: Final = ("class_to_idx", "classes", "class_names", "labels", "vocab", "idx_to_class")
DETAIL_KEYS: Final = (
    "epoch",
    "global_step",
    "arch",
    "best_acc",
    "metric",
    "pytorch-lightning_version",
    "version",
)
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
        what = (
            "TorchScript program, its tensors alone" if file.is_program else f"whole module ({_kind(value)})"
        )
        return _from_module(file, value, what)
    if isinstance(value, Thing) and value.items:
        value = value.items
    if not isinstance(value, dict) or not value:
        raise WeightsRefused(f"{file.path.name}: no state dict but {_words(value)}; save one: {RESAVE}")
    records = _records(file, value)
    if records is not None:
        return Raw("plain state dict", _tensors(file, records))
    return _from_dictionary(file, value, answers)


def _from_dictionary(file: TorchFile, value: dict[Any, Any], answers: Answers) -> Raw:
    candidates = {
        str(key): inner
        for key, inner in value.items()
        if _is_module(inner) or _records(file, _inside(inner)) is not None
    }
    for key in ("ema", "model_ema"):  # {"ema": {"module": {...}}}
        inner = value.get(key)
        if key not in candidates and isinstance(inner, dict):
            candidates |= {
                f"{key}.{k}": v for k, v in inner.items() if _records(file, _inside(v)) is not None
            }
    candidates = {k: v for k, v in candidates.items() if not k.startswith(("opt", "sched", "scaler", "amp"))}
    origin, details = _origin(value), _details(value)
    taken, notes = _choice(file, candidates, answers)
    if taken is None:
        option = f"--take {' or --take '.join(candidates)}"
        question = Question("which of the networks in it is to be served", option)
        return Raw(origin, {}, details=details, questions=(question,))
    chosen = candidates[taken]
    rest = sorted(str(k) for k in value if str(k) != taken.partition(".")[0])
    if rest:
        notes.append(
            Note("ignored", f"beside the weights: {', '.join(ascii(k)[1:-1][:40] for k in rest[:12])}")
        )
    classes = _classes(value)
    if _is_module(chosen):
        raw = _from_module(file, chosen, f"{origin} with a whole module")
        return Raw(raw.origin, raw.tensors, raw.modules, classes, details, (*notes, *raw.notes))
    records = _records(file, _inside(chosen)) or {}
    return Raw(origin, _tensors(file, records), {}, classes, details, tuple(notes))


def _choice(
    file: TorchFile, candidates: Mapping[str, object], answers: Answers
) -> tuple[str | None, list[Note]]:
    """The key of the weights; None where that is a question."""
    names = ", ".join(candidates)
    if answers.take is not None and answers.take in candidates:
        return answers.take, [
            Note("took", f"the weights under {answers.take!r}, as --take says (of: {names})")
        ]
    if not candidates:
        keys = ", ".join(sorted(ascii(key)[:40] for key in list(file.value)[:12]))
        raise WeightsRefused(
            f"{file.path.name}: no weights under any of its keys ({keys}); save them: {RESAVE}"
        )
    for key in EMA_KEYS:
        found = next((name for name in candidates if name.partition(".")[0] == key), None)
        if found:
            others = [name for name in candidates if name != found]
            left = f"; not {', '.join(others)} (--take {others[0]} takes that)" if others else ""
            return found, [Note("took", f"the averaged (EMA) weights under {found!r}{left}")]
    known = [key for key in PLAIN_KEYS if key in candidates]
    if len(candidates) == 1 or len(known) == 1:
        key = (known or list(candidates))[0]
        return key, [Note("took", f"the weights under {key!r}")]
    return None, []


def _inside(value: object) -> object:
    return value.items if isinstance(value, Thing) and value.items else value


def _records(file: TorchFile, value: object) -> dict[str, Thing] | None:
    """The value as tensors by name; None where it is anything else."""
    if not isinstance(value, dict) or not value:
        return None
    if not all(isinstance(key, str) and file.is_tensor(each) for key, each in value.items()):
        return None
    return value


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
    kept = {} if file.is_program else modules
    note = Note("took", f"{len(records)} tensors of {len(modules)} modules, read as data; nothing was called")
    return Raw(what, _tensors(file, records), kept, notes=(note,))


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
    for group in (_inside(group) for group in groups):
        for name, value in group.items() if isinstance(group, dict) else ():
            if file.is_tensor(value):
                records[f"{path}{name}"] = value
            elif isinstance(value, Thing) and isinstance(value.state, dict):
                _harvest(file, value, f"{path}{name}.", depth + 1, records, modules)


# --- what a dictionary says of itself ------------------------------------------------------------


def _origin(value: Mapping[Any, Any]) -> str:
    if "pytorch-lightning_version" in value:
        return "Lightning checkpoint"
    if set(value) == {"model", "opt"}:
        return "fastai learn.save"
    if "arch" in value and "metric" in value:
        return "timm training checkpoint"
    return "training dictionary"


def _details(value: Mapping[Any, Any]) -> dict[str, str]:
    return {
        key: str(value[key])[:80]
        for key in DETAIL_KEYS
        if isinstance(value.get(key), str | int | float) and str(value[key]).isprintable()
    }


def _classes(value: Mapping[Any, Any]) -> tuple[str, ...] | None:
    """Class names where they lie beside the weights as plain values, or among Lightning's hyperparameters."""
    for room in (value, value.get("hyper_parameters"), value.get("datamodule_hyper_parameters")):
        opened = _inside(room)
        if not isinstance(opened, dict):
            continue
        for key in CLASS_KEYS:
            found = _class_names(_inside(opened.get(key)))
            if found:
                return found
    return None


def _class_names(value: object) -> tuple[str, ...] | None:
    names: list[object] = []
    if isinstance(value, list | tuple):
        names = list(value)
    elif isinstance(value, dict):
        by_index = (
            value if all(type(k) is int for k in value) else {v: k for k, v in _hashable(value).items()}
        )
        if sorted(by_index, key=str) != sorted(range(len(value)), key=str):
            return None
        names = [by_index[index] for index in range(len(value))]
    if len(names) < 2 or not all(isinstance(name, str) and name for name in names):
        return None
    return tuple(str(name) for name in names)


def _hashable(value: Mapping[Any, Any]) -> dict[Any, int]:
    return {key: index for key, index in value.items() if type(index) is int}


def _words(value: object) -> str:
    if isinstance(value, Thing):
        return f"an object of {ascii(str(value.made_by))[1:-1][:80]}"
    return f"a {type(value).__name__}"
