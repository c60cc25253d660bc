"""What is left of a sweep when it ends, or is stopped: trials.csv, index.html, and the last lines on the screen."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reprise.launch.book import Book
from reprise.launch.objectives import Objective
from reprise.launch.page import write_page
from reprise.launch.point import Point, shell
from reprise.launch.results import Results, grid_results, search_results, write_csv

if TYPE_CHECKING:
    from reprise.launch.search import SearchSource
    from reprise.launch.study import SharedStudy

log = logging.getLogger(__name__)
PRUNING = "+callbacks.pruning="
_SHOWN = 10  # trials of a Pareto front that are printed


def finish_search(study: SharedStudy, source: SearchSource, objectives: Sequence[Objective]) -> list[str]:
    """Write what a search has found, and say it."""
    book = source.book
    try:
        source.refresh()
        book.save()
        results = search_results(study.study, study.space, objectives, book.points)
    except Exception as error:  # the trials themselves are safe, whatever is wrong with the storage now
        log.warning("no page could be written of the search: %s", error)
        return []
    results.facts = _facts(book)
    by_number = {p.index: p for p in book.points}
    results.commands = {n: anew(by_number[n]) for n in results.best if n in by_number}
    lines = []
    if study.stopped_by_failures:
        lines.append("the search was ended by failed trials (hydra.sweeper.max_failures)")
    if len(objectives) == 1 and results.best:
        lines.append(f"train it anew: {results.commands[results.best[0]]}")
    elif results.best:
        lines += _front(results)
    if results.importances:
        shares = ", ".join(f"{k} {v:.2f}" for k, v in results.importances.items())
        lines.append(f"importances ({results.note}): {shares}")
    elif results.note:
        lines.append(results.note)
    return [*lines, *_write(results, book)]


def finish_grid(book: Book) -> list[str]:
    """Write what a grid has found."""
    results = grid_results(book.directory.name, book.points)
    by_number = {p.index: p for p in book.points}
    results.facts = _facts(book)
    results.commands = {n: anew(by_number[n]) for n in results.best}
    return _write(results, book)


def anew(point: Point) -> str:
    """The command that trains a point once more, in a directory of its own and without pruning."""
    return shell([w for w in point.overrides if not w.startswith(PRUNING)])


def _write(results: Results, book: Book) -> list[str]:
    if not results.trials:
        return []
    try:
        write_csv(results, book.directory)
        return [f"page: {write_page(results, book.directory)}"]
    except Exception as error:  # a picture must not take the results with it
        log.warning("the sweep's page could not be written: %s: %s", type(error).__name__, error)
        return []


def _front(results: Results) -> list[str]:
    lines = [f"Pareto front, {len(results.best)} trials:"]
    by_number = {t.number: t for t in results.trials}
    for number in results.best[:_SHOWN]:
        values = zip(results.objectives, by_number[number].values, strict=True)
        lines.append(f"  trial {number}: " + ", ".join(f"{o.metric} {v:.6g}" for o, v in values))
        lines.append(f"    {results.commands[number]}")
    if len(results.best) > _SHOWN:
        lines.append(f"  and {len(results.best) - _SHOWN} more: see the page")
    return lines


def _facts(book: Book) -> list[tuple[str, str]]:
    search: dict[str, Any] = book.head.get("search", {})
    facts = [("command", str(book.head.get("command", ""))), ("launcher", str(book.head.get("launcher", "")))]
    facts += [(k, str(search[k])) for k in ("sampler", "seed", "pruner", "n_trials", "storage") if k in search]
    facts += [(k, _spread(p)) for k, p in search.get("space", {}).items()]
    return facts


def _spread(parameter: dict[str, Any]) -> str:
    if parameter["type"] == "categorical":
        text = ", ".join(parameter["choices"])
    else:
        text = f"{parameter['type']} from {parameter['low']:g} to {parameter['high']:g}"
        text += ", logarithmic" if parameter["log"] else ""
        text += f", step {parameter['step']:g}" if parameter["step"] else ""
    for name, values in parameter.get("when", {}).items():
        text += f", where {name} is {' or '.join(values)}"
    return text
