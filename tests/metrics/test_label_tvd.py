"""Distance of drawn labels from a law, with and without what the law lacks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reprise.causal.law import LabelLaw
from reprise.metrics.labels.label_tvd import LabelTVD

LAW = torch.tensor([0.5, 0.5, 0.0, 0.0], dtype=torch.float64)  # of two labels, the first is never 1
ROWS = torch.tensor([[0, 0], [0, 1], [0, 1], [1, 1]])


def test_the_released_distance_drops_what_the_data_lack() -> None:
    counted, released = LabelTVD(LAW), LabelTVD(LAW, as_released=True)
    for metric in (counted, released):
        metric.update(ROWS[:1])
        metric.update(ROWS[1:].float() * 0.8)  # above 0.5 counts as 1
    assert float(counted.compute()) == pytest.approx((0.25 + 0.0 + 0.0 + 0.25) / 2)
    assert float(released.compute()) == pytest.approx((1 / 6 + 1 / 6) / 2)
    assert counted.version == 1


def test_it_is_the_distance_of_two_laws() -> None:
    rng = np.random.default_rng(0)
    data = LabelLaw(["a", "b", "c"], rng.dirichlet(np.ones(8)).reshape(2, 2, 2))
    rows = rng.integers(0, 2, (300, 3))
    metric = LabelTVD(torch.from_numpy(data.table.ravel()))
    metric.update(torch.from_numpy(rows))
    assert float(metric.compute()) == pytest.approx(LabelLaw.of_rows(data.names, rows).tvd(data), abs=1e-12)


def test_what_is_no_law_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected"):
        LabelTVD(torch.tensor([0.5, 0.5, 0.0]))
    with pytest.raises(ValueError, match=r"Expected \(B, 2\)"):
        LabelTVD(LAW).update(torch.zeros(3, 3))
