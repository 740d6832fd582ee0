"""POST /explain: what the map says, whether the network needs it, and what is drawn; over a socket."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from support.bundles import write_random_bundle
from support.pictures import picture_file
from support.server import test_settings, threaded_server

from app.domain import MlpHead, RegionOfInterest, Resize, Size

PATIENT = {"deadline_ms": 30_000}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """`line` expects its evidence in the upper left quarter; `deep` has two layers after the pooling."""
    root = Path(tmp_path_factory.mktemp("models"))
    small = (Resize(Size(24, 32), "bilinear"),)
    write_random_bundle(
        root,
        name="line",
        steps=small,
        region_of_interest=RegionOfInterest(0.0, 0.0, 0.5, 0.5),
        display={"ko": {"castrate": "거세", "boar": "수퇘지", "female": "암"}},
    )
    write_random_bundle(root, name="deep", steps=small, head=MlpHead((8,)))
    with (
        threaded_server(test_settings(root, engine="torch")) as url,
        httpx.Client(base_url=url, timeout=60) as opened,
    ):
        yield opened


def explained(client: httpx.Client, picture: bytes | None = None, **query: Any) -> dict[str, Any]:
    response = client.post("/explain", params={"model": "line", **query}, content=picture or picture_file(1))
    assert response.status_code == 200, response.text
    explanation: dict[str, Any] = response.json()["explanation"]
    return explanation


def drawn(client: httpx.Client, **query: Any) -> Image.Image:
    response = client.post(
        "/explain",
        params={"model": "line", **query},
        content=picture_file(1),
        headers={"Accept": "image/png"},
    )
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.content)).convert("RGB")


@pytest.mark.parametrize("target", ["castrate", "boar", "female"])
def test_bias_rest_and_regions_add_up_to_the_logit(models: httpx.Client, target: str) -> None:
    explanation = explained(models, target=target)

    found = explanation["regions"]
    added = sum(region["contribution"] for region in found["regions"])
    logit = explanation["target"]["logit"]
    assert explanation["grid"]["bias"] + found["rest"] + added == pytest.approx(logit, rel=1e-4, abs=1e-4)
    assert (found["status"] == "ok") == bool(found["regions"])
    for region in found["regions"]:
        x0, y0, x1, y1 = region["box"]
        assert 0 <= x0 < x1 <= 160
        assert 0 <= y0 < y1 <= 120


def test_share_inside_the_region_of_interest_is_told(models: httpx.Client) -> None:
    here = explained(models)["regions"]
    nowhere = explained(models, model="deep")["regions"]

    assert here["region_of_interest"] == [0.0, 0.0, 0.5, 0.5]
    assert 0 <= here["share_inside"] <= 1
    assert (nowhere["region_of_interest"], nowhere["share_inside"]) == (None, None)


def test_sentence_uses_the_labels_of_each_language(models: httpx.Client) -> None:
    said = explained(models, target="boar")["sentence"]

    assert set(said) == {"en", "ko"}
    assert "boar" in said["en"]
    assert "수퇘지" in said["ko"]
    assert explained(models, method="eigencam")["sentence"] == {}


def test_cover_check_predicts_three_covered_pictures(models: httpx.Client) -> None:
    """The reply's sentence then says what covering did."""
    plain = explained(models)
    response = models.post(
        "/explain", params={"model": "line", "check": "cover", **PATIENT}, content=picture_file(1)
    ).json()
    cover = response["explanation"]["check"]["cover"]

    assert plain["check"] is None
    assert cover["probability"] == pytest.approx(response["probability"])
    others = [cover[name] for name in ("without_region", "only_region", "without_random")]
    assert all(0 <= probability <= 1 for probability in others)
    assert len({cover["probability"], *others}) == 4, "each is a prediction of its own"
    assert cover["verdict"] in {
        "lowers",
        "no_better_than_random",
        "hardly_changes",
        "raises",
        "nothing_to_lose",
    }
    assert response["explanation"]["sentence"]["en"] != plain["sentence"]["en"]


def test_full_check_compares_with_the_same_map_in_random_order(models: httpx.Client) -> None:
    check = explained(models, check="full", **PATIENT)["check"]["faithfulness"]

    whole = check["deletion"]["probabilities"][0]
    for name in ("deletion", "random_deletion"):
        assert check[name]["probabilities"][0] == pytest.approx(whole, abs=1e-6)
    for name in ("insertion", "random_insertion"):
        assert check[name]["probabilities"][-1] == pytest.approx(whole, abs=1e-6)
    assert check["deletion"]["fractions"][0] == 0
    assert check["deletion"]["fractions"][-1] == 1
    areas = [check[name]["area"] for name in check if name != "better_than_random"]
    assert all(0 <= area <= 1 for area in areas)


