"""The rows of a metrics.csv; apart from its logger, so that reading them loads no Lightning."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

FILE = "metrics.csv"
HEADER = "step,name,value\n"


def read_metrics(directory: Path) -> list[tuple[int, str, float]]:
    """Read (step, name, value) rows of a run; a row cut off by a kill is left out."""
    path = directory / FILE
    if not path.is_file():
        return []
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines(keepends=True)[1:] if "\n" in line]
    return [(int(step), name, float(value)) for step, name, value in rows]


def read_series(directory: Path, names: Iterable[str]) -> dict[str, list[tuple[int, float]]]:
    """Read (step, value) of some metrics of a run; several times faster than all rows where there are many."""
    path = directory / FILE
    if not path.is_file():
        return {}
    content = path.read_text(encoding="utf-8")
    rows = {name: re.findall(rf"^(\d+),{re.escape(name)},(.*)\n", content, re.MULTILINE) for name in names}
    return {name: [(int(step), float(value)) for step, value in found] for name, found in rows.items() if found}
