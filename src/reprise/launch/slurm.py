"""`hydra/launcher=slurm`: points as jobs of a SLURM cluster, which outlive the process that submitted them."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reprise.config.errors import ConfigError, RunError
from reprise.launch import slurm_queue
from reprise.launch.drive import End
from reprise.launch.point import Point, program
from reprise.launch.slurm_queue import JobState, Unreachable
from reprise.launch.slurm_settings import Resources, Settings
from reprise.launch.slurm_task import ENVIRONMENTS, PointTask
from reprise.tracking.files import write_json

_POLL_SECONDS = 2.0
_CONFIRM_SECONDS = 3.0  # an end is believed when it is seen twice: a requeued job may look ended for a moment
_FORGOTTEN_SECONDS = 60.0  # that a job may be missing from the queue before it is given up
_LETTING_GO_SECONDS = 5.0
_CANCEL_SECONDS = 90.0
_AWAY = ("unable to contact", "configuration source", "timed out", "connection refused", "socket")
_LARGEST_ARRAY = 500  # SLURM's own default limit is 1001 tasks


class SlurmPlace:
    """A SLURM cluster.

    Args:
        settings: of conf/hydra/launcher/slurm.yaml.

    Raises:
        ConfigError: submitit or SLURM's commands are not installed, or a setting is wrong.
    """

    name = "slurm"

    def __init__(self, **settings: Any) -> None:
        try:
            from submitit import SlurmExecutor
        except ImportError:
            raise ConfigError("hydra/launcher=slurm needs submitit: pip install 'reprise[slurm]'.") from None
        if SlurmExecutor.affinity() < 0:
            raise ConfigError(
                "hydra/launcher=slurm needs SLURM's commands (sbatch, srun, squeue), which are not on the PATH of this "
                "machine. Start the sweep on a login node of the cluster, or use hydra/launcher=local."
            )
        self._executor: Any = SlurmExecutor
        self.settings = Settings(**settings)
        self._folder = Path("slurm")
        self._sweep = "sweep"
        self._jobs: dict[int, tuple[Point, str]] = {}
        self._cancelled = False
        self._taken: dict[int, Resources] = {}
        self._refused: list[tuple[Point, End]] = []
        self._doubtful: dict[int, float] = {}  # since when a job seems to have ended
        self._inquiry: _Inquiry | None = None
        self._asked = 0.0
        self._gives_up_at: float | None = None

    def prepare(self, directory: Path) -> None:
        """Learn the sweep's folder: submitit's files go to slurm/ in it."""
        self._folder = directory.absolute() / "slurm"
        self._sweep = re.sub(r"[^\w.-]", "-", directory.name)  # jobs are named after it
        self._folder.mkdir(parents=True, exist_ok=True)

    def has_room(self) -> bool:
        """Whether a search may draw one more trial; one at a time unless n_jobs says more."""
        return len(self._jobs) + len(self._taken) < (self.settings.n_jobs or 1)

    def take(self, point: Point) -> bool:
        """Accept a point whose job is there already, one that its array can hold, or one of n_jobs.

        Raises:
            ConfigError: the point's trainer and the launcher contradict each other.
        """
        needs = self.settings.needs(point.trainer)
        limit = self.settings.n_jobs
        # an array keeps to the limit by itself, as long as it is alone
        alone = not self._jobs and all(r == needs for r in self._taken.values())
        new = not point.placement.get("job")
        if limit is not None and new and not alone and len(self._jobs) + len(self._taken) >= limit:
            return False
        self._taken[point.index] = needs
        return True

    def start(self, points: list[Point], group: str | None) -> None:
        """Watch the jobs of an earlier start that are still there, and submit the other points.

        Raises:
            RunError: SLURM does not answer.
        """
        known = self._find(points)
        new: dict[Resources, list[Point]] = {}
        for point in points:
            needs = self._taken.pop(point.index)
            point.placement = {"job": known[point.index], "state": "found again"} if point.index in known else {}
            if point.index in known:
                self._jobs[point.index] = (point, known[point.index])
            else:
                new.setdefault(needs, []).append(point)
        for needs, alike in new.items():
            for first in range(0, len(alike), _LARGEST_ARRAY):
                self._submit(alike[first : first + _LARGEST_ARRAY], needs, group)

    def poll(self) -> list[tuple[Point, End]]:
        """Collect the jobs that have ended. Asks SLURM in the background, and never waits for it."""
        ended, self._refused = self._refused, []
        answer = self._ask()
        for point, job in list(self._jobs.values()) if answer is not None else []:
            assert answer is not None
            state = answer.get(job)
            point.placement["state"] = state.state.lower() if state else "not in the queue"
            if state is not None and not state.ended:
                point.placement["reason"] = state.reason if state.state == "PENDING" else ""
                self._doubtful.pop(point.index, None)
                continue
            since = self._doubtful.setdefault(point.index, time.monotonic())
            if time.monotonic() - since >= (_CONFIRM_SECONDS if state is not None else _FORGOTTEN_SECONDS):
                del self._jobs[point.index], self._doubtful[point.index]
                ended.append((point, self._end(point, job, state)))
        return ended

    def running(self) -> int:
        """Count the jobs, queued ones too; none any more once they are let go of."""
        if self._gives_up_at is not None and time.monotonic() > self._gives_up_at:
            return 0
        return len(self._jobs) + len(self._refused)

    def stop(self) -> str:
        """Let go of the jobs, which go on."""
        self._gives_up_at = time.monotonic() + _LETTING_GO_SECONDS
        arrays = sorted({slurm_queue.array_of(job) for _, job in self._jobs.values()}, key=int)
        return (
            f"letting go of {len(self._jobs)} jobs, which go on. The same command again watches them; scancel "
            f"{' '.join(arrays)} ends them, as does this once more within {_LETTING_GO_SECONDS:.0f} s"
        )

    def kill(self) -> None:
        """Cancel the jobs: their runs write a checkpoint and end."""
        self._cancelled = True
        self._gives_up_at = time.monotonic() + _CANCEL_SECONDS
        try:
            slurm_queue.cancel(job for _, job in self._jobs.values())
        except Unreachable:
            self._gives_up_at = time.monotonic()

    def close(self) -> None:
        """Nothing is held."""

    def _submit(self, points: list[Point], needs: Resources, group: str | None) -> None:
        name = f"{self._sweep}-{uuid.uuid4().hex[:8]}"
        tasks = [
            PointTask(
                command=(*program(), *point.words(group)),
                directory=str(point.directory.absolute()),
                folder=os.getcwd(),
                processes=needs.processes,
                max_requeues=self.settings.max_requeues if self.settings.requeue else 0,
            )
            for point in points
        ]
        # by this list and the job's name a later start finds the jobs, if this process dies before it knows their ids
        write_json(self._folder / f"{name}.json", [str(p.directory) for p in points])
        executor = self._executor(self._folder)
        try:
            executor.update_parameters(**self.settings.parameters(needs, name))
            with _submitting({task.directory: p.environment for task, p in zip(tasks, points, strict=True)}):
                jobs = executor.submit_array(tasks)
        except Exception as error:  # submitit raises what it likes, with sbatch's complaint at the end
            if any(word in str(error).lower() for word in _AWAY):
                raise RunError(
                    f"SLURM does not answer: {str(error).strip().splitlines()[-1]}. The same command later goes on "
                    "from here."
                ) from None
            lines = [line for line in str(error).strip().splitlines() if line.strip()]
            why = f"sbatch refused the job: {lines[-1].strip() if lines else type(error).__name__}"
            self._refused += [(point, End(2, why)) for point in points]
            return
        for point, job in zip(points, jobs, strict=True):
            point.placement = {"job": str(job.job_id), "state": "submitted"}
            self._jobs[point.index] = (point, str(job.job_id))

    def _find(self, points: list[Point]) -> dict[int, str]:
        """Jobs of an earlier start that have not ended, by the index of their points."""
        jobs = {p.index: str(p.placement["job"]) for p in points if p.placement.get("job")}
        lists = {path.stem: path for path in self._folder.glob(f"{self._sweep}-*.json")}
        try:
            states = slurm_queue.look(jobs.values())
            named = slurm_queue.look_for_names(lists) if lists else {}
        except Unreachable as error:
            raise RunError(f"SLURM does not answer: {error}. The same command later goes on from here.") from None
        found = {i: job for i, job in jobs.items() if job in states and not states[job].ended}
        by_directory = {}
        for job, (name, state) in named.items():
            if not state.ended:
                number = job.partition("_")[2] or "0"
                by_directory[json.loads(lists[name].read_text(encoding="utf-8"))[int(number)]] = job
        return {p.index: by_directory[d] for p in points if (d := str(p.directory)) in by_directory} | found

    def _ask(self) -> dict[str, JobState] | None:
        """A new answer about all jobs, when there is one."""
        if self._inquiry is not None:
            if self._inquiry.is_alive():
                return None
            answer, self._inquiry = self._inquiry.answer, None
            return answer
        if self._jobs and time.monotonic() - self._asked >= _POLL_SECONDS:
            self._asked = time.monotonic()
            self._inquiry = _Inquiry([job for _, job in self._jobs.values()])
            self._inquiry.start()
        return None

    def _end(self, point: Point, job: str, state: JobState | None) -> End:
        """What is to be said of a job that has ended."""
        point.placement.pop("reason", None)
        full = slurm_queue.detail(job) or slurm_queue.remembered(job) or state
        if full is None or not full.ended:
            return End(1, f"job {job} is gone from SLURM's queue and has left no finished run")
        if full.state == "COMPLETED":
            return End(0)
        code = full.exit_code or 1
        if full.state != "FAILED" or full.signal:
            return End(code, f"job {job}: {full.describe()}", cancelled=full.state == "CANCELLED" and self._cancelled)
        if code > 128:
            name = signal.Signals(code - 128).name if code - 128 in list(signal.Signals) else f"signal {code - 128}"
            return End(code, f"job {job}: its process was killed by {name}")
        if point.log.is_file() and point.log.stat().st_size:
            return End(code)  # its record or its log says it better
        return End(code, f"job {job}: {full.describe()}: {self._complaint(job)}")

    def _complaint(self, job: str) -> str:
        """The last line of what the job itself said, before train.py could say anything."""
        for path in (self._folder / f"{job}_0_log.err", self._folder / f"{job}_0_log.out"):
            lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.is_file() else []
            if lines:
                return f"{lines[-1]} ({path})"
        return f"nothing was written below {self._folder}; do the nodes see that folder?"


class _Inquiry(threading.Thread):
    """One squeue call, which may take long when the controller is busy."""

    def __init__(self, jobs: list[str]) -> None:
        super().__init__(daemon=True)
        self._jobs = jobs
        self.answer: dict[str, JobState] | None = None  # None after the thread's end: SLURM did not answer

    def run(self) -> None:
        """Ask."""
        try:
            self.answer = slurm_queue.look(self._jobs)
        except Unreachable:
            return


@contextmanager
def _submitting(environments: dict[str, dict[str, str]]) -> Iterator[None]:
    """The environment that sbatch hands on to jobs: ours, what single points need, and nothing of a job around us."""
    saved = dict(os.environ)
    for key in saved:
        if (key.startswith("SLURM_") and key not in ("SLURM_CONF", "SLURM_JWT")) or key == "SUBMITIT_EXECUTOR":
            del os.environ[key]
    if own := {directory: e for directory, e in environments.items() if e}:
        os.environ[ENVIRONMENTS] = json.dumps(own)  # not in a file: it may hold secrets
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)
