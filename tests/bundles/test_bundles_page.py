import json
import re
from pathlib import Path

import pytest

from app.bundles.golden import GOLDEN_FILE, GOLDEN_FOLDER, read_golden
from app.bundles.manifest import KNOWN_KEYS, parse_manifest
from app.domain import ConvCamHead, Crop, Geometry, LinearHead, Resize, ResizeShorter, Size
from app.errors import ManifestInvalid

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "bundles.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_examples_on_the_page_are_valid_and_say_what_the_text_says() -> None:
    plain, carcass = [parse_manifest(example.encode()) for example in EXAMPLES]

    assert plain.geometry() == Geometry((ResizeShorter(256, "bilinear"), Crop(Size(224, 224), "center")))
    assert plain.network_spec().head == LinearHead()
    assert carcass.geometry() == Geometry(
        (Resize(Size(373, 373), "nearest"), Crop(Size(224, 224), "bottom_right"))
    )
    assert carcass.network_spec().head == ConvCamHead(3)
    assert carcass.labels("ko") == ("거세", "수", "암")


@pytest.mark.parametrize("key", sorted(set().union(*KNOWN_KEYS.values())))
def test_every_key_is_explained_on_the_page(key: str) -> None:
    prose = re.sub(r"^```.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)

    assert re.search(rf"`{key}`|`\[{key}[\].]|`{{ {key} = ", prose)


def test_the_golden_record_on_the_page_is_one(tmp_path: Path) -> None:
    [example] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    file = json.loads(example)["images"][0]["file"]
    folder = tmp_path / GOLDEN_FOLDER
    folder.mkdir()
    (folder / GOLDEN_FILE).write_text(example)
    (folder / file).write_bytes(b"test")  # whose SHA-256 stands on the page

    golden = read_golden(tmp_path, ("cat", "dog"))

    assert golden is not None
    assert golden.logits().tolist() == [[4.25, -3.5]]


def test_the_default_values_on_the_page_are_the_real_ones() -> None:
    shortest = parse_manifest(
        b'architecture = "a"\nclasses = ["a", "b"]\n[preprocess]\nsteps = [{ crop = [8, 8], anchor = "top" }]\n'
    )
    defaults = dict(re.findall(r"^\| `(\w+)` \| (?:conv_cam \| |all \| )?`([^`]+)` \|", PAGE, re.MULTILINE))

    spelled = "\n".join(
        f"{key} = {defaults[key]}" for key in ("orientation", "channels", "alpha_background", "scale")
    )
    written_out = parse_manifest(
        f'architecture = "a"\nclasses = ["a", "b"]\nweights = {defaults["weights"]}\n'
        f"[head]\nkind = {defaults['kind']}\n"
        f'[preprocess]\nsteps = [{{ crop = [8, 8], anchor = "top" }}]\n{spelled}\n'
        "mean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\n[golden]\ntolerance = 0.02\n".encode()
    )

    assert written_out == shortest


def test_steps_on_the_page_are_steps() -> None:
    for step in re.findall(r"^\| `({.*?})` \|", PAGE, re.MULTILINE):
        text = f'architecture = "a"\nclasses = ["a", "b"]\n[preprocess]\nsteps = [{step}, {{ crop = [8, 8], anchor = "top" }}]\n'
        try:
            parse_manifest(text.encode())
        except ManifestInvalid as error:  # pragma: no cover - the message is the finding
            pytest.fail(error.message)
