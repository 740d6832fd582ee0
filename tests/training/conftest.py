"""A small folder of digits, and a training of it that takes a second."""

from pathlib import Path

import pytest
from support.digits import write_digits

SMALL = """
architecture = "cifar_resnet14"
start = "none"

[data]
validation_share = 0.2
test_share = 0.2

[preprocess]
steps = [{ resize = [8, 8], interpolation = "bilinear" }]

[augmentation]
preset = "digits"

[optimiser]
learning_rate = 0.01

[training]
epochs = 2
batch_size = 8
dropout = 0.2

[machine]
device = "cpu"
threads = 1
image_threads = 1
"""


@pytest.fixture(scope="session")
def few_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures each of 0, 1 and 3."""
    return write_digits(tmp_path_factory.mktemp("digits"), digits=(0, 1, 3), per_digit=12)
