"""What is frozen stays as it was, statistics too; what learns, moves."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors.torch import save_file
from support.bundles import random_servable
from torch import Tensor, nn
from training.runs import run, small

from app.domain import NetworkSpec, Size
from app.nets.architectures import architecture_names, get_architecture
from app.nets.servable import Servable, build_servable, servable_state
from app.training.configuration import Training
from app.training.freezing import stages, thaw
from app.training.optimisation import learning_rate
from app.training.start import begun
from app.training.train import forward


def names(servable: Servable) -> set[str]:
    """First two parts of the names of what learns."""
    return {".".join(n.split(".")[:2]) for n, p in servable.named_parameters() if p.requires_grad}


@pytest.fixture(scope="module")
def resnet() -> Servable:
    with torch.device("meta"):
        return build_servable(NetworkSpec("resnet18", 3, Size(32, 32)))


EVERYTHING = {
    "trunk.conv1",
    "trunk.bn1",
    "trunk.layer1",
    "trunk.layer2",
    "trunk.layer3",
    "trunk.layer4",
    "head.linear",
}


@pytest.mark.parametrize(
    ("freeze", "epoch", "learning"),
    [
        ("head", 9, {"head.linear"}),
        ("layer4", 0, {"head.linear", "trunk.layer4"}),
        ("none", 0, EVERYTHING),
        ("gradual", 1, {"head.linear"}),
        ("gradual", 2, {"head.linear", "trunk.layer4"}),
        ("gradual", 5, {"head.linear", "trunk.layer4", "trunk.layer3"}),
        ("gradual", 99, EVERYTHING),
    ],
)
def test_what_learns(freeze: str, epoch: int, learning: set[str], resnet: Servable) -> None:
    thaw(resnet, Training.model_validate({"freeze": freeze, "unfreeze_every_epochs": 2}), epoch)

    assert names(resnet) == learning
    norms = {n: m.training for n, m in resnet.named_modules() if isinstance(m, nn.BatchNorm2d)}
    for name, is_training in norms.items():
        assert is_training is (".".join(name.split(".")[:2]) in learning)


@pytest.mark.parametrize(
    ("architecture", "last"),
    [
        ("resnet50", {"layer4"}),
        ("cifar_resnet14", {"layer3"}),
        ("densenet121", {"denseblock4", "norm5", "relu"}),
        ("vgg16", {"24", "25", "26", "27", "28", "29", "30"}),
        ("mobilenet_v2", {"17", "18"}),
        ("convnext_tiny", {"7"}),
        ("inception_v3", {"Mixed_7c"}),
        ("efficientnet_b0", {"7", "8"}),
        ("xception41", {"12", "act", "head"}),
        ("xception65", {"20", "act", "head"}),
        ("xception71", {"22", "act", "head"}),
    ],
)
def test_last_stage_of_other_families(architecture: str, last: set[str]) -> None:
    with torch.device("meta"):
        trunk = get_architecture(architecture).build_trunk()
    own = {module: name.rpartition(".")[2] for name, module in trunk.named_modules()}

    parts = stages(trunk)

    assert {own[module] for module in parts[-1]} == last
    assert len(parts) > 2


@pytest.mark.slow
@pytest.mark.parametrize("architecture", architecture_names())
def test_no_last_stage_is_nearly_the_whole_trunk(architecture: str) -> None:
    """`layer4` and `gradual` would be `none`."""
    with torch.device("meta"):
        trunk = get_architecture(architecture).build_trunk()

    last = sum(weight.numel() for part in stages(trunk)[-1] for weight in part.parameters())

    assert last < 0.9 * sum(weight.numel() for weight in trunk.parameters())


def test_a_trunk_trained_on_half_of_the_classes_is_kept_to_the_bit(few_digits: Path, tmp_path: Path) -> None:
    """Buffers too: a batch norm in training mode would drift although none of its weights learn."""
    first = run(few_digits, tmp_path / "first")
    start = tmp_path / "first.safetensors"
    save_file(servable_state(first.servable), start)
    before = {name: t.clone() for name, t in first.servable.trunk.state_dict().items()}

    second = run(few_digits, tmp_path / "second", start=str(start), training__freeze="head", seed=5)

    after = second.servable.trunk.state_dict()
    assert {name for name in after if not torch.equal(after[name], before[name])} - _counters(before) == set()
    head = first.servable.head.state_dict()
    assert not any(torch.equal(t, head[name]) for name, t in second.servable.head.state_dict().items())


def _counters(state: dict[str, Tensor]) -> set[str]:
    """Batches seen: never read by a served network, absent from many files, zero after loading."""
    return {name for name in state if name.endswith("num_batches_tracked")}


@pytest.mark.parametrize("architecture", ["cifar_resnet14", "mobilenet_v3_small", "vgg11"])
def test_training_computes_what_is_served(architecture: str) -> None:
    servable = random_servable(NetworkSpec(architecture, 3, Size(32, 32)), seed=1)
    images = torch.randint(256, (2, 32, 32, 3), dtype=torch.uint8)

    with torch.no_grad():
        torch.testing.assert_close(
            forward(servable, images, Training()), servable(images)[0], rtol=1e-4, atol=1e-4
        )


def test_dropout_drops_whole_channels() -> None:
    """So that it is the same as dropout between the pooling and the linear layer."""
    servable, _ = begun(small().manifest(("a", "b")).network_spec(), "none", seed=0)
    images = torch.randint(256, (4, 8, 8, 3), dtype=torch.uint8)
    torch.manual_seed(3)

    logits = forward(servable.eval(), images, Training(dropout=0.5))

    torch.manual_seed(3)
    pooled = servable.trunk(servable.normalised(images)).mean((2, 3))
    mask = nn.functional.dropout2d(torch.ones(4, pooled.shape[1], 1, 1), 0.5)[:, :, 0, 0]
    torch.testing.assert_close(logits, servable.head.linear(pooled * mask))  # type: ignore[operator]


def test_rates_go_as_their_papers_say() -> None:
    def rates(text: dict[str, object], *, steps: int = 2, epochs: int = 6) -> list[float]:
        schedule = small(**{f"schedule__{key}": value for key, value in text.items()}).schedule
        return [
            round(learning_rate(1.0, schedule, step, steps_per_epoch=steps, epochs=epochs), 4)
            for step in range(steps * epochs)
        ]

    assert rates({"decay": "none"}) == [1.0] * 12
    assert (
        rates({"decay": "step", "step_epochs": 2, "step_factor": 0.1}) == [1.0] * 4 + [0.1] * 4 + [0.01] * 4
    )
    assert rates({"decay": "cosine"}, steps=1, epochs=4) == [1.0, 0.8536, 0.5, 0.1464]
    assert rates({"decay": "cosine", "warmup_epochs": 2.0})[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_every_way_to_freeze_is_tested_above() -> None:
    assert set(get_args(Training.model_fields["freeze"].annotation)) == {"head", "layer4", "none", "gradual"}
