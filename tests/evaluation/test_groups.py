"""Days and cameras are taken only from what truly says one."""

from io import BytesIO

import pytest
from PIL import Image

from app.evaluation.groups import GroupOf, grouping


def photograph(stamp: str, original: str = "") -> bytes:
    tags = Image.Exif()
    tags[306] = stamp
    if original:
        tags.get_ifd(0x8769)[0x9003] = original
    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=tags)
    return buffer.getvalue()


def by(word: str) -> GroupOf:
    found = grouping(word)
    assert found is not None
    return found


@pytest.mark.parametrize("stamp", ["0000:00:00 00:00:00", "2021:02:30 08:00:00", "2021:13:01 08:00:00"])
def test_a_camera_without_a_clock_says_no_day(stamp: str) -> None:
    assert by("day")("2020-07-17_001.jpg", photograph(stamp)) == "2020-07-17"
    assert by("day")("001.jpg", photograph(stamp)) is None


def test_a_second_stamp_is_tried_where_the_first_is_none() -> None:
    data = photograph("2020:02:10 08:00:00", original="0000:00:00 00:00:00")

    assert by("day")("a.jpg", data) == "2020-02-10"


def test_a_number_that_is_no_day_is_none() -> None:
    assert by("day")("IMG_20200231.jpg", b"") is None
    assert by("day")("IMG_20200229.jpg", b"") == "2020-02-29"


@pytest.mark.parametrize(
    "name", ["camel/1.jpg", "camry 2.jpg", "campus/a.jpg", "cameras/1.jpg", "camellia9.jpg"]
)
def test_a_camel_is_no_camera(name: str) -> None:
    assert by("camera")(name, b"") is None


@pytest.mark.parametrize(
    ("name", "camera"),
    [
        ("cam2/1.jpg", "cam2"),
        ("x_CAM-left_1.jpg", "camleft"),
        ("camera 7a.jpg", "cam7a"),
        ("camera_b/1.jpg", "camb"),
    ],
)
def test_a_camera_in_the_name_is_taken(name: str, camera: str) -> None:
    assert by("camera")(name, b"") == camera
