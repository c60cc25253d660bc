"""Measures of forecasts against their definitions."""

from __future__ import annotations

import pytest
import torch

from reprise.metrics.forecasts import Coverage, LogDensity, MeanAbsoluteError


def test_means_over_all_values_of_all_batches() -> None:
    y = torch.tensor([1.0, 2.0, 4.0])
    mae, coverage, density = MeanAbsoluteError(), Coverage(), LogDensity()
    for part in (slice(0, 1), slice(1, 3)):
        mae.update(torch.tensor([0.0, 2.5, 1.0])[part], y[part])
        coverage.update(torch.tensor([1.0, 2.1, 0.0])[part], torch.tensor([3.0, 9.0, 4.0])[part], y[part])
        density.update(torch.tensor([-1.0, 0.5, -4.0])[part])
    assert float(mae.compute()) == pytest.approx(4.5 / 3)
    assert float(coverage.compute()) == pytest.approx(2 / 3)  # both ends count
    assert float(density.compute()) == pytest.approx(-1.5)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        MeanAbsoluteError().update(torch.zeros(2), torch.zeros(3))
    with pytest.raises(ValueError, match="one shape"):
        Coverage().update(torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(2, 1))
