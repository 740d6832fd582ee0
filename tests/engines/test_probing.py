"""Promises of probes and whole pictures: right beside plain answers, under any number of threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock

import numpy as np
import pytest
import torch
from support.bundles import random_servable
from support.zoo import pictures, relative_error

from app.bundles.repository import open_bundle
from app.checkpoints.weights import read_weights
from app.domain import (
    ConvCamHead,
    HeadSpec,
    LinearHead,
    MlpHead,
    NetworkSpec,
    Normalisation,
    Probe,
    Size,
    Target,
)
from app.engines.base import ProbingEngine
from app.engines.torch_engine import TorchEngine, resolve_device
from app.errors import InvalidRequest
from app.explain.maps import evidence_map, target_weights
from app.images.decode import decode
from app.images.preprocess import preprocess
from app.nets import probing
from app.nets.layers import EARLIER_LAYERS
from app.nets.maps import FORMULAS
from app.nets.servable import Servable, load_servable, servable_state

SIZE = Size(32, 40)
HEADS: list[HeadSpec] = [LinearHead(), MlpHead((16,)), ConvCamHead()]
TARGETS = [
    Target(),
    *(Target(each) for each in range(4)),
    Target(2, "probability"),
    Target(1, against=3),
]


def servable_of(head: HeadSpec | None = None, *, size: Size = SIZE) -> Servable:
    spec = NetworkSpec(
        "cifar_resnet14", 4, size, head or LinearHead(), Normalisation(mean=(0.5,) * 3, std=(0.25,) * 3)
    )
    return load_servable(spec, servable_state(random_servable(spec, seed=0)))


def engine_of(head: HeadSpec | None = None, *, size: Size = SIZE) -> TorchEngine:
    return TorchEngine(servable_of(head, size=size), "cpu", lock=Lock())


def images(count: int, seed: int = 0, size: Size = SIZE) -> np.ndarray:
    return pictures(size, count, seed=seed).numpy()


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_a_probe_changes_nothing_of_the_prediction(head: HeadSpec) -> None:
    """Logits and evidence to the bit, before, with and after."""
    engine, batch = engine_of(head), images(3)
    before = engine.run(batch)

    output = engine.probe(batch, [Probe(each, layers=engine.layers) for each in TARGETS[:3]])

    after = engine.run(batch)
    for each in (output, after):
        assert np.array_equal(each.logits, before.logits)
        assert np.array_equal(each.evidence, before.evidence)


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("head", HEADS, ids=str)
def test_evidence_of_any_target_is_the_gradients_map(head: HeadSpec, target: Target) -> None:
    """What NumPy sums up from the evidence alone is what a backward pass finds."""
    engine, batch = engine_of(head), images(1)
    output = engine.probe(batch, [Probe(target, "hirescam", (engine.target_layer,))])
    logits = output.logits[0]
    known = replace(target, class_index=int(logits.argmax())) if target.class_index is None else target

    summed = evidence_map(output.evidence[0], logits, known).values

    assert relative_error(torch.from_numpy(summed), torch.from_numpy(output.answers[0].maps[0])) < 1e-5
    ours = probing.target_weights(torch.from_numpy(logits), target)
    np.testing.assert_allclose(ours.numpy(), target_weights(logits, target), atol=1e-6)


def test_nothing_is_left_on_the_model() -> None:
    """No gradient, no hook, no weight that would take one."""
    servable = servable_of()
    engine = TorchEngine(servable, "cpu", lock=Lock())

    engine.probe(images(2), [Probe(layers=engine.layers, channels_of="layer1")] * 2)

    assert not any(p.requires_grad or p.grad is not None for p in servable.parameters())
    for module in servable.modules():
        assert not module._forward_hooks  # noqa: SLF001 - there is no other way to see them
        assert not module._backward_hooks  # noqa: SLF001


def test_each_image_of_a_batch_has_its_own_probe() -> None:
    """Class, method, layers and channels; alone it gets the same."""
    engine, batch = engine_of(), images(4)
    probes = [
        Probe(Target(0), "layercam", ("layer1", "layer3")),
        Probe(Target(3), "gradcam", ("layer2",), "layer3", 2),
        Probe(Target(1), "eigencam", ("layer3",)),
        Probe(Target(2), "layercam", (), "layer1", 5),
    ]

    together = engine.probe(batch, probes).answers

    for index, probe in enumerate(probes):
        alone = engine.probe(batch[index : index + 1], [probe]).answers[0]
        assert len(together[index].maps) == len(probe.layers)
        for found, expected in zip(together[index].maps, alone.maps, strict=True):
            assert relative_error(torch.from_numpy(found), torch.from_numpy(expected)) < 1e-5
        if alone.channels is not None:
            assert together[index].channels is not None
            assert together[index].channels.indices.tolist() == alone.channels.indices.tolist()


def test_channels_are_ranked_by_weight_times_pooled_activation() -> None:
    """At the last layer that is W_ck p_k, and all of them add up to the logit without its bias."""
    servable = servable_of()
    batch = images(1)
    features = servable.trunk(servable.normalised(torch.from_numpy(batch)))[0]
    expected = servable.head.linear.weight[2] * features.mean(dim=(1, 2))  # type: ignore[union-attr]

    channels = (
        TorchEngine(servable, "cpu", lock=Lock())
        .probe(batch, [Probe(Target(2), channels_of="layer3", channel_count=6)])
        .answers[0]
        .channels
    )

    assert channels is not None
    assert channels.indices.tolist() == expected.argsort(descending=True)[:6].tolist()
    np.testing.assert_allclose(channels.contributions, expected[channels.indices].numpy(), rtol=1e-4)
    np.testing.assert_allclose(channels.values, features[channels.indices].numpy(), rtol=1e-4, atol=1e-5)
    assert channels.total == pytest.approx(float(expected.sum()), rel=1e-4)
    assert (channels.count, channels.values.shape) == (64, (6, 8, 10))


def test_more_channels_than_there_are_is_all_of_them() -> None:
    engine = engine_of(ConvCamHead())

    answer = engine.probe(images(1), [Probe(channels_of=engine.target_layer, channel_count=50)]).answers[0]

    assert answer.channels is not None
    assert len(answer.channels.indices) == answer.channels.count == 4


@pytest.mark.parametrize("method", FORMULAS)
@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_pictures_give_numbers(method: str, value: int) -> None:
    """No NaN, no division by zero."""
    engine = engine_of()
    flat = np.full((1, SIZE.height, SIZE.width, 3), value, dtype=np.uint8)

    layers = engine.layers if method != "eigencam" else engine.layers[-1:]
    answer = engine.probe(flat, [Probe(Target(1), method, layers)]).answers[0]  # type: ignore[arg-type]

    assert all(np.isfinite(each).all() for each in answer.maps)


@pytest.mark.parametrize("method", FORMULAS)
def test_dead_layers_give_zeros(method: str) -> None:
    """All activations zero, or all gradients."""
    nothing, something = torch.zeros(1, 3, 2, 2), torch.randn(1, 3, 2, 2)

    for activations, gradient in ((nothing, something), (something, nothing), (nothing, nothing)):
        values = FORMULAS[method](activations, gradient)  # type: ignore[index]
        assert values.isfinite().all()
        if method != "eigencam" or activations is nothing:
            assert not values.any()


def test_hirescam_before_a_layer_normalisation_is_nothing_and_not_rounding() -> None:
    """What follows does not change when a cell's channels all grow (ConvNeXt): exactly zero, so nothing is drawn."""
    torch.manual_seed(0)
    activations = torch.randn(1, 96, 5, 5).requires_grad_()
    normalised = torch.nn.functional.layer_norm(activations.movedim(1, 3), (96,), eps=0.0)
    (gradient,) = torch.autograd.grad((normalised * torch.randn_like(normalised)).sum(), activations)
    held = activations.detach()

    assert (gradient * held).sum(dim=1).abs().max() > 0  # rounding
    assert not FORMULAS["hirescam"](held, gradient).any()
    assert FORMULAS["layercam"](held, gradient).any()


