"""Promises of decoding: how files that are not read are refused, and damaged ones survived."""

import re
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support.files_by_hand import (
    KEEP,
    LOSSLESS,
    MAX_PIXELS,
    RAMP,
    TURN,
    photograph,
    pixels,
    png,
    read,
    tiff,
    written,
)

from app.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from app.images.decode import decode

# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"GIF89a" + bytes(20), "GIF"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif" + bytes(20), "AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(20), "video"),
        (b"%PDF-1.7\n", "PDF"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"  <SVG/>", "SVG"),
        (b"8BPS\0\1", "PSD"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
        (b"P6\n1 1\n255\n\0\0\0", "Netpbm"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"PK\3\4", "ZIP"),
        (b"\x93NUMPY\1\0", "NumPy"),
        (b"<!DOCTYPE html><html>", "HTML"),
    ],
)
def test_known_kinds_that_are_not_accepted_are_named(data: bytes, kind: str) -> None:
    with pytest.raises(UnsupportedImage, match=rf"{kind}.* is not accepted; send JPEG, PNG, TIFF"):
        read(data)


@pytest.mark.parametrize("kind", ["GIF", "ICO", "PPM", "JPEG2000", "AVIF", "DDS", "PDF", "EPS"])
def test_real_files_of_other_kinds_never_reach_a_plugin(kind: str) -> None:
    with pytest.raises(UnsupportedImage):
        read(written(photograph(), kind))


@pytest.mark.parametrize("data", [b"\0" * 100, b"hello", b"BM is a word", b"RIFF\0\0\0\0WAVE", b"\xff"])
def test_unknown_bytes_are_no_image(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match="no image of a known kind"):
        read(data)


def test_an_empty_body_is_called_empty() -> None:
    with pytest.raises(UnreadableImage, match="empty"):
        read(b"")


@pytest.mark.parametrize("text", [b"data:image/png;base64,iVBORw0KGgo=", b"/9j/4AAQSkZJRg=="])
def test_base64_is_recognised_as_the_usual_mistake(text: bytes) -> None:
    with pytest.raises(UnreadableImage, match="base64"):
        read(text)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
def test_too_many_pixels_are_refused_from_the_header_with_both_numbers(kind: str) -> None:
    data = written(photograph(100, 70), kind)

    with pytest.raises(ImageTooLarge, match=r"100 x 70 = 7,000 pixels; at most 6,999"):
        decode(data if kind == "TIFF" else data[:-200], geometry=KEEP, max_pixels=6_999)
    assert decode(data, geometry=KEEP, max_pixels=7_000).width == 100


@pytest.mark.parametrize("side", [9_500, 20_000, 2_000_000_000])
def test_bombs_are_refused_whatever_pillow_thinks_of_them(side: int) -> None:
    """9,500 squared is where Pillow warns, 20,000 where it raises."""
    with pytest.raises(ImageTooLarge, match=f"{side} x {side}"):
        decode(png(side, side, depth=8, color=2), geometry=KEEP, max_pixels=50_000_000)


def test_a_webp_bomb_is_refused_before_its_canvas_is_allocated() -> None:
    data = bytearray(written(photograph(), "WEBP", lossless=True))
    data[21:25] = struct.pack("<I", 0x3FFF | 0x3FFF << 14)

    with pytest.raises(ImageTooLarge, match="16384 x 16384"):
        read(bytes(data))


def test_a_tiff_with_tiles_far_larger_than_itself_is_refused() -> None:
    data = tiff(np.zeros((4, 4), np.uint8), tags={322: (4, 30_000), 323: (4, 30_000)})

    with pytest.raises(ImageTooLarge, match="30000 x 30000"):
        read(data)


def test_a_camera_raw_file_is_not_mistaken_for_its_thumbnail() -> None:
    with pytest.raises(UnsupportedImage, match="preview"):
        read(tiff(np.zeros((4, 4), np.uint8), tags={254: (4, 1)}))


def test_a_tiff_of_an_odd_layout_is_unsupported_not_corrupt() -> None:
    with pytest.raises(UnsupportedImage, match="pixel layout"):
        read(tiff(np.zeros((4, 4), np.float64), tags={339: (3, 3)}))


