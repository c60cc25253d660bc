"""REPORT.md, and the table of the README: both come from the report, neither is typed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reprise.config.errors import RunError
from reprise.reproduction.paper import Row, Table, Target
from reprise.reproduction.standing import (
    KINDS,
    OUTCOMES,
    ClaimStanding,
    Deviation,
    Kind,
    PaperStanding,
    Report,
    Standing,
)
from reprise.reproduction.terminal import figure

BEGIN = "<!-- reproduction: begin (written by `make report`) -->"
END = "<!-- reproduction: end -->"
_SURE = {"paper": "", "reference": " (seen elsewhere)", "memory": " (recalled)", "derived": " (derived)"}
_WORDS = (
    ("ours", "Mean over n seeds, ± half the width of its 95 % t interval."),
    (
        "seen elsewhere, recalled, derived",
        "Where a reported figure comes from that was not read in the paper itself; derived ones were computed.",
    ),
    ("not recovered", "The paper has a figure that could not be read."),
    ("stand-in", "Our figure on public data that come nearest to private ones. It is compared with nothing."),
    ("p (Holm)", "Of the claim's test, corrected after Holm for all tested claims of the paper."),
)
_DERIVED = "Of the reproduced figures {} are derived ones, which were computed and not printed."
_ELSEWHERE = (
    "The reason of each verdict, the command that makes what is missing, its estimated cost, curves and samples are in "
    "index.html beside this file."
)


def render_markdown(report: Report) -> str:
    """The whole report as one Markdown page."""
    parts = [
        "# Reproduction report",
        f"Records below `{cell(report.root)}`: {report.records}, newest {report.newest or 'none'}. Reprise "
        f"{report.version}.",
        summary_table(report),
        *([_DERIVED.format(report.derived)] if report.derived else []),
        "## What the words mean",
        "\n".join(f"- **{word}**: {text}" for word, text in (*KINDS.items(), *_WORDS)),
        "Of claims:",
        "\n".join(f"- **{outcome}**: {text}" for outcome, text in OUTCOMES.items()),
        _ELSEWHERE,
    ]
    for paper in report.papers:
        parts += _paper(paper)
    if report.rejected:
        parts += [
            "## Records that could not be read",
            "\n".join(f"- `{cell(p)}`: {cell(w)}" for p, w in report.rejected),
        ]
    return "\n\n".join(parts) + "\n"


def summary_table(report: Report) -> str:
    """How many figures of each paper have which verdict."""
    kinds: list[Kind] = [kind for kind in KINDS if kind != "quoted"]
    rows = [["paper", "targets", *kinds, "claims"]]
    for standing in report.papers:
        counts = standing.counts
        held = sum(c.outcome == "holds" for c in standing.claims)
        claims = f"{held} of {len(standing.claims)} hold" if standing.claims else ""
        rows.append([standing.paper.name, str(sum(counts.values())), *(str(counts[k] or "") for k in kinds), claims])
    totals = report.counts
    claims_all = [c for p in report.papers for c in p.claims]
    held = sum(c.outcome == "holds" for c in claims_all)
    rows.append(
        [
            "**all**",
            str(sum(totals.values())),
            *(str(totals[k] or "") for k in kinds),
            f"{held} of {len(claims_all)} hold",
        ]
    )
    return grid(rows)


def grid(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first row its head."""
    head, *body = [[cell(c) for c in row] for row in rows]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in body)])


