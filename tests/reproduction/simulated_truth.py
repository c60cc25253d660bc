"""What must be found in the simulated ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from reprise.reproduction.paper import Paper

_MAIN, _PRIVATE = "simulated/main", "simulated/private"
KINDS = {
    f"{_MAIN}/wavenet/ls_mse": "quoted",
    f"{_MAIN}/wavenet/mos": "quoted",
    f"{_MAIN}/reproduced/ls_mse": "reproduced",
    f"{_MAIN}/reproduced/ffe": "reproduced",
    f"{_MAIN}/reproduced/stoi": "reproduced",
    f"{_MAIN}/reproduced/val": "reproduced",
    f"{_MAIN}/reproduced/mos": "not testable",
    f"{_MAIN}/better/ls_mse": "better",
    f"{_MAIN}/not_reproduced/ls_mse": "not reproduced",
    f"{_MAIN}/not_reproduced/stoi": "not reproduced",
    f"{_MAIN}/scattered/ls_mse": "inconclusive",
    f"{_MAIN}/other_rate/ls_mse": "reproduced",
    f"{_MAIN}/too_few/ls_mse": "inconclusive",
    f"{_MAIN}/scaled/ls_mse": "scaled",
    f"{_MAIN}/scaled_evaluation/ls_mse": "scaled",
    f"{_MAIN}/stale/ls_mse": "stale",
    f"{_MAIN}/missing/ls_mse": "missing",
    f"{_MAIN}/unrecovered/ls_mse": "not testable",
    f"{_PRIVATE}/standin/ls_mse": "not testable",
    f"{_PRIVATE}/standin_scaled/ls_mse": "not testable",
    f"{_PRIVATE}/standin_stale/ls_mse": "not testable",
    f"{_PRIVATE}/standin_missing/ls_mse": "not testable",
    "simulated/speed/v100/rtf": "reproduced",
    "simulated/speed/tpu/rtf": "scaled",
}
STANDINS = {
    f"{_PRIVATE}/standin/ls_mse": "measured",
    f"{_PRIVATE}/standin_scaled/ls_mse": "scaled",
    f"{_PRIVATE}/standin_stale/ls_mse": "stale",
    f"{_PRIVATE}/standin_missing/ls_mse": "missing",
}
OUTCOMES = {
    "more_iterations": "holds",
    "trend": "holds",
    "contradicted": "contradicted",
    "undecided": "undecided",
    "equivalent": "holds",
    "threshold": "holds",
    "at_a_budget": "holds",
    "stale": "stale",
    "missing": "missing",
    "not_testable": "not testable",
}


@dataclass
class Simulated:
    """What was written and what must be found in it.

    Attributes:
        folder: root of the ledger.
        paper: whose runs they are.
        kinds: verdict by target id; a target whose verdict is a matter of taste (pending) is left out.
        standins: state of the stand-in by target id.
        outcomes: outcome by claim id.
        figures: by target id, the values by seed that the verdict must rest on.
        runs: directories by name of the group of runs, in order of seeds.
        rejected: files that are no records.
        set_aside: directories of re-runs that do not count.
        entries: how many runs count.
    """

    folder: Path
    paper: Paper
    kinds: dict[str, str] = field(default_factory=lambda: dict(KINDS))
    standins: dict[str, str] = field(default_factory=lambda: dict(STANDINS))
    outcomes: dict[str, str] = field(default_factory=lambda: dict(OUTCOMES))
    figures: dict[str, dict[int, float]] = field(default_factory=dict)
    runs: dict[str, list[Path]] = field(default_factory=dict)
    rejected: list[Path] = field(default_factory=list)
    set_aside: list[Path] = field(default_factory=list)

    @property
    def entries(self) -> int:
        """How many runs count."""
        return sum(len(runs) for runs in self.runs.values()) - len(self.set_aside)
