"""Every architecture has a form that runs without torch, and it answers as torch does."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.servables import servable_of
from support.zoo import IMAGENET, SIZES, script_network

from app.bundles.manifest_text import describe
from app.bundles.writer import write_bundle
from app.domain import Geometry, OwnHead, Resize, Size
from app.errors import ExportFailed
from app.exporting.export import check_same_answers, converted, export_bundle
from app.exporting.graphs import save_graph
from app.nets.architectures import ARCHITECTURES
from app.nets.servable import build_servable

BY_DEFAULT = {"resnet18", "squeezenet1_1"}
"""A residual network, and a head that is itself the map."""
EVERY = [
    pytest.param(name, marks=() if name in BY_DEFAULT else pytest.mark.slow)
    for name, architecture in ARCHITECTURES.items()
    if not name.startswith(("cifar_", "resnet50_v1", "resnet101_v1", "resnet152_v1"))
]


@pytest.mark.parametrize("name", EVERY)
def test_architecture_is_exported_and_answers_as_torch(name: str, tmp_path: Path) -> None:
    """`export_bundle` itself compares the two on noise, alone and in a batch, and refuses what differs."""
    side = SIZES.get(name, 64)
    own = ARCHITECTURES[name].own_head is not None
    manifest = describe(
        architecture=name,
        classes=("a", "b", "c", "d", "e"),
        geometry=Geometry((Resize(Size(side, side + 9), "bilinear"),)),
        normalisation=IMAGENET,
        **({"head": OwnHead()} if own else {}),
    )
    state = script_network(name).state_dict()
    bundle = write_bundle(
        tmp_path / name.replace("_", "-") / "1",
        manifest=manifest,
        write_weights=lambda path: save_file({key: value.contiguous() for key, value in state.items()}, path),
    )

    export_bundle(bundle, tmp_path)

    assert (tmp_path / "float32.json").exists()


def test_graph_that_answers_otherwise_is_refused(tmp_path: Path) -> None:
    """Converted from one network, compared with another."""
    from app.engines.openvino_engine import openvino  # noqa: PLC0415 - only this test writes a graph by hand

    spec = describe(
        architecture="cifar_resnet14",
        classes=("a", "b"),
        geometry=Geometry((Resize(Size(32, 32), "bilinear"),)),
        normalisation=IMAGENET,
    ).network_spec()
    torch.manual_seed(0)
    one, other = (build_servable(spec).eval().requires_grad_(requires_grad=False) for _ in range(2))
    openvino().save_model(converted(one), tmp_path / "graph.xml", compress_to_fp16=False)

    check_same_answers(one, tmp_path / "graph.xml", one.facts())
    with pytest.raises(ExportFailed, match="answers otherwise"):
        check_same_answers(other, tmp_path / "graph.xml", other.facts())


def test_several_threads_may_convert_at_once_and_leave_torch_as_it_was(tmp_path: Path) -> None:
    """torch.export alone would leave oneDNN off, or mix up the networks."""
    servables = [servable_of() for _ in range(3)]
    before = torch.backends.mkldnn.enabled

    with ThreadPoolExecutor(len(servables)) as pool:
        models = list(pool.map(converted, servables))

    assert before
    assert torch.backends.mkldnn.enabled
    for number, (servable, model) in enumerate(zip(servables, models, strict=True)):
        save_graph(model, tmp_path / f"{number}.xml")
        check_same_answers(servable, tmp_path / f"{number}.xml", servable.facts())
