"""Series from columns of files: comma- or tab-separated values, and NumPy arrays."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reprise.config.errors import DataError, suggest
from reprise.data.series.times import Gaps, line_repeats

SEPARATORS = {".csv": ",", ".tsv": "\t"}
ENDINGS = (*SEPARATORS, ".npy")


@dataclass(frozen=True, eq=False)
class Column:
    """One series.

    Attributes:
        name: of the column, or of its file where that has no other.
        values: (N,) float64, equally spaced in time.
    """

    name: str
    values: np.ndarray


def series_files(root: Path) -> list[Path]:
    """The file itself, or those of a folder in the order of their names.

    Raises:
        DataError: there is none that can be read.
    """
    found = [root] if root.is_file() else sorted(root.glob("*")) if root.is_dir() else []
    files = [path for path in found if path.suffix.lower() in ENDINGS and path.is_file()]
    if not files:
        raise DataError(f"{root} is no file of series, nor a folder with one. Expected {', '.join(ENDINGS)}.")
    return files


def read_series(
    root: Path,
    columns: Sequence[str] | None = None,
    time: str | None = None,
    header: bool | None = None,
    gaps: Gaps = "refuse",
) -> list[Column]:
    """Read every series of a file, or of all files of a folder.

    Args:
        root: the file or folder.
        columns: headings of the columns to keep, or their numbers from 1 in a file without; None: all but the time.
        time: heading or number of the column that holds the time; None: the first one, where it holds no numbers.
        header: whether the first line is a heading; None: where none of its cells is a number.
        gaps: what becomes of lines that the times say are missing: refuse, accept or forward_fill.

    Returns:
        the series; a column's name begins with that of its file where there are several files.

    Raises:
        DataError: a file is damaged, or has no such column; a value is missing; times are of no known form, do not
            ascend, or have a gap.
    """
    files = series_files(root)
    found: list[Column] = []
    for path in files:
        read = _read_array(path) if path.suffix.lower() == ".npy" else _read_text(path, time, header, gaps)
        kept = read if columns is None else [_chosen(path, read, str(column)) for column in columns]
        if len(kept) == 1 and (len(files) > 1 or not kept[0].name):
            found.append(Column(path.stem, kept[0].values))
        else:
            found += [Column(f"{path.stem}.{c.name}" if len(files) > 1 else c.name, c.values) for c in kept]
    names = [column.name for column in found]
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise DataError(f"{root}: two series are called {twice[0]!r}. Rename one of them.")
    return found


def files_digest(root: Path) -> str:
    """SHA-256 (hex) of the files' names and contents."""
    digest = hashlib.sha256()
    for path in series_files(root):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _chosen(path: Path, read: list[Column], wanted: str) -> Column:
    for column in read:
        if wanted == column.name:
            return column
    names = [column.name for column in read]
    raise DataError(f"{path} has no column {wanted!r}. {suggest(wanted, names)}")


def _read_array(path: Path) -> list[Column]:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read as a NumPy array: {error}") from error
    if not isinstance(values, np.ndarray) or values.ndim not in (1, 2) or values.dtype.kind not in "fiu":
        raise DataError(f"{path} holds no array of numbers (N,) or (N, columns).")
    table = values.astype(np.float64).reshape(len(values), -1)
    if not np.isfinite(table).all():
        row = int(np.flatnonzero(~np.isfinite(table).all(1))[0])
        raise DataError(f"{path}, row {row} has a value that is not finite. Fill gaps before.")
    return [Column("" if table.shape[1] == 1 else str(i + 1), table[:, i]) for i in range(table.shape[1])]


def _read_text(path: Path, time: str | None, header: bool | None, gaps: Gaps) -> list[Column]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        lines = [line for line in csv.reader(text.splitlines(), delimiter=SEPARATORS[path.suffix.lower()]) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as separated values: {error}") from error
    has_heading = header if header is not None else bool(lines) and not any(_is_number(cell) for cell in lines[0])
    names = [cell.strip() for cell in lines[0]] if has_heading else []
    body = lines[1:] if has_heading else lines
    if not body:
        raise DataError(f"{path} has no line of numbers.")
    width = len(names or body[0])
    first = 1 + has_heading
    for number, line in enumerate(body, first):
        if len(line) != width:
            raise DataError(f"{path}, line {number} has {len(line)} cells. Expected {width}.")
    names = names or [str(i + 1) if width > 1 else "" for i in range(width)]
    clock = _time_column(path, names, body, time)
    repeats = 1 if clock is None else line_repeats(path, [line[clock] for line in body], first, gaps)
    others = [i for i in range(width) if i != clock]
    if not others:
        raise DataError(f"{path} has a time and no values.")
    columns = [_numbers(path, [line[i] for line in body], names[i], first) for i in others]
    return [Column(names[i], np.repeat(values, repeats)) for i, values in zip(others, columns, strict=True)]


def _time_column(path: Path, names: list[str], body: list[list[str]], time: str | None) -> int | None:
    if time is None:
        return 0 if not _is_number(body[0][0]) and len(names) > 1 else None
    for i, name in enumerate(names):
        if str(time) in (name, str(i + 1)):
            return i
    raise DataError(f"{path} has no column {time!r} for the time. {suggest(str(time), names)}")


def _numbers(path: Path, cells: list[str], name: str, first: int) -> np.ndarray:
    for number, cell in enumerate(cells, first):
        if not _is_number(cell):
            raise DataError(
                f"{path}, line {number}, column {name or 1}: {cell!r} is no finite number. Fill gaps before; a time "
                "column that is not the first is named by data.time."
            )
    return np.array(cells, dtype=np.float64)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
