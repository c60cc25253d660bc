"""Cards of the runs a paper's figures rest on: everything needed to believe, repeat or refute them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import PurePath
from typing import Any

from reprise.reproduction.entry import Entry, Evaluation
from reprise.reproduction.report import words
from reprise.reproduction.report.context import Context
from reprise.reproduction.report.evidence import wandb_link
from reprise.reproduction.report.markup import command, facts, file_link, folded, place, plural, text

_KEY_PACKAGES = ("torch", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "reprise")
_OPEN = 8  # more cards than these are folded away
_SHORT = 10  # characters of a commit


def run_list(runs: list[Entry], context: Context) -> str:
    """The cards of runs that the page does not show yet; many of them are folded away."""
    found = [_card(run, context) for run in runs if _first(run, context)]
    cards = f'<div class="runs">{"".join(found)}</div>' if found else ""
    return folded(plural(len(found), "run"), cards, "many-runs") if len(found) > _OPEN else cards


def _first(run: Entry, context: Context) -> bool:
    key = context.run(run)
    new = key not in context.shown
    context.shown.add(key)
    return new


def _card(run: Entry, context: Context) -> str:
    where = place(run.directory, context.report.root)
    commit = str(run.code.get("commit") or "")
    cost = words.duration(_number(run.cost.get("device_seconds")))
    short = [f"seed {run.seed}", run.state, commit[:_SHORT] and f"commit {commit[:_SHORT]}", cost]
    dirty = '<span class="tag warn">dirty tree</span>' if run.code.get("dirty") else ""
    imported = '<span class="tag">imported</span>' if run.imported else ""
    heading = (
        f'<span class="run-name"><code>{text(where)}</code>{dirty}{imported}</span>'
        f'<span class="run-facts">{text(" · ".join(s for s in short if s))}</span>'
    )
    link = os.path.relpath(run.directory, context.page)
    body = (
        f'<p class="todo">To run it again:</p>{command(_again(run))}'
        + facts(
            [
                ("directory", file_link(link + "/", where)),
                ("imported from", text(run.imported or "")),
                ("experiment", f"<code>{text(run.experiment or run.name)}</code>"),
                ("protocol digest", f"<code>{text(run.digest)}</code>"),
                ("seed", text(run.seed)),
                ("begun", text(words.moment(run.begun))),
                ("state", text(f"{run.state}, {run.iteration:,} iterations, {run.weights} weights")),
                ("code", _code(run)),
                ("data", _mapping(run.data)),
                *_environment(run, context),
                ("cost", text(_cost(run.cost))),
                ("W&B", wandb_link(run)),
            ]
        )
        + "".join(_evaluation(e, link) for e in run.evaluations)
        + (folded(f"{plural(len(run.changed), 'module')} changed since", _list(run.changed)) if run.changed else "")
    )
    return folded(heading, body, "run", context.run(run))


def _again(run: Entry) -> str:
    """The recorded command, as one types it in the project's folder, wherever that lay."""
    program, _, words = run.command.partition(" ")
    return f"python train.py {words}".rstrip() if PurePath(program).name == "train.py" else run.command


def _number(found: Any) -> float | None:
    return float(found) if isinstance(found, (int, float)) else None


def _list(items: tuple[str, ...]) -> str:
    return '<ul class="plain">' + "".join(f"<li><code>{text(i)}</code></li>" for i in items) + "</ul>"


def _code(run: Entry) -> str:
    commit = run.code.get("commit")
    dirty = {True: ", with uncommitted changes (code.patch)", False: ", clean tree"}.get(
        bool(run.code.get("dirty")), ""
    )
    known = f"commit <code>{text(commit)}</code>{dirty}" if commit else "no commit known"
    return f"{known}; reprise {text(run.code.get('version', '?'))}"


def _mapping(found: dict[str, Any]) -> str:
    items = [f"<li><span>{text(k)}</span> <code>{text(words.plain(v))}</code></li>" for k, v in found.items()]
    return f'<ul class="plain data">{"".join(items)}</ul>' if items else ""


