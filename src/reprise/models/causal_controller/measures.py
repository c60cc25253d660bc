"""What a controller says: how often it draws each combination of labels, and what follows from that.

Shapes: R replicas, n labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reprise.metrics.labels.label_tvd import count_combinations, tvd_of_counts
from reprise.models.causal_controller.network import Controller
from reprise.models.causal_controller.sampling import Values, soft_labels
from reprise.nn.causal.law import LabelLaw
from reprise.nn.causal.queries import Query
from reprise.nn.randomness import example_rng

NEAR = 0.05  # an output within so much of 0 or 1 is called discrete
LEAST = 100  # draws that have to meet a condition; of fewer, a probability has an error of 0.05 or more
LOST = 0.1  # a label is called lost below this share of its frequency in the data


@dataclass(frozen=True)
class Counted:
    """What was drawn of one replica.

    Attributes:
        counts: (2^n,) int64 on the CPU, how often each combination came.
        near: share of unrounded outputs within NEAR of 0 or 1.
    """

    counts: Tensor
    near: float

    def law(self, names: Sequence[str]) -> LabelLaw:
        """The frequencies as a law."""
        share = self.counts.double() / self.counts.sum()
        return LabelLaw(names, share.numpy().reshape((2,) * len(names)))

    def tvd(self, law: LabelLaw, as_released: bool) -> float:
        """Distance from a law of the same labels in the same order."""
        return float(tvd_of_counts(self.counts, torch.from_numpy(law.table.ravel()), as_released))


def count_draws(controller: Controller, count: int, seeds: Sequence[int], do: Values | None = None) -> list[Counted]:
    """Draw rows and count what comes: one `Counted` a replica.

    The noise of a replica is a function of its seed and the intervention alone, so that measurements at different steps
    are made with the same noise.

    Args:
        controller: of R replicas.
        count: rows.
        seeds: one a replica.
        do: labels that are set, and to what.
    """
    stream = "count " + " ".join(f"{name}={value}" for name, value in sorted((do or {}).items()))
    generators = []
    for seed in seeds:
        start = int(example_rng(seed, stream, 0).integers(2**63))
        generators.append(torch.Generator().manual_seed(start))
    n = len(controller.graph)
    counts = torch.zeros(controller.replicas, 1 << n, dtype=torch.long)
    near = torch.zeros(controller.replicas, dtype=torch.float64)
    for part in soft_labels(controller, count, generators, do):
        near += ((part < NEAR) | (part > 1.0 - NEAR)).double().sum((1, 2)).cpu()
        counts += torch.stack([count_combinations(rows) for rows in part]).cpu()
    return [Counted(c, float(x) / (count * n)) for c, x in zip(counts, near, strict=True)]


def answers(
    observed: Counted, intervened: Mapping[str, Counted], queries: Sequence[Query], names: Sequence[str]
) -> tuple[dict[str, float], dict[str, int]]:
    """What drawn labels say to queries; a conditional one is answered by rejection, from what was drawn as it comes.

    Args:
        observed: labels drawn as they come.
        intervened: those under interventions, by the name of the query that needs them.
        queries: to be answered.
        names: the labels, in the order of the counts.

    Returns:
        the answers by name, NaN where fewer than LEAST draws meet the condition; and for each conditional query, by
        name, how many do.
    """
    law, drawn = observed.law(names), int(observed.counts.sum())
    found: dict[str, float] = {}
    met: dict[str, int] = {}
    for query in queries:
        if query.kind == "given":
            met[query.name] = round(law.probability(query.values) * drawn)
            enough = met[query.name] >= LEAST
            found[query.name] = law.probability(query.event, query.values) if enough else math.nan
        else:
            asked = intervened[query.name].law(names) if query.kind == "do" else law
            found[query.name] = asked.probability(query.event)
    return found, met


def lost_labels(observed: LabelLaw, data: LabelLaw) -> list[str]:
    """Labels that have a value which is drawn less than LOST times as often as it stands in the data."""
    found = []
    for name in data.names:
        drawn, true = observed.marginal(name), data.marginal(name)
        if drawn < LOST * true or 1.0 - drawn < LOST * (1.0 - true):
            found.append(name)
    return found
