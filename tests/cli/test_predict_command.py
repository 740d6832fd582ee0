"""`lineside predict`, `models`, `architectures`: what the server would have said, in files and tables."""

import csv
import hashlib
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import httpx
import pytest
from PIL import Image
from support.bundles import CLASSES, write_random_bundle
from support.pictures import damaged_file, picture_file
from support.server import test_settings, threaded_server
from typer.testing import CliRunner

from app.cli.main import app
from app.cli.overlay_files import overlay_names
from app.errors import InvalidRequest, NotReady

run = CliRunner()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_random_bundle(root)
    return root


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def labelled_folder(root: Path) -> Path:
    for index, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for number, (kind, suffix) in enumerate(
            [("JPEG", "jpg"), ("PNG", "png"), ("TIFF", "TIF"), ("WEBP", "webp")]
        ):
            (root / name / f"p{number}.{suffix}").write_bytes(picture_file(10 * index + number, kind))
    (root / "notes.txt").write_text("not a picture")
    return root


def test_labelled_folder_gives_predictions_and_a_summary(repository: Path, tmp_path: Path) -> None:
    """Twelve pictures in class folders: the same answers as over HTTP, and figures that follow from them."""
    pictures = labelled_folder(tmp_path / "pictures")
    out = tmp_path / "out"

    result = run.invoke(app, ["predict", str(pictures), "--models", str(repository), "--out", str(out)])

    assert result.exit_code == 0, result.output
    rows = rows_of(out / "predictions.csv")
    assert len(rows) == 12
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    hits = sum(row["true_class"] == row["class"] for row in rows)
    assert summary["accuracy"] == pytest.approx(hits / 12)
    assert summary["labelled"] == summary["pictures"] == 12
    assert summary["failed"] == 0
    assert [sum(line) for line in summary["confusion"]] == [4, 4, 4]
    assert sorted(p.name for p in out.iterdir()) == ["predictions.csv", "summary.json"]
    with threaded_server(test_settings(repository)) as url:
        for row in rows:
            reply = httpx.post(f"{url}/predict", content=Path(row["file"]).read_bytes()).json()
            assert reply["class"] == row["class"]
            assert reply["probability"] == pytest.approx(float(row["probability"]), abs=2e-6)


def test_figures_of_pictures_that_were_learnt_from_are_told_as_such(tmp_path: Path) -> None:
    """By their bytes; an accuracy of what is known by heart is not shown."""
    bundle = write_random_bundle(tmp_path / "models")
    (bundle.folder / "training").mkdir()
    (tmp_path / "boar").mkdir()
    (tmp_path / "boar" / "a.png").write_bytes(picture_file(1, "PNG"))
    row = f"b.png,boar,train,,{hashlib.sha256(picture_file(1, 'PNG')).hexdigest()},"
    (bundle.folder / "training" / "split.csv").write_text(f"file,class,side,group,sha256,damage\n{row}\n")
    arguments = ["predict", str(tmp_path / "boar"), "--models", str(tmp_path / "models")]

    result = run.invoke(app, [*arguments, "--out", str(tmp_path / "out")])

    summary = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert summary["met_before"] == {"trained_on": 1, "chosen_by": 0, "on_earlier_side": 0}
    assert "was trained on 1 picture of these 1" in " ".join(result.output.split())
    assert "called right" in result.output


def test_damaged_picture_is_listed_and_the_rest_is_scored(repository: Path, tmp_path: Path) -> None:
    """Exit code 1, and its line says why."""
    (tmp_path / "good.jpg").write_bytes(picture_file(1))
    (tmp_path / "bad.jpg").write_bytes(damaged_file())

    arguments = ["predict", str(tmp_path), "--models", str(repository), "--out", str(tmp_path / "out")]
    result = run.invoke(app, arguments)

    assert result.exit_code == 1
    bad, good = rows_of(tmp_path / "out" / "predictions.csv")
    assert (bad["error_code"], bad["class"]) == ("unreadable_image", "")
    assert good["class"] in CLASSES
    assert not (tmp_path / "out" / "summary.json").exists()


