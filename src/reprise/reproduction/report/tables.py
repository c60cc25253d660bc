"""A table as the paper prints it, our figures beside the reported ones."""

from __future__ import annotations

import math
from typing import NamedTuple

from reprise.reproduction.paper import Row, Table, Target
from reprise.reproduction.report import words
from reprise.reproduction.report.context import Context
from reprise.reproduction.report.markup import badge, paragraphs, plural, slug, text
from reprise.reproduction.standing import Ours, PaperStanding, StandIn, Standing

_ROOMY = 1  # so many columns of figures leave room for a column each for n, difference and verdict
_SHORT = 24  # characters of a fact that stay in one line


class Layout(NamedTuple):
    """How the columns of a table are laid out.

    Attributes:
        roomy: n, difference and verdict have columns of their own; else they stand below our figure.
        measured: there is, or could be, a figure of ours; else only verdicts stand beside the reported ones.
    """

    roomy: bool
    measured: bool

    @property
    def width(self) -> int:
        """Cells of a figure."""
        return 5 if self.roomy and self.measured else 2


def table_html(paper: PaperStanding, table: Table, context: Context) -> str:
    """The table with its caption and notes; the evidence of its rows stands elsewhere."""
    key = context.ids.of("t", paper.paper.name, table.id)
    layout = _layout(paper, table)
    groups: list[list[Row]] = []
    for row in table.rows:
        if not groups or groups[-1][0].group != row.group:
            groups.append([])
        groups[-1].append(row)
    body = "".join(_group(paper, table, group, layout, context) for group in groups)
    label = f"{paper.paper.name}, {table.printed}: {table.title}"
    return (
        f'<div class="table" role="region" tabindex="0" aria-label="{text(label)}">'
        f'<table class="figures {"roomy" if layout.roomy else "dense"}" data-key="{key}">'
        f'<caption class="unseen">{text(label)}</caption>{_head(table, layout)}{body}</table></div>'
    )


def _layout(paper: PaperStanding, table: Table) -> Layout:
    standings = [paper.targets[t.id] for row in table.rows for t in row.targets.values()]
    measured = any(s.kind not in ("quoted", "not testable") or s.ours or s.standin for s in standings)
    return Layout(len(table.columns) <= _ROOMY, measured)


def doubts(table: Table) -> str:
    """A line that says how many of the table's figures nobody saw in the paper."""
    targets = [t for row in table.rows for t in row.targets.values() if t.value is not None]
    unsure = [t for t in targets if t.sure != "paper"]
    if not unsure:
        return ""
    kinds = list(dict.fromkeys(words.SURE[t.sure][0] for t in unsure))
    count = "Every reported figure" if len(unsure) == len(targets) else f"{len(unsure)} of {len(targets)} figures"
    verb = "is" if len(unsure) == len(targets) or len(unsure) == 1 else "are"
    return f'<p class="doubt">{count} here {verb} {text(" or ".join(kinds))}, not seen in the paper.</p>'


def notes(table: Table) -> str:
    """What a reader should know of the table."""
    standins = any(t.standin and t.standin_measure for row in table.rows for t in row.targets.values())
    said = "Rows marked stand-in hold figures on public data in place of private ones; they are compared with nothing."
    return paragraphs(table.note) + (f'<p class="note">{said}</p>' if standins else "") + doubts(table)