def _environment(run: Entry, context: Context) -> list[tuple[str, str]]:
    found = run.environment
    hardware: dict[str, Any] = found["hardware"] if isinstance(found.get("hardware"), dict) else {}
    devices = Counter(str(g) for g in hardware.get("gpus") or [])
    gpus = [name if n == 1 else f"{n} × {name}" for name, n in devices.items()]
    cores = f"{hardware['cores']} cores" if hardware.get("cores") else ""
    machine = [*gpus, hardware.get("cpu"), cores, words.size(_number(hardware.get("memory_bytes")))]
    runs_as = [
        found.get("accelerator"),
        f"precision {found['precision']}" if found.get("precision") else "",
        f"world size {found['world_size']}" if found.get("world_size") else "",
        found.get("strategy"),
        plural(int(found["threads"]), "thread") if isinstance(found.get("threads"), int) else "",
    ]
    system = [f"Python {found['python']}" if found.get("python") else "", found.get("platform")]
    return [
        ("hardware", text(", ".join(str(m) for m in machine if m))),
        ("run as", text(", ".join(str(m) for m in runs_as if m))),
        ("system", text(", ".join(str(m) for m in system if m))),
        ("packages", _packages(found.get("packages"), context)),
    ]


def _packages(found: Any, context: Context) -> str:
    if not isinstance(found, dict) or not found:
        return ""
    pinned = tuple(sorted((str(k), str(v)) for k, v in found.items()))
    key = context.packages.setdefault(pinned, context.ids.of("packages", len(context.packages) + 1))
    names = {k.lower().replace("_", "-"): v for k, v in pinned}
    shown = ", ".join(f"{k} {names[k]}" for k in _KEY_PACKAGES if k in names)
    return f'{text(shown)}{" · " if shown else ""}<a href="#{key}">all {len(pinned)}</a>'


def package_sets(context: Context) -> str:
    """Every set of installed packages, once."""
    found = []
    for number, (pinned, key) in enumerate(context.packages.items(), 1):
        items = "".join(f"<li><code>{text(k)} {text(v)}</code></li>" for k, v in pinned)
        title = f"Set {number}: {plural(len(pinned), 'package')}"
        found.append(folded(title, f'<ul class="plain packages">{items}</ul>', "packages", key))
    return "".join(found)


def _cost(cost: dict[str, Any]) -> str:
    peak = _number(cost.get("peak_device_memory_bytes")) or _number(cost.get("peak_memory_bytes"))
    rate, energy = _number(cost.get("samples_per_second")), _number(cost.get("energy_joules"))
    device = words.duration(_number(cost.get("device_seconds")))
    parts = [
        f"{device} of device time" if device else "",
        f"peak memory {words.size(peak)}" if peak else "",
        f"{rate:,.4g} examples/s" if rate else "",
        f"{energy / 3.6e6:.3g} kWh" if energy else "",
    ]
    return ", ".join(p for p in parts if p)


def _evaluation(found: Evaluation, link: str) -> str:
    values = "".join(
        f"<li><span>{text(name)}</span> <code>{text(words.value(m.value, None))}</code>"
        f"{f' <small>version {m.version}</small>' if m.version is not None else ''}</li>"
        for name, m in found.metrics.items()
    )
    changes = ", ".join(f"{k}={words.plain(v)}" for k, v in found.changes.items())
    count = plural(found.examples, "example") if found.examples is not None else ""
    body = facts(
        [
            ("folder", file_link(f"{link}/{found.folder}/", found.folder)),
            ("of", text(f"iteration {found.step:,}, {found.weights} weights")),
            ("examples", text(count)),
            ("changed for it", f"<code>{text(changes)}</code>" if changes else ""),
            ("cost", text(_cost(found.cost))),
            ("values", f'<ul class="plain data">{values}</ul>'),
        ]
    )
    return folded(f"Measurement of {text(words.moment(found.time))}", body, "measurement")
