"""Promises of decoding: which files are read, to which pixels, and how all others are refused."""

import re
import struct
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, TiffImagePlugin

from app.domain import Geometry
from app.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from app.images.decode import Picture, decode
from app.images.sniff import sniff

KEEP = Geometry(steps=())
TURN = Geometry(steps=(), orientation="apply")
MAX_PIXELS = 1_000_000


def photograph(width: int = 61, height: int = 47) -> Image.Image:
    """A smooth picture with no symmetry, so that lossy formats keep it and a turned one shows."""
    y, x = np.mgrid[:height, :width]
    channels = (x * 255 // width, y * 255 // height, (x + 2 * y) * 255 // (width + 2 * height))
    return Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))


def written(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def read(data: bytes, geometry: Geometry = KEEP) -> Picture:
    return decode(data, geometry=geometry, max_pixels=MAX_PIXELS)


def pixels(picture: Picture) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.asarray(picture.image).astype(np.int16)


def tiff(
    samples: np.ndarray[Any, Any], *, big_endian: bool = False, tags: dict[int, tuple[int, int]] | None = None
) -> bytes:
    """A one-strip TIFF by hand: what Pillow cannot write. `tags`: number -> (type, value)."""
    order = ">" if big_endian else "<"
    height, width = samples.shape
    entries = {
        256: (3, width), 257: (3, height), 258: (3, samples.itemsize * 8), 259: (3, 1), 262: (3, 1),
        273: (4, 8), 277: (3, 1), 278: (3, height), 279: (4, samples.nbytes),
    } | (tags or {})  # fmt: skip
    body = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    directory = struct.pack(order + "H", len(entries))
    for tag, (kind, value) in sorted(entries.items()):
        field = struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value)
        directory += struct.pack(order + "HHI", tag, kind, 1) + field
    header = (b"MM" if big_endian else b"II") + struct.pack(order + "HI", 42, 8 + len(body))
    return header + body + directory + struct.pack(order + "I", 0)


