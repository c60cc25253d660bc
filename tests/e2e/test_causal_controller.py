"""The Causal Controller from the command line: one process and two, resumed, verified, drawn from."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from tests import commands

from reprise.tracking.record import own_evaluation, read_record
from reprise.training import checkpoints

SMOKE = ["model=causal_controller", "budget=smoke", "logger=csv", "trainer.enable_progress_bar=false"]
DDP = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]


def run(*words: str) -> str:
    done = commands.run([sys.executable, *words])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def trained(outputs: Path, *words: str) -> Path:
    run("train.py", *SMOKE, f"paths.outputs={outputs}", *words)
    (path,) = outputs.rglob("run.json")
    return path.parent


def weights(directory: Path) -> dict[str, torch.Tensor]:
    path, entry = checkpoints.find(directory)
    assert entry.step == 6
    return checkpoints.load(path)["state_dict"]  # type: ignore[no-any-return]


@pytest.mark.slow
def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    one = trained(tmp_path / "one", "trainer=cpu", "evaluate=true")
    two = trained(tmp_path / "two", *DDP, "evaluate=true")
    ours, theirs = weights(one), weights(two)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    of_one, of_two = own_evaluation(read_record(one)), own_evaluation(read_record(two))
    assert of_one is not None and of_two is not None
    assert of_one["metrics"] == of_two["metrics"] and "test/p_round/do_ringed" in of_one["metrics"]
    shown = {path.name for path in (one / "evaluations" / "e1" / "samples").glob("*.png")}
    assert shown == {"marginals.png", "queries.png", "tvd.png"}
    run("-m", "reprise.cli.main", "verify", str(two))
    made = tmp_path / "made"
    run("-m", "reprise.cli.main", "generate", str(one), "count=1", "rows=7", "do={Ringed:1}", f"out={made}")
    header, *rows = (made / "sample-000.csv").read_text().splitlines()
    assert header == "Round,Red,Large,Ringed,Striped,Night" and len(rows) == 7
    assert {row.split(",")[3] for row in rows} == {"1"}


@pytest.mark.slow
def test_a_run_that_was_killed_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    directory = trained(tmp_path, "trainer=cpu", "callbacks.checkpoint.every_n_steps=2")
    expected, rows = weights(directory), (directory / "metrics.csv").read_text()
    index = checkpoints.read_index(directory)
    (directory / next(entry.file for entry in index if entry.step == 6)).unlink()  # killed before it was written
    checkpoints.write_index(directory, [entry for entry in index if entry.step != 6])
    record = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps({**record, "state": "running"}))
    run("train.py", f"resume={directory}")
    found = weights(directory)
    assert all(torch.equal(expected[name], found[name]) for name in expected)

    def measured(text: str) -> list[str]:
        return [row for row in text.splitlines() if ",perf/" not in row]

    assert measured((directory / "metrics.csv").read_text()) == measured(rows)
