"""scikit-learn's handwritten digits as class folders of PNG files: 1,797 real pictures that need no download.

`python -m support.digits FOLDER [DIGIT...]` writes them for a person.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write_digits(folder: Path, *, digits: Sequence[int] = range(10), per_digit: int | None = None) -> Path:
    """FOLDER/<digit>/<number>.png, 8 x 8 pixels, grey, white on black."""
    data = load_digits()
    counts = dict.fromkeys(digits, 0)
    for number, (image, digit) in enumerate(zip(data.images, data.target, strict=True)):
        if digit not in counts or (per_digit is not None and counts[digit] >= per_digit):
            continue
        counts[digit] += 1
        (folder / str(digit)).mkdir(parents=True, exist_ok=True)
        grey = np.round(image * (255 / 16)).astype(np.uint8)  # the set counts 0..16
        Image.fromarray(grey).save(folder / str(digit) / f"{number:04}.png")
    return folder


if __name__ == "__main__":
    write_digits(Path(sys.argv[1]), digits=[int(word) for word in sys.argv[2:]] or range(10))
