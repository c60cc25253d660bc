"""Time columns: known forms, gaps, and lines that stand for several."""

from __future__ import annotations

import logging
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from reprise.config.errors import DataError
from reprise.data.series.columns import read_series
from reprise.data.series.times import line_repeats

X = Path("x.csv")


def repeats(*cells: str, gaps="refuse") -> list[int]:
    return line_repeats(X, list(cells), 2, gaps).tolist()


@pytest.mark.parametrize(
    "cells",
    [
        ("2020-1-5", "2020-1-6", "2020-01-07", "2020-1-08"),
        ("2020-9-30", "2020-10-1", "2020-10-02"),  # as text the second would come before the first
        ("2019/12/30", "2019/12/31", "2020/1/1"),
        ("2020-1", "2020-2", "2020-03", "2020-4"),
        ("2019-Q3", "2019Q4", "2020 Q1"),
        ("20200130", "20200131", "20200201"),
        ("2020-01-01 9:00", "2020-01-01T10:00", "2020-01-01 11:00:00"),
        ("2020-01-01T00:00:00.001Z", "2020-01-01T00:00:00.002Z", "2020-01-01T00:00:00.003Z"),
        ("2020-01-01 23:00+01:00", "2020-01-02 00:00+01:00", "2020-01-02 00:00+0000"),
        ("1999", "2000", "2001"),
        ("1958.208", "1958.292", "1958.375", "1958.458"),
        ("-1", "0.0", " 1"),
        ("7",),
        ("2020-02-29",),
    ],
)
def test_known_forms_of_equally_spaced_times(cells: tuple[str, ...]) -> None:
    assert repeats(*cells) == [1] * len(cells)


def test_months_and_years_differ_in_length_and_are_no_gaps() -> None:
    months = [f"{2015 + i // 12}-{i % 12 + 1}-1" for i in range(72)]
    assert repeats(*months) == [1] * 72
    ends = [str(date(2015 + (i + 1) // 12, (i + 1) % 12 + 1, 1) - timedelta(1)) for i in range(72)]
    assert repeats(*ends) == [1] * 72
    assert repeats(*(f"{year}-07-01" for year in range(1890, 1910))) == [1] * 20


@pytest.mark.parametrize(
    "cell", ["1/5/2020", "5.1.2020", "Jan 2020", "2020-13", "2020-2-30", "2020-01-01 25:00", "2020-1/5", "", "nan"]
)
def test_unknown_forms_are_named_with_the_known_ones(cell: str) -> None:
    with pytest.raises(DataError, match=r"line 3: '.*' is no time of a known form\. Known are numbers, 2020-1-5, .*Q1"):
        repeats("2020-01-01", cell, "2020-01-03")


def test_zones_of_some_times_only_are_refused() -> None:
    with pytest.raises(DataError, match=r"line 3: some times have a zone"):
        repeats("2020-01-01 10:00", "2020-01-01 11:00Z")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            ("2020-1-1", "2020-1-2", "2020-1-4"),
            r"line 4: the time 2020-1-4 is 2 days after 2020-1-2. Expected about 1",
        ),
        (("2020-1", "2020-2", "2020-3", "2020-5"), r"2020-5 is 61 days after 2020-3. Expected about 30 days"),
        (("1", "2", "3", "5", "9"), r"line 5: the time 5 is 2 after 3\. Expected about 1, .*data\.gaps=forward_fill"),
        (("2020-01-01 10:00", "2020-01-01 10:30", "2020-01-01 12:00"), r"1\.5 hours after .*Expected about 30 minutes"),
        (("0", "10", "12", "20", "30"), r"the time 12 is 2 after 10\. Expected about 9.*data\.gaps=accept"),
    ],
)
def test_the_first_gap_is_named(cells: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        repeats(*cells)
    assert repeats(*cells, gaps="accept") == [1] * len(cells)


@pytest.mark.parametrize("gaps", ["refuse", "accept", "forward_fill"])
def test_times_that_do_not_ascend_are_an_error(gaps: str) -> None:
    for cells in (("2020-1-10", "2020-1-9"), ("2020-1-9", "2020-1-9"), ("3", "2"), ("2020-Q2", "2020-Q1")):
        with pytest.raises(DataError, match=r"line 3: the time .* is not after"):
            repeats(*cells, gaps=gaps)


def test_gaps_are_filled_with_the_values_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    days = [0, 1, 2, 5, 6, 8]
    lines = [f"{datetime(2020, 2, 27) + timedelta(d):%Y-%m-%d},{d},{10 * d}" for d in days]
    (tmp_path / "x.csv").write_text("\n".join(["day,a,b", *lines]))
    with pytest.raises(DataError, match=r"line 5: the time 2020-03-03 is 3 days after 2020-02-29"):
        read_series(tmp_path / "x.csv")
    with caplog.at_level(logging.WARNING):
        a, b = read_series(tmp_path / "x.csv", gaps="forward_fill")
    assert a.values.tolist() == [0, 1, 2, 2, 2, 5, 6, 6, 8] and (b.values == 10 * a.values).all()
    assert "2 gaps are filled by 3 repeated lines" in caplog.text
    assert len(read_series(tmp_path / "x.csv", gaps="accept")[0].values) == 6


def test_long_gaps_of_months_are_filled_to_the_month() -> None:
    cells = [f"{2000 + i // 12}-{i % 12 + 1}" for i in (*range(24), *range(84, 96))]
    assert repeats(*cells, gaps="forward_fill") == [1] * 23 + [61] + [1] * 12


def test_what_comes_too_early_cannot_be_filled() -> None:
    with pytest.raises(DataError, match=r"the time 12 is 2 after 10\. Expected about .* most lines\. Where"):
        repeats("0", "10", "12", "20", "30", gaps="forward_fill")
