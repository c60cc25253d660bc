"""Files that are whole at every moment, also when the process is killed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import orjson

NOT_FINITE = ("nan", "inf", "-inf")  # how write_json writes what JSON has no number for


def write_atomic(path: Path, text: str) -> None:
    """Replace a text file in one step; the old content stays when anything fails.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with scratch.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; NaN and infinities become strings, since JSON has none."""
    write_atomic(path, json.dumps(_plain(value), indent=1, allow_nan=False) + "\n")


def parse_json(data: bytes) -> Any:
    """Parse JSON; the literals NaN and Infinity, which other programs write, are numbers too.

    Raises:
        ValueError: it is none, or so deeply nested that nothing here wrote it.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        if b"NaN" not in data and b"Infinity" not in data:
            raise
    try:
        found = json.loads(data.decode("utf-8"))
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # half a surrogate pair could not be written again
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value != value:
        return "nan"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value
