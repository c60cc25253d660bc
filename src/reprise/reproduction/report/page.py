"""index.html of the reproduction report: one file that needs no other and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from reprise.reproduction.paper import Paper, Table
from reprise.reproduction.report.claims import claims_html
from reprise.reproduction.report.context import Context, evidence_runs
from reprise.reproduction.report.controls import controls_html
from reprise.reproduction.report.curves import curves_html
from reprise.reproduction.report.evidence import row_evidence
from reprise.reproduction.report.forest import forest_html
from reprise.reproduction.report.icons import ICONS
from reprise.reproduction.report.markup import folded, link, paragraphs, plural, text
from reprise.reproduction.report.runs import package_sets, run_list
from reprise.reproduction.report.samples import Gallery, Media
from reprise.reproduction.report.summary import bar, header_html, legend_html, summary_html
from reprise.reproduction.report.tables import notes, table_html
from reprise.reproduction.standing import PaperStanding, Report

PAGE = "index.html"
_NUMBERED = re.compile(r"(table|figure|section) [A-Z]?\d", re.IGNORECASE)  # a place that a reader can look up
_SHORT = 24  # characters of such a place that can be a heading


class Part(NamedTuple):
    """A part of a paper's section.

    Attributes:
        key: its id.
        name: where the paper has it.
        title: what it shows; "" where the name says it.
        html: its content.
        titled: the title comes first, since the name is no place to look up, is long, or is that of another part too.
    """

    key: str
    name: str
    title: str
    html: str
    titled: bool = False

    @property
    def listed(self) -> str:
        """What stands in the list of contents."""
        if not self.title:
            return self.name
        return self.title if self.titled else f"{self.name}: {self.title}"


def render_page(report: Report, media: Media) -> str:
    """Make the page; the same report and files give the same text.

    Args:
        report: what is shown.
        media: what becomes of sounds and pictures.

    Returns:
        the whole of index.html.
    """
    context = Context(report, media.page)
    gallery = Gallery(media, report.root)
    papers = "".join(_paper(paper, context, gallery) for paper in report.papers)
    nothing = '<p class="note">No paper was asked for.</p>'
    body = (
        '<a class="skip" href="#summary">Skip to the summary</a>'
        f"{ICONS}{header_html(report)}<main>{summary_html(report, context)}"
        f'{controls_html(report, context)}<div id="papers">{papers or nothing}</div>'
        f"{_packages(context)}{legend_html()}</main>"
        '<dialog id="drawer" aria-labelledby="drawer-title"></dialog>'
    )
    return _document(body)


def _document(body: str) -> str:
    """Head and body; style and script run because their digests are in the policy, and nothing else does."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        "default-src 'none'; img-src data:; media-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_digest(style)}; script-src {_digest(script)}"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>Reproduction report</title><style>{style}</style></head>\n"
        f"<body>{body}<script>{script}</script></body></html>\n"
    )


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _paper(standing: PaperStanding, context: Context, gallery: Gallery) -> str:
    paper = standing.paper
    key = context.ids.of("p", paper.name)
    runs = evidence_runs(standing)
    parts = [
        Part(context.ids.of("t", paper.name, table.id), table.printed, table.title, _table(standing, table, context))
        for table in paper.tables
    ]
    often = Counter(part.name for part in parts)
    parts = [p._replace(titled=bool(p.title) and (often[p.name] > 1 or not _is_heading(p.name))) for p in parts]
    more = {
        "Claims": claims_html(standing.claims, context),
        "Learning curves": curves_html(runs, context.report.root),
        "Samples": gallery.html(runs),
        "Runs": run_list(runs, context),
    }
    parts += [Part(context.ids.of(name, paper.name), name, "", html) for name, html in more.items() if html]
    sections = "".join(_section(part) for part in parts)
    return (
        f'<section class="paper" id="{key}" aria-labelledby="{key}-h" data-name="{text(paper.name)}">'
        f"{_citation(paper, key)}{bar(standing.counts)}{_contents(paper, parts)}{paragraphs(paper.note)}"
        f"{sections}</section>"
    )


def _is_heading(place: str) -> bool:
    return len(place) <= _SHORT and _NUMBERED.match(place) is not None


def _citation(paper: Paper, key: str) -> str:
    links = [link(paper.url, f"arXiv {paper.arxiv}" if paper.arxiv else "paper")] if paper.url or paper.arxiv else []
    for code in paper.code:
        name = code.url.removeprefix("https://github.com/")
        words = ", ".join(w for w in ("official" if code.official else "", code.note) if w)
        links.append(f"{link(code.url, name)}{f' <span>({text(words)})</span>' if words else ''}")
    items = "".join(f"<li>{item}</li>" for item in links)
    return (
        f'<p class="kicker"><code>{text(paper.name)}</code></p><h2 id="{key}-h">{text(paper.title)}</h2>'
        f'<p class="citation">{text(paper.citation)}</p><ul class="links">{items}</ul>'
    )


def _contents(paper: Paper, parts: Sequence[Part]) -> str:
    items = "".join(f'<li><a href="#{part.key}">{text(part.listed)}</a></li>' for part in parts)
    return f'<nav class="contents" aria-label="Parts of {text(paper.name)}"><ul>{items}</ul></nav>'


def _table(standing: PaperStanding, table: Table, context: Context) -> str:
    articles = "".join(row_evidence(standing, table, row, context) for row in table.rows)
    evidence = folded(f"Evidence of {text(table.printed)}, row by row", articles, "all-evidence")
    return notes(table) + table_html(standing, table, context) + forest_html(standing, table) + evidence


def _section(part: Part) -> str:
    head = (
        f"<h3>{text(part.name)} <span>{text(part.title)}</span></h3>" if part.title else f"<h3>{text(part.name)}</h3>"
    )
    if part.titled:
        head = f'<h3>{text(part.title)} <span class="where">{text(part.name)}</span></h3>'
    return f'<section class="part" id="{part.key}">{head}{part.html}</section>'


def _packages(context: Context) -> str:
    found = package_sets(context)
    if not found:
        return ""
    count = plural(len(context.packages), "set")
    return (
        '<section id="packages" aria-labelledby="packages-h"><h2 id="packages-h">Installed packages</h2>'
        f'<p class="note">{count} behind all runs of this page.</p>{found}</section>'
    )
