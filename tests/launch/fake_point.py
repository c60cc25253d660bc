"""Stands for train.py: takes its words, writes a valid run.json in a few milliseconds, and obeys SIGTERM.

FAKE_SECONDS is how long it pretends to train; FAKE_LOG gets a line at each start and end; FAKE_FAILS names a word with
which it fails. The objective is a smooth function of the learning rate and the seed.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from pathlib import Path

from filelock import FileLock

from reprise.launch.parent import follow_parent


def main(words: list[str]) -> int:
    values = dict(w.partition("=")[::2] for w in words)
    directory = Path(values["paths.run"].strip("'"))
    directory.mkdir(parents=True, exist_ok=True)
    record = {
        "schema": 1,
        "id": directory.name,
        "name": "wavegrad",
        "seed": 0,
        "command": "",
        "config": {},
        "config_digest": os.environ["FAKE_DIGEST"],
        "state": "running",
    }

    def write(state: str, **more: object) -> None:
        scratch = directory / f"run.{os.getpid()}.tmp"
        scratch.write_text(json.dumps(record | {"state": state, **more}), encoding="utf-8")
        scratch.replace(directory / "run.json")

    def note(what: str) -> None:
        if "FAKE_LOG" in os.environ:
            with open(os.environ["FAKE_LOG"], "a", encoding="utf-8") as log:
                log.write(f"{what} {directory} {os.environ.get('REPRISE_STUDY_STORAGE', '')}\n")

    def stop(number: int, frame: object) -> None:
        write("interrupted", exit_code=75, error="stopped")
        os._exit(75)

    signal.signal(signal.SIGTERM, stop)
    with FileLock(directory / ".lock").acquire(timeout=10):
        note("start")
        write("running")
        follow_parent()
        time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
        if os.environ.get("FAKE_FAILS") and any(os.environ["FAKE_FAILS"] in w for w in words):
            print("error: the loss is not finite")
            write("failed", exit_code=1, error="the loss is not finite")
            return 1
        x = math.log10(float(values.get("model.optimizer.lr", "1e-3")))
        best = (x + 3.3) ** 2 + 0.1 * ("null" in values.get("trainer.gradient_clip_val", ""))
        metrics: dict[str, dict[str, object]] = {
            "val/ls_mse": {"value": best + 0.5, "step": 6, "best": best, "best_step": 3},
            "perf/samples_per_sec": {"value": 10 * x, "step": 6},
            "val/broken": {"value": "nan", "step": 6},
        }
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note("end")
        write("finished", exit_code=0, metrics=metrics, iteration=6, cost={"wall_seconds": 1.5})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
