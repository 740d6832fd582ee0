"""Promises of decoding: which files are read, and to which pixels."""

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, TiffImagePlugin
from support.files_by_hand import KEEP, LOSSLESS, TURN, photograph, pixels, read, tiff, written

from app.domain import Geometry
from app.images.decode import decode
from app.images.sniff import sniff

# --- what is read ------------------------------------------------------------------------------


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


# --- company -----------------------------------------------------------------------------------
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
