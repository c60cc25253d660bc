"""Repeat the first steps of a run and compare them bit for bit with what it recorded."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reprise.config.errors import RunError
from reprise.tracking import directory as directories
from reprise.tracking import provenance
from reprise.tracking.record import read_record
from reprise.tracking.run import Run
from reprise.training.callbacks.trace import FILE, compare
from reprise.training.fit import fit_process
from reprise.training.slurm import on_one_machine
from reprise.training.world import plan_world


@dataclass(frozen=True)
class Verdict:
    """Outcome of a verification.

    Attributes:
        steps: steps compared.
        difference: where the two part, or None.
        changes: what is not as it was when the run was made: source files, packages, hardware.
    """

    steps: int
    difference: str | None
    changes: list[str]


def verify(directory: Path, steps: int | None = None) -> Verdict:
    """Train the first steps of a run anew, in a temporary folder, and compare.

    Args:
        directory: the run.
        steps: how many steps; None for all that were traced.

    Raises:
        RunError: the run has no trace, or the repetition failed.
    """
    record = read_record(directory)
    path = directory / FILE
    if not path.is_file():
        raise RunError(f"{directory} has no {FILE}: it was run without callbacks.trace, or died before its first step.")
    recorded: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    count = min(steps or len(recorded), len(recorded))
    if count < 1:
        raise RunError(f"{path} is empty: there is nothing to compare.")
    values = directories.read_config(directory)
    values["callbacks"] = {"trace": {"_target_": "reprise.training.callbacks.trace.Trace", "steps": count}}
    values["logger"] = {}
    values["trainer"] |= {"max_time": None, "max_steps": count, "max_epochs": None}
    values["trainer"] = on_one_machine(values["trainer"], int(record.environment.get("world_size", 1)))
    threads = int(record.environment.get("threads", 1))
    world = plan_world(values["trainer"])
    if world.size != record.environment.get("world_size"):
        raise RunError(
            f"{directory} was run by {record.environment.get('world_size')} processes and would be repeated by "
            f"{world.size}: this machine has other devices. Bitwise comparison needs as many."
        )
    with tempfile.TemporaryDirectory(prefix="reprise-verify-") as scratch:
        directories.write_config(Path(scratch), values)
        task = ["verify", str(count), str(threads)]
        fit_process(Run(Path(scratch), values), world, None, task, stop_after=count, threads=threads)
        repeated = json.loads((Path(scratch) / FILE).read_text(encoding="utf-8"))
    return Verdict(count, compare(recorded[:count], repeated), _changes(record))


def _changes(record: Any) -> list[str]:
    found = []
    then, now = record.code.get("sources", {}), provenance.source_digests()
    if files := [name for name, old in then.items() if now.get(name, old) != old]:
        found.append("source changed: " + ", ".join(files))
    before, after = record.environment.get("packages", {}), provenance.packages()
    for name in ("torch", "numpy", "pytorch-lightning"):
        if before.get(name) != after.get(name):
            found.append(f"{name} was {before.get(name)}, is {after.get(name)}")
    cpu, cpu_now = record.environment.get("hardware", {}).get("cpu"), provenance.hardware()["cpu"]
    if cpu != cpu_now:
        found.append(f"processor was {cpu}, is {cpu_now}")
    return found
