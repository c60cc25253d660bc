"""Records of made-up runs; their configs are really composed."""

from __future__ import annotations

import copy
import functools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from reprise.config.compose import PointComposer
from reprise.config.paths import PACKAGE
from reprise.config.protocol import deviations, digest
from reprise.tracking.files import write_json
from reprise.tracking.provenance import source_digest
from reprise.tracking.record import RunRecord
from tests.reproduction.simulated_files import write_curves, write_samples

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "\"' onmouseover='alert(3)' `${alert(4)}`",
    "javascript:alert(5)",
    "\u202egnisrever \u200b\u2066hidden\u2069 \U0001f9ea\U0001f468\u200d\U0001f52c e\u0301",
    "{{7*7}} <!-- --> ]]> &amp; \\ \u2028 \t | [x](javascript:alert(6)) *bold* _it_ `code`",
    "x" * 5000,
)
MACHINES: tuple[dict[str, Any], ...] = (
    {"cpu": "AMD EPYC", "cores": 64, "memory_bytes": 2**38, "gpus": ["Tesla V100-SXM2-32GB"]},
    {"cpu": "Intel Xeon", "cores": 16, "memory_bytes": 2**37, "gpus": ["NVIDIA H100 80GB HBM3"] * 2},
    {"cpu": HOSTILE[0], "cores": 2, "memory_bytes": None, "gpus": [HOSTILE[2], "Tesla V100-SXM2-32GB"]},
)
BEGUN = datetime(2026, 3, 1, 8, tzinfo=UTC)
CONTINUOUS = "wavegrad/ljspeech_base_continuous"
DISCRETE = "wavegrad/ljspeech_base_discrete_"
LARGE = "wavegrad/ljspeech_large_discrete_1000"
LOWER_RATE = ("model.optimizer.lr=1e-4",)
# metric at row: mean and standard deviation over seeds
EXACT = {
    "test/manual6/ls_mse": (260.0, 4.0),
    "test/fibonacci25/ls_mse": (190.0, 15.0),
    "test/linear50/ls_mse": (177.5, 2.0),
    "test/linear1000/ls_mse": (90.0, 1.0),
    "test/manual6/mcd_db": (3.9, 0.05),
    "test/linear50/mcd_db": (3.25, 0.04),
    "test/manual6/ffe_percent": (2.71, 0.05),
    "test/fibonacci25/ffe_percent": (2.80, 0.3),
    "test/linear50/ffe_percent": (2.70, 0.05),
    "test/linear1000/ffe_percent": (2.79, 0.3),
    "test/manual6/stoi": (0.91, 0.004),
    "test/linear50/stoi": (0.93, 0.004),
    "test/manual6/rtf": (0.21, 0.01),
    "val/ls_mse": (215.0, 1.0),
}


_COMPOSER = PointComposer()


def spread(mean: float, deviation: float, count: int, salt: str) -> list[float]:
    """`count` values of exactly this mean and standard deviation (n - 1), in an order that the salt decides."""
    raw = [i - (count - 1) / 2 for i in range(count)]
    Random(salt).shuffle(raw)
    scale = (sum(x * x for x in raw) / max(count - 1, 1)) ** 0.5 or 1.0
    return [mean + deviation * x / scale for x in raw]


