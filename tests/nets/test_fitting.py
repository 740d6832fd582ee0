"""Promises of strict loading: what does not fit is refused, with what was probably meant."""

import pytest
import torch
from torch import Tensor

from app.domain import ConvCamHead, HeadSpec, LinearHead, MlpHead, NetworkSpec, Size
from app.errors import WeightsRefused
from app.nets.naming import head_found
from app.nets.recognition import common_prefix, fitting_architectures
from app.nets.servable import build_servable, load_servable, servable_state

State = dict[str, Tensor]
SIZE = Size(96, 96)


def spec_of(head: HeadSpec | None = None, classes: int = 3, name: str = "cifar_resnet14") -> NetworkSpec:
    return NetworkSpec(name, classes, SIZE, head or LinearHead())


def state_of(head: HeadSpec | None = None, classes: int = 3, name: str = "cifar_resnet14") -> State:
    return servable_state(build_servable(spec_of(head, classes, name)))


def refusal(spec: NetworkSpec, state: State) -> str:
    with pytest.raises(WeightsRefused) as caught:
        load_servable(spec, state)
    return caught.value.message


def test_missing_surplus_and_misshapen_tensors_are_listed_apart() -> None:
    state = state_of()
    del state["layer2.0.conv1.weight"]
    state["criterion.weight"] = torch.zeros(3)
    state["conv1.weight"] = torch.zeros(16, 1, 3, 3)

    message = refusal(spec_of(), state)

    assert "do not fit cifar_resnet14 with a linear head of 3 classes" in message
    assert "missing (1):\n  layer2.0.conv1.weight" in message
    assert "surplus (1):\n  criterion.weight" in message
    assert "conv1.weight: expected (16, 3, 3, 3), found (16, 1, 3, 3)" in message


def test_another_architecture_is_named_and_the_list_stays_short() -> None:
    message = refusal(spec_of(name="resnet50"), state_of(name="resnet34"))

    assert "likely: the trunk in the file is resnet34" in message
    assert "more" in message
    assert len(message.splitlines()) < 40


@pytest.mark.parametrize(
    ("prefix", "origin"),
    [("module.", "DataParallel"), ("_orig_mod.", "torch.compile"), ("module._orig_mod.", ""), ("net.", "")],
)
def test_a_shared_prefix_is_named(prefix: str, origin: str) -> None:
    message = refusal(spec_of(), {prefix + name: tensor for name, tensor in state_of().items()})

    assert f"begin with `{prefix}`" in message
    assert f"removeprefix('{prefix}')" in message
    assert origin in message


def test_a_head_of_another_class_count_is_named_as_just_that() -> None:
    for head in (LinearHead(), MlpHead((8,)), ConvCamHead(), ConvCamHead(3, 6)):
        message = refusal(spec_of(head, classes=5), state_of(head, classes=1000))

        assert "only the head differs: the file has 1000 classes, the manifest 5" in message


@pytest.mark.parametrize(
    ("declared", "in_file", "words"),
    [
        (LinearHead(), MlpHead((8,)), "an mlp head (hidden = [8]) of 3 classes"),
        (MlpHead((9,)), MlpHead((8, 4)), "an mlp head (hidden = [8, 4])"),
        (ConvCamHead(), LinearHead(), "a linear head of 3 classes"),
        (LinearHead(), ConvCamHead(3, 6), "a conv_cam head (kernel_size = 3, channels = 6)"),
        (ConvCamHead(3), ConvCamHead(5), "a conv_cam head (kernel_size = 5, channels = 3)"),
    ],
    ids=str,
)
def test_a_head_of_another_kind_is_described(declared: HeadSpec, in_file: HeadSpec, words: str) -> None:
    assert f"the head in the file is {words}" in refusal(spec_of(declared), state_of(in_file))


