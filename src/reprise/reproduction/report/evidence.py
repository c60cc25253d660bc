"""What stands behind each row of a table: reported figure, verdict, protocol, runs."""

from __future__ import annotations

from collections.abc import Sequence

from reprise.reproduction.entry import Entry
from reprise.reproduction.paper import Row, Table, Target
from reprise.reproduction.report import words
from reprise.reproduction.report.context import Context
from reprise.reproduction.report.markup import badge, command, facts, link, paragraphs, place, slug, text
from reprise.reproduction.standing import Deviation, Ours, PaperStanding, StandIn, Standing

Pairs = list[tuple[str, str]]


def row_evidence(paper: PaperStanding, table: Table, row: Row, context: Context) -> str:
    """The article of a row; the script shows it in a drawer, with the cards of its runs."""
    key = context.ids.of("e", paper.paper.name, table.id, row.id)
    standings = [paper.targets[t.id] for t in row.targets.values()]
    runs = words.row_runs(standings)
    cards = " ".join(context.run(r) for r in runs)
    group = f'<p class="kicker">{text(row.group)}</p>' if row.group else ""
    given = facts((h, text(f)) for h, f in zip(table.facts, row.facts, strict=True))
    said = [_said(standing) for standing in standings]
    shared = [pair for pair in said[0] if all(pair in other for other in said)] if len(said) > 1 else []
    common = (
        f'<section class="common"><h5>All its figures</h5>{_lines(shared)}</section>'
        if any(h for _, h in shared)
        else ""
    )
    own = zip(standings, said, strict=True)
    body = "".join(_target(standing, [pair for pair in pairs if pair not in shared]) for standing, pairs in own)
    place_ = f'data-place="{text(paper.paper.name)}" data-part="{text(table.printed)}"'
    return (
        f'<article class="evidence" id="{key}" aria-labelledby="{key}-h" data-cards="{cards}" {place_}>'
        f'{group}<h4 id="{key}-h">{text(row.label)}</h4>{given}{body}{common}{_runs(runs, context)}</article>'
    )


def _lines(pairs: Pairs) -> str:
    """Facts as a list, and below it what needs the whole width."""
    wide = "".join(html for name, html in pairs if not name)
    return facts((name, html) for name, html in pairs if name) + wide


def _target(standing: Standing, pairs: Pairs) -> str:
    target = standing.target
    return (
        f'<section class="target k-{slug(standing.kind)}"><h5>{text(target.metric)} {badge(standing.kind)}</h5>'
        f'<p class="reason">{text(standing.reason)}</p>'
        f"{_ours(standing)}{_lines(pairs)}"
        f"{_standin(target, standing.standin) if standing.standin else ''}</section>"
    )


def _said(standing: Standing) -> Pairs:
    """What is said of a figure besides its verdict; what all figures of a row share is said once."""
    target = standing.target
    sure, meaning = words.SURE[target.sure]
    protocol = "; ".join(p for p in (target.protocol, f"on {target.dataset}, {target.split}") if p)
    public = "" if target.public else " (not public)"
    measured = f"<code>{text(target.measure)}</code>" if target.measure else "nothing measures it here"
    if target.measure and target.version is not None:
        measured += f", protocol version {target.version}"
    if target.measure and target.scale != 1.0:
        measured += f", times {target.scale:g}"
    recipe = f"<code>{text(target.recipe.label)}</code>" if target.recipe else ""
    spread = words.spread(target.spread) if target.value is not None and target.spread else ""
    return [
        ("reported", f"<b>{text(target.printed)}</b>"),
        ("its ±", text(spread)),
        ("how sure", f"{text(sure)}. {text(meaning) if target.sure != 'paper' else ''}"),
        ("source", text(target.source)),
        ("protocol", text(protocol + public)),
        ("tolerance", text(words.tolerance(target.tolerance, target.unit))),
        ("experiment", recipe),
        ("measured as", measured if recipe else ""),
        ("pick", "best over validations" if target.pick == "best" else ""),
        ("hardware", f"a device with {text(target.hardware)} in its name" if target.hardware else ""),
        ("not yet", text(target.pending or "") if target.pending != standing.reason else ""),
        ("why not", text(target.why or "") if target.why != standing.reason else ""),
        ("", paragraphs(target.note)),
        ("", deviations_table(standing.deviations)),
        ("", _changed(standing.changed)),
        ("", _command(standing.command, standing.estimate)),
    ]


