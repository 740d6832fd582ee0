"""Promises of the served form, against the networks that training scripts build."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.transforms import functional

from app.domain import (
    ConcatPoolHead,
    ConvCamHead,
    FlattenHead,
    HeadSpec,
    LinearHead,
    MlpHead,
    NetworkSpec,
    Normalisation,
    Size,
)
from app.errors import ManifestInvalid, SelfTestFailed
from app.nets.servable import (
    Servable,
    build_servable,
    check_sum_rule,
    load_servable,
    noise_images,
    servable_state,
)

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET = Normalisation(mean=MEAN, std=STD)
HEADS = [
    LinearHead(), MlpHead((24,)), MlpHead((24, 12)), ConvCamHead(), ConvCamHead(2, 7),
    FlattenHead(3), FlattenHead(6, (12,)), ConcatPoolHead(), ConcatPoolHead((24, 12)),
]  # fmt: skip
Calibrate = Callable[..., nn.Module]


class ConvHead(nn.Module):
    """The carcass model's head as a training script would write it."""

    def __init__(self, channels: int, hidden: int, classes: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, hidden, kernel)
        self.linear = nn.Linear(hidden, classes)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(torch.relu(self.conv(features)).mean((2, 3)))


def relative_error(found: Tensor, expected: Tensor) -> float:
    assert float(expected.abs().max()) > 0.01, "degenerate reference"
    return float((found - expected).detach().abs().max() / expected.abs().max())


def script_input(images: Tensor, mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD) -> Tensor:
    """What a training script feeds: (B, 3, h, w) through torchvision's own transforms."""
    scaled = torch.stack([functional.to_tensor(image.numpy()) for image in images])
    return functional.normalize(scaled, list(mean), list(std))


def small_servable(head: HeadSpec, classes: int = 3, size: int = 24) -> Servable:
    """cifar_resnet14 with random weights and calibrated statistics, through the loader."""
    torch.manual_seed(1)
    spec = NetworkSpec("cifar_resnet14", classes, Size(size, size), head)
    servable = build_servable(spec)
    for module in servable.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    servable(noise_images(spec.input_size, 8, seed=9))
    return load_servable(spec, servable_state(servable))


@pytest.mark.parametrize(
    "name",
    ["resnet18", "resnet50", "resnext50_32x4d", pytest.param("wide_resnet50_2", marks=pytest.mark.slow)],
)
def test_it_predicts_what_the_training_script_would(name: str, calibrated: Calibrate) -> None:
    """Logits as plain torchvision's to 1e-5, bias + mean(evidence) to 1e-5, 8 at once as 8 singles to 1e-5."""
    script = calibrated(models.get_model(name, weights=None, num_classes=5), size=96)
    servable = load_servable(NetworkSpec(name, 5, Size(96, 96), normalisation=IMAGENET), script.state_dict())
    images = noise_images(Size(96, 96), 8)

    with torch.inference_mode():
        expected = script(script_input(images))
        logits, evidence = servable(images)
        singles = [servable(image[None]) for image in images]

    assert relative_error(logits, expected) < 1e-5
    assert relative_error(script.fc.bias + evidence.mean((2, 3)), expected) < 1e-5
    assert relative_error(torch.cat([each[0] for each in singles]), logits) < 1e-5
    assert relative_error(torch.cat([each[1] for each in singles]), evidence) < 1e-5
    assert evidence.shape == (8, 5, 3, 3)
    assert logits.dtype == evidence.dtype == torch.float32


def test_the_map_is_the_class_activation_map(calibrated: Calibrate) -> None:
    """Zhou et al. 2016, equation 2, written out on torchvision's own layer4."""
    script = calibrated(models.resnet18(weights=None, num_classes=4), size=96)
    servable = load_servable(
        NetworkSpec("resnet18", 4, Size(96, 64), normalisation=IMAGENET), script.state_dict()
    )
    images = noise_images(Size(96, 64), 2)

    with torch.inference_mode():
        features = nn.Sequential(*list(script.children())[:-2])(script_input(images))
        expected = torch.einsum("kc,nchw->nkhw", script.fc.weight, features)
        _, evidence = servable(images)

    assert relative_error(evidence, expected) < 1e-5


