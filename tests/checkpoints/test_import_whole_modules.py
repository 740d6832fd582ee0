"""Promises of the importer for whole modules and TorchScript: whatever runs in them is accounted for, or they are refused."""

import copy
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.foreign import check_logits, do_import, notes_of, refusal
from torch import Tensor, nn
from torchvision.models import resnet

from app.checkpoints.found import Answers
from app.checkpoints.readers import read_checkpoint


def plain() -> resnet.ResNet:
    return resnet.resnet18(weights=None, num_classes=3).eval()


def children(network: nn.Module, count: int) -> list[nn.Module]:
    return list(network.children())[:count]


def averaged(*more: nn.Module) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 3), *more]


def undilated() -> resnet.ResNet:
    network = plain()
    for layer in (network.layer4[0].conv1, network.layer4[0].downsample[0]):
        layer.stride = (1, 1)
    return network


def test_a_sequential_of_children_predicts_as_it_does_itself(tmp_path: Path) -> None:
    """Flat, and as a body and a head; both were compared with the architecture."""
    network = plain()
    flat = nn.Sequential(*children(network, 9), nn.Flatten(), network.fc)
    nested = nn.Sequential(
        nn.Sequential(*children(network, 8)),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), network.fc),
    ).eval()
    for name, model, told in (("flat", flat, {"head": "10"}), ("nested", nested, {})):
        torch.save(model, tmp_path / f"{name}.pt")

        check_logits(tmp_path / f"{name}.pt", model, **told)
        notes = read_checkpoint(tmp_path / f"{name}.pt", Answers(**told)).notes
        assert any("of 65 modules are those of resnet18" in note.text for note in notes)


@pytest.mark.parametrize("is_whole", [True, False])
def test_layers_behind_a_network_in_its_own_sequential_are_its_head(is_whole: bool, tmp_path: Path) -> None:
    """A question was asked, --head 2, and its answer refused: it leaves out the normalisation."""
    network = plain()
    network.fc = nn.Identity()
    model = nn.Sequential(network, nn.BatchNorm1d(512), nn.Dropout(), nn.Linear(512, 3)).eval()
    torch.nn.init.uniform_(model[1].running_var, 0.5, 2.0)
    torch.nn.init.normal_(model[1].running_mean)
    torch.save(model if is_whole else model.state_dict(), tmp_path / "m.pt")

    check_logits(tmp_path / "m.pt", model, **({} if is_whole else {"head_activation": "none"}))


def test_what_else_stands_behind_a_network_in_its_own_sequential_is_refused(tmp_path: Path) -> None:
    network = plain()
    network.fc = nn.Identity()
    for odd in (nn.GELU(), nn.Softplus()):
        torch.save(nn.Sequential(network, nn.BatchNorm1d(512), odd, nn.Linear(512, 3)), tmp_path / "m.pt")

        assert type(odd).__name__ in refusal(tmp_path / "m.pt", tmp_path / "line")


SEQUENTIALS: list[tuple[str, Callable[[], nn.Module], dict[str, str]]] = [
    ("has stride", lambda: nn.Sequential(*children(undilated(), 8), *averaged()), {"head": "10"}),
    (
        "has stride",
        lambda: nn.Sequential(nn.Sequential(*children(undilated(), 8)), nn.Sequential(*averaged())),
        {},
    ),
    (
        "LeakyReLU",
        lambda: nn.Sequential(
            *children(plain(), 2), nn.LeakyReLU(0.3), *children(plain(), 8)[3:], *averaged()
        ),
        {"head": "10"},
    ),
    (
        "AdaptiveMaxPool2d",
        lambda: nn.Sequential(*children(plain(), 8), nn.AdaptiveMaxPool2d(1), *averaged()[1:]),
        {"head": "10"},
    ),
    (
        "nothing pools",
        lambda: nn.Sequential(*children(plain(), 8), nn.Flatten(), nn.Linear(512, 3)),
        {"head": "9"},
    ),
    ("Sigmoid", lambda: nn.Sequential(*children(plain(), 8), *averaged(nn.Sigmoid())), {"head": "10"}),
    ("a Linear", lambda: nn.Sequential(plain(), nn.Linear(3, 3)), {"head": "0.fc"}),
]


@pytest.mark.parametrize(("words", "build", "told"), SEQUENTIALS)
def test_whatever_runs_otherwise_in_a_sequential_is_refused_by_name(
    words: str, build: Callable[[], nn.Module], told: dict[str, str], tmp_path: Path
) -> None:
    """The tensors fit in each of these; the answers would not."""
    torch.save(build(), tmp_path / "model.pt")

    assert words in refusal(tmp_path / "model.pt", tmp_path / "line", **told)


def rounds_up(network: resnet.ResNet) -> None:
    network.maxpool.ceil_mode = True


def reflects(network: resnet.ResNet) -> None:
    network.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False, padding_mode="reflect")


