"""`hydra/launcher=ray`: points as Ray tasks; code goes to the workers, runs come back."""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
import tempfile
import uuid
from pathlib import Path
from typing import Any, Literal

from reprise.config.errors import ConfigError, RunError
from reprise.config.paths import checkout
from reprise.launch.drive import End
from reprise.launch.parcel import pack, unpack
from reprise.launch.point import Point
from reprise.launch.ray_task import Job, run_point
from reprise.tracking.provenance import ship_code_state
from reprise.training.world import plan_world

_CODE = ("src", "conf", "train.py", "pyproject.toml")


class RayPlace:
    """A Ray cluster.

    Args:
        n_jobs: points at a time; None for as many as the cluster has room for.
        address: of the cluster, as ray.init takes it; None looks for one and starts one where there is none.
        num_cpus: of a point; None for one for each of its processes.
        num_gpus: of a point; None for what its trainer asks for.
        storage: whether workers see the run directories (shared), or send them back (copy); auto looks.
        sync_seconds: with copy, between two looks for something new to send back.
        runtime_env: of Ray.
        init: further arguments of ray.init.

    Raises:
        ConfigError: Ray is not installed, or a setting is wrong.
        RunError: the cluster cannot be reached.
    """

    name = "ray"

    def __init__(
        self,
        n_jobs: int | None = None,
        address: str | None = None,
        num_cpus: int | None = None,
        num_gpus: int | None = None,
        storage: Literal["auto", "shared", "copy"] = "auto",
        sync_seconds: float = 60.0,
        runtime_env: dict[str, Any] | None = None,
        init: dict[str, Any] | None = None,
    ) -> None:
        if storage not in ("auto", "shared", "copy"):
            raise ConfigError(f"hydra.launcher.storage is {storage!r}. Expected auto, shared or copy.")
        for key, value, least in (("n_jobs", n_jobs, 1), ("num_cpus", num_cpus, 1), ("num_gpus", num_gpus, 0)):
            if value is not None and not (isinstance(value, int) and value >= least):
                raise ConfigError(f"hydra.launcher.{key} is {value!r}. Expected a whole number of {least} or more.")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError:
            raise ConfigError("hydra/launcher=ray needs Ray: pip install 'reprise[ray]'.") from None
        self.ray: Any = ray
        self.n_jobs, self.num_cpus, self.num_gpus = n_jobs, num_cpus, num_gpus
        self.storage, self.sync_seconds = storage, sync_seconds
        self._staging = stage_code()
        environment = dict(runtime_env or {})
        if self._staging is not None:
            environment = {"working_dir": str(self._staging), **environment}
        quiet = {"logging_level": "ERROR", "log_to_driver": False}
        try:
            ray.init(**{"address": address, "runtime_env": environment, **quiet, **dict(init or {})})
        except (ConnectionError, RuntimeError, ValueError, TypeError) as error:
            self._unstage()
            raise RunError(f"no Ray cluster at {address or 'this machine'}: {str(error).splitlines()[0]}") from error
        self._bell: Any = ray.remote(num_cpus=0)(Bell)
        self._bell = self._bell.remote()
        self._tasks: dict[int, tuple[Point, Any]] = {}
        self._taken = 0
        self._room: int | None = None
        self._killed = False

    def has_room(self) -> bool:
        """Whether one more point like the last one fits now."""
        return self._room is None or self._taken < self._room

    def take(self, point: Point) -> bool:
        """Count a point in while fewer than n_jobs are under way.

        Raises:
            ConfigError: no node of the cluster has what the point asks for.
        """
        alive = [n["Resources"] for n in self.ray.nodes() if n["Alive"]]
        most_gpus = int(max((n.get("GPU", 0) for n in alive), default=0))
        if isinstance(point.trainer.get("devices"), list):
            raise ConfigError("trainer.devices is a list, but Ray hands out GPUs itself. Give their number.")
        world = plan_world(point.trainer, min(most_gpus, self.num_gpus or most_gpus))
        if world.nodes > 1:
            raise ConfigError(f"trainer.num_nodes={world.nodes} needs hydra/launcher=slurm; a Ray task is on one node.")
        on_gpu = world.accelerator in ("gpu", "cuda")
        gpus = (world.devices if self.num_gpus is None else self.num_gpus) if on_gpu else 0
        cpus = self.num_cpus or world.devices
        fits = [n for n in alive if n.get("CPU", 0) >= cpus and n.get("GPU", 0) >= gpus]
        if not fits:
            raise ConfigError(
                f"no node of the Ray cluster has {cpus} CPUs and {gpus} GPUs. Set hydra.launcher.num_cpus and num_gpus."
            )
        room = sum(int(min(n["CPU"] // cpus, n["GPU"] // gpus if gpus else n["CPU"] // cpus)) for n in fits)
        self._room = self.n_jobs or room
        if not self.has_room():
            return False
        self._taken += 1
        point.placement = {"cpus": cpus, "threads": max(1, cpus // world.devices), "processes": world.devices}
        if gpus:
            point.placement["gpu_count"] = gpus
        return True

    def start(self, points: list[Point], group: str | None) -> None:
        """Submit a task for each point."""
        for point in points:
            directory = point.directory.absolute()
            point.log.parent.mkdir(parents=True, exist_ok=True)
            token = directory / "logs" / f".shared-{uuid.uuid4().hex}"
            token.touch()
            job = Job(
                words=[w for w in point.words(group) if not w.startswith("paths.run=")],
                directory=str(directory),
                folder=os.getcwd(),
                environment=dict(point.environment),
                threads=point.placement["threads"],
                token=str(token),
                storage=self.storage,
                sync_seconds=self.sync_seconds,
                before=None if self.storage == "shared" else self._packed(directory),
            )
            task: Any = self.ray.remote(run_point).options(
                num_cpus=point.placement["cpus"],
                num_gpus=point.placement.get("gpu_count", 0),
                num_returns="streaming",
                max_retries=0,
                name=point.label,
            )
            self._tasks[point.index] = (point, task.remote(job, self._bell))

    def poll(self) -> list[tuple[Point, End]]:
        """Take in what tasks sent since the last call."""
        ended = []
        for point, results in list(self._tasks.values()):
            end = None
            while end is None and self.ray.wait([results], timeout=0)[0]:
                end = self._receive(point, results)
            if end is not None:
                del self._tasks[point.index]
                self._taken -= 1
                for token in point.log.parent.glob(".shared-*"):
                    token.unlink()
                ended.append((point, end))
        return ended

    def running(self) -> int:
        """Count the tasks."""
        return len(self._tasks)

    def stop(self) -> str:
        """Ring for all tasks: their runs write a checkpoint and end."""
        self._bell.ring.remote()
        return f"stopping: {self.running()} points write a checkpoint and end (once more to kill them)"

    def kill(self) -> None:
        """Cancel the tasks; their runs end with their worker."""
        self._killed = True
        for _, results in self._tasks.values():
            self._cancel(results)

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self.ray.shutdown()
        self._unstage()

    def _receive(self, point: Point, results: Any) -> End | None:
        try:
            message = self.ray.get(next(results))
        except StopIteration:
            return End(None, "its Ray task ended without a word")
        except self.ray.exceptions.RayError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            return End(None, f"Ray: {type(error).__name__}: {lines[0] if lines else ''}", cancelled=self._killed)
        point.placement["node"] = message["node"]
        if message["parcel"] is not None:
            try:
                unpack(message["parcel"], point.directory)
            except (OSError, tarfile.TarError) as error:
                self._cancel(results)
                return End(None, f"what its Ray task sent back cannot be written: {error}")
        return End(message["code"]) if message["code"] is not None else None

    def _cancel(self, results: Any) -> None:
        with contextlib.suppress(Exception):  # it may have ended meanwhile
            self.ray.cancel(results, force=True)

    def _packed(self, directory: Path) -> Any:
        """What an earlier start left of the run, for a worker that cannot see it."""
        parcel, _ = pack(directory, {})
        return self.ray.put(parcel) if parcel is not None else None

    def _unstage(self) -> None:
        if self._staging is not None:
            shutil.rmtree(self._staging, ignore_errors=True)


class Bell:
    """Tells tasks to stop; they look now and then."""

    def __init__(self) -> None:
        self.rung = False

    def ring(self) -> None:
        """Ask all tasks to stop."""
        self.rung = True

    def is_rung(self) -> bool:
        """Whether to stop."""
        return self.rung


def stage_code() -> Path | None:
    """Copy what a point needs of the checkout to a folder that Ray can ship; None for an installed package."""
    top = checkout()
    if top is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="reprise-code-"))
    for name in _CODE:
        source = top / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        elif source.is_file():
            shutil.copy2(source, folder / name)
    ship_code_state(folder)
    return folder
