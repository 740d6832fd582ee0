"""Promises of the importer for what a file leaves open: it is asked, and an answer is used or refused."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.foreign import check_logits, do_import, notes_of, options_of, refusal
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torchvision.models import resnet

from app.checkpoints.found import Answers
from app.checkpoints.imports import unknown_imports
from app.checkpoints.pickled import Name
from app.checkpoints.readers import read_checkpoint


def plain(outputs: int = 3, seed: int = 0) -> resnet.ResNet:
    torch.manual_seed(seed)
    return resnet.resnet18(weights=None, num_classes=outputs).eval()


class Script(nn.Module):
    """A training script's own network: trunk, something between, head."""

    def __init__(self, head: nn.Module, neck: nn.Module | None = None) -> None:
        super().__init__()
        self.backbone = plain()
        self.backbone.fc = nn.Identity()
        if neck is not None:
            self.neck = neck
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        features = self.backbone(images)
        if isinstance(self.head, nn.ModuleList):
            return self.head[1](torch.relu(self.head[0](features)))
        return self.head(torch.relu(self.neck(features)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "best.pth"


# --- heads -------------------------------------------------------------------------------------


def test_two_layers_in_a_module_list_are_a_question_and_the_answer_is_what_is_served(path: Path) -> None:
    """Their forward pass may call ReLU between them, and no position shows it."""
    model = Script(nn.ModuleList([nn.Linear(512, 64), nn.Linear(64, 3)])).eval()
    torch.save(model.state_dict(), path)

    asked = read_checkpoint(path, Answers(head="head"))

    assert "--head-activation relu" in asked.questions[0].option
    check_logits(path, model, head="head", head_activation="relu")


def test_batch_normalisation_right_between_two_layers_is_refused_unless_nothing_else_is_there(
    path: Path, tmp_path: Path
) -> None:
    model = plain()
    model.fc = nn.Sequential(nn.Linear(512, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)).eval()
    torch.save(model.state_dict(), path)

    assert "--head-activation none" in refusal(path, tmp_path / "line")
    check_logits(path, model, head_activation="none")


def test_named_layers_beside_a_normalisation_without_weights_have_no_known_order(
    path: Path, tmp_path: Path
) -> None:
    layers = OrderedDict(fc1=nn.Linear(512, 8), bn1=nn.BatchNorm1d(8, affine=False), fc2=nn.Linear(8, 3))
    model = plain()
    model.fc = nn.Sequential(layers)
    torch.save(model.state_dict(), path)

    assert "layers with names of their own (fc1, bn1, fc2)" in refusal(path, tmp_path / "line")


def test_positions_of_relu_are_an_answer_where_normalisation_leaves_several_gaps(
    path: Path, tmp_path: Path
) -> None:
    """It was told to save the whole module, and a timm network's whole module to save its weights."""
    model = plain()
    model.fc = nn.Sequential(
        nn.BatchNorm1d(512), nn.Dropout(), nn.Linear(512, 8), nn.ReLU(), nn.Linear(8, 3)
    ).eval()
    torch.save(model.state_dict(), path)

    assert "--head-activation 1" in refusal(path, tmp_path / "line")
    assert "which stand at 0, 2, 4" in refusal(path, tmp_path / "line", head_activation="2")
    check_logits(path, model, head_activation="3")


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_network_of_one_grey_channel_predicts_as_it_does_itself(
    is_whole: bool, path: Path, tmp_path: Path
) -> None:
    """Of grey pictures, whose three channels are one."""
    model = plain()
    model.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    torch.save(model if is_whole else model.state_dict(), path)
    grey = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(1))

    found = read_checkpoint(path)

    served = plain()
    served.load_state_dict(dict(found.tensors), strict=False)
    with torch.no_grad():
        assert torch.allclose(served(grey.expand(2, 3, 64, 64)), model(grey), atol=1e-5)
    assert found.is_grey
    assert "one grey channel" in refusal(path, tmp_path / "line")  # --preprocess imagenet has three means


class AverageThenMaximum(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)


def test_two_poolings_are_only_taken_for_fastais_where_the_head_is_fastais(path: Path) -> None:
    """Its place, second in a Sequential, is anybody's."""
    body = nn.Sequential(*list(plain().children())[:8])
    model = nn.Sequential(body, nn.Sequential(AverageThenMaximum(), nn.Linear(1024, 3))).eval()
    torch.save(model.state_dict(), path)

    assert "--head-pooling" in read_checkpoint(path).questions[0].option
    check_logits(path, model, head_pooling="average-max")


def test_a_layer_between_trunk_and_head_is_not_left_out(path: Path, tmp_path: Path) -> None:
    """The message's own line, done, serves what the script predicted."""
    model = Script(nn.Linear(512, 3), neck=nn.Linear(512, 512)).eval()
    torch.save(model.state_dict(), path)

    words = refusal(path, tmp_path / "line", head="head")

    assert (
        "model.head = torch.nn.Sequential(model.neck, torch.nn.ReLU(), model.head), del model.neck" in words
    )
    torch.save(
        {
            **{f"backbone.{name}": tensor for name, tensor in model.backbone.state_dict().items()},
            **{f"head.0.{name}": tensor for name, tensor in model.neck.state_dict().items()},
            **{f"head.2.{name}": tensor for name, tensor in model.head.state_dict().items()},
        },
        path,
    )
    check_logits(path, model, head="head", head_activation="relu")


def test_a_second_head_may_be_left_out_and_that_is_a_warning(path: Path, tmp_path: Path) -> None:
    model = Script(nn.Linear(512, 3), neck=nn.Linear(512, 1))
    torch.save(model.state_dict(), path)

    report = do_import(path, tmp_path / "line", head="head", is_dry_run=True)

    assert report.status == "importable", report.reason
    assert "neck.weight" in notes_of(report, "warning")


def test_a_layer_called_as_a_metric_is_a_layer(path: Path, tmp_path: Path) -> None:
    """`f1` and `f2` are a script's linear layers: without the first the second fits the features just as well."""
    state = {f"backbone.{name}": t for name, t in plain().state_dict().items() if "fc" not in name}
    for name, layer in (("f1", nn.Linear(512, 512)), ("f2", nn.Linear(512, 3))):
        state |= {f"{name}.{each}": tensor for each, tensor in layer.state_dict().items()}
    torch.save(state, path)

    asked = read_checkpoint(path)

    assert "--head f1 or --head f2" in asked.questions[0].option
    assert "--head f2 leaves out f1" in refusal(path, tmp_path / "line", head="f2")


def test_a_module_with_the_name_of_a_child_never_takes_its_place(path: Path, tmp_path: Path) -> None:
    """`bn1` behind a Sequential's `1`: of the same shape as that, here."""
    model = nn.Sequential(*list(plain().children())[:8])
    model.bn1 = nn.BatchNorm2d(64)
    torch.save(model.state_dict(), path)

    assert "holds 1.bias, 1.num_batches_tracked" in refusal(path, tmp_path / "line")


@pytest.mark.parametrize("counter", ["AveragedModel", "class_weights", "ce_loss.weight"])
def test_what_is_no_module_is_never_offered_as_a_head(counter: str, path: Path) -> None:
    network = plain()
    state = dict(AveragedModel(network).state_dict())
    if counter != "AveragedModel":
        state = {f"net.{name}": tensor for name, tensor in network.state_dict().items()}
        state[counter] = torch.ones(3)
    torch.save(state, path)

    check_logits(path, network)


def test_one_output_gives_both_classes_evidence(path: Path) -> None:
    """Half of it each, with opposite signs: the same probability, and a map of the first class too."""
    network = plain(outputs=1)
    torch.save(network.state_dict(), path)

    found = read_checkpoint(path)

    halves = torch.cat([-network.fc.weight / 2, network.fc.weight / 2])
    assert torch.equal(found.tensors["fc.weight"], halves.detach())
    assert torch.equal(found.tensors["fc.bias"].diff(), network.fc.bias.detach())


# --- dictionaries ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "meta", [{"dataset_meta": {"classes": ("a", "b", "c")}}, {"CLASSES": ["a", "b", "c"]}]
)
def test_openmmlab_keeps_the_class_names_in_meta(meta: dict[str, object], path: Path) -> None:
    torch.save({"meta": {"epoch": 3, **meta}, "state_dict": plain().state_dict()}, path)

    assert read_checkpoint(path).classes == ("a", "b", "c")
    assert not unknown_imports([Name("mmengine.logging.history_buffer", "HistoryBuffer")])


