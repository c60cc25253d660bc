"""index.html of a sweep: one file that needs no other, light or dark as the reader's system is."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from urllib.parse import quote

from reprise.launch.charts import charts
from reprise.launch.results import Results, Trial
from reprise.tracking.files import write_atomic

PAGE = "index.html"
_OPEN = 3  # trials of a Pareto front that are shown in full
_CSS = """
:root { --paper: #fff; --card: #f6f7f9; --ink: #1d2430; --soft: #8b94a3; --line: #d5dae2; --accent: #2f6fb3;
  --best: #c9680a; --bad: #c0392b; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181f; --card: #1c222c; --ink: #e3e8f0; --soft: #8792a5;
  --line: #3a4352; --accent: #6aa7e8; --best: #f0a04b; --bad: #f07167; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 28px 24px 60px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 25px; margin: 0 0 4px; overflow-wrap: anywhere; } h2 { font-size: 17px; margin: 36px 0 6px; }
p.note, .facts dt { color: var(--soft); } p.note { margin: 0 0 8px; }
.counts { display: flex; flex-wrap: wrap; gap: 10px; margin: 16px 0; }
.counts div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 8px 16px; }
.counts b { display: block; font-size: 21px; line-height: 1.25; }
.best { border-left: 4px solid var(--best); background: var(--card); padding: 10px 16px; border-radius: 0 8px 8px 0;
  margin: 12px 0; }
code { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 12px 0; }
dl.facts dd { margin: 0; overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; } svg text { font-family: inherit;
  paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
.table { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; padding: 5px 12px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { background: var(--card); } tr:last-child td { border-bottom: 0; } td.n { text-align: right;
  font-variant-numeric: tabular-nums; } td.error { white-space: normal; min-width: 220px; color: var(--bad); }
tr.top td { background: color-mix(in srgb, var(--best) 13%, transparent); } a { color: var(--accent); }
details { margin: 12px 0; } summary { cursor: pointer; color: var(--soft); }
.finished { color: var(--accent); } .failed { color: var(--bad); } .pruned, .interrupted { color: var(--soft); }
"""


def write_page(results: Results, directory: Path) -> Path:
    """Write index.html into a sweep's directory."""
    write_atomic(directory / PAGE, make_page(results, directory))
    return directory / PAGE


def make_page(results: Results, directory: Path) -> str:
    """Make the page; links to runs are relative to `directory`."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(results.title)}</title><style>{_CSS}</style></head><body>",
        f"<h1>{escape(results.title)}</h1>",
        _counts(results),
        *_all_best(results, directory),
        _facts(results),
    ]
    for title, note, svg in charts(results):
        parts.append(f'<h2>{escape(title)}</h2><p class="note">{escape(note)}</p>{svg}')
    if results.importances is not None and not results.importances:
        parts.append(f'<h2>Importances</h2><p class="note">{escape(results.note)}</p>')
    parts += [_table(results, directory), "</body></html>", ""]
    return "\n".join(parts)


def _counts(results: Results) -> str:
    states = [t.state for t in results.trials]
    shown = [(str(len(states)), "trials")]
    shown += [(str(states.count(s)), s) for s in dict.fromkeys(sorted(states))]
    if results.best and len(results.objectives) == 1:
        best = next(t for t in results.trials if t.number == results.best[0])
        shown.append((f"{best.values[0]:.5g}", f"best {results.objectives[0].metric}"))
    elif len(results.objectives) > 1:
        shown.append((str(len(results.best)), "on the Pareto front"))
    return '<div class="counts">' + "".join(f"<div><b>{escape(n)}</b>{escape(w)}</div>" for n, w in shown) + "</div>"


def _all_best(results: Results, directory: Path) -> list[str]:
    """The best trials; of a long Pareto front all but the first few are folded away."""
    found = [_best(results, directory, number) for number in results.best]
    if len(found) <= _OPEN:
        return found
    return [
        *found[:_OPEN],
        f"<details><summary>{len(found) - _OPEN} more on the front</summary>",
        *found[_OPEN:],
        "</details>",
    ]


def _best(results: Results, directory: Path, number: int) -> str:
    trial = next(t for t in results.trials if t.number == number)
    values = ", ".join(f"{o.metric} {v:.6g}" for o, v in zip(results.objectives, trial.values, strict=True))
    params = " ".join(f"{k}={v}" for k, v in trial.params.items())
    command = results.commands.get(number)
    again = f"<br>Train it anew: <code>{escape(command)}</code>" if command else ""
    word = "Best" if len(results.best) == 1 else "On the front"
    return (
        f'<div class="best"><b>{word}: {escape(values)}</b>, trial {number} ({_link(trial, directory)})<br>'
        f"<code>{escape(params)}</code>{again}</div>"
    )


def _facts(results: Results) -> str:
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in results.facts)
    return f'<dl class="facts">{rows}</dl>' if rows else ""


def _table(results: Results, directory: Path) -> str:
    names = [a.name for a in results.axes]
    errors = any(t.error for t in results.trials)
    heads = ["trial", "state", "run", *(o.metric for o in results.objectives), *names, "seconds"]
    heads += ["error"] if errors else []
    rows = []
    for trial in sorted(results.trials, key=lambda t: t.number):
        values = [f"{v:.6g}" for v in trial.values] or [""] * len(results.objectives)
        cells = [f'<td class="n">{trial.number}</td>', f'<td class="{escape(trial.state)}">{escape(trial.state)}</td>']
        cells.append(f"<td>{_link(trial, directory)}</td>")
        cells += [f'<td class="n">{escape(v)}</td>' for v in values]
        cells += [f"<td>{escape(_rounded(trial.params.get(n, '')))}</td>" for n in names]
        cells.append(f'<td class="n">{trial.seconds:.0f}</td>')
        cells += [f'<td class="error">{escape(trial.error or "")}</td>'] if errors else []
        rows.append(f"<tr{' class=top' if trial.number in results.best else ''}>{''.join(cells)}</tr>")
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    return f'<h2>All trials</h2><div class="table"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _rounded(text: str) -> str:
    """A drawn number with as many digits as one reads; the whole of it is in trials.csv."""
    try:
        return f"{float(text):.5g}" if "." in text or "e" in text else text
    except ValueError:
        return text


def _link(trial: Trial, directory: Path) -> str:
    if trial.directory == Path():
        return "no run"
    relative = os.path.relpath(trial.directory, directory)
    return f'<a href="{escape(quote(relative))}/">{escape(trial.directory.name)}</a>'
