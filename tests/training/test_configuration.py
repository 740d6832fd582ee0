"""The configuration file: strict, complete, and the same after it is written and read."""

from pathlib import Path

import pytest

from app.errors import TrainingRefused
from app.training.configuration import Configuration, read_configuration
from app.training.configuration_text import write_configuration
from app.training.presets import AUGMENTATIONS

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def read(text: str, **overrides: object) -> Configuration:
    return read_configuration(
        text.encode(), {k.replace("__", "."): v for k, v in overrides.items()}, name="it.toml"
    )


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_what_is_written_reads_back_as_the_same(path: Path) -> None:
    configuration = read_configuration(path.read_bytes(), {}, name=path.name)

    again = read(write_configuration(configuration))

    assert again == configuration
    assert again.identity() == configuration.identity()


def test_text_survives_whatever_is_in_it() -> None:
    title = 'a "quoted"\\ line\twith \x7f and 거세'

    assert read(write_configuration(read('architecture = "resnet18"', title=title))).title == title


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[trainin]\nepochs = 3", "did you mean `training`"),
        ("[training]\nepoch = 3", "did you mean `epochs`"),
        ("[training]\nepochs = 0", "training.epochs is 0"),
        ('[training]\nfreeze = "heads"', "did you mean `head`"),
        ("[optimiser]\nlearning_rate = -1.0", "optimiser.learning_rate is -1.0"),
        ('[augmentation]\npreset = "carcas"', "did you mean `carcass`"),
        ('[head]\nkind = "conv_cam"\nkernel_size = 2', "must be odd"),
        ('[preprocess]\nsteps = [{ resize_shorter = 32, interpolation = "bilinear" }]', "add { crop"),
        ("epochs", "not valid TOML"),
        ('[training]\nbatches = "groups"', 'training.batches = "groups": which pictures belong together'),
        ('[augmentation]\nper = "group"', "set data.group_by"),
    ],
)
def test_what_is_wrong_is_named_with_the_nearest_right_word(text: str, words: str) -> None:
    with pytest.raises(TrainingRefused) as caught:
        read('architecture = "resnet18"\n' + text)

    assert words in caught.value.message


def test_all_problems_are_listed_at_once() -> None:
    with pytest.raises(TrainingRefused) as caught:
        read("[training]\nepochs = 0\nbatch_size = 0")

    for place in ("architecture", "training.epochs", "training.batch_size"):
        assert place in caught.value.message


def test_the_command_line_stands_over_the_file() -> None:
    configuration = read('architecture = "resnet18"\n[training]\nepochs = 3', training__epochs=5, seed=7)

    assert (configuration.training.epochs, configuration.seed) == (5, 7)


def test_a_preset_is_a_beginning_that_single_keys_change() -> None:
    configuration = read('architecture = "resnet18"\n[augmentation]\npreset = "carcass"\nzoom = 0.3')

    assert configuration.augmentation.model_dump() == {
        "preset": "carcass", "per": "picture", "rotation_degrees": 0.2, "shift": 0.05, "shear_degrees": 0.05, "zoom": 0.3,
        "flip_horizontal": True, "flip_vertical": False,
    }  # fmt: skip


@pytest.mark.parametrize("preset", AUGMENTATIONS)
def test_every_preset_can_be_named(preset: str) -> None:
    assert read('architecture = "resnet18"', augmentation__preset=preset).augmentation.preset == preset


def test_what_decides_no_weight_is_no_part_of_the_identity_and_the_seed_is() -> None:
    """An interrupted training goes on although its report shall be in Korean now."""
    base = read('architecture = "resnet18"')

    assert read('architecture = "resnet18"', outputs__language="ko").identity() == base.identity()
    assert read('architecture = "resnet18"', machine__threads=3).identity() == base.identity()
    assert read('architecture = "resnet18"', training__checkpoint_every_s=1.0).identity() == base.identity()
    assert read('architecture = "resnet18"', seed=1).identity() != base.identity()
