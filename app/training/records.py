"""What a training did, as small text files that lie in the bundle.

history -> history.csv; placed pictures -> split.csv; measured pictures -> pred.sol, summary.txt
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict

from app.evaluation.calibration import probabilities_at
from app.training.trained import Measured, Placed, Trained
from app.training.work import Epoch


def history_csv(history: Sequence[Epoch]) -> str:
    """One line per epoch; the columns are the fields of `Epoch`."""
    rows = [asdict(epoch) for epoch in history]
    return _csv([list(rows[0]), *(list(row.values()) for row in rows)])


def split_csv(placed: Sequence[Placed], classes: Sequence[str]) -> str:
    """One line per file of the folder: which side it stood on, or why on none."""
    header = ["file", "class", "side", "group", "sha256", "damage"]
    rows = [
        [
            each.file.name,
            classes[each.file.class_index],
            each.side or "damaged",
            each.group or "",
            each.digest,
            each.damage or "",
        ]
        for each in placed
    ]
    return _csv([header, *rows])


def pred_sol(measured: Measured, classes: Sequence[str], temperature: float) -> str:
    r"""FILE, TRUE, PRED and its probability, tab-separated, as the first carcass project's offline run.

    A tab, line break or backslash in a name is written as Python writes it in a text: `\t`.
    """
    shares = probabilities_at(measured.logits, temperature)  # (N, K)
    lines = ["FILE\tTRUE\tPRED\tprob"]
    for file, label, row in zip(measured.files, measured.labels, shares, strict=True):
        lines.append(
            f"{_in_one_cell(file.name)}\t{classes[label]}\t{classes[int(row.argmax())]}\t{row.max():.6f}"
        )
    return "\n".join(lines) + "\n"


def _in_one_cell(name: str) -> str:
    # The class names are the manifest's, which allows none of these.
    parts = (
        c.encode("unicode_escape").decode() if c in "\\\t" or c.splitlines() == [""] else c for c in name
    )
    return "".join(parts)


def summary_txt(trained: Trained) -> str:
    """Accuracy, macro F1 and the hyper-parameters, as the first carcass project's offline run."""
    measured = trained.test or trained.validation
    configuration = trained.configuration
    augmentation = ", ".join(
        f"{key} {value}" for key, value in configuration.augmentation.model_dump().items()
    )
    unclaimed = f"not claimed ({measured.why_unclaimed})"
    values = {
        "side": measured.side,
        "pictures": len(measured.labels),
        "right": measured.right,
        "accuracy": f"{measured.accuracy:.4f}" if measured.claims_accuracy else unclaimed,
        "macro F1": f"{measured.figures.macro_f1:.4f}" if measured.claims_accuracy else unclaimed,
        "architecture": configuration.architecture,
        "begun from": trained.origin,
        "optimiser": f"{configuration.optimiser.name} {configuration.optimiser.learning_rate:g}",
        "schedule": configuration.schedule.decay,
        "epochs": len(trained.history),
        "batch size": configuration.training.batch_size,
        "augmentation": augmentation,
    }
    return "".join(f"{name}: {value}\n" for name, value in values.items())


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
