"""Numbers as a report writes them: nothing is certain that is not, and nothing is a power of ten."""

import math

import pytest

from app.evaluation.metrics import wilson_interval
from app.explain.rounding import figure
from app.reports.numbers import between, percent, pictures, probability, share, significant


@pytest.mark.parametrize(
    ("value", "counted", "part", "plain"),
    [
        (0.0, "0.0 %", "0 %", "0.000"),
        (0.00042, "< 0.1 %", "< 1 %", "< 0.001"),
        (0.00051, "0.1 %", "< 1 %", "0.001"),
        (0.003, "0.3 %", "< 1 %", "0.003"),
        (0.5, "50.0 %", "50 %", "0.500"),
        (0.9949, "99.5 %", "99 %", "0.995"),
        (2999 / 3000, "> 99.9 %", "> 99 %", "> 0.999"),
        (1.0, "100.0 %", "100 %", "1.000"),
    ],
)
def test_a_share_is_all_or_nothing_only_where_it_is(
    value: float, counted: str, part: str, plain: str
) -> None:
    assert (percent(value, "en"), share(value, "en"), figure(value)) == (counted, part, plain)
    assert percent(value, "ko") == counted.replace(" %", "%")


@pytest.mark.parametrize("value", [0.9996, math.nextafter(1.0, 0.0), 1.0])
def test_a_network_is_never_certain(value: float) -> None:
    """A softmax of 1 is one that was rounded to it."""
    assert probability(value, "en") == "> 99.9 %"
    assert probability(1.0 - value, "ko") == "< 0.1%"


@pytest.mark.parametrize("count", [1, 5, 30, 80, 299, 3000])
def test_the_end_of_an_interval_is_written_as_what_it_is(count: int) -> None:
    """Wilson's interval of n in n ends at 1 exactly; a rounding error below it would be told as "> 99.9 %"."""
    assert wilson_interval(count, count)[1] == 1.0
    assert wilson_interval(0, count)[0] == 0.0


def test_ranges_and_numbers_of_pictures_are_of_the_language() -> None:
    assert between("4.7 %", "26.6 %", "en") == "4.7 % to 26.6 %"
    assert between("4.7%", "26.6%", "ko") == "4.7%~26.6%"
    assert [pictures(count, "en") for count in (0, 1, 1200)] == ["0 pictures", "1 picture", "1,200 pictures"]
    assert pictures(1, "ko") == "사진 1장"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(99.6, 2, "100"), (1234.0, 3, "1230"), (0.0000123, 3, "0.0000123"), (1.5, 3, "1.5"), (0.0, 3, "0")],
)
def test_a_peak_is_no_power_of_ten(value: float, digits: int, text: str) -> None:
    """A reader at the line does not know what 1e+02 is."""
    assert significant(value, digits) == text