def png(width: int, height: int, *, depth: int, color: int, rows: bytes = b"", extra: bytes = b"") -> bytes:
    """A PNG by hand: 16 bits a channel, or a header that lies."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


# --- what is read ------------------------------------------------------------------------------

LOSSLESS = {
    "PNG": written(photograph(), "PNG"),
    "BMP": written(photograph(), "BMP"),
    "WEBP": written(photograph(), "WEBP", lossless=True),
    "TIFF": written(photograph(), "TIFF"),
    "TIFF lzw": written(photograph(), "TIFF", compression="tiff_lzw"),
    "TIFF deflate": written(photograph(), "TIFF", compression="tiff_adobe_deflate"),
    "TIFF big": written(photograph(), "TIFF", big_tiff=True),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_files_come_back_to_the_bit(name: str) -> None:
    picture = read(LOSSLESS[name])

    assert np.array_equal(pixels(picture), np.asarray(photograph()))
    assert (picture.format, picture.warnings) == (name.split(maxsplit=1)[0], ())
    assert (picture.width, picture.height, picture.nbytes) == (61, 47, 61 * 47 * 4)


def test_tiles_of_a_tiff_are_put_together() -> None:
    samples = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) % 251
    samples = samples.astype(np.uint8)
    tiles = [samples[y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16)]
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in {256: 32, 257: 32, 258: 8, 259: 1, 262: 1, 277: 1, 322: 16, 323: 16}.items():
        info[tag] = value
    offsets = tuple(200 + 256 * number for number in range(4))
    info[324], info[325] = offsets, (256,) * 4
    info.tagtype[324] = info.tagtype[325] = 4
    head = BytesIO()
    head.write(b"II*\0\x08\0\0\0")
    info.save(head)
    data = head.getvalue().ljust(200, b"\0") + b"".join(tiles)

    assert np.array_equal(pixels(read(data))[..., 0], samples)


def test_jpeg_decodes_as_pillow_and_torchvision_do() -> None:
    data = written(photograph(), "JPEG", quality=90, progressive=True)

    assert np.array_equal(pixels(read(data)), np.asarray(Image.open(BytesIO(data)).convert("RGB")))


def test_a_picture_of_a_phone_with_two_views_is_a_jpeg() -> None:
    data = written(photograph(), "MPO", save_all=True, append_images=[photograph().rotate(180)])

    picture = read(data)

    assert picture.format == "JPEG"
    assert "several pictures" in picture.warnings[0]
    assert np.abs(pixels(picture) - np.asarray(photograph())).mean() < 4


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP"])
def test_the_first_of_several_pages_is_used_and_said(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    pages = [photograph().rotate(angle) for angle in (90, 180)]
    data = written(photograph(), kind, save_all=True, append_images=pages, **options)

    picture = read(data)

    assert picture.warnings == ("the file holds several pictures; the first was used",)
    assert np.array_equal(pixels(picture), np.asarray(photograph()))


def test_a_chain_of_a_million_tiff_directories_is_not_walked() -> None:
    """Only the first directory and the pointer behind it are looked at; the second may be nonsense."""
    data = bytearray(tiff(np.zeros((4, 4), np.uint8)))
    data[-4:] = struct.pack("<I", 3)

    assert "several pictures" in read(bytes(data)).warnings[0]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_opaque_modes_convert_as_pillow_does_without_a_word(mode: str) -> None:
    image = photograph().convert(mode)

    picture = read(written(image, "PNG"))

    assert np.array_equal(pixels(picture), np.asarray(image.convert("RGB")))
    assert picture.warnings == ()


def test_a_ycbcr_tiff_is_read() -> None:
    picture = read(written(photograph().convert("YCbCr"), "TIFF"))

    assert np.abs(pixels(picture) - np.asarray(photograph())).max() <= 3


def test_a_lab_tiff_is_read() -> None:
    image = Image.new("LAB", (8, 8), (255, 128, 128))  # L at its top: white

    picture = read(written(image, "TIFF"))

    assert picture.image.mode == "RGB"
    assert picture.image.size == (8, 8)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_converted_and_said(kind: str) -> None:
    picture = read(written(photograph().convert("CMYK"), kind))

    assert "CMYK" in picture.warnings[0]
    assert np.abs(pixels(picture) - np.asarray(photograph())).mean() < 6  # the JPEG's own loss


# --- transparency ------------------------------------------------------------------------------


def with_transparency(mode: str) -> tuple[bytes, str]:
    red = Image.new("RGBA", (4, 4), (255, 0, 0, 255))
    red.putpixel((0, 0), (0, 255, 0, 0))
    if mode == "P":
        image = Image.new("P", (4, 4), 1)
        image.putpalette([0, 255, 0, 255, 0, 0])
        image.putpixel((0, 0), 0)
        return written(image, "PNG", transparency=0), "PNG"
    if mode == "RGB":
        image = red.convert("RGB")
        return written(image, "PNG", transparency=(0, 255, 0)), "PNG"
    if mode == "PA":
        image = red.convert("PA")
        return written(image, "TIFF"), "TIFF"
    return written(red.convert(mode), "PNG"), "PNG"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA", "RGB"])
def test_transparent_pixels_take_the_manifests_background(mode: str) -> None:
    data, _ = with_transparency(mode)

    picture = read(data, Geometry(steps=(), alpha_background=(10, 20, 30)))

    assert picture.image.getpixel((0, 0)) == (10, 20, 30)
    assert picture.image.getpixel((3, 3)) == ((76, 76, 76) if mode == "LA" else (255, 0, 0))
    assert "transparent" in picture.warnings[0]


def test_half_transparent_pixels_are_mixed() -> None:
    picture = read(written(Image.new("RGBA", (2, 2), (255, 0, 0, 128)), "WEBP", lossless=True))

    assert picture.image.getpixel((1, 1)) == (255, 127, 127)


def test_an_alpha_channel_without_transparency_is_not_worth_a_word() -> None:
    assert read(written(photograph().convert("RGBA"), "PNG")).warnings == ()


# --- more than eight bits ----------------------------------------------------------------------

RAMP = np.array([[0, 128, 129, 257], [4095, 32768, 65406, 65535]], np.uint16)


@pytest.mark.parametrize("big_endian", [False, True])
def test_16_bit_grey_tiff_is_scaled_and_rounded_not_clipped(big_endian: bool) -> None:
    picture = read(tiff(RAMP, big_endian=big_endian))

    assert np.array_equal(pixels(picture)[..., 2], np.floor(RAMP * (255 / 65535) + 0.5))
    assert picture.warnings == ("16-bit samples were scaled to 8 bits",)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("big_endian", [False, True])
def test_16_bit_grey_as_pillow_writes_it(compression: str | None, big_endian: bool) -> None:
    data = written(Image.fromarray(RAMP), "TIFF", compression=compression, big_endian=big_endian)

    assert np.array_equal(pixels(read(data))[..., 0], np.floor(RAMP * (255 / 65535) + 0.5))


def test_16_bit_grey_png_is_scaled_and_rounded() -> None:
    picture = read(written(Image.fromarray(RAMP), "PNG"))

    assert np.array_equal(pixels(picture)[..., 0], np.floor(RAMP * (255 / 65535) + 0.5))
    assert "16-bit" in picture.warnings[0]


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_declared_depth_in_a_16_bit_container_is_honoured(bits: int) -> None:
    samples = np.array([[0, 100], [2 ** (bits - 1), 2**bits - 1]], np.uint16)

    picture = read(tiff(samples, tags={281: (3, 2**bits - 1)}))

    assert np.array_equal(pixels(picture)[..., 0], np.floor(samples * (255 / (2**bits - 1)) + 0.5))


def test_a_maximum_that_is_only_a_statistic_does_not_stretch_the_contrast() -> None:
    samples = np.array([[0, 20000], [30000, 40000]], np.uint16)

    assert pixels(read(tiff(samples, tags={281: (3, 40000)}))).max() == round(40000 / 257)


def test_a_declared_depth_that_the_samples_exceed_is_not_believed() -> None:
    samples = np.array([[0, 4095], [30000, 65535]], np.uint16)

    assert pixels(read(tiff(samples, tags={281: (3, 4095)})))[0, 1, 0] == 16


def test_16_bit_grey_that_counts_from_white_is_turned_round() -> None:
    picture = read(tiff(RAMP, tags={262: (3, 0)}))

    assert np.array_equal(pixels(picture)[..., 0], 255 - np.floor(RAMP * (255 / 65535) + 0.5))


@pytest.mark.parametrize(("color", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_16_bit_colour_and_alpha_png_are_within_one_of_the_scaled_value(color: int, channels: int) -> None:
    """Pillow keeps the upper byte of each sample: at most one level below the rounded value."""
    samples = np.linspace(0, 65535, 4 * 3 * channels).astype(np.uint16).reshape(3, 4, channels)
    if color in (4, 6):
        samples[..., -1] = 65535
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)

    picture = read(png(4, 3, depth=16, color=color, rows=rows))

    grey_or_rgb = samples[..., : 1 if color == 4 else 3]
    assert np.abs(pixels(picture) - grey_or_rgb * (255 / 65535)).max() <= 1
    assert picture.warnings == ("16-bit samples were scaled to 8 bits",)


def test_a_16_bit_colour_key_does_not_break_the_picture() -> None:
    key = b"\0\0\0\x06tRNS" + b"\xff" * 6
    key += struct.pack(">I", zlib.crc32(key[4:]))
    rows = (b"\0" + b"\x80" * 24) * 3

    assert read(png(4, 3, depth=16, color=2, rows=rows, extra=key)).image.size == (4, 3)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_samples_whose_white_nobody_knows_are_refused_with_a_way_out(dtype: Any) -> None:
    data = written(Image.fromarray(np.ones((4, 4), dtype)), "TIFF")

    with pytest.raises(UnsupportedImage, match="convert the picture to 8 or 16 bits"):
        read(data)


# --- orientation -------------------------------------------------------------------------------


def turned(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return written(photograph(), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_or_ignored_in_every_format_alike(kind: str, orientation: int) -> None:
    """Pillow turns TIFFs by itself and others not; here the manifest alone decides."""
    data = turned(kind, orientation)
    stored = read(turned(kind, 1))
    exif = Image.Exif()
    exif[0x0112] = orientation
    tagged = stored.image.copy()
    tagged.info["exif"] = exif.tobytes()

    ignored, applied = read(data, KEEP), read(data, TURN)

    assert np.array_equal(pixels(ignored), pixels(stored))
    assert np.array_equal(pixels(applied), np.asarray(ImageOps.exif_transpose(tagged)))
    assert applied.warnings == ()
    assert [f"({orientation})" in warning for warning in ignored.warnings] == [True] * (orientation != 1)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns of it, and cannot be told not to
def test_broken_exif_around_a_good_picture_is_no_reason_to_refuse_it() -> None:
    data = written(photograph(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff nonsense")

    assert read(data, TURN).image.size == (61, 47)


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


# --- company -----------------------------------------------------------------------------------


def test_threads_do_not_disturb_each_other_and_no_global_is_touched() -> None:
    limit, warn_filters = Image.MAX_IMAGE_PIXELS, list(sys.modules["warnings"].filters)
    expected = {name: pixels(read(data)).tobytes() for name, data in SAMPLES.items()}
    names = [*SAMPLES] * 10

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: pixels(read(SAMPLES[name])).tobytes(), names))

    assert found == [expected[name] for name in names]
    assert limit == Image.MAX_IMAGE_PIXELS
    assert warn_filters == sys.modules["warnings"].filters


def test_the_picture_is_free_of_its_file() -> None:
    exif = Image.Exif()
    exif[0x0112] = 1

    picture = read(written(photograph(), "JPEG", exif=exif, icc_profile=b"x" * 999))

    assert type(picture.image) is Image.Image
    assert picture.image.info == {}


def test_real_photographs_are_read_as_pillow_reads_them(carcass_photographs: list[Path]) -> None:
    for path in carcass_photographs:
        data = path.read_bytes()

        picture = decode(data, geometry=KEEP, max_pixels=50_000_000)

        with Image.open(path) as reference:
            assert np.array_equal(np.asarray(picture.image), np.asarray(reference.convert("RGB")))
        assert (sniff(data), picture.width, picture.height, picture.warnings) == ("TIFF", 768, 574, ())