def test_eigencam_is_the_first_singular_pattern_the_right_way_up() -> None:
    """Against NumPy's decomposition of the uncentred activations, as the paper has it."""
    activations = torch.rand(2, 7, 3, 4)

    found = FORMULAS["eigencam"](activations, activations)

    for one, matrix in zip(found, activations.flatten(2).numpy(), strict=True):
        _, values, vectors = np.linalg.svd(matrix.astype(np.float64))
        expected = np.abs(values[0] * vectors[0]).reshape(3, 4)  # not negative, as the activations are
        np.testing.assert_allclose(one.numpy(), expected, rtol=1e-4)


def test_random_last_layer_decorrelates_the_map() -> None:
    """Adebayo et al. 2018: a map that stays the same would not show what the network learned.

    On the trained demo model, its golden images and two hundred random last layers, the class activation map
    correlates with the true one by 0.0 on average. LayerCAM does not pass: it keeps only channels that speak for a
    class, and those activations are never negative, so the picture shows through whatever the class (0.9). That is
    why it is not the default at the last layer.
    """
    servable, batch = demo_model()
    features = servable.trunk(servable.normalised(torch.from_numpy(batch)))
    weights = servable.head.linear.weight  # type: ignore[union-attr]
    torch.manual_seed(5)

    def shown(method: str, row: torch.Tensor) -> np.ndarray:
        gradient = row[None, :, None, None].expand_as(features) / features[0, 0].numel()
        return FORMULAS[method](features, gradient).numpy()  # type: ignore[index]

    means = {}
    for method in ("hirescam", "gradcam++", "layercam"):
        before = shown(method, weights[0])
        rows = [torch.randn_like(weights[0]) * weights.std() for _ in range(200)]
        means[method] = float(np.mean([correlations(shown(method, row), before) for row in rows]))

    assert abs(means["hirescam"]) < 0.15, means
    assert min(means["layercam"], means["gradcam++"]) > 0.6, means


