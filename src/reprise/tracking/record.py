"""The run record: run.json, everything needed to believe, repeat or refute a run."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reprise.config.errors import RunError
from reprise.config.protocol import is_hardware
from reprise.tracking.files import parse_json, write_json
from reprise.tracking.provenance import changed_sources
from reprise.tracking.record_check import SCHEMA, check_record

FILE = "run.json"
DONE = ("finished", "pruned")  # nothing is left to run


@dataclass
class RunRecord:
    """One run (schema version 1).

    Attributes:
        schema: version of this layout.
        id: unique; also the W&B run id.
        name: experiment or model.
        experiment: PAPER/ROW or None.
        seed: of every random draw.
        command: command line, secrets removed.
        overrides: the `key=value` words of it.
        choices: what was chosen of each config group.
        config: the resolved config.
        config_digest: SHA-256 of its protocol part.
        deviations: [{key, protocol, run}] against the experiment; empty without one.
        code: commit, whether the tree was dirty (its patch is code.patch), digests of the source files used.
        environment: Python, packages, hardware, threads, precision, world size, strategy.
        data: digests of what was really read.
        state: running, finished, pruned (a search stopped it early), interrupted or failed.
        exit_code, error: how it ended.
        sessions: one entry per process start: start, end, host, pid, iterations.
        cost: wall_seconds, device_seconds, peak_memory_bytes, samples_per_second, energy_joules.
        metrics: name -> {value, step, best, best_step, version}.
        checkpoints: [{file, step, sha256, bytes, roles}].
        evaluations: results of `reprise evaluate`, newest last.
        wandb: {id, mode, project, url, sweep}, or None; sweep is that of a W&B agent which started the run.
        weights: which weights validation used, raw or ema.
        iteration: iterations finished.
    """

    id: str
    name: str
    seed: int
    command: str
    config: dict[str, Any]
    config_digest: str
    schema: int = SCHEMA
    experiment: str | None = None
    overrides: list[str] = field(default_factory=list)
    choices: dict[str, Any] = field(default_factory=dict)
    deviations: list[dict[str, Any]] = field(default_factory=list)
    code: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    state: str = "running"
    exit_code: int | None = None
    error: str | None = None
    sessions: list[dict[str, Any]] = field(default_factory=list)
    cost: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    wandb: dict[str, Any] | None = None
    weights: str = "raw"
    iteration: int = 0

    def write(self, directory: Path) -> None:
        """Write run.json in one step, with the evaluations that lie beside it, whoever made them."""
        self.evaluations = read_evaluations(directory)
        write_json(directory / FILE, dataclasses.asdict(self))

    def add_metrics(self, values: dict[str, float], step: int, versions: dict[str, int], best: str, mode: str) -> None:
        """Note metric values at a step; `best` names the one whose best value is decided by `mode` (min or max)."""
        for name, value in values.items():
            entry = self.metrics.setdefault(name, {})
            entry |= {"value": value, "step": step}
            if name in versions:
                entry["version"] = versions[name]
            if name == best and value == value:
                old = entry.get("best")
                if old is None or (value < old if mode == "min" else value > old):
                    entry |= {"best": value, "best_step": step}


def read_evaluations(directory: Path) -> list[dict[str, Any]]:
    """Read the results that lie in a run directory, oldest first; an evaluation that was cut short has left none."""
    results = sorted(directory.glob("evaluations/e*/result.json"), key=lambda p: int(p.parent.name[1:]))
    return [json.loads(p.read_text(encoding="utf-8")) for p in results]


def own_evaluation(record: RunRecord) -> dict[str, Any] | None:
    """Return the newest evaluation that `reprise evaluate RUN_DIR` would only repeat; None where there is none.

    That is one of the best checkpoint, with the weights it takes by itself, whose config changes hardware at most, by
    code that is what it was.
    """
    sha256, weights = own_measurement(record)
    for evaluation in reversed(record.evaluations):
        same = sha256 is not None and (evaluation.get("sha256"), evaluation["weights"]) == (sha256, weights)
        unchanged = all(is_hardware(key) for key in evaluation.get("changes", {}))
        if same and unchanged and not changed_sources(evaluation.get("code", {})):
            return evaluation
    return None


def own_measurement(record: RunRecord) -> tuple[str | None, str]:
    """What `reprise evaluate RUN_DIR` measures: digest of the best checkpoint, None without one; raw or ema weights."""
    entries = sorted(record.checkpoints, key=lambda c: int(c["step"]))
    best = next((c for c in entries if "best" in c.get("roles", ())), entries[-1] if entries else None)
    callbacks = record.config.get("callbacks")
    members = callbacks.values() if isinstance(callbacks, dict) else ()
    targets = [str(c["_target_"]) for c in members if isinstance(c, dict) and "_target_" in c]
    averaged = any(t.rpartition(".")[2].startswith("EMA") for t in targets)
    return best.get("sha256") if best else None, "ema" if averaged else "raw"


def is_done(record: RunRecord, evaluate: bool) -> bool:
    """Whether nothing is left to run, where the config's `evaluate` asks for an evaluation after training or not."""
    return record.state == "pruned" or (
        record.state == "finished" and (not evaluate or own_evaluation(record) is not None)
    )


def read_record(directory: Path) -> RunRecord:
    """Read the record of a run directory.

    Raises:
        RunError: no record there, or not one of this schema.
    """
    path = directory / FILE
    if not path.is_file():
        raise RunError(
            f"{directory} is no run directory: it has no {FILE}. Expected a folder like outputs/runs/NAME/s0-1a2b3c4d."
        )
    try:
        raw = parse_json(path.read_bytes())
    except ValueError as error:
        raise RunError(f"{path} is not valid JSON ({error}). It was changed by hand or by the disk.") from None
    return parse_record(raw, str(path))


def parse_record(raw: Any, where: str) -> RunRecord:
    """Turn parsed JSON into a record.

    Raises:
        RunError: it is none of this version; see `record_check`.
    """
    check_record(raw, where)
    return RunRecord(**raw)
