"""The line that a run without a terminal prints now and then."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from reprise.training.callbacks.progress import Progress


def shown(capsys: pytest.CaptureFixture[str], **control: object) -> str:
    progress = Progress()
    values = {"iteration": 50, "max_steps": 1000, "last_loss": 0.5, "max_seconds": None, "seconds": lambda: 10.0}
    progress.control = SimpleNamespace(**(values | control))  # type: ignore[assignment]
    progress._start = (time.monotonic() - 10.0, 0)  # 5 iterations a second
    progress._show()
    return capsys.readouterr().err


def test_time_left_follows_the_speed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "190 s left" in shown(capsys)


def test_time_left_is_no_more_than_the_run_may_take(capsys: pytest.CaptureFixture[str]) -> None:
    assert "50 s left" in shown(capsys, max_seconds=60.0)
    assert "0 s left" in shown(capsys, max_seconds=5.0)
    assert "50 s left" in shown(capsys, max_seconds=60.0, max_steps=None)


def test_without_a_limit_no_time_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "left" not in shown(capsys, max_steps=None)