def cell(text: object) -> str:
    """Text that cannot break out of a table cell or become HTML."""
    flat = " ".join(str(text).split())
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([|`\[\]\\])", r"\\\1", flat)


def paper_markdown(standing: PaperStanding) -> str:
    """A paper's tables, claims and deviations, without its title."""
    return "\n\n".join(_paper(standing)[1:])


def _paper(standing: PaperStanding) -> list[str]:
    paper = standing.paper
    parts = [f"## {cell(paper.title)}", cell(paper.citation)]
    for table in paper.tables:
        parts += [f"### {cell(table.title)} ({cell(table.printed)})", _table(table, standing)]
    if standing.claims:
        parts += ["### Claims", _claims(standing.claims)]
    if notes := _deviation_notes(standing):
        parts += ["### Deviations", notes]
    return parts


def _table(table: Table, standing: PaperStanding) -> str:
    grouped = any(row.group for row in table.rows)
    rows = [[*([""] * grouped), "", *table.facts, "metric", "reported", "ours", "difference", "verdict"]]
    for row in table.rows:
        group = [row.group] * grouped
        for column in table.columns:
            target = row.targets.get(column.id)
            if target is not None:
                state = standing.targets[target.id]
                rows += [
                    group + cells for cells in (_row(row, state, column.label), *_standin(row, state, column.label))
                ]
    return grid(rows)


def _row(row: Row, state: Standing, metric: str) -> list[str]:
    target = state.target
    ours = figure(state.ours, target) if state.ours else ""
    difference = "" if state.difference is None else f"{state.difference:+.4g}"
    verdict = state.kind + _deviating(state.deviations)
    return [row.label, *row.facts, metric, _reported(target), ours, difference, verdict]


def _reported(target: Target) -> str:
    """The figure and how sure it is; what is no figure has no source."""
    return target.printed + ("" if target.value is None else _SURE[target.sure])


def _standin(row: Row, state: Standing, metric: str) -> list[list[str]]:
    standin = state.standin
    if standin is None or standin.ours is None:
        return []
    note = f"stand-in, {standin.state}{_deviating(standin.deviations)}"
    label = f"{row.label}: {standin.experiment}"
    return [[label, *row.facts, metric, "", figure(standin.ours, state.target), "", note]]


def _claims(claims: Sequence[ClaimStanding]) -> str:
    rows = [["claim", "outcome", "measured", "n", "p (Holm)", "why"]]
    for state in claims:
        p = "" if state.p_holm is None else f"{state.p_holm:.3g}"
        measured = "; ".join(f"{t.term.label} {t.ours.mean:.4g}" for t in state.terms if t.ours is not None)
        rows.append([state.claim.text, state.outcome, measured, str(state.n or ""), p, state.reason])
    return grid(rows)


def _deviation_notes(standing: PaperStanding) -> str:
    """Each set of deviations once, with the figures it belongs to."""
    sets: dict[tuple[Deviation, ...], list[str]] = {}
    for state in standing.targets.values():
        if state.deviations:
            sets.setdefault(_hashable(state.deviations), []).append(state.target.id)
        if state.standin is not None and state.standin.deviations:
            name = f"{state.standin.experiment} (stand-in)"
            names = sets.setdefault(_hashable(state.standin.deviations), [])
            if name not in names:
                names.append(name)
    parts = []
    for deviations, names in sets.items():
        lines = [f"- {cell(d.key)}: {cell(d.protocol)} → {cell(d.run)}" for d in deviations]
        parts.append("\n".join([f"{', '.join(cell(n) for n in names)}:", "", *lines]))
    return "\n\n".join(parts)


def _hashable(deviations: Sequence[Deviation]) -> tuple[Deviation, ...]:
    return tuple(Deviation(d.key, str(d.protocol), str(d.run)) for d in deviations)


def readme_block(report: Report) -> str:
    """The README's table: verdicts by paper, then every figure that runs of ours bear on."""
    parts = [summary_table(report)]
    rows = [["figure", "reported", "ours", "verdict"]]
    for standing in report.papers:
        for table in standing.paper.tables:
            for row in table.rows:
                rows += _bearing(standing, table, row)
    if len(rows) > 1:
        heading = f"<summary>The {len(rows) - 1} figures that runs bear on</summary>"
        parts += [f"<details>{heading}", grid(rows), "</details>"]
    return "\n\n".join(parts)


def _bearing(standing: PaperStanding, table: Table, row: Row) -> list[list[str]]:
    """The figures of a row that runs of ours bear on."""
    rows = []
    facts = ", ".join(f for f in row.facts if f)
    for target in row.targets.values():
        state = standing.targets[target.id]
        label = f"{row.group}, {row.label}" if row.group else row.label
        name = f"{standing.paper.name}, {table.printed}: {label}{f' ({facts})' if facts else ''}, {target.metric}"
        reported = _reported(target)
        if state.ours is not None:
            rows.append([name, reported, figure(state.ours, target), state.kind + _deviating(state.deviations)])
        elif (standin := state.standin) is not None and standin.ours is not None:
            verdict = f"not testable; stand-in {standin.state}{_deviating(standin.deviations)}"
            rows.append([name, reported, f"{figure(standin.ours, target)} on {standin.experiment}", verdict])
    return rows


def _deviating(deviations: Sequence[Deviation]) -> str:
    count = len(deviations)
    return f" ({count} deviation{'s' * (count > 1)})" if count else ""


def with_block(text: str, block: str, name: str) -> str:
    """A README with the text between the markers replaced.

    Raises:
        RunError: it has no markers.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise RunError(f"{name} has no place for the table. Expected a line {BEGIN} and, below it, a line {END}.")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{block}\n\n{END}{rest.split(END)[1]}"
