from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reprise.launch.book import read_book

STAND_IN = Path(__file__).with_name("stand_in.py")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points of the local pool are stand_in.py instead of train.py."""
    monkeypatch.setattr("reprise.launch.local.program", lambda: [sys.executable, str(STAND_IN)])
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN.parents[2]))


@pytest.fixture
def sweep(stand_in: None, tmp_path: Path) -> Callable[..., int]:
    """Run `train.py -m model=wavegrad ...` in this process, outputs in tmp_path."""
    from reprise.cli.main import main

    return lambda *words: main(["train", "-m", "model=wavegrad", f"paths.outputs={tmp_path}", *words])


def starts(outputs: Path) -> list[list[Any]]:
    """What the stand-in noted at each start: seed, run directory, threads, GPUs."""
    path = outputs / "starts"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def book_of(outputs: Path) -> dict[str, Any]:
    """The newest sweep.json."""
    files = sorted(outputs.glob("sweeps/*/sweep.json"), key=lambda p: p.stat().st_mtime_ns)
    return read_book(files[-1].parent)
