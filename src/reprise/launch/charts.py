"""Pictures of a sweep, as SVG text that takes its colours from the page it stands on."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any

from reprise.launch.results import Axis, Results, Trial

# Drawn in these colours, shown in those of the page's theme.
_INK, _LINE, _ACCENT, _BEST, _BAD, _SOFT = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
_THEME = {_INK: "ink", _LINE: "line", _ACCENT: "accent", _BEST: "best", _BAD: "bad", _SOFT: "soft"}
_STYLE: Any = {
    "svg.hashsalt": "reprise",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.titlesize": 10.5,
    "axes.grid": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "text.color": _INK,
    "legend.frameon": False,
}
_WIDTH = 11.0  # inches


def _svg(figure: Any) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = re.sub(r'\s(?:width|height)="[\d.]+pt"', "", text[text.index("<svg") :], count=2)
    share = 100 * figure.get_figwidth() / _WIDTH
    text = text.replace("<svg", f'<svg style="max-width: {share:.0f}%"', 1)
    for colour, name in _THEME.items():
        text = text.replace(colour, f"var(--{name})")
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def _wide(values: Sequence[float]) -> bool:
    """Whether values are better seen on a logarithmic axis."""
    return len(values) > 1 and min(values) > 0 and max(values) > 30 * min(values)


def _log(axes: Any, which: str) -> None:
    """Make an axis logarithmic, with plain numbers: powers of ten would be mathematics, which SVG text has not."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axis.set_major_formatter(plain)
    axis.set_minor_formatter(plain if high < 12 * low else NullFormatter())


def _short(text: str, limit: int = 28) -> str:
    return text if len(text) <= limit else "…" + text[-limit + 1 :]


def charts(results: Results) -> list[tuple[str, str, str]]:
    """Draw what there is to draw: (title, note, SVG)."""
    import matplotlib

    found = []
    with matplotlib.rc_context(_STYLE):
        for i, objective in enumerate(results.objectives):
            what = f"{objective.metric} ({objective.value}, {objective.direction})"
            if any(t.values for t in results.trials):
                found.append((f"History of {what}", "", _history(results, i)))
        if len(results.objectives) > 1 and results.finished():
            found.append(("Pareto front", "trials that no other beats in every objective", _front(results)))
        if results.importances:
            found.append(("Importances", results.note, _importances(results.importances)))
        if results.axes and results.finished():
            note = "one line a finished trial; the stronger, the better"
            found.append(("Parallel coordinates", note, _parallel(results)))
            for i, objective in enumerate(results.objectives):
                found.append((f"Slices: {objective.metric}", "", _slices(results, i)))
    return found


