"""Our maps against pytorch-grad-cam, torchcam and captum: the same numbers without a hook.

What is known to be wrong with those is in support/reference_maps.py, and is not copied.
"""

from dataclasses import dataclass
from functools import cache
from threading import Lock

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.reference_maps import captum_grad_cam, grad_cam, hookable, torch_cam
from support.zoo import pictures, script_input, script_network, spec_of
from torch import Tensor, nn

from app.domain import Method, Probe, Target
from app.engines.torch_engine import TorchEngine
from app.nets.maps import gradcam, gradcam_plus_plus, hirescam
from app.nets.servable import load_servable

COUNT = 3
CLASSES = 5
TOLERANCE = 1e-5

AVERAGED = ["resnet18", "mobilenet_v2", "densenet121"]
"""Average pooling and one linear layer; three of them by default."""
AVERAGED_SLOW = [
    "resnet50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "shufflenet_v2_x0_5",
    "googlenet",
    "inception_v3",
    "mnasnet0_5",
    "efficientnet_b0",
]
OTHERS = ["squeezenet1_1", "mobilenet_v3_small"]
OTHERS_SLOW = ["alexnet", "vgg11_bn", "convnext_tiny"]

LINEAR = {"densenet121": "classifier", "mobilenet_v2": "classifier.1", "efficientnet_b0": "classifier.1"}
LINEAR["mnasnet0_5"] = "classifier.1"


@dataclass(frozen=True)
class Pair:
    """One network twice: as its library has it, and served."""

    network: nn.Module
    engine: TorchEngine
    images: Tensor
    normalised: Tensor
    classes: tuple[int, ...]
    """Another class for each image."""

    def hook(self, layer: str) -> str:
        """Where the library's network gives this layer's output."""
        return "relu" if layer == "features" and hasattr(self.network, "relu") else layer

    def maps(self, method: Method, layer: str) -> NDArray[np.float32]:
        """(B, rows, cols) as the libraries scale them: ours are multiplied by the number of cells."""
        probes = [Probe(Target(each), method, (layer,)) for each in self.classes]
        answers = self.engine.probe(self.images.numpy(), probes).answers
        found = np.stack([answer.maps[0] for answer in answers])
        return found / (found.shape[1] * found.shape[2])


@cache
def pair(name: str) -> Pair:
    network = script_network(name)
    spec = spec_of(name)
    images = pictures(spec.input_size, COUNT, seed=1)
    normalised = script_input(images)
    engine = TorchEngine(load_servable(spec, network.state_dict()), "cpu", lock=Lock())
    # The best classes: for the others all cells may speak against, and nothing is left after a ReLU.
    logits = torch.from_numpy(engine.run(images.numpy()).logits)
    first = logits.argsort(dim=1, descending=True)
    classes = [int(row[0]) for row in first]
    classes[1] = next(int(each) for each in first[1] if int(each) != classes[0])
    return Pair(hookable(network), engine, images, normalised, tuple(classes))


def assert_equal(found: NDArray[np.float32], expected: NDArray[np.float32], *, is_cut: bool = False) -> None:
    """To 1e-5 of the map's largest value, image by image.

    Args:
        found: signed.
        expected: signed as well, or what a ReLU left of it.
        is_cut: by such a ReLU.
    """
    assert found.shape == expected.shape
    for one, other in zip(found, expected, strict=True):
        assert np.abs(other).max() > 0, "degenerate reference"
        allowed = TOLERANCE * (np.abs(one).max() if is_cut else np.abs(other).max())
        assert np.abs((one.clip(min=0) if is_cut else one) - other).max() <= allowed


def marked(default: list[str], slow: list[str]) -> list[object]:
    return [*default, *(pytest.param(name, marks=pytest.mark.slow) for name in slow)]


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam", "xgradcam"])
@pytest.mark.parametrize("name", marked(AVERAGED, AVERAGED_SLOW))
def test_last_layer_equals_pytorch_grad_cam(name: str, method: Method) -> None:
    """A class for every image, one batch."""
    both = pair(name)
    layer = both.engine.target_layer

    expected = grad_cam(method, both.network, both.hook(layer), both.normalised, both.classes)

    assert_equal(both.maps(method, layer), expected)


