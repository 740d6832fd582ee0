"""POST /explain: the prediction's own evidence, over a socket."""

import base64
import io

import httpx
import numpy as np
import pytest
from PIL import Image
from support.pictures import picture_file, pixels

PICTURES = [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/webp", "WEBP")]


def test_reply_is_the_prediction_and_its_explanation(client: httpx.Client) -> None:
    """The numbers obey the rule that the reply states."""
    predicted = client.post("/predict", content=picture_file(1)).json()
    reply = client.post("/explain", content=picture_file(1)).json()

    assert [*predicted, "explanation"] == list(reply)
    assert reply["top_k"] == predicted["top_k"]
    explanation = reply["explanation"]
    assert explanation["method"] == "cam"
    assert explanation["evidence"] == "exact"
    assert explanation["exact"] is True
    assert explanation["equivalent_to"] == ["gradcam", "hirescam", "xgradcam"]
    assert explanation["layer"] == "layer3"
    assert explanation["target"]["class"] == reply["class"]
    grid = explanation["grid"]
    values = np.array(grid["values"])
    assert list(values.shape) == grid["shape"] == [12, 16]
    assert grid["rule"] == "logit = bias + mean(values)"
    assert grid["bias"] + values.mean() == pytest.approx(explanation["target"]["logit"], rel=1e-5)
    assert grid["positive_fraction"] == pytest.approx((values > 0).mean())
    assert (grid["unit"], grid["status"]) == ("logit", "ok")
    assert (explanation["view"], explanation["warnings"]) == ("input", [])
    assert [explanation[part] for part in ("classes", "layers", "feature_maps")] == [None, None, None]
    geometry = explanation["geometry"]
    assert geometry["input"] == [48, 64]
    assert geometry["original"] == [120, 160]
    # The first cell of four input pixels looks at the middle of the first one; 2.5 picture pixels to each.
    assert geometry["align"] == "receptive_field"
    assert geometry["cell_to_original"] == pytest.approx([10, -3.75, 10, -3.75])
    assert geometry["field_of_view"] == pytest.approx([0, 0, 160, 120])


@pytest.mark.parametrize("index", [0, 1, 2])
def test_any_class_can_be_the_target_by_name_or_by_index(client: httpx.Client, index: int) -> None:
    """The class itself stays the predicted one; the map is the target's."""
    name = ["castrate", "boar", "female"][index]
    by_name = client.post("/explain", params={"target": name}, content=picture_file(1)).json()
    by_index = client.post("/explain", params={"target": index}, content=picture_file(1)).json()

    assert by_name["explanation"]["target"]["class_index"] == index
    assert by_index["explanation"]["grid"] == by_name["explanation"]["grid"]
    assert by_name["class"] == client.post("/predict", content=picture_file(1)).json()["class"]


@pytest.mark.parametrize(("media_type", "file_format"), PICTURES)
def test_accept_gives_the_overlays_bytes(client: httpx.Client, media_type: str, file_format: str) -> None:
    """No base64, and the class in headers, so that nothing is lost."""
    response = client.post("/explain", content=picture_file(1), headers={"Accept": media_type})

    assert response.headers["content-type"] == media_type
    drawn = Image.open(io.BytesIO(response.content))
    assert (drawn.format, drawn.size) == (file_format, (160, 120))
    assert response.headers["lineside-class"] in {"castrate", "boar", "female"}
    assert 0 <= float(response.headers["lineside-probability"]) <= 1
    assert response.headers["lineside-model"] == "line/1"


@pytest.mark.parametrize("name", ["jpeg", "png", "webp"])
def test_format_is_the_overlays_inside_json(client: httpx.Client, name: str) -> None:
    """Base64 in `cam`."""
    reply = client.post(f"/explain?format={name}", content=picture_file(1)).json()

    drawn = Image.open(io.BytesIO(base64.b64decode(reply["cam"]["data"])))
    assert reply["cam"]["media_type"] == f"image/{name}"
    assert drawn.format == name.upper()


def test_accept_npy_gives_the_map_itself(client: httpx.Client) -> None:
    """float32, signed, in logit units: the grid of the JSON reply."""
    reply = client.post("/explain?target=boar", content=picture_file(1)).json()
    response = client.post(
        "/explain?target=boar", content=picture_file(1), headers={"Accept": "application/x-npy"}
    )

    array = np.load(io.BytesIO(response.content), allow_pickle=False)
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, reply["explanation"]["grid"]["values"], rtol=1e-6)


def test_opacity_zero_is_the_plain_picture(client: httpx.Client) -> None:
    """What the page lays the map upon; PNG is exact."""
    response = client.post(
        "/explain?opacity=0", content=picture_file(1, "PNG"), headers={"Accept": "image/png"}
    )

    assert np.array_equal(np.asarray(Image.open(io.BytesIO(response.content))), pixels(1))


@pytest.mark.parametrize("option", ["colormap=jet", "normalization=signed", "opacity=0.9"])
def test_every_drawing_option_changes_the_picture(client: httpx.Client, option: str) -> None:
    """A knob that does nothing is a defect."""
    # Of the most probable class there is positive evidence to draw.
    plain, changed = (
        client.post(f"/explain?{query}", content=picture_file(1), headers={"Accept": "image/png"}).content
        for query in ("top_k=1", option)
    )

    assert plain != changed


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", "application/json"),
        ("image/*", "image/jpeg"),
        ("image/webp;q=0.5, image/png", "image/png"),
        ("text/html, application/json;q=0.9, */*;q=0.8", "application/json"),
        ("application/json;q=0, */*", "image/jpeg"),
    ],
)
def test_accept_is_weighed_as_the_rfc_says(client: httpx.Client, accept: str, expected: str) -> None:
    """RFC 9110, 12.5.1."""
    response = client.post("/explain", content=picture_file(1), headers={"Accept": accept})

    assert response.headers["content-type"] == expected


def test_lines_of_accept_are_one_list(client: httpx.Client) -> None:
    """Java and some proxies write one for each type."""
    lines = [("Accept", "text/html"), ("Accept", "image/png;q=0.5"), ("Accept", "image/webp;q=0.9")]
    response = client.post("/explain", content=picture_file(1), headers=lines)

    assert (response.status_code, response.headers["content-type"]) == (200, "image/webp")


@pytest.mark.parametrize("parameter", ["target", "against", "classes"])
@pytest.mark.parametrize("target", ["sow", "3", "-1", "²", "1" * 5000], ids=lambda target: target[:8])
def test_unknown_class_lists_those_that_exist(client: httpx.Client, parameter: str, target: str) -> None:
    """422 unknown_class, however long; Python itself reads no number of 5,000 digits."""
    response = client.post("/explain", params={parameter: target}, content=picture_file(1))

    assert response.status_code == 422
    assert response.json()["code"] == "unknown_class"
    assert "castrate, boar, female" in response.json()["detail"]
    assert len(response.json()["detail"]) < 200
