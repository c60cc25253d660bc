"""`evaluate=true`: training, then an evaluation in a process of its own, whatever happens to either."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import ROOT

from reprise.config.errors import RunError
from reprise.tracking.record import own_evaluation, read_record

Small = Callable[..., list[str]]
PROGRAM = [sys.executable, "train.py"]


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may change."""
    return Path(shutil.copytree(finished_run, tmp_path / "run", symlinks=True))


def start(*words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def train(*words: str, code: int = 0) -> tuple[str, str]:
    process = start(*words)
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, f"{out}\n{err}"
    return out, err


def wait_for(condition: Callable[[], object], patience: float = 120.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def evaluating(directory: Path) -> bool:
    return bool(subprocess.run(["pgrep", "-f", f"evaluate {directory}"], capture_output=True).stdout)


def test_trained_by_two_processes_evaluated_and_left_alone_afterwards(tmp_path: Path, small: Small) -> None:
    directory = tmp_path / "here"
    words = small(tmp_path, "logger=csv", "trainer=ddp", "trainer.accelerator=cpu", f"paths.run={directory}")
    out, _ = train(*words, "evaluate=true")
    assert out.index("finished after 6 steps") < out.index("examples measured") < out.index("manual6")
    record = read_record(directory)
    assert (record.state, len(record.sessions), len(record.evaluations)) == ("finished", 1, 1)
    assert own_evaluation(record) is not None
    assert record.evaluations[0]["world_size"] == 2
    assert record.deviations == []
    _, err = train(*words, "evaluate=true")
    assert f"{directory} is evaluated" in err
    assert read_record(directory) == record


def test_the_tasks_of_a_job_step_evaluate_once(tmp_path: Path, small: Small) -> None:
    directory = tmp_path / "here"
    words = small(tmp_path, "logger=csv", "trainer=slurm", "trainer.accelerator=cpu", f"paths.run={directory}")
    step = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2"}
    tasks = [start(*words, "evaluate=true", **step, SLURM_PROCID=str(r), SLURM_LOCALID=str(r)) for r in (0, 1)]
    said = [t.communicate(timeout=300) for t in tasks]
    assert [t.returncode for t in tasks] == [0, 0], said
    (result,) = read_record(directory).evaluations
    assert result["world_size"] == 1
    assert "examples measured" in said[0][0]
    assert "examples measured" not in said[1][0]


def test_a_finished_run_is_evaluated_without_another_session(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from reprise.cli.main import main

    before = read_record(run)
    left = run / "evaluations" / "e1"  # by an evaluation that was killed
    (left / "samples").mkdir(parents=True)
    assert main(["train", f"resume={run}", "evaluate=true"]) == 0
    assert "examples measured" in capfd.readouterr().out
    record = read_record(run)
    assert [e["folder"] for e in record.evaluations] == ["evaluations/e2"]
    assert (record.sessions, record.config) == (before.sessions, before.config)
    # the same when it was killed between its result and the record
    record.evaluations = []
    (run / "run.json").write_text(json.dumps({**json.loads((run / "run.json").read_text()), "evaluations": []}))
    assert main(["train", f"resume={run}", "evaluate=true"]) == 0
    assert [e["folder"] for e in read_record(run).evaluations] == ["evaluations/e2"]


def test_a_pruned_run_is_not_evaluated(run: Path, small: Small) -> None:
    from reprise.cli.main import main

    record = read_record(run)
    record.state = "pruned"
    record.write(run)
    assert main(["train", *small(run.parent), f"paths.run={run}", "evaluate=true"]) == 0
    assert read_record(run).evaluations == []


def test_a_failed_evaluation_fails_the_command_with_what_it_said(run: Path) -> None:
    (run / "checkpoints" / "index.json").write_text("[]")
    _, err = train(f"resume={run}", "evaluate=true", code=1)
    assert err.count("error: ") == 1
    assert f"error: {run} has no usable checkpoint" in err


def test_an_evaluation_that_was_killed_says_so(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import reprise.launch.evaluation as evaluation

    def popen(command: list[str], **settings: object) -> object:
        return real([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], **settings)

    real = subprocess.Popen
    monkeypatch.setattr(evaluation.subprocess, "Popen", popen)
    with pytest.raises(RunError, match=r"was killed by SIGKILL\. Its training is finished"):
        evaluation.evaluate_after(run)


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGKILL],
)
def test_who_ends_the_command_ends_the_evaluation(tmp_path: Path, small: Small, number: signal.Signals) -> None:
    directory = tmp_path / "here"
    long = ["trainer.max_steps=1", "trainer.val_check_interval=1", "model.evaluation_schedules=[linear1000]"]
    process = start(*small(tmp_path, "logger=csv", *long, f"paths.run={directory}"), "evaluate=true")
    wait_for(lambda: list(directory.glob("evaluations/e1/config.yaml")))
    time.sleep(1.0)
    process.send_signal(number)  # to it alone, as a scheduler does
    _, err = process.communicate(timeout=60)
    code = {signal.SIGTERM: 75, signal.SIGINT: 130, signal.SIGKILL: -signal.SIGKILL}[number]
    assert process.returncode == code
    if number == signal.SIGTERM:
        assert "was stopped by SIGTERM. The same command again makes it" in err
    wait_for(lambda: not evaluating(directory), 10.0)
    assert not list(directory.glob("evaluations/*/result.json"))
    record = read_record(directory)
    assert (record.state, record.evaluations) == ("finished", [])
