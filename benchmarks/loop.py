"""Lightning's loop with everything on (loggers, checkpoints, record, guards) against a bare loop, same module."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import module_of, table
from reprise.config.compose import compose_config
from reprise.tracking.metrics_log import read_metrics
from reprise.training import fit
from reprise.training.trainer import build_datamodule, prepare_process
from reprise.training.world import plan_world

STEPS = 60


def bare(values: dict[str, Any], arch: str) -> float:
    """Seconds per step of a plain loop: data, loss, backward, clipping, optimiser."""
    module = module_of("model=wavegrad", f"arch=wavegrad/{arch}")
    datamodule = build_datamodule(values)
    datamodule.prepare_data()
    datamodule.setup("fit")
    optimizer = module.configure_optimizers()
    start = 0.0
    for i, batch in enumerate(datamodule.train_dataloader()):
        if i == 10:
            start = time.perf_counter()
        if i == STEPS:
            break
        loss = module.training_step(batch, i)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
    return (time.perf_counter() - start) / (STEPS - 10)


def everything(overrides: list[str], outputs: Path) -> float:
    """Seconds per step of `python train.py`, from its own throughput figure."""
    composed = compose_config([*overrides, f"paths.outputs={outputs}"])
    directory = fit.start(composed.values, composed.choices, [], [])
    rate = [v for _, name, v in read_metrics(directory) if name == "perf/samples_per_sec"][-1]
    return composed.values["data"]["batch_size"] / rate


def run() -> None:
    prepare_process(plan_world({"accelerator": "auto", "devices": 1}))
    rows = []
    for arch, batch in (("tiny", 16), ("small", 8)):
        overrides = [
            "model=wavegrad",
            f"arch=wavegrad/{arch}",
            f"data.batch_size={batch}",
            f"trainer.max_steps={STEPS}",
            f"trainer.val_check_interval={STEPS}",
            "data.limit_val=1",
            "data.val_seconds=0.2",
            "callbacks.trace.steps=0",
            "trainer.log_every_n_steps=10",
            "callbacks.checkpoint.every_n_steps=50",
        ]
        values = compose_config(overrides).values
        with tempfile.TemporaryDirectory() as outputs:
            plain, full = [], []
            for i in range(3):  # in turns
                plain.append(bare(values, arch))
                full.append(everything(overrides, Path(outputs) / str(i)))
        a, b = min(plain), min(full)
        rows.append([arch, str(batch), f"{1000 * a:.1f}", f"{1000 * b:.1f}", f"{100 * (b / a - 1):+.1f} %"])
    header = ["width", "batch", "bare loop [ms]", "everything on [ms]", "overhead"]
    table(f"Training loop, {STEPS} steps, best of 3 in turns", header, rows)
