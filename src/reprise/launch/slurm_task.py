"""What runs inside a job, once for each of its tasks: train.py as a process, and what its end means to SLURM."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from reprise.config.errors import Interrupted
from reprise.launch import slurm_queue

ENVIRONMENTS = "REPRISE_POINT_ENVIRONMENTS"  # variables of the points of an array, by run directory, as JSON
TIME_IS_UP = signal.SIGUSR2  # what SLURM is to send before the time limit
_END_SECONDS = 120.0  # that SLURM may take to end a job that was requeued


@dataclass(frozen=True)
class PointTask:
    """A point on its way to a job. Called by submitit in every task of the job.

    Attributes:
        command: train.py with all of its words.
        directory: of the run, absolute.
        folder: where the sweep was started; the point runs there too.
        processes: of a task, which share its CPUs.
        max_requeues: how often this job may put itself back into the queue; 0 for never.
    """

    command: tuple[str, ...]
    directory: str
    folder: str
    processes: int
    max_requeues: int

    def __call__(self) -> int:
        """Run the point and return 0.

        Raises:
            SystemExit: with its exit code where that is another. Unlike other exceptions and return values it leaves no
                result behind, by which submitit would take a job that comes back for one that is done.
        """
        rank = int(os.environ.get("SLURM_PROCID", "0"))
        log = Path(self.directory) / "logs" / ("point.log" if rank == 0 else f"rank{rank}.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        signals = _Signals()
        with log.open("ab") as out:
            process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=_leave_time_to_us,
            )
        signals.pass_on_to(process)
        code = process.wait()
        asked_to_end = code == Interrupted.exit_code or (code < 0 and -code in (signal.SIGTERM, signal.SIGUSR1))
        if rank == 0 and asked_to_end and self._requeue(signals):
            raise SystemExit(Interrupted.exit_code)
        if code:
            raise SystemExit(code if code > 0 else 128 - code)
        return 0

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        own = json.loads(environment.pop(ENVIRONMENTS, "{}")).get(self.directory, {})
        cpus = environment.get("SLURM_CPUS_PER_TASK", "")
        if cpus.isdigit() and "OMP_NUM_THREADS" not in environment:
            environment["OMP_NUM_THREADS"] = str(max(1, int(cpus) // self.processes))
        return environment | own

    def _requeue(self, signals: _Signals) -> bool:
        """Put the job back into the queue, if it ends for want of time or room and SLURM does not do so itself."""
        job = job_id()
        state = slurm_queue.detail(job)
        if state is None or state.state != "RUNNING":  # cancelled, or being requeued: SLURM does what is to be done
            return False
        if TIME_IS_UP not in signals.seen and not state.preempted:  # another task died, or somebody stopped this one
            return False
        counter = Path(os.environ["SUBMITIT_FOLDER"]) / f"{job}_requeues"
        before = int(counter.read_text()) if counter.is_file() else 0
        if before >= self.max_requeues:
            print(f"not requeued: {before} of {self.max_requeues} requeues were used", file=sys.stderr, flush=True)
            return False
        counter.write_text(str(before + 1))
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
        if done.returncode:
            print(f"not requeued: {done.stderr.strip()}", file=sys.stderr, flush=True)
            return False
        # a job whose tasks are gone before SLURM has ended it would count as failed
        terms = signals.seen.count(signal.SIGTERM)
        deadline = time.monotonic() + _END_SECONDS
        while signals.seen.count(signal.SIGTERM) == terms and time.monotonic() < deadline:
            time.sleep(0.1)
        return True


class _Signals:
    """Passes SLURM's signals on to the point, as ones that it understands."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGTERM, TIME_IS_UP):
            signal.signal(number, self._note)

    def pass_on_to(self, process: subprocess.Popen[bytes]) -> None:
        """Do so from now on, and with what came before."""
        self._process = process
        for number in list(self.seen):
            self._send(number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.seen.append(number)
        self._send(number)

    def _send(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGUSR1 if number == TIME_IS_UP else signal.SIGTERM)


def job_id() -> str:
    """Of this job, as squeue prints it."""
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        return f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ["SLURM_JOB_ID"]


def _leave_time_to_us() -> None:
    # SLURM sends it to every process of the step, and by default it kills
    signal.signal(TIME_IS_UP, signal.SIG_IGN)
