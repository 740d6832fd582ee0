"""Many maps on one grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import Affine, EvidenceMap, RegionOfInterest, Size
from app.explain.summary import Summary


def spot(row: int, column: int, *, rows: int = 4, columns: int = 4, strength: float = 5.0) -> EvidenceMap:
    values = np.full((rows, columns), -strength, dtype=np.float32)
    values[row, column] = strength
    return EvidenceMap(values, 0.0, 1 / values.size, "ok")


def over(picture: Size, *, rows: int = 4, columns: int = 4) -> Affine:
    return Affine(picture.width / columns, 0.0, picture.height / rows, 0.0)


def test_pictures_of_different_sizes_and_strengths_count_alike() -> None:
    """A strong map of a large picture on the left, a weak one of a small picture on the right."""
    large, small = Size(400, 800), Size(40, 40)
    summary = Summary(RegionOfInterest(0.0, 0.0, 0.5, 1.0), rows=4, columns=4)

    summary.add("boar", spot(1, 0, strength=90.0), over(large), large)
    summary.add("boar", spot(1, 3, strength=0.1), over(small), small)
    [boar] = summary.classes().values()

    assert boar.count == 2
    assert boar.mean_map.sum() == pytest.approx(1.0)
    assert boar.mean_map[:, :2].sum() == pytest.approx(0.5)
    assert boar.mean_map[1, 0] == pytest.approx(boar.mean_map[1, 3])
    assert boar.centroid is not None
    assert boar.centroid[0] == pytest.approx(0.5)
    assert boar.centroid_spread is not None
    assert boar.centroid_spread[0] == pytest.approx(0.5 - 1 / 8, abs=0.05)
    assert boar.centroid_spread[1] == pytest.approx(0.0, abs=1e-6)
    assert boar.share_inside == pytest.approx(0.5)
    assert boar.mostly_outside == 1


def test_pictures_without_evidence_are_counted_and_left_out() -> None:
    picture = Size(40, 40)
    summary = Summary()
    against = EvidenceMap(-np.ones((4, 4), np.float32), 0.0, 0.0, "no_positive_evidence")

    summary.add("female", against, over(picture), picture)
    [female] = summary.classes().values()

    assert (female.count, female.without_evidence) == (1, 1)
    assert (female.centroid, female.share_inside) == (None, None)
    assert not female.mean_map.any()

    summary.add("female", spot(0, 0), over(picture), picture)
    female = summary.classes()["female"]
    assert (female.count, female.without_evidence) == (2, 1)
    assert female.mean_map.sum() == pytest.approx(1.0)


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    offset=st.floats(-30, 30),
    scale=st.floats(0.5, 20),
)
def test_no_evidence_is_lost_between_the_grids(rows: int, columns: int, offset: float, scale: float) -> None:
    """What lies on the picture is on the common grid, whatever the grids; only what lies beyond is not."""
    even = EvidenceMap(np.ones((rows, columns), np.float32), 0.0, 1.0, "ok")
    summary = Summary(RegionOfInterest(0.0, 0.0, 1.0, 1.0), rows=5, columns=7)

    summary.add("a", even, Affine(scale, offset, scale, offset), Size(50, 70))
    found = summary.classes()["a"]

    assert found.share_inside is not None
    assert found.mean_map.sum() == pytest.approx(found.share_inside, abs=1e-9)


def test_classes_are_kept_apart_and_in_order() -> None:
    picture = Size(40, 40)
    summary = Summary()
    for name in ("female", "boar", "castrate", "boar"):
        summary.add(name, spot(2, 2), over(picture), picture)

    assert {name: found.count for name, found in summary.classes().items()} == {
        "boar": 2,
        "castrate": 1,
        "female": 1,
    }
    assert list(summary.classes()) == ["boar", "castrate", "female"]


def test_of_one_picture_no_spread_is_known() -> None:
    """Not one of zero: that would say that the next picture's centre lies there, too."""
    summary = Summary()
    summary.add("boar", spot(1, 1), over(Size(40, 40)), Size(40, 40))

    [boar] = summary.classes().values()
    assert boar.centroid is not None
    assert boar.centroid_spread is None