def test_overlays_are_written_beside_on_request(repository: Path, tmp_path: Path) -> None:
    """One a picture, of its size, named by what was predicted; none of an earlier run beside it."""
    (tmp_path / "a.png").write_bytes(picture_file(1, "PNG"))
    arguments = ["predict", str(tmp_path / "a.png"), "--overlays"]
    # Another model called it otherwise, and drew more pictures.
    (tmp_path / "out" / "overlays").mkdir(parents=True)
    others = {"another-b-boar.jpg", "notes.txt"}
    for name in (*others, *(f"{tmp_path.name[:60]}-a-{name}.jpg" for name in CLASSES)):
        (tmp_path / "out" / "overlays" / name).write_bytes(b"old")

    result = run.invoke(app, [*arguments, "--models", str(repository), "--out", str(tmp_path / "out")])

    assert result.exit_code == 0, result.output
    assert others <= {path.name for path in (tmp_path / "out" / "overlays").iterdir()}
    [overlay] = [path for path in (tmp_path / "out" / "overlays").iterdir() if path.name not in others]
    [row] = rows_of(tmp_path / "out" / "predictions.csv")
    assert overlay.stem.endswith(f"-a-{row['class']}")
    with Image.open(overlay) as drawn:
        assert drawn.size == (160, 120)


@pytest.mark.parametrize(
    "limits",
    [{"LINESIDE_MAX_BODY_MIB": "1", "LINESIDE_MAX_REQUEST_MIB": "1"}, {"LINESIDE_MAX_QUEUE_ENTRIES": "1"}],
    ids=["memory", "queue"],
)
def test_what_a_server_refuses_under_load_waits_its_turn(
    limits: dict[str, str], repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a dozen pictures that are drawn the memory holds two; ten of them once were listed as queue_full."""
    for name, value in limits.items():
        monkeypatch.setenv(name, value)
    for number in range(12):
        (tmp_path / f"{number}.jpg").write_bytes(picture_file(number, width=400, height=300))
    arguments = ["predict", str(tmp_path), "--overlays", "--models", str(repository)]

    result = run.invoke(app, [*arguments, "--out", str(tmp_path / "out")])

    assert result.exit_code == 0, result.output
    assert [row["error_code"] for row in rows_of(tmp_path / "out" / "predictions.csv")] == [""] * 12
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 12


def test_figures_of_an_earlier_run_do_not_stay_beside_other_predictions(
    repository: Path, tmp_path: Path
) -> None:
    """Pictures without a class say no accuracy; that of another folder's stood beside them."""
    (tmp_path / "a.png").write_bytes(picture_file(1, "PNG"))
    out = tmp_path / "out [new]"
    out.mkdir()
    (out / "summary.json").write_text('{"accuracy": 0.99}', "utf-8")

    result = run.invoke(
        app, ["predict", str(tmp_path / "a.png"), "--models", str(repository), "--out", str(out)]
    )

    assert result.exit_code == 0, result.output
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert (summary["pictures"], summary["labelled"], summary["accuracy"]) == (1, 0, None)
    assert summary["model"]["name"] == "line"
    assert f"wrote {out / 'predictions.csv'}" in result.stderr


def test_hangul_that_macos_took_apart_is_the_class_that_is_meant(tmp_path: Path) -> None:
    write_random_bundle(tmp_path / "models", classes=("수", "암"))
    folder = tmp_path / unicodedata.normalize("NFD", "암")
    folder.mkdir()
    (folder / "a.png").write_bytes(picture_file(1, "PNG"))
    arguments = ["predict", str(folder), "--models", str(tmp_path / "models"), "--out", str(tmp_path)]

    result = run.invoke(app, arguments)

    assert result.exit_code == 0, result.output
    assert [row["true_class"] for row in rows_of(tmp_path / "predictions.csv")] == ["암"]


def test_nothing_to_score_and_nothing_to_score_with_say_so(repository: Path, tmp_path: Path) -> None:
    """Both name the fix."""
    (tmp_path / "a.png").write_bytes(picture_file(1, "PNG"))
    (tmp_path / "empty").mkdir()

    nothing = run.invoke(app, ["predict", str(tmp_path / "empty"), "--models", str(repository)])
    no_model = run.invoke(app, ["predict", str(tmp_path / "a.png"), "--models", str(tmp_path / "none")])

    assert isinstance(nothing.exception, InvalidRequest)
    assert ".tiff" in str(nothing.exception)
    assert isinstance(no_model.exception, NotReady)
    assert "does not exist" in str(no_model.exception)


def test_only_the_model_that_is_meant_is_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of two models and three versions one; where it is not said which, none."""
    models = tmp_path / "models"
    for name, version in (("line", 1), ("line", 2), ("other", 1)):
        write_random_bundle(models, name=name, version=version)
    (tmp_path / "a.png").write_bytes(picture_file(1, "PNG"))
    command = ["predict", str(tmp_path / "a.png"), "--models", str(models), "--out", str(tmp_path / "out")]
    caplog.set_level("INFO", logger="app.wiring")

    meant = run.invoke(app, [*command, "--model", "line"])
    loaded = [record.args for record in caplog.records if record.msg.startswith("serving")]
    caplog.clear()
    several = run.invoke(app, command)

    assert meant.exit_code == 0, meant.output
    assert [arguments[:2] for arguments in loaded] == [("line", 2)]
    assert isinstance(several.exception, InvalidRequest)
    assert "line, other" in str(several.exception)
    assert not [record for record in caplog.records if record.msg.startswith("serving")]


def test_models_lists_bundles_without_loading_them(repository: Path, tmp_path: Path) -> None:
    """For scripts as JSON; a bundle that cannot be opened makes the exit code 1."""
    good = run.invoke(app, ["models", "--json", "--models", str(repository)])
    write_random_bundle(tmp_path, name="good")
    (tmp_path / "bad" / "1").mkdir(parents=True)
    bad = run.invoke(app, ["models", "--json", "--models", str(tmp_path)])
    empty = run.invoke(app, ["models", "--models", str(tmp_path / "nothing")])

    assert good.exit_code == 0
    [model] = json.loads(good.output)["models"]
    assert (model["name"], model["classes"]) == ("line", list(CLASSES))
    assert bad.exit_code == 1
    assert any("model.toml" in row.get("refused", "") for row in json.loads(bad.output)["models"])
    assert empty.exit_code == 1
    assert "docs/bundles.md" in empty.output


def test_models_does_not_call_good_what_verify_refuses(tmp_path: Path) -> None:
    """A flipped bit of the weights moves no logit beyond the tolerance, and is found by the golden images' record."""
    bundle = write_random_bundle(tmp_path, golden={"a.png": picture_file(1, "PNG")})
    weights = bundle.weights_path
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)

    listed = run.invoke(app, ["models", "--json", "--models", str(tmp_path)])

    assert listed.exit_code == 1
    assert "weights" in json.loads(listed.output)["models"][0]["refused"]