@pytest.mark.parametrize("name", marked(AVERAGED, AVERAGED_SLOW))
def test_evidence_is_what_torchcam_calls_cam_and_the_others_grad_cam(name: str) -> None:
    """The map of /explain, which costs no backward pass: CAM itself, and Grad-CAM times the cells."""
    both = pair(name)
    hook = both.hook(both.engine.target_layer)
    evidence = both.engine.run(both.images.numpy()).evidence
    found = evidence[np.arange(COUNT), list(both.classes)]
    cells = found.shape[1] * found.shape[2]

    cam = torch_cam("cam", both.network, hook, both.normalised, both.classes, linear=LINEAR.get(name, "fc"))
    assert_equal(found, cam)
    for method in ("gradcam", "hirescam", "xgradcam"):
        expected = grad_cam(method, both.network, hook, both.normalised, both.classes)
        assert_equal(found / cells, expected)
    assert_equal(found / cells, captum_grad_cam(both.network, hook, both.normalised, both.classes))


@pytest.mark.parametrize("method", ["layercam", "xgradcam"])
@pytest.mark.parametrize("name", marked(AVERAGED[:2], [*AVERAGED[2:], *AVERAGED_SLOW]))
def test_last_layer_equals_torchcam(name: str, method: Method) -> None:
    """Ours after the ReLU that torchcam applies inside."""
    both = pair(name)
    layer = both.engine.target_layer

    expected = torch_cam(
        method, both.network, both.hook(layer), both.normalised, both.classes, linear=LINEAR.get(name, "fc")
    )

    assert_equal(both.maps(method, layer), expected, is_cut=True)


@pytest.mark.parametrize("name", marked(AVERAGED[:1], [*AVERAGED[1:], *AVERAGED_SLOW]))
def test_probability_target_equals_pytorch_grad_cams(name: str) -> None:
    """Through the softmax: W~ = p_c (W_c - sum p_j W_j)."""
    both = pair(name)
    layer = both.engine.target_layer
    probes = [Probe(Target(each, "probability"), "hirescam", (layer,)) for each in both.classes]

    answers = both.engine.probe(both.images.numpy(), probes).answers
    found = np.stack([answer.maps[0] for answer in answers])
    expected = grad_cam(
        "hirescam", both.network, both.hook(layer), both.normalised, both.classes, of="probability"
    )

    assert_equal(found / (found.shape[1] * found.shape[2]), expected)


@pytest.mark.parametrize("name", marked(["resnet18"], [*AVERAGED[1:], *AVERAGED_SLOW]))
def test_gradcam_plus_plus_equals_pytorch_grad_cam_with_its_epsilon(name: str) -> None:
    """Theirs is 1e-6 beside squares of gradients; ours is the paper's, and another map."""
    both = pair(name)
    layer = both.engine.target_layer
    activations, gradient = at_layer(both, both.hook(layer))
    cells = activations.shape[2] * activations.shape[3]

    with_theirs = gradcam_plus_plus(activations, gradient, epsilon=1e-6).numpy() / cells
    without = gradcam_plus_plus(activations, gradient).numpy() / cells
    expected = grad_cam("gradcam++", both.network, both.hook(layer), both.normalised, both.classes)

    assert_equal(with_theirs, expected)
    assert_equal(both.maps("gradcam++", layer), without)


