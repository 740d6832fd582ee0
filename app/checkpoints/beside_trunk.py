"""What a file holds beside its trunk: losses and metrics, and the module that is the head.

names beside the trunk -> what never predicts; where the head lies, or the question that settles it
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from torch import Tensor

from app.checkpoints.found import Answers, Question
from app.errors import WeightsRefused

BESIDE: Final = re.compile(
    r"(?P<loss>criterion|(\w+_)?loss\w*)|\w*metrics?|\w*_?(acc|accuracy|f1|auroc|recall|precision)\w*|confmat\w*"
    r"|class_weights?|pos_weight|n_averaged"
)
"""First words under which Lightning modules keep losses, their weights and metrics, and `AveragedModel` its counter;
none of them predicts. A script's `f1` may be a linear layer, though: no metric has a matrix for a weight."""


def losses_and_metrics(others: Mapping[str, Tensor], wrapper: str) -> set[str]:
    """Names of losses and metrics."""
    found = {name: name.removeprefix(f"{wrapper}.").partition(".")[0] for name in others}
    layers = {found[n] for n, tensor in others.items() if n.endswith(".weight") and tensor.ndim > 1}
    return {
        name
        for name, word in found.items()
        if (match := BESIDE.fullmatch(word)) and (match["loss"] or word not in layers)
    }


def head_path_in(
    rest: Mapping[str, Tensor], path: str, root: str, style: str, answers: Answers
) -> str | Question | None:
    """The module that follows the pooling; a Question where the names leave that open."""
    if not rest:
        return None
    if answers.head is not None:
        if not any(name.startswith(f"{answers.head}.") for name in rest):
            raise WeightsRefused(
                f"--head {answers.head}: no such module; beside the trunk are {few(sorted(rest))}"
            )
        answers.use("head")
        return answers.head
    own = f"{path}{root}"
    if all(name.startswith(f"{own}.") for name in rest):
        return own
    fastai = f"{path.removesuffix('0.')}1"
    if style != "torchvision" and path.endswith("0.") and all(name.startswith(f"{fastai}.") for name in rest):
        return fastai
    modules = sorted(
        {_module_of(n) for n, tensor in rest.items() if tensor.ndim > 1 and n.endswith(".weight")}
    )
    if not modules:
        raise WeightsRefused(
            f"beside the trunk `{path}` the file holds {few(sorted(rest))}, and no layer among them that could be a head"
        )
    about = f"beside the trunk `{path}` the file holds {few(sorted(rest))}: which module follows its average pooling"
    return Question(about, " or ".join(f"--head {module}" for module in modules[:6]))


def followed_in_its_sequential(rest: Mapping[str, Tensor], path: str) -> tuple[str, int] | None:
    """Where the trunk stands in a Sequential whose later positions hold the rest, in several: its parent and position."""
    found = re.fullmatch(r"((?:.*\.)?)(\d{1,4})\.", path, re.ASCII)
    if found is None:
        return None
    parent, number = found[1], int(found[2])
    behind = {
        int(match[1])
        for name in rest
        if (match := re.match(rf"{re.escape(parent)}(\d{{1,4}})\.", name, re.ASCII))
    }
    is_all = all(re.match(rf"{re.escape(parent)}\d{{1,4}}\.", name, re.ASCII) for name in rest)
    return (parent, number) if is_all and len(behind) > 1 and min(behind) > number else None


def few(names: Iterable[str]) -> str:
    """The first of these names, for a message."""
    listed = [ascii(name)[1:-1][:60] for name in names]
    return ", ".join(listed[:4]) + (f" and {len(listed) - 4} more" if len(listed) > 4 else "")


def _module_of(name: str) -> str:
    """`classifier.1.weight` -> `classifier`, `model.head.fc.weight` -> `model.head.fc`."""
    module = name.rpartition(".")[0]
    return re.sub(r"(\.\d+)+$", "", module)
