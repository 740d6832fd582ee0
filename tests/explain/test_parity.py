"""Our maps against pytorch-grad-cam, torchcam and captum: the same numbers without a hook.

In double precision, so that what is compared is the formula and which layer, class and image it was given: in
float32 the libraries' own maps of the early layers of a random ResNet-50 move by 2 % with the memory format, as
rounding opens and closes ReLUs. What is known to be wrong with them is in support/reference_maps.py.
"""

from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.reference_maps import captum_grad_cam, grad_cam, hookable, torch_cam
from support.zoo import pictures, script_network, spec_of
from torch import Tensor, nn

from app.domain import Method, Probe, Target
from app.engines.torch_engine import TorchEngine
from app.nets.maps import gradcam, gradcam_plus_plus, hirescam
from app.nets.probing import probed
from app.nets.servable import Servable, load_servable

COUNT = 3
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

LINEAR = {"densenet121": "classifier"} | dict.fromkeys(
    ("mobilenet_v2", "efficientnet_b0", "mnasnet0_5"), "classifier.1"
)
"""`fc` where none is named."""


@dataclass(frozen=True)
class Pair:
    """One network twice: as its library has it, and served; both in double precision."""

    network: nn.Module
    servable: Servable
    images: Tensor
    normalised: Tensor
    classes: tuple[int, ...]
    """For each image one of its best; of the others, all cells may speak against, and a ReLU leaves nothing."""
    linear: str

    @property
    def hook(self) -> str:
        """Where the library's network gives what our last layer gives."""
        return self.hook_of(self.servable.target_layer)

    def hook_of(self, layer: str) -> str:
        return "relu" if layer == "features" and hasattr(self.network, "relu") else layer

    def maps(self, method: Method, *, score: str = "logit") -> NDArray[np.float32]:
        """Of the last layer, as the libraries scale them: ours are multiplied by the number of cells."""
        layers = (self.servable.target_layer,)
        probes = [Probe(Target(each, score), method, layers) for each in self.classes]  # type: ignore[arg-type]
        found = np.stack([answer.maps[0] for answer in probed(self.servable, self.images, probes)[2]])
        return found / (found.shape[1] * found.shape[2])

    def evidence(self) -> NDArray[np.float64]:
        """What /explain gives without a probe."""
        with torch.no_grad():
            return self.servable(self.images)[1].numpy()[np.arange(COUNT), list(self.classes)]


@lru_cache(maxsize=4)
def pair(name: str) -> Pair:
    network = script_network(name)
    spec = spec_of(name)
    servable = load_servable(spec, network.state_dict()).double()
    # Noise: among equal neighbours, each memory format has its own first one for a pooling to pick.
    blocks = pictures(spec.input_size, COUNT, seed=1).numpy().astype(np.int16)
    noise = np.random.default_rng(0).integers(-20, 21, blocks.shape)
    images = torch.from_numpy((blocks + noise).clip(0, 255).astype(np.uint8))
    with torch.no_grad():
        order = servable(images)[0].argsort(dim=1, descending=True).tolist()
    second = next(each for each in order[1] if each != order[0][0])
    classes = (order[0][0], second, order[2][0])
    normalised = servable.normalised(images).contiguous()
    return Pair(hookable(network).double(), servable, images, normalised, classes, LINEAR.get(name, "fc"))


def assert_equal(
    found: NDArray[np.floating], expected: NDArray[np.floating], *, is_cut: bool = False
) -> None:
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


@pytest.mark.parametrize("name", marked(AVERAGED, AVERAGED_SLOW))
def test_last_layer_equals_the_three_libraries(name: str) -> None:
    """One batch, a class for every image; the evidence of /explain is torchcam's CAM and the others' Grad-CAM."""
    both = pair(name)
    given = (both.network, both.hook, both.normalised, both.classes)
    evidence = both.evidence()
    cells = evidence.shape[1] * evidence.shape[2]

    assert_equal(evidence, torch_cam("cam", *given, linear=both.linear))
    assert_equal(evidence / cells, captum_grad_cam(*given))
    for method in ("gradcam", "hirescam", "xgradcam"):
        expected = grad_cam(method, *given)
        assert_equal(evidence / cells, expected)
        assert_equal(both.maps(method), expected)
    assert_equal(both.maps("layercam"), grad_cam("layercam", *given))
    for method in ("layercam", "xgradcam"):
        assert_equal(both.maps(method), torch_cam(method, *given, linear=both.linear), is_cut=True)


@pytest.mark.parametrize("name", marked(OTHERS, OTHERS_SLOW))
def test_heads_that_are_not_averaged_and_linear_equal_the_libraries_too(name: str) -> None:
    """A gradient through the head alone is the gradient."""
    both = pair(name)
    given = (both.network, both.hook, both.normalised, both.classes)

    for method in ("gradcam", "hirescam", "layercam", "xgradcam"):
        assert_equal(both.maps(method), grad_cam(method, *given))
    assert_equal(both.maps("gradcam"), captum_grad_cam(*given))


