"""Killed with -9 at any moment and resumed, a run ends with the weights of an uninterrupted one, bit for bit."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.conftest import ROOT

from reprise.tracking.metrics_log import read_metrics
from reprise.tracking.record import read_record
from reprise.training import checkpoints

LONG = ["trainer.max_steps=24", "trainer.val_check_interval=7", "callbacks=ema", "callbacks.checkpoint.every_n_steps=2"]
# the command line names `callbacks.*` after the group choice, whatever the order


def _popen(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "train.py", *words],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _directory(outputs: Path, patience: float = 60.0) -> Path:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := list((outputs / "runs" / "wavegrad").glob("s0-*/run.json")):
            return found[0].parent
        time.sleep(0.05)
    raise AssertionError("no run directory appeared")


def _final(directory: Path) -> dict[str, object]:
    path, entry = checkpoints.find(directory)
    assert entry.step == 24
    return checkpoints.load(path)


def _same(a: object, b: object, where: str = "") -> None:
    if isinstance(a, torch.Tensor):
        assert isinstance(b, torch.Tensor)
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert isinstance(b, dict)
        assert a.keys() == b.keys(), where
        for key in a:
            _same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, (list, tuple)):
        assert isinstance(b, (list, tuple))
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            _same(x, y, f"{where}[{i}]")
    elif not where.endswith(".seconds"):
        assert a == b, where


def _compare(interrupted: Path, whole: Path) -> None:
    a, b = _final(interrupted), _final(whole)
    for key in ("state_dict", "optimizer_states", "callbacks", "StreamDataModule", "global_step"):
        if key in b:
            _same(a[key], b[key], key)
    rows = [[r for r in read_metrics(d) if not r[1].startswith("perf/")] for d in (interrupted, whole)]
    assert rows[0] == rows[1]


def _kill_repeatedly(
    outputs: Path, words: list[str], whole: Path, kills: int, rng: random.Random
) -> tuple[Path, list[int]]:
    process = _popen(*words)
    directory = _directory(outputs)
    seen = []
    for _ in range(kills):
        # 1. wait for training to be on its way, then a random moment, and kill every process at once
        before = len(read_metrics(directory))
        deadline = time.monotonic() + 60
        while len(read_metrics(directory)) <= before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.4))
        if process.poll() is not None:
            break
        _kill(process)
        # 2. the record is whole whatever the moment; a late kill may find the run at its end
        record = read_record(directory)
        assert record.state == "running" or (record.state, record.iteration) == ("finished", 24)
        seen.append(max((e.step for e in checkpoints.read_index(directory)), default=0))
        process = _popen(f"resume={directory}")
    assert process.wait(timeout=180) == 0, read_record(directory).error
    assert read_record(directory).state == "finished"
    _compare(directory, whole)
    return directory, seen


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, small: Callable[..., list[str]]) -> Path:
    """The uninterrupted run."""
    outputs = tmp_path_factory.mktemp("whole")
    assert _popen(*small(outputs, *LONG)).wait(timeout=180) == 0
    return _directory(outputs)


def test_killed_once(tmp_path: Path, small: Callable[..., list[str]], whole: Path) -> None:
    _kill_repeatedly(tmp_path, small(tmp_path, *LONG), whole, 1, random.Random(1))


@pytest.mark.slow
def test_killed_five_times(tmp_path: Path, small: Callable[..., list[str]], whole: Path) -> None:
    _, seen = _kill_repeatedly(tmp_path, small(tmp_path, *LONG), whole, 5, random.Random(time.time_ns()))
    assert seen


@pytest.mark.slow
def test_two_processes_killed(tmp_path: Path, small: Callable[..., list[str]]) -> None:
    ddp = [*LONG, "trainer=ddp", "trainer.accelerator=cpu"]
    assert _popen(*small(tmp_path / "whole", *ddp)).wait(timeout=240) == 0
    _kill_repeatedly(
        tmp_path / "killed", small(tmp_path / "killed", *ddp), _directory(tmp_path / "whole"), 2, random.Random(3)
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signal_checkpoints_and_asks_for_requeue(
    tmp_path: Path, small: Callable[..., list[str]], whole: Path, number: signal.Signals
) -> None:
    process = _popen(*small(tmp_path, *LONG, "callbacks.checkpoint.every_n_steps=1000"))
    directory = _directory(tmp_path)
    while not read_metrics(directory):
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(timeout=60) == 75
    record = read_record(directory)
    assert record.state == "interrupted"
    assert json.dumps(record.checkpoints)
    assert checkpoints.find(directory)[1].step == record.iteration > 0
    assert _popen(f"resume={directory}", "callbacks.checkpoint.every_n_steps=2").wait(timeout=180) == 0
    _compare(directory, whole)
