"""Ledger entries made by hand, with configs that are really composed."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reprise.config.compose import compose_config
from reprise.config.protocol import digest, protocol_values
from reprise.reproduction.entry import Entry, Evaluation, Measured

BASE = "wavegrad/ljspeech_base_continuous"
LARGE = "wavegrad/ljspeech_large_continuous"
DISCRETE = "wavegrad/ljspeech_base_discrete_25"


@dataclass
class HandMade:
    """A ledger that was not read from a disk."""

    entries: list[Entry] = field(default_factory=list)
    protocols: dict[str, dict[str, Any]] = field(default_factory=dict)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    set_aside: list[Entry] = field(default_factory=list)

    def add(self, *entries: Entry) -> HandMade:
        for e in entries:
            words = [w for w in e.overrides if not w.startswith("seed=")]
            self.protocols[e.digest] = _composed(tuple(words))[1]
            self.entries.append(e)
        return self


@functools.lru_cache(maxsize=64)
def _composed(words: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    values = compose_config(words).values
    return digest(values), protocol_values(values)


def entry(
    experiment: str = BASE,
    seed: int = 0,
    metrics: dict[str, float] | None = None,
    changes: Sequence[str] = (),
    *,
    state: str = "finished",
    changed: Sequence[str] = (),
    evaluated_with: dict[str, Any] | None = None,
    version: int | None = 1,
    cost: dict[str, Any] | None = None,
    hardware: dict[str, Any] | None = None,
    begun: str = "2026-01-01T00:00:00+00:00",
    iteration: int = 1000,
) -> Entry:
    words = (f"experiment={experiment}", *changes)
    found = _composed(words)[0]
    evaluations = ()
    if metrics is not None:
        measured = {k: Measured(v, None if k.endswith("rtf") else version) for k, v in metrics.items()}
        evaluations = (Evaluation("evaluations/e1", begun, iteration, "raw", evaluated_with or {}, 8, measured),)
    return Entry(
        directory=Path(f"outputs/runs/{experiment}/s{seed}-{found[:8]}"),
        id=f"{found[:8]}-s{seed}-{begun}-{state}",
        name=experiment,
        experiment=experiment,
        seed=seed,
        state=state,
        command=f"train.py {' '.join(words)} seed={seed}",
        overrides=(*words, f"seed={seed}"),
        digest=found,
        begun=begun,
        iteration=iteration,
        weights="raw",
        code={"commit": "c0ffee", "dirty": False},
        changed=tuple(changed),
        environment={"hardware": hardware or {"cpu": "Plain CPU", "gpus": []}, "accelerator": "cpu"},
        data={},
        cost=cost or {"device_seconds": 60.0, "peak_memory_bytes": 2**30},
        metrics={},
        evaluations=evaluations,
    )