@pytest.mark.parametrize("name", marked(["mobilenet_v2"], ["resnet18", "densenet121", *AVERAGED_SLOW]))
def test_probability_target_equals_pytorch_grad_cams(name: str) -> None:
    """Through the softmax: W~ = p_c (W_c - sum p_j W_j)."""
    both = pair(name)
    given = (both.network, both.hook, both.normalised, both.classes)

    assert_equal(both.maps("hirescam", score="probability"), grad_cam("hirescam", *given, of="probability"))


@pytest.mark.parametrize("name", marked(["mobilenet_v2"], ["resnet18", "densenet121", *AVERAGED_SLOW]))
def test_gradcam_plus_plus_equals_pytorch_grad_cam_with_its_epsilon(name: str) -> None:
    """Theirs is 1e-6 beside squares of gradients; ours is the paper's, and another map."""
    both = pair(name)
    activations, gradient = at_hook(both)
    cells = activations.shape[2] * activations.shape[3]

    with_theirs = gradcam_plus_plus(activations, gradient, epsilon=1e-6).numpy() / cells
    without = gradcam_plus_plus(activations, gradient).numpy() / cells
    expected = grad_cam("gradcam++", both.network, both.hook, both.normalised, both.classes)

    assert_equal(with_theirs, expected)
    assert_equal(both.maps("gradcam++"), without)
    assert np.abs(with_theirs - without).max() > 100 * TOLERANCE * np.abs(without).max()


@pytest.mark.parametrize("name", marked(["resnet18"], [*AVERAGED[1:], *AVERAGED_SLOW, *OTHERS, *OTHERS_SLOW]))
def test_every_layer_equals_grad_cam_run_layer_by_layer_and_image_by_image(name: str) -> None:
    """Ours is one forward and one backward pass for all of them, with a class and a method for each image."""
    both = pair(name)
    layers = both.servable.layers
    methods: list[Method] = ["layercam", "gradcam", "hirescam"]
    if name == "convnext_tiny":
        methods[2] = (
            "layercam"  # a layer normalisation follows its layers, and HiResCAM is zero but for rounding
        )
    probes = [Probe(Target(each), m, layers) for each, m in zip(both.classes, methods, strict=True)]

    answers = probed(both.servable, both.images, probes)[2]

    for index, (each, method) in enumerate(zip(both.classes, methods, strict=True)):
        image = both.normalised[index : index + 1]
        for found, layer in zip(answers[index].maps, layers, strict=True):
            expected = grad_cam(method, both.network, both.hook_of(layer), image, [each])
            assert_equal(found[np.newaxis] / found.size, expected)


@pytest.mark.parametrize("name", AVERAGED)
def test_what_is_served_in_float32_equals_it_too(name: str) -> None:
    """The engine's own precision and memory format, at the last layer."""
    both = pair(name)
    spec, state = both.servable.spec, script_network(name).state_dict()
    engine = TorchEngine(load_servable(spec, state), "cpu", lock=Lock())
    layer = engine.target_layer
    probes = [Probe(Target(each), "layercam", (layer,)) for each in both.classes]

    output = engine.probe(both.images.numpy(), probes)

    found = np.stack([answer.maps[0] for answer in output.answers])
    cells = found.shape[1] * found.shape[2]
    assert_equal(found / cells, both.maps("layercam"))
    assert_equal(output.evidence[np.arange(COUNT), list(both.classes)], both.evidence())


@pytest.mark.parametrize("name", marked(["resnet18", *OTHERS], ["alexnet", "vgg11_bn"]))
def test_what_the_evidence_is_called_is_what_it_is(name: str) -> None:
    """`evidence_methods` of every kind of head, map by map."""
    both = pair(name)
    evidence = both.evidence()
    per_cell = evidence / (evidence.shape[1] * evidence.shape[2])
    called = set(both.servable.head.evidence_methods) - {"cam"}

    assert called
    for method in called:
        assert_equal(both.maps(method), per_cell)  # type: ignore[arg-type]
    for method in {"gradcam", "hirescam", "xgradcam"} - called:
        another = both.maps(method)  # type: ignore[arg-type]
        assert np.abs(another - per_cell).max() > 0.01 * np.abs(another).max()


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


def at_hook(both: Pair) -> tuple[Tensor, Tensor]:
    """Activations and gradient at the last layer by a hook, as the libraries take them."""
    kept: list[Tensor] = []
    layer = both.network.get_submodule(both.hook)
    handle = layer.register_forward_hook(lambda *given: kept.append(given[2]))
    both.network.requires_grad_()
    logits = both.network(both.normalised)
    handle.remove()
    score = logits[torch.arange(COUNT), torch.tensor(both.classes)].sum()
    (gradient,) = torch.autograd.grad(score, kept)
    return kept[0].detach(), gradient
