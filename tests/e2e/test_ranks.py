"""Several processes of one run: they agree, they end together, and they compute what one computes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import ROOT

from reprise.cli.main import main
from reprise.tracking import directory as directories
from reprise.tracking.metrics_log import read_metrics
from reprise.tracking.record import read_record
from reprise.training import checkpoints

Small = Callable[..., list[str]]
DDP = ["trainer=ddp", "trainer.accelerator=cpu", "logger=csv"]
FSDP = ["trainer=fsdp", "trainer.accelerator=cpu", "logger=csv"]


def only_run(outputs: Path) -> Path:
    (found,) = outputs.rglob("run.json")
    return found.parent


def losses(run: Path) -> dict[int, float]:
    return {step: value for step, name, value in read_metrics(run) if name == "train/loss"}


def weights(run: Path) -> dict[str, torch.Tensor]:
    return dict(checkpoints.load(checkpoints.find(run)[0])["state_dict"])


# they agree


@pytest.mark.parametrize(
    ("group", "key", "value", "message"),
    [
        ("model", "clamp_x_0", 1.0, "rank 1 differs from rank 0 in model.clamp_x_0 (1.0, not null)"),
        ("trainer", "devices", 3, "rank 1 reads 3 cpu processes (strategy ddp)"),
        ("model", "unknown", 1, "unknown"),
    ],
    ids=["another value", "another world", "a bad config"],
)
def test_a_rank_that_reads_another_config_ends_the_run_on_all_of_them(
    tmp_path: Path,
    small: Small,
    group: str,
    key: str,
    value: Any,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write = directories.write_config
    monkeypatch.setattr(
        directories, "write_config", lambda path, values: write(path, {**values, group: {**values[group], key: value}})
    )
    start = time.monotonic()
    assert main(["train", *small(tmp_path, *DDP)]) == 1
    assert time.monotonic() - start < 60, "a disagreement must not wait for a timeout"
    run = only_run(tmp_path)
    record = read_record(run)
    assert (record.state, record.iteration, record.checkpoints) == ("failed", 0, [])
    log = (run / "logs" / "rank1.log").read_text(encoding="utf-8")
    for text in (capsys.readouterr().err, str(record.error), log):
        assert message in text
    assert "Traceback" not in log


# they end together


def _start(outputs: Path, small: Small) -> tuple[subprocess.Popen[bytes], Path, int]:
    """A run of two processes in a session of its own, well on its way; also the process id of rank 1."""
    words = small(outputs, *DDP, "trainer.max_steps=100000", "trainer.val_check_interval=100000")
    with (outputs / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "train.py", *words], cwd=ROOT, stdout=out, stderr=out, start_new_session=True
        )
    deadline = time.monotonic() + 90
    while not (found := list(outputs.rglob("metrics.csv"))) or len(read_metrics(found[0].parent)) < 20:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    run = found[0].parent
    listed = subprocess.run(["pgrep", "-f", f"reprise.training.worker {run}"], capture_output=True, text=True)
    return process, run, int(listed.stdout.split()[0])


def _wait_until_gone(session: int) -> None:
    """Wait for every process of a session, loaders and loggers too; a minute is what a death may take."""
    deadline = time.monotonic() + 60
    while left := subprocess.run(["pgrep", "-s", str(session), "-a"], capture_output=True, text=True).stdout:
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.1)


def test_a_killed_worker_ends_the_run_and_is_named(tmp_path: Path, small: Small) -> None:
    process, run, worker = _start(tmp_path, small)
    os.kill(worker, signal.SIGKILL)
    assert process.wait(timeout=60) == 1
    _wait_until_gone(process.pid)
    record = read_record(run)
    assert (record.state, record.sessions[-1]["state"]) == ("failed", "failed")
    assert str(record.error).startswith("rank 1 was killed by SIGKILL")
    assert "error: rank 1 was killed by SIGKILL" in (tmp_path / "out").read_text(encoding="utf-8")


def test_a_killed_rank_0_is_noted_by_the_worker_and_the_run_can_go_on(tmp_path: Path, small: Small) -> None:
    process, run, _ = _start(tmp_path, small)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _wait_until_gone(process.pid)
    record = read_record(run)
    assert (record.state, record.exit_code, record.sessions[-1]["state"]) == ("failed", 1, "failed")
    assert str(record.error).startswith(f"rank 0 was killed: process {process.pid} on ")
    assert "Noted by rank 1" in str(record.error)
    last = checkpoints.find(run)[1].step
    assert main(["train", f"resume={run}", f"trainer.max_steps={last + 2}"]) == 0
    record = read_record(run)
    assert (record.state, record.iteration, record.error) == ("finished", last + 2, None)


@pytest.mark.slow
def test_a_resume_right_after_the_kill_is_the_only_one_that_writes(tmp_path: Path, small: Small) -> None:
    process, run, worker = _start(tmp_path, small)
    last = checkpoints.find(run)[1].step
    os.kill(process.pid, signal.SIGKILL)
    again = subprocess.Popen(
        [sys.executable, "train.py", f"resume={run}", f"trainer.max_steps={last + 40}"],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    process.wait()
    _wait_until_gone(process.pid)
    assert not Path(f"/proc/{worker}").exists()
    assert again.wait(timeout=120) == 0
    record = read_record(run)
    assert (record.state, record.error, len(record.sessions)) == ("finished", None, 2)
    steps = list(losses(run))
    assert steps == list(range(1, record.iteration + 1)), "rows of two sessions are mixed"


# they compute what one computes


def _evaluations(run: Path, clips: int, counts: tuple[int, ...]) -> list[dict[str, Any]]:
    split = ["data.val_clips=1", f"data.test_clips={clips}", f"data.limit_test={clips}"]
    for count in counts:
        several = ["trainer.strategy=ddp"] if count > 1 else []
        assert (
            main(["evaluate", str(run), *split, "trainer.accelerator=cpu", f"trainer.devices={count}", *several]) == 0
        )
    found = read_record(run).evaluations[-len(counts) :]
    assert [e["world_size"] for e in found] == list(counts)
    assert {e["examples"] for e in found} == {clips}
    return found


def _compare_evaluations(run: Path, clips: int, counts: tuple[int, ...]) -> None:
    one, *others = _evaluations(run, clips, counts)
    for other in others:
        assert other["metrics"].keys() == one["metrics"].keys()
        for name, entry in one["metrics"].items():
            if not name.endswith("/rtf"):  # a speed
                assert other["metrics"][name]["value"] == pytest.approx(entry["value"], rel=1e-6), name


@pytest.fixture
def trained(finished_run: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(finished_run, tmp_path / "run", symlinks=True))


def test_two_processes_evaluate_what_one_does(trained: Path) -> None:
    """Five clips in batches of two: one process has a batch more than the other."""
    _compare_evaluations(trained, 5, (1, 2))


@pytest.mark.slow
@pytest.mark.parametrize("clips", [3, 4, 5])
def test_one_two_and_three_processes_evaluate_the_same(trained: Path, clips: int) -> None:
    _compare_evaluations(trained, clips, (1, 2, 3))


def test_two_processes_train_what_one_does_with_two_steps_of_accumulation(tmp_path: Path, small: Small) -> None:
    assert main(["train", *small(tmp_path / "one", "logger=csv", "data.max_device_batch=2")]) == 0
    assert main(["train", *small(tmp_path / "two", *DDP)]) == 0
    one, two = only_run(tmp_path / "one"), only_run(tmp_path / "two")
    a, b = (read_record(run).environment for run in (one, two))
    assert (a["world_size"], a["accumulate"], b["world_size"], b["accumulate"]) == (1, 2, 2, 1)
    assert losses(two) == pytest.approx(losses(one), rel=1e-5)
    for name, value in weights(one).items():
        assert torch.allclose(weights(two)[name], value, rtol=1e-4, atol=1e-6), name


# a norm that is clipped at every step, an optimiser that shows it, a validation with a batch more for one process
SHARDED = [
    "model.optimizer._target_=torch.optim.SGD",
    "+model.optimizer.momentum=0.9",
    "model.optimizer.lr=0.1",
    "trainer.gradient_clip_val=0.01",
    "trainer.val_check_interval=2",
    "trainer.max_steps=4",
    "data.val_clips=5",
    "data.limit_val=5",
    "data.test_clips=1",
    "data.limit_test=1",
    "data.eval_batch_size=2",
    "callbacks=ema",
    "callbacks.checkpoint.every_n_steps=2",
]


def test_sharded_training_computes_what_one_process_does(tmp_path: Path, small: Small) -> None:
    assert main(["train", *small(tmp_path / "one", "logger=csv", *SHARDED)]) == 0
    assert main(["train", *small(tmp_path / "two", *FSDP, *SHARDED)]) == 0
    one, two = only_run(tmp_path / "one"), only_run(tmp_path / "two")
    assert read_record(two).environment["strategy"] == "fsdp"
    ours, theirs = ({(s, n): v for s, n, v in read_metrics(r) if not n.startswith("perf/")} for r in (two, one))
    assert ours == pytest.approx(theirs, rel=1e-5)
    a, b = (checkpoints.load(checkpoints.find(run)[0]) for run in (one, two))
    assert a.keys() == b.keys()
    pairs = [(a["state_dict"], b["state_dict"]), *_optimizer_states(a, b), (_average(a), _average(b))]
    for left, right in pairs:
        assert list(left) == list(right)
        for name, value in left.items():
            assert torch.allclose(right[name], value, rtol=1e-4, atol=1e-7), name


def _optimizer_states(a: dict[str, Any], b: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    left, right = a["optimizer_states"][0], b["optimizer_states"][0]
    assert left["param_groups"] == right["param_groups"]
    assert left["state"].keys() == right["state"].keys() != set()
    return [(left["state"][i], right["state"][i]) for i in left["state"]]


def _average(checkpoint: dict[str, Any]) -> dict[str, Any]:
    from reprise.training.callbacks.ema import averaged_weights

    found = averaged_weights(checkpoint)
    assert found is not None
    return found


def test_an_error_in_a_sharded_validation_is_told_as_it_is(
    tmp_path: Path, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights are whole at that moment, and the average is in their place: both have to be undone."""
    from reprise.models.wavegrad.network import UBlock

    plain = UBlock.forward

    def breaking(self: UBlock, u: torch.Tensor, film: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        if not self.training:
            raise ArithmeticError("broken on purpose")
        return plain(self, u, film)

    monkeypatch.setattr(UBlock, "forward", breaking)
    with pytest.raises(ArithmeticError, match="broken on purpose"):
        main(["train", *small(tmp_path, *FSDP, "trainer.devices=1", "callbacks=ema")])
    assert read_record(only_run(tmp_path)).error == "ArithmeticError: broken on purpose"


def test_what_sharding_cannot_do_is_refused_before_there_is_a_run(
    tmp_path: Path, small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *small(tmp_path, *FSDP, "compile=true")]) == 2
    assert "compile=true does not go together with trainer.strategy=fsdp" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_sharded_run_is_resumed_verified_and_evaluated_bit_for_bit(tmp_path: Path, small: Small) -> None:
    more = [*FSDP, "callbacks=ema", "callbacks.checkpoint.every_n_steps=2"]
    assert main(["train", *small(tmp_path / "whole", *more)]) == 0
    assert main(["train", *small(tmp_path / "half", *more, "trainer.max_steps=4")]) == 0
    whole, half = only_run(tmp_path / "whole"), only_run(tmp_path / "half")
    assert main(["train", f"resume={half}", "trainer.max_steps=6"]) == 0
    a, b = (checkpoints.load(checkpoints.find(run, "last")[0]) for run in (whole, half))
    assert all(torch.equal(b["state_dict"][name], value) for name, value in a["state_dict"].items())
    assert all(torch.equal(_average(b)[name], value) for name, value in _average(a).items())
    for left, right in _optimizer_states(a, b):
        assert all(torch.equal(right[name], value) for name, value in left.items())
    assert main(["verify", str(whole)]) == 0
    assert main(["evaluate", str(whole)]) == 0
    assert main(["evaluate", str(whole), "trainer.strategy=auto", "trainer.devices=1"]) == 0
    two, one = read_record(whole).evaluations
    for name, entry in one["metrics"].items():
        if not name.endswith("/rtf"):
            assert two["metrics"][name]["value"] == pytest.approx(entry["value"], rel=1e-6), name


# threads


def test_a_resume_computes_with_the_threads_of_its_record(
    tmp_path: Path, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    less = ["logger=csv", "data.limit_val=1", "trainer.max_steps=1"]
    assert main(["train", *small(tmp_path, *less)]) == 0
    run = only_run(tmp_path)
    assert read_record(run).environment["threads"] == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert main(["train", f"resume={run}", "trainer.max_steps=2"]) == 0
    assert read_record(run).environment["threads"] == torch.get_num_threads() == 2
    assert main(["train", *small(tmp_path / "other", *less)]) == 0
    assert torch.get_num_threads() == 1