def _history(results: Results, index: int) -> str:
    from matplotlib.ticker import MaxNLocator

    figure = _figure(_WIDTH, 3.4)
    axes = figure.subplots()
    done = sorted(results.finished(), key=lambda t: t.number)
    pruned = [t for t in results.trials if t.state == "pruned" and len(t.values) > index]
    axes.plot(
        [t.number for t in done], [t.values[index] for t in done], "o", color=_ACCENT, alpha=0.75, label="finished"
    )
    if pruned:
        axes.plot(
            [t.number for t in pruned],
            [t.values[index] for t in pruned],
            "D",
            markerfacecolor="none",
            color=_SOFT,
            markersize=5,
            label="pruned, at its last value",
        )
    if len(results.objectives) == 1 and done:
        minimize, steps, best = results.objectives[0].mode == "min", [], done[0].values[0]
        for trial in done:
            best = min(best, trial.values[0]) if minimize else max(best, trial.values[0])
            steps.append(best)
        last = max(t.number for t in results.trials)
        axes.step(
            [*(t.number for t in done), last], [*steps, steps[-1]], where="post", color=_BEST, label="best so far"
        )
    if failed := [t.number for t in results.trials if t.state == "failed"]:
        transform = axes.get_xaxis_transform()  # at the lower edge: there is no value
        axes.plot(failed, [0.03] * len(failed), "x", color=_BAD, transform=transform, label="failed", clip_on=False)
    if _wide([t.values[index] for t in (*done, *pruned)]):
        _log(axes, "y")
    axes.set_xlabel("trial")
    axes.set_ylabel(results.objectives[index].metric)
    axes.set_xlim(-0.6, max((t.number for t in results.trials), default=0) + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.legend(loc="outside upper right", ncols=4)
    return _svg(figure)


def _front(results: Results) -> str:
    pairs = [(0, 1)] if len(results.objectives) == 2 else [(0, 1), (0, 2), (1, 2)]
    figure = _figure(_WIDTH if len(pairs) > 1 else 6.5, 3.8)
    for axes, (a, b) in zip(figure.subplots(1, len(pairs), squeeze=False)[0], pairs, strict=True):
        rest = [t for t in results.finished() if t.number not in results.best]
        front = sorted((t for t in results.finished() if t.number in results.best), key=lambda t: t.values[a])
        axes.plot([t.values[a] for t in rest], [t.values[b] for t in rest], "o", color=_SOFT, alpha=0.8)
        axes.plot([t.values[a] for t in front], [t.values[b] for t in front], "o-", color=_BEST, linewidth=1)
        for axis, i in ((axes.xaxis, a), (axes.yaxis, b)):
            objective = results.objectives[i]
            axis.set_label_text(f"{objective.metric} ({objective.direction})")
            if _wide([t.values[i] for t in results.finished()]):
                _log(axes, "x" if axis is axes.xaxis else "y")
    return _svg(figure)


def _importances(importances: dict[str, float]) -> str:
    figure = _figure(_WIDTH, 0.6 + 0.36 * len(importances))
    axes = figure.subplots()
    names = list(importances)[::-1]
    bars = axes.barh(names, [importances[n] for n in names], color=_ACCENT, height=0.62)
    axes.bar_label(bars, fmt="%.2f", padding=4)
    axes.set_xlim(0, 1.08 * max(importances.values()))
    axes.grid(False)
    axes.xaxis.set_visible(False)
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return _svg(figure)


def _ranked(results: Results) -> list[tuple[float, Trial]]:
    """Finished trials with their goodness by rank of the first objective, 0 worst, 1 best; the best last."""
    sign = -1 if results.objectives[0].mode == "min" else 1
    ordered = sorted(results.finished(), key=lambda t: sign * t.values[0])
    return [(i / max(1, len(ordered) - 1), t) for i, t in enumerate(ordered)]


def _parallel(results: Results) -> str:
    columns: list[Axis | int] = [*results.axes, *range(len(results.objectives))]
    figure = _figure(_WIDTH, 4.2)
    axes = figure.subplots()
    scaled: list[dict[int, float]] = []  # of each column: trial -> height
    missing = any(a.name not in t.params for a in results.axes for t in results.finished())
    for x, column in enumerate(columns):
        axes.axvline(x, ymin=0, color=_LINE, linewidth=1)
        raw = {
            t.number: t.values[column] if isinstance(column, int) else results.numeric(column, t)
            for t in results.finished()
        }
        present = [v for v in raw.values() if v is not None]
        choices = None if isinstance(column, int) else column.choices
        log = _wide(present) if isinstance(column, int) else column.log
        to_height, ticks = _scale(present, choices, log)
        scaled.append({n: -0.12 if v is None else to_height(v) for n, v in raw.items()})
        for value, label in ticks:
            axes.text(x + 0.02, value, _short(label, 16), va="center", fontsize=8.5, zorder=5)
        name = results.objectives[column].metric if isinstance(column, int) else column.name
        axes.text(x, 1.08, _short(name, 26), ha="center", fontweight="bold", fontsize=9)
    for goodness, trial in _ranked(results):
        best = trial.number in results.best
        heights = [s[trial.number] for s in scaled]
        width, alpha = (2.2, 1.0) if best else (1.1, 0.12 + 0.6 * goodness**2)
        axes.plot(range(len(columns)), heights, color=_BEST if best else _ACCENT, linewidth=width, alpha=alpha)
    if missing:
        axes.text(-0.06, -0.12, "absent", ha="right", va="center", fontsize=8.5)
    axes.set_xlim(-0.35, len(columns) - 0.55)
    axes.set_ylim(-0.18 if missing else -0.06, 1.14)
    axes.axis("off")
    return _svg(figure)


def _scale(present: Sequence[float], choices: Sequence[str] | None, log: bool) -> tuple[Any, list[tuple[float, str]]]:
    """How values of a column become heights from 0 to 1, and the ticks there."""
    if choices is not None:
        top = max(1, len(choices) - 1)
        middle = 0.5 if len(choices) == 1 else 0.0
        return (lambda v: v / top + middle), [(i / top + middle, c) for i, c in enumerate(choices)]
    if not present:
        return (lambda v: 0.5), []
    low, high = min(present), max(present)
    if low == high:
        return (lambda v: 0.5), [(0.5, f"{low:.4g}")]

    def forward(v: float) -> float:
        return math.log(v) if log else v

    def back(height: float) -> float:
        inner = forward(low) + height * (forward(high) - forward(low))
        return math.exp(inner) if log else inner

    heights = (0.0, 0.25, 0.5, 0.75, 1.0)
    return (
        lambda v: (forward(v) - forward(low)) / (forward(high) - forward(low)),
        [(h, f"{back(h):.3g}") for h in heights],
    )


def _slices(results: Results, index: int) -> str:
    across = min(3, len(results.axes))
    rows = math.ceil(len(results.axes) / across)
    figure = _figure(_WIDTH * across / 3 if across > 1 else _WIDTH / 2, 2.9 * rows)
    grid = figure.subplots(rows, across, squeeze=False, sharey=True)
    wide = _wide([t.values[index] for t in results.finished()])
    for i, axes in enumerate(grid.flat):
        if i >= len(results.axes):
            axes.set_visible(False)
            continue
        axis = results.axes[i]
        for chosen, colour, size, order in ((False, _ACCENT, 5, 2), (True, _BEST, 7, 3)):
            trials = [t for t in results.finished() if (t.number in results.best) is chosen and axis.name in t.params]
            aside = 0.3 if axis.choices is not None else 0.0  # so that equal choices do not hide each other
            x = [(results.numeric(axis, t) or 0.0) + aside * ((0.618 * t.number) % 1 - 0.5) for t in trials]
            y = [t.values[index] for t in trials]
            axes.plot(x, y, "o", color=colour, markersize=size, alpha=0.75, zorder=order)
        if axis.choices is not None:
            axes.set_xticks(range(len(axis.choices)), [_short(c, 14) for c in axis.choices])
            axes.set_xlim(-0.5, len(axis.choices) - 0.5)
        elif axis.log:
            _log(axes, "x")
        if wide:
            _log(axes, "y")
        axes.set_title(_short(axis.name, 36))
        if i % across == 0:
            axes.set_ylabel(results.objectives[index].metric)
    return _svg(figure)
