"""How many processes a trainer config means on this machine, before any of them starts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from reprise.config.errors import ConfigError
from reprise.training.slurm import asks_for_slurm, fill_in

CPU_PROCESSES = 2  # what trainer=ddp and trainer=fsdp mean where there is no GPU
STRATEGIES = ("ddp", "fsdp")  # those of more than one process


@dataclass(frozen=True)
class World:
    """Processes of a run: `accelerator` is cpu or gpu (or as given), `devices` per node.

    `external`: they are there already, as tasks that srun started.
    """

    accelerator: str
    devices: int
    nodes: int
    strategy: str
    external: bool = False

    @property
    def size(self) -> int:
        """Number of processes."""
        return self.devices * self.nodes

    @property
    def distributed(self) -> bool:
        """Whether processes have to talk."""
        return self.size > 1 or self.strategy in STRATEGIES

    def __str__(self) -> str:
        nodes = f" on each of {self.nodes} nodes" if self.nodes > 1 else ""
        return f"{self.devices} {self.accelerator} processes{nodes} (strategy {self.strategy})"


def plan_world(trainer: dict[str, Any], gpus: int | None = None) -> World:
    """Decide accelerator and number of devices.

    Args:
        trainer: the config group.
        gpus: GPUs there are; None counts those that torch sees.

    Raises:
        ConfigError: more devices are asked for than there are, or none of the kind.
    """
    if gpus is None:
        import torch

        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    external = asks_for_slurm(trainer)
    trainer = fill_in(trainer)
    wanted = trainer.get("accelerator") or "auto"
    if wanted not in ("auto", "cpu", "gpu", "cuda"):
        raise ConfigError(f"trainer.accelerator={wanted}. Expected auto, cpu or gpu.")
    accelerator = ("gpu" if gpus else "cpu") if wanted == "auto" else wanted
    if accelerator in ("gpu", "cuda") and not gpus:
        raise ConfigError(
            f"trainer.accelerator={wanted}, but this machine has no GPU. Use trainer=cpu or trainer=auto."
        )
    strategy = trainer.get("strategy") or "auto"
    if not isinstance(strategy, str):
        raise ConfigError("trainer.strategy must be a name: auto, ddp or fsdp.")
    if strategy not in ("auto", *STRATEGIES):
        raise ConfigError(f"trainer.strategy={strategy}. Expected auto, ddp or fsdp.")
    if strategy == "fsdp":
        import torch

        if not torch.distributed.is_available():
            raise ConfigError("trainer.strategy=fsdp, but this build of torch has no torch.distributed.")
    devices = trainer.get("devices")
    if devices in (None, "auto", -1, "-1"):
        count = (gpus or 1) if accelerator in ("gpu", "cuda") else CPU_PROCESSES if strategy in STRATEGIES else 1
    elif isinstance(devices, list):
        count = len(devices)
    else:
        try:
            count = int(devices)
        except (TypeError, ValueError):
            raise ConfigError(f"trainer.devices={devices!r}. Expected a number, a list, or auto.") from None
    if count < 1:
        raise ConfigError(f"trainer.devices={devices!r}. Expected 1 or more.")
    if accelerator in ("gpu", "cuda") and count > gpus:
        raise ConfigError(f"trainer.devices={devices!r}, but this machine has {gpus} GPUs.")
    nodes = int(trainer.get("num_nodes") or 1)
    if count * nodes > 1 and strategy == "auto":
        strategy = "ddp"
    return World(accelerator, count, nodes, strategy, external)


def cores() -> int:
    """Cores this process may use, which under a scheduler or `taskset` are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_threads(world: World) -> int:
    """Threads for each CPU process: OMP_NUM_THREADS where it is set, else an equal share of the cores for each."""
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if given.isdigit() and int(given) > 0:
        return int(given)
    return max(1, cores() // world.devices)
