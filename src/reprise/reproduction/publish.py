"""Make the report of a root: read, judge, write index.html, REPORT.md and report.json."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from reprise import __version__
from reprise.config.errors import ConfigError, suggest
from reprise.reproduction.assess import assess
from reprise.reproduction.entry import Entry
from reprise.reproduction.estimate import Estimator
from reprise.reproduction.evidence import Evidence
from reprise.reproduction.markdown import render_markdown
from reprise.reproduction.paper import Paper
from reprise.reproduction.standing import KINDS, OUTCOMES, Report
from reprise.tracking.files import write_atomic
from reprise.tracking.record import FILE

if TYPE_CHECKING:
    from reprise.reproduction.ledger import Ledger

MARKDOWN, DATA = "REPORT.md", "report.json"
SCHEMA = 1
# What stays in the run's own record.
_BULKY = ("packages",)
_LEFT_OUT = ("metrics", "evaluations", "overrides", "changed")


def make_report(papers: Sequence[Paper], ledger: Ledger, root: Path) -> Report:
    """Judge papers by a ledger.

    Args:
        papers: in the order wanted.
        ledger: of the runs.
        root: as the user wrote it.
    """
    evidence = Evidence(ledger, papers)
    estimator = Estimator(ledger)
    return Report(
        root=root.as_posix(),
        version=__version__,
        papers=tuple(assess(papers, evidence, estimator)),
        records=len(ledger.entries) + len(ledger.set_aside) + sum(Path(p).name == FILE for p, _ in ledger.rejected),
        rejected=tuple((_relative(Path(path), root), why) for path, why in ledger.rejected),
        set_aside=len(ledger.set_aside),
        unclaimed=sum(not evidence.claims(e) for e in ledger.entries),
        newest=max((e.begun for e in ledger.entries), default=""),
    )


def write_report(report: Report, out: Path, media: Any = "embed") -> list[Path]:
    """Write the three files; one that would not change is left alone.

    Args:
        report: what they show.
        out: their folder.
        media: what the page does with samples: embed, link or none.

    Returns:
        their paths.

    Raises:
        ConfigError: there is no such way with samples.
    """
    from reprise.reproduction.report import PAGE, Media, render_page

    modes = get_args(get_type_hints(Media)["mode"])
    if media not in modes:
        raise ConfigError(f"media is {media!r}. {suggest(media, modes)}")

    out.mkdir(parents=True, exist_ok=True)
    contents = {
        PAGE: render_page(report, Media(media, out)),
        MARKDOWN: render_markdown(report),
        DATA: json.dumps(to_json(report), ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n",
    }
    for name, text in contents.items():
        path = out / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_atomic(path, text)
    return [out / name for name in contents]


def to_json(report: Report) -> dict[str, Any]:
    """The report as plain values: what is empty is left out, runs are listed once and named by id."""
    runs: dict[str, Entry] = {}
    root = Path(report.root)

    def plain(node: Any) -> Any:
        if isinstance(node, Entry):
            runs[node.id] = node
            return node.id
        if dataclasses.is_dataclass(node) and not isinstance(node, type):
            named = ((f.name, getattr(node, f.name)) for f in dataclasses.fields(node))
            return {name: plain(value) for name, value in named if value is not None and value != "" and value != ()}
        if isinstance(node, dict):
            return {str(k): plain(v) for k, v in node.items()}
        if isinstance(node, (list, tuple)):
            return [plain(v) for v in node]
        if isinstance(node, Path):
            return _relative(node, root)
        if isinstance(node, float) and not math.isfinite(node):
            return str(node)  # JSON has no NaN
        return node if node is None or isinstance(node, (str, int, float, bool)) else str(node)

    papers = [
        {**plain(standing), "counts": plain(standing.counts), "outcomes": plain(standing.outcomes)}
        for standing in report.papers
    ]
    head = {f.name: plain(getattr(report, f.name)) for f in dataclasses.fields(report) if f.name != "papers"}
    entries = {}
    for key in sorted(runs):
        entry = runs[key]
        shown = {f.name: getattr(entry, f.name) for f in dataclasses.fields(entry) if f.name not in _LEFT_OUT}
        shown["environment"] = {k: v for k, v in entry.environment.items() if k not in _BULKY}
        shown["code"] = {k: v for k, v in entry.code.items() if k != "sources"}
        entries[key] = plain(shown)
    return {
        "schema": SCHEMA,
        **head,
        "counts": plain(report.counts),
        "verdicts": dict(KINDS),
        "outcomes": dict(OUTCOMES),
        "papers": papers,
        "runs": entries,
    }


def _relative(path: Path, root: Path) -> str:
    """A path below the root without it, so that the report may be moved with its runs."""
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix()
