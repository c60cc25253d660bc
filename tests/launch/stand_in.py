"""A stand-in for train.py that ends in a fraction of a second, and a driver that lets a sweep start it.

    python -m tests.launch.stand_in sweep WORDS...     the sweep, in a process that can be killed
    python -m tests.launch.stand_in points FILE        run_points with the arguments that a JSON file holds
    python tests/launch/stand_in.py WORDS...           one point

A point writes a valid record. Files in paths.outputs steer it: `fail-<seed>` makes it fail, `wait-<seed>` makes it wait
until the file is gone, `die-<seed>` makes it kill itself, `refuse-<seed>` makes it end before it writes anything. Each
start leaves a line in `starts`. With evaluate=true a finished point is evaluated, as train.py does it;
`unmeasured-<seed>` makes that fail, `stopped-<seed>` makes it end as if told to.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reprise.config.compose import compose_config
from reprise.config.protocol import digest
from reprise.launch.parent import follow_parent
from reprise.tracking.provenance import source_digests
from reprise.tracking.record import RunRecord, is_done, read_record


def objective(values: dict[str, Any]) -> float:
    """What the stand-in measures: least at a learning rate of 1e-3, and a little more with every seed."""
    import math

    return (math.log10(values["model"]["optimizer"]["lr"]) + 3.0) ** 2 + 0.01 * values["seed"]


def point(words: list[str]) -> int:
    """Do what a point does, without training."""
    follow_parent()
    composed = compose_config(words)
    values = composed.values
    directory, outputs, seed = Path(values["paths"]["run"]), Path(values["paths"]["outputs"]), values["seed"]
    threads = os.environ.get("OMP_NUM_THREADS", "")
    with (outputs / "starts").open("a") as file:
        file.write(json.dumps([seed, directory.name, threads, os.environ.get("CUDA_VISIBLE_DEVICES")]) + "\n")
    if (outputs / f"refuse-{seed}").exists():
        print("error: no usable checkpoint")
        return 1
    directory.mkdir(parents=True, exist_ok=True)
    record = RunRecord(
        id=f"stand-in-{os.getpid()}",
        name=str(composed.choices["model"]),
        seed=seed,
        command="stand-in",
        config=values,
        config_digest=digest(values),
    )
    if (directory / "run.json").is_file():
        record = read_record(directory)
    if record.state == "finished":
        return evaluate(directory, record, values)
    record.code = {"sources": {k: v for k, v in source_digests().items() if k.startswith("reprise.tracking")}}
    record.sessions.append({"pid": os.getpid(), "host": "here", "from_step": record.iteration})
    record.state = "running"
    record.write(directory)
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stop.append(number))
    while (outputs / f"wait-{seed}").exists() and not stop:
        time.sleep(0.02)
    if stop:
        record.state, record.exit_code, record.error = "interrupted", 75, "stopped by SIGTERM"
        record.write(directory)
        return 75
    if (outputs / f"die-{seed}").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if (outputs / f"fail-{seed}").exists():
        record.state, record.exit_code, record.error = "failed", 1, "the fault is there"
        record.write(directory)
        print("error: the fault is there")
        return 1
    record.add_metrics({values["monitor"]: objective(values)}, 6, {}, values["monitor"], values["monitor_mode"])
    record.iteration, record.state, record.exit_code = 6, "finished", 0
    record.cost = {"wall_seconds": 0.1}
    record.checkpoints = [{"file": "checkpoints/step-6.ckpt", "step": 6, "sha256": "6" * 64, "roles": ["last", "best"]}]
    record.write(directory)
    return evaluate(directory, record, values)


def evaluate(directory: Path, record: RunRecord, values: dict[str, Any]) -> int:
    """Do what evaluate=true does after training."""
    if not values["evaluate"] or is_done(record, True):
        return 0
    outputs, seed = Path(values["paths"]["outputs"]), values["seed"]
    if (outputs / f"unmeasured-{seed}").exists():
        print("error: the held-out clips are gone")
        return 1
    if (outputs / f"stopped-{seed}").exists():
        return 75
    folder = directory / "evaluations" / "e1"
    folder.mkdir(parents=True)
    result = {
        "time": "2026-01-01T00:00:00+00:00",
        "folder": "evaluations/e1",
        "sha256": "6" * 64,
        "step": 6,
        "weights": "raw",
        "changes": {},
        "metrics": {},
    }
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    record.write(directory)
    return 0


def staged(stage_code: Callable[[], Path | None]) -> Callable[[], Path | None]:
    """Ship the project's code, with the stand-in as train.py."""

    def stage() -> Path | None:
        folder = stage_code()
        assert folder is not None
        shutil.copy(__file__, folder / "train.py")
        return folder

    return stage


def pretend() -> None:
    """Let the points of every launcher be the stand-in."""
    import reprise.launch.local
    import reprise.launch.slurm
    from reprise.launch import ray_place

    ray_place.stage_code = staged(ray_place.stage_code)
    for place in (reprise.launch.local, reprise.launch.slurm):
        place.program = lambda: [sys.executable, __file__]  # type: ignore[attr-defined]
    slurm: Any = reprise.launch.slurm
    slurm._POLL_SECONDS, slurm._CONFIRM_SECONDS, slurm._LETTING_GO_SECONDS = 0.3, 0.6, 3.0


def sweep(words: list[str]) -> int:
    """Run a sweep whose points are the stand-in."""
    from reprise.cli.main import main

    pretend()
    return main(["train", "-m", *words])


def points(file: str) -> int:
    """Run a list of points that are the stand-in."""
    from reprise.launch.points import run_points

    pretend()
    return run_points(**json.loads(Path(file).read_text(encoding="utf-8"))).exit_code


if __name__ == "__main__":
    kinds: dict[str, Callable[[], int]] = {"sweep": lambda: sweep(sys.argv[2:]), "points": lambda: points(sys.argv[2])}
    sys.exit(kinds.get(sys.argv[1], lambda: point(sys.argv[1:]))())
