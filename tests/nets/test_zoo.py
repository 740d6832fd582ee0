"""Promises of the families besides ResNet, against the libraries' own networks."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from support.zoo import (
    BY_DEFAULT,
    IMAGENET,
    library_network,
    pictures,
    relative_error,
    script_input,
    script_network,
    spec_of,
)
from torch import Tensor, nn

from app.domain import ConvCamHead, HeadSpec, LinearHead, MlpHead, NetworkSpec, Normalisation, OwnHead, Size
from app.errors import ManifestInvalid, WeightsRefused
from app.nets.architectures import ARCHITECTURES
from app.nets.heads import Head, NormalisedLinear
from app.nets.mlp_heads import AverageMlp, FlattenMlp
from app.nets.recognition import fitting_architectures, head_in
from app.nets.servable import (
    build_servable,
    check_sum_rule,
    load_servable,
    servable_state,
)

RESNETS = {"resnet", "resnet_v1", "resnext", "wide_resnet", "cifar_resnet"}
"""Have tests of their own; resnet_v1 test_resnet_v1.py and those of Keras files."""
EVERY = [
    pytest.param(name, marks=() if name in BY_DEFAULT else pytest.mark.slow)
    for name, architecture in ARCHITECTURES.items()
    if architecture.family not in RESNETS
]


def gradient_times_features(head: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, K, h, w): HiResCAM by autograd, times the number of cells."""
    with torch.enable_grad():
        leaf = features.detach().clone().requires_grad_()
        logits = head(leaf)
        maps = [
            (torch.autograd.grad(logits[:, k].sum(), leaf, retain_graph=True)[0] * leaf.detach()).sum(1)
            for k in range(logits.shape[1])
        ]
    return torch.stack(maps, 1) * features.shape[2] * features.shape[3]


@pytest.mark.parametrize("name", EVERY)
def test_it_answers_as_the_librarys_own_network(name: str) -> None:
    """Logits to 1e-5 of the largest, bias + mean(evidence) as well, saved under the library's names."""
    script = script_network(name)
    state = script.state_dict()
    spec = spec_of(name)
    images = pictures(spec.input_size, 2)

    servable = load_servable(spec, state)
    with torch.inference_mode():
        expected = script(script_input(images))
        logits, evidence = servable(images)
    rule = check_sum_rule(servable, images)

    assert relative_error(logits, expected) < 1e-5
    assert float((logits[0] - logits[1]).abs().max()) > 1e-3 * float(logits.abs().max()), "blind to the image"
    assert rule.max_relative_error < 1e-5
    assert rule.kind == ARCHITECTURES[name].evidence_kind == servable.evidence_kind
    assert evidence.shape[:2] == (2, 5)
    assert set(servable_state(servable)) == {n for n in state if not n.startswith(("AuxLogits.", "aux"))}
    assert set(servable.dropped) == {n for n in state if n.startswith(("AuxLogits.", "aux"))}


@pytest.mark.parametrize("name", EVERY)
def test_the_registry_tells_channels_sign_and_grid_as_they_are(name: str) -> None:
    """At the smallest size too; one pixel less is refused in words, because nothing would be left."""
    architecture = ARCHITECTURES[name]
    least = architecture.least_side
    with torch.device("meta"):
        trunk = architecture.build_trunk().eval()
        shapes = {each: tensor.shape for each, tensor in trunk.state_dict().items()}
        assert architecture.sign is not None
        sign, channels = architecture.sign

        for height, width in ((least, least + 1), (225, 97), (130, 224)):
            features = trunk(torch.empty(1, 3, height, max(width, least)))
            grid = architecture.grid(Size(height, max(width, least)))
            assert features.shape == (1, architecture.feature_channels, grid.height, grid.width)

        assert shapes[sign][0] == channels
        assert architecture.target_layer in dict(trunk.named_children())
        with pytest.raises(
            ManifestInvalid, match=f"too small for {name}: it must be at least {least} x {least}"
        ):
            build_servable(NetworkSpec(name, 2, Size(224, least - 1)))
        if least > 1:
            with pytest.raises(RuntimeError):
                trunk(torch.empty(1, 3, least - 1, 224))


