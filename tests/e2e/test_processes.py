"""Two processes: signals reach both, and a wheel works outside the checkout."""

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
from tests.conftest import ROOT

from reprise.tracking.metrics_log import read_metrics
from reprise.tracking.record import read_record
from reprise.training import checkpoints


def test_a_signal_to_one_process_stops_both_with_a_checkpoint(tmp_path: Path, small: Callable[..., list[str]]) -> None:
    words = small(tmp_path, "trainer=ddp", "trainer.accelerator=cpu", "trainer.max_steps=100000", "logger=csv")
    words += ["trainer.val_check_interval=100000", "callbacks.checkpoint.every_n_steps=100000"]
    process = subprocess.Popen([sys.executable, "train.py", *words], cwd=ROOT, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 90
    while not (found := list(tmp_path.rglob("metrics.csv"))) or not read_metrics(found[0].parent):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    directory = found[0].parent
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 75
    record = read_record(directory)
    assert record.state == "interrupted"
    assert checkpoints.find(directory)[1].step == record.iteration > 0
    assert process.stderr is not None
    process.stderr.close()
    workers = subprocess.run(["pgrep", "-f", f"reprise.training.worker {directory}"], capture_output=True)
    assert not workers.stdout, "a worker was left behind"


def test_a_run_outlives_the_process_of_wandb(tmp_path: Path, small: Callable[..., list[str]]) -> None:
    words = small(tmp_path, "trainer=cpu", "trainer.max_steps=60", "trainer.val_check_interval=30")
    process = subprocess.Popen([sys.executable, "train.py", *words], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while not (found := list(tmp_path.rglob("metrics.csv"))) or not read_metrics(found[0].parent):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    pids = ""
    while not pids and process.poll() is None and time.monotonic() < deadline:
        search = ["pgrep", "-P", str(process.pid), "-f", "wandb-core"]
        pids = subprocess.run(search, capture_output=True, text=True).stdout
    for pid in pids.split():
        os.kill(int(pid), signal.SIGTERM)
    _, said = process.communicate(timeout=90)
    assert pids.split()
    assert process.returncode == 0, said
    assert "W&B's process is gone" in said
    assert read_record(found[0].parent).state == "finished"


@pytest.mark.slow
def test_a_wheel_works_outside_the_checkout(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "-o", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(site), "REPRISE_CACHE": str(tmp_path / "cache")}
    code = (
        "import json, reprise, reprise.config.paths as p; from reprise.cli.main import main; "
        "code = main(['check', '--all']); "
        "sweep = main(['train', '-m', 'model=wavegrad', 'seed=0,x']); "  # its launchers and sweepers are found
        "print(json.dumps([reprise.__file__, str(p.conf_dir()), code, sweep]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    file, conf, exit_code, sweep = json.loads(done.stdout.splitlines()[-1])
    assert file.startswith(str(site))
    assert conf.startswith(str(site))
    assert exit_code == 0
    assert sweep == 2
    assert "seed (from command line) is 'x'" in done.stderr
