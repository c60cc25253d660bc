"""A forecaster of series from the command line: trained, measured, resumed, and continued in the series' unit."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from tests import commands

from reprise.tracking.record import own_evaluation, read_record

SMOKE = ["model=wavenet_forecaster", "budget=smoke", "logger=csv", "trainer.enable_progress_bar=false", "evaluate=true"]
DDP = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]


def run(*words: str) -> str:
    done = commands.run([sys.executable, *words])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def trained(outputs: Path, *words: str) -> tuple[Path, dict[str, float]]:
    run("train.py", *SMOKE, f"paths.outputs={outputs}", *words)
    (path,) = outputs.rglob("run.json")
    evaluation = own_evaluation(read_record(path.parent))
    assert evaluation is not None
    versions = {name: entry["version"] for name, entry in evaluation["metrics"].items()}
    assert versions.pop("test/log_density") == 2 and set(versions.values()) == {1}
    return path.parent, {name: entry["value"] for name, entry in evaluation["metrics"].items()}


@pytest.mark.slow
def test_prices_of_a_file_are_forecast_by_one_process_as_by_two(tmp_path: Path) -> None:
    prices = 50.0 * np.exp(np.cumsum(0.02 * np.random.default_rng(0).standard_normal((200, 2)), 0))
    np.save(tmp_path / "prices.npy", prices)
    words = [f"data.root={tmp_path / 'prices.npy'}", "data.channels=2", "data.difference=log", "data.season=5"]
    directory, ours = trained(tmp_path / "one", *words, "trainer=cpu")
    _, other = trained(tmp_path / "two", *words, *DDP)
    assert ours == pytest.approx(other, rel=1e-4)
    assert {"test/nats_per_step", "test/log_density", "test/ahead_crps", "test/seasonal_naive/crps"} < set(ours)
    samples = {path.name for path in (directory / "evaluations" / "e1" / "samples").iterdir()}
    assert {"fan_1-000169.png", "fan_2-000169.png"} <= samples
    run("-m", "reprise.cli.main", "generate", str(directory), "horizon=3", "paths=7", f"out={tmp_path / 'made'}")
    for name, last in zip("12", prices[-1], strict=True):
        rows = list(csv.reader((tmp_path / "made" / f"{name}.csv").open()))
        assert [len(row) for row in rows] == [8] * 4
        assert all(0.8 * last < float(value) < 1.25 * last for value in rows[1][1:])
    run("-m", "reprise.cli.main", "verify", str(directory))
