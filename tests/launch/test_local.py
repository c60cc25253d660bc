"""The local pool: what runs, what is kept, what happens when things go wrong. Points are a quick stand-in."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reprise.launch.point import quoted
from reprise.tracking.record import read_record
from tests.conftest import ROOT
from tests.launch.conftest import book_of, starts

Sweep = Callable[..., int]


def test_every_point_is_a_run_of_its_own(tmp_path: Path, sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("seed=0,1", "model.optimizer.lr=1e-3,1e-2") == 0
    book = book_of(tmp_path)
    assert book["state"] == "finished"
    points = book["points"]
    expected = [("0", "0.001"), ("0", "0.01"), ("1", "0.001"), ("1", "0.01")]
    assert [p["params"] for p in points] == [{"seed": s, "model.optimizer.lr": lr} for s, lr in expected]
    for point in points:
        record = read_record(Path(point["directory"]))
        assert record.seed == int(point["params"]["seed"])
        assert record.config["model"]["optimizer"]["lr"] == float(point["params"]["model.optimizer.lr"])
        assert record.config["logger"]["wandb"]["group"] == book["group"]
        assert point["objective"] == record.metrics["val/ls_mse"]["best"]
    assert len({p["directory"] for p in points}) == 4
    printed = capsys.readouterr()
    assert "4 finished of 4 points" in printed.out
    assert "best val/ls_mse 0: seed=0 model.optimizer.lr=0.001" in printed.out
    assert "[1/4] seed=0 model.optimizer.lr=0.001: running" in printed.err


def test_a_failed_point_is_shown_and_only_it_runs_again(
    tmp_path: Path, sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = tmp_path / "fail-2"
    fault.touch()
    assert sweep("seed=0,1,2,3") == 1
    printed = capsys.readouterr().out
    assert printed.startswith("3 finished, 1 failed of 4 points")
    assert "failed seed=2: the fault is there" in printed
    again = next(line for line in printed.splitlines() if "again: python train.py" in line)
    assert f"paths.run={tmp_path}/runs/wavegrad/s2-" in again
    fault.unlink()
    assert sweep("seed=0,1,2,3") == 0
    assert [seed for seed, *_ in starts(tmp_path)].count(2) == 2
    assert len(starts(tmp_path)) == 5
    assert len(list((tmp_path / "runs/wavegrad").iterdir())) == 4  # the failed run went on in its own directory


def test_a_killed_point_is_failed_and_its_record_says_so(tmp_path: Path, sweep: Sweep) -> None:
    (tmp_path / "die-1").touch()
    assert sweep("seed=0,1") == 1
    (point,) = [p for p in book_of(tmp_path)["points"] if p["state"] == "failed"]
    assert point["error"] == "killed by SIGKILL"
    record = read_record(Path(point["directory"]))
    assert (record.state, record.error) == ("failed", "killed by SIGKILL")


def test_a_wrong_point_stops_the_sweep_before_anything_runs(
    tmp_path: Path, sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("seed=0,1", "model.optimizer.lr=1e-3,fast") == 2
    assert "model.optimizer.lr" in capsys.readouterr().err
    assert not starts(tmp_path)
    assert not (tmp_path / "runs").exists()
    assert sweep("seed=0,1", "paths.run=somewhere") == 2
    assert "each point gets a run directory of its own" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "seeds"),
    [("seed='range(3)'", [0, 1, 2]), ("seed=choice(4,2)", [4, 2]), ("'seed=sort(3,1)'", [1, 3])],
)
def test_hydras_syntax(tmp_path: Path, sweep: Sweep, word: str, seeds: list[int]) -> None:
    assert sweep(word.replace("'", ""), "hydra.launcher.n_jobs=1") == 0
    assert [seed for seed, *_ in starts(tmp_path)] == seeds


def test_glob_over_a_group(tmp_path: Path, sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("arch=glob(wavegrad/*)", "hydra.launcher.n_jobs=2") == 0
    chosen = {p["params"]["arch"] for p in book_of(tmp_path)["points"]}
    assert chosen == {"wavegrad/base", "wavegrad/large", "wavegrad/small", "wavegrad/tiny"}
    assert sweep("arch=glob(wavegard/*)") == 2
    assert "arch=glob(wavegard/*) matches nothing" in capsys.readouterr().err


def test_more_seeds_reuse_what_is_finished(
    tmp_path: Path, sweep: Sweep, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sweep("seed=0,1") == 0
    assert sweep("seed=0,1,2") == 0
    assert sorted(seed for seed, *_ in starts(tmp_path)) == [0, 1, 2]
    assert [p["reused"] for p in book_of(tmp_path)["points"]] == [True, True, False]
    assert "2 of 3 points are done already" in capsys.readouterr().err
    # not when told otherwise, nor when the code has changed since
    assert sweep("seed=0,2", "hydra.launcher.reuse=false") == 0
    assert sorted(seed for seed, *_ in starts(tmp_path)[3:]) == [0, 2]
    monkeypatch.setattr("reprise.launch.plan.changed_sources", lambda code: ["reprise.models.wavegrad.network"])
    assert sweep("seed=1,2") == 0
    assert sorted(seed for seed, *_ in starts(tmp_path)[5:]) == [1, 2]


def test_a_run_that_was_deleted_runs_again(tmp_path: Path, sweep: Sweep) -> None:
    assert sweep("seed=0,1") == 0
    shutil.rmtree(book_of(tmp_path)["points"][1]["directory"])
    assert sweep("seed=0,1") == 0
    assert sorted(seed for seed, *_ in starts(tmp_path)) == [0, 1, 1]


def test_an_interval_is_no_grid(sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("model.optimizer.lr=interval(1e-4,1e-3)") == 2
    assert "only a search can serve: add hydra/sweeper=optuna" in capsys.readouterr().err
    assert sweep("seed=0,1", "hydra.launcher.n_job=1") == 2
    assert "Did you mean 'hydra.launcher.n_jobs'" in capsys.readouterr().err
    assert sweep("seed=0,1", "hydra/launcher=loca") == 2
    assert "'local'" in capsys.readouterr().err
    assert not (tmp_path / "sweeps").exists()


def test_sharded_points_are_planned_without_torch_in_the_launcher(tmp_path: Path, sweep: Sweep) -> None:
    assert sweep("seed=0", "trainer=fsdp") == 0
    assert book_of(tmp_path)["points"][0]["placement"]["processes"] == 2


def test_a_point_that_cannot_go_on_has_failed_whatever_its_record_says(tmp_path: Path, sweep: Sweep) -> None:
    """An earlier start was interrupted; this one ends before it writes to the record."""
    (tmp_path / "fail-0").touch()
    assert sweep("seed=0") == 1
    directory = Path(book_of(tmp_path)["points"][0]["directory"])
    record = read_record(directory)
    record.state, record.error = "interrupted", "stopped by SIGTERM after step 7"
    record.write(directory)
    (tmp_path / "refuse-0").touch()
    assert sweep("seed=0") == 1
    (point,) = book_of(tmp_path)["points"]
    assert (point["state"], point["error"]) == ("failed", "no usable checkpoint")


@pytest.mark.parametrize(("n_jobs", "threads"), [(1, "4"), (2, "2"), (4, "1")])
def test_cores_are_shared_out(
    tmp_path: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch, n_jobs: int, threads: str
) -> None:
    monkeypatch.setattr("reprise.launch.local.cpu_cores", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert sweep("seed=0,1", "trainer=cpu", f"hydra.launcher.n_jobs={n_jobs}") == 0
    assert {t for _, _, t, _ in starts(tmp_path)} == {threads}


def test_each_point_has_gpus_of_its_own(tmp_path: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,GPU-abc")
    assert sweep("seed=range(5)", "trainer=gpu") == 0
    given = [gpus for *_, gpus in starts(tmp_path)]
    assert set(given[:3]) == {"3", "5", "GPU-abc"}
    assert set(given) <= {"3", "5", "GPU-abc"}
    assert sweep("seed=7", "trainer=gpu", "trainer.devices=2") == 0
    assert len(starts(tmp_path)[-1][3].split(",")) == 2


def test_more_gpus_than_there_are(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert sweep("seed=0", "trainer=gpu", "trainer.devices=2") == 1
    assert "this machine has 1 GPUs" in capsys.readouterr().out
    assert sweep("seed=0", "hydra.launcher.n_jobs=0") == 2
    assert "hydra.launcher.n_jobs is 0" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["hydra/launcher=basic", "hydra/launcher=submitit_local"])
def test_launchers_that_train_in_this_process_are_refused(
    tmp_path: Path, sweep: Sweep, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    assert sweep("seed=0,1", word) == 2
    assert "hydra/launcher" in capsys.readouterr().err
    assert sweep("seed=0,1", "hydra/launcher=basic", "hydra/sweeper=basic") == 2
    assert "Use hydra/launcher=local, ray or slurm" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_somebody_elses_sweeper(tmp_path: Path, sweep: Sweep) -> None:
    (tmp_path / "fail-1").touch()
    assert sweep("seed=0,1,2", "hydra/sweeper=basic") == 1
    assert sorted(seed for seed, *_ in starts(tmp_path)) == [0, 1, 2]
    assert [p["state"] for p in book_of(tmp_path)["points"]] == ["finished", "failed", "finished"]


def _popen(outputs: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.launch.stand_in", "sweep", "model=wavegrad", f"paths.outputs={outputs}"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        [*command, *words], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _wait_for(condition: Callable[[], bool], patience: float = 60.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _states(outputs: Path) -> list[str]:
    return [p["state"] for p in book_of(outputs)["points"]] if list(outputs.glob("sweeps/*/sweep.json")) else []


def _alive(outputs: Path) -> bool:
    return bool(subprocess.run(["pgrep", "-f", f"stand_in.py.*{outputs}"], capture_output=True).stdout)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_signal_stops_points_with_a_checkpoint(tmp_path: Path, number: signal.Signals, code: int) -> None:
    for seed in (0, 1):
        (tmp_path / f"wait-{seed}").touch()
    words = ("seed=0,1,2", "hydra.launcher.n_jobs=2")
    process = _popen(tmp_path, *words)
    _wait_for(lambda: len(starts(tmp_path)) == 2)
    _wait_for(lambda: len(list(tmp_path.glob("runs/*/*/run.json"))) == 2)
    time.sleep(0.3)  # until the stand-ins listen to signals
    process.send_signal(number)
    assert process.wait(timeout=30) == code
    assert _states(tmp_path) == ["interrupted", "interrupted", "waiting"]
    assert book_of(tmp_path)["state"] == "interrupted"
    assert process.stdout is not None
    assert "the same command again does what is left" in process.stdout.read()
    process.stdout.close()
    assert not _alive(tmp_path)
    for seed in (0, 1):
        (tmp_path / f"wait-{seed}").unlink()
    again = _popen(tmp_path, *words)
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert _states(tmp_path) == ["finished"] * 3
    assert sorted(seed for seed, *_ in starts(tmp_path)) == [0, 0, 1, 1, 2]


def test_a_killed_sweep_takes_its_points_along_and_goes_on_later(tmp_path: Path) -> None:
    (tmp_path / "wait-1").touch()
    words = ("seed=0,1,2,3", "hydra.launcher.n_jobs=1")
    process = _popen(tmp_path, *words)
    _wait_for(lambda: len(starts(tmp_path)) == 2)
    second = _popen(tmp_path, *words)  # meanwhile nobody else can run it
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert f"is being run by another process (pid {process.pid}" in said
    process.kill()
    process.communicate()
    _wait_for(lambda: not _alive(tmp_path))
    (tmp_path / "wait-1").unlink()
    again = _popen(tmp_path, *words)
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert _states(tmp_path) == ["finished"] * 4
    assert [seed for seed, *_ in starts(tmp_path)] == [0, 1, 1, 2, 3]


def test_points_that_the_place_was_told_to_end_are_interrupted(tmp_path: Path) -> None:
    from reprise.launch.drive import End, conclude
    from tests.launch.test_view import _point

    for end in (End(None, "Ray: TaskCancelledError", cancelled=True), End(-signal.SIGKILL)):
        point = _point(0, "running", directory=tmp_path)
        conclude(point, end, stopped=True)
        assert point.state == "interrupted"
    point = _point(0, "running", directory=tmp_path)
    conclude(point, End(1, "job 12_3: CANCELLED"), stopped=True)  # by somebody else
    assert (point.state, point.error) == ("failed", "job 12_3: CANCELLED")


def test_values_are_quoted_for_hydra() -> None:
    assert quoted("outputs/runs/a-b_c/s0-12") == "outputs/runs/a-b_c/s0-12"
    assert quoted("/with space/it's") == "'/with space/it\\'s'"


def test_a_path_with_reserved_characters(tmp_path: Path, stand_in: None) -> None:
    from reprise.cli.main import main

    outputs = tmp_path / "a (b), it's=[c]"
    outputs.mkdir()
    assert main(["train", "-m", "model=wavegrad", f"paths.outputs={quoted(str(outputs))}", "seed=0,1"]) == 0
    assert sorted(seed for seed, *_ in starts(outputs)) == [0, 1]
