"""Promises of the direct way to a JPEG's pixels: what comes out is what Pillow makes of the file, to the bit."""

import gc
import weakref
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from app.domain import Geometry
from app.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from app.images import jpeg
from app.images.decode import decode

EXACT = Geometry(steps=())
Pixels = NDArray[np.uint8]


def scene(width: int = 93, height: int = 71, seed: int = 0) -> Pixels:
    """Smooth on the left, noise on the right: easy and hard blocks."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    pixels = np.array(coarse.resize((width, height), Image.Resampling.BICUBIC))
    pixels[:, width // 2 :] = generator.integers(0, 256, (height, width - width // 2, 3))
    return pixels


def pillows(pixels: Pixels, **options: Any) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def turbos(pixels: Pixels, subsampling: str, quality: int = 85) -> bytes:
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=quality, colorsubsampling=subsampling)


def without_last_scans(data: bytes) -> bytes:
    """A progressive file that ends early but properly: libjpeg smooths what is missing, without a word."""
    return data[: data.rfind(b"\xff\xda")] + b"\xff\xd9"


def by_pillow(data: bytes, factor: int = 1) -> Pixels:
    file = jpeg.opened(data, factor=factor)
    return np.asarray(file.convert("RGB"))


def directly(data: bytes, factor: int = 1) -> Pixels | None:
    image = jpeg.decoded(data, JpegImageFile(BytesIO(data)), factor=factor)
    return None if image is None else np.asarray(image)


# --- files that are read directly --------------------------------------------------------------

DIRECT = {
    **{f"4:{name[1]}:{name[2]}": turbos(scene(), name) for name in ("444", "422", "420", "440", "411")},
    **{f"quality {quality}": pillows(scene(), quality=quality) for quality in (1, 30, 75, 95, 100)},
    "progressive": pillows(scene(), progressive=True, subsampling="4:2:0"),
    "progressive, ended early": without_last_scans(pillows(scene(), progressive=True)),
    "optimised": pillows(scene(), optimize=True),
    "restart markers": pillows(scene(), restart_marker_blocks=3),
    "restart markers by row": pillows(scene(), restart_marker_rows=1, progressive=True),
    "one pixel": pillows(scene(1, 1)),
    "one column": pillows(scene(1, 300)),
    "one row": pillows(scene(300, 1)),
    "17 x 9": pillows(scene(17, 9), subsampling="4:2:0"),
    "colour profile": pillows(scene(), icc_profile=b"x" * 70_000),
    "EXIF": pillows(scene(), exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0", comment=b"a line"),
    "bytes behind the end": pillows(scene()) + b"and more",
}


@pytest.mark.parametrize("name", DIRECT)
def test_what_cameras_write_is_read_directly_and_as_pillow_does(name: str) -> None:
    data = DIRECT[name]

    assert np.array_equal(directly(data), by_pillow(data))  # type: ignore[arg-type]
    assert np.array_equal(np.asarray(decode(data, geometry=EXACT, max_pixels=10**6).image), by_pillow(data))


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize(
    "name", [name for name, data in DIRECT.items() if min(by_pillow(data).shape[:2]) > 16]
)
def test_a_fraction_of_the_size_is_the_one_that_pillow_decodes(name: str, factor: int) -> None:
    data = DIRECT[name]

    assert np.array_equal(directly(data, factor), by_pillow(data, factor))  # type: ignore[arg-type]
    assert by_pillow(data, factor).shape == (-(-71 // factor), -(-93 // factor), 3)


@given(
    width=st.integers(1, 80),
    height=st.integers(1, 80),
    subsampling=st.sampled_from(["444", "422", "420", "440", "411"]),
    quality=st.integers(1, 100),
    seed=st.integers(0, 9),
)
@settings(max_examples=150, deadline=None)
def test_any_size_quality_and_subsampling_is_as_pillow_reads_it(
    width: int, height: int, subsampling: str, quality: int, seed: int
) -> None:
    data = turbos(scene(width, height, seed), subsampling, quality)

    assert np.array_equal(directly(data), by_pillow(data))  # type: ignore[arg-type]


@pytest.mark.parametrize("quality", [75, 92])
def test_the_real_photographs_as_jpeg(carcass_photographs: list[Path], quality: int) -> None:
    for path in carcass_photographs:
        with Image.open(path) as file:
            data = pillows(np.asarray(file.convert("RGB")), quality=quality)

        for factor in (1, 2):
            assert np.array_equal(directly(data, factor), by_pillow(data, factor))  # type: ignore[arg-type]


# --- files that are left to Pillow -------------------------------------------------------------


def grey_or_cmyk(mode: str) -> bytes:
    buffer = BytesIO()
    Image.fromarray(scene()).convert(mode).save(buffer, "JPEG")
    return buffer.getvalue()


LEFT = {
    "grey": grey_or_cmyk("L"),
    "CMYK": grey_or_cmyk("CMYK"),
    "RGB by Adobe's marker": pillows(scene(), keep_rgb=True, subsampling="4:4:4"),
    "bytes before a marker": pillows(scene()).replace(b"\xff\xda", b"zz\xff\xda", 1),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_has_another_colour_or_is_only_worth_a_warning_is_left_to_pillow(name: str) -> None:
    data = LEFT[name]

    assert directly(data) is None
    assert np.array_equal(np.asarray(decode(data, geometry=EXACT, max_pixels=10**6).image), by_pillow(data))


def test_a_size_that_was_not_checked_is_not_decoded() -> None:
    """The limit is on what Pillow read of the header; nothing larger is decoded on another reading."""
    small = JpegImageFile(BytesIO(pillows(scene(40, 30))))

    assert jpeg.decoded(pillows(scene(400, 300)), small) is None


@pytest.mark.parametrize("cut", [0.3, 0.7, 0.98])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_file_that_was_cut_off_is_refused_as_ever(cut: float, progressive: bool) -> None:
    data = pillows(scene(), progressive=progressive)

    with pytest.raises(UnreadableImage, match="truncated or corrupt"):
        decode(data[: int(cut * len(data))], geometry=EXACT, max_pixels=10**6)


MOST_PIXELS = 10**6


def same_outcome(data: bytes) -> None:
    """The same pixels as Pillow's, or the same refusal; Pillow knows no limit of ours."""
    try:
        expected: Pixels | None = by_pillow(data)
    except Exception:  # noqa: BLE001 - plugins raise anything
        expected = None
    try:
        found: Pixels | None = np.asarray(decode(data, geometry=EXACT, max_pixels=MOST_PIXELS).image)
    except (UnreadableImage, UnsupportedImage):  # damage may declare 3 bits a sample
        found = None
    except ImageTooLarge:
        width, height = JpegImageFile(BytesIO(data)).size
        assert width * height > MOST_PIXELS
        return

    assert (found is None) == (expected is None)
    assert found is None or np.array_equal(found, expected)  # type: ignore[arg-type]


