"""Runs made by hand: entries of the ledger, with curves and samples on the disk."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reprise.reproduction.entry import Entry, Evaluation, Measured
from reprise.reproduction.standing import Ours, Sample

T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
PACKAGES = {f"package-{i:03}": f"{i % 7}.{i % 11}" for i in range(120)} | {
    "torch": "2.9.1",
    "pytorch-lightning": "2.6.6",
    "torchmetrics": "1.8.2",
    "hydra-core": "1.3.8",
    "numpy": "2.3.5",
}


def ours(values: list[float], runs: list[Entry]) -> Ours:
    """Mean, standard deviation and 95 % interval of one value a run."""
    n, mean = len(values), sum(values) / len(values)
    sd = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1)) if n > 1 else None
    samples = tuple(Sample(r.seed, v, r.id) for r, v in zip(runs, values, strict=True))
    return Ours(samples, mean, sd, T95[n] * sd / math.sqrt(n) if sd is not None else None)


def entry(root: Path, experiment: str, seed: int, **changes: Any) -> Entry:
    """A run that could be on the disk below `root`."""
    found = Entry(
        directory=root / "runs" / experiment / f"s{seed}-15b61686",
        id=f"15b61686-s{seed}-{zlib.crc32(experiment.encode()):08x}",
        name=experiment,
        experiment=experiment,
        seed=seed,
        state="finished",
        command=f"/home/someone/reprise/train.py experiment={experiment} seed={seed} trainer=ddp trainer.devices=4 "
        "data.root=/data/speech",
        overrides=(f"experiment={experiment}", f"seed={seed}"),
        digest="15b61686538263a71dd2fb27a6aaecb9fb6d3c83071171aa348626849572b93b",
        begun=f"2026-11-{10 + seed:02}T13:08:15+00:00",
        iteration=4650,
        weights="ema",
        code={"version": "0.1.0", "commit": "e8aea323abe51631c16cf49f4b270624ba908d5c", "dirty": False},
        changed=(),
        environment={
            "python": "3.11.7",
            "platform": "Linux-6.18-x86_64",
            "packages": PACKAGES,
            "hardware": {"cpu": "AMD EPYC", "cores": 16, "memory_bytes": 2**37, "gpus": ["NVIDIA H100 80GB HBM3"] * 4},
            "threads": 4,
            "precision": "32-true",
            "world_size": 4,
            "strategy": "ddp",
            "accelerator": "cuda",
        },
        data={
            "recordings_sha256": "76ef8c99ded863bdd318a08d9760926d9785a1c28e8ecd188aba926c43ad646d",
            "clips": {"train": 344, "val": 8, "test": 8},
        },
        cost={
            "wall_seconds": 2165.6,
            "device_seconds": 8662.4 * (1 + seed),
            "peak_memory_bytes": 1221013504,
            "peak_device_memory_bytes": 31 * 2**30,
            "samples_per_second": 1721.2,
            "energy_joules": 7.2e6,
        },
        metrics={
            "train/loss": Measured(0.07, step=4650),
            "val/ls_mse": Measured(179.6, version=1, step=4650, best=179.5),
        },
        evaluations=(
            Evaluation(
                folder="evaluations/e1",
                time="2026-11-20T14:02:10+00:00",
                step=4500,
                weights="ema",
                changes={"data.limit_test": 3},
                examples=130,
                metrics={"test/manual6/ls_mse": Measured(193.8558, version=1), "test/manual6/rtf": Measured(0.228)},
                cost={"device_seconds": 996.4, "wall_seconds": 996.4},
            ),
        ),
        wandb={"id": "15b61686-s0", "mode": "online", "project": "reprise", "url": "https://wandb.ai/x/reprise/runs/1"},
    )
    return replace(found, **changes)


def write_curves(run: Entry, steps: int = 900) -> None:
    """metrics.csv of a run: a falling loss with noise, a validation metric now and then."""
    noise = np.random.default_rng(run.seed)
    lines = ["step,name,value"]
    for step in range(10, 10 * steps + 1, 10):
        lines.append(f"{step},train/loss,{1.2 * math.exp(-step / 1500) + 0.08 + 0.015 * noise.standard_normal():.6f}")
        if step % 500 == 0:
            lines.append(f"{step},val/ls_mse,{180 + 300 * math.exp(-step / 2000) + 6 * noise.standard_normal():.6f}")
    run.directory.mkdir(parents=True, exist_ok=True)
    (run.directory / "metrics.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_samples(run: Entry, count: int = 2) -> None:
    """Two tones and a picture a sample, in the folder of the run's measurement."""
    folder = run.directory / run.evaluations[-1].folder / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        for name, pitch in ((f"clip{i}_manual6", 220.0), (f"clip{i}_manual6_truth", 330.0)):
            (folder / f"{name}.wav").write_bytes(wav(pitch))
        (folder / f"clip{i}_manual6.png").write_bytes(png())


def write_grids(run: Entry, count: int = 2) -> None:
    """Grids of coloured images without sound, in the folder of the run's measurement."""
    import torch

    from reprise.samples.images import ImageGrid

    draw = torch.Generator().manual_seed(0)
    for i in range(count):
        images = torch.randint(0, 256, (16, 3, 28, 28), generator=draw)
        sample = ImageGrid(name=f"grid{i}", caption="", images=images, levels=256, columns=4 * (i + 1))
        sample.write(run.directory / run.evaluations[-1].folder / "samples")


def wav(pitch: float, rate: int = 8000) -> bytes:
    """Half a second of a tone, as a WAV file."""
    sound = (8000 * np.sin(2 * np.pi * pitch * np.arange(rate // 2) / rate)).astype("<i2").tobytes()
    head = b"RIFF" + struct.pack("<I", 36 + len(sound)) + b"WAVEfmt "
    return (
        head
        + struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
        + b"data"
        + struct.pack("<I", len(sound))
        + sound
    )


def png(width: int = 440, height: int = 184) -> bytes:
    """A picture that could be a spectrogram."""
    y, x = np.mgrid[0:height, 0:width]
    red = (128 + 100 * np.sin(x / 23) * np.cos(y / 17)).astype(np.uint8)
    pixels = np.stack([red, (y * 90 // height).astype(np.uint8), (x * 160 // width).astype(np.uint8)], axis=-1)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
