"""The model card that lies in the bundle: what it is, how it was made, how good it is, what it is not for."""

from collections import Counter

from app import __version__
from app.evaluation.calibration import expected_calibration_error, probabilities_at, reliability
from app.training.folder import SIDES
from app.training.trained import Measured, Trained

CARD = """# {title}

{about}## What it is

| | |
| --- | --- |
| network | `{architecture}`, head `{head}`, float32 |
| began from | {origin} |
| classes | {classes} |
| preprocessing | in `model.toml`; training used the code that serves |

## How it was made

`lineside finetune` {version}, {epochs} epochs in {seconds:.0f} s, {optimiser}, frozen: {freeze}, seed {seed}; epoch {kept} was kept ({keep}).
`training/config.toml` has every setting, `training/history.csv` every epoch, `training/split.csv` every file.

| side | {class_names} |
| --- | {dashes} |
{split}

Split by {group_by}. Pictures that could not be used: {damaged}.

## How good it is

| side | pictures | right | accuracy | macro F1 | calibration error | after scaling |
| --- | --- | --- | --- | --- | --- | --- |
{figures}

{fitted}{caution}

## Limits

- Measured on pictures of the same folder. Another camera, light or day may be answered worse: measure it there.
- Anything else than these classes gets one of them as well.
"""


def model_card(trained: Trained) -> str:
    """README.md of the bundle."""
    configuration, manifest = trained.configuration, trained.manifest
    counts = Counter((each.side, each.file.class_index) for each in trained.placed)
    numbers = range(len(trained.classes))
    split = [
        f"| {side} | {' | '.join(str(counts[side, index]) for index in numbers)} |"
        for side in SIDES
        if any(counts[side, index] for index in numbers)
    ]
    measured = [each for each in (trained.test, trained.validation) if each is not None]
    about = "".join(f"{text}\n\n" for text in (manifest.notice, manifest.description) if text)
    return CARD.format(
        title=manifest.title or f"{manifest.architecture} for {len(trained.classes)} classes",
        about=about,
        architecture=manifest.architecture,
        head=manifest.head.kind,
        origin=trained.origin,
        classes=", ".join(trained.classes),
        version=__version__,
        epochs=len(trained.history),
        seconds=trained.seconds,
        optimiser=f"{configuration.optimiser.name} at {configuration.optimiser.learning_rate:g}",
        freeze=configuration.training.freeze,
        seed=configuration.seed,
        kept=trained.kept.number,
        keep=trained.why_kept,
        class_names=" | ".join(trained.classes),
        dashes=" | ".join("---" for _ in numbers),
        split="\n".join(split),
        group_by="class" if configuration.data.group_by == "none" else configuration.data.group_by,
        damaged=len(trained.damaged),
        figures="\n".join(_figures(each, trained.temperature) for each in measured),
        fitted=f"The temperature is {trained.temperature:.3f}, fitted on the validation side.\n"
        if "temperature" in trained.chosen_by_validation
        else "",
        caution=_caution(trained),
    )


def _figures(measured: Measured, temperature: float) -> str:
    errors = [
        expected_calibration_error(reliability(probabilities_at(measured.logits, each), measured.labels))
        for each in (1.0, temperature)
    ]
    cells = (
        measured.side,
        len(measured.labels),
        measured.right,
        f"{measured.accuracy:.2%}" if measured.claims_accuracy else "not claimed",
        f"{measured.figures.macro_f1:.4f}" if measured.claims_accuracy else "not claimed",
        *(f"{error:.4f}" for error in errors),
    )
    return f"| {' | '.join(map(str, cells))} |"


def _caution(trained: Trained) -> str:
    unclaimed = [
        f"No accuracy is claimed of the {each.side} side: {each.why_unclaimed}.\n"
        for each in (trained.test, trained.validation)
        if each is not None and not each.claims_accuracy
    ]
    return "".join(unclaimed) + _chosen(trained)


def _chosen(trained: Trained) -> str:
    chosen = trained.chosen_by_validation
    what = " and ".join(f"the {name}" for name in chosen)
    if not chosen:
        return "Nothing was chosen by these pictures."
    if trained.test is None:
        return f"There is no test side: the validation side chose {what}, so its figures flatter."
    return f"The validation side chose {what}; only the test side was never looked at."
