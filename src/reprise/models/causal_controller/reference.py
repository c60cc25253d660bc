"""Exact values to hold a controller against, by enumeration."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reprise.config.errors import DataError
from reprise.nn.causal.law import CausalLaw, LabelLaw
from reprise.nn.causal.queries import Query


def exact_answers(queries: Sequence[Query], law: LabelLaw, causal_law: CausalLaw) -> dict[str, float]:
    """Answers by the name of the query; NaN where the condition has probability 0.

    Args:
        queries: to be answered.
        law: answers marginals and conditionals.
        causal_law: answers interventions.
    """
    found = {}
    for query in queries:
        try:
            found[query.name] = query.answered(law, causal_law)
        except DataError:
            found[query.name] = math.nan
    return found


def reference_values(data: LabelLaw, fit: CausalLaw, queries: Sequence[Query]) -> dict[str, float]:
    """What data and fitted graph say, as metrics; what a condition of probability 0 leaves open is missing.

    Args:
        data: the law of the data, which alone answers no intervention.
        fit: the graph fitted to it.
        queries: to be answered.

    Returns:
        `fit_tvd`, the distance of both, all combinations counted; `data/p_male/given_mustache` and `fit/...` likewise.
    """
    joint = fit.joint()
    found = {"fit_tvd": data.tvd(joint)}
    observed = [query for query in queries if query.kind != "do"]
    found |= {f"data/{name}": value for name, value in exact_answers(observed, data, fit).items()}
    found |= {f"fit/{name}": value for name, value in exact_answers(queries, joint, fit).items()}
    return {name: value for name, value in found.items() if not math.isnan(value)}
