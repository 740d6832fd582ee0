"""`lineside quantize`: the next version in int8, which answers as float32 does, or nothing at all."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.bundles import write_random_bundle
from support.painted import copy_demo, paint_folder
from support.pictures import damaged_file, picture_file
from support.server import test_settings, threaded_server
from typer.testing import CliRunner

from app.bundles.repository import open_bundle
from app.cli.main import app
from app.cli.quantize import notes_on, on_classes

run = CliRunner()


def quantize(models: Path, *options: str, bundle: str = "carcass-demo/1") -> tuple[int, dict[str, Any]]:
    """Exit code and the JSON."""
    result = run.invoke(app, ["quantize", bundle, "--models", str(models), "--json", *options])
    return result.exit_code, json.loads(result.stdout)


def verify(models: Path, bundle: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the JSON, on the engine that the server would take."""
    result = run.invoke(app, ["verify", bundle, "--models", str(models), "--device", "cpu", "--json"])
    return result.exit_code, json.loads(result.stdout)


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below, and every folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


@dataclass(frozen=True)
class Made:
    """What the command made of the demo model."""

    models: Path
    pictures: Path
    """24 painted ones and a damaged one."""
    before: dict[str, bytes]
    """Version 1, as it was."""
    report: dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def _auto() -> Iterator[None]:
    """The precision that a server takes by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINESIDE_PRECISION", "auto")
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    room = tmp_path_factory.mktemp("quantize")
    first = copy_demo(room / "models")
    pictures = paint_folder(room / "pictures", each=8)
    (pictures / "boar" / "cut.jpg").write_bytes(damaged_file())
    before = everything(first)
    code, report = quantize(room / "models", "--images", str(pictures))
    assert code == 0, report
    return Made(room / "models", pictures, before, report)


def test_it_is_the_next_version_and_the_first_is_as_it_was(made: Made) -> None:
    model = made.models / "carcass-demo"

    assert made.report["result"]["model"]["version"] == 2
    assert sorted(entry.name for entry in model.iterdir()) == ["1", "2"]
    assert everything(model / "1") == made.before
    first, second = open_bundle(model / "1"), open_bundle(model / "2")
    assert second.weights_path.read_bytes() == first.weights_path.read_bytes()
    assert first.golden is not None
    assert second.golden is not None
    assert second.golden.logits().tolist() == first.golden.logits().tolist()
    assert second.golden.made_with == first.golden.made_with


def test_half_of_the_pictures_calibrate_and_the_others_compare(made: Made) -> None:
    pictures = made.report["pictures"]

    assert (pictures["calibration"], pictures["comparison"], pictures["are_halves"]) == (12, 12, True)
    assert [Path(each["file"]).name for each in pictures["failed"]] == ["cut.jpg"]


def test_the_manifest_records_what_was_measured_and_keeps_its_comments(made: Made) -> None:
    folder, result = made.models / "carcass-demo" / "2", made.report["result"]
    manifest = open_bundle(folder).manifest
    table = manifest.quantization

    assert table is not None
    assert (table.kind, table.sha256, table.images) == ("int8", result["sha256"], 24)
    assert table.agreement == pytest.approx(result["agreement"], abs=1e-6)
    assert table.drift == pytest.approx(result["drift"], abs=1e-6)
    assert table.agreement >= 0.99
    assert 0 < table.drift <= 0.1
    assert manifest.golden.tolerance == 0.1
    assert manifest.golden.images == 9
    text = (folder / "model.toml").read_text("utf-8")
    assert "# in the order of the head's outputs" in text
    assert "0.02 before it was quantised" in text


def test_the_evidence_is_exactly_what_the_logits_are_the_mean_of(made: Made) -> None:
    """Allowed is 1e-3 of the largest logit; the last layer and the averaging are float32."""
    assert made.report["result"]["sum_rule_error"] < 1e-5


def test_the_numbers_take_less_than_half_the_room(made: Made) -> None:
    folder = made.models / "carcass-demo" / "2" / "openvino"

    assert {path.name for path in folder.iterdir()} == {"int8.xml", "int8.bin", "int8.json"}
    assert (folder / "int8.bin").stat().st_size < (folder.parent / "weights.safetensors").stat().st_size / 2


def test_it_serves_in_int8_and_names_the_classes_that_float32_names(made: Made) -> None:
    files = [path for path in sorted(made.pictures.rglob("*.jpg")) if path.name != "cut.jpg"][::3]
    with threaded_server(test_settings(made.models)) as url:
        model = httpx.get(f"{url}/models/carcass-demo").json()
        first = httpx.get(f"{url}/models/carcass-demo", params={"version": 1}).json()
        answers = [
            [
                httpx.post(
                    f"{url}/predict", params={"version": version}, content=path.read_bytes(), timeout=60
                ).json()
                for path in files
            ]
            for version in (1, 2)
        ]

    assert (model["state"], model["version"], model["precision"]) == ("ready", 2, "int8")
    assert model["quantization"] == {
        "kind": "int8",
        "images": 24,
        "agreement": pytest.approx(made.report["result"]["agreement"], abs=1e-6),
        "drift": pytest.approx(made.report["result"]["drift"], abs=1e-6),
    }
    assert (first["precision"] == "int8", first["quantization"]) == (False, None)
    float32, int8 = ([reply["class"] for reply in replies] for replies in answers)
    assert int8 == float32
    assert len(set(int8)) == 3
    logits = [[reply["top_k"][0]["logit"] for reply in replies] for replies in answers]
    assert logits[0] != logits[1]


def test_verify_shows_the_quantisation(made: Made) -> None:
    code, report = verify(made.models, "carcass-demo")
    shown = run.invoke(app, ["verify", "carcass-demo", "--models", str(made.models), "--device", "cpu"])

    assert (code, report["engine"]["precision"]) == (0, "int8")
    assert report["quantization"]["sha256"] == made.report["result"]["sha256"]
    assert "quantised to int8 with 24 pictures" in shown.output


def flip_a_number(version: Path) -> None:
    path = version / "openvino" / "int8.bin"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def take_other_weights(version: Path) -> None:
    """Of the same architecture; without golden images only the form itself can tell."""
    other = write_random_bundle(version.parent.parent.parent / "other")
    shutil.copyfile(other.weights_path, version / "weights.safetensors")
    shutil.rmtree(version / "golden")
    path = version / "model.toml"
    path.write_text(
        re.sub(r"\nimages = \d+  # so many lie in golden/.*", "", path.read_text("utf-8")), "utf-8"
    )


def name_another_graph(version: Path) -> None:
    path = version / "model.toml"
    path.write_text(re.sub('sha256 = "[0-9a-f]{8}', 'sha256 = "00000000', path.read_text("utf-8")), "utf-8")


def lose_the_form(version: Path) -> None:
    shutil.rmtree(version / "openvino")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (flip_a_number, "`openvino/int8` is damaged: its SHA-256 differs"),
        (take_other_weights, "was made of other weights"),
        (name_another_graph, "is not the network that [quantization] names"),
        (lose_the_form, "`openvino/int8.json` is missing"),
    ],
)
def test_a_version_that_is_not_whole_is_refused_with_the_reason(
    change: Callable[[Path], None], words: str, made: Made, tmp_path: Path
) -> None:
    version = tmp_path / "models" / "carcass-demo" / "2"
    shutil.copytree(made.models / "carcass-demo" / "2", version)
    change(version)

    code, report = verify(tmp_path / "models", "carcass-demo/2")

    assert (code, report["status"]) == (1, "refused")
    assert words in report["reason"]


def test_fewer_than_ten_to_calibrate_with_are_refused(made: Made) -> None:
    """Of eight, sixteen pictures calibrated and were compared as well, however many others lay beside them."""
    asked = ["carcass-demo", "--models", str(made.models), "--images", str(made.pictures)]

    ended = run.invoke(app, ["quantize", *asked, "--calibration-images", "9"])

    assert ended.exit_code == 2
    assert "--calibration-images" in ended.output


def test_beyond_the_bounds_it_is_refused_with_the_figures_and_nothing_is_left(
    made: Made, tmp_path: Path
) -> None:
    copy_demo(tmp_path)
    before = everything(tmp_path)

    code, report = quantize(tmp_path, "--images", str(made.pictures), "--largest-drift", "0.0001")

    assert (code, report["status"], report["result"]) == (1, "refused", None)
    assert re.search(r"of 12 pictures .* differs by up to 0\.\d+ \(at most 0\.0001 may\)", report["reason"])
    assert "--calibration-images" in report["reason"]
    assert everything(tmp_path) == before


def test_a_bundle_that_was_changed_is_not_given_new_golden_images(made: Made, tmp_path: Path) -> None:
    """The change is small enough for the tolerance, and still one."""
    manifest = copy_demo(tmp_path) / "model.toml"
    manifest.write_text(manifest.read_text("utf-8").replace('"1/255"', '"1/254"'), "utf-8")
    before = everything(tmp_path)

    code, report = quantize(tmp_path, "--images", str(made.pictures))

    assert (code, report["status"]) == (1, "refused")
    assert "golden images" in report["reason"]
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--images", "{few}"], "9 pictures can be read in few/ (1 are damaged), and at least 10 are needed"),
        (["--images", "{few}/nowhere"], "is not a folder of pictures"),
        (["--images", "{few}", "--out", "{models}/carcass-demo/1"], "exists already"),
    ],
)
def test_what_cannot_be_carried_out_ends_with_code_2(
    options: list[str], words: str, made: Made, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for number in range(9):
        (few / f"{number}.png").write_bytes(picture_file(number, "PNG"))
    (few / "cut.jpg").write_bytes(damaged_file())
    places = {"few": str(few), "models": str(made.models)}

    code, report = quantize(made.models, *(option.format(**places) for option in options))

    assert (code, report["status"]) == (2, "invalid")
    assert words in report["reason"]
    assert sorted(entry.name for entry in (made.models / "carcass-demo").iterdir()) == ["1", "2"]


def test_without_nncf_no_picture_is_decoded(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six hundred of twelve megapixels took minutes before that was said."""
    monkeypatch.setitem(sys.modules, "nncf", None)

    code, report = quantize(made.models, "--images", str(made.pictures))

    assert (code, report["status"], report["pictures"]) == (2, "invalid", None)
    assert "pip install 'lineside[quantize]'" in report["reason"]