@pytest.mark.parametrize("name", EVERY)
def test_a_state_dict_is_recognised_by_trunk_and_head(name: str) -> None:
    with torch.device("meta"):
        state = library_network(name, 7).state_dict()
    architecture = ARCHITECTURES[name]

    assert fitting_architectures(state) == [name]
    assert head_in(state, architecture) == (OwnHead() if architecture.own_head else LinearHead(), 7)


def test_alexnets_evidence_is_hirescam_at_its_features() -> None:
    """At 224 pixels, where its pooling changes nothing."""
    script = script_network("alexnet")
    spec = NetworkSpec("alexnet", 5, Size(224, 224), OwnHead(), IMAGENET)
    images = pictures(spec.input_size, 1)
    with torch.no_grad():
        features = script.features(script_input(images))
    expected = gradient_times_features(lambda a: script.classifier(script.avgpool(a).flatten(1)), features)

    servable = load_servable(spec, script.state_dict())
    with torch.inference_mode():
        _, evidence = servable(images)

    assert servable.target_layer == "avgpool"
    assert evidence.shape == (1, 5, 6, 6)
    assert relative_error(evidence, expected) < 1e-5


def test_mobilenet_v3s_evidence_is_hirescam_at_its_features() -> None:
    script = script_network("mobilenet_v3_small")
    spec = spec_of("mobilenet_v3_small")
    images = pictures(spec.input_size, 2)
    with torch.no_grad():
        features = script.features(script_input(images))
    expected = gradient_times_features(lambda a: script.classifier(script.avgpool(a).flatten(1)), features)

    with torch.inference_mode():
        _, evidence = load_servable(spec, script.state_dict())(images)

    assert relative_error(evidence, expected) < 1e-5


def test_convnexts_evidence_is_the_gradient_with_the_deviation_held_fixed() -> None:
    """The plain gradient's map adds up to nothing, whatever the logit: that is why."""
    script = script_network("convnext_tiny")
    spec = spec_of("convnext_tiny")
    images = pictures(spec.input_size, 2)
    with torch.no_grad():
        features = script.features(script_input(images))
    norm, _, linear = script.classifier

    def with_fixed_deviation(a: Tensor) -> Tensor:
        pooled = a.mean((2, 3))
        deviation = (pooled.var(1, correction=0, keepdim=True) + norm.eps).sqrt().detach()
        return linear((pooled - pooled.mean(1, keepdim=True)) / deviation * norm.weight + norm.bias)

    plain = gradient_times_features(lambda a: script.classifier(script.avgpool(a)), features)

    with torch.inference_mode():
        logits, evidence = load_servable(spec, script.state_dict())(images)

    assert relative_error(evidence, gradient_times_features(with_fixed_deviation, features)) < 1e-5
    assert float(plain.mean((2, 3)).abs().max()) < 1e-4 * float(logits.abs().max())


def test_squeezenets_evidence_is_its_last_layers_output() -> None:
    script = script_network("squeezenet1_1")
    spec = spec_of("squeezenet1_1")
    images = pictures(spec.input_size, 2)

    servable = load_servable(spec, script.state_dict())
    with torch.inference_mode():
        expected = script.classifier[:3](script.features(script_input(images)))
        logits, evidence = servable(images)

    assert servable.target_layer == "classifier.2"
    assert relative_error(evidence, expected) < 1e-5
    assert torch.equal(logits, evidence.mean((2, 3)))


def test_densenets_evidence_is_of_features_after_the_relu() -> None:
    """The ReLU stands in torchvision's forward pass; maps of `features` alone are a fifth off."""
    script = script_network("densenet121")
    spec = spec_of("densenet121")
    images = pictures(spec.input_size, 2)

    with torch.inference_mode():
        features = script.features(script_input(images)).relu()
        expected = torch.einsum("kc,nchw->nkhw", script.classifier.weight, features)
        _, evidence = load_servable(spec, script.state_dict())(images)

    assert relative_error(evidence, expected) < 1e-5


