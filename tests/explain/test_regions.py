"""What stands out on a map, and that its numbers add up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from app.domain import Affine, EvidenceMap, RegionOfInterest, Size, Target
from app.explain.components import connected_components
from app.explain.maps import evidence_map as map_of
from app.explain.place import place_of
from app.explain.regions import Regions, find_regions
from app.explain.sampling import refined, samples_per_cell

CELL = 10.0
"""Pixels to a cell, in both directions, where a test does not say otherwise."""


def evidence_map(values: object) -> EvidenceMap:
    cells = np.asarray(values, dtype=np.float32)
    logits = np.array([cells.mean(dtype=np.float64)], dtype=np.float32)
    return map_of(cells[None], logits, Target(0))


def regions_of(values: object, **options: float) -> Regions:
    found = evidence_map(values)
    rows, columns = found.values.shape
    picture = Size(int(rows * CELL), int(columns * CELL))
    return find_regions(
        found,
        Affine(CELL, 0.0, CELL, 0.0),
        (0.0, 0.0, float(picture.width), float(picture.height)),
        picture,
        **options,  # type: ignore[arg-type]
    )


def spot(rows: int, columns: int, *cells: tuple[int, int, float]) -> NDArray[np.float32]:
    values = np.full((rows, columns), -1.0, dtype=np.float32)
    for row, column, value in cells:
        values[row, column] = value
    return values


maps = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.floats(-1e4, 1e4, width=32) | st.sampled_from([0.0, 1.0, -1.0]),
)


@settings(deadline=None)
@given(values=maps, bias=st.floats(-100, 100), threshold=st.floats(0.01, 1.0), count=st.integers(1, 6))
def test_regions_rest_and_bias_add_up_to_the_logit(
    values: NDArray[np.float32], bias: float, threshold: float, count: int
) -> None:
    logit = float(values.mean(dtype=np.float64)) + bias
    explained = EvidenceMap(values, bias, 0.5, "ok")

    found = find_regions(
        explained, Affine(), (0, 0, 9, 9), Size(9, 9), threshold=threshold, max_regions=count
    )

    contributions = [region.contribution for region in found.regions]
    assert bias + found.rest + sum(contributions) == pytest.approx(
        logit, rel=1e-9, abs=1e-9 * float(np.abs(values).max())
    )
    assert len(contributions) <= count
    assert contributions == sorted(contributions, reverse=True)
    assert all(contribution > 0 for contribution in contributions)
    assert sum(region.share for region in found.regions) <= 1.0 + 1e-9
    assert sum(region.area_fraction for region in found.regions) <= 1.0 + 1e-9


@settings(deadline=None)
@given(values=maps)
def test_a_finer_map_has_the_same_mean(values: NDArray[np.float32]) -> None:
    cells = values.astype(np.float64)

    assert refined(cells).mean() == pytest.approx(cells.mean(), abs=1e-9 * np.abs(cells).max() + 1e-300)


@given(st.integers(1, 400), st.integers(1, 400))
def test_a_finer_map_is_bounded_and_has_a_sample_at_every_centre(rows: int, columns: int) -> None:
    k = samples_per_cell(rows, columns)

    assert k % 2 == 1
    assert k == 1 or k * max(rows, columns) <= 256


@settings(deadline=None)
@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_components_are_what_a_flood_fill_finds(mask: NDArray[np.bool_]) -> None:
    assert connected_components(mask).tolist() == flooded(mask).tolist()


def test_a_long_winding_component_is_one() -> None:
    """The worst case for joining runs step by step."""
    snake = np.zeros((201, 50), dtype=np.bool_)
    snake[::2] = True
    snake[1::4, -1] = True
    snake[3::4, 0] = True

    assert connected_components(snake).max() == 1


def flooded(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    labels = np.zeros(mask.shape, dtype=np.int64)
    for seed in np.argwhere(mask):
        if labels[tuple(seed)]:
            continue
        number = labels.max() + 1
        waiting = [tuple(seed)]
        while waiting:
            row, column = waiting.pop()
            inside = 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]
            if inside and mask[row, column] and not labels[row, column]:
                labels[row, column] = number
                waiting += [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
    return labels


def test_one_bright_cell_is_one_region_around_its_centre() -> None:
    found = regions_of(spot(5, 7, (3, 1, 9.0)))

    [region] = found.regions
    assert found.status == "ok"
    assert region.peak == pytest.approx((15.0, 35.0))
    assert region.centre == pytest.approx((15.0, 35.0), abs=1e-9)
    assert 0.8 < region.share < 0.95  # all but the skirt below 20 % of the peak
    # Bilinear from 9 to -1 falls to 20 % of the peak after 0.72 of a cell.
    assert region.box == pytest.approx((15 - 7.2, 35 - 7.2, 15 + 7.2, 35 + 7.2), abs=CELL / 31)
    assert 0.0 < region.area_fraction < 4 / 35


def test_two_spots_are_two_regions_and_the_stronger_is_first() -> None:
    weaker, stronger = regions_of(spot(7, 7, (1, 1, 4.0), (5, 5, 9.0))).regions[::-1]

    assert stronger.peak == pytest.approx((55.0, 55.0))
    assert weaker.peak == pytest.approx((15.0, 15.0))
    assert stronger.share > weaker.share


def test_a_higher_threshold_parts_what_a_lower_one_joins() -> None:
    ridge = spot(3, 5, (1, 1, 10.0), (1, 2, 4.0), (1, 3, 9.0))

    assert len(regions_of(ridge, threshold=0.2).regions) == 1
    assert len(regions_of(ridge, threshold=0.6).regions) == 2


def test_what_is_too_small_or_too_many_counts_as_rest() -> None:
    many = spot(9, 9, *[(row, column, 5.0 + row) for row in (0, 4, 8) for column in (0, 4, 8)])
    with_crumb = spot(9, 9, (1, 1, 100.0), (7, 7, 30.0), (7, 1, 21.0))

    assert len(regions_of(many).regions) == 5
    assert len(regions_of(many, max_regions=9).regions) == 9
    assert len(regions_of(with_crumb, threshold=0.2).regions) == 2
    assert len(regions_of(with_crumb, threshold=0.05).regions) == 3


@pytest.mark.parametrize(
    ("values", "status"),
    [
        (-np.ones((3, 3)), "no_positive_evidence"),
        (np.zeros((3, 3)), "no_positive_evidence"),
        (np.full((3, 3), 1e-42), "no_positive_evidence"),  # subnormal: rounding
        (np.full((3, 3), np.nan), "no_positive_evidence"),
        (np.full((1, 1), 3.0), "even"),
        (np.full((4, 5), 2.5), "even"),
        (2.5 + 1e-7 * np.arange(9).reshape(3, 3), "even"),
    ],
)
def test_a_map_without_a_place_that_stands_out_has_no_regions(values: object, status: str) -> None:
    found = regions_of(values)

    assert found.regions == ()
    assert found.status == status
    assert np.isfinite(found.rest)


def test_numbers_that_are_not_finite_are_no_evidence() -> None:
    values = spot(5, 5, (2, 2, 9.0))
    values[0, 0], values[4, 4] = np.nan, np.inf

    [region] = regions_of(values).regions

    assert region.peak == pytest.approx((25.0, 25.0))
    assert np.isfinite([region.share, region.contribution, *region.centre]).all()


def test_a_map_without_cells_has_no_regions() -> None:
    """What a head without evidence gives."""
    none = EvidenceMap(np.zeros((0, 0), np.float32), 0.0, 0.0, "no_positive_evidence")

    found = find_regions(none, Affine(), (0, 0, 9, 9), Size(9, 9))

    assert (found.regions, found.rest, found.status) == ((), 0.0, "no_positive_evidence")
    assert place_of(none, Affine(), Size(9, 9)).centroid is None


def test_boxes_lie_on_the_picture_that_the_carcass_model_saw_part_of() -> None:
    """5 x 5 cells inside the bottom-right 224 of 373 x 373, on 768 x 574."""
    found = evidence_map(spot(5, 5, (0, 0, 1.0), (4, 4, 8.0)))
    to_picture = Affine(768 / 373, 149 * 768 / 373, 574 / 373, 149 * 574 / 373)
    cell = 32.0
    cell_to_picture = Affine(cell, cell, cell, cell).then(to_picture)
    view = (149 * 768 / 373, 149 * 574 / 373, 768.0, 574.0)

    top, *_ = find_regions(found, cell_to_picture, view, Size(574, 768)).regions

    x, y = (149 + 32 * 5.5) * 768 / 373, (149 + 32 * 5.5) * 574 / 373
    assert top.peak == pytest.approx((x, y))
    assert top.box is not None
    assert top.box[0] < x < top.box[2]
    assert top.box[1] < y < top.box[3]
    assert top.box[2] == pytest.approx((149 + 32 * 6) * 768 / 373)  # clamped: it reaches the grid's edge


def test_boxes_are_clipped_to_the_picture_and_to_what_the_network_saw() -> None:
    """A crop of 100 x 100 around a picture of 60 x 100: 20 black columns on each side."""
    found = evidence_map(spot(10, 10, (5, 1, 3.0), (5, 0, 3.0), (2, 2, 9.0)))

    on_picture, in_the_black = find_regions(
        found, Affine(CELL, -20.0, CELL, 0.0), (-20.0, 0.0, 80.0, 100.0), Size(100, 60), threshold=0.3
    ).regions

    assert on_picture.box is not None
    assert on_picture.box[0] == 0.0
    assert in_the_black.box is None
    assert in_the_black.peak[0] < 0


@settings(deadline=None)
@given(values=maps, size=st.integers(8, 60), data=st.data())
def test_masks_and_boxes_say_the_same(values: NDArray[np.float32], size: int, data: st.DataObject) -> None:
    """Every pixel of a region's mask lies in its box, and a mask is where the map is strong."""
    found = EvidenceMap(values, 0.0, 0.5, "ok")
    rows, columns = values.shape
    frame = Affine(size / columns, 0.0, size / rows, 0.0)
    regions = find_regions(found, frame, (0, 0, size, size), Size(size, size))

    for number, region in enumerate(regions.regions, start=1):
        mask = regions.mask(number, Size(size, size), frame)
        assert region.box is not None
        x0, y0, x1, y1 = region.box
        lines, across = np.nonzero(mask)
        tolerance = 0.5 + size / min(rows, columns) / regions.samples_per_cell
        assert ((across + 0.5 > x0 - tolerance) & (across + 0.5 < x1 + tolerance)).all()
        assert ((lines + 0.5 > y0 - tolerance) & (lines + 0.5 < y1 + tolerance)).all()


