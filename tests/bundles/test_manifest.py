import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bundles.manifest import Manifest, parse_manifest
from app.bundles.manifest_text import describe, write_manifest
from app.domain import (
    ConcatPoolHead,
    ConvCamHead,
    Crop,
    CropBox,
    FlattenHead,
    Geometry,
    LinearHead,
    MlpHead,
    NetworkSpec,
    Normalisation,
    OwnHead,
    RegionOfInterest,
    Resize,
    ResizeShorter,
    Size,
)
from app.errors import ManifestInvalid
from tests.bundles.manifests import CARCASS, TORCHVISION, manifests


def parse(text: str) -> Manifest:
    return parse_manifest(text.encode())


def refusal(text: str | bytes) -> str:
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(text if isinstance(text, bytes) else text.encode())
    return caught.value.message


def changed(old: str, new: str, text: str = CARCASS) -> str:
    assert old in text
    return text.replace(old, new, 1)


def test_the_carcass_model_says_what_its_training_did() -> None:
    manifest = parse(CARCASS)

    assert manifest.network_spec() == NetworkSpec(
        "resnet50", 3, Size(224, 224), ConvCamHead(3), Normalisation(scale=1 / 255)
    )
    assert manifest.geometry() == Geometry(
        (
            CropBox(0.0, 0.0, 1.0, 1.0),
            Resize(Size(373, 373), "nearest"),
            Crop(Size(224, 224), "bottom_right"),
        ),
        alpha_background=(0, 0, 0),
    )
    assert manifest.classes == ("castrate", "boar", "female")
    assert manifest.labels("ko") == ("거세", "수", "암")
    assert manifest.notice == "Example, not for use on meat."
    assert manifest.region_of_interest() == RegionOfInterest(0.5, 0.0, 1.0, 0.75)
    assert manifest.golden.tolerance == 0.01


