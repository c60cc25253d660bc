"""Escaped text, checked addresses, unique ids: what every part of the page is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from urllib.parse import quote, urlsplit

from reprise.reproduction.standing import KINDS, OUTCOMES

# Control characters, marks that turn the reading direction and halves of characters: none of them can be seen, some
# can make a text read as another one, and the halves cannot be written as UTF-8.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
MEASURED = "Runs of the stand-in's exact protocol exist; the figure is compared with nothing."
# of a word that both know, what it means of figures
_MEANINGS = {str(k): said for k, said in (*OUTCOMES.items(), *KINDS.items(), ("measured", MEASURED))}


def text(value: object) -> str:
    """Any value as text that can stand in an element or in a quoted attribute."""
    return escape(_UNSEEN.sub("\ufffd", str(value)), quote=True)


def slug(value: object) -> str:
    """A text as lower case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", str(value).lower()).strip("-") or "x"


class Ids:
    """Gives each thing an id of its own, the same one whenever it is asked again."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, ...], str] = {}
        self._taken: set[str] = set()

    def of(self, *parts: object) -> str:
        """Return the id of what these parts name."""
        key = tuple(str(p) for p in parts)
        if key not in self._given:
            stem = found = "-".join(slug(p) for p in key)[:120]
            count = 2
            while found in self._taken:
                found, count = f"{stem}-{count}", count + 1
            self._taken.add(found)
            self._given[key] = found
        return self._given[key]


def link(url: str | None, label: str) -> str:
    """A link to an https address; the label alone where the address is none."""
    if url is None or not is_https(url):
        return text(label) + (f' <span class="faint">({text(url)})</span>' if url and url != label else "")
    return f'<a href="{text(url)}" rel="noopener noreferrer">{text(label)}</a>'


def is_https(url: str) -> bool:
    """Whether something is an https address that reads as what it is."""
    if _UNSEEN.search(url) or any(c.isspace() or c in "\"'<>\\" for c in url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


def file_link(relative: str, label: str) -> str:
    """A link to a file or folder beside the page."""
    return f'<a href="{text(quote(relative))}">{text(label)}</a>'


def icon(name: str) -> str:
    """The symbol of a verdict, drawn in the colour of the text."""
    return f'<svg class="icon" aria-hidden="true"><use href="#i-{slug(name)}"/></svg>'


def badge(kind: str, meaning: bool = True) -> str:
    """A verdict, an outcome or a state as symbol, colour and word, its meaning on hover."""
    said = _MEANINGS.get(kind, "") if meaning else ""
    title = f' title="{text(said)}"' if said else ""
    return f'<span class="badge k-{slug(kind)}"{title}>{icon(kind)}{text(kind)}</span>'


def facts(pairs: Iterable[tuple[str, str]], css: str = "facts") -> str:
    """A list of names with their values, which are HTML already; empty values are left out."""
    rows = "".join(f"<div><dt>{text(name)}</dt><dd>{value}</dd></div>" for name, value in pairs if value)
    return f'<dl class="{css}">{rows}</dl>' if rows else ""


def command(words: str) -> str:
    """A command line; the script puts a button beside it that copies it."""
    return f'<div class="command"><pre><code>{text(words)}</code></pre></div>' if words else ""


def folded(summary: str, body: str, css: str = "", key: str = "") -> str:
    """Something that opens on demand; both parts are HTML already.

    The id is that of the inner part, since browsers open what holds the place that a link leads to.
    """
    if not body:
        return ""
    inner = f'<div id="{key}">{body}</div>' if key else body
    attribute = f' class="{css}"' if css else ""
    return f"<details{attribute}><summary>{summary}</summary>{inner}</details>"


def paragraphs(words: str, css: str = "note") -> str:
    """A note as paragraphs, split at empty lines."""
    found = [p.strip() for p in re.split(r"\n\s*\n", words) if p.strip()]
    return "".join(f'<p class="{css}">{text(p)}</p>' for p in found)


def place(directory: Path, root: str) -> str:
    """A directory as one below the root of the report, where it is one."""
    try:
        return str(directory.relative_to(root))
    except ValueError:
        return str(directory)


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