def demo_model() -> tuple[Servable, np.ndarray]:
    """With four of its golden images."""
    bundle = open_bundle(Path(__file__).parents[2] / "models" / "carcass-demo" / "1")
    assert bundle.golden is not None
    shown = [
        preprocess(
            decode(bundle.golden.read(image), geometry=bundle.geometry, max_pixels=10**7),
            bundle.geometry.steps,
        ).pixels
        for image in bundle.golden.images[:4]
    ]
    return load_servable(bundle.network_spec, read_weights(bundle.weights_path)), np.stack(shown)


def correlations(found: np.ndarray, expected: np.ndarray) -> list[float]:
    pairs = zip(found, expected, strict=True)
    return [float(np.corrcoef(one.ravel(), other.ravel())[0, 1]) for one, other in pairs]


def test_eight_threads_a_hundred_probes_each_get_what_one_thread_gets() -> None:
    """Bit for bit, each with its own class, method and layers; hook-based libraries get 10 of 24 wrong."""
    size = Size(12, 16)
    engine = engine_of(size=size)
    methods = list(FORMULAS)

    def asked(number: int) -> tuple[np.ndarray, Probe | None]:
        picture = images(1, number % 11, size)
        if number % 5 == 4:
            return picture, None
        method = methods[number % 6]
        layers = engine.layers[number % 3 if method != "eigencam" else 2 :]
        channels_of = "layer2" if number % 7 == 0 else None
        return picture, Probe(Target(number % 4), method, layers, channels_of, 3)

    def answered(number: int) -> list[np.ndarray]:
        picture, probe = asked(number)
        if probe is None:
            output = engine.run(picture)
            return [output.logits, output.evidence]
        found = engine.probe(picture, [probe])
        answer = found.answers[0]
        channels = [] if answer.channels is None else [answer.channels.indices, answer.channels.values]
        return [found.logits, found.evidence, *answer.maps, *channels]

    alone = {number: answered(number) for number in range(100)}

    def a_hundred(thread: int) -> bool:
        order = np.random.default_rng(thread).permutation(100)
        return all(
            all(
                np.array_equal(one, other) for one, other in zip(answered(int(n)), alone[int(n)], strict=True)
            )
            for n in order
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(a_hundred, range(8)))