@pytest.mark.parametrize(
    ("key", "words", "names"),
    [
        ("classes", '["a", "b", "c"]', ("a", "b", "c")),
        ("class_to_idx", '{"b": 1, "a": 0, "c": 2}', ("a", "b", "c")),
        ("idx_to_class", '{"0": "10", "1": "b", "2": "2"}', ("10", "b", "2")),
        ("classes", "[" * 99_999, None),
        ("classes", "a,b,c", None),
    ],
)
def test_the_metadata_of_safetensors_may_name_the_classes(
    key: str, words: str, names: tuple[str, ...] | None, path: Path
) -> None:
    save_file(dict(plain().state_dict()), path, metadata={"format": "pt", key: words})

    assert read_checkpoint(path).classes == names


@pytest.mark.parametrize("keys", [("model", "best_model"), ("state_dict", "swa_state_dict")])
def test_two_networks_in_a_dictionary_are_a_question(
    keys: tuple[str, str], path: Path, tmp_path: Path
) -> None:
    last, best = plain(seed=1), plain(seed=2)
    torch.save({keys[0]: last.state_dict(), keys[1]: best.state_dict(), "epoch": 9}, path)

    assert options_of(do_import(path, tmp_path / "line")) == [f"--take {keys[0]} or --take {keys[1]}"]
    check_logits(path, best, take=keys[1])


