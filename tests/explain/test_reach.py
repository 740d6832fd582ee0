"""What is said of a map lies where it is drawn: the outer cells end where the colours do."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from app.domain import Affine, ClassScore, EvidenceMap, Explanation, RegionOfInterest, Size
from app.explain.findings import find, in_words
from app.explain.maps import cell_to_input, cell_to_input_by_receptive_field, field_of_view
from app.explain.place import place_of
from app.explain.reach import reaches
from app.explain.regions import Regions, find_regions
from app.explain.summary import Summary
from app.images.paint import Box, extent_of, pixels

PICTURE = Size(574, 768)


@dataclass(frozen=True)
class Seen:
    """A grid on the network's input, and that input on the picture."""

    grid: Size
    input_size: Size
    cell_to_input: Affine
    input_to_picture: Affine

    @property
    def cell_to_picture(self) -> Affine:
        return self.cell_to_input.then(self.input_to_picture)

    @property
    def field_of_view(self) -> Box:
        return field_of_view(self.input_size, self.input_to_picture)

    @property
    def region(self) -> RegionOfInterest:
        """The field of view in fractions of the picture."""
        x0, y0, x1, y1 = self.field_of_view
        return RegionOfInterest(
            x0 / PICTURE.width, y0 / PICTURE.height, x1 / PICTURE.width, y1 / PICTURE.height
        )