@pytest.mark.parametrize("method", ["layercam", "hirescam", pytest.param("gradcam", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", marked(["resnet18"], [*AVERAGED[1:], *AVERAGED_SLOW, *OTHERS, *OTHERS_SLOW]))
def test_every_layer_equals_grad_cam_run_layer_by_layer_and_image_by_image(name: str, method: Method) -> None:
    """Ours is one forward and one backward pass for all of them, with a class for each image."""
    both = pair(name)
    layers = both.engine.layers
    probes = [Probe(Target(each), method, layers) for each in both.classes]
    answers = both.engine.probe(both.images.numpy(), probes).answers

    for place, layer in enumerate(layers):
        if name == "squeezenet1_1" and layer == "features":
            continue  # hooks there see what the next module, an in-place dropout's neighbour, makes of it
        for index, each in enumerate(both.classes):
            expected = grad_cam(
                method, both.network, both.hook(layer), both.normalised[index : index + 1], [each]
            )
            found = answers[index].maps[place]
            assert_equal(found[np.newaxis] / found.size, expected)


@pytest.mark.parametrize("name", marked(OTHERS, OTHERS_SLOW))
def test_heads_that_are_not_averaged_and_linear_equal_the_libraries_too(name: str) -> None:
    """A gradient through the head alone is the gradient."""
    both = pair(name)
    layer = both.engine.target_layer

    for method in ("gradcam", "hirescam", "layercam", "xgradcam"):
        expected = grad_cam(method, both.network, layer, both.normalised, both.classes)
        assert_equal(both.maps(method, layer), expected)
    expected = captum_grad_cam(both.network, layer, both.normalised, both.classes)
    assert_equal(both.maps("gradcam", layer), expected)


@pytest.mark.parametrize("name", marked(["resnet18", *OTHERS], ["alexnet", "vgg11_bn"]))
def test_what_the_evidence_is_called_is_what_it_is(name: str) -> None:
    """`evidence_methods` of every kind of head, map by map."""
    both = pair(name)
    evidence = both.engine.run(both.images.numpy()).evidence[np.arange(COUNT), list(both.classes)]
    cells = evidence.shape[1] * evidence.shape[2]

    others = [method for method in both.engine.evidence_methods if method != "cam"]
    assert others
    for method in others:
        assert_equal(both.maps(method, both.engine.target_layer), evidence / cells)
    for method in {"gradcam", "hirescam", "xgradcam"} - set(both.engine.evidence_methods):
        another = both.maps(method, both.engine.target_layer)
        assert np.abs(another - evidence / cells).max() > 0.01 * np.abs(another).max()


def test_captums_hand_computed_values() -> None:
    """tests/attr/layer/test_grad_cam.py of captum: one convolution of two channels, one linear layer."""
    images = torch.arange(16.0).reshape(1, 1, 4, 4)
    convolution = nn.Conv2d(1, 2, 3)
    linear = nn.Linear(8, 4)
    with torch.no_grad():
        convolution.weight.fill_(1.0)
        convolution.bias.copy_(torch.tensor([-50.0, -75.0]))
        linear.weight.copy_(torch.tensor([1.0] * 5 + [-1.0] * 3).expand(4, 8))
        linear.bias.zero_()
    before = convolution(images)
    after = before.relu()
    score = linear(after.flatten(1)).relu()[:, 0].sum()
    at_before, at_after = (each.detach() for each in torch.autograd.grad(score, [before, after]))
    before, after = before.detach(), after.detach()

    assert (gradcam(before, at_before)[0] / 4).tolist() == [[11.25, 13.5], [20.25, 22.5]]
    assert (gradcam(after, at_after)[0] / 4).relu().tolist() == [[0.0, 4.0], [28.0, 32.5]]
    by_channel = [gradcam(before[:, [k]], at_before[:, [k]])[0] / 4 for k in (0, 1)]
    assert by_channel[0].tolist() == [[-3.75, 3.0], [23.25, 30.0]]
    assert by_channel[1].tolist() == [[15.0, 10.5], [-3.0, -7.5]]
    assert hirescam(after, at_after)[0].mean() == pytest.approx(score.item())


def at_layer(both: Pair, layer: str) -> tuple[Tensor, Tensor]:
    """Activations and gradient by a hook, as the libraries take them."""
    kept: list[Tensor] = []
    handle = both.network.get_submodule(layer).register_forward_hook(lambda *given: kept.append(given[2]))
    both.network.requires_grad_()
    logits = both.network(both.normalised)
    handle.remove()
    score = logits[torch.arange(COUNT), torch.tensor(both.classes)].sum()
    (gradient,) = torch.autograd.grad(score, kept)
    return kept[0].detach(), gradient
