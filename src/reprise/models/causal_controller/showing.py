"""Pictures of a controller: what it says beside what is true, and how it got there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from reprise.models.causal_controller.reference import exact_answers
from reprise.nn.causal.law import CausalLaw, LabelLaw
from reprise.nn.causal.queries import Query
from reprise.samples.bars import Bars
from reprise.samples.captioned import CaptionedCurve


def marginal_bars(data: LabelLaw, fit: LabelLaw, drawn: LabelLaw) -> Bars:
    """How often each label is 1: in the data, under the fitted graph, as drawn."""
    laws = {"data": data, "graph fitted to the data": fit, "controller": drawn}
    return Bars(
        name="marginals",
        caption="How often each label is 1",
        group="marginals",
        rows=data.names,
        series={name: [law.marginal(label) for label in data.names] for name, law in laws.items()},
        axis="probability",
    )


def query_bars(queries: Sequence[Query], data: LabelLaw, fit: CausalLaw, drawn: Mapping[str, float]) -> Bars:
    """What is asked under conditions and interventions: exact answers beside the controller's.

    The data alone answer no intervention; the graph that is fitted to them does.
    """
    of_data, of_fit = exact_answers(queries, data, fit), exact_answers(queries, fit.joint(), fit)
    return Bars(
        name="queries",
        caption="Conditioning (given) keeps the causes of a label, intervening (do) cuts them off",
        group="queries",
        rows=[_words(query) for query in queries],
        series={
            "data": [math.nan if q.kind == "do" else of_data[q.name] for q in queries],
            "graph fitted to the data": [of_fit[q.name] for q in queries],
            "controller": [drawn[q.name] for q in queries],
        },
        axis="probability",
    )


def distance_curve(
    steps: Sequence[int], as_released: Sequence[float], all_of: Sequence[float], floor: float
) -> CaptionedCurve:
    """The distance from the data's law by generator step, above that of the fitted graph."""
    return CaptionedCurve(
        name="tvd",
        caption="How far the labels that the controller draws are from the data, by the step of its training",
        axis="total variation distance",
        group="tvd",
        x=("generator step", list(steps)),
        series={
            "all combinations counted": list(all_of),
            "as released": list(as_released),
            "graph fitted to the data": [floor] * len(steps),
        },
    )


def _words(query: Query) -> str:
    event, values = (", ".join(f"{k}={v}" for k, v in part.items()) for part in (query.event, query.values))
    return (
        f"P({event})"
        if query.kind == "marginal"
        else f"P({event} | {values if query.kind == 'given' else f'do({values})'})"
    )
