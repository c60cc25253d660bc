"""Numbers in sentences."""

from __future__ import annotations

import pytest

from reprise.reproduction.statistics import Interval
from reprise.reproduction.wording import say_mean, say_p, short


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0, "p < 0.001"),
        (0.00099, "p < 0.001"),
        (0.001, "p = 0.001"),
        (0.0123, "p = 0.012"),
        (0.05, "p = 0.05"),
        (0.0499, "p = 0.05"),
        (0.0502, "p = 0.0502"),
        (0.050001, "p = 0.050001"),
        (0.62, "p = 0.62"),
        (1.0, "p = 1"),
    ],
)
def test_p_values_stay_on_their_side_of_five_percent(p: float, text: str) -> None:
    assert say_p(p) == text


@pytest.mark.parametrize(
    ("mean", "half_width", "tolerance", "text"),
    [
        (3.14159, 0.0012, 0.02, "3.142 ± 0.0012"),
        (3.14159, None, 0.02, "3.142"),
        (116.25, 4.5, 10.0, "116 ± 4.5"),
        (116.25, 123.4, 0.5, "116.25 ± 123"),
        (1.5e-7, 2e-8, 1e-8, "0.000000150 ± 2e-08"),
        (3.14159, 0.01, 0.0, "3.14 ± 0.01"),
        (3.14159, None, 0.0, "3.142"),
        (0.0, 0.0, 0.0, "0 ± 0"),
    ],
)
def test_means_are_as_precise_as_the_tolerance_asks(
    mean: float, half_width: float | None, tolerance: float, text: str
) -> None:
    assert say_mean(Interval(3, mean, None, half_width), tolerance) == text


def test_short_numbers() -> None:
    assert [short(v) for v in (0.02, 0.0251, 2.0, 99.4, 99.6, 1234.5, 2e7)] == [
        "0.02",
        "0.025",
        "2",
        "99",
        "100",
        "1234",
        "2e+07",
    ]
