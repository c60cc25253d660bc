"""What of the SLURM launcher needs no SLURM."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reprise.cli.main import main
from reprise.config.errors import ConfigError
from reprise.launch import slurm_queue
from reprise.launch.slurm_queue import JobState
from reprise.launch.slurm_settings import Resources, Settings, minutes
from reprise.training.slurm import Step, fill_in, on_one_machine, tasks_per_node

SLURM = {"accelerator": "auto", "devices": "auto", "num_nodes": -1, "strategy": "auto", "plugins": ["slurm"]}
DDP = {"accelerator": "auto", "devices": "auto", "num_nodes": 1, "strategy": "ddp"}


def test_squeue_lines_become_states() -> None:
    text = (
        "12_0|RUNNING|None\n12_[1-2,5%3]|PENDING|Resources\n7|TIMEOUT|TimeLimit\n"
        "8|PENDING|(launch failed requeued held)\n"
    )
    found = slurm_queue.parse_squeue(text)
    assert found["12_0"] == JobState("RUNNING")
    assert [found[j].reason for j in ("12_1", "12_2", "12_5")] == ["Resources"] * 3
    assert "12_3" not in found
    assert found["7"].ended and found["7"].describe() == "TIMEOUT (TimeLimit)"
    assert not found["8"].ended


@pytest.mark.parametrize("state", ["COMPLETING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED", "CONFIGURING", "PENDING"])
def test_a_job_that_may_come_back_has_not_ended(state: str) -> None:
    assert not JobState(state).ended


def test_scontrol_tells_how_a_job_ended() -> None:
    line = "JobId=9 ArrayJobId=8 ArrayTaskId=1 JobName=x JobState=OUT_OF_MEMORY Reason=OutOfMemory ExitCode=0:125 X=y"
    found = slurm_queue.parse_scontrol(line)
    assert found == JobState("OUT_OF_MEMORY", "OutOfMemory", 0, 125)
    assert found.describe() == "OUT_OF_MEMORY (OutOfMemory), exit code 0, signal 125"
    assert slurm_queue.parse_scontrol("slurm_load_jobs error") is None


def test_scontrol_tells_of_a_preemption_with_time_left() -> None:
    line = "JobId=9 JobState=RUNNING Reason=None ExitCode=0:0 PreemptEligibleTime=2026-11-21T09:34:40 PreemptTime="
    told = slurm_queue.parse_scontrol(line + "2026-11-21T09:40:00")
    assert told is not None and told.preempted
    assert slurm_queue.parse_scontrol(line + "None") == JobState("RUNNING", "", 0)


def test_a_squeue_that_knows_no_job_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_queue, "_ask", lambda c: (1, "", "slurm_load_jobs error: Invalid job id specified"))
    assert slurm_queue.look(["3"]) == {}
    monkeypatch.setattr(slurm_queue, "_ask", lambda c: (1, "", "Unable to contact slurm controller"))
    with pytest.raises(slurm_queue.Unreachable, match="controller"):
        slurm_queue.look(["3"])


def test_the_accounting_is_read_by_its_main_line(monkeypatch: pytest.MonkeyPatch) -> None:
    out = "4_1|CANCELLED by 0|0:15\n4_1.batch|CANCELLED|0:15\n"
    monkeypatch.setattr(slurm_queue, "_ask", lambda c: (0, out, ""))
    assert slurm_queue.remembered("4_1") == JobState("CANCELLED", "", 0, 15)
    assert slurm_queue.remembered("5") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, None), (90, 90), ("90", 90), ("30:00", 30), ("1:30:00", 90), ("2-12", 3600), ("0-00:00:30", 1)],
)
def test_time_limits_are_minutes(text: Any, expected: int | None) -> None:
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["soon", 0, "1:2:3:4", True, 1.5])
def test_other_time_limits_are_refused(text: Any) -> None:
    with pytest.raises(ConfigError, match="D-HH:MM:SS"):
        minutes(text)


@pytest.mark.parametrize(
    ("settings", "trainer", "expected"),
    [
        ({}, {**DDP, "strategy": "auto", "devices": 1}, Resources(1, 1, None, 1, 1)),
        ({}, DDP, Resources(1, 1, None, 2, 2)),
        ({}, {**DDP, "accelerator": "gpu", "devices": 4}, Resources(1, 1, 4, 4, 4)),
        ({"gpus_per_node": 8, "cpus_per_task": 64}, DDP, Resources(1, 1, 8, 64, 8)),
        ({}, SLURM, Resources(1, 1, None, 1, 1)),
        ({"nodes": 2, "tasks_per_node": 3}, SLURM, Resources(2, 3, None, 1, 1)),
        ({"gpus_per_node": 4, "nodes": 2}, SLURM, Resources(2, 4, 4, 1, 1)),
        ({}, {**SLURM, "accelerator": "gpu", "devices": 4, "num_nodes": 2}, Resources(2, 4, 4, 1, 1)),
    ],
)
def test_a_trainer_says_what_its_job_needs(settings: dict[str, Any], trainer: dict[str, Any], expected: object) -> None:
    assert Settings(**settings).needs(trainer) == expected


@pytest.mark.parametrize(
    ("settings", "trainer", "words"),
    [
        ({"nodes": 2}, {**SLURM, "num_nodes": 3}, "trainer.num_nodes=3, but hydra.launcher.nodes=2"),
        ({"tasks_per_node": 2}, {**SLURM, "devices": 3}, "trainer.devices=3, but hydra.launcher.tasks_per_node=2"),
        ({"nodes": 2}, DDP, "Use trainer=slurm"),
        ({}, {**DDP, "num_nodes": 2}, "needs trainer=slurm"),
        ({"gpus_per_node": 1}, {**DDP, "accelerator": "gpu", "devices": 2}, "hydra.launcher.gpus_per_node=1"),
        ({}, {**DDP, "plugins": ["slrum"]}, "Expected \\[slurm\\]"),
    ],
)
def test_contradictions_are_refused(settings: dict[str, Any], trainer: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Settings(**settings).needs(trainer)


def test_a_setting_of_the_wrong_kind_is_named() -> None:
    with pytest.raises(ConfigError, match=r"hydra.launcher.n_jobs is 0. Expected a whole number of 1 or more"):
        Settings(n_jobs=0)


def test_sbatch_is_told_everything() -> None:
    settings = Settings(
        partition="gpu", time="1-00:00:00", mem_gb=1.5, n_jobs=3, requeue=False, extra={"exclude": "n7"}
    )
    found = settings.parameters(Resources(2, 4, 4, 8, 1), "name")
    assert {k: found[k] for k in ("partition", "time", "mem", "nodes", "ntasks_per_node", "gpus_per_node")} == {
        "partition": "gpu",
        "time": 1440,
        "mem": "1536M",
        "nodes": 2,
        "ntasks_per_node": 4,
        "gpus_per_node": 4,
    }
    assert found["array_parallelism"] == 3
    assert found["additional_parameters"] == {"no-requeue": True, "signal": "USR2@120", "exclude": "n7"}
    assert "--kill-on-bad-exit=1" in found["srun_args"]


def test_tasks_are_counted_as_slurm_writes_them() -> None:
    assert tasks_per_node("2(x3),1") == (2, 2, 2, 1)
    assert tasks_per_node("4") == (4,)


def step(monkeypatch: pytest.MonkeyPatch, tasks: int, nodes: int, per_node: str, rank: int = 0) -> None:
    for key, value in {
        "SLURM_JOB_ID": "5",
        "SLURM_STEP_NUM_TASKS": tasks,
        "SLURM_STEP_NUM_NODES": nodes,
        "SLURM_STEP_TASKS_PER_NODE": per_node,
        "SLURM_PROCID": rank,
    }.items():
        monkeypatch.setenv(key, str(value))


def test_devices_and_nodes_come_from_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    step(monkeypatch, 4, 2, "2(x2)", rank=3)
    found = Step.here()
    assert found is not None and (found.tasks, found.nodes, found.rank) == (4, 2, 3)
    assert {k: fill_in(SLURM)[k] for k in ("devices", "num_nodes")} == {"devices": 2, "num_nodes": 2}


@pytest.mark.parametrize(
    ("per_node", "trainer", "words"),
    [
        ("2(x2)", {**SLURM, "devices": 4}, "trainer.devices=4, but srun started 2 tasks"),
        ("2(x2)", {**SLURM, "num_nodes": 1}, "trainer.num_nodes=1, but the job step has 2 nodes"),
        ("3,1", SLURM, "started 3, 1 tasks"),
        ("2(x2)", DDP, "Use trainer=slurm, where each task is one process"),
    ],
)
def test_a_step_that_does_not_fit_is_refused(
    monkeypatch: pytest.MonkeyPatch, per_node: str, trainer: dict[str, Any], words: str
) -> None:
    step(monkeypatch, 4, 2, per_node)
    with pytest.raises(ConfigError, match=words):
        fill_in(trainer)


def test_outside_of_slurm_it_is_an_error_before_anything_is_written(
    tmp_path: Path, small: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *small(tmp_path, "trainer=slurm", f"paths.run={tmp_path / 'run'}")]) == 2
    assert "within a job step of SLURM only" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rank", [0, 1])
def test_tasks_that_cannot_meet_say_so(
    tmp_path: Path,
    small: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    rank: int,
) -> None:
    step(monkeypatch, 2, 1, "2", rank)
    assert main(["train", *small(tmp_path, "trainer=slurm")]) == 2
    assert "Add paths.run=DIR" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_task_whose_first_one_never_comes_gives_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reprise.training.slurm._START_SECONDS", 0.5)
    step(monkeypatch, 2, 1, "2", 1)
    # what an earlier attempt of the job left is not meant for this one
    (tmp_path / "slurm.json").write_text('{"job": "5", "restart": 7, "step": "0", "task": ["train"]}')
    assert main(["train", "model=wavegrad", f"paths.run={tmp_path}"]) == 1
    assert "task 1 of job 5 waited" in capsys.readouterr().err


def test_a_run_that_began_under_slurm_is_looked_at_elsewhere() -> None:
    found = on_one_machine({**SLURM, "num_nodes": 2}, 4)
    assert fill_in(found) == found
    assert (found["devices"], found["num_nodes"], found["plugins"]) == (4, 1, None)
    assert on_one_machine(DDP, 4) == DDP


def test_without_submitit_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from reprise.launch.slurm import SlurmPlace

    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ConfigError, match=r"pip install 'reprise\[slurm\]'"):
        SlurmPlace()