def _ours(standing: Standing) -> str:
    if standing.ours is None:
        return ""
    target, ours = standing.target, standing.ours
    decimals = words.digits(target)
    difference = ""
    if standing.difference is not None:
        share = words.share(standing.difference, target.value)
        difference = words.signed(standing.difference, decimals) + (f" ({share})" if share else "")
    test = words.p_value(standing.p_value)
    if standing.seeds_needed is not None:
        test += f"{'; ' if test else ''}{standing.seeds_needed} seeds in all would decide"
    return facts(
        [
            ("ours", f"<b>{text(words.interval(ours, decimals, target.unit))}</b>, n = {ours.n}"),
            ("difference", text(difference)),
            ("spread of ours", f"{words.value(ours.sd, decimals)} over seeds" if ours.sd is not None else ""),
            ("test", text(test)),
            ("seeds", seeds(ours, target)),
        ],
        "facts ours",
    )


def seeds(ours: Ours, target: Target) -> str:
    """The value of each seed, in one line."""
    decimals = words.digits(target)
    values = ((s, text(words.value(s.value, decimals))) for s in ours.samples)
    items = (f'<span title="{text(s.run)}"><small>seed {s.seed}</small> {shown}</span>' for s, shown in values)
    return f'<span class="seeds">{"".join(items)}</span>'


def _standin(target: Target, standin: StandIn) -> str:
    ours = ""
    if standin.ours:
        mean = words.interval(standin.ours, words.digits(target), target.unit)
        ours = f"<b>{text(mean)}</b>, n = {standin.ours.n}"
    return (
        f'<div class="aside"><h6>Stand-in on public data {badge(standin.state)}</h6>'
        '<p class="note">Its figure is compared with nothing: other data, other scale.</p>'
        + facts(
            [
                ("experiment", f"<code>{text(standin.experiment)}</code>"),
                ("ours", ours),
                ("seeds", seeds(standin.ours, target) if standin.ours else ""),
            ]
        )
        + deviations_table(standin.deviations)
        + _command(standin.command, standin.estimate)
        + "</div>"
    )


def _command(words_: str, estimate: str) -> str:
    if not words_:
        return ""
    cost = f" <span>Estimated cost: {text(estimate)}.</span>" if estimate else ""
    return f'<p class="todo">To make the missing runs:{cost}</p>{command(words_)}'


def _changed(modules: Sequence[str]) -> str:
    if not modules:
        return ""
    items = "".join(f"<li><code>{text(m)}</code></li>" for m in modules)
    return f'<p class="todo">Changed since the runs:</p><ul class="plain">{items}</ul>'


def deviations_table(found: Sequence[Deviation]) -> str:
    """Each deviation with the protocol's value and the run's."""
    if not found:
        return ""
    rows = "".join(
        f'<tr><th scope="row"><code>{text(d.key)}</code></th><td><code>{text(words.plain(d.protocol))}</code></td>'
        f"<td><code>{text(words.plain(d.run))}</code></td></tr>"
        for d in found
    )
    heads = '<tr><th scope="col">deviation</th><th scope="col">protocol</th><th scope="col">run</th></tr>'
    return f'<div class="table small"><table><thead>{heads}</thead><tbody>{rows}</tbody></table></div>'


def _runs(runs: Sequence[Entry], context: Context) -> str:
    if not runs:
        return ""
    return f'<section class="runs-of"><h5>Runs</h5>{run_links(runs, context)}</section>'


def run_links(runs: Sequence[Entry], context: Context) -> str:
    """Links to the cards of runs."""
    places = ((r, text(place(r.directory, context.report.root))) for r in runs)
    items = "".join(f'<li><a href="#{context.run(r)}">seed {r.seed}</a> <code>{at}</code></li>' for r, at in places)
    return f'<ul class="plain links">{items}</ul>'


def wandb_link(entry: Entry) -> str:
    """Where W&B shows a run, if it does and its address is an https one."""
    found = entry.wandb or {}
    url = found.get("url")
    if isinstance(url, str) and url:
        return link(url, "open in W&B" if url.startswith("https://") else url)
    return text(f"{found.get('mode', 'offline')}, id {found.get('id', '')}") if found else ""