def test_what_is_not_said_has_the_documented_default() -> None:
    manifest = parse(TORCHVISION)

    assert manifest.weights == "weights.safetensors"
    assert manifest.network_spec() == NetworkSpec(
        "resnet18",
        2,
        Size(224, 224),
        LinearHead(),
        Normalisation("RGB", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    )
    assert manifest.geometry() == Geometry(
        (ResizeShorter(256, "bilinear"), Crop(Size(224, 224), "center")), "ignore", (255, 255, 255)
    )
    assert manifest.region_of_interest() is None
    assert manifest.golden.tolerance == 0.02
    assert (manifest.title, manifest.description, manifest.notice) == (None, None, None)


def test_a_class_without_a_label_is_shown_by_its_name() -> None:
    manifest = parse(changed('boar = "수"\n', ""))

    assert manifest.labels("ko") == ("거세", "boar", "암")
    assert manifest.labels("fr") == manifest.classes


def test_dropouts_are_read_and_change_nothing() -> None:
    linear = parse(TORCHVISION + "[head]\ndropout = 0.5\n")
    mlp = parse(TORCHVISION + '[head]\nkind = "mlp"\nhidden = [512, 64]\ndropout = 0.5\n')

    assert linear.network_spec().head == LinearHead()
    assert mlp.network_spec().head == MlpHead((512, 64))


def test_heads_with_other_poolings_may_have_no_hidden_layer() -> None:
    flat = parse(TORCHVISION + '[head]\nkind = "flatten_mlp"\ncells = 7\n')
    both = parse(TORCHVISION + '[head]\nkind = "concat_pool_mlp"\nhidden = [512]\n')

    assert flat.network_spec().head == FlattenHead(7)
    assert both.network_spec().head == ConcatPoolHead((512,))
    assert "cells" in refusal(TORCHVISION + '[head]\nkind = "flatten_mlp"\n')


def test_an_architectures_own_head_has_no_other_keys() -> None:
    own = parse(TORCHVISION + '[head]\nkind = "own"\n')

    assert own.network_spec().head == OwnHead()
    assert "`hidden` in head belongs to mlp or flatten_mlp or concat_pool_mlp, here it is own" in refusal(
        TORCHVISION + '[head]\nkind = "own"\nhidden = [3]\n'
    )


@settings(max_examples=150, deadline=None)
@given(manifests())
def test_what_is_written_reads_back_equal(manifest: Manifest) -> None:
    assert parse(write_manifest(manifest)) == manifest


def test_a_written_manifest_is_for_people() -> None:
    text = write_manifest(parse(CARCASS))

    assert 'scale = "1/255"' in text
    assert '  { crop = [224, 224], anchor = "bottom_right" },\n' in text
    assert 'castrate = "거세"' in text
    assert "region_of_interest = [0.5, 0.0, 1.0, 0.75]" in text
    assert all(f"{key} = " in text for key in ("orientation", "channels", "mean", "tolerance"))
    assert "evidence" not in write_manifest(parse(TORCHVISION))


def test_values_that_make_no_manifest_are_refused_when_described() -> None:
    with pytest.raises(ManifestInvalid, match=r"preprocess\.std"):
        describe(
            architecture="resnet18",
            classes=["a", "b"],
            geometry=Geometry((Resize(Size(8, 8), "nearest"),)),
            normalisation=Normalisation(std=(0.0, 1.0, 1.0)),
        )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'interpolation = "nearest"',
            'interpolaton = "nearest"',
            "model.toml: unknown key `interpolaton` in preprocess.steps[1]; did you mean `interpolation`?",
        ),
        ("architecture =", "Architektur =", "unknown key `Architektur`; did you mean `architecture`?"),
        ("[preprocess]", "[preproces]", "unknown key `preproces`; did you mean `preprocess`?"),
        ("{ resize =", "{ resise =", "unknown key `resise` in preprocess.steps[1]; did you mean `resize`?"),
        ("tolerance", "tolerence", "unknown key `tolerence` in golden; did you mean `tolerance`?"),
        ("kernel_size", "kernelsize", "unknown key `kernelsize` in head; did you mean `kernel_size`?"),
        ("std = ", "zzz = ", "unknown key `zzz` in preprocess; known: `alpha_background`, `channels`"),
        ("[head]", "[head]\ntitel = 1", "unknown key `titel` in head"),
        ("[head]", "[head]\nscale = 1", "unknown key `scale` in head; it belongs in [preprocess]"),
        ("[golden]", "[golden]\nclasses = 1", "unknown key `classes` in golden; it belongs above the first"),
        (
            "kernel_size = 3",
            "hidden = [3]",
            "`hidden` in head belongs to mlp or flatten_mlp or concat_pool_mlp, here it is conv_cam",
        ),
        (
            "kernel_size = 3",
            "dropout = 0.5",
            "`dropout` in head belongs to linear or mlp or flatten_mlp or concat_pool_mlp, here it is conv_cam",
        ),
        (
            '"conv_cam"',
            '"conv-cam"',
            'head.kind is "conv-cam", known: `linear`, `mlp`, `conv_cam`, `flatten_mlp`, `concat_pool_mlp` and `own`; did you mean',
        ),
        (
            'anchor = "bottom_right"',
            'interpolation = "nearest"',
            "`interpolation` in preprocess.steps[2] belongs to resize or resize_shorter, here it is crop",
        ),
        (
            "{ crop = [224, 224]",
            "{ crop = [224, 224], crop_box = [0, 0, 1, 1]",
            "`crop_box` and `crop` both stand in preprocess.steps[2]: one step does one thing, write two",
        ),
        (', interpolation = "nearest"', "", "preprocess.steps[1] needs `interpolation`"),
        (', anchor = "bottom_right"', "", "preprocess.steps[2] needs `anchor`"),
        ('"nearest"', '"bilnear"', 'interpolation is "bilnear", known: `nearest`, `bilinear`'),
        ('"RGB"', '"rgb"', 'preprocess.channels is "rgb", known: `RGB` and `BGR`; did you mean `RGB`?'),
        ('"boar", ', '"castrate", ', "repeated: `castrate`"),
        ('"castrate", "boar"', '"\uac70\uc138", "\u1100\u1165\u1109\u1166"', "repeated: `\uac70\uc138`"),
        ('"castrate", "boar", "female"', '"boar"', "classes has 1 of the at least 2 values needed"),
        ('"castrate", "boar"', '"", "boar"', 'classes[0] is ""'),
        ('"castrate", "boar"', '"a\\nb", "boar"', "no line breaks"),
        ("boar = ", "bore = ", "`bore` in [display.ko] is not a class; did you mean `boar`?"),
        ("display.ko", "display.kor", "`kor` is not a language code of two small letters"),
        ("kernel_size = 3", "kernel_size = 4", "head.kernel_size is 4: must be odd"),
        ("[373, 373]", "[373, 4097]", "preprocess.steps[1].resize[1] is 4097"),
        ("[373, 373]", "[0, 373]", "preprocess.steps[1].resize[0] is 0"),
        ("[373, 373]", "[373.0, 373]", "preprocess.steps[1].resize[0] is 373.0"),
        ("[373, 373]", "[373]", "preprocess.steps[1].resize has 1 of the at least 2 values needed"),
        ("[0.0, 0, 1.0, 1]", "[0.5, 0, 0.5, 1]", "needs x0 < x1 and y0 < y1"),
        ("[0.0, 0, 1.0, 1]", "[0, 0, 2, 1]", "preprocess.steps[0].crop_box[2] is 2"),
        (
            "[0.5, 0, 1.0, 0.75]",
            "[0.5, 0.75, 1.0, 0.75]",
            "evidence.region_of_interest: [x0, y0, x1, y1] needs",
        ),
        ("[0.5, 0, 1.0, 0.75]", "[400, 0, 768, 430]", "evidence.region_of_interest[0] is 400, needed: less"),
        ("[0.5, 0, 1.0, 0.75]", "[0.5, 0, 1.0]", "region_of_interest has 3 of the at least 4 values needed"),
        ("region_of_interest", "region_of_intrest", "in evidence; did you mean `region_of_interest`?"),
        ('"1/255"', '"1/0"', 'a fraction such as "1/255"'),
        ('"1/255"', "0", "preprocess.scale is 0"),
        ('"1/255"', "nan", "preprocess.scale is nan"),
        ("std = [1.0, 1, 1.0]", "std = [1.0, 0, 1.0]", "preprocess.std[1] is 0"),
        ("std = [1.0, 1, 1.0]", "std = [1.0, true, 1.0]", "preprocess.std[1] is true"),
        ("mean = [0.0, 0, 0.0]", "mean = [0.0, inf, 0.0]", "preprocess.mean[1] is inf"),
        ("mean = [0.0, 0, 0.0]", "mean = 0.0", "preprocess.mean is 0.0, needed: a list"),
        ("mean = [0.0, 0, 0.0]", f"mean = [1{'0' * 400}, 0, 0]", "preprocess.mean[0] is a very large number"),
        ("alpha_background = [0, 0, 0]", "alpha_background = [0, 0, 256]", "alpha_background[2] is 256"),
        ("tolerance = 0.01", "tolerance = 0.0", "golden.tolerance is 0.0"),
        ('"resnet50"', '"../resnet50"', "letters, digits, dots, dashes and underscores only"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_the_right_word(old: str, new: str, message: str) -> None:
    assert message in refusal(changed(old, new))


@pytest.mark.parametrize(
    "name",
    [
        "../x.bin",
        "a/b",
        "a\\\\b",
        "/etc/passwd",
        "..",
        ".",
        ".hidden",
        "C:x",
        "",
        " x",
        "model.toml",
        "golden",
    ],
)
def test_weights_are_a_plain_file_beside_the_manifest(name: str) -> None:
    assert "weights is" in refusal(changed('"weights.safetensors"', f'"{name}"'))


@pytest.mark.parametrize(
    ("last", "advice"),
    [
        ('{ resize_shorter = 224, interpolation = "box" }', 'add { crop = [224, 224], anchor = "center" }'),
        ("{ crop_box = [0, 0, 0.5, 0.5] }", "add { resize = [height, width]"),
    ],
)
def test_steps_that_leave_the_size_open_are_refused_with_the_step_to_add(last: str, advice: str) -> None:
    assert advice in refusal(changed('{ crop = [224, 224], anchor = "bottom_right" }', last))


def test_every_problem_is_told_at_once() -> None:
    text = (
        CARCASS.replace("architecture", "architectur").replace("anchor", "ancor").replace("tolerance", "tol")
    )

    message = refusal(text)

    assert message.startswith("model.toml has 3 problems:\n- ")
    assert all(word in message for word in ("`architecture`", "`anchor`", "`tolerance`"))


def test_a_hundred_problems_stay_readable() -> None:
    message = refusal("".join(f"zz{number} = 1\n" for number in range(100)))

    assert message.startswith("model.toml has 103 problems:")
    assert message.endswith("- and 83 more")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'architecture = "a"\nclasses = ["a"\n\n[head]\n', "line 4"),
        (b"a = 1\na = 2\n", "line 2"),
        (b"a = \xff", "not UTF-8 text (byte 4)"),
        (b"a = " + b"[" * 100_000, "not valid TOML"),
        (b"a = " + b"9" * 5000, "not valid TOML"),
        (b"#" * (8 * 1024 * 1024 + 1), "larger than 8 MiB"),
        (b"", "the file needs `architecture`"),
    ],
)
def test_what_is_not_toml_is_refused_with_its_line(data: bytes, message: str) -> None:
    assert message in refusal(data)


