"""Noise schedules that were tuned for a run, kept beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = "schedules"


def saved_schedules(directory: Path) -> dict[str, list[float]]:
    """Schedules beside a run, by name."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))["betas"]
        for path in sorted((directory / FOLDER).glob("*.json"))
    }


def with_saved_schedule(directory: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Replace the name of a tuned schedule by its betas; other options stay."""
    saved = saved_schedules(directory)
    return {k: saved.get(v, v) if k == "schedule" and isinstance(v, str) else v for k, v in options.items()}
