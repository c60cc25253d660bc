"""A SLURM of its own for tests: two virtual nodes on this machine, on free ports, in a temporary folder."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol")


class Slurm:
    """A running SLURM."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"

    def ask(self, *command: str) -> str:
        """Run one of SLURM's commands and return what it prints."""
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def queue(self) -> dict[str, str]:
        """Jobs that have not ended: id -> state."""
        lines = self.ask("squeue", "--noheader", "--array", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def submitted(self) -> int:
        """How many jobs were ever submitted; an array is one."""
        found = [
            int(line.split("=")[1]) for line in self.ask("scontrol", "show", "job").split() if line[:6] == "JobId="
        ]
        arrays = [line for line in self.ask("scontrol", "show", "job").split() if line.startswith("ArrayJobId=")]
        return len(found) - len(arrays) + len(set(arrays))


def wait_until(condition: Callable[[], object], seconds: float = 60.0, what: str = "it") -> None:
    """Wait for a condition, and fail when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:.0f} s"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[Slurm]:
    """Start SLURM once for all tests of this process."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    if missing := [tool for tool in _TOOLS if shutil.which(tool, path=path) is None]:
        pytest.skip(f"SLURM is not installed ({', '.join(missing)} missing): apt-get install slurm-wlm munge")
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'reprise[slurm]'")
    folder = Path(tempfile.mkdtemp(prefix="reprise-slurm-"))  # a short path: it holds a socket
    before = os.environ.get("SLURM_CONF")
    done = None
    for _ in range(3):  # somebody else may take a port between our look and the start
        environment = {**os.environ, "SLURM_DEV_PORT": str(_free_ports(3)), "SLURM_DEV_CPUS": "8"}
        done = subprocess.run(
            [ROOT / "scripts" / "slurm_up.sh", folder], env=environment, capture_output=True, text=True, timeout=120
        )
        if done.returncode == 0:
            break
    assert done is not None
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"SLURM does not start here: {done.stderr.strip().splitlines()[-1:]}")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        yield Slurm(folder)
    finally:
        subprocess.run([ROOT / "scripts" / "slurm_down.sh", folder], check=False, timeout=120)
        os.environ.pop("SLURM_CONF")
        if before is not None:
            os.environ["SLURM_CONF"] = before
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def slurm(slurm_cluster: Slurm) -> Iterator[Slurm]:
    """The running SLURM; jobs that a test leaves are cancelled."""
    yield slurm_cluster
    if jobs := slurm_cluster.queue():
        slurm_cluster.ask("scancel", *jobs)
        wait_until(lambda: not slurm_cluster.queue(), what="the end of cancelled jobs")


def _free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    while True:
        first = random.randrange(20000, 32000)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("", port))
        except OSError:
            continue
        return first
