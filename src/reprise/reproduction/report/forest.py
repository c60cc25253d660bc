"""Our figures against the reported ones, with the tolerance as a band: one small picture a column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reprise.reproduction.paper import Column, Table
from reprise.reproduction.report import words
from reprise.reproduction.report.axis import Scale, fit, spans_decades, tick_texts
from reprise.reproduction.report.markup import slug, text
from reprise.reproduction.standing import Ours, PaperStanding

_WIDTH, _LINE, _TOP, _BOTTOM = 380, 42, 6, 26
_LEFT, _RIGHT = 8, 372
_LABEL = 56  # characters of a label that fit above its line
_LOG = 30.0  # a column whose figures differ by more than this factor gets a logarithmic axis


@dataclass(frozen=True)
class Mark:
    """A line of the picture.

    Attributes:
        label: of the row.
        reported: figure of the paper.
        spread: printed behind its ±.
        tolerance: around it.
        ours: our figure.
        kind: verdict, for the colour.
    """

    label: str
    reported: float | None
    spread: float | None
    tolerance: float | None
    ours: Ours | None
    kind: str

    @property
    def ends(self) -> list[float]:
        """All values that have to fit into the picture."""
        found: list[float] = []
        if self.reported is not None:
            off = max(self.spread or 0.0, self.tolerance or 0.0)
            found += [self.reported - off, self.reported + off]
        if self.ours is not None:
            off = self.ours.half_width or 0.0
            found += [self.ours.mean - off, self.ours.mean + off, *(s.value for s in self.ours.samples)]
        return [v for v in found if math.isfinite(v)]


def forest_html(paper: PaperStanding, table: Table) -> str:
    """A picture for each column of which we have a figure; "" where there is none."""
    panels = []
    for column in table.columns:
        marks = column_marks(paper, table, column)
        if any(m.ours for m in marks):
            sign, said = words.arrow(column.direction)
            title = f"{column.label} {sign}".strip()
            unit = f" ({column.unit.strip()})" if column.unit.strip() else ""
            panels.append(panel(f"{title}{unit}", marks, f"{table.printed}, {column.label}, {said or 'no direction'}"))
    if not panels:
        return ""
    return (
        f'<figure class="forest"><div class="panels">{"".join(panels)}</div>'
        "<figcaption>The line is the reported figure, the band around it the tolerance, the bracket the ± that the "
        "paper prints. The dot is our mean with its 95 % interval, hollow where the runs deviate or are stale; "
        "the small dots are seeds.</figcaption></figure>"
    )


def column_marks(paper: PaperStanding, table: Table, column: Column) -> list[Mark]:
    """What is drawn of a column: its rows, competitors' left out."""
    found = []
    for row in table.rows:
        target = row.targets.get(column.id)
        if target is None or target.quoted:
            continue
        standing = paper.targets[target.id]
        if target.value is None and standing.ours is None:
            continue
        label = " · ".join(p for p in (row.label, *(f for f in row.facts if f)) if p)
        spread = target.spread.value if target.spread else None
        tolerance = target.tolerance.value if target.tolerance else None
        found.append(Mark(label, target.value, spread, tolerance, standing.ours, standing.kind))
    return found


def panel(title: str, marks: Sequence[Mark], said: str) -> str:
    """One picture."""
    ends = [v for m in marks for v in m.ends]
    if not ends:
        return ""
    scale = fit(ends, _LEFT, _RIGHT, spans_decades(ends, _LOG))
    height = _TOP + _LINE * len(marks) + _BOTTOM
    base = _TOP + _LINE * len(marks)
    lines = "".join(_mark(m, scale, _TOP + i * _LINE) for i, m in enumerate(marks))
    return (
        f'<div class="panel"><p class="panel-title">{text(title)}</p>'
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{text(said)}: {_spoken(marks)}">'
        f"{_axis(scale, base)}{lines}</svg></div>"
    )


def _spoken(marks: Sequence[Mark]) -> str:
    parts = []
    for mark in marks:
        if mark.ours is not None:
            ours = f"ours {words.interval(mark.ours, None)}, n = {mark.ours.n}"
            reported = f"reported {mark.reported:g}, " if mark.reported is not None else ""
            parts.append(f"{mark.label}: {reported}{ours}, {mark.kind}")
    return text("; ".join(parts))


def _axis(scale: Scale, base: float) -> str:
    found = [f'<line class="axis" x1="{_LEFT}" x2="{_RIGHT}" y1="{base}" y2="{base}"/>']
    for tick, said in tick_texts(scale.ticks(5)):
        x = scale.at(tick)
        anchor = "start" if x < _LEFT + 12 else "end" if x > _RIGHT - 12 else "middle"
        found.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{base}"/>'
            f'<text class="tick" x="{x:.1f}" y="{base + 16}" text-anchor="{anchor}">{said}</text>'
        )
    return "".join(found)


def _mark(mark: Mark, scale: Scale, top: float) -> str:
    y = top + 27.0
    label = mark.label if len(mark.label) <= _LABEL else mark.label[: _LABEL - 1] + "…"
    found = [f'<text class="row-label" x="{_LEFT}" y="{top + 13}">{text(label)}</text>']
    if mark.reported is not None:
        x = scale.at(mark.reported)
        if mark.tolerance:
            found.append(_band("band", scale, mark.reported, mark.tolerance, y))
        if mark.spread:
            found.append(_whisker("bracket", scale, mark.reported, mark.spread, y + 5.5, 2.5))
        found.append(f'<line class="reported" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 8}" y2="{y + 8}"/>')
    if mark.ours is not None and math.isfinite(mark.ours.mean):
        css = f"k-{slug(mark.kind)}"
        x = scale.at(mark.ours.mean)
        seeds = "".join(
            f'<circle class="seed-dot" cx="{scale.at(s.value):.1f}" cy="{y - 5.5}" r="1.8"/>'
            for s in mark.ours.samples
            if mark.ours.n > 1 and math.isfinite(s.value)
        )
        whisker = _whisker("whisker", scale, mark.ours.mean, mark.ours.half_width, y, 4) if mark.ours.half_width else ""
        hollow = " hollow" if mark.kind in ("scaled", "stale") else ""
        found.append(
            f'<g class="{css}">{seeds}{whisker}<circle class="mean{hollow}" cx="{x:.1f}" cy="{y}" r="4.5"/></g>'
        )
    return "".join(found)


def _clip(scale: Scale, value: float) -> float:
    """Place of a value, at the end of the axis where it lies beyond (an interval below zero on a logarithmic one)."""
    return scale.at(min(max(value, scale.low), scale.high))


def _band(css: str, scale: Scale, middle: float, half: float, y: float) -> str:
    left, right = _clip(scale, middle - half), _clip(scale, middle + half)
    return f'<rect class="{css}" x="{left:.1f}" y="{y - 7}" width="{max(2.0, right - left):.1f}" height="14" rx="2"/>'


def _whisker(css: str, scale: Scale, middle: float, half: float, y: float, cap: float) -> str:
    left, right = _clip(scale, middle - half), _clip(scale, middle + half)
    path = f"M{left:.1f} {y - cap}V{y + cap}M{left:.1f} {y}H{right:.1f}M{right:.1f} {y - cap}V{y + cap}"
    return f'<path class="{css}" d="{path}"/>'
