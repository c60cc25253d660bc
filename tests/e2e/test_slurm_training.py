"""Real trainings on a real SLURM: preempted, at their time limit, on two nodes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.conftest import ROOT
from tests.slurm import Slurm, slurm, slurm_cluster, wait_until

from reprise.tracking.metrics_log import read_metrics
from reprise.tracking.record import read_record
from reprise.training import checkpoints

__all__ = ["slurm", "slurm_cluster"]
pytestmark = [pytest.mark.slurm, pytest.mark.slow]
LONG = ["trainer.max_steps=150", "trainer.val_check_interval=50", "callbacks.checkpoint.every_n_steps=50"]


def train(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "train.py", *words], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert not check or done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


def only_run(outputs: Path) -> Path:
    (directory,) = outputs.glob("runs/wavegrad/*")
    return directory


def same_result(one: Path, other: Path) -> bool:
    """Whether two runs ended with equal weights, optimiser state and metrics."""
    first, second = (torch.load(checkpoints.find(d)[0], weights_only=True) for d in (one, other))
    for part in ("state_dict", "optimizer_states"):
        left, right = _flat(first[part]), _flat(second[part])
        if left.keys() != right.keys() or not all(torch.equal(left[k], right[k]) for k in left):
            return False
    metrics = [
        {k: v["value"] for k, v in read_record(d).metrics.items() if "/" in k and k[:4] != "perf"} for d in (one, other)
    ]
    return metrics[0] == metrics[1]


def _flat(node: object, prefix: str = "") -> dict[str, torch.Tensor]:
    if isinstance(node, torch.Tensor):
        return {prefix: node}
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return {k: v for name, inner in items for k, v in _flat(inner, f"{prefix}.{name}").items()}


@pytest.mark.parametrize("how", ["requeue", "time limit"])
def test_a_job_that_is_put_back_ends_as_if_it_had_not_been(
    slurm: Slurm, tmp_path: Path, small: Callable[..., list[str]], how: str
) -> None:
    words = ["trainer=ddp", "trainer.accelerator=cpu", "data.num_workers=1", *LONG]
    whole = tmp_path / "whole"
    train(*small(tmp_path, *words, f"paths.run={whole}"))
    outputs = tmp_path / "slurm"
    command = [sys.executable, "train.py", "-m", *small(outputs, *words), "hydra/launcher=slurm"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        wait_until(lambda: list(outputs.rglob("metrics.csv")), 120, "the first step")
        directory = only_run(outputs)
        wait_until(lambda: len(read_metrics(directory)) > 20, 120, "the twentieth step")
        (job,) = slurm.queue()
        slurm.ask(*(["scontrol", "requeue", job] if how == "requeue" else ["scancel", "--signal=USR2", job]))
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    record = read_record(directory)
    first, second = record.sessions
    assert (first["state"], second["state"]) == ("interrupted", "finished")
    assert 0 < first["to_step"] == second["from_step"] < 150
    assert same_result(whole, directory)
    rows = [[row for row in read_metrics(d) if not row[1].startswith("perf/")] for d in (whole, directory)]
    assert rows[0] == rows[1]


def test_two_nodes_train_what_two_processes_train(
    slurm: Slurm, tmp_path: Path, small: Callable[..., list[str]]
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    train(*small(here, "trainer=ddp", "trainer.accelerator=cpu", "logger=csv"))
    train("-m", *small(there, "trainer=slurm", "trainer.num_nodes=2", "logger=csv"), "hydra/launcher=slurm")
    directory = only_run(there)
    record = read_record(directory)
    assert record.environment["world_size"] == 2
    assert record.state == "finished"
    assert (directory / "logs" / "rank1.log").is_file()
    assert same_result(only_run(here), directory)
    (sweep,) = there.glob("sweeps/*/sweep.json")
    (point,) = json.loads(sweep.read_text())["points"]
    assert "NumNodes=2" in slurm.ask("scontrol", "show", "job", point["placement"]["job"])
    # elsewhere it is evaluated and repeated without SLURM
    for verb in ("evaluate", "verify"):
        done = subprocess.run(
            [sys.executable, "-m", "reprise.cli.main", verb, str(directory)], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_a_rank_that_is_killed_ends_the_point(slurm: Slurm, tmp_path: Path, small: Callable[..., list[str]]) -> None:
    words = [*small(tmp_path, "trainer=slurm", "trainer.num_nodes=2", "logger=csv"), "trainer.max_steps=100000"]
    words += ["trainer.val_check_interval=100000", "callbacks.checkpoint.every_n_steps=100000"]
    command = [sys.executable, "train.py", "-m", *words, "hydra/launcher=slurm"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        wait_until(lambda: list(tmp_path.rglob("metrics.csv")), 120, "the first step")
        pids = subprocess.run(
            ["pgrep", "-f", f"train.py .*paths.run={only_run(tmp_path)}"], capture_output=True, text=True
        )
        ranks = {_variable(int(pid), "SLURM_PROCID"): int(pid) for pid in pids.stdout.split()}
        os.kill(ranks["1"], signal.SIGKILL)
        out, _ = process.communicate(timeout=180)
    assert process.returncode == 1
    assert "1 failed of 1 points" in out
    assert read_record(only_run(tmp_path)).state == "failed"
    assert not slurm.queue()


def _variable(pid: int, name: str) -> str:
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(e.partition("=")[::2] for e in entries if e).get(name, "")


def test_a_script_of_ones_own_trains_and_continues(
    slurm: Slurm, tmp_path: Path, small: Callable[..., list[str]]
) -> None:
    import shlex

    words = small(tmp_path, "trainer=slurm", "logger=csv", f"paths.run={tmp_path / 'run'}", *LONG)
    script = tmp_path / "job.sh"
    script.write_text(
        "#!/bin/bash\n#SBATCH --nodes=2 --ntasks-per-node=1 --requeue --open-mode=append\n"
        f"#SBATCH --output={tmp_path / 'job.log'}\n"
        f"srun --kill-on-bad-exit=1 {shlex.join([sys.executable, 'train.py', *words])}\n"
    )
    job = subprocess.run(["sbatch", "--parsable", script], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    wait_until(lambda: (tmp_path / "run" / "metrics.csv").is_file(), 120, "the first step")
    wait_until(lambda: len(read_metrics(tmp_path / "run")) > 20, 120, "the twentieth step")
    slurm.ask("scontrol", "requeue", job.strip())
    wait_until(lambda: not slurm.queue(), 180, "the job's end")
    time.sleep(0.5)
    record = read_record(tmp_path / "run")
    assert [s["state"] for s in record.sessions] == ["interrupted", "finished"], (tmp_path / "job.log").read_text()
    assert record.environment["world_size"] == 2
