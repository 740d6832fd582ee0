"""The preprocessing that a network was trained with is found again among hundreds."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.trained import CASES, CLASSES, manifest_of, painted, trained_weights

from app.domain import Crop, ResizeShorter, Size
from app.evaluation.declarations import ANCHORS, NORMALISATIONS, Declaration
from app.evaluation.detective import detect
from app.evaluation.findings import Findings
from app.evaluation.held import HeldPictures, Witness
from app.images.decode import Picture
from app.nets.servable import load_servable

COUNT = 9
"""Pictures of each class."""
TUTORIAL = Declaration(
    (ResizeShorter(36, "bilinear"), Crop(Size(32, 32), "center")), NORMALISATIONS["ImageNet"]
)


def investigated(
    case: str,
    declared: Declaration,
    *,
    label: Callable[[int, int], int] = lambda _number, index: index,
) -> Findings:
    """With unseen pictures; `label` turns a picture's number and class into what its label says."""
    jobs = [(index, seed) for seed in range(1000, 1000 + COUNT) for index in range(3)]
    pictures = tuple(Picture(painted(case, *job), "PNG") for job in jobs)
    true = np.array([label(number, index) for number, (index, _) in enumerate(jobs)])
    network = load_servable(manifest_of(case, declared).network_spec(), trained_weights(case))
    with ThreadPoolExecutor(2) as pool:
        witness = Witness(network, HeldPictures(pictures, true), "cpu", pool)
        return detect(witness, declared, CLASSES, least_side=32)


def check_recovered(case: str, findings: Findings) -> None:
    """The truth is first or tied, among at least 200; what was declared is not."""
    ties = [finalist.declaration for finalist in findings.ties]

    assert findings.scored >= 200
    assert CASES[case].truth in ties
    assert findings.declared not in ties
    assert findings.verdict == "other"
    assert not findings.is_permuted
    assert findings.settled["channels"] == CASES[case].truth.normalisation.channels


def values_of(findings: Findings, field: str) -> set[str]:
    """Those that are not ruled out."""
    return {findings.settled[field]} if field in findings.settled else set(findings.unsettled[field])


@pytest.mark.slow
def test_nearest_bottom_right_and_255_are_found() -> None:
    """The carcass model's kind, declared as a tutorial's: other scales, orders and anchors are ruled out."""
    findings = investigated("small", TUTORIAL)

    check_recovered("small", findings)
    assert findings.settled["values"] == "/255"
    assert findings.settled["crop"] == "bottom_right 32 x 32"
    assert values_of(findings, "resize") >= {"53 x 53"}
    declared = next(row for row in findings.finalists if row.declaration == TUTORIAL)
    assert declared.evidence == "statistics"
    assert declared.distance is not None
    assert declared.distance > 1


@pytest.mark.slow
def test_what_is_declared_rightly_holds() -> None:
    """Nothing is told to be better, even where others tie."""
    findings = investigated("small", CASES["small"].truth)

    assert (findings.verdict, findings.is_permuted) == ("holds", False)
    assert findings.best.declaration == CASES["small"].truth


@pytest.mark.slow
def test_labels_that_mean_nothing_settle_nothing() -> None:
    """Every class is shown with every label as often."""
    findings = investigated(
        "small", CASES["small"].truth, label=lambda number, index: (index + number // 3) % 3
    )

    assert (findings.verdict, findings.is_better_than_guessing) == ("open", False)
    assert not findings.is_permuted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "values", "anchors"),
    [
        ("carcass", {"/255"}, {"bottom_right"}),
        ("caffe", {"caffe"}, {"center", "left", "right", "top", "bottom"}),
        ("imagenet", {"ImageNet", "CIFAR"}, set(ANCHORS)),
    ],
)
def test_real_sizes_are_found(case: str, values: set[str], anchors: set[str]) -> None:
    """373 nearest, bottom right 224, /255; caffe in BGR; Resize(256), CenterCrop(224) with ImageNet's mean and std."""
    other = "carcass" if case == "imagenet" else "imagenet"

    findings = investigated(case, CASES[other].truth)

    check_recovered(case, findings)
    assert values_of(findings, "values") <= values
    assert {value.partition(" ")[0] for value in values_of(findings, "crop")} <= anchors
    assert case != "carcass" or values_of(findings, "interpolation") == {"nearest"}
