"""Manifests for this room's tests: two real ones, and a strategy for any."""

from hypothesis import strategies as st

from app.bundles.manifest import Manifest
from app.bundles.manifest_text import describe
from app.domain import (
    ConcatPoolHead,
    ConvCamHead,
    Crop,
    CropBox,
    FlattenHead,
    Geometry,
    LinearHead,
    MlpHead,
    Normalisation,
    OwnHead,
    RegionOfInterest,
    Resize,
    ResizeShorter,
    Size,
)

TORCHVISION = """\
architecture = "resnet18"
classes = ["cat", "dog"]

[preprocess]
steps = [
  { resize_shorter = 256, interpolation = "bilinear" },
  { crop = [224, 224], anchor = "center" },
]
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
"""

CARCASS = """\
architecture = "resnet50"
weights = "weights.safetensors"
classes = ["castrate", "boar", "female"]   # in the order of the head's outputs
title = "Pig carcasses"
notice = "Example, not for use on meat."

[head]
kind = "conv_cam"
kernel_size = 3

[preprocess]
orientation = "ignore"
channels = "RGB"
alpha_background = [0, 0, 0]
steps = [
  { crop_box = [0.0, 0, 1.0, 1] },
  { resize = [373, 373], interpolation = "nearest" },
  { crop = [224, 224], anchor = "bottom_right" },
]
scale = "1/255"
mean = [0.0, 0, 0.0]
std = [1.0, 1, 1.0]

[display.ko]
castrate = "거세"
boar = "수"
female = "암"

[evidence]
region_of_interest = [0.5, 0, 1.0, 0.75]

[golden]
tolerance = 0.01
"""

_letters = st.characters(exclude_categories=["Cs"])
lines = st.text(_letters, min_size=1, max_size=20).map(
    lambda text: "".join(letter for letter in text if letter.isprintable()).strip() or "x"
)
_texts = st.text(_letters, min_size=1, max_size=30)
_sides = st.integers(1, 4096)
_sizes = st.builds(Size, _sides, _sides)
_interpolations = st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
_anchors = st.sampled_from(["center", "top_left", "top", "top_right", "left", "right", "bottom_right"])
_intervals = (
    st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True)
    .map(sorted)
    .filter(lambda pair: pair[0] < pair[1])
)
_last_steps = st.builds(Resize, _sizes, _interpolations) | st.builds(Crop, _sizes, _anchors)
_steps = (
    _last_steps
    | st.builds(ResizeShorter, _sides, _interpolations)
    | st.builds(lambda x, y: CropBox(x[0], y[0], x[1], y[1]), _intervals, _intervals)
)
_regions = st.builds(lambda x, y: RegionOfInterest(x[0], y[0], x[1], y[1]), _intervals, _intervals)
_greys = st.integers(0, 255)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
_heads = (
    st.just(LinearHead())
    | st.just(OwnHead())
    | st.builds(ConcatPoolHead, st.lists(st.integers(1, 65536), max_size=3).map(tuple))
    | st.builds(FlattenHead, st.integers(1, 32), st.lists(st.integers(1, 65536), max_size=3).map(tuple))
    | st.builds(MlpHead, st.lists(st.integers(1, 65536), min_size=1, max_size=3).map(tuple))
    | st.builds(ConvCamHead, st.sampled_from([1, 3, 5, 31]), st.none() | st.integers(1, 65536))
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Any manifest that can be written."""
    classes = draw(st.lists(lines, min_size=2, max_size=5, unique=True))
    head = draw(_heads)
    labels = st.dictionaries(st.sampled_from(classes), lines, max_size=3)
    steps = (*draw(st.lists(_steps, max_size=3)), draw(_last_steps))
    first = next(step for step in steps if not isinstance(step, CropBox))
    return describe(
        architecture=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,20}", fullmatch=True)),
        classes=classes,
        geometry=Geometry(
            steps,
            draw(st.sampled_from(["ignore", "apply"])),
            draw(st.tuples(_greys, _greys, _greys)),
            draw(st.sampled_from(["exact"] if isinstance(first, Crop) else ["exact", "scaled"])),
        ),
        normalisation=Normalisation(
            draw(st.sampled_from(["RGB", "BGR"])),
            draw(_positive | st.integers(1, 70_000).map(lambda n: 1 / n)),
            draw(st.tuples(_finite, _finite, _finite)),
            draw(st.tuples(_positive, _positive, _positive)),
        ),
        head=head,
        dropout=None if isinstance(head, ConvCamHead | OwnHead) else draw(st.none() | st.floats(0, 0.99)),
        weights=draw(st.from_regex(r"[a-z0-9][a-z0-9._ -]{0,20}[a-z0-9]", fullmatch=True)),
        title=draw(st.none() | lines),
        description=draw(st.none() | _texts),
        notice=draw(st.none() | _texts),
        display=draw(st.dictionaries(st.from_regex("[a-z]{2}", fullmatch=True), labels, max_size=2)),
        region_of_interest=draw(st.none() | _regions),
        golden_tolerance=draw(st.none() | st.floats(0.001, 0.99)),
    )
