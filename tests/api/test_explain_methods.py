"""POST /explain: every method, target, layer and view, over a socket."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from support.bundles import write_random_bundle
from support.pictures import picture_file
from support.server import test_settings, threaded_server

from app.domain import Crop, MlpHead, Resize, ResizeShorter, Size

CLASSES = ["castrate", "boar", "female"]
METHODS = ["cam", "gradcam", "hirescam", "xgradcam", "gradcam++", "layercam", "eigencam"]
CROPPED = (ResizeShorter(60, "bilinear"), Crop(Size(48, 48), "center"))


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """`line` has a linear head, `deep` two layers after the pooling, `cropped` loses the picture's borders, `many`
    has a class more than a sheet shows.
    """
    root = Path(tmp_path_factory.mktemp("models"))
    small = (Resize(Size(24, 32), "bilinear"),)
    write_random_bundle(root, name="line", steps=small)
    write_random_bundle(root, name="deep", steps=small, head=MlpHead((8,)))
    write_random_bundle(root, name="cropped", steps=CROPPED)
    write_random_bundle(root, name="many", steps=small, classes=[f"class-{n}" for n in range(65)])
    settings = test_settings(root, max_view_megapixels=0.01, engine="torch")
    with threaded_server(settings) as url, httpx.Client(base_url=url, timeout=60) as opened:
        yield opened


def explained(client: httpx.Client, picture: bytes | None = None, **query: Any) -> dict[str, Any]:
    query.setdefault("model", "line")
    response = client.post("/explain", params=query, content=picture or picture_file(1))
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


def refused(client: httpx.Client, **query: Any) -> str:
    query.setdefault("model", "line")
    response = client.post("/explain", params=query, content=picture_file(1))
    assert response.status_code == 422, response.text
    detail: str = response.json()["detail"]
    return detail


def values(grid: dict[str, Any]) -> np.ndarray:
    return np.array(grid["values"])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_answered(several: httpx.Client, method: str) -> None:
    """With numbers, and a rule only where one holds."""
    explanation = explained(several, method=method)["explanation"]

    assert explanation["method"] == method
    assert np.isfinite(values(explanation["grid"])).all()
    is_cam = method in METHODS[:4]
    assert explanation["exact"] is is_cam
    assert set(explanation["equivalent_to"]) == (set(METHODS[:4]) - {method} if is_cam else set())
    assert (explanation["grid"]["rule"] is None) is not is_cam
    assert (explanation["grid"]["bias"] is None) is not is_cam
    assert explanation["grid"]["unit"] == ("activation" if method == "eigencam" else "logit")


def test_no_method_changes_the_prediction(several: httpx.Client) -> None:
    """To the last digit, whatever is asked; /predict as well."""
    plain = several.post("/predict?model=line", content=picture_file(1)).json()["top_k"]

    for query in (
        {"method": "layercam"},
        {"layers": "all"},
        {"feature_maps": "layer1"},
        {"classes": "all"},
        {"view": "full"},
    ):
        assert explained(several, **query)["top_k"] == plain
    assert several.post("/predict?model=line", content=picture_file(1)).json()["top_k"] == plain


def test_contrast_splits_the_margin(several: httpx.Client) -> None:
    """The difference of two maps, adding up to the difference of two logits."""
    explanation = explained(several, target="boar", against="female")["explanation"]
    boar, female = (explained(several, target=each)["explanation"] for each in ("boar", "female"))

    grid, target = explanation["grid"], explanation["target"]
    assert (target["class"], target["score"], target["against"]["class"]) == ("boar", "margin", "female")
    assert grid["rule"] == "margin = bias + mean(values)"
    margin = target["logit"] - target["against"]["logit"]
    assert grid["bias"] + values(grid).mean() == pytest.approx(margin, abs=1e-4)
    np.testing.assert_allclose(values(grid), values(boar["grid"]) - values(female["grid"]), atol=1e-4)


def test_against_the_predicted_class_is_refused(several: httpx.Client) -> None:
    """Its margin to itself is nothing."""
    predicted = explained(several)["class"]

    assert f"against: {predicted} is the predicted class" in refused(several, against=predicted)


def test_probability_is_explained_to_first_order(several: httpx.Client) -> None:
    """No rule is claimed; over all classes the maps cancel, as probabilities add up to one."""
    grids = [explained(several, target=each, score="probability")["explanation"]["grid"] for each in CLASSES]

    assert {grid["unit"] for grid in grids} == {"probability"}
    assert {grid["rule"] for grid in grids} == {None}
    assert np.abs(sum(values(grid) for grid in grids)).max() < 1e-5


def test_classes_come_with_one_scale(several: httpx.Client) -> None:
    """The maps that each target has alone."""
    shown = explained(several, classes="all")["explanation"]["classes"]

    assert [each["target"]["class"] for each in shown["maps"]] == CLASSES
    for each in shown["maps"]:
        alone = explained(several, target=each["target"]["class"])["explanation"]
        assert each["grid"] == alone["grid"]
    assert shown["scale"] == pytest.approx(max(np.abs(values(each["grid"])).max() for each in shown["maps"]))
    best = explained(several, classes="top2", top_k=2)
    assert [each["target"] for each in best["explanation"]["classes"]["maps"]] == best["top_k"]
    named = explained(several, classes="2,castrate")["explanation"]["classes"]["maps"]
    assert [each["target"]["class_index"] for each in named] == [2, 0]


@pytest.mark.parametrize("accept", ["application/json", "image/jpeg", "image/webp", "application/x-npy"])
def test_more_classes_than_a_sheet_shows_are_refused_before_the_picture_is_read(
    several: httpx.Client, accept: str
) -> None:
    """With what to ask for, which is answered."""
    headers = {"Accept": accept}

    for asked in ("all", "top65"):
        response = several.post(
            "/explain", params={"model": "many", "classes": asked}, content=b"no picture", headers=headers
        )
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
        assert "classes: up to 64 maps at once, not 65; ask for top64" in response.json()["detail"]

    answered = several.post("/explain?model=many&classes=top64", content=picture_file(1), headers=headers)
    assert (answered.status_code, answered.headers["content-type"]) == (200, accept)


@pytest.mark.parametrize(("method", "expected"), [(None, "layercam"), ("hirescam", "hirescam")])
def test_layers_come_from_the_picture_on(several: httpx.Client, method: str | None, expected: str) -> None:
    """Each with its own grid and place; HiResCAM of the last layer is the map itself."""
    query = {"layers": "all"} | ({} if method is None else {"method": method})
    explanation = explained(several, **query)["explanation"]

    layers = explanation["layers"]
    assert layers["method"] == expected
    assert [each["layer"] for each in layers["maps"]] == ["layer1", "layer2", "layer3"]
    assert [each["grid"]["shape"] for each in layers["maps"]] == [[24, 32], [12, 16], [6, 8]]
    assert layers["maps"][0]["cell_to_original"] == pytest.approx([5, 0, 5, 0])
    assert layers["maps"][2]["cell_to_original"] == explanation["geometry"]["cell_to_original"]
    assert explanation["method"] == "cam"
    if method == "hirescam":
        np.testing.assert_allclose(
            values(layers["maps"][2]["grid"]), values(explanation["grid"]), rtol=1e-4, atol=1e-4
        )


def test_gradcam_of_early_layers_warns(several: httpx.Client) -> None:
    """It is given, and called misleading."""
    explanation = explained(several, layers="layer1", method="gradcam")["explanation"]

    assert "prefer layercam" in explanation["warnings"][0]


def test_feature_maps_are_ranked_by_contribution(several: httpx.Client) -> None:
    """All channels of the last layer together give the logit without its bias."""
    explanation = explained(several, feature_maps="layer3", k=5)["explanation"]

    shown = explanation["feature_maps"]
    contributions = [each["contribution"] for each in shown["channels"]]
    assert (shown["layer"], shown["shape"], shown["channel_count"]) == ("layer3", [6, 8], 64)
    assert len(contributions) == 5
    assert contributions == sorted(contributions, reverse=True)
    grid = explanation["grid"]
    assert shown["total"] == pytest.approx(explanation["target"]["logit"] - grid["bias"], rel=1e-4)
    assert np.array(shown["channels"][0]["values"]).shape == (6, 8)


def test_view_full_is_the_whole_picture_at_the_same_scale(several: httpx.Client) -> None:
    """The middle of it is close to the usual map, its mean is the logit, and it lies on all of the picture."""
    usual = explained(several, model="cropped")["explanation"]
    reply = explained(several, model="cropped", view="full", target=usual["target"]["class"])

    explanation, geometry = reply["explanation"], reply["explanation"]["geometry"]
    assert explanation["view"] == "full"
    assert geometry["input"] == [60, 80]
    assert geometry["field_of_view"] == pytest.approx([0, 0, 160, 120])
    assert geometry["cell_to_original"] == pytest.approx([8, -3, 8, -3])
    assert explanation["grid"]["shape"] == [15, 20]
    assert usual["geometry"]["field_of_view"] == pytest.approx([32, 12, 128, 108], abs=2)
    grid = explanation["grid"]
    assert grid["bias"] == pytest.approx(usual["grid"]["bias"], abs=1e-4)
    assert grid["bias"] + values(grid).mean() == pytest.approx(explanation["target"]["logit"], abs=1e-4)
    assert reply["batch_size"] == 1
    inner = values(grid)[4:11, 6:14].ravel()
    assert np.corrcoef(inner, values(usual["grid"])[2:9, 2:10].ravel())[0, 1] > 0.5


def test_view_of_a_picture_too_large_names_the_knob(several: httpx.Client) -> None:
    """LINESIDE_MAX_VIEW_MEGAPIXELS; a long picture at the same scale is large."""
    long = picture_file(1, width=800, height=120)

    response = several.post("/explain?model=cropped&view=full", content=long)

    assert (response.status_code, response.json()["code"]) == (413, "image_too_large")
    assert "400 x 60 pixels" in response.json()["detail"]
    assert "LINESIDE_MAX_VIEW_MEGAPIXELS" in response.json()["detail"]


def test_head_without_a_cam_says_what_it_gives(several: httpx.Client) -> None:
    """Two linear layers after the pooling: its gradient is Grad-CAM, HiResCAM and XGrad-CAM in one."""
    explanation = explained(several, model="deep")["explanation"]

    assert (explanation["method"], explanation["exact"], explanation["evidence"]) == (
        "gradcam",
        False,
        "gradient",
    )
    assert explanation["equivalent_to"] == ["hirescam", "xgradcam"]
    detail = refused(several, model="deep", method="cam")
    assert "cannot give cam; it gives gradcam, hirescam, xgradcam, gradcam++, layercam, eigencam" in detail
    assert "a head that averages its cells" in refused(several, model="deep", view="full")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"layers": "layer9"}, "it has layer1, layer2, layer3"),
        ({"feature_maps": "fc"}, "it has layer1, layer2, layer3"),
        (
            {"method": "scorecam"},
            "'cam', 'gradcam', 'hirescam', 'xgradcam', 'gradcam++', 'layercam' or 'eigencam'",
        ),
        ({"against": "sow"}, "castrate, boar, female"),
        ({"classes": "boar,sow"}, "castrate, boar, female"),
        ({"k": "0", "feature_maps": "layer1"}, "k"),
    ],
)
def test_unknown_names_are_refused_with_those_that_exist(
    several: httpx.Client, query: dict[str, str], words: str
) -> None:
    assert words in refused(several, **query)


@pytest.mark.parametrize(
    ("query", "shape"),
    [
        ({}, (6, 8)),
        ({"target": "boar", "against": "0"}, (6, 8)),
        ({"classes": "all"}, (3, 6, 8)),
        ({"layers": "layer1"}, (24, 32)),
        ({"feature_maps": "layer2", "k": "4"}, (4, 12, 16)),
    ],
)
def test_numpy_file_holds_what_was_asked_for(
    several: httpx.Client, query: dict[str, str], shape: tuple[int, ...]
) -> None:
    """Several maps of one size are stacked."""
    params = {"model": "line"} | query
    headers = {"Accept": "application/x-npy"}

    response = several.post("/explain", params=params, content=picture_file(1), headers=headers)

    array = np.load(io.BytesIO(response.content), allow_pickle=False)
    assert (array.shape, array.dtype) == (shape, np.float32)


@pytest.mark.parametrize("query", ["layers=all", "classes=all&feature_maps=layer1"])
def test_numpy_file_of_maps_that_differ_in_size_is_refused(several: httpx.Client, query: str) -> None:
    response = several.post(
        f"/explain?model=line&{query}", content=picture_file(1), headers={"Accept": "application/x-npy"}
    )

    assert response.status_code == 422
    assert "or take JSON" in response.json()["detail"]


@pytest.mark.parametrize("method", METHODS)
def test_flat_picture_gives_numbers(several: httpx.Client, method: str) -> None:
    """JSON has no NaN, and the overlay is drawn."""
    flat = picture_file(1, "PNG", width=1, height=1)

    reply = explained(several, flat, method=method)

    assert np.isfinite(values(reply["explanation"]["grid"])).all()
    assert reply["cam"]["data"]


def test_model_tells_what_can_be_asked(several: httpx.Client) -> None:
    """GET /models/{name}."""
    line, deep = (several.get(f"/models/{name}").json() for name in ("line", "deep"))

    assert line["methods"] == METHODS
    assert line["layers"] == ["layer1", "layer2", "layer3"]
    assert line["can_view_full"] is True
    assert deep["methods"] == ["gradcam", "hirescam", "xgradcam", "gradcam++", "layercam", "eigencam"]
    assert deep["can_view_full"] is False


def test_eight_callers_with_different_targets_get_their_own_maps(several: httpx.Client) -> None:
    """Batches form as they will: to rounding what one caller gets, and never another's class, layer or picture."""
    queries = [
        {"target": CLASSES[n % 3], "method": METHODS[1 + n % 5]}
        | ({"layers": "all", "method": "layercam"} if n % 3 == 0 else {})
        for n in range(40)
    ]

    def answered(number: int) -> dict[str, Any]:
        found = explained(several, picture_file(number % 4), **queries[number])
        shown: dict[str, Any] = found["explanation"]
        return shown

    alone = [answered(n) for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(answered, range(40)))

    for one, other in zip(together, alone, strict=True):
        assert one["target"]["class"] == other["target"]["class"]
        pairs = [(one["grid"], other["grid"])]
        if other["layers"] is not None:
            pairs += [
                (x["grid"], y["grid"])
                for x, y in zip(one["layers"]["maps"], other["layers"]["maps"], strict=True)
            ]
        for found, expected in pairs:
            tolerance = 1e-5 * max(np.abs(values(expected)).max(), 1e-3)
            np.testing.assert_allclose(values(found), values(expected), rtol=1e-4, atol=tolerance)