# --- damage ------------------------------------------------------------------------------------

SAMPLES: dict[str, bytes] = {
    **LOSSLESS,
    "JPEG": written(photograph(), "JPEG"),
    "JPEG progressive cmyk": written(photograph().convert("CMYK"), "JPEG", progressive=True),
    "PNG palette": written(photograph().convert("P"), "PNG"),
    "PNG 16": written(Image.fromarray(RAMP), "PNG"),
    "PNG animated": written(photograph(), "PNG", save_all=True, append_images=[photograph().rotate(90)]),
    "BMP palette": written(photograph().convert("P"), "BMP"),
    "WEBP lossy": written(photograph(), "WEBP"),
    "WEBP alpha, exif": written(photograph().convert("RGBA"), "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
    "TIFF jpeg": written(photograph(), "TIFF", compression="jpeg"),
    "TIFF 16": tiff(RAMP, tags={281: (3, 4095)}),
    "TIFF pages": written(photograph(), "TIFF", save_all=True, append_images=[photograph()]),
}
REFUSED = (UnreadableImage, UnsupportedImage, ImageTooLarge)


def check_damaged(data: bytes) -> None:
    """Read, or refused as a domain error that tells nothing of the inside."""
    try:
        picture = read(data, TURN)
    except REFUSED as error:
        message = error.message
    else:
        assert picture.image.mode == "RGB"
        assert picture.width * picture.height <= MAX_PIXELS
        message = " ".join(picture.warnings)
    assert not re.search(r"0x[0-9a-f]{6}|<|/|\.py|Traceback|BytesIO|\bPIL\b", message)


@pytest.mark.parametrize("name", SAMPLES)
@given(cut=st.floats(0, 1, exclude_max=True))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_truncated_files_raise_domain_errors_only(name: str, cut: float) -> None:
    data = SAMPLES[name]

    check_damaged(data[: int(cut * len(data))])


@pytest.mark.parametrize("name", SAMPLES)
@given(
    damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255), st.booleans()), min_size=1, max_size=8)
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_corrupt_files_raise_domain_errors_only(name: str, damage: list[tuple[float, int, bool]]) -> None:
    data = bytearray(SAMPLES[name])
    for place, value, is_in_header in damage:
        data[int(place * (min(len(data), 120 if is_in_header else len(data)) - 1))] = value

    check_damaged(bytes(data))


@given(data=st.binary(max_size=200), magic=st.sampled_from([s[:30] for s in SAMPLES.values()]))
@settings(max_examples=100, deadline=None)
def test_rubbish_behind_a_good_beginning_raises_domain_errors_only(data: bytes, magic: bytes) -> None:
    check_damaged(magic + data)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF", "TIFF lzw", "BMP", "WEBP"])
def test_half_a_file_is_unreadable_and_the_cause_is_kept_for_the_log(name: str) -> None:
    data = SAMPLES[name]

    with pytest.raises(UnreadableImage, match="truncated or corrupt") as caught:
        read(data[: len(data) * 3 // 5])
    assert caught.value.__cause__ is not None


@pytest.mark.fuzz
@pytest.mark.parametrize("name", SAMPLES)
@given(
    damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255), st.booleans()), min_size=1, max_size=20)
)
@settings(max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_corrupt_files_at_length(name: str, damage: list[tuple[float, int, bool]]) -> None:
    data = bytearray(SAMPLES[name])
    for place, value, is_in_header in damage:
        data[int(place * (min(len(data), 120 if is_in_header else len(data)) - 1))] = value

    check_damaged(bytes(data))


def test_threads_do_not_disturb_each_other_and_no_global_is_touched() -> None:
    limit, warn_filters = Image.MAX_IMAGE_PIXELS, list(sys.modules["warnings"].filters)
    expected = {name: pixels(read(data)).tobytes() for name, data in SAMPLES.items()}
    names = [*SAMPLES] * 10

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: pixels(read(SAMPLES[name])).tobytes(), names))

    assert found == [expected[name] for name in names]
    assert limit == Image.MAX_IMAGE_PIXELS
    assert warn_filters == sys.modules["warnings"].filters
