"""Diffusion (2015) on generated data from the command line: both rows, one process and two, resuming the stream."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests import commands

from reprise.tracking.record import RunRecord, own_evaluation, read_record

DDP = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
SMOKE = ["budget=smoke", "logger=csv", "trainer.enable_progress_bar=false", "evaluate=true"]
LIMITS = ["data.limit_val=5", "data.limit_test=5", "data.eval_batch_size=2"]


def run(*words: str) -> str:
    done = commands.run([sys.executable, *words])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def trained(outputs: Path, *words: str) -> tuple[Path, RunRecord]:
    run("train.py", *SMOKE, *LIMITS, f"paths.outputs={outputs}", *words)
    (path,) = outputs.rglob("run.json")
    return path.parent, read_record(path.parent)


def measured(record: RunRecord) -> dict[str, float]:
    evaluation = own_evaluation(record)
    assert evaluation is not None
    assert {entry["version"] for entry in evaluation["metrics"].values()} == {1}
    return {name: entry["value"] for name, entry in evaluation["metrics"].items()}


@pytest.mark.slow
@pytest.mark.parametrize("row", ["swiss_roll", "heartbeat"])
def test_two_processes_find_what_one_does(row: str, tmp_path: Path) -> None:
    directory, record = trained(tmp_path / "one", f"experiment=diffusion_2015/{row}", "trainer=cpu")
    _, other = trained(tmp_path / "two", f"experiment=diffusion_2015/{row}", *DDP)
    ours = measured(record)
    assert set(ours) == {"test/bound_bits", "test/bound_gain_bits"}
    assert ours == pytest.approx(measured(other), rel=1e-4)
    null = {"swiss_roll": -4.1, "heartbeat": -14.44}[row]  # under a unit Gaussian, and under bits with a rate of 0.2
    assert ours["test/bound_bits"] - ours["test/bound_gain_bits"] == pytest.approx(null, abs=0.7)
    samples = {path.name for path in (directory / "evaluations" / "e1" / "samples").iterdir()}
    assert samples == {"samples.png", "terms.png", "terms.csv"}
    said = run("-m", "reprise.cli.main", "generate", str(directory), "count=3", f"out={tmp_path / 'made'}")
    assert "3 samples from step" in said
    lines = [path.read_text().strip().split(",") for path in sorted((tmp_path / "made").glob("*.csv"))]
    assert [len(line) for line in lines] == [{"swiss_roll": 2, "heartbeat": 20}[row]] * 3
    run("-m", "reprise.cli.main", "verify", str(directory))


def test_the_model_runs_without_an_experiment_on_the_roll(tmp_path: Path) -> None:
    directory, record = trained(tmp_path, "model=diffusion_2015", "trainer=cpu", "evaluate=false")
    assert record.state == "finished"
    assert record.data["generated"] == "swiss_roll"
    assert (directory / "samples" / "step-00000006" / "samples.png").stat().st_size > 10_000