def test_quantising_a_quantised_version_again_is_told(made: Made) -> None:
    """The newest version is taken, so the command twice in a row does that."""
    first, second = (open_bundle(made.models / "carcass-demo" / version) for version in "12")

    assert notes_on(first, made.report["result"]["sha256"]) == ()
    (same,) = notes_on(second, made.report["result"]["sha256"])
    assert "made of carcass-demo/2, which computes exactly the same" in same
    (other,) = notes_on(second, "0" * 64)
    assert "made of carcass-demo/2, which is quantised too" in other


@pytest.mark.slow
def test_the_same_pictures_give_the_same_numbers(made: Made, tmp_path: Path) -> None:
    place = tmp_path / "models" / "other" / "5"

    code, report = quantize(made.models, "--images", str(made.pictures), "--out", str(place))

    assert code == 0
    first = made.models / "carcass-demo" / "2"
    numbers = "openvino/int8.bin"
    assert (place / numbers).read_bytes() == (first / numbers).read_bytes()
    assert report["result"]["drift"] == made.report["result"]["drift"]
    assert report["result"]["model"]["name"] == "other"


@pytest.mark.slow
def test_few_pictures_are_measured_and_compared_on_together_and_it_says_so(
    made: Made, tmp_path: Path
) -> None:
    copy_demo(tmp_path)
    few = tmp_path / "few"
    few.mkdir()
    for path in [path for path in sorted(made.pictures.rglob("*.jpg")) if path.name != "cut.jpg"][:12]:
        shutil.copyfile(path, few / f"{path.parent.name}-{path.name}")

    shown = run.invoke(app, ["quantize", "carcass-demo", "--models", str(tmp_path), "--images", str(few)])

    assert shown.exit_code == 0, shown.output
    assert "the same 12 pictures to calibrate with and to compare on" in " ".join(shown.output.split())
    assert "quantised carcass-demo/2" in shown.output


def test_model_with_a_number_for_a_name_has_a_next_version_too(tmp_path: Path) -> None:
    write_random_bundle(tmp_path, name="2024")
    (tmp_path / "pictures").mkdir()
    _, report = quantize(tmp_path, "--images", str(tmp_path / "pictures"), bundle="2024")

    assert "exists already" not in report["reason"]
    assert "picture" in report["reason"]


def test_class_that_no_compared_picture_shows_is_told() -> None:
    """int8 was compared on the others alone."""
    classes = ("castrate", "boar", "female")

    assert on_classes(classes, {0, 1, 2}) == ()
    (note,) = on_classes(classes, {1})
    assert "none of the compared pictures `castrate` and `female`" in note
