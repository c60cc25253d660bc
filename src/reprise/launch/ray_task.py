"""What a Ray task does: run one point as a process, and send back what it writes where folders are not shared."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reprise.launch.parcel import pack, unpack
from reprise.launch.parent import PARENT
from reprise.launch.point import quoted

_POLL_SECONDS = 0.2
_BELL_SECONDS = 1.0


@dataclass
class Job:
    """A point on its way to a worker.

    Attributes:
        words: of train.py, without the run directory.
        directory: of the run, on the machine that sent it.
        folder: where the sweep was started; the point runs there, if the worker has it.
        environment: variables for the process.
        threads: CPU threads of each process.
        token: a file in the run directory, by which a worker knows that it sees it.
        storage: shared, copy or auto.
        sync_seconds: between two looks for something new to send back.
        before: what an earlier start left, as a reference to a parcel.
    """

    words: list[str]
    directory: str
    folder: str
    environment: dict[str, str] = field(repr=False)
    threads: int
    token: str
    storage: str
    sync_seconds: float
    before: Any


def run_point(job: Job, bell: Any) -> Iterator[dict[str, Any]]:
    """Run a point.

    Yields:
        messages {node, code, parcel}: the first at the start, the last with the exit code.
    """
    import ray

    shared = job.storage == "shared" or (job.storage == "auto" and Path(job.token).is_file())
    home = Path(job.directory) if shared else Path(tempfile.mkdtemp(prefix="reprise-run-"))
    node = socket.gethostname()
    if not shared and job.before is not None:
        unpack(ray.get(job.before) if isinstance(job.before, ray.ObjectRef) else job.before, home)
    yield {"node": node, "code": None, "parcel": None}
    sent: dict[str, tuple[int, int]] = {}
    if not shared:
        _, sent = pack(home, {})
    process = start(job, home)
    looked = rang = time.monotonic()
    asked = False
    try:
        while process.poll() is None:
            time.sleep(_POLL_SECONDS)
            now = time.monotonic()
            if not asked and now - rang > _BELL_SECONDS:
                rang = now
                if ray.get(bell.is_rung.remote()):
                    asked = True
                    process.send_signal(signal.SIGTERM)
            if not shared and now - looked > job.sync_seconds:
                looked = now
                parcel, sent = pack(home, sent)
                if parcel is not None:
                    yield {"node": node, "code": None, "parcel": parcel}
        parcel = pack(home, sent)[0] if not shared else None
        yield {"node": node, "code": process.returncode, "parcel": parcel}
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        if not shared:
            shutil.rmtree(home, ignore_errors=True)


def start(job: Job, home: Path) -> subprocess.Popen[bytes]:
    """Start the point's process with the code that came with the task, where some did."""
    shipped = Path.cwd()
    has_code = (shipped / "train.py").is_file() and (shipped / "src").is_dir()
    environment = {**os.environ, **job.environment, PARENT: str(os.getpid()), "OMP_NUM_THREADS": str(job.threads)}
    if has_code:
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(shipped / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
    program = [str(shipped / "train.py")] if has_code else ["-m", "reprise.cli.main", "train"]
    (home / "logs").mkdir(parents=True, exist_ok=True)
    with (home / "logs" / "point.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *program, *job.words, f"paths.run={quoted(str(home))}"],
            env=environment,
            cwd=job.folder if Path(job.folder).is_dir() else shipped,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
