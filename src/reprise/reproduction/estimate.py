"""What a run would cost, from the runs there are, or from a short probe."""

from __future__ import annotations

import json
import logging
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprise.config.compose import compose_config
from reprise.config.errors import UserError
from reprise.config.protocol import digest, protocol_values
from reprise.reproduction.evidence import devices_of

if TYPE_CHECKING:
    from reprise.reproduction.entry import Entry
    from reprise.reproduction.ledger import Ledger

log = logging.getLogger(__name__)
PROBE_STEPS = 2
_PROBE_SECONDS = 600.0
_GIB = 2**30
# The first iterations allocate, compile and fill caches, and the six of a smoke run are little else. A run of fewer
# than these tells no speed, unless they are a tenth of what is asked for, as where an iteration takes minutes.
LEAST_ITERATIONS, _LEAST_SHARE = 100, 0.1
# Keys in which two runs may differ and yet take the same time for an example: numbers of the optimiser, on how much a
# run is validated, what it shows. The rest of the model and of the data counts: an iteration on a whole data set takes
# the longer the more rows it has. A key that is missing here costs an estimate; a wrong one would make it untrue.
_IDLE = {
    "data.batch_size",  # what an estimate is scaled by
    "data.limit_test",
    "data.limit_val",
    "model.classify",
    "model.completions",
    "model.evaluation_schedules",
    "model.initial_batch",
    "model.optimizer.betas",
    "model.optimizer.lr",
    "model.properties",
    "model.samples",
    "model.test_samples",
}
_IDLE_BELOW = "model.lr_schedule."
_CROP = "data.crop_frames"


@dataclass(frozen=True)
class Estimate:
    """What runs would cost.

    Attributes:
        device_seconds: time of all devices together.
        memory_bytes: most memory a process holds; None where not known.
        basis: where the figures come from, in words.
    """

    device_seconds: float
    memory_bytes: int | None
    basis: str

    def times(self, runs: int) -> Estimate:
        """The cost of so many such runs, one after the other."""
        return replace(self, device_seconds=self.device_seconds * runs)

    @property
    def text(self) -> str:
        """In words."""
        return f"{hours(self.device_seconds)}, {memory(self.memory_bytes)} ({self.basis})"


def hours(seconds: float) -> str:
    """Device time as one reads it."""
    if seconds < 90:
        return f"{seconds:.0f} device-seconds"
    if seconds < 5400:
        return f"{seconds / 60:.0f} device-minutes"
    return f"{seconds / 3600:,.3g} device-hours" if seconds < 3.6e6 else f"{seconds / 3600:,.0f} device-hours"


def memory(size: int | None) -> str:
    """Memory as one reads it."""
    return "memory unknown" if not size else f"{size / _GIB:.1f} GiB"


