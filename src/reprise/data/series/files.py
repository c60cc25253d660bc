"""Files that hold one series: MATLAB's, and comma-separated values."""

from __future__ import annotations

import csv
import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reprise.config.errors import DataError

FOLDERS = (".", "tsdl", "levy_sm", "statsmodels")  # below the root of a collection
ENDINGS = ("", ".mat", ".csv")


@dataclass(frozen=True, eq=False)
class SeriesFile:
    """What a file holds.

    Attributes:
        x, y: times and values, (N,) each.
        train_points: how many of them, from the beginning, its split trains on; None where it has no split.
        name: of the file.
        sha256: of the file.
    """

    x: np.ndarray
    y: np.ndarray
    train_points: int | None
    name: str
    sha256: str


def find_file(root: Path, names: Sequence[str]) -> Path:
    """The file of the first of some names, in a folder or in the usual folders of a collection below it.

    Args:
        root: a folder, or the file itself.
        names: with or without .mat or .csv.

    Raises:
        DataError: there is none.
    """
    if root.is_file():
        return root
    for name in names:
        for folder in FOLDERS:
            for ending in ENDINGS:
                path = root / folder / (name + ending)
                if path.is_file():
                    return path
    raise DataError(
        f"data.root={root} has no file named {' or '.join(names)} (.mat or .csv), nor have its folders "
        f"{', '.join(FOLDERS[1:])}. Expected one there, or data.root to be the file."
    )


def read_file(path: Path) -> SeriesFile:
    """Read a series.

    A .mat file has columns X and y, or xtrain, ytrain, xtest and ytest, as which it has a split. A .csv file has two
    columns, time and value; a first line that is no number is a heading.

    Raises:
        DataError: the file is damaged or has another layout.
    """
    if path.suffix == ".mat":
        x, y, train_points = _read_mat(path)
    elif path.suffix == ".csv":
        (x, y), train_points = _read_csv(path), None
    else:
        raise DataError(f"{path} is neither a .mat nor a .csv file.")
    if len(x) != len(y) or len(y) < 2:
        raise DataError(f"{path} has {len(x)} times and {len(y)} values. Expected two or more, as many of each.")
    return SeriesFile(x, y, train_points, path.name, hashlib.sha256(path.read_bytes()).hexdigest())


def _read_mat(path: Path) -> tuple[np.ndarray, np.ndarray, int | None]:
    from scipy.io import loadmat

    try:
        held: dict[str, Any] = loadmat(str(path))
    except (ValueError, TypeError, OSError, NotImplementedError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as a MATLAB file of version 4 to 7.2: {error}") from error
    held = {name: np.asarray(values).reshape(-1) for name, values in held.items() if not name.startswith("_")}
    try:
        if "ytrain" in held:
            x = np.concatenate([held["xtrain"], held["xtest"]])
            y = np.concatenate([held["ytrain"], held["ytest"]])
            return x.astype(np.float64), y.astype(np.float64), len(held["ytrain"])
        return held["X"].astype(np.float64), held["y"].astype(np.float64), None
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"{path} holds {', '.join(held) or 'nothing'}. Expected columns X and y, or xtrain, ytrain, xtest, ytest."
        ) from error


def _read_csv(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        lines = [line for line in csv.reader(path.read_text(encoding="utf-8-sig").splitlines()) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as comma-separated values: {error}") from error
    if lines and not _is_number(lines[0][0]):
        lines = lines[1:]
    for number, line in enumerate(lines, 1):
        if len(line) != 2 or not all(_is_number(cell) for cell in line):
            raise DataError(f"{path}, row {number}: {','.join(line)!r}. Expected two numbers, time and value.")
    table = np.array(lines, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
