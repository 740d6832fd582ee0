"""What belongs together counts as one, in the report of a training as in `lineside evaluate --group-by`."""

import json

import pytest
from support.digits import write_digits
from training.runs import MAX_PIXELS, run

from app.training.card import model_card
from app.training.records import summary_txt
from app.training.report import report_files
from app.training.trained import Trained


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Two classes of 150 pictures in ten groups: enough pictures on each side to claim accuracy, and few groups."""
    folder = write_digits(tmp_path_factory.mktemp("grouped"), digits=(0, 1), per_digit=150)
    return run(
        folder,
        tmp_path_factory.mktemp("work"),
        data__group_by=r"(\d)\.png$",
        data__validation_share=0.4,
        data__test_share=0.3,
        training__epochs=1,
    )


def test_the_report_counts_groups(grouped: Trained) -> None:
    files = report_files(grouped, name="digits/1", max_pixels=MAX_PIXELS)
    told = json.loads(files["evaluation.json"])["models"]

    assert grouped.test is not None
    for side, each in zip((grouped.test, grouped.validation), told, strict=True):
        assert each["groups"] == len({path.name[-5] for path in (file.path for file in side.files)})
        assert 2 <= each["groups"] <= 8
        assert not each["claims_accuracy"]


def test_card_and_summary_claim_no_more_than_the_report(grouped: Trained) -> None:
    assert "fewer than 30 groups of a class" in model_card(grouped)
    assert "accuracy: not claimed (fewer than 30 groups of a class)" in summary_txt(grouped)
