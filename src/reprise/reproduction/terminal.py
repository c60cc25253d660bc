"""A paper's tables in a terminal, as the paper prints them, with the state of each row beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reprise.reproduction.paper import Row, Table, Target, number
from reprise.reproduction.standing import ClaimStanding, Ours, PaperStanding, Standing

if TYPE_CHECKING:
    from rich.table import Table as Grid
    from rich.text import Text

_MARKS = {"paper": "", "reference": "ʳ", "memory": "ᵐ", "derived": "ᵈ"}
_MEANING = {
    "reference": "ʳ seen elsewhere than in the paper",
    "memory": "ᵐ recalled, not seen",
    "derived": "ᵈ computed from other figures or from the data",
}
_PIPE_WIDTH = 200  # a pipe or a file has no width of its own
_STYLES = {
    "reproduced": "green",
    "better": "cyan",
    "not reproduced": "red",
    "inconclusive": "yellow",
    "scaled": "blue",
    "stale": "magenta",
    "holds": "green",
    "contradicted": "red",
    "undecided": "yellow",
}


def figure(ours: Ours, target: Target) -> str:
    """Our figure with its 95 % interval and the number of seeds."""
    if ours.diverged:
        return f"{ours.diverged} of {ours.n} diverged"
    digits = None if target.digits is None else target.digits + 1
    half = "" if ours.half_width is None else f" ± {_short(ours.half_width, digits)}"
    return f"{_short(ours.mean, digits)}{half}{target.unit} (n = {ours.n})"


def _short(value: float, digits: int | None) -> str:
    return f"{value:.4g}" if digits is None else number(value, digits)


def print_paper(standing: PaperStanding) -> None:
    """Print citation, tables, claims and what the marks mean."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    paper = standing.paper
    console.print(Text(paper.citation, style="bold"))
    for link in (paper.url, *(code.url + ("" if code.official else "  (not the authors')") for code in paper.code)):
        if link:
            console.print(Text(f"  {link}"))
    if paper.note:
        console.print(Text(f"  {paper.note}"))
    for table in paper.tables:
        console.print()
        console.print(Text(f"{table.title} ({table.printed})", style="bold"))
        if table.note:
            console.print(Text(f"  {table.note}"))
        console.print(_grid(table, standing))
    if standing.claims:
        console.print()
        console.print(Text("Claims", style="bold"))
        for claim in standing.claims:
            console.print(_claim_line(claim))
    used = {t.sure for t in paper.targets if t.sure != "paper"}
    if used:
        console.print()
        for sure, text in _MEANING.items():
            if sure in used:
                console.print(Text(text))


def _grid(table: Table, standing: PaperStanding) -> Grid:
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("")
    for fact in table.facts:
        grid.add_column(Text(fact))
    arrows = {"lower": " ↓", "higher": " ↑", "match": ""}
    for column in table.columns:
        widest = max((len(_printed(r.targets.get(column.id))) for r in table.rows), default=0)
        grid.add_column(Text(column.label + arrows[column.direction]), justify="right", min_width=widest)
    grid.add_column("state", min_width=12)
    group = ""
    for row in table.rows:
        if row.group and row.group != group:
            grid.add_row(Text(row.group, style="italic"))
        group = row.group
        cells = [_printed(row.targets.get(column.id)) for column in table.columns]
        states = [standing.targets[t.id] for t in row.targets.values()]
        grid.add_row(Text(row.label), *(Text(f) for f in row.facts), *(Text(c) for c in cells), _state(row, states))
    return grid


def _printed(target: Target | None) -> str:
    return "" if target is None else target.printed + _MARKS[target.sure]


def _state(row: Row, states: Sequence[Standing]) -> Text:
    """The row's verdicts, with our figures where there are any; figures that share a verdict are said together."""
    from rich.text import Text

    text = Text()
    for kind in dict.fromkeys(s.kind for s in states):
        same = [s for s in states if s.kind == kind]
        named = "" if len(same) == len(states) else " " + ", ".join(s.target.metric for s in same)
        text.append("; " if text else "")
        text.append(kind + named, style=_STYLES.get(kind, "dim"))
        figures = [
            f"{s.target.metric if len(states) > 1 else 'ours'} {figure(s.ours, s.target)}" for s in same if s.ours
        ]
        text.append(f": {', '.join(figures)}" if figures else "")
    standins = [s for s in states if s.standin is not None and s.standin.ours is not None]
    if standins:
        first = standins[0].standin
        assert first is not None
        figures = [
            f"{s.target.metric} {figure(s.standin.ours, s.target)}" for s in standins if s.standin and s.standin.ours
        ]
        text.append(f"\nstand-in {first.experiment}, {first.state}: {', '.join(figures)}")
    return text


def _claim_line(standing: ClaimStanding) -> Text:
    from rich.text import Text

    text = Text("  ")
    text.append(f"{standing.outcome:<13}", style=_STYLES.get(standing.outcome, "dim"))
    text.append(f" {standing.claim.text}")
    text.append(f" {standing.reason}", style="dim")
    return text


def counts_line(standing: PaperStanding) -> str:
    """What `reprise list papers` says of a paper."""
    own = [s for s in standing.targets.values() if s.kind != "quoted"]
    runnable = sum(s.target.runnable for s in own)
    kinds = ", ".join(f"{count} {kind}" for kind, count in standing.counts.items() if count)
    quoted = len(standing.targets) - len(own)
    claims = f"; {len(standing.claims)} claims" if standing.claims else ""
    return f"{len(own)} targets ({runnable} runnable, {quoted} quoted): {kinds or 'none'}{claims}"
