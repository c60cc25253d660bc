"""Read text files as they are published, plain or gzipped."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from reprise.config.errors import DataError
from reprise.data.images.mnist import read_maybe_gzipped


def find_file(root: Path, name: str, folders: Sequence[str] = ("",)) -> Path:
    """Find a file, gzipped or not, in one of some folders below `root`.

    Raises:
        DataError: it is in none of them.
    """
    for folder in folders:
        for candidate in (name, f"{name}.gz"):
            if (root / folder / candidate).is_file():
                return root / folder / candidate
    places = " or ".join(f"{root / folder}" for folder in folders)
    raise DataError(f"{name}, gzipped or not, is not in {places}. Expected it there: set data.root to its folder.")


def read_lines(path: Path, encoding: str = "utf-8") -> tuple[list[str], str]:
    """Read the lines of a text file.

    Returns:
        lines without their ends, and the SHA-256 of the unpacked file.

    Raises:
        DataError: the file is not in that encoding, is empty, or its gzip stream is damaged.
    """
    content = read_maybe_gzipped(path)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is no {encoding} text (byte {error.start}: {error.reason}). Expected the file as it is published."
        ) from None
    # by line feeds alone: str.splitlines would also break at separators that latin-1 texts hold within lines
    lines = [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]
    if not text.strip():
        raise DataError(f"{path} holds no text. Fetch it again.")
    return lines, hashlib.sha256(content).hexdigest()
