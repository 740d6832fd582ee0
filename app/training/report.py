"""The report of a training: what `lineside evaluate` would say of its test and validation sides, with the curves.

Trained -> evaluated on the serving engine -> evaluation.html, evaluation.json, predictions.csv
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from app.engines.torch_engine import TorchEngine
from app.evaluation.audit import audit_folder, group_scores
from app.evaluation.evaluated import Evaluated, Evaluation
from app.evaluation.facts import PictureFacts
from app.evaluation.gallery import gallery
from app.evaluation.groups import grouping
from app.evaluation.history import read_history
from app.evaluation.labelled import LabelledItem, spread
from app.evaluation.origins import Met
from app.evaluation.predictions import Limits, Predictions
from app.evaluation.records import as_text, evaluation_json, predictions_csv
from app.evaluation.robustness import paint_over
from app.explain.sentence import Language
from app.reports.evaluation_page import evaluation_page
from app.training.folder import File, Side
from app.training.records import history_csv
from app.training.trained import Choice, Measured, Trained

MISTAKES: Final = 6
"""Drawn of each side: a bundle is copied and cloned."""
PAINTED: Final = 40
MAX_FILE_BYTES: Final = 2**32
"""Any file that was trained on."""
SIDES_IN_KOREAN: Final[Mapping[Side, str]] = {
    "train": "학습 세트",
    "validation": "검증 세트",
    "test": "시험 세트",
}
CHOICES: Final[Mapping[Language, Mapping[tuple[Choice, ...], str]]] = {
    "en": {
        (
            "epoch",
            "temperature",
        ): "The validation side chose the epoch and the temperature, so its figures flatter.",
        ("epoch",): "The validation side chose the epoch, so its figures flatter.",
        (
            "temperature",
        ): "The temperature was fitted on the validation side, so its calibration error flatters.",
    },
    "ko": {
        ("epoch", "temperature"): "에폭과 온도를 검증 세트로 골랐으므로 그 수치는 실제보다 좋게 나옵니다.",
        ("epoch",): "에폭을 검증 세트로 골랐으므로 그 수치는 실제보다 좋게 나옵니다.",
        ("temperature",): "온도를 검증 세트에 맞추었으므로 그 보정 오차는 실제보다 작게 나옵니다.",
    },
}
"""What must be known of the validation side's figures, by what it decided."""
DAMAGED: Final[Mapping[Language, str]] = {
    "en": "Pictures that could not be used: {}; split.csv lists them.",
    "ko": "쓸 수 없는 사진: {}장. split.csv에 목록이 있습니다.",
}
SEEN: Final[Mapping[Language, str]] = {
    "en": "{count} of the {side}'s {of} pictures have the same pixels as pictures that were learnt from or that chose the "
    "epoch. No accuracy is claimed of it: they tell what is known by heart.",
    "ko": "{side}의 사진 {of}장 가운데 {count}장은 학습하거나 에폭을 고르는 데 쓴 사진과 픽셀이 같습니다. 외운 것을 재는 셈이므로 "
    "정확도를 제시하지 않습니다.",
}


def report_files(trained: Trained, *, name: str, max_pixels: int) -> dict[str, bytes]:
    """The three files; `name` is the bundle's, such as pig-sex/1. What programs read is in English."""
    evaluation = evaluated(trained, name=name, max_pixels=max_pixels)
    folder = folder_of(trained.placed[0].file)
    language = trained.configuration.outputs.language
    return {
        "evaluation.html": evaluation_page(_in_words_of(language, evaluation, trained), language),
        "evaluation.json": as_text(evaluation_json(evaluation, folder)),
        "predictions.csv": predictions_csv(evaluation.subjects, (), folder).encode(),
    }


def evaluated(trained: Trained, *, name: str, max_pixels: int) -> Evaluation:
    """The side that was never looked at first; the audit is of every picture, and asks the model on that side."""
    engine = TorchEngine(trained.servable, "cpu", lock=threading.Lock())
    limits = Limits(MAX_FILE_BYTES, max_pixels)
    threads = trained.configuration.machine.image_threads or 1
    sides = [side for side in (trained.test, trained.validation) if side is not None]
    subjects = tuple(_subject(trained, side, engine, limits) for side in sides)
    usable = [each.file for each in trained.placed if each.damage is None]
    folder = folder_of(usable[0])
    audit, facts, _ = audit_folder(
        [LabelledItem(file.path, file.class_index) for file in usable],
        folder,
        trained.classes,
        labels=[label for labels in trained.manifest.display.values() for label in labels.values()],
        limits=limits,
        threads=threads,
        class_depth=1 if usable[0].side is None else 2,
        group_of=grouping(trained.configuration.data.group_by),
    )
    first = subjects[0]
    seen = set(first.predictions.items)
    of_first: list[PictureFacts] = [each for each in facts if each.item in seen]
    painted = paint_over(
        engine,
        trained.manifest.geometry(),
        spread(first.predictions.items, PAINTED),
        temperature=trained.temperature,
        batch_sizes=(1,),
        threads=threads,
        limits=limits,
    )
    return Evaluation(
        folder=folder.name,
        subjects=subjects,
        audits=(
            replace(
                audit,
                asked=first.name,
                group_scores=group_scores(of_first, first.predictions),
                painted=painted,
            ),
        ),
        history=read_history(history_csv(trained.history)),
        notes=_notes("en", trained),
        title=name,
        created=time.strftime("%Y-%m-%d"),
    )


def _notes(language: Language, trained: Trained) -> tuple[str, ...]:
    chosen = CHOICES[language].get(trained.chosen_by_validation)
    damaged = DAMAGED[language].format(len(trained.damaged))
    seen = tuple(
        SEEN[language].format(
            count=side.seen_before,
            of=len(side.labels),
            side=_name(side.side) if language == "en" else SIDES_IN_KOREAN[side.side],
        )
        for side in (trained.test, trained.validation)
        if side is not None and side.seen_before
    )
    return (*seen, *((chosen,) if chosen else ()), damaged)


def _in_words_of(language: Language, evaluation: Evaluation, trained: Trained) -> Evaluation:
    """What a page shows of it, where a name of a side or a note is a word."""
    if language == "en":
        return evaluation
    names = {_name(side): name for side, name in SIDES_IN_KOREAN.items()}
    return replace(
        evaluation,
        subjects=tuple(replace(each, name=names[each.name]) for each in evaluation.subjects),
        audits=tuple(replace(each, asked=each.asked and names[each.asked]) for each in evaluation.audits),
        notes=_notes(language, trained),
    )


def _name(side: Side) -> str:
    return f"{side} side"


def folder_of(file: File) -> Path:
    """What was given to the command: the file's path without its name."""
    return file.path.parents[len(Path(file.name).parts) - 1]


def _subject(trained: Trained, side: Measured, engine: TorchEngine, limits: Limits) -> Evaluated:
    items = tuple(LabelledItem(file.path, file.class_index) for file in side.files)
    predictions = Predictions(trained.classes, items, side.logits, ())
    return Evaluated(
        name=_name(side.side),
        model=None,
        predictions=predictions,
        met=Met(on_earlier_side=side.seen_before),
        groups=side.groups,
        temperature=trained.temperature,
        labels={name: trained.manifest.labels(name) for name in ("en", *trained.manifest.display)},
        mistakes=gallery(
            engine,
            trained.manifest.geometry(),
            predictions,
            temperature=trained.temperature,
            count=MISTAKES,
            limits=limits,
        ),
    )
