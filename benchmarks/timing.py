"""Time alternatives in turns, so that whatever else the machine does hits them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from reprise.config.compose import compose_config
from reprise.training.trainer import build_module


def in_turns(alternatives: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 2) -> dict[str, float]:
    """Median seconds of each alternative over `rounds` interleaved calls."""
    taken: dict[str, list[float]] = {name: [] for name in alternatives}
    for i in range(warmup + rounds):
        for name, call in alternatives.items():
            start = time.perf_counter()
            call()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if i >= warmup:
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def module_of(*overrides: str) -> Any:
    """The LightningModule of a configuration, such as `module_of("model=wavegrad", "arch=wavegrad/tiny")`."""
    torch.manual_seed(0)
    return build_module(compose_config(list(overrides)).values)


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table with aligned columns."""
    widths = [max(len(r[i]) for r in [columns, *rows]) for i in range(len(columns))]
    print(title)
    for row in [columns, ["-" * w for w in widths], *rows]:
        print(
            "  "
            + "  ".join(
                cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
        )
