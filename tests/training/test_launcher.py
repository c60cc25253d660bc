"""Workers start or say why not, and a death ends everything, also where the main thread hangs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment

from reprise.config.errors import RunError
from reprise.tracking.record import read_record
from reprise.training.launcher import WorkerLauncher


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkerLauncher:
    """A launcher whose workers run the script that a test writes."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return WorkerLauncher(LightningEnvironment(), 3, 1, directory=tmp_path, task=["train", "0"], world="three")


def _script(workers: WorkerLauncher, python: str, text: str) -> None:
    path = workers.directory / "python"
    path.write_text(
        f"#!{python}\nimport json, os, sys, time\nrank = os.environ['LOCAL_RANK']\n{text}\n", encoding="utf-8"
    )
    path.chmod(0o755)


PYTHON = sys.executable
READY = "os.write(int(os.environ['REPRISE_CHECK_IN']), b'1')"


def test_workers_learn_task_world_parent_and_threads(workers: WorkerLauncher) -> None:
    dump = "json.dump([sys.argv[1:], dict(os.environ)], open(sys.argv[3] + '/seen' + rank, 'w'))"
    _script(workers, PYTHON, f"{dump}\n{READY}")
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    try:
        assert workers.launch(lambda: "trained") == "trained"
    finally:
        torch.set_num_threads(before)
    assert workers.join(20.0)
    for rank in ("1", "2"):
        words, environment = json.loads((workers.directory / f"seen{rank}").read_text(encoding="utf-8"))
        assert words == ["-m", "reprise.training.worker", str(workers.directory), "train", "0"]
        assert environment["OMP_NUM_THREADS"] == "5"
        assert environment["REPRISE_RANK0_PID"] == str(os.getpid())
        assert (environment["REPRISE_WORLD"], environment["WORLD_SIZE"], environment["LOCAL_RANK"]) == (
            "three",
            "3",
            rank,
        )


@pytest.mark.parametrize("code", [0, 3])
def test_a_worker_that_cannot_start_ends_the_run_with_its_last_words(workers: WorkerLauncher, code: int) -> None:
    _script(workers, PYTHON, f"if rank == '1': {READY}; time.sleep(600)\nprint('no such module'); sys.exit({code})")
    with pytest.raises(RunError, match=rf"rank 2 ended with code {code}; see .*rank2.log: no such module"):
        workers.launch(lambda: pytest.fail("it must not train"))
    workers.stop()
    assert all(p.poll() is not None for p in workers.procs)


def test_the_one_that_was_killed_is_named_rather_than_those_it_took_down(workers: WorkerLauncher) -> None:
    _script(workers, PYTHON, f"{READY}\nif rank == '1': sys.exit(1)\ntime.sleep(600)")
    workers.launch(lambda: None)
    workers.procs[0].wait(20)
    assert "rank 1 ended with code 1" in str(workers.dead_worker())
    workers.procs[1].kill()
    workers.procs[1].wait(20)
    assert "rank 2 was killed by SIGKILL" in str(workers.dead_worker())
    workers.closing = True


HANG = """
import sys, time
from pathlib import Path
from pytorch_lightning.plugins.environments import LightningEnvironment
import reprise.training.launcher as launcher
launcher._GRACE_SECONDS = 0.5
python, sys.executable = sys.executable, sys.argv[1] + "/python"
workers = launcher.WorkerLauncher(LightningEnvironment(), 3, 1, directory=Path(sys.argv[1]), task=["train"], world="x")
workers.on_death = lambda error: print("noted:", error, flush=True)
def hang():
    print(*(p.pid for p in workers.procs), flush=True)
    workers.procs[0].kill()
    time.sleep(600)
workers.launch(hang)
"""


def test_a_death_ends_a_process_whose_main_thread_hangs(workers: WorkerLauncher) -> None:
    _script(workers, PYTHON, f"{READY}\ntime.sleep(600)")
    done = subprocess.run([PYTHON, "-c", HANG, str(workers.directory)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    pids, noted = done.stdout.splitlines()
    assert noted.startswith("noted: rank 1 was killed by SIGKILL")
    _all_gone([int(p) for p in pids.split()])


def _all_gone(pids: list[int], patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while left := [p for p in pids if _is_alive(p)]:
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


RANK_0 = """
import os, subprocess, sys, time
from pathlib import Path
from filelock import FileLock
from reprise.tracking.record import RunRecord
directory = Path(sys.argv[1])
lock = FileLock(directory / ".lock")
lock.acquire()
record = RunRecord("id", "name", 0, "command", {}, "0" * 64)
record.sessions.append({"pid": os.getpid()})
record.write(directory)
code = (
    "import sys, time; from pathlib import Path; from reprise.training.parent import ParentWatch; "
    "ParentWatch(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), True).start(); print('up', flush=True); "
    "time.sleep(600)"
)
words = [sys.executable, "-c", code, sys.argv[1], str(os.getpid())]
ranks = [subprocess.Popen([*words, str(r)], stdout=subprocess.PIPE) for r in (1, 2)]
for rank in ranks:
    rank.stdout.readline()
print(*(r.pid for r in ranks), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("taken", [False, True])
def test_survivors_of_rank_0_close_its_record_unless_a_resume_has_begun(tmp_path: Path, taken: bool) -> None:
    from filelock import FileLock

    rank_0 = subprocess.Popen([PYTHON, "-c", RANK_0, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert rank_0.stdout is not None
    pids = [int(p) for p in rank_0.stdout.readline().split()]
    assert len(pids) == 2
    os.kill(rank_0.pid, signal.SIGKILL)
    rank_0.wait(20)
    rank_0.stdout.close()
    if taken:
        with FileLock(tmp_path / ".lock").acquire(timeout=1.0):
            record = read_record(tmp_path)
            record.sessions.append({"pid": os.getpid()})
            record.state = "running"
            record.write(tmp_path)
            _all_gone(pids)
        assert read_record(tmp_path).state == "running"
        return
    _all_gone(pids)
    record = read_record(tmp_path)
    assert (record.state, record.exit_code) == ("failed", 1)
    assert str(record.error).startswith(f"rank 0 was killed: process {rank_0.pid} on ")
