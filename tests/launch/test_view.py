"""What a user reads while a sweep runs and at its end."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from reprise.launch.outcome import Outcome
from reprise.launch.point import Point, State
from reprise.launch.view import LineView, draw, tally


def _point(index: int, state: State, **more: object) -> Point:
    settings: dict[str, object] = {
        "overrides": ("model=wavegrad", f"seed={index}"),
        "params": {"seed": str(index)},
        "outputs": Path("outputs"),
        "directory": Path(f"outputs/runs/wavegrad/s{index}-12345678"),
        "name": "wavegrad",
        "seed": index,
        "digest": "12345678",
        "monitor": "val/ls_mse",
        "mode": "min",
        "max_steps": 100,
        "trainer": {},
        "logs_to_wandb": True,
    }
    return Point(index=index, state=state, **(settings | more))  # type: ignore[arg-type]


POINTS = [
    _point(0, "finished", step=100, objective=1.5, value=1.6, seconds=12.0),
    _point(1, "running", step=40, value=2.5, placement={"gpus": ["3"]}),
    _point(2, "failed", error="rank 1 ended [see log]"),
    _point(3, "waiting"),
]


def _printed(table: Any) -> str:
    from rich.console import Console

    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_table() -> None:
    text = _printed(draw(POINTS))
    rows = [line.split() for line in text.splitlines()]
    assert rows[0] == ["point", "what", "state", "step", "val/ls_mse", "where"]
    assert ["1", "seed=1", "running", "40/100", "2.5", "GPU", "3"] in rows
    assert "1 running, 1 waiting, 1 finished, 1 failed of 4 points" in " ".join(text.split())


def test_long_sweeps_show_what_matters() -> None:
    many = [_point(i, "finished") for i in range(50)] + [_point(50, "failed"), _point(51, "running")]
    text = _printed(draw(many))
    assert "seed=50" in text
    assert "seed=51" in text
    assert "22 more" in text


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    view = LineView()
    view.show(POINTS)
    view.show(POINTS)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "1 of 4 points are done already",
        "[2/4] seed=1: running on GPU 3, outputs/runs/wavegrad/s1-12345678",
        "[3/4] seed=2: failed: rank 1 ended [see log]",
    ]


def test_last_lines() -> None:
    outcome = Outcome(Path("outputs/sweeps/wavegrad-1"), POINTS, "wavegrad-1", 20.0)
    assert outcome.exit_code == 1
    assert outcome.lines() == [
        "1 running, 1 waiting, 1 finished, 1 failed of 4 points, 20 s: outputs/sweeps/wavegrad-1",
        "  failed seed=2: rank 1 ended [see log]",
        "    again: python train.py model=wavegrad seed=2 paths.run=outputs/runs/wavegrad/s2-12345678 "
        "logger.wandb.group=wavegrad-1",
        "  not all points were run: the same command again does what is left",
        "  best val/ls_mse 1.5: seed=0: outputs/runs/wavegrad/s0-12345678",
    ]
    assert Outcome(Path(), POINTS[:1], "g", 1.0).exit_code == 0
    assert tally(POINTS[:1]) == "1 finished of 1 points"