def test_a_dropout_before_the_linear_layer_changes_nothing(calibrated: Calibrate) -> None:
    script = models.resnet18(weights=None)
    script.fc = nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 3))
    calibrated(script, size=64)
    spec = NetworkSpec("resnet18", 3, Size(64, 64), normalisation=IMAGENET)
    images = noise_images(spec.input_size, 2)

    servable = load_servable(spec, script.state_dict())

    with torch.inference_mode():
        assert relative_error(servable(images)[0], script(script_input(images))) < 1e-5
    assert servable_state(servable).keys() == script.state_dict().keys()


def test_mlp_evidence_is_the_gradient_through_the_head(calibrated: Calibrate) -> None:
    """Against autograd on the script's own Sequential, dropouts between, one gradient per image and class."""
    script = models.resnet18(weights=None)
    script.fc = nn.Sequential(
        nn.Dropout(0.3), nn.Linear(512, 40), nn.ReLU(), nn.Dropout(0.3), nn.Linear(40, 20), nn.ReLU(), nn.Linear(20, 3)
    )  # fmt: skip
    calibrated(script, size=96)
    spec = NetworkSpec("resnet18", 3, Size(96, 96), MlpHead((40, 20)), IMAGENET)
    images = noise_images(spec.input_size, 3)
    with torch.no_grad():
        features = nn.Sequential(*list(script.children())[:-2])(script_input(images))
    pooled = features.mean((2, 3)).requires_grad_()
    logits = script.fc(pooled)
    gradient = torch.stack(
        [torch.autograd.grad(logits[:, k].sum(), pooled, retain_graph=True)[0] for k in range(3)], dim=1
    )
    expected = torch.einsum("nkc,nchw->nkhw", gradient, features)

    servable = load_servable(spec, script.state_dict())
    found_logits, evidence = servable(images)

    assert servable.evidence_kind == "gradient"
    assert relative_error(found_logits, logits.detach()) < 1e-5
    assert relative_error(evidence, expected) < 1e-5
    assert servable_state(servable).keys() == script.state_dict().keys()


@pytest.mark.parametrize(("hidden", "channels", "kernel"), [(3, None, 3), (8, 8, 3), (5, 5, 2)])
def test_the_carcass_head_equals_the_plain_module(
    hidden: int, channels: int | None, kernel: int, calibrated: Calibrate
) -> None:
    script = models.resnet18(weights=None)
    script.avgpool = nn.Identity()
    script.fc = ConvHead(512, hidden, 3, kernel)
    trunk = nn.Sequential(*list(script.children())[:-2])
    calibrated(trunk, size=160)
    script.eval()
    head = ConvCamHead(kernel, channels)
    spec = NetworkSpec("resnet18", 3, Size(160, 128), head, IMAGENET)
    images = noise_images(spec.input_size, 2)

    servable = load_servable(spec, script.state_dict())

    with torch.inference_mode():
        logits, evidence = servable(images)
        expected = script.fc(trunk(script_input(images)))
    assert relative_error(logits, expected) < 1e-5
    assert relative_error(script.fc.linear.bias + evidence.mean((2, 3)), expected) < 1e-5
    assert evidence.shape == (2, 3, 5 - kernel + 1, 4 - kernel + 1)
    assert servable.evidence_kind == "exact"
    assert servable.margin_cells == (kernel - 1) / 2
    assert servable.target_layer == "fc.conv"


def test_channel_order_scale_mean_and_std_are_what_the_manifest_says() -> None:
    """OpenCV-style training: BGR, pixels around 128 in steps of 58."""
    mean, std = (103.5, 116.3, 123.7), (57.4, 57.1, 58.4)
    servable = small_servable(LinearHead())
    normalisation = Normalisation("BGR", 1.0, mean, std)
    spec = NetworkSpec("cifar_resnet14", 3, Size(24, 24), LinearHead(), normalisation)
    images = noise_images(spec.input_size, 2)

    found = load_servable(spec, servable_state(servable)).normalised(images)

    rgb = images.double()
    expected = torch.stack([(rgb[..., 2 - c] - mean[c]) / std[c] for c in range(3)], dim=1)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)


