"""A stand-in for train.py that ends at once and leaves a record with measurements, as evaluate=true does.

Files in paths.outputs steer it: `fail-<seed>` makes it fail, `die-<seed>` makes it kill its driver and itself.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from reprise.cli.common import protocol_deviations
from reprise.config.compose import compose_config
from reprise.config.protocol import digest
from reprise.tracking.provenance import source_digests
from reprise.tracking.record import RunRecord


def point(words: list[str]) -> int:
    composed = compose_config(words)
    values = composed.values
    assert values["evaluate"] is True
    directory, outputs, seed = Path(values["paths"]["run"]), Path(values["paths"]["outputs"]), values["seed"]
    with (outputs / "starts").open("a") as file:
        file.write(f"{composed.experiment} {seed}\n")
    if (outputs / f"die-{seed}").exists():
        (outputs / f"die-{seed}").unlink()
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    record = RunRecord(
        id=f"{digest(values)[:8]}-s{seed}",
        name=str(composed.experiment),
        seed=seed,
        command=" ".join(words),
        config=values,
        config_digest=digest(values),
        experiment=composed.experiment,
        deviations=protocol_deviations(composed),
        code={"sources": source_digests()},
        state="failed" if (outputs / f"fail-{seed}").exists() else "finished",
        iteration=6,
        sessions=[{"start": datetime.now(UTC).isoformat(), "from_step": 0, "pid": os.getpid(), "host": "here"}],
        cost={"device_seconds": 30.0, "peak_memory_bytes": 2**30},
        checkpoints=[{"file": "checkpoints/step-6.ckpt", "step": 6, "sha256": "6" * 64, "roles": ["last", "best"]}],
    )
    directory.mkdir(parents=True, exist_ok=True)
    if record.state == "failed":
        record.error = "the fault is there"
        record.write(directory)
        print("error: the fault is there")
        return 1
    schedules = values["model"]["evaluation_schedules"]
    level = 100.0 + seed + (20.0 if "base" in str(composed.experiment) else 0.0)
    metrics = {f"test/{name}/ls_mse": {"value": level + 0.1 * i, "version": 1} for i, name in enumerate(schedules)}
    folder = directory / "evaluations" / "e1"
    folder.mkdir(parents=True, exist_ok=True)
    result = {"folder": "evaluations/e1", "time": "2026-01-01", "sha256": "6" * 64, "step": 6, "weights": "raw"}
    result |= {"changes": {}, "metrics": metrics}
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    record.write(directory)
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "drive":
        import reprise.launch.local
        from reprise.cli.main import main

        reprise.launch.local.program = lambda: [sys.executable, __file__]  # type: ignore[attr-defined]
        sys.exit(main(["reproduce", *sys.argv[2:]]))
    sys.exit(point(sys.argv[1:]))
