"""From the settings of hydra/launcher=slurm and a point's trainer to what sbatch is asked for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reprise.config.errors import ConfigError
from reprise.launch.slurm_task import TIME_IS_UP
from reprise.training.slurm import asked, asks_for_slurm
from reprise.training.world import CPU_PROCESSES


@dataclass(frozen=True)
class Resources:
    """What a point's job needs; points that need the same go out together.

    Attributes:
        nodes: of the job.
        tasks: of each node.
        gpus: of each node; None asks for none.
        cpus: of each task.
        processes: of each task, which share its CPUs.
    """

    nodes: int
    tasks: int
    gpus: int | None
    cpus: int
    processes: int


@dataclass(frozen=True)
class Settings:
    """Settings of the launcher, as in conf/hydra/launcher/slurm.yaml.

    Raises:
        ConfigError: a value cannot be used.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    time: int | str | None = None
    gpus_per_node: int | None = None
    cpus_per_task: int | None = None
    mem_gb: float | None = None
    nodes: int | None = None
    tasks_per_node: int | None = None
    n_jobs: int | None = None
    requeue: bool = True
    max_requeues: int = 20
    signal_delay_s: int = 120
    setup: Iterable[str] = ()
    srun_args: Iterable[str] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in (
            ("gpus_per_node", 0),
            ("cpus_per_task", 1),
            ("nodes", 1),
            ("tasks_per_node", 1),
            ("n_jobs", 1),
            ("max_requeues", 0),
            ("signal_delay_s", 0),
        ):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and value >= least):
                raise ConfigError(f"hydra.launcher.{name} is {value!r}. Expected a whole number of {least} or more.")
        minutes(self.time)

    def needs(self, trainer: dict[str, Any]) -> Resources:
        """What a point with this trainer config needs.

        Raises:
            ConfigError: the trainer and the launcher contradict each other.
        """
        devices, nodes = asked(trainer)
        on_gpu = trainer.get("accelerator") in ("gpu", "cuda")
        if on_gpu and devices and self.gpus_per_node is not None and devices > self.gpus_per_node:
            raise ConfigError(f"trainer.devices={devices}, but hydra.launcher.gpus_per_node={self.gpus_per_node}.")
        if asks_for_slurm(trainer):
            tasks = _agreed("devices", devices, "tasks_per_node", self.tasks_per_node) or self.gpus_per_node or 1
            return Resources(
                nodes=_agreed("num_nodes", nodes, "nodes", self.nodes) or 1,
                tasks=tasks,
                gpus=self.gpus_per_node if self.gpus_per_node is not None or not on_gpu else tasks,
                cpus=self.cpus_per_task or 1,
                processes=1,
            )
        if (nodes or 1) > 1:
            raise ConfigError(f"trainer.num_nodes={nodes} needs trainer=slurm, where SLURM starts the processes.")
        for name in ("nodes", "tasks_per_node"):
            if (getattr(self, name) or 1) > 1:
                raise ConfigError(
                    f"hydra.launcher.{name}={getattr(self, name)}, but this trainer runs in one task and starts its "
                    "processes itself. Use trainer=slurm."
                )
        gpus = self.gpus_per_node if self.gpus_per_node is not None or not on_gpu else devices or 1
        several = trainer.get("strategy") not in (None, "auto")
        processes = devices or gpus or (CPU_PROCESSES if several else 1)
        return Resources(nodes=1, tasks=1, gpus=gpus, cpus=self.cpus_per_task or processes, processes=processes)

    def parameters(self, resources: Resources, name: str) -> dict[str, Any]:
        """What submitit's SlurmExecutor is told."""
        found = {
            "job_name": name,
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "time": minutes(self.time),
            "nodes": resources.nodes,
            "ntasks_per_node": resources.tasks,
            "cpus_per_task": resources.cpus,
            "gpus_per_node": resources.gpus or None,
            "mem": None if self.mem_gb is None else f"{math.ceil(self.mem_gb * 1024)}M",
            "array_parallelism": self.n_jobs or 1_000_000,
            "setup": [str(line) for line in self.setup] or None,
            # a rank that dies ends the others too, which would wait for it
            "srun_args": ["--kill-on-bad-exit=1", *(str(word) for word in self.srun_args)],
            "additional_parameters": {
                "requeue" if self.requeue else "no-requeue": True,
                "signal": f"{TIME_IS_UP.name.removeprefix('SIG')}@{self.signal_delay_s}",
                **dict(self.extra),
            },
            "wckey": None,
        }
        return found


def minutes(time: int | str | None) -> int | None:
    """Read a time limit: minutes, or one of sbatch's forms up to D-HH:MM:SS; rounded up to minutes, as SLURM does.

    Raises:
        ConfigError: of another form.
    """
    if time is None:
        return None
    if isinstance(time, int) and not isinstance(time, bool) and time >= 1:
        return time
    if isinstance(time, str):
        if match := re.fullmatch(r"(\d+)-(\d+)(?::(\d+))?(?::(\d+))?", time):
            days, hours, mins, seconds = (int(g or 0) for g in match.groups())
            return (days * 24 + hours) * 60 + mins + math.ceil(seconds / 60)
        if match := re.fullmatch(r"(?:(\d+):)?(\d+):(\d+)", time):
            hours, mins, seconds = (int(g or 0) for g in match.groups())
            return hours * 60 + mins + math.ceil(seconds / 60)
        if time.isdigit() and int(time) >= 1:
            return int(time)
    raise ConfigError(f"hydra.launcher.time is {time!r}. Expected minutes, or a time like 2-12:00:00 (D-HH:MM:SS).")


def _agreed(key: str, asked_for: int | None, setting: str, given: int | None) -> int | None:
    if asked_for is not None and given is not None and asked_for != given:
        raise ConfigError(
            f"trainer.{key}={asked_for}, but hydra.launcher.{setting}={given}. Set one of them, or both to the same."
        )
    return given if asked_for is None else asked_for