def test_a_loss_with_tensors_of_its_own_is_no_second_network(path: Path) -> None:
    network = plain()
    torch.save({"net": network.state_dict(), "criterion": {"weight": torch.ones(3)}}, path)

    check_logits(path, network)


DICTIONARIES: dict[str, Callable[[dict[str, Tensor]], object]] = {
    "an epoch among the tensors": lambda state: {**state, "epoch": 3},
    "an extra state that is empty": lambda state: {**state, "fc._extra_state": None},
    "a dictionary in a dictionary": lambda state: {"checkpoint": {"model": state, "epoch": 1}},
    "figures beside the tensors": lambda state: {**state, "metrics": {"acc": torch.tensor(0.9)}},
    "the best of a search": lambda state: {"optimal_model": state, "optimizer": {"state": {0: state}}},
}


@pytest.mark.parametrize("name", DICTIONARIES)
def test_weights_are_found_in(name: str, path: Path) -> None:
    network = plain()
    torch.save(DICTIONARIES[name](network.state_dict()), path)

    check_logits(path, network)


NEEDLESS = [
    ({"take": "zzz"}, "--take zzz"),
    ({"head_pooling": "max-average"}, "--head-pooling"),
    ({"transform_input": "on"}, "--transform-input"),
    ({"head_activation": "none"}, "--head-activation"),
]


@pytest.mark.parametrize(("given", "words"), NEEDLESS)
def test_an_answer_that_settles_nothing_is_refused(
    given: dict[str, str], words: str, path: Path, tmp_path: Path
) -> None:
    torch.save(plain().state_dict(), path)

    assert words in refusal(path, tmp_path / "line", **given)


def test_a_misspelt_key_is_refused_with_those_that_exist(path: Path, tmp_path: Path) -> None:
    """The averaged weights would have been taken without a word."""
    torch.save({"state_dict": plain().state_dict(), "state_dict_ema": plain(seed=1).state_dict()}, path)

    words = refusal(path, tmp_path / "line", take="statedict")

    assert "weights are under state_dict, state_dict_ema" in words


@pytest.mark.parametrize(
    ("own", "given", "words"),
    [
        (None, "a,,c", "--classes: one is empty"),
        (None, "a,a,c", "--classes: a repeated"),
        (["a", "a", "b"], None, "the file's own class names; give others with --classes: a repeated"),
        (["a", "", "b"], None, "the file's own class names; give others with --classes: one is empty"),
    ],
)
def test_class_names_that_no_manifest_takes_are_told_where_they_stand(
    own: list[str] | None, given: str | None, words: str, path: Path, tmp_path: Path
) -> None:
    torch.save({"model": plain().state_dict()} | ({"classes": own} if own else {}), path)

    assert words in refusal(path, tmp_path / "line", classes=given)
