"""Learning curves of the runs that figures rest on: training loss and the validation metric that was watched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from reprise.reproduction.entry import Entry
from reprise.reproduction.report.axis import Scale, fit, spans_decades, tick_texts
from reprise.reproduction.report.markup import place, plural, text
from reprise.tracking.metrics_csv import read_series

Points = list[tuple[float, float]]
MAX_POINTS = 200
_SEEDS = 8  # lines that a picture can tell apart
_LOSS = "train/loss"
_LOG = 20.0
_WIDTH, _HEIGHT = 480, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 468, 10, 188


def curves_html(runs: Sequence[Entry], root: str) -> str:
    """Two pictures for each protocol that was run; "" where no run kept a metrics.csv."""
    found = []
    for _, group in groupby(runs, key=lambda r: (r.experiment or r.name, r.digest)):
        members = list(group)
        drawn = members[:_SEEDS]
        names = list(dict.fromkeys([_LOSS, *_watched(members)]))
        tables = [_series(r, names) for r in drawn]
        if not any(tables):
            continue
        panels = []
        for name in names:
            lines = [
                (f"seed {r.seed}", series[name]) for r, series in zip(drawn, tables, strict=True) if name in series
            ]
            panels.append(_panel(name, lines))
        more = f"; {plural(len(members) - _SEEDS, 'more run')} not drawn" if len(members) > _SEEDS else ""
        where = place(members[0].directory.parent, root)
        found.append(
            f'<figure class="curves"><figcaption><b>{text(members[0].experiment or members[0].name)}</b> '
            f"digest <code>{text(members[0].digest[:8])}</code>, {plural(len(members), 'run')} below "
            f"<code>{text(where)}</code>{more}</figcaption>"
            f'<div class="panels wide">{"".join(panels)}</div></figure>'
        )
    return "".join(found)


def _series(run: Entry, names: Sequence[str]) -> dict[str, Points]:
    """What is drawn of a run; metrics that were never finite are left out."""
    try:
        found = read_series(run.directory, names)
    except (OSError, ValueError):  # a file changed by hand has no place in a report, and no right to end it
        return {}
    finite = {n: [(float(step), value) for step, value in rows if math.isfinite(value)] for n, rows in found.items()}
    return {name: downsample(points) for name, points in finite.items() if points}


def _watched(runs: Sequence[Entry]) -> list[str]:
    """The metric whose best value the record keeps; the loss on validation data where it keeps none."""
    names = {name for r in runs for name, m in r.metrics.items() if m.best is not None and name.startswith("val/")}
    return sorted(names)[:1] or sorted({n for r in runs for n in r.metrics if n == "val/loss"})


def downsample(points: Points, most: int = MAX_POINTS) -> Points:
    """Keep at most so many points, those that span the largest triangles, so that peaks stay."""
    if len(points) <= most:
        return points
    kept = [points[0]]
    width = (len(points) - 2) / (most - 2)
    for i in range(most - 2):
        start, end = 1 + int(i * width), 1 + int((i + 1) * width)
        after = points[end : max(end + 1, 1 + int((i + 2) * width))] or points[-1:]
        x2, y2 = sum(p[0] for p in after) / len(after), sum(p[1] for p in after) / len(after)
        x1, y1 = kept[-1]
        kept.append(max(points[start:end], key=lambda p: abs((x1 - x2) * (p[1] - y1) - (x1 - p[0]) * (y2 - y1))))
    return [*kept, points[-1]]


def _panel(name: str, lines: Sequence[tuple[str, Points]]) -> str:
    """One picture, one line a seed."""
    if not lines:
        return f'<div class="panel"><p class="panel-title">{text(name)}</p><p class="note">not recorded</p></div>'
    xs = [x for _, points in lines for x, _ in points]
    ys = [y for _, points in lines for _, y in points]
    across = Scale(min(0.0, min(xs)), max(xs) or 1.0, _LEFT, _RIGHT)
    up = fit(ys, _BOTTOM, _TOP, spans_decades(ys, _LOG))
    drawn = "".join(_line(points, i, across, up) for i, (_, points) in enumerate(lines))
    swatch = '<svg class="swatch" viewBox="0 0 18 6" aria-hidden="true"><path d="M0 3H18"/></svg>'
    legend = "".join(f'<span class="line-{i}">{swatch}{text(label)}</span>' for i, (label, _) in enumerate(lines))
    last = "; ".join(f"{label} ends at {points[-1][1]:.4g}" for label, points in lines)
    scale = ", logarithmic" if up.log else ""
    said = f"{name} over iterations{scale}: {last}"
    return (
        f'<div class="panel"><p class="panel-title">{text(name)}<small>{scale}</small></p>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{text(said)}">'
        f'{_axes(across, up)}{drawn}</svg><p class="key">{legend}</p></div>'
    )


def _line(points: Points, index: int, across: Scale, up: Scale) -> str:
    if len(points) == 1:
        x, y = points[0]
        return f'<circle class="line-{index} dot" cx="{across.at(x):.1f}" cy="{up.at(y):.1f}" r="3"/>'
    places = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in points)
    return f'<polyline class="line-{index}" points="{places}"/>'


def _axes(across: Scale, up: Scale) -> str:
    found = []
    for tick, said in tick_texts(up.ticks(4)):
        y = up.at(tick)
        found.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{said}</text>'
        )
    for tick, said in tick_texts(across.ticks(5)):
        x = across.at(tick)
        anchor = "end" if x > _RIGHT - 14 else "middle"
        found.append(f'<text class="tick" x="{x:.1f}" y="{_BOTTOM + 16}" text-anchor="{anchor}">{said}</text>')
    found.append(f'<line class="axis" x1="{_LEFT}" x2="{_RIGHT}" y1="{_BOTTOM}" y2="{_BOTTOM}"/>')
    found.append(f'<text class="tick" x="{_RIGHT}" y="{_HEIGHT - 2}" text-anchor="end">iterations</text>')
    return "".join(found)
