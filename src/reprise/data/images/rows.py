"""Which images belong to which split, and which are left out."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reprise.config.errors import ConfigError, DataError


def hold_out(count: int, test: int, val: int, split_seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divide the rows 0 ... count - 1 by a permutation from `split_seed`.

    Returns:
        rows of the training, validation and test images, each sorted.

    Raises:
        ConfigError: nothing would be left for training.
    """
    if test + val >= count:
        raise ConfigError(
            f"{count} images cannot give {val} for validation and {test} for testing and leave any for training. "
            "Lower data.val_examples or data.test_examples."
        )
    order = np.random.default_rng(split_seed).permutation(count)
    return np.sort(order[test + val :]), np.sort(order[test : test + val]), np.sort(order[:test])


def read_rows(path: Path) -> list[int]:
    """Read row numbers from a file: one a line, or a csv file with a header and a column `row` (or `row_0based`).

    Raises:
        DataError: there is no such file, or a line holds no number.
    """
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise DataError(f"data.exclude_test={path} cannot be read: {error.strerror}.") from None
    column = 0
    first = 0
    if lines and not (lines[0] and lines[0][0].strip().isdigit() and len(lines[0]) == 1):
        header = [name.strip() for name in lines[0]]
        named = [name for name in ("row", "row_0based") if name in header]
        if not named:
            raise DataError(f"{path}, line 1: expected a number, or a header with a column `row`, found {header}.")
        column, first = header.index(named[0]), 1
    rows = []
    for number, cells in enumerate(lines[first:], first + 1):
        if not cells:
            continue
        cell = cells[column].strip() if column < len(cells) else ""
        if not cell.isdigit():
            raise DataError(f"{path}, line {number}: expected the number of a row, found {cell!r}.")
        rows.append(int(cell))
    return rows


def rows_without(count: int, excluded: Sequence[int], what: str) -> np.ndarray:
    """Return the rows 0 ... count - 1 without the excluded ones.

    Raises:
        ConfigError: one of these is no row, or named twice, or none is left.
    """
    if outside := [row for row in excluded if not 0 <= row < count]:
        raise ConfigError(f"{what} names row {outside[0]}. Expected rows 0 to {count - 1} of the test split.")
    if len(set(excluded)) < len(excluded):
        twice = next(row for i, row in enumerate(excluded) if row in excluded[:i])
        raise ConfigError(f"{what} names row {twice} twice. Is it the list that was meant?")
    if len(excluded) == count:
        raise ConfigError(f"{what} leaves out all {count} test images.")
    return np.setdiff1d(np.arange(count), np.asarray(excluded, dtype=np.int64))