def goes_on(network: resnet.ResNet) -> None:
    network.layer4.append(nn.Tanh())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (rounds_up, "ceil_mode = True"),
        (reflects, "padding_mode = 'reflect'"),
        (goes_on, "layer4.2 is a Tanh"),
    ],
)
def test_a_network_of_torchvision_that_was_changed_is_refused(
    change: Callable[[resnet.ResNet], None], words: str, tmp_path: Path
) -> None:
    network = plain()
    change(network)
    torch.save(network, tmp_path / "model.pt")

    assert words in refusal(tmp_path / "model.pt", tmp_path / "line")


def test_what_differs_in_training_alone_is_no_difference(tmp_path: Path) -> None:
    """Batch normalisation over several GPUs, and a dropout more."""
    network = plain()
    network.layer4.append(nn.Dropout2d())
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(network))
    torch.save(synchronised, tmp_path / "model.pt")

    check_logits(tmp_path / "model.pt", network.eval())


def convolving(*between: nn.Module, padding: int = 0) -> nn.Module:
    head = OrderedDict[str, nn.Module](conv=nn.Conv2d(512, 8, 3, padding=padding))
    head |= {f"between{number}": module for number, module in enumerate(between)}
    head["linear"] = nn.Linear(8, 3)
    return nn.Sequential(OrderedDict(trunk=nn.Sequential(*children(plain(), 8)), head=nn.Sequential(head)))


POOLED = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: convolving(*POOLED, padding=1), "padding"),
        (lambda: convolving(*POOLED[1:]), "Conv2d, AdaptiveAvgPool2d, Linear"),
        (lambda: convolving(POOLED[0], nn.AdaptiveMaxPool2d(1), POOLED[2]), "AdaptiveMaxPool2d"),
    ],
)
def test_a_convolution_in_the_head_that_is_no_conv_cam_is_refused(
    build: Callable[[], nn.Module], words: str, tmp_path: Path
) -> None:
    torch.save(build(), tmp_path / "model.pt")

    assert words in refusal(tmp_path / "model.pt", tmp_path / "line", head="head")


def test_a_conv_cam_predicts_as_its_module_and_is_a_question_in_a_file_of_weights(tmp_path: Path) -> None:
    """Whether the convolution pads and what follows it, no tensor says."""
    model = convolving(*POOLED).eval()
    torch.save(model, tmp_path / "model.pt")
    torch.save(model.state_dict(), tmp_path / "weights.pt")

    asked = read_checkpoint(tmp_path / "weights.pt", Answers(head="head"))

    assert [question.option for question in asked.questions] == ["--head-activation relu"]
    check_logits(tmp_path / "model.pt", model, head="head")
    check_logits(tmp_path / "weights.pt", model, head="head", head_activation="relu")


# --- TorchScript -------------------------------------------------------------------------------


def behind(*more: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict(net=plain(), **{f"more{i}": each for i, each in enumerate(more)})).eval()


def pooling_otherwise() -> nn.Module:
    network = plain()
    network.maxpool = nn.MaxPool2d(2, 2)
    return network


def with_tanh() -> nn.Module:
    network = plain()
    network.fc = nn.Sequential(nn.Linear(512, 8), nn.Tanh(), nn.Linear(8, 3))
    return network.eval()


PROGRAMS: list[tuple[Callable[[], nn.Module], str]] = [
    (lambda: behind(nn.Sigmoid()), "Sigmoid"),
    (pooling_otherwise, "its maxpool has kernel_size"),
    (with_tanh, "Tanh"),
]


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("is_traced", [True, False])
@pytest.mark.parametrize(("build", "words"), PROGRAMS)
def test_a_torchscript_program_is_compared_as_a_whole_module_is(
    build: Callable[[], nn.Module], words: str, tmp_path: Path, *, is_traced: bool
) -> None:
    """Kinds lie in its archive, attributes in its text, which is read and never run."""
    model = build()
    program = torch.jit.trace(model, torch.zeros(1, 3, 64, 64)) if is_traced else torch.jit.script(model)
    program.save(str(tmp_path / "model.ts"))

    assert words in refusal(tmp_path / "model.ts", tmp_path / "line")


class Script(nn.Module):
    """A training script's own network."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = plain()
        self.backbone.fc = nn.Identity()
        self.head = nn.Linear(512, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore::DeprecationWarning")
def test_a_program_of_a_scripts_own_class_is_imported_with_a_warning(tmp_path: Path) -> None:
    model = Script().eval()
    torch.jit.trace(model, torch.zeros(1, 3, 64, 64)).save(str(tmp_path / "model.ts"))

    report = do_import(tmp_path / "model.ts", tmp_path / "line", head="head", is_dry_run=True)

    assert report.status == "importable", report.reason
    assert "Script, whose forward pass is not read" in notes_of(report, "warning")