def test_a_mask_ends_where_the_grid_ends() -> None:
    """The margin of a head without padding belongs to no region."""
    regions = regions_of([[1.0, 0.9], [0.9, 0.8]], threshold=0.1)

    mask = regions.mask(1, Size(40, 40), Affine(CELL, CELL, CELL, CELL))

    assert mask[10:30, 10:30].all()
    assert mask.sum() == 400


# --- where the evidence lies, as numbers -------------------------------------------------------


def test_share_inside_the_region_of_interest_is_cut_at_its_edge() -> None:
    """An even map of 4 x 4 cells: the share is the area, wherever the box ends between the samples."""
    even = evidence_map(np.ones((4, 4)))

    place = place_of(even, Affine(CELL, 0, CELL, 0), Size(40, 40), RegionOfInterest(0.25, 0.0, 0.7123, 0.5))

    assert place.share_inside == pytest.approx((0.7123 - 0.25) * 0.5)
    assert place.centroid == pytest.approx((0.5, 0.5))
    assert place.positive_fraction == 1.0


@pytest.mark.parametrize(
    ("box", "share"),
    [((0.0, 0.0, 1.0, 1.0), 1.0), ((0.5, 0.0, 1.0, 1.0), 0.0), ((0.0, 0.0, 0.2, 1.0), 1.0)],
)
def test_share_inside_is_of_the_positive_evidence(
    box: tuple[float, float, float, float], share: float
) -> None:
    one_spot = evidence_map(spot(1, 10, (0, 0, 5.0)))

    place = place_of(one_spot, Affine(CELL, 0, CELL, 0), Size(10, 100), RegionOfInterest(*box))

    assert place.share_inside == pytest.approx(share)


def test_centroid_is_in_fractions_of_the_picture_not_of_the_view() -> None:
    """The network saw the right half; its evidence is in the middle of that."""
    middle = evidence_map(spot(3, 3, (1, 1, 5.0)))

    place = place_of(middle, Affine(CELL, 30.0, CELL, 0.0), Size(30, 60))

    assert place.centroid == pytest.approx((0.75, 0.5))
    assert place.share_inside is None


def test_no_evidence_lies_nowhere() -> None:
    against = evidence_map(-np.ones((3, 3)))

    place = place_of(against, Affine(), Size(3, 3), RegionOfInterest(0, 0, 1, 1))

    assert (place.centroid, place.positive_fraction, place.share_inside) == (None, 0.0, None)