@pytest.mark.parametrize("head", [LinearHead(), ConvCamHead()], ids=str)
def test_a_view_is_the_network_on_that_size(head: HeadSpec) -> None:
    """Its evidence averages to its logits, and a picture of the usual size gives the usual answer."""
    engine = engine_of(head)
    whole = pictures(Size(56, 90), 1, seed=3).numpy()[0]

    seen = engine.view(whole)

    bias = servable_of(head).head.linear.bias.numpy()  # type: ignore[union-attr]
    margin = round(2 * engine.margin_cells)
    assert seen.evidence.shape == (1, 4, 14 - margin, 23 - margin)
    np.testing.assert_allclose(seen.evidence.mean((2, 3)) + bias, seen.logits, atol=1e-5)
    again = TorchEngine(
        load_servable(
            replace(servable_of(head).spec, input_size=Size(56, 90)), servable_state(servable_of(head))
        ),
        "cpu",
        lock=Lock(),
    ).run(whole[np.newaxis])
    assert np.array_equal(seen.evidence, again.evidence)
    usual = images(1)
    assert np.array_equal(engine.view(usual[0]).logits, engine.run(usual).logits)


def test_a_view_without_a_cell_is_refused() -> None:
    """The convolution of this head needs three cells."""
    with pytest.raises(InvalidRequest, match="12 x 8 pixels, too few for cifar_resnet14, which needs 9 x 9"):
        engine_of(ConvCamHead()).view(np.zeros((8, 12, 3), dtype=np.uint8))


def test_the_torch_engine_keeps_the_probing_contract() -> None:
    engine = engine_of(ConvCamHead())

    assert isinstance(engine, ProbingEngine)
    assert engine.layers == ("layer1", "layer2", "layer3", "fc.conv")
    assert engine.evidence_methods[0] == "cam"


def test_a_closed_engine_answers_no_probe() -> None:
    engine = engine_of()
    engine.close()

    for ask in (lambda: engine.probe(images(1), [Probe()]), lambda: engine.view(images(1)[0])):
        with pytest.raises(RuntimeError, match="closed"):
            ask()


def test_every_family_but_one_has_layers_to_look_into() -> None:
    """Dual path networks carry two tensors from block to block."""
    from app.nets.architectures import ARCHITECTURES  # noqa: PLC0415 - many networks, for this test alone

    without = {a.family for a in ARCHITECTURES.values() if len(a.layers) == 1}
    assert without == {"dpn"}
    assert set(EARLIER_LAYERS) <= set(ARCHITECTURES) | {a.family for a in ARCHITECTURES.values()}


@pytest.mark.gpu
def test_cuda_probes_as_the_processor_does() -> None:
    """In full float32, with other algorithms for every convolution."""
    batch = images(4)
    probes = [Probe(Target(n), "layercam", ("layer1", "layer2", "layer3"), "layer2", 4) for n in range(4)]
    expected = engine_of().probe(batch, probes)
    engine = TorchEngine(servable_of(), resolve_device("cuda"), lock=Lock())

    found = engine.probe(batch, probes)

    for one, other in zip(found.answers, expected.answers, strict=True):
        for values, known in zip(one.maps, other.maps, strict=True):
            assert relative_error(torch.from_numpy(values), torch.from_numpy(known)) < 1e-4
    whole = pictures(Size(56, 90), 1, seed=3).numpy()[0]
    np.testing.assert_allclose(
        engine.view(whole).logits, engine_of().view(whole).logits, rtol=1e-3, atol=1e-4
    )