def test_a_head_that_cannot_be_served_is_told_from_one_that_is_missing() -> None:
    state = state_of()
    weight, bias = state.pop("fc.weight"), state.pop("fc.bias")

    assert "missing, or not named `fc`" in refusal(
        spec_of(), {**state, "classifier.weight": weight, "classifier.bias": bias}
    )
    assert "none of linear, mlp and conv_cam" in refusal(spec_of(), {**state, "fc.0.weight": bias})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_tensor_that_is_not_finite_is_refused_by_name(value: float) -> None:
    state = state_of()
    state["layer1.0.conv1.weight"][0, 0, 0, 0] = value

    message = refusal(spec_of(), state)

    assert "layer1.0.conv1.weight: 1 of 2304 are NaN or infinite" in message


def test_numbers_that_float32_cannot_hold_are_refused() -> None:
    state = state_of()
    state["fc.bias"] = torch.full((3,), 1e300, dtype=torch.float64)

    assert "fc.bias: 3 of 3" in refusal(spec_of(), state)


def test_a_negative_variance_is_refused() -> None:
    """Its square root would be NaN only once an image comes."""
    state = state_of()
    state["bn1.running_var"][3] = -1.0

    assert "bn1.running_var: a variance below zero" in refusal(spec_of(), state)


def test_integer_and_quantised_weights_are_refused() -> None:
    state = state_of()
    state["fc.weight"] = state["fc.weight"].to(torch.int8)
    state["fc.bias"] = state["fc.bias"].to_sparse()

    message = refusal(spec_of(), state)

    assert "fc.weight: int8" in message
    assert "fc.bias: float32 sparse_coo" in message


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types_are_served_in_float32(dtype: torch.dtype) -> None:
    state = {n: t.to(dtype) if t.is_floating_point() else t for n, t in state_of().items()}

    servable = load_servable(spec_of(), state)

    assert {p.dtype for p in servable.parameters()} == {torch.float32}
    assert torch.equal(servable_state(servable)["conv1.weight"], state["conv1.weight"].float())


def test_batch_counters_may_be_absent() -> None:
    state = {n: t for n, t in state_of().items() if not n.endswith("num_batches_tracked")}

    assert not load_servable(spec_of(), state).training


def test_what_was_loaded_from_is_not_kept() -> None:
    """The tensors may be a window on a file that somebody replaces."""
    state = state_of()
    servable = load_servable(spec_of(), state)
    before = servable_state(servable)["fc.weight"].clone()

    state["fc.weight"].fill_(7.0)

    assert torch.equal(servable_state(servable)["fc.weight"], before)


def test_names_from_a_file_cannot_forge_lines_of_a_log() -> None:
    state = state_of()
    state["evil\n2026-01-01 all is well " + "x" * 500] = torch.zeros(1)

    message = refusal(spec_of(), state)

    assert "\n2026" not in message
    assert max(map(len, message.splitlines())) < 400


def test_an_empty_state_dict_is_refused() -> None:
    assert "no tensors at all" in refusal(spec_of(), {})


def test_the_one_architecture_that_fits_is_found() -> None:
    for name in ("resnet18", "resnet34", "resnext50_32x4d", "cifar_resnet14"):
        with torch.device("meta"):
            state = state_of(name=name)
        assert fitting_architectures(state) == [name]


@pytest.mark.parametrize("head", [LinearHead(), MlpHead((8, 4)), ConvCamHead(3, 6)], ids=str)
def test_a_head_is_recognised_from_its_tensors(head: HeadSpec) -> None:
    assert head_found(state_of(head, classes=4)) == (head, 4)


def test_the_shared_prefix_is_found_beside_stray_tensors() -> None:
    names = [f"model.net.layer{i}.weight" for i in range(20)]

    assert common_prefix([*names, "criterion.weight"]) == "model.net."
    assert common_prefix(list(state_of())) == ""
    assert common_prefix(["weight", "bias"]) == ""
    assert common_prefix([]) == ""
