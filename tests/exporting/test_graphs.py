"""Which operations stay float32, on graphs as OpenVINO makes them of real networks."""

import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support.bundles import write_random_bundle

from app.domain import ConvCamHead, HeadSpec, LinearHead, MlpHead, OwnHead, Resize, Size
from app.engines.openvino_engine import openvino
from app.errors import ExportFailed
from app.exporting.export import export_bundle
from app.exporting.graphs import kept_in_float32, save_graph

SLOW = pytest.mark.slow
NORMALISATION = {"Convert", "Transpose", "Divide"}


@pytest.mark.parametrize(
    ("architecture", "head", "weighted"),
    [
        ("cifar_resnet14", LinearHead(), {"Convolution": 1}),
        ("cifar_resnet14", ConvCamHead(3), {"Convolution": 1}),
        # Two layers, the first one's transpose, and the gradient at every cell.
        ("cifar_resnet14", MlpHead((16,)), {"MatMul": 4}),
        # Its squeezed layers take the batch's size from the input: a shape that must not count as a tensor.
        pytest.param("mobilenet_v3_small", OwnHead(), {"MatMul": 4}, marks=SLOW),
        pytest.param("efficientnet_b0", LinearHead(), {"Convolution": 1}, marks=SLOW),
        pytest.param("densenet121", LinearHead(), {"Convolution": 1}, marks=SLOW),
    ],
)
def test_the_head_and_the_normalisation_stay_float32(
    architecture: str, head: HeadSpec, weighted: dict[str, int], tmp_path: Path
) -> None:
    """Of the layers with weights only the head's; of the rest everything before the first of them."""
    steps = (Resize(Size(64, 64), "bilinear"),)
    export_bundle(write_random_bundle(tmp_path, architecture=architecture, head=head, steps=steps), tmp_path)
    model = openvino().Core().read_model(tmp_path / "float32.xml")
    kinds = {each.get_friendly_name(): each.get_type_name() for each in model.get_ordered_ops()}

    kept = kept_in_float32(model)

    counted = Counter(kinds[name] for name in kept)
    assert {
        kind: counted[kind] for kind in ("Convolution", "GroupConvolution", "MatMul") if counted[kind]
    } == weighted
    assert set(counted) >= NORMALISATION
    assert len(kept) < len(kinds) / 3


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """As on a full disk, for this process alone."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_graph_that_finds_no_room_asks_for_the_disk(tmp_path: Path) -> None:
    """OpenVINO itself says `basic_ios::clear: iostream error`."""
    ops = openvino().opset8
    pixels = ops.parameter([1, 4096], np.float32)
    weights = ops.constant(np.ones((4096, 64), np.float32))
    model = openvino().Model([ops.matmul(pixels, weights, False, False)], [pixels])

    with (
        files_end_at(65_536),
        pytest.raises(ExportFailed, match=r"`graph\.xml` cannot be written .* is the disk full"),
    ):
        save_graph(model, tmp_path / "graph.xml")