def test_files_from_windows_editors_are_read() -> None:
    assert parse_manifest(b"\xef\xbb\xbf" + CARCASS.replace("\n", "\r\n").encode()) == parse(CARCASS)


KEYS = [
    match.span(1) for match in re.finditer(r"(?:^|[{,] |\[)([a-z_]+)(?= = |\]|\.ko\])", CARCASS, re.MULTILINE)
]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(KEYS), st.data())
def test_a_key_with_any_slip_of_the_pen_is_refused(span: tuple[int, int], data: st.DataObject) -> None:
    start, end = span
    key = CARCASS[start:end]
    position = data.draw(st.integers(0, len(key) - 1))
    letter = data.draw(st.sampled_from('abcxyzQ_-0 ."=[]{}#,\n\x00é'))
    slip: Any = data.draw(st.sampled_from(["drop", "double", "insert", "replace"]))
    head, tail = key[:position], key[position:]
    mutated = {
        "drop": head + tail[1:],
        "double": head + tail[0] + tail,
        "insert": head + letter + tail,
        "replace": head + letter + tail[1:],
    }[slip]
    text = CARCASS[:start] + mutated + CARCASS[end:]

    try:
        manifest = parse(text)
    except ManifestInvalid:
        return
    # Blanks around a key, and a comment sign that removes an optional line, are no slips.
    assert mutated.strip() == key or "#" in mutated or "\n" in mutated, manifest