class Estimator:
    """Estimates from the runs of a ledger.

    Args:
        ledger: the runs.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._found: dict[tuple[str, ...], Estimate | None] = {}
        self._done: dict[str, list[Entry]] = {}
        self._costs: dict[str, dict[str, Any]] = {}  # by digest, what the time for an example depends on
        for entry in ledger.entries:
            if entry.state == "finished" and entry.cost.get("device_seconds"):
                self._done.setdefault(entry.digest, []).append(entry)

    def of_words(self, words: Sequence[str]) -> Estimate | None:
        """Estimate one run, training and evaluation; None without a similar one.

        Args:
            words: of `train.py`.
        """
        key = tuple(words)
        if key not in self._found:
            self._found[key] = self._estimate(compose_config(words).values) if self._done else None
        return self._found[key]

    def _estimate(self, values: dict[str, Any]) -> Estimate | None:
        if same := self._done.get(digest(values)):
            seconds = sum(_total_seconds(e) for e in same) / len(same)
            return Estimate(seconds, _peak(same), f"from {_runs(len(same))} of the same config")
        wanted = protocol_values(values)
        steps, batch = _steps(wanted), wanted.get("data.batch_size")
        if steps is None or not isinstance(batch, int):
            return None
        alike, least = _cost_of(wanted), min(LEAST_ITERATIONS, _LEAST_SHARE * steps)
        by_device: dict[str, list[tuple[Entry, float]]] = {}
        for found, entries in self._done.items():
            if found not in self._costs:
                self._costs[found] = _cost_of(self._ledger.protocols[found])
            if self._costs[found] != alike:
                continue
            for entry in entries:
                rate = _seconds_an_example(entry, self._ledger.protocols[found])
                if rate is not None and entry.iteration >= least:
                    by_device.setdefault(devices_of(entry)[0], []).append((entry, rate))
        if not by_device:
            return None
        # figures of different devices have nothing to say to each other: the newest one counts
        device, similar = max(by_device.items(), key=lambda item: max(e.begun for e, _ in item[1]))
        rate = sum(r for _, r in similar) / len(similar)
        runs = f"{_runs(len(similar))} on {device} of the same model with examples of the same size"
        basis = f"training only, from {runs}, scaled by their number"
        return Estimate(rate * steps * batch, _peak([e for e, _ in similar]), basis)


def probe(words: Sequence[str]) -> Estimate:
    """Train a few iterations in a folder that is thrown away, and estimate from them.

    Args:
        words: of `train.py`.

    Raises:
        RunError: the probe failed; the message ends with what it said last.
    """
    from reprise.config.errors import RunError
    from reprise.launch.point import program, quoted

    with tempfile.TemporaryDirectory(prefix="reprise-probe-") as folder:
        run = Path(folder) / "run"
        command = [
            *program(),
            *words,
            f"trainer.max_steps={PROBE_STEPS}",
            "trainer.limit_val_batches=0",
            "trainer.val_check_interval=1",
            "logger=none",
            "evaluate=false",
            f"paths.run={quoted(str(run))}",
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS)
        except subprocess.TimeoutExpired:
            raise RunError(
                f"{PROBE_STEPS} iterations of {' '.join(words)} took more than {_PROBE_SECONDS:.0f} s"
            ) from None
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
            raise RunError(f"the probe of {' '.join(words)} failed: {last.removeprefix('error: ')}")
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    amount = _amount(protocol_values(compose_config(words).values))
    rate = record["cost"].get("samples_per_second")
    if amount is None or not rate:
        raise RunError(f"the probe of {' '.join(words)} has not measured its speed")
    devices = record["environment"].get("world_size", 1)
    peak = max(record["cost"].get("peak_device_memory_bytes") or 0, 0) or record["cost"].get("peak_memory_bytes")
    return Estimate(amount / rate * devices, peak, f"from a probe of {PROBE_STEPS} iterations, training only")


def try_probe(words: Sequence[str]) -> Estimate | None:
    """Probe; a failure is said and leaves the cost unknown, since the run itself will name it."""
    try:
        return probe(words)
    except UserError as error:
        log.warning("%s", error)
        return None


def _total_seconds(entry: Entry) -> float:
    evaluation = entry.evaluations[-1].cost.get("device_seconds", 0.0) if entry.evaluations else 0.0
    return float(entry.cost["device_seconds"]) + float(evaluation or 0.0)


def _peak(entries: Sequence[Entry]) -> int | None:
    sizes = [e.cost.get("peak_device_memory_bytes") or e.cost.get("peak_memory_bytes") or 0 for e in entries]
    return max(sizes) or None


def _steps(protocol: dict[str, Any]) -> int | None:
    """Iterations of a whole run; None where time or epochs decide."""
    steps = protocol.get("trainer.max_steps")
    return steps if isinstance(steps, int) and steps > 0 else None


def _amount(protocol: dict[str, Any]) -> float | None:
    """Training examples of a whole run; None where time or epochs decide."""
    steps, batch = _steps(protocol), protocol.get("data.batch_size")
    return float(steps * batch) if steps is not None and isinstance(batch, int) else None


def _cost_of(protocol: dict[str, Any]) -> dict[str, Any]:
    """What the time for an example depends on: the precision, the model, and the data, which say what an example is.

    Of crops, such as WaveGrad's, all are of one size, from whichever recordings: the data set itself does not matter.
    """
    data = (_CROP, "data.features.") if protocol.get(_CROP) is not None else ("data.",)
    counts = ("trainer.precision", "model.", *data)
    return {
        k: v for k, v in protocol.items() if k.startswith(counts) and k not in _IDLE and not k.startswith(_IDLE_BELOW)
    }


def _seconds_an_example(entry: Entry, protocol: dict[str, Any]) -> float | None:
    """Device time for a training example; by the throughput where it is known, since that leaves the start out."""
    if rate := entry.cost.get("samples_per_second"):
        return float(entry.environment.get("world_size") or 1) / float(rate)
    batch = protocol.get("data.batch_size")
    if not isinstance(batch, int) or entry.iteration <= 0:
        return None
    return float(entry.cost["device_seconds"]) / (entry.iteration * batch)


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