def test_same_picture_is_checked_the_same_way_twice(models: httpx.Client) -> None:
    first = explained(models, check="cover", **PATIENT)["check"]
    again = explained(models, check="cover", **PATIENT)["check"]

    assert first["cover"] == pytest.approx(again["cover"])


def test_alignment_moves_the_map_and_says_so(models: httpx.Client) -> None:
    looks = explained(models)["geometry"]
    laid = explained(models, align="half_pixel")["geometry"]

    assert (looks["align"], laid["align"]) == ("receptive_field", "half_pixel")
    scale_x, offset_x, _, _ = laid["cell_to_original"]
    assert (scale_x, offset_x) == (20.0, 0.0)
    assert looks["cell_to_original"][1] == pytest.approx((0.5 - 2) * 160 / 32)


@pytest.mark.parametrize(
    "query",
    [
        {"boxes": True},
        {"contours": "0.5,0.8"},
        {"legend": True},
        {"legend": True, "language": "ko"},
        {"normalization": "none", "full_scale": 0.01},
        {"align": "half_pixel"},
        {"classes": "all"},
        {"layers": "all"},
        {"feature_maps": "layer1", "k": 6},
        {"classes": "all", "layers": "all", "picture": "classes"},
    ],
)
def test_what_is_asked_for_is_drawn(models: httpx.Client, query: dict[str, Any]) -> None:
    plain = drawn(models)
    other = drawn(models, **query)

    assert plain.size == (160, 120)
    assert plain.size != other.size or (np.asarray(plain) != np.asarray(other)).any()


def test_legend_stands_below_and_leaves_the_picture_where_it_was(models: httpx.Client) -> None:
    plain, other = drawn(models), drawn(models, legend=True)

    assert other.height > plain.height
    assert (np.asarray(other)[:120] == np.asarray(plain)).all()
    korean = drawn(models, legend=True, language="ko")
    assert (np.asarray(korean) != np.asarray(other)).any()


def test_several_sheets_leave_the_overlay_unless_one_is_named(models: httpx.Client) -> None:
    both = {"classes": "all", "layers": "all"}

    assert drawn(models, **both).size == (160, 120)
    assert drawn(models, **both, picture="layers").size == drawn(models, layers="all").size


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"check": "cover", "view": "full"}, "check"),
        ({"check": "cover", "method": "eigencam"}, "check"),
        ({"normalization": "none"}, "full_scale"),
        ({"full_scale": 3.0}, "full_scale"),
        ({"contours": "half"}, "contours"),
        ({"contours": "2"}, "contours"),
        ({"contours": "nan"}, "contours"),
        ({"contours": "0.1,0.2,0.3,0.4,0.5,0.6"}, "contours"),
        ({"picture": "layers"}, "picture"),
        ({"layers": "all", "boxes": True}, "boxes"),
        ({"classes": "all", "legend": True, "contours": "0.5"}, "legend: "),
        ({"feature_maps": "layer1", "colormap": "viridis", "opacity": 0.3}, "colormap, opacity: "),
        (
            {"classes": "all", "feature_maps": "layer1", "picture": "feature_maps", "contours": "0.5"},
            "contours",
        ),
        ({"align": "left"}, "align"),
        ({"check": "all"}, "check"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(
    models: httpx.Client, query: dict[str, Any], word: str
) -> None:
    response = models.post("/explain", params={"model": "line", **query}, content=picture_file(1))

    assert response.status_code == 422, response.text
    assert word in response.json()["detail"]


@pytest.mark.parametrize("check", ["cover", "full"])
def test_flat_picture_has_nothing_to_cover_and_no_nan(models: httpx.Client, check: str) -> None:
    flat = io.BytesIO()
    Image.new("RGB", (160, 120), (128, 128, 128)).save(flat, "PNG")

    explanation = explained(models, flat.getvalue(), check=check, **PATIENT)

    assert explanation["check"] is not None
    assert "NaN" not in str(explanation)


def test_a_gradient_head_is_checked_too(models: httpx.Client) -> None:
    explanation = explained(models, model="deep", check="cover", **PATIENT)

    assert explanation["check"] is not None
    assert "the evidence for" not in explanation["sentence"]["en"]
