"""What a run costs: time, memory, energy where the machine tells."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

_RAPL = Path("/sys/class/powercap")


def _cpu_joules() -> float | None:
    """Energy counter of the CPU packages (Intel RAPL), in joules; None where it cannot be read."""
    total, found = 0.0, False
    for file in _RAPL.glob("intel-rapl:[0-9]*/energy_uj"):
        if file.parent.name.count(":") == 1:
            try:
                total += int(file.read_text()) / 1e6
                found = True
            except (OSError, ValueError):
                return None
    return total if found else None


def _gpu_joules() -> float | None:
    """Energy counter of the visible GPUs (NVML), in joules; None where it cannot be read."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return sum(pynvml.nvmlDeviceGetTotalEnergyConsumption(h) for h in handles) / 1e3 if handles else None
    except Exception:  # no package, no driver, no permission: the figure stays unknown
        return None


class CostMeter:
    """Measures this process from its making on, on top of what earlier sessions of the run cost.

    Args:
        before: the record's cost so far.
        world_size: devices this run holds.
    """

    def __init__(self, before: dict[str, Any], world_size: int) -> None:
        self.before = dict(before)
        self.world_size = world_size
        self.start = time.monotonic()
        self._energy = {"cpu": _cpu_joules(), "gpu": _gpu_joules()}
        self.samples = 0
        self.training_seconds = 0.0

    def rate(self) -> float | None:
        """Training samples per second of this session, or of the one before while this one has trained none."""
        if self.training_seconds > 0:
            return round(self.samples / self.training_seconds, 3)
        return self.before.get("samples_per_second")

    def now(self) -> dict[str, Any]:
        """Return the cost of all sessions up to now."""
        import torch

        wall = time.monotonic() - self.start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        peak_gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        joules = [
            after - before
            for before, after in ((self._energy["cpu"], _cpu_joules()), (self._energy["gpu"], _gpu_joules()))
            if before is not None and after is not None and after >= before
        ]
        old_energy = self.before.get("energy_joules")
        return {
            "wall_seconds": round(self.before.get("wall_seconds", 0.0) + wall, 3),
            "device_seconds": round(self.before.get("device_seconds", 0.0) + wall * self.world_size, 3),
            "peak_memory_bytes": max(self.before.get("peak_memory_bytes", 0), peak),
            "peak_device_memory_bytes": max(self.before.get("peak_device_memory_bytes", 0), peak_gpu),
            "samples_per_second": self.rate(),
            "energy_joules": round((old_energy or 0.0) + sum(joules), 1) if joules else old_energy,
        }