@pytest.mark.parametrize("classes", [3, 20])
@pytest.mark.parametrize("grid", [(3, 3), (2, 5), (7, 8)])
def test_a_flattening_head_explains_every_pooled_cell(classes: int, grid: tuple[int, int]) -> None:
    """Fewer classes than cells and more are multiplied in another order; grids around the pooling's own."""
    torch.manual_seed(0)
    head = FlattenMlp(4, classes, cells=3, hidden=(11, 9)).eval()
    features = torch.randn(2, 4, *grid).relu()
    pooled = nn.functional.adaptive_avg_pool2d(features, 3)

    def flat(a: Tensor) -> Tensor:
        first, second, last = head.layers
        return last(second(first(a.flatten(1)).relu()).relu())

    with torch.inference_mode():
        logits, evidence = head(features)
        explained = head.bias_of(features) + evidence.mean((2, 3))

    torch.testing.assert_close(evidence, gradient_times_features(flat, pooled), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(logits, flat(pooled).detach())
    torch.testing.assert_close(explained, logits, rtol=1e-5, atol=1e-6)


def test_hard_swish_is_followed_through_all_three_of_its_pieces() -> None:
    torch.manual_seed(0)
    head = AverageMlp(6, 4, hidden=(30, 30), activation="hardswish").eval()
    features = 12 * torch.randn(3, 6, 2, 2)
    first, second, last = head.layers
    inner = first(features.mean((2, 3)))

    def script(a: Tensor) -> Tensor:
        swish = nn.functional.hardswish
        return last(swish(second(swish(first(a.mean((2, 3)))))))

    with torch.inference_mode():
        logits, evidence = head(features)
        explained = head.bias_of(features) + evidence.mean((2, 3))

    assert bool((inner < -3).any() and (inner > 3).any() and (inner.abs() < 3).any())
    torch.testing.assert_close(evidence, gradient_times_features(script, features), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(explained, logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "head",
    [
        FlattenMlp(4, 20, cells=3, hidden=(11, 9)),
        AverageMlp(4, 20, hidden=(11,), activation="hardswish"),
        NormalisedLinear(4, 20, epsilon=1e-6),
    ],
    ids=lambda head: type(head).__name__,
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_an_own_head_exports_with_a_free_batch_size(head: Head) -> None:
    two, five = torch.randn(2, 4, 3, 4), torch.randn(5, 4, 3, 4)
    batch = torch.export.Dim("batch", min=1, max=16)

    exported = torch.export.export(head.eval(), (two,), dynamic_shapes=({0: batch},)).module()

    for found, expected in zip(exported(five), head(five), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_1"])
def test_eight_threads_read_what_one_reads(name: str) -> None:
    script = script_network(name)
    servable = load_servable(spec_of(name), script.state_dict())
    batches = [pictures(servable.spec.input_size, 1, seed=seed) for seed in range(8)]

    def answer(images: Tensor) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            logits, evidence = servable(images)
        return logits, evidence

    # torch's number of threads is each thread's own, and the main one's may be another: other sums in float32.
    with ThreadPoolExecutor(1) as pool:
        alone = list(pool.map(answer, batches))
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(answer, batches * 4))

    for position, found in enumerate(together):
        assert all(torch.equal(a, b) for a, b in zip(found, alone[position % 8], strict=True))
    assert all(p.grad is None and not p.requires_grad for p in servable.parameters())


@pytest.mark.parametrize(
    ("name", "replace", "head", "words"),
    [
        (
            "mobilenet_v2",
            lambda n: setattr(n, "classifier", nn.Linear(1280, 3)),
            LinearHead(),
            ["classifier"],
        ),
        (
            "densenet121",
            lambda n: setattr(n, "classifier", nn.Sequential(nn.Dropout(), nn.Linear(1024, 3))),
            LinearHead(),
            ["classifier.1"],
        ),
        (
            "efficientnet_b0",
            lambda n: n.classifier.__setitem__(
                1, nn.Sequential(nn.Linear(1280, 16), nn.ReLU(), nn.Linear(16, 3))
            ),
            MlpHead((16,)),
            ["classifier.1.0", "classifier.1.2"],
        ),
        (
            "mobilenet_v3_small",
            lambda n: n.classifier.__setitem__(3, nn.Sequential(nn.Dropout(), nn.Linear(1024, 3))),
            OwnHead(),
            ["classifier.0", "classifier.3.1"],
        ),
    ],
)
def test_a_replaced_classifier_is_served_under_the_names_it_has(
    name: str, replace: Callable[[nn.Module], None], head: HeadSpec, words: list[str]
) -> None:
    """As tutorials replace it; the tensors come back under the same names."""
    network = library_network(name)
    replace(network)
    network.eval()
    spec = NetworkSpec(name, 3, Size(64, 64), head, IMAGENET)
    images = pictures(spec.input_size, 1)

    servable = load_servable(spec, network.state_dict())

    with torch.inference_mode():
        torch.testing.assert_close(servable(images)[0], network(script_input(images)), rtol=1e-4, atol=1e-5)
    assert list(servable.script_names.values()) == words
    assert servable_state(servable).keys() == network.state_dict().keys()
    assert head_in(network.state_dict(), ARCHITECTURES[name]) in {(head, 3), (OwnHead(), 3)}


def test_a_head_of_its_own_is_named_where_the_manifest_says_linear() -> None:
    with torch.device("meta"):
        state = library_network("mobilenet_v3_small").state_dict()

    with pytest.raises(WeightsRefused, match=r'own head \(kind = "own"\) of 5 classes'):
        load_servable(spec_of("mobilenet_v3_small", LinearHead()), state)
    with pytest.raises(WeightsRefused, match="the file has 5 classes, the manifest 4"):
        load_servable(spec_of("mobilenet_v3_small", OwnHead(), classes=4), state)


@pytest.mark.parametrize("prefix", ["module.", "model.backbone."])
def test_a_shared_prefix_is_told_from_a_trunk_that_lies_under_one_name(prefix: str) -> None:
    """Nearly every tensor of MobileNetV2 begins with `features.` by itself."""
    with torch.device("meta"):
        state = {
            prefix + name: tensor for name, tensor in library_network("mobilenet_v2").state_dict().items()
        }

    with pytest.raises(WeightsRefused, match=rf"begin with `{prefix}`") as caught:
        load_servable(spec_of("mobilenet_v2"), state)

    assert "features.`" not in caught.value.message


def test_the_architecture_in_the_file_is_named() -> None:
    with torch.device("meta"):
        state = library_network("vgg11").state_dict()

    with pytest.raises(WeightsRefused, match="the trunk in the file is vgg11; name it as architecture"):
        load_servable(spec_of("vgg11_bn"), state)


def test_an_own_head_needs_a_class() -> None:
    with pytest.raises(ManifestInvalid, match="at least one class"):
        build_servable(spec_of("mobilenet_v3_small", classes=0))


def test_an_own_head_is_the_linear_one_where_there_is_no_other() -> None:
    spec = NetworkSpec("cifar_resnet14", 3, Size(24, 24), OwnHead())
    servable = build_servable(spec).eval()

    again = load_servable(spec, servable_state(servable))

    assert "fc.weight" in servable_state(servable)
    assert check_sum_rule(again).kind == "exact"
    with pytest.raises(WeightsRefused, match="the file has 3 classes, the manifest 4"):
        load_servable(NetworkSpec("cifar_resnet14", 4, Size(24, 24), OwnHead()), servable_state(servable))


def test_other_heads_stand_where_the_architecture_keeps_its_own() -> None:
    """A convolution for maps behind MobileNetV2, under `classifier.`."""
    servable = build_servable(NetworkSpec("mobilenet_v2", 3, Size(96, 96), ConvCamHead(3)))

    assert servable.target_layer == "classifier.conv"
    assert {"classifier.conv.weight", "classifier.linear.bias"} <= servable_state(servable).keys()


def test_auxiliary_classifiers_are_told_from_tensors_that_nobody_knows() -> None:
    with torch.device("meta"):
        state = library_network("googlenet").state_dict()
    stray = {**state, "aux3.fc.weight": torch.zeros(2), "aux1x": torch.zeros(2)}

    with pytest.raises(WeightsRefused, match=r"surplus \(2\):\n  aux1x\n  aux3.fc.weight"):
        load_servable(spec_of("googlenet"), stray)


def test_inceptions_input_transform_is_a_mean_and_deviation_of_one_half() -> None:
    """Pretrained weights bring `transform_input`, which no tensor shows; the manifest can say it."""
    script = script_network("inception_v3")
    script.transform_input = True
    half = (0.5, 0.5, 0.5)
    spec = NetworkSpec("inception_v3", 5, Size(107, 107), normalisation=Normalisation(mean=half, std=half))
    images = pictures(spec.input_size, 1)

    servable = load_servable(spec, script.state_dict())

    with torch.inference_mode():
        assert relative_error(servable(images)[0], script(script_input(images))) < 1e-5


def test_without_timm_its_networks_are_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)

    with pytest.raises(ManifestInvalid, match=r"seresnet50 .* pip install lineside\[zoo\]"):
        build_servable(spec_of("seresnet50"))