@functools.lru_cache(maxsize=256)
def composed(words: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values and choices of a composed config, composed once."""
    found = _COMPOSER.compose(words)
    return found.values, dict(found.choices)


@functools.lru_cache(maxsize=1)
def sources() -> dict[str, str]:
    """Digests of what a run of WaveGrad imports, found without importing it."""
    rooms = ("config", "data", "diffusion", "metrics", "models", "nn", "tracking", "training")
    files = sorted(f for room in rooms for f in (PACKAGE / room).rglob("*.py"))
    names = {".".join(("reprise", *f.relative_to(PACKAGE).with_suffix("").parts)): f for f in files}
    return {n.removesuffix(".__init__"): source_digest(f) for n, f in names.items()}


def make_record(
    words: tuple[str, ...], seed: int, number: int, changes: dict[str, Any] | None = None, name: str = ""
) -> RunRecord:
    """A finished record of a composed config; `changes` are set in it by dotted key, unchecked.

    `number` counts the records of a ledger: it decides when a run began and on which machine.
    """
    values, choices = composed((*words, f"seed={seed}"))
    values = copy.deepcopy(values)
    values["paths"]["cache"] = "cache"
    for key, value in (changes or {}).items():
        *parents, leaf = key.split(".")
        functools.reduce(lambda node, parent: node[parent], parents, values)[leaf] = value
    experiment = choices.get("experiment")
    protocol = composed((f"experiment={experiment}",))[0] if experiment else {}
    begun, wall = BEGUN + timedelta(hours=3 * number), 3600.0 + 60 * number
    machine, steps = MACHINES[number % len(MACHINES)], 1_000_000
    command = " ".join(["train.py", *words, f"seed={seed}"])
    config_digest = digest(values)
    return RunRecord(
        id=f"{config_digest[:8]}-s{seed}-{number:08x}",
        name=name or experiment or "wavegrad",
        seed=seed,
        command=command,
        config=values,
        config_digest=config_digest,
        experiment=experiment,
        overrides=[*words, f"seed={seed}"],
        choices=choices,
        deviations=deviations(protocol, values) if experiment else [],
        code={"version": "0.1.0", "commit": f"{number:040x}", "dirty": False, "untracked": [], "sources": sources()},
        environment={
            "python": "3.11.7",
            "platform": "Linux",
            "packages": {"torch": "2.9.0", "pytorch-lightning": "2.6.1"},
            "hardware": machine,
            "precision": "32-true",
            "world_size": len(machine["gpus"]),
            "accelerator": "cuda",
        },
        data={"recordings_sha256": "ab" * 32, "hours": 23.9, "clips": {"test": 130, "val": 206, "train": 12764}},
        state="finished",
        exit_code=0,
        sessions=[
            {
                "start": begun.isoformat(timespec="seconds"),
                "host": f"node{number % 3}",
                "pid": 1000 + number,
                "from_step": 0,
                "command": command,
                "end": (begun + timedelta(seconds=wall)).isoformat(timespec="seconds"),
                "to_step": steps,
                "state": "finished",
            }
        ],
        cost={
            "wall_seconds": wall,
            "device_seconds": wall * len(machine["gpus"]),
            "peak_memory_bytes": 3 * 2**30,
            "peak_device_memory_bytes": 2**34,
            "samples_per_second": 700.0,
            "energy_joules": 1e6 if number % 2 else None,
        },
        metrics={"train/loss": {"value": 0.06, "step": steps}},
        checkpoints=[
            {
                "file": "checkpoints/step-01000000.ckpt",
                "step": steps,
                "sha256": "cd" * 32,
                "bytes": 60_000_000,
                "roles": ["last", "best"],
            }
        ],
        wandb=None
        if number % 2
        else {
            "id": f"run{number}",
            "mode": "online",
            "project": "reprise",
            "url": f"https://wandb.ai/someone/reprise/runs/run{number}",
            "sweep": None,
        },
        iteration=steps,
    )


def evaluation(
    values: dict[str, Any], number: int, k: int = 1, changes: dict[str, Any] | None = None, version: int = 1
) -> dict[str, Any]:
    """A result of `reprise evaluate`; speeds have no version."""
    metrics = {n: {"value": v} | ({} if n.endswith("rtf") else {"version": version}) for n, v in values.items()}
    return {
        "time": (BEGUN + timedelta(hours=3 * number + k, minutes=30)).isoformat(timespec="seconds"),
        "folder": f"evaluations/e{k}",
        "checkpoint": "checkpoints/step-01000000.ckpt",
        "sha256": "cd" * 32,
        "step": 1_000_000,
        "weights": "raw",
        "changes": changes or {},
        "examples": 130,
        "data": {"recordings_sha256": "ab" * 32},
        "world_size": 1,
        "metrics": metrics,
        "cost": {"wall_seconds": 900.0, "device_seconds": 900.0},
    }


def store(directory: Path, record: RunRecord, evaluations: list[dict[str, Any]], media: bool = False) -> Path:
    """Write a run directory: its evaluations, then the record that lists them, its curves and samples."""
    directory.mkdir(parents=True)
    for result in evaluations:
        folder = directory / result["folder"]
        folder.mkdir(parents=True)
        write_json(folder / "result.json", result)
        if media:
            rows = sorted({name.split("/")[1] for name in result["metrics"]})
            write_samples(folder / "samples", rows, record.seed)
    record.write(directory)
    if media:
        best = record.metrics.get("val/ls_mse", {}).get("best", 200.0)
        write_curves(directory / "metrics.csv", best, record.iteration, record.seed)
    return directory
