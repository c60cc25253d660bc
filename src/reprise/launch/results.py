"""What a sweep has found: its trials, the best, the importances; as a table, a page and last words."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reprise.launch.objectives import Objective
from reprise.launch.point import Point
from reprise.launch.space import Space
from reprise.tracking.files import write_atomic

CSV = "trials.csv"
_FEW = 10  # complete trials below which importances say nothing


@dataclass(frozen=True)
class Axis:
    """A parameter as it is drawn.

    Attributes:
        name: key of the config.
        choices: of a categorical one; None for numbers.
        log: drawn on a logarithmic axis.
    """

    name: str
    choices: tuple[str, ...] | None = None
    log: bool = False


@dataclass(frozen=True)
class Trial:
    """One point of a sweep.

    Attributes:
        number: its index.
        state: as a point's.
        values: of the objectives; empty where there is none. A pruned trial has the last value that it reported.
        params: as typed.
        directory, seconds, error: of its run.
    """

    number: int
    state: str
    values: tuple[float, ...]
    params: dict[str, str]
    directory: Path
    seconds: float = 0.0
    error: str | None = None


@dataclass
class Results:
    """A sweep as its page shows it.

    Attributes:
        title: name of the sweep.
        objectives: what was made small or large.
        trials, axes: what was tried.
        best: numbers of the best trials: one, or the Pareto front.
        facts: (name, text) for the head of the page.
        importances: share of each parameter, largest first; None for a grid.
        note: why there are none, or how they came about.
    """

    title: str
    objectives: list[Objective]
    trials: list[Trial]
    axes: list[Axis]
    best: list[int] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    importances: dict[str, float] | None = None
    note: str = ""
    commands: dict[int, str] = field(default_factory=dict)

    def finished(self) -> list[Trial]:
        """Trials that ran to their end and have values."""
        return [t for t in self.trials if t.state == "finished" and t.values]

    def numeric(self, axis: Axis, trial: Trial) -> float | None:
        """Where a trial lies on an axis: a number, the index of a choice, or None where it has no such parameter."""
        if (text := trial.params.get(axis.name)) is None:
            return None
        return float(axis.choices.index(text)) if axis.choices is not None else float(text)


def search_results(study: Any, space: Space, objectives: Sequence[Objective], points: Sequence[Point]) -> Results:
    """Read a study.

    Args:
        study: Optuna's.
        space: what was searched.
        objectives: of the search.
        points: the sweep's, by trial.
    """
    from reprise.launch.parameter import text

    values = {t.number: tuple(t.values or ()) for t in study.get_trials(deepcopy=False)}
    trials = [
        Trial(p.index, p.state, values.get(p.index, ()), p.params, p.directory, p.seconds, p.error) for p in points
    ]
    axes = [
        Axis(p.name, tuple(text(c) for c in p.choices) if p.kind == "categorical" else None, p.log)
        for p in space.parameters
    ]
    found = Results(study.study_name, list(objectives), trials, axes)
    if found.finished():
        found.best = [t.number for t in study.best_trials]
    found.importances, found.note = importances(study, len(found.finished()))
    return found


def importances(study: Any, finished: int) -> tuple[dict[str, float], str]:
    """Estimate which parameters matter, by Optuna's PED-ANOVA.

    Returns:
        shares that add up to 1, largest first, and what is to be said about them.
    """
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    if finished < _FEW:
        return {}, f"too few finished trials for importances: {finished}, {_FEW} are needed"
    try:
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    except (ValueError, RuntimeError) as error:
        return {}, f"importances cannot be estimated: {error}"
    if not found or not all(math.isfinite(v) for v in found.values()) or sum(found.values()) <= 0:
        return {}, "importances cannot be estimated: the objective does not vary with the parameters"
    return dict(found), f"PED-ANOVA over {finished} finished trials"


def grid_results(title: str, points: Sequence[Point]) -> Results:
    """Read the points of a grid, whose axes follow from the values; without a common metric there is no objective."""
    names = list(dict.fromkeys(k for p in points for k in p.params))
    axes = []
    for name in names:
        given = list(dict.fromkeys(p.params[name] for p in points if name in p.params))
        numbers = [n for g in given if (n := _number(g)) is not None]
        log = bool(numbers) and min(numbers) > 0 and max(numbers) >= 50 * min(numbers)
        axes.append(Axis(name, None if len(numbers) == len(given) else tuple(given), log))
    metrics = {(p.monitor, p.mode) for p in points}
    objectives = [Objective(m, "best", {"min": "minimize", "max": "maximize"}[mode]) for m, mode in metrics]
    objectives = objectives if len(objectives) == 1 else []
    trials = [
        Trial(
            p.index,
            p.state,
            (p.objective,) if p.objective is not None and objectives else (),
            p.params,
            p.directory,
            p.seconds,
            p.error,
        )
        for p in points
    ]
    found = Results(title, objectives, trials, axes)
    if objectives and (done := found.finished()):
        sign = 1 if objectives[0].mode == "min" else -1
        found.best = [min(done, key=lambda t: sign * t.values[0]).number]
    return found


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def write_csv(results: Results, directory: Path) -> Path:
    """Write all trials as a table, one row each."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [a.name for a in results.axes]
    metrics = [f"{o.metric} ({o.value})" for o in results.objectives]
    writer.writerow(["number", "state", *metrics, *names, "seconds", "directory", "error"])
    for t in results.trials:
        values = [repr(v) for v in t.values] or [""] * len(metrics)
        params = [t.params.get(n, "") for n in names]
        writer.writerow([t.number, t.state, *values, *params, f"{t.seconds:.1f}", t.directory, t.error or ""])
    write_atomic(directory / CSV, out.getvalue())
    return directory / CSV
