"""Real-time factor of WaveGrad per schedule and width: seconds of computing per second of sound."""

from __future__ import annotations

import time

import torch

from benchmarks.timing import module_of, table
from reprise.training.trainer import prepare_process
from reprise.training.world import plan_world

SECONDS = {"tiny": 2.0, "small": 1.0, "base": 0.5}


def run() -> None:
    prepare_process(plan_world({"accelerator": "auto", "devices": 1}))
    rows = []
    for arch, length in SECONDS.items():
        module = module_of("model=wavegrad", f"arch=wavegrad/{arch}").eval()
        frames = int(length * 22050 / 300)
        mel = [torch.zeros(128, frames)]
        row = [arch]
        for name in ("manual6", "fibonacci25", "linear50"):
            module.generate(mel, schedule="manual6")
            start = time.perf_counter()
            module.generate(mel, schedule=name)
            row.append(f"{(time.perf_counter() - start) / (frames * 300 / 22050):.3f}")
        per_iteration = float(row[-1]) / 50
        rows.append([*row, f"{1000 * per_iteration:.2f}", f"{1000 * per_iteration:.1f}"])
    header = ["width", "6 iterations", "25", "50", "per iteration [1/1000]", "1000 (extrapolated)"]
    table("Real-time factor of sampling", header, rows)
