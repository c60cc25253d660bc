"""The top of the page: what was read, how much of it is reproduced, and what the words mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from reprise.reproduction.report import words
from reprise.reproduction.report.context import Context
from reprise.reproduction.report.markup import MEASURED, badge, facts, folded, icon, plural, slug, text
from reprise.reproduction.standing import KINDS, OUTCOMES, Kind, Outcome, PaperStanding, Report

_JUDGED: tuple[Kind, ...] = ("reproduced", "better", "not reproduced", "inconclusive")
_MARKS = (
    ("± of ours", "Half the width of the 95 % t interval of the mean over seeds. One seed has none."),
    ("n", "Seeds that our mean is over."),
    ("stand-in", "Public data in place of private ones. The figure is compared with nothing: other data, other scale."),
    ("difference", "Ours minus reported, and as share of the reported figure."),
    ("deviation", "A value of the config that differs from the experiment's protocol."),
    ("device time", "Of all runs behind the row, training and measurements, times the devices they held."),
)
_BAR = 1000  # width of a stacked bar, in its own units


def header_html(report: Report) -> str:
    """Title, and what the page was made from."""
    records = plural(report.records, "record")
    newest = f", the newest begun {text(words.moment(report.newest))}" if report.newest else ""
    read = [("records", f"{records} below <code>{text(report.root)}</code>{newest}")]
    read += [("version", f"reprise {text(report.version)}")]
    if report.set_aside:
        read.append(("set aside", f"{plural(report.set_aside, 're-run')} of a run that counts already"))
    if report.unclaimed:
        read.append(("unclaimed", f"{plural(report.unclaimed, 'run')} that no figure or claim names"))
    items = "".join(f"<li><code>{text(path)}</code><span>{text(why)}</span></li>" for path, why in report.rejected)
    title = f"{plural(len(report.rejected), 'record')} could not be read"
    rejected = folded(title, f'<ul class="rejected">{items}</ul>' if items else "", "warning")
    return (
        '<header class="top"><div class="title"><h1>Reproduction report</h1>'
        '<button type="button" class="theme" hidden>Theme: system</button></div>'
        '<p class="lead">Figures and claims of papers, beside what runs of their experiments show.</p>'
        f"{facts(read, 'facts read')}{rejected}</header>"
    )


def summary_html(report: Report, context: Context) -> str:
    """Counts in all and by paper."""
    counts = report.counts
    total = sum(counts.values())
    judged = sum(counts[k] for k in _JUDGED)
    tests = sum(counts[k] for k in counts if k != "not testable")
    sentence = (
        f"{plural(len(report.papers), 'paper')} with {plural(total, 'figure')}. "
        f"Outsiders can test {tests:,} of them; {judged:,} rest on runs of the exact protocol, "
        f"and {counts['reproduced']:,} {'is' if counts['reproduced'] == 1 else 'are'} reproduced"
        f"{f' ({report.derived:,} of them derived: computed, not printed)' if report.derived else ''}. "
        "The name of a row opens its evidence; "
        'the <a href="#legend">legend</a> says what the words mean.'
    )
    tiles = "".join(
        f'<li><a class="tile k-{slug(kind)}{"" if n else " none"}" href="#papers" data-verdict="{slug(kind)}">'
        f"<b>{n:,}</b><span>{icon(kind)}{text(kind)}</span></a></li>"
        for kind, n in counts.items()
    )
    return (
        '<section id="summary" aria-labelledby="summary-h"><h2 id="summary-h">Summary</h2>'
        f'<p class="sentence">{sentence}</p><ul class="tiles">{tiles}</ul>{_matrix(report, context)}</section>'
    )


def bar(counts: Mapping[Kind, int]) -> str:
    """A stacked bar; the numbers stand beside it, so it says nothing to a screen reader."""
    total = sum(counts.values())
    if not total:
        return ""
    parts, x = [], 0.0
    for kind, n in counts.items():
        width = _BAR * n / total
        if n:
            parts.append(
                f'<rect class="k-{slug(kind)}" x="{x:.1f}" y="0" width="{max(2.0, width - 4):.1f}" height="12"/>'
            )
        x += width
    return (
        f'<svg class="bar" viewBox="0 0 {_BAR} 12" preserveAspectRatio="none" aria-hidden="true">{"".join(parts)}</svg>'
    )


def _matrix(report: Report, context: Context) -> str:
    heads = "".join(_kind_head(k, "") for k in report.counts)
    tested = "".join(_kind_head(o, " first" if i == 0 else "") for i, o in enumerate(OUTCOMES))
    rows = "".join(_matrix_row(paper, context) for paper in report.papers)
    outcomes = {o: sum(p.outcomes[o] for p in report.papers) for o in OUTCOMES}
    foot = "".join(f'<td class="n">{n:,}</td>' for n in report.counts.values())
    foot += "".join(f'<td class="n{" first" if i == 0 else ""}">{n:,}</td>' for i, n in enumerate(outcomes.values()))
    head = (
        '<thead><tr><th scope="col" rowspan="2" class="name" data-sort="text">paper</th>'
        f'<th scope="colgroup" colspan="{1 + len(report.counts)}" class="column">figures</th>'
        f'<th scope="colgroup" colspan="{len(OUTCOMES)}" class="column first">claims</th></tr>'
        f'<tr><td class="bar-cell"></td>{heads}{tested}</tr></thead>'
    )
    every = f'<tr><th scope="row" class="name">all</th><td class="bar-cell">{bar(report.counts)}</td>{foot}</tr>'
    return (
        '<div class="table" role="region" tabindex="0" aria-label="Verdicts by paper">'
        '<table class="matrix" data-key="matrix">'
        '<caption class="unseen">Verdicts of figures and outcomes of claims, by paper</caption>'
        f"{head}<tbody>{rows}</tbody><tfoot>{every}</tfoot></table></div>"
    )


def _kind_head(kind: str, css: str) -> str:
    return (
        f'<th scope="col" class="n kind k-{slug(kind)}{css}" data-sort="number">{icon(kind)}'
        f"<span>{text(kind)}</span></th>"
    )


def _matrix_row(paper: PaperStanding, context: Context) -> str:
    name = paper.paper.name
    key = context.ids.of("p", name)
    cells = [_count(paper, key, kind, n, "") for kind, n in paper.counts.items()]
    cells += [_count(paper, key, o, n, " first" if i == 0 else "") for i, (o, n) in enumerate(paper.outcomes.items())]
    return (
        f'<tr><th scope="row" class="name"><a href="#{key}">{text(name).replace("_", "_<wbr>")}</a></th>'
        f'<td class="bar-cell">{bar(paper.counts)}</td>{"".join(cells)}</tr>'
    )


def _count(paper: PaperStanding, key: str, kind: Kind | Outcome, n: int, css: str) -> str:
    if not n:
        none = '<span aria-hidden="true">·</span><span class="unseen">0</span>'
        return f'<td class="n zero{css}" data-value="0">{none}</td>'
    said = f'<span class="unseen"> {text(kind)} of {text(paper.paper.name)}</span>'
    target = f'data-verdict="{slug(kind)}" data-paper="{key}"'
    return f'<td class="n{css}" data-value="{n}"><a href="#{key}" {target}>{n}{said}</a></td>'


def legend_html() -> str:
    """What every verdict, outcome and mark means."""
    kinds = "".join(f"<div><dt>{badge(k, False)}</dt><dd>{text(said)}</dd></div>" for k, said in KINDS.items())
    outcomes = "".join(f"<div><dt>{badge(o, False)}</dt><dd>{text(said)}</dd></div>" for o, said in OUTCOMES.items())
    sure = "".join(
        f'<div><dt><span class="sure">{text(words.SURE[s][0])}</span></dt><dd>{text(words.SURE[s][1])}</dd></div>'
        for s in get_args(words.Sure)
        if s != "paper"
    )
    marks = f"<div><dt>{badge('measured', False)}</dt><dd>{text(MEASURED)}</dd></div>"
    marks += "".join(f"<div><dt>{text(name)}</dt><dd>{text(said)}</dd></div>" for name, said in _MARKS)
    return (
        '<section id="legend" aria-labelledby="legend-h"><h2 id="legend-h">What the words mean</h2><div class="legend">'
        f'<section><h3>Verdicts on figures</h3><dl class="meanings">{kinds}</dl></section>'
        f'<section><h3>Outcomes of claims</h3><dl class="meanings">{outcomes}</dl></section>'
        f'<section><h3>Marks</h3><dl class="meanings">{sure}{marks}</dl></section></div></section>'
    )
