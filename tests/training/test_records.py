"""Small text files that other programs read line by line."""

from pathlib import Path

import numpy as np
import pytest

from app.training.folder import File
from app.training.records import pred_sol
from app.training.trained import Measured


@pytest.mark.parametrize(
    "name", ["a\tb.jpg", "a\nb.jpg", "a\r\u2028\x85b.jpg", "a\\tb.jpg", "수 1.jpg"], ids=ascii
)
def test_whatever_a_file_is_called_it_has_one_line_of_four_cells(name: str) -> None:
    files = tuple(File(Path(each), each, 0, None) for each in (name, "c.jpg"))
    measured = Measured("test", files, np.zeros(2, np.int64), np.array([[1.0, 0.0]] * 2, np.float32))

    lines = pred_sol(measured, ("boar", "castrate"), 1.0).splitlines()

    assert [len(line.split("\t")) for line in lines] == [4, 4, 4]
    told = lines[1].split("\t")[0]
    assert told.isprintable()
    assert told.encode("latin-1", "backslashreplace").decode("unicode_escape") == name