PLACES = (
    *('"resnet50"', '["castrate", "boar", "female"]', '"conv_cam"', "[373, 373]", '"nearest"', "373"),
    *("{ crop_box = [0.0, 0, 1.0, 1] }", '"1/255"', "[1.0, 1, 1.0]", '"거세"', "0.01", '"ignore"'),
)
TOML_VALUES = st.recursive(
    st.integers() | st.floats() | st.booleans() | st.text(max_size=5) | st.dates() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_value_in_any_place_is_accepted_or_refused_never_a_crash(data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(PLACES))

    try:
        parse(changed(place, toml(data.draw(TOML_VALUES))))
    except ManifestInvalid:
        return


def toml(value: object) -> str:
    match value:
        case None:
            return "1979-05-27T07:32:00Z"
        case bool():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\U{ord(c):08x}" for c in value if not "\ud800" <= c <= "\udfff") + '"'
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
        case _:
            return str(value)


# --- decode ------------------------------------------------------------------------------------

SCALED = changed("steps = [", 'decode = "scaled"\nsteps = [', TORCHVISION)


def test_scaled_decoding_is_the_servers_choice_and_exact_by_default() -> None:
    assert parse(TORCHVISION).geometry().decode == "exact"
    assert parse(SCALED).geometry().decode == "scaled"
    assert parse(write_manifest(parse(SCALED))) == parse(SCALED)
    assert refusal(changed('"scaled"', '"fast"', SCALED)).endswith("known: `exact` and `scaled`")


def test_how_it_is_decoded_is_no_fact_of_the_training() -> None:
    """So golden images that were recorded before stay valid, and have to hold."""
    assert parse(SCALED).preprocess.facts() == parse(TORCHVISION).preprocess.facts()
    assert "decode" not in parse(SCALED).preprocess.facts()


@pytest.mark.parametrize("before", ["", "{ crop_box = [0.0, 0.0, 0.5, 1.0] }, "])
def test_scaled_decoding_before_a_crop_in_pixels_is_refused_with_a_way_out(before: str) -> None:
    crop = f'steps = [{before}{{ crop = [300, 300], anchor = "center" }}, '
    text = re.sub(r"steps = \[", crop, SCALED, count=1)

    message = refusal(text)

    assert "decode" in message
    assert 'write "exact", or begin with resize' in message
    assert parse(changed('"scaled"', '"exact"', text)).geometry().decode == "exact"