def _head(table: Table, layout: Layout) -> str:
    span = "" if layout.roomy else ' rowspan="2"'
    cells = [f'<th scope="col" class="name"{span} data-sort="text">row</th>']
    cells += [f'<th scope="col"{span} data-sort="text">{text(f)}</th>' for f in table.facts]
    tail = f'<th scope="col" class="n"{span} data-sort="number">device time</th>' if layout.measured else ""
    if layout.roomy:
        cells += [f'<th scope="col" class="n" data-sort="number">{_column(table, 0)} reported</th>']
        if layout.measured:
            names = ("ours, 95 % interval", "n", "difference")
            cells += [f'<th scope="col" class="n" data-sort="number">{name}</th>' for name in names]
        cells += ['<th scope="col" data-sort="text">verdict</th>']
        return f"<thead><tr>{''.join(cells)}{tail}</tr></thead>"
    columns = range(len(table.columns))
    cells += [f'<th scope="colgroup" colspan="2" class="column">{_column(table, i)}</th>' for i in columns]
    last = ("number", "ours, 95 %") if layout.measured else ("text", "verdict")
    second = (
        '<th scope="col" class="n first" data-sort="number">reported</th>'
        f'<th scope="col" class="n" data-sort="{last[0]}">{last[1]}</th>'
    ) * len(table.columns)
    return f"<thead><tr>{''.join(cells)}{tail}</tr><tr>{second}</tr></thead>"


def _column(table: Table, index: int) -> str:
    column = table.columns[index]
    sign, said = words.arrow(column.direction)
    hint = f' <span class="arrow" title="{said}" aria-hidden="true">{sign}</span><span class="unseen">, {said}</span>'
    return f"{text(column.label)}{hint if sign else ''}"


def _group(paper: PaperStanding, table: Table, rows: list[Row], layout: Layout, context: Context) -> str:
    width = 1 + len(table.facts) + layout.width * len(table.columns) + layout.measured
    name = rows[0].group
    head = (
        f'<tr class="group"><th scope="rowgroup" colspan="{width}"><span>{text(name)}</span></th></tr>' if name else ""
    )
    return f"<tbody>{head}{''.join(_row(paper, table, row, layout, context) for row in rows)}</tbody>"


def _row(paper: PaperStanding, table: Table, row: Row, layout: Layout, context: Context) -> str:
    standings = {key: paper.targets[t.id] for key, t in row.targets.items()}
    key = context.ids.of("e", paper.paper.name, table.id, row.id)
    runs = words.row_runs(standings.values())
    own = [r for s in standings.values() for r in s.runs]
    kinds = " ".join(sorted({slug(s.kind) for s in standings.values()}))
    tag = ' <span class="tag">baseline</span>' if row.baseline else ""
    group = f'<span class="of-group">{text(row.group)}</span>' if row.group else ""
    count = f'<span class="count">{plural(len(runs), "run")}</span>' if runs else ""
    opened = f'<a class="open" href="#{key}" title="evidence">{text(row.label)}</a>'
    cells = [f'<th scope="row" class="name">{opened}{tag}{count}{group}</th>']
    cells += [f'<td class="fact{"" if len(f) > _SHORT else " short"}">{text(f)}</td>' for f in row.facts]
    for column in table.columns:
        standing = standings.get(column.id)
        cells += _roomy(standing, layout) if layout.roomy else _dense(standing)
    seconds = words.device_seconds(own)
    order = "" if seconds is None else f' data-value="{seconds:.6g}"'
    if layout.measured:
        cells.append(f'<td class="n cost"{order}>{words.duration(seconds)}</td>')
    css = "row baseline" if row.baseline else "row"
    data = f'data-kinds="{kinds}" data-runs="{len(runs)}" data-row="{key}"'
    return f'<tr class="{css}" {data}>{"".join(cells)}</tr>{_standins(table, row, standings, layout, key)}'


def _reported(target: Target) -> str:
    if target.value is None:
        return f'<span class="null" title="{text(target.note)}">{text(target.printed)}</span>'
    sure = ""
    if target.sure != "paper":
        name, said = words.SURE[target.sure]
        sure = f'<span class="sure" title="{text(said)}">{text(name)}</span>'
    return f'<span class="figure">{text(target.printed)}</span>{sure}'


def _order(number: float | None) -> str:
    return "" if number is None or not math.isfinite(number) else f' data-value="{number!r}"'


def _deviations(count: int) -> str:
    return f'<span class="deviations">{plural(count, "deviation")}</span>' if count else ""