def test_normalisation_is_torchvisions_to_the_last_bit() -> None:
    spec = NetworkSpec("cifar_resnet14", 3, Size(64, 64), normalisation=IMAGENET)
    images = noise_images(spec.input_size, 2)

    assert torch.equal(build_servable(spec).normalised(images), script_input(images))


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_the_sum_rule_holds_for_every_head(head: HeadSpec) -> None:
    servable = small_servable(head)

    rule = check_sum_rule(servable)

    assert rule.kind == servable.evidence_kind
    assert rule.max_relative_error < 1e-5


def test_a_head_whose_map_does_not_explain_its_logits_is_refused_with_the_figure() -> None:
    servable = small_servable(LinearHead())
    forward = servable.head.forward
    servable.head.forward = lambda features: (forward(features)[0], 1.5 * forward(features)[1])  # type: ignore[method-assign]

    with pytest.raises(SelfTestFailed, match=r"misses the logits by \d"):
        check_sum_rule(servable, noise_images(Size(24, 24), 4))


def test_logits_that_are_no_numbers_fail_the_self_test() -> None:
    servable = small_servable(LinearHead())
    servable.head.linear.bias.fill_(float("nan"))

    with pytest.raises(SelfTestFailed):
        check_sum_rule(servable)


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_saving_and_loading_changes_no_bit(head: HeadSpec) -> None:
    servable = small_servable(head)
    images = noise_images(Size(24, 24), 2)

    again = load_servable(servable.spec, servable_state(servable))

    assert all(torch.equal(a, b) for a, b in zip(servable(images), again(images), strict=True))


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_serving_leaves_no_hook_and_no_gradient(head: HeadSpec) -> None:
    servable = small_servable(head)
    images = noise_images(Size(24, 24), 2)
    before = {name: tensor.clone() for name, tensor in servable.state_dict().items()}

    logits, evidence = servable(images)
    check_sum_rule(servable)

    hook_tables = [
        table for module in servable.modules() for key, table in vars(module).items() if "hooks" in key
    ]
    assert hook_tables
    assert not any(hook_tables)
    assert all(p.grad is None and not p.requires_grad for p in servable.parameters())
    assert logits.grad_fn is evidence.grad_fn is None
    assert not servable.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in servable.state_dict().items())


@pytest.mark.parametrize("head", [LinearHead(), MlpHead((16,)), ConvCamHead()], ids=str)
def test_it_learns_as_a_plain_module(head: HeadSpec) -> None:
    """A few steps on uint8 batches lower the loss; every parameter of it gets a gradient."""
    torch.manual_seed(0)
    servable = build_servable(NetworkSpec("cifar_resnet14", 2, Size(16, 16), head))
    images = noise_images(Size(16, 16), 16)
    images[::2] //= 3
    targets = torch.arange(16) % 2 == 0
    optimiser = torch.optim.Adam(servable.parameters(), lr=3e-3)

    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(servable(images)[0], targets.long())
        loss.backward()
        losses.append(loss.item())
        optimiser.step()

    assert all(p.grad is not None for p in servable.parameters())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("head", [LinearHead(), MlpHead((16,)), ConvCamHead()], ids=str)
def test_it_exports_whole_with_a_free_batch_size(head: HeadSpec) -> None:
    servable = small_servable(head)
    batch = torch.export.Dim("batch", min=1, max=16)
    two, five = noise_images(Size(24, 24), 2), noise_images(Size(24, 24), 5)

    exported = torch.export.export(servable, (two,), dynamic_shapes=({0: batch},)).module()

    for found, expected in zip(exported(five), servable(five), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (NetworkSpec("resnet18", 3, Size(64, 224), ConvCamHead(3)), "does not fit into the 2 x 7 cells"),
        (NetworkSpec("resnet18", 0, Size(64, 64)), "at least one class"),
        (NetworkSpec("resnet18", 3, Size(64, 64), MlpHead(())), 'kind = "linear"'),
        (NetworkSpec("resnet18", 3, Size(0, 64)), "input size"),
        (
            NetworkSpec("resnet18", 3, Size(64, 64), normalisation=Normalisation(std=(1, 0, 1))),
            "std not zero",
        ),
        (NetworkSpec("resnet18", 3, Size(64, 64), normalisation=Normalisation(scale=0.0)), "scale of zero"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_sizes_that_do_not_go_together_are_refused_in_words(spec: NetworkSpec, words: str) -> None:
    with pytest.raises(ManifestInvalid, match=words):
        build_servable(spec)
