"""Measures of forecasts against their definitions."""

from __future__ import annotations

import pytest
import torch

from reprise.metrics.forecasts import Coverage, LogDensity, MeanAbsoluteError, log_density_of_cells, quantile


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


def test_quantiles_spread_the_mass_of_a_cell_evenly() -> None:
    probability = torch.tensor([[0.2, 0.5, 0.3], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    edges = torch.tensor([0.0, 1.0, 3.0, 4.0])
    assert quantile(probability, edges, 0.1).tolist() == pytest.approx([0.5, 3.1, 0.1])
    assert quantile(probability, edges, 0.45).tolist() == pytest.approx([2.0, 3.45, 0.45])
    assert quantile(probability, edges, 1.0).tolist() == pytest.approx([4.0, 4.0, 1.0])


def test_densities_of_cells_fall_off_beyond_the_outermost() -> None:
    edges, mass = torch.tensor([0.0, 1.0, 3.0, 4.0]), torch.tensor([0.2, 0.5, 0.3])
    x = torch.tensor([-2.0, 0.5, 2.0, 3.0, 6.0])
    index = torch.tensor([0, 0, 1, 2, 2])
    found = log_density_of_cells(mass[index].log(), edges, index, x).exp()
    e = 2.718281828459045
    assert found.tolist() == pytest.approx([0.2 * e**-3, 0.2 * e**-0.5, 0.25, 0.3, 0.3 * e**-3])