def resnet(
    height: int = 224, width: int = 224, *, first_centre: float = 0.5, to_picture: Affine | None = None
) -> Seen:
    """Stride 32, evenly padded; on the whole picture where nothing else is said."""
    return Seen(
        Size(-(-height // 32), -(-width // 32)),
        Size(height, width),
        cell_to_input_by_receptive_field(stride=32, first_centre=first_centre, margin_cells=0.0),
        to_picture or Affine(PICTURE.width / width, 0.0, PICTURE.height / height, 0.0),
    )


def evidence(values: NDArray[np.float32]) -> EvidenceMap:
    return EvidenceMap(values, 0.0, float((values > 0).mean()), "ok")


def regions_of(values: NDArray[np.float32], seen: Seen, threshold: float = 0.2) -> Regions:
    return find_regions(
        evidence(values), seen.cell_to_picture, seen.field_of_view, PICTURE, threshold=threshold
    )


def share(values: NDArray[np.float32], seen: Seen, region: RegionOfInterest) -> float:
    found = place_of(
        evidence(values), seen.cell_to_picture, PICTURE, region, field_of_view=seen.field_of_view
    ).share_inside
    assert found is not None
    return found


@st.composite
def resnets(draw: st.DrawFn) -> Seen:
    """Inputs of any size, crops anywhere on the picture; first centres from the very border inwards."""
    across = draw(st.floats(0.3, 4.0)), draw(st.floats(0.0, 300.0))
    down = draw(st.floats(0.3, 4.0)), draw(st.floats(0.0, 300.0))
    return resnet(
        draw(st.integers(32, 300)),
        draw(st.integers(32, 300)),
        first_centre=draw(st.sampled_from([0.0, 0.5, 4.0, 15.5, 16.0])),
        to_picture=Affine(*across, *down),
    )


@st.composite
def seen_maps(draw: st.DrawFn) -> tuple[NDArray[np.float32], Seen]:
    """Non-negative, with a peak somewhere, on such a grid."""
    seen = draw(resnets())
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = random.random((seen.grid.height, seen.grid.width), np.float32)
    values[values < draw(st.sampled_from([0.0, 0.5, 0.9]))] = 0.0
    values[random.integers(seen.grid.height), random.integers(seen.grid.width)] = 1.0
    return values, seen


def test_evidence_in_the_corner_of_what_was_seen_is_inside_it() -> None:
    """A ResNet's first cell is centred on the first pixel: three quarters of it would lie beyond the picture."""
    corner = np.zeros((7, 7), np.float32)
    corner[0, 0] = 1.0
    whole = RegionOfInterest(0.0, 0.0, 1.0, 1.0)

    assert share(corner, resnet(), whole) == pytest.approx(1.0)
    assert share(np.ones((7, 7), np.float32), resnet(), whole) == pytest.approx(1.0)


def test_nothing_is_said_to_lie_outside_a_region_that_is_the_whole_picture() -> None:
    corner = np.zeros((7, 7), np.float32)
    corner[0, 0] = 1.0
    seen = resnet()
    explanation = Explanation(
        method="cam",
        kind="exact",
        equivalent_to=(),
        layer="layer4",
        target=ClassScore("boar", 0, 1.0, 1.0),
        map=evidence(corner),
        cell_to_picture=seen.cell_to_picture,
        cell_to_input=seen.cell_to_input,
        align="receptive_field",
        field_of_view=seen.field_of_view,
        input_size=seen.input_size,
    )

    findings = find(explanation, PICTURE, RegionOfInterest(0.0, 0.0, 1.0, 1.0))
    told = in_words(explanation, findings, PICTURE, {"en": ("boar",)})

    assert findings.place.share_inside == pytest.approx(1.0)
    assert "outside" not in told["en"]


@settings(deadline=None)
@given(seen_maps())
def test_all_evidence_lies_in_what_was_seen(map_on: tuple[NDArray[np.float32], Seen]) -> None:
    values, seen = map_on

    assert share(values, seen, seen.region) == pytest.approx(1.0, abs=1e-9)


@settings(deadline=None)
@given(seen_maps(), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_shares_of_the_parts_add_up(
    map_on: tuple[NDArray[np.float32], Seen], cut_x: float, cut_y: float
) -> None:
    values, seen = map_on
    whole = seen.region
    x, y = whole.x0 + cut_x * (whole.x1 - whole.x0), whole.y0 + cut_y * (whole.y1 - whole.y0)

    shares = [
        share(values, seen, RegionOfInterest(x0, y0, x1, y1))
        for x0, x1 in ((whole.x0, x), (x, whole.x1))
        for y0, y1 in ((whole.y0, y), (y, whole.y1))
    ]

    assert sum(shares) == pytest.approx(1.0, abs=1e-9)


@settings(deadline=None)
@given(resnets())
def test_a_box_around_all_cells_is_what_is_coloured(seen: Seen) -> None:
    rows, columns = seen.grid.height, seen.grid.width
    values = np.linspace(0.5, 1.0, rows * columns, dtype=np.float32).reshape(rows, columns)
    values[0, 0] = 2.0  # even a grid of one row, of cells not alike

    regions = regions_of(values, seen, threshold=0.01).regions
    canvas = Image.new("L", (PICTURE.width, PICTURE.height))
    extent = extent_of(values.shape, seen.cell_to_picture, seen.field_of_view, canvas)

    if values.size == 1:  # one cell is everywhere alike
        assert regions == ()
        return
    [region] = regions
    assert region.box is not None
    assert extent.columns == pixels(region.box[0], region.box[2], PICTURE.width)
    assert extent.rows == pixels(region.box[1], region.box[3], PICTURE.height)


@pytest.mark.parametrize(("height", "width"), [(224, 224), (192, 256), (256, 320), (230, 250)])
def test_a_box_around_all_cells_of_a_resnet_is_what_the_network_saw(height: int, width: int) -> None:
    seen = resnet(height, width)
    values = np.arange(1, seen.grid.height * seen.grid.width + 1, dtype=np.float32)

    [region] = regions_of(values.reshape(seen.grid.height, seen.grid.width), seen, threshold=1e-3).regions

    assert region.box == pytest.approx(seen.field_of_view, abs=1e-9)


@settings(deadline=None)
@given(seen_maps())
def test_what_is_covered_is_what_the_box_surrounds(map_on: tuple[NDArray[np.float32], Seen]) -> None:
    """On the network's own input: box and mask of the first region end at the same pixels."""
    values, seen = map_on
    size = seen.input_size
    on_input = (0.0, 0.0, float(size.width), float(size.height))
    found = find_regions(evidence(values), seen.cell_to_input, on_input, size, threshold=0.3)

    for number, region in enumerate(found.regions, start=1):
        lines, columns = np.nonzero(found.mask(number, size, seen.cell_to_input))
        assert region.box is not None
        x0, y0, x1, y1 = region.box
        assert columns.min() in pixels(x0, x0 + 2, size.width)
        assert lines.min() in pixels(y0, y0 + 2, size.height)
        assert columns.max() in pixels(x1 - 2, x1, size.width)
        assert lines.max() in pixels(y1 - 2, y1, size.height)
        assert 0 <= region.centre[0] <= size.width
        assert 0 <= region.centre[1] <= size.height


def test_the_cells_at_the_border_are_covered_up_to_it() -> None:
    """Pixels 209 to 223 of 224 belong to no cell of the bare grid."""
    corner = np.zeros((7, 7), np.float32)
    corner[6, 6] = 1.0
    seen = resnet()

    mask = regions_of(corner, seen).mask(1, seen.input_size, seen.cell_to_input)

    assert mask[-1, -1]
    assert mask[193:, 193:].all()


@given(
    rows=st.integers(1, 16),
    columns=st.integers(1, 16),
    size=st.integers(16, 700),
    margin=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    scale=st.floats(0.01, 30.0),
    offset=st.floats(-500.0, 3000.0),
)
def test_a_grid_over_the_whole_input_and_one_far_from_its_border_stay_as_they_are(
    rows: int, columns: int, size: int, margin: float, scale: float, offset: float
) -> None:
    """half_pixel, with what a convolution without padding leaves around it, to the last bit."""
    to_picture = Affine(scale, offset, scale, offset)
    cells = cell_to_input(Size(size, size), Size(rows, columns), margin_cells=margin).then(to_picture)

    sides = reaches((rows, columns), cells, field_of_view(Size(size, size), to_picture))

    for side, count in zip(sides, (columns, rows), strict=True):
        at = np.linspace(0.0, count, 7 * count + 1)
        assert (side.begin, side.end) == (0.0, count)
        assert side.laid(at).tobytes() == at.tobytes()
        assert side.bare(at).tobytes() == at.tobytes()


@pytest.mark.parametrize("margin", [0.0, 1.0])
def test_cells_that_fill_their_input_by_themselves_stay_as_they_are(margin: float) -> None:
    """VGG, ConvNeXt: the first of seven centres is pixel 16 of 224, or a cell further in."""
    cells = cell_to_input_by_receptive_field(stride=32, first_centre=16.0, margin_cells=margin)
    count = 7 - int(2 * margin)

    across, down = reaches((count, count), cells, (0.0, 0.0, 224.0, 224.0))

    assert (across.begin, across.end, down.begin, down.end) == (0.0, count, 0.0, count)


@settings(deadline=None)
@given(resnets())
def test_the_way_back_from_the_picture_leads_to_the_same_cell(seen: Seen) -> None:
    for side in reaches((seen.grid.height, seen.grid.width), seen.cell_to_picture, seen.field_of_view):
        at = np.linspace(0.0, side.cells, 9 * side.cells + 1)
        laid = side.laid(at)

        assert (np.diff(laid) > 0).all()
        assert (laid[0], laid[-1]) == (side.begin, side.end)
        assert side.bare(laid) == pytest.approx(at, abs=1e-6)


@settings(deadline=None, max_examples=30)
@given(seen_maps())
def test_a_summary_keeps_all_evidence_of_a_picture_seen_whole(
    map_on: tuple[NDArray[np.float32], Seen],
) -> None:
    values, seen = map_on
    size = seen.input_size
    summary = Summary(RegionOfInterest(0.0, 0.0, 1.0, 1.0))

    summary.add(
        "boar",
        evidence(values),
        seen.cell_to_input,
        size,
        field_of_view=(0.0, 0.0, float(size.width), float(size.height)),
    )
    [boar] = summary.classes().values()

    assert boar.mean_map.sum() == pytest.approx(1.0, abs=1e-9)
    assert boar.share_inside == pytest.approx(1.0, abs=1e-9)
    assert boar.centroid is not None
    assert 0.0 <= min(boar.centroid) <= max(boar.centroid) <= 1.0