def test_architectures_are_listed_by_name() -> None:
    """What a manifest may say."""
    listed = json.loads(run.invoke(app, ["architectures", "--json"]).output)

    assert {"resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "cifar_resnet14"} <= {
        architecture["name"] for architecture in listed
    }


def test_architectures_are_listed_with_the_evidence_they_give() -> None:
    listed = {each["name"]: each for each in json.loads(run.invoke(app, ["architectures", "--json"]).output)}
    table = run.invoke(app, ["architectures"]).output

    assert {name: listed[name]["evidence"] for name in ("resnet50", "squeezenet1_0", "vgg16")} == {
        "resnet50": "exact",
        "squeezenet1_0": "exact",
        "vgg16": "gradient",
    }
    assert (listed["vgg16"]["head"], listed["densenet121"]["head"]) == ("own", "linear")
    assert (listed["dpn68"]["extra"], listed["alexnet"]["extra"]) == ("zoo", None)
    assert "gradient" in table


def test_version_and_help_do_not_wait_for_torch() -> None:
    """The command line answers at once."""
    code = "import sys; import app.cli; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert run.invoke(app, ["--version"]).output.startswith("lineside 0.")


def test_results_that_could_not_be_written_are_refused_before_the_work(
    repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(picture_file(1, "PNG"))
    out = tmp_path / "out"
    out.write_text("a file")

    result = run.invoke(
        app, ["predict", str(tmp_path / "a.png"), "--models", str(repository), "--out", str(out)]
    )

    assert isinstance(result.exception, InvalidRequest)
    assert "--out" in result.exception.message
    assert "predicting" not in result.stderr


def test_link_in_the_results_stays_and_its_file_is_written(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture_file(1, "PNG"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "predictions.csv").symlink_to("../all.csv")

    result = run.invoke(
        app,
        ["predict", str(tmp_path / "a.png"), "--models", str(repository), "--out", str(tmp_path / "out")],
    )

    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "predictions.csv").is_symlink()
    assert len(rows_of(tmp_path / "all.csv")) == 1


def test_picture_whose_name_is_no_utf8_is_in_the_table(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xb5\xc5.png")  # Korean as older systems write it
    path.write_bytes(picture_file(1, "PNG"))
    out = tmp_path / "out"

    result = run.invoke(
        app, ["predict", str(tmp_path), "--models", str(repository), "--out", str(out), "--overlays"]
    )

    assert result.exit_code == 0, result.output
    assert os.fsencode(path) in (out / "predictions.csv").read_bytes()
    assert len(list((out / "overlays").iterdir())) == 1


def test_no_overlay_replaces_another_and_none_has_a_name_that_is_too_long() -> None:
    paths = [Path("cam1/d/1.png"), Path("cam2/d/1.png"), Path("d/1~2.png"), Path("d") / f"{'수' * 300}.png"]

    names = overlay_names(paths)

    assert names[paths[0]] == "d-1"
    assert len(set(names.values())) == len(paths)
    assert all(len(name.encode()) <= 130 for name in names.values())
