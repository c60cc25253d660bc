"""Sweeps on a real SLURM, whose points are a stand-in for train.py."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import reprise.launch.local
import reprise.launch.slurm
from reprise.launch import ray_place, slurm_queue
from reprise.launch.drive import End
from reprise.launch.slurm import SlurmPlace
from tests.conftest import ROOT
from tests.launch import stand_in
from tests.slurm import Slurm, slurm, slurm_cluster, wait_until

__all__ = ["slurm", "slurm_cluster"]
pytestmark = pytest.mark.slurm
WORDS = ["model=wavegrad", "trainer=cpu", "logger=none", "hydra/launcher=slurm"]


@pytest.fixture
def started() -> Iterator[Callable[[Path, str], subprocess.Popen[str]]]:
    """Start sweeps as processes; none is left behind."""
    found: list[subprocess.Popen[str]] = []

    def start(outputs: Path, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.launch.stand_in", "sweep", *WORDS, f"paths.outputs={outputs}", *words]
        pipe = subprocess.PIPE
        found.append(subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True))
        return found[-1]

    yield start
    for process in found:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run a sweep to its end in this process."""
    for name in ("_POLL_SECONDS", "_CONFIRM_SECONDS", "_LETTING_GO_SECONDS", "program"):
        monkeypatch.setattr(f"reprise.launch.slurm.{name}", getattr(reprise.launch.slurm, name))  # to be put back
    monkeypatch.setattr("reprise.launch.local.program", reprise.launch.local.program)
    monkeypatch.setattr("reprise.launch.ray_place.stage_code", ray_place.stage_code)
    monkeypatch.chdir(ROOT)
    return lambda outputs, *words: stand_in.sweep([*WORDS, f"paths.outputs={outputs}", *words])


def points(outputs: Path) -> list[dict[str, Any]]:
    (path,) = outputs.glob("sweeps/*/sweep.json")
    return json.loads(path.read_text())["points"]


def starts(outputs: Path) -> list[int]:
    path = outputs / "starts"
    return sorted(json.loads(line)[0] for line in path.read_text().splitlines()) if path.is_file() else []


