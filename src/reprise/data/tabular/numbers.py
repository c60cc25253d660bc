"""Tables of numbers in text files."""

from __future__ import annotations

import gzip
import zlib
from io import StringIO

import numpy as np

from reprise.config.errors import DataError


def read_numbers(content: bytes, what: str, separator: str | None = None) -> np.ndarray:
    """Read a table of numbers (N, C) in float64.

    Args:
        content: of the file; unpacked first where it is compressed by gzip.
        what: how errors name it.
        separator: of columns; None for any white space.

    Raises:
        DataError: truncated, empty, no numbers, or lines of different lengths.
    """
    try:
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("ascii")
        if not text.strip():
            raise DataError(f"{what} is empty. Expected lines of numbers; fetch it again.")
        return np.loadtxt(StringIO(text), delimiter=separator, ndmin=2)
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{what} cannot be read as numbers: {error}. Is it truncated? Fetch it again.") from error


def read_rows(content: bytes, what: str, count: int) -> np.ndarray:
    """Read row or column numbers, one a line, as (n,) whole numbers from 0 to count - 1, each at most once.

    Raises:
        DataError: others.
    """
    values = read_numbers(content, what).ravel()
    rows = values.astype(np.int64)
    if (rows != values).any() or rows.min() < 0 or rows.max() >= count or len(np.unique(rows)) < len(rows):
        raise DataError(f"{what} holds other numbers than whole ones from 0 to {count - 1}, each once. Fetch it again.")
    return rows