def _roomy(standing: Standing | None, layout: Layout) -> list[str]:
    if standing is None:
        return ['<td class="n"></td>'] * (layout.width - 1) + ["<td></td>"]
    target, ours = standing.target, standing.ours
    decimals = words.digits(target)
    if ours is None:
        middle = ['<td class="n"></td>'] * (layout.width - 2)
    else:
        middle = [
            f'<td class="n"{_order(ours.mean)}><b>{text(words.interval(ours, decimals, target.unit))}</b></td>',
            f'<td class="n"{_order(ours.n)}>n = {ours.n}</td>',
            f'<td class="n"{_order(standing.difference)}>{_difference(standing, "<br>")}</td>',
        ]
    kind = f'<td class="verdict" data-kind="{slug(standing.kind)}">{badge(standing.kind)}'
    return [
        f'<td class="n"{_order(target.value)}>{_reported(target)}</td>',
        *middle,
        f"{kind}{_deviations(len(standing.deviations))}</td>",
    ]


def _dense(standing: Standing | None) -> list[str]:
    if standing is None:
        return ['<td class="n first"></td>', '<td class="n"></td>']
    target, ours = standing.target, standing.ours
    lines = ""
    if ours is not None:
        mean = text(words.interval(ours, words.digits(target), target.unit))
        lines = f'<span class="ours"><b>{mean}</b> <small>n = {ours.n}</small></span>'
    more = " · ".join(p for p in (_difference(standing, " "), _deviations(len(standing.deviations))) if p)
    return [
        f'<td class="n first"{_order(target.value)}>{_reported(target)}</td>',
        f'<td class="n"{_order(ours.mean if ours else None)} data-kind="{slug(standing.kind)}">{lines}'
        f"{badge(standing.kind)}{f'<small>{more}</small>' if more else ''}</td>",
    ]


def _difference(standing: Standing, between: str) -> str:
    if standing.difference is None:
        return ""
    target = standing.target
    found = text(words.signed(standing.difference, words.digits(target)))
    share = words.share(standing.difference, target.value)
    return f"{found}{between}<small>({text(share)})</small>" if share else found


def _standins(table: Table, row: Row, standings: dict[str, Standing], layout: Layout, key: str) -> str:
    """One row for each experiment that stands in for the row's own."""
    names = dict.fromkeys(s.standin.experiment for s in standings.values() if s.standin)
    found = []
    for name in names:
        here = {c: s for c, s in standings.items() if s.standin and s.standin.experiment == name}
        cells = [
            f'<th scope="row" class="name" colspan="{1 + len(table.facts)}"><span class="label">'
            f'<span class="tag">stand-in</span> <code>{text(name)}</code></span>'
            "</th>"
        ]
        for column in table.columns:
            standing = here.get(column.id)
            if standing is None or standing.standin is None:
                cells += ['<td class="n first"></td>'] + ['<td class="n"></td>'] * (layout.width - 1)
            else:
                cells += _standin(standing.target, standing.standin, layout.roomy)
        runs = [r for s in here.values() if s.standin for r in s.standin.runs]
        seconds = words.duration(words.device_seconds(runs))
        cells.append(f'<td class="n cost">{seconds}</td>')
        found.append(f'<tr class="standin" data-of="{key}">{"".join(cells)}</tr>')
    return "".join(found)


def _standin(target: Target, standin: StandIn, roomy: bool) -> list[str]:
    ours: Ours | None = standin.ours
    mean = text(words.interval(ours, words.digits(target), target.unit)) if ours else ""
    state = badge(standin.state) + _deviations(len(standin.deviations))
    if roomy:
        figures = [f'<td class="n"><b>{mean}</b></td>', f'<td class="n">{f"n = {ours.n}" if ours else ""}</td>']
        return ['<td class="n first"></td>', *figures, "<td></td>", f'<td class="verdict">{state}</td>']
    line = f'<span class="ours"><b>{mean}</b> <small>n = {ours.n}</small></span>' if ours else ""
    return ['<td class="n first"></td>', f'<td class="n">{line}{state}</td>']