def test_points_go_out_as_one_array_and_only_what_failed_runs_again(
    slurm: Slurm, tmp_path: Path, sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fail-2").touch()
    assert sweep(tmp_path, "seed=0,1,2,3", "hydra.launcher.n_jobs=2") == 1
    found = points(tmp_path)
    assert [p["state"] for p in found] == ["finished", "finished", "failed", "finished"]
    assert found[2]["error"] == "the fault is there"
    (array,) = {p["placement"]["job"].partition("_")[0] for p in found}
    assert [p["placement"]["job"] for p in found] == [f"{array}_{i}" for i in range(4)]
    assert "ArrayTaskThrottle=2" in slurm.ask("scontrol", "show", "job", array)
    assert "the fault is there" in (Path(found[2]["directory"]) / "logs" / "point.log").read_text()
    assert "failed seed=2: the fault is there" in capsys.readouterr().out
    (tmp_path / "fail-2").unlink()
    assert sweep(tmp_path, "seed=0,1,2,3", "hydra.launcher.n_jobs=2") == 0
    assert starts(tmp_path) == [0, 1, 2, 2, 3]


def test_points_with_other_needs_go_out_apart(slurm: Slurm, tmp_path: Path, sweep: Callable[..., int]) -> None:
    assert sweep(tmp_path, "trainer.devices=1,2", "trainer.strategy=ddp") == 0
    jobs = [p["placement"]["job"] for p in points(tmp_path)]
    cpus = [line for job in jobs for line in slurm.ask("scontrol", "show", "job", job).split() if line[:4] == "CPUs"]
    assert cpus == ["CPUs/Task=1", "CPUs/Task=2"]


def test_a_point_that_is_killed_and_one_that_cannot_start_are_named(
    slurm: Slurm, tmp_path: Path, sweep: Callable[..., int]
) -> None:
    (tmp_path / "die-0").touch()
    assert sweep(tmp_path, "seed=0") == 1
    (point,) = points(tmp_path)
    assert "its process was killed by SIGKILL" in point["error"]
    assert json.loads((Path(point["directory"]) / "run.json").read_text())["state"] == "failed"
    other = tmp_path / "other"
    assert sweep(other, "seed=0", "hydra.launcher.setup=[exit 7]") == 1
    assert "FAILED, exit code 7" in points(other)[0]["error"]
    third = tmp_path / "third"
    assert sweep(third, "seed=0", "hydra.launcher.partition=nowhere") == 1
    assert "sbatch refused the job" in points(third)[0]["error"]
    assert "partition" in points(third)[0]["error"]


def test_a_cancelled_job_ends_its_point_with_the_reason(
    slurm: Slurm, tmp_path: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    for seed in (0, 1):
        (tmp_path / f"wait-{seed}").touch()
    # one job runs and can save, the other waits for it
    process = started(tmp_path, "seed=0,1", "hydra.launcher.n_jobs=1")
    wait_until(lambda: starts(tmp_path) == [0], what="the first point's start")
    first, second = sorted(slurm.queue())
    slurm.ask("scancel", first, second)
    assert process.wait(60) == 1
    found = points(tmp_path)
    assert [p["state"] for p in found] == ["interrupted", "failed"]
    assert all(f"job {j}: CANCELLED" in p["error"] for j, p in zip((first, second), found, strict=True))


@pytest.mark.parametrize("known", [True, False])
def test_a_killed_launcher_finds_its_jobs_again(
    slurm: Slurm, tmp_path: Path, started: Callable[..., subprocess.Popen[str]], known: bool
) -> None:
    (tmp_path / "wait-0").touch()
    (tmp_path / "wait-1").touch()
    before = slurm.submitted()
    process = started(tmp_path, "seed=0,1")
    wait_until(lambda: starts(tmp_path) == [0, 1], what="the points' start")
    wait_until(lambda: all(p["placement"].get("job") for p in points(tmp_path)), what="sweep.json")
    process.kill()
    process.communicate()
    jobs = [p["placement"]["job"] for p in points(tmp_path)]
    (tmp_path / "wait-0").unlink()
    wait_until(lambda: len(slurm.queue()) == 1, what="the end of the first point while nobody watches")
    if not known:  # killed between sbatch and the note of what it said
        (path,) = tmp_path.glob("sweeps/*/sweep.json")
        raw = json.loads(path.read_text())
        for point in raw["points"]:
            point |= {"placement": {}, "state": "waiting"}
        path.write_text(json.dumps(raw))
    again = started(tmp_path, "seed=0,1")
    wait_until(lambda: [p["state"] for p in points(tmp_path)] == ["finished", "running"], what="a look at the points")
    wait_until(lambda: points(tmp_path)[1]["placement"].get("job") == jobs[1], what="the second job's return")
    (tmp_path / "wait-1").unlink()
    assert again.wait(60) == 0
    assert starts(tmp_path) == [0, 1]
    assert slurm.submitted() == before + 1


def test_ctrl_c_lets_go_and_twice_cancels(
    slurm: Slurm, tmp_path: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    (tmp_path / "wait-0").touch()
    process = started(tmp_path, "seed=0")
    wait_until(lambda: starts(tmp_path) == [0], what="the point's start")
    (job,) = slurm.queue()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    said = process.stderr.read() if process.stderr else ""
    assert f"scancel {job}" in said
    assert "The same command again" in said
    assert slurm.queue() == {job: "RUNNING"}
    assert [p["state"] for p in points(tmp_path)] == ["running"]
    again = started(tmp_path, "seed=0")
    wait_until(lambda: again.poll() is not None or _watches(tmp_path, again.pid), what="the second start")
    again.send_signal(signal.SIGINT)
    time.sleep(1)  # two signals at once are one
    again.send_signal(signal.SIGINT)
    assert again.wait(60) == 130
    wait_until(lambda: not slurm.queue(), what="the job's end")
    assert [p["state"] for p in points(tmp_path)] == ["interrupted"]
    assert starts(tmp_path) == [0]


def _watches(outputs: Path, pid: int) -> bool:
    (path,) = outputs.glob("sweeps/*/sweep.json")
    raw = json.loads(path.read_text())
    return raw["pid"] == pid and raw["points"][0]["placement"].get("state") == "running"


def test_a_job_at_its_time_limit_goes_back_into_the_queue(
    slurm: Slurm, tmp_path: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    (tmp_path / "wait-0").touch()
    before = slurm.submitted()
    process = started(tmp_path, "seed=0", "hydra.launcher.max_requeues=1")
    wait_until(lambda: starts(tmp_path) == [0], what="the point's start")
    (job,) = slurm.queue()
    slurm.ask("scancel", "--signal=USR2", job)  # as SLURM does before the time limit
    wait_until(lambda: starts(tmp_path) == [0, 0], what="the second start")
    assert [p["state"] for p in points(tmp_path)] == ["running"]
    assert not list(tmp_path.glob("sweeps/*/slurm/*_result.pkl"))
    slurm.ask("scancel", "--signal=USR2", job)
    assert process.wait(60) == 1
    assert starts(tmp_path) == [0, 0]
    assert slurm.submitted() == before + 1
    (log,) = tmp_path.glob("sweeps/*/slurm/*_0_log.err")
    assert "1 of 1 requeues were used" in log.read_text()


def test_variables_of_a_point_reach_it_and_no_file(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "program.py"
    script.write_text("import os, sys; print('got', os.environ['SECRET_URL'], sys.argv[1:])")
    monkeypatch.setattr("reprise.launch.slurm.program", lambda: [sys.executable, str(script)])
    place, point = _place(tmp_path), _point(tmp_path)
    point.environment = {"SECRET_URL": "postgresql://user:word@host/db"}
    assert place.take(point)
    place.start([point], "group")
    ends = _ends(place)
    assert [(p, e.code) for p, e in ends] == [(point, 0)]
    assert "got postgresql://user:word@host/db" in point.log.read_text()
    for path in (tmp_path / "slurm").iterdir():
        assert b"word@host" not in path.read_bytes(), path
    assert pickle.loads(next((tmp_path / "slurm").glob("*_result.pkl")).read_bytes()) == ("success", 0)
    assert "SECRET_URL" not in os.environ


def test_a_controller_that_does_not_answer_is_waited_for_and_a_lost_job_given_up(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def look(jobs: Any) -> dict[str, Any]:
        calls.append(1)
        if len(calls) < 4:
            raise slurm_queue.Unreachable("Unable to contact slurm controller")
        return {}

    place, point = _place(tmp_path), _point(tmp_path)
    monkeypatch.setattr("reprise.launch.slurm._POLL_SECONDS", 0.1)
    monkeypatch.setattr("reprise.launch.slurm._FORGOTTEN_SECONDS", 0.5)
    monkeypatch.setattr(slurm_queue, "look", look)
    monkeypatch.setattr(slurm_queue, "detail", lambda job: None)
    place._jobs[0] = (point, "424242")
    ((_, end),) = _ends(place)
    assert len(calls) > 4
    assert end == End(1, "job 424242 is gone from SLURM's queue and has left no finished run")


def _place(folder: Path) -> SlurmPlace:
    place = SlurmPlace()
    place.prepare(folder)
    return place


def _point(folder: Path) -> Any:
    from reprise.launch.plan import Planner

    point = Planner().plan(0, ["model=wavegrad", "trainer=cpu", "logger=none"], {})
    point.directory = folder / "run"
    return point


def _ends(place: SlurmPlace) -> list[Any]:
    found: list[Any] = []
    wait_until(lambda: found.extend(place.poll()) or found, what="the point's end")
    return found
