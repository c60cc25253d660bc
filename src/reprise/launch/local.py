"""`hydra/launcher=local`: a pool over this machine's GPUs or CPU cores; every point is a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from reprise.config.errors import ConfigError
from reprise.launch.devices import cpu_cores, visible_gpus
from reprise.launch.drive import End
from reprise.launch.parent import PARENT
from reprise.launch.point import Point, program
from reprise.launch.warm import WarmProcess, WarmServer, forkable
from reprise.training.world import World, plan_world

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class LocalPool:
    """A pool of processes, each with its own GPUs or its share of the cores.

    Args:
        n_jobs: points at a time; None for as many as the devices allow.
        gpus_per_point: None for what the point's trainer asks for.
        threads_per_process: CPU threads; None shares the cores among n_jobs points.
        warm: fork points that need no GPU from a process that has imported the libraries, where the system can.
    """

    name = "local"

    def __init__(
        self,
        n_jobs: int | None = None,
        gpus_per_point: int | None = None,
        threads_per_process: int | None = None,
        warm: bool = True,
    ) -> None:
        for key, value in (
            ("n_jobs", n_jobs),
            ("gpus_per_point", gpus_per_point),
            ("threads_per_process", threads_per_process),
        ):
            if value is not None and not (isinstance(value, int) and value >= 1):
                raise ConfigError(f"hydra.launcher.{key} is {value!r}. Expected a whole number of 1 or more, or null.")
        self.n_jobs = n_jobs
        self.gpus_per_point = gpus_per_point
        self.threads_per_process = threads_per_process
        self.warm = warm
        self.gpus = visible_gpus()
        self.cores = cpu_cores()
        self._free = list(self.gpus)
        self._last: tuple[World, int] | None = None
        self._worlds: dict[int, World] = {}
        self._processes: dict[int, tuple[Point, subprocess.Popen[bytes] | WarmProcess]] = {}
        self._servers: dict[str, WarmServer] = {}  # by the number of threads, which libraries read at their import

    def has_room(self) -> bool:
        """Whether one more point like the last one fits now."""
        if self._last is None:
            return True
        world, gpus = self._last
        return len(self._worlds) < (self.n_jobs or self._most(world, gpus)) and len(self._free) >= gpus

    def take(self, point: Point) -> bool:
        """Reserve GPUs or a share of the cores.

        Raises:
            ConfigError: this machine never has what the point asks for.
        """
        world, gpus = self._last = self._needs(point)
        if len(self._worlds) >= (self.n_jobs or self._most(world, gpus)) or len(self._free) < gpus:
            return False
        if _is_locked(point.directory):  # an earlier process is still writing its checkpoint
            return False
        point.placement = {"processes": world.devices}
        if gpus:
            point.placement["gpus"] = [self._free.pop(0) for _ in range(gpus)]
        else:
            point.placement["threads"] = self._threads(world)
        self._worlds[point.index] = world
        return True

    def start(self, points: list[Point], group: str | None) -> None:
        """Start the processes, their output in logs/point.log of the run directory."""
        for point in points:
            environment = {**os.environ, **point.environment, PARENT: str(os.getpid())}
            if "gpus" in point.placement:
                environment["CUDA_VISIBLE_DEVICES"] = ",".join(point.placement["gpus"])
            else:
                environment |= dict.fromkeys(_THREAD_VARIABLES, str(point.placement["threads"]))
            point.log.parent.mkdir(parents=True, exist_ok=True)
            with point.log.open("ab") as log:
                process = self._start([*program(), *point.words(group)], environment, log.fileno(), point.placement)
            point.placement["pid"] = process.pid
            self._processes[point.index] = (point, process)

    def _start(
        self, command: list[str], environment: dict[str, str], log: int, placement: dict[str, Any]
    ) -> subprocess.Popen[bytes] | WarmProcess:
        if self.warm and "threads" in placement and forkable(command):
            threads = str(placement["threads"])
            if threads not in self._servers:
                self._servers[threads] = WarmServer(environment)
            try:
                return self._servers[threads].start(command, environment, log, log)
            except OSError:  # killed, or out of memory: this and later points start by themselves
                self._servers.pop(threads).close()
                self.warm = False
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C on the terminal is for the sweep, which passes it on
        )

    def poll(self) -> list[tuple[Point, End]]:
        """Collect the processes that ended."""
        ended = [(p, e) for p, process in self._processes.values() if (e := process.poll()) is not None]
        for point, _ in ended:
            del self._processes[point.index], self._worlds[point.index]
            self._free += point.placement.get("gpus", [])
        return [(point, End(code)) for point, code in ended]

    def running(self) -> int:
        """Count the processes."""
        return len(self._processes)

    def stop(self) -> str:
        """Ask every process for a checkpoint and an end."""
        for _, process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        return f"stopping: {self.running()} points write a checkpoint and end (once more to kill them)"

    def kill(self) -> None:
        """Kill the processes with all their ranks."""
        for _, process in self._processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the processes that points are forked from."""
        while self._servers:
            self._servers.popitem()[1].close()

    def _needs(self, point: Point) -> tuple[World, int]:
        """Processes of a point, and GPUs to reserve for it."""
        if isinstance(point.trainer.get("devices"), list):
            raise ConfigError("trainer.devices is a list, but the pool hands out GPUs itself. Give their number.")
        gpus = min(len(self.gpus), self.gpus_per_point or len(self.gpus))
        if (self.gpus_per_point or 0) > len(self.gpus):
            raise ConfigError(
                f"hydra.launcher.gpus_per_point={self.gpus_per_point}, but this machine has {len(self.gpus)} GPUs."
            )
        world = plan_world(point.trainer, gpus)
        if world.nodes > 1:
            raise ConfigError(f"trainer.num_nodes={world.nodes} needs hydra/launcher=slurm; local is one machine.")
        on_gpu = world.accelerator in ("gpu", "cuda")
        return world, (self.gpus_per_point or world.devices) if on_gpu else 0

    def _most(self, world: World, gpus: int) -> int:
        return max(1, len(self.gpus) // gpus if gpus else self.cores // world.devices)

    def _threads(self, world: World) -> int:
        if self.threads_per_process is not None:
            return self.threads_per_process
        share = max(1, self.cores // ((self.n_jobs or self._most(world, 0)) * world.devices))
        limit = os.environ.get("OMP_NUM_THREADS", "")
        return min(share, int(limit)) if limit.isdigit() and int(limit) >= 1 else share


def _is_locked(directory: Path) -> bool:
    if not (directory / ".lock").is_file():
        return False
    lock = FileLock(directory / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False