SAMPLES = [turbos(scene(40, 33), "420"), pillows(scene(40, 33), progressive=True, restart_marker_blocks=4)]
# The high byte of the height that the baseline header declares (T.81, B.2.2): 65,313 rows.
TALL = ((SAMPLES[0].index(b"\xff\xc0") + 5 - 4 + 0.5) / (len(SAMPLES[0]) - 4), 255, "set")
damages = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True), st.integers(0, 255), st.sampled_from(["set", "drop", "cut"])
    ),
    min_size=1,
    max_size=5,
)


def damaged(data: bytes, damage: list[tuple[float, int, str]]) -> bytes:
    body = bytearray(data)
    for place, value, how in damage:
        position = 4 + int(place * (len(body) - 4))  # what it says it is stays
        if how == "set":
            body[position : position + 1] = bytes([value])
        elif how == "drop":
            del body[position : position + 1 + value // 64]
        elif value < 32:
            del body[position:]
    return bytes(body)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(sample=st.sampled_from(SAMPLES), damage=damages)
@example(SAMPLES[0], [(0.5, 0, "cut")])
@example(SAMPLES[0], [TALL])
@example(SAMPLES[1], [(0.12109375, 0, "drop"), (0.12109375, 192, "drop")])
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_file_ends_as_with_pillow_alone(
    sample: bytes, damage: list[tuple[float, int, str]]
) -> None:
    same_outcome(damaged(sample, damage))


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(sample=st.sampled_from([*SAMPLES, *DIRECT.values(), *LEFT.values()]), damage=damages)
@settings(max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_files_at_length(sample: bytes, damage: list[tuple[float, int, str]]) -> None:
    same_outcome(damaged(sample, damage))


# --- memory ------------------------------------------------------------------------------------


class Watched(np.ndarray[Any, Any]):
    """An array that can be asked whether it is still there."""


def borrowed(pixels: Pixels) -> tuple[Image.Image, Callable[[], object]]:
    watched = pixels.view(Watched)
    return jpeg.as_image(watched), weakref.ref(watched)


def test_the_image_keeps_the_memory_it_borrows_and_lets_it_go() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 500, 4), dtype=np.uint8)
    expected = pixels[..., :3].copy()

    image, memory = borrowed(pixels)
    del pixels
    gc.collect()

    assert (image.mode, image.size) == ("RGB", (500, 300))
    assert memory() is not None
    assert np.array_equal(np.asarray(image), expected)
    part = image.crop((0, 0, 9, 9))
    del image
    gc.collect()
    assert memory() is None
    assert np.array_equal(np.asarray(part), expected[:9, :9])
