"""Explicit lists of points: planned before anything is made, run, continued, and changed between two calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from reprise.config.errors import ConfigError, RunError
from reprise.launch.points import plan_batch, run_points
from reprise.tracking.record import read_record
from tests.conftest import ROOT
from tests.launch.conftest import book_of, starts

BASE, LARGE = "experiment=wavegrad/ljspeech_base_continuous", "experiment=wavegrad/ljspeech_large_continuous"


def batch_of(outputs: Path) -> list[list[str]]:
    """Points that have neither experiment nor overrides in common."""
    return [
        [BASE, "seed=0", f"paths.outputs={outputs}"],
        [BASE, "seed=1", "trainer=cpu", "evaluate=true", f"paths.outputs={outputs}"],
        [LARGE, "seed=2", "budget=smoke", f"paths.outputs={outputs}"],
    ]


def seeds(outputs: Path) -> list[int]:
    return sorted(seed for seed, *_ in starts(outputs))


def test_a_plan_says_what_would_run_and_makes_nothing(tmp_path: Path) -> None:
    batch = batch_of(tmp_path)
    first, second, third = plan_batch([*batch, batch[0]])
    assert [first.name, third.name] == ["wavegrad/ljspeech_base_continuous", "wavegrad/ljspeech_large_continuous"]
    assert [p.seed for p in (first, second, third)] == [0, 1, 2]
    assert first.digest == second.digest != third.digest
    assert (first.max_steps, third.max_steps) == (1_000_000, 6)
    assert (first.trainer["accelerator"], second.trainer["accelerator"]) == ("auto", "cpu")
    assert [p.evaluate for p in (first, second, third)] == [False, True, False]
    assert not any(tmp_path.iterdir())


def test_points_of_several_experiments_are_one_sweep(tmp_path: Path, stand_in: None) -> None:
    outcome = run_points("reproduce/wavegrad", batch_of(tmp_path), "local", ["hydra.launcher.n_jobs=1"])
    assert outcome.exit_code == 0
    assert outcome.directory.parent == tmp_path / "sweeps"
    assert outcome.directory.name.startswith("reproduce-wavegrad-")
    records = [read_record(p.directory) for p in outcome.points]
    assert [r.seed for r in records] == [0, 1, 2]
    assert [len(r.evaluations) for r in records] == [0, 1, 0]
    assert outcome.points[2].directory.parts[-3:-1] == ("wavegrad", "ljspeech_large_continuous")
    assert (outcome.directory / "index.html").is_file()
    assert len((outcome.directory / "trials.csv").read_text(encoding="utf-8").splitlines()) == 4
    book = book_of(tmp_path)
    assert (book["sweeper"], book["launcher"], book["state"]) == ("points", "local", "finished")
    assert run_points("reproduce/wavegrad", batch_of(tmp_path), "local").directory == outcome.directory
    assert seeds(tmp_path) == [0, 1, 2]


def test_a_sweep_that_is_planned_anew_keeps_what_is_done(tmp_path: Path, stand_in: None) -> None:
    batch = batch_of(tmp_path)
    (tmp_path / "fail-1").touch()
    first = run_points("r", batch, "local", identity={"paper": "wavegrad"})
    assert (first.exit_code, [p.state for p in first.points]) == (1, ["finished", "failed", "finished"])
    # one that is done and one that failed are gone from the plan, a new one has come before the other
    more = [LARGE, "seed=3", f"paths.outputs={tmp_path}"]
    second = run_points("r", [more, batch[2]], "local", identity={"paper": "wavegrad"})
    assert second.directory == first.directory
    assert second.exit_code == 0
    numbers = {p["seed"]: (p["index"], p["state"]) for p in book_of(tmp_path)["points"]}
    assert numbers == {0: (0, "finished"), 2: (2, "finished"), 3: (3, "finished")}
    assert seeds(tmp_path) == [0, 1, 2, 3]
    # what failed goes on in its own directory when it is wanted again
    (tmp_path / "fail-1").unlink()
    third = run_points("r", batch, "local", identity={"paper": "wavegrad"})
    assert third.exit_code == 0
    assert {p["seed"]: p["index"] for p in book_of(tmp_path)["points"]} == {0: 0, 1: 1, 2: 2, 3: 3}
    again = next(p for p in third.points if p.seed == 1)
    assert again.directory == first.points[1].directory
    assert len(read_record(again.directory).sessions) == 2
    assert run_points("r", batch, "local", identity={"paper": "other"}).directory != first.directory


@pytest.mark.parametrize(
    ("batch", "words", "launcher", "message"),
    [
        ([], [], "local", "there is no point"),
        ([["model=wavegrad", "trainer.max_stepz=3"]], [], "local", "trainer.max_steps"),
        ([["model=wavegrad"], ["experiment=wavegrad/nothing"]], [], "local", "wavegrad/nothing"),
        ([["model=wavegrad", "seed=0,1"]], [], "local", "seed=0,1"),
        (
            [["model=causal_controller"], ["model=causal_controller", "graph=cg"]],
            [],
            "local",
            r"^graph=cg \(from the command line\): conf/graph has no 'cg'\. Did you mean 'cg1'",
        ),
        (
            [["model=causal_controller"], ["model=causal_controller", "model.graph.nodes.Round=[Large]"]],
            [],
            "local",
            "a cycle: Round -> Large -> Round",
        ),
        ([["model=wavegrad", "hydra/launcher=ray"]], [], "local", "cannot be part of a point"),
        ([["model=wavegrad", "paths.run=here"]], [], "local", "run directory of its own"),
        ([["model=wavegrad"]], [], "loca", "'local'"),
        ([["model=wavegrad"]], ["hydra.launcher.n_job=2"], "local", "Did you mean 'hydra.launcher.n_jobs'"),
        ([["model=wavegrad"]], ["n_jobs=2"], "local", "no setting of a launcher"),
        ([["model=wavegrad"]], [], "basic", "Use hydra/launcher=local, ray or slurm"),
        ([["model=wavegrad", "paths.outputs=elsewhere"], ["model=wavegrad"]], [], "local", "several paths.outputs"),
    ],
)
def test_what_is_wrong_shows_before_anything_is_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    batch: list[list[str]],
    words: list[str],
    launcher: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        run_points("r", batch, launcher, words)
    assert not any(tmp_path.iterdir())


def _start(outputs: Path, **arguments: Any) -> subprocess.Popen[str]:
    file = outputs / "arguments.json"
    file.write_text(json.dumps(arguments), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.launch.stand_in", "points", str(file)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_killed_and_called_again_it_goes_on(tmp_path: Path, stand_in: None) -> None:
    (tmp_path / "wait-1").touch()
    call: dict[str, Any] = {"name": "r", "batch": batch_of(tmp_path), "launcher": "local", "identity": "x"}
    call["launcher_words"] = ["hydra.launcher.n_jobs=1"]
    process = _start(tmp_path, **call)
    deadline = time.monotonic() + 60
    while len(starts(tmp_path)) < 2:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(RunError, match=f"is being run by another process \\(pid {process.pid}"):
        run_points(**call)
    process.kill()
    process.communicate()
    (tmp_path / "wait-1").unlink()
    outcome = run_points(**call)
    assert outcome.exit_code == 0
    assert [p.state for p in outcome.points] == ["finished"] * 3
    assert seeds(tmp_path) == [0, 1, 1, 2]
    assert len(list(tmp_path.glob("runs/*/*/*/run.json"))) == 3
