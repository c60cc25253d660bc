"""Claims of a paper with the tests that decide them."""

from __future__ import annotations

import math

from reprise.reproduction.paper import Claim
from reprise.reproduction.report import words
from reprise.reproduction.report.axis import Scale, fit, spans_decades, tick_texts
from reprise.reproduction.report.context import Context
from reprise.reproduction.report.evidence import deviations_table, run_links
from reprise.reproduction.report.markup import badge, command, facts, folded, paragraphs, plural, slug, text
from reprise.reproduction.standing import ClaimStanding, TermStanding

_WIDTH, _LINE, _LEFT, _RIGHT = 300, 24, 8, 292


def claims_html(claims: tuple[ClaimStanding, ...], context: Context) -> str:
    """All claims of a paper."""
    return f'<div class="claims">{"".join(_claim(c, context) for c in claims)}</div>' if claims else ""


def _claim(standing: ClaimStanding, context: Context) -> str:
    claim = standing.claim
    key = context.ids.of("c", claim.paper, claim.id)
    tests = [p for p in (words.p_value(standing.p_value), _holm(standing)) if p]
    tested = " · ".join([f"n = {standing.n} paired seeds" if standing.n != 1 else "n = 1 paired seed", *tests])
    budget = ""
    if standing.deviations:
        title = f"Tested at a budget: {plural(len(standing.deviations), 'deviation')} that all compared runs share"
        budget = folded(title, deviations_table(standing.deviations))
    sure = words.SURE[claim.sure][0] if claim.sure != "paper" else ""
    return (
        f'<article class="claim" id="{key}" data-kinds="{slug(standing.outcome)}" data-runs="{len(standing.runs)}">'
        f'<div class="claim-head"><h4>{text(claim.text)}</h4>{badge(standing.outcome)}</div>'
        f'<p class="reason">{text(standing.reason)}</p>'
        f"{_terms(standing)}"
        + (f'<p class="tested">{text(tested)}</p>' if standing.runs or standing.p_value is not None else "")
        + facts(
            [
                ("test", text(_meaning(claim))),
                ("source", text(claim.source) + (f' <span class="sure">{text(sure)}</span>' if sure else "")),
                ("not yet", text(claim.pending or "")),
                ("why not", text(claim.why or "") if claim.why != standing.reason else ""),
            ]
        )
        + paragraphs(claim.note)
        + budget
        + _runs(standing, context)
        + (f'<p class="todo">To make the missing runs:</p>{command(standing.command)}' if standing.command else "")
        + "</article>"
    )


def _holm(standing: ClaimStanding) -> str:
    return f"{words.p_value(standing.p_holm)} after Holm" if standing.p_holm is not None else ""


def _meaning(claim: Claim) -> str:
    """What the test asks, in words."""
    better = words.arrow(claim.direction)[1]
    if claim.kind == "threshold":
        side = "above" if claim.relation == "rises" else "below"
        bound = "a bound" if claim.bound is None else f"{claim.bound:g}"
        return f"threshold: the mean lies {side} {bound}; {better}"
    if claim.kind == "equivalence":
        return f"equivalence: the two differ by less than the margin {words.tolerance(claim.margin) or '(none given)'}"
    verb = {"rises": "rises", "falls": "falls"}[claim.relation]
    if claim.kind == "trend":
        return f"trend: the measure {verb} over the terms (slope); {better}"
    return f"ordering: the measure {verb} from each term to the next; {better}"


def _terms(standing: ClaimStanding) -> str:
    if not standing.terms:
        return ""
    rows = "".join(_term(t) for t in standing.terms)
    names = (("term", ""), ("measure", ""), ("mean, 95 %", ' class="n"'), ("n", ' class="n"'))
    heads = "".join(f'<th scope="col"{css}>{name}</th>' for name, css in names)
    table = f'<div class="table small"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f'<div class="terms">{table}{_picture(standing)}</div>'


def _term(found: TermStanding) -> str:
    term, ours = found.term, found.ours
    recipe = f'<code class="under">{text(term.recipe.label)}</code>' if term.recipe else ""
    mean = f"<b>{text(words.interval(ours, None))}</b>" if ours else '<span class="faint">no run</span>'
    count = f"n = {ours.n}" if ours else ""
    return (
        f'<tr><th scope="row">{text(term.label)}{recipe}</th><td><code>{text(term.measure)}</code></td>'
        f'<td class="n">{mean}</td><td class="n">{count}</td></tr>'
    )


def _picture(standing: ClaimStanding) -> str:
    """Means with intervals, one below the other, and the bound of a threshold."""
    found = [(t.term.label, t.ours) for t in standing.terms if t.ours and math.isfinite(t.ours.mean)]
    ends = [
        v for _, o in found for v in (o.mean - (o.half_width or 0), o.mean + (o.half_width or 0)) if math.isfinite(v)
    ]
    bound = standing.claim.bound
    ends += [bound] if bound is not None and found else []
    if not found or (len(found) < 2 and bound is None):
        return ""
    scale = fit(ends, _LEFT, _RIGHT, spans_decades(ends, 30))
    base = 6 + _LINE * len(found)
    parts = [f'<line class="axis" x1="{_LEFT}" x2="{_RIGHT}" y1="{base}" y2="{base}"/>', _ticks(scale, base)]
    if bound is not None:
        x = scale.at(bound)
        parts.append(f'<line class="reported" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{base}"/>')
    for i, (_, ours) in enumerate(found):
        y = 6 + _LINE * i + _LINE / 2
        low, high = ours.mean - (ours.half_width or 0), ours.mean + (ours.half_width or 0)
        if ours.half_width:
            left, right = (scale.at(min(max(v, scale.low), scale.high)) for v in (low, high))
            parts.append(
                f'<path class="whisker" d="M{left:.1f} {y}H{right:.1f}M{left:.1f} {y - 4}v8M{right:.1f} {y - 4}v8"/>'
            )
        parts.append(f'<circle class="mean" cx="{scale.at(ours.mean):.1f}" cy="{y}" r="4"/>')
    said = "; ".join(f"{label}: {words.interval(ours, None)}" for label, ours in found)
    return (
        f'<svg class="term-plot k-{slug(standing.outcome)}" viewBox="0 0 {_WIDTH} {base + 20}" role="img" '
        f'aria-label="{text(said)}">{"".join(parts)}</svg>'
    )


def _ticks(scale: Scale, base: float) -> str:
    return "".join(
        f'<text class="tick" x="{scale.at(t):.1f}" y="{base + 15}" text-anchor="middle">{said}</text>'
        for t, said in tick_texts(scale.ticks(4))
        if _LEFT + 10 < scale.at(t) < _RIGHT - 10
    )


def _runs(standing: ClaimStanding, context: Context) -> str:
    if not standing.runs:
        return ""
    return folded(f"Evidence: {plural(len(standing.runs), 'run')}", run_links(standing.runs, context))
