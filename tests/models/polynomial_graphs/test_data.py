"""Synthetic data: ranges, wiring, the authors' fault, what two draws differ by."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from reprise.models.polynomial_graphs.draws import uniform
from reprise.models.polynomial_graphs.graphs import GRAPHS, ORDER, PARENTS, GraphName
from reprise.models.polynomial_graphs.objective import binned, tvd
from reprise.models.polynomial_graphs.polynomials import PolynomialData, cubic, random_cubic


def drawn(data: PolynomialData, count: int, purpose: str = "test", repetitions: int = 3) -> torch.Tensor:
    x: torch.Tensor = data(uniform(0, purpose, repetitions, 0, count, 3))
    return x


def test_a_cubic_is_the_sum_of_all_products_of_three_entries() -> None:
    rng = np.random.default_rng(0)
    c, x = rng.normal(size=(2, 4, 4, 4)), rng.random((2, 5, 3))
    found = cubic(torch.from_numpy(c), torch.from_numpy(x))
    for r, b in itertools.product(range(2), range(5)):
        y = [1.0, *x[r, b]]
        expected = sum(c[r, i, j, k] * y[i] * y[j] * y[k] for i, j, k in itertools.product(range(4), repeat=3))
        assert float(found[r, b]) == pytest.approx(expected)


@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_polynomials_fill_the_unit_interval(inputs: int) -> None:
    c = random_cubic(inputs, np.random.default_rng(inputs))
    values = cubic(c[None], torch.rand((1, 20_000, inputs), generator=torch.Generator().manual_seed(0)))
    assert -0.01 < float(values.min()) < 0.12
    assert 0.88 < float(values.max()) < 1.01


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("as_released", [True, False])
def test_variables_keep_away_from_0_and_1_and_repetitions_differ(graph: GraphName, as_released: bool) -> None:
    x = drawn(PolynomialData(graph, as_released, 1, 3), 4000)
    assert x.shape == (3, 4000, 3)
    assert float(x.min()) > 0.045 and float(x.max()) < 0.955
    assert not torch.allclose(x[0].mean(0), x[1].mean(0), atol=0.01)


@pytest.mark.parametrize("graph", GRAPHS)
def test_parents_come_before_children(graph: GraphName) -> None:
    place = {node: at for at, node in enumerate(ORDER[graph])}
    assert all(place[parent] < place[node] for node in range(3) for parent in PARENTS[graph][node])


@pytest.mark.parametrize("graph, node", [("collider", 1), ("complete", 2)])
def test_as_released_a_node_with_two_parents_is_a_cubic_of_the_first(graph: GraphName, node: int) -> None:
    exogenous = uniform(0, "test", 2, 0, 400, 3)
    other = exogenous.clone()
    other[..., 1:] = uniform(0, "other", 2, 0, 400, 2)  # everything but the noise of X1
    released, intended = PolynomialData(graph, True, 0, 2), PolynomialData(graph, False, 0, 2)
    assert torch.equal(released(exogenous)[..., node], released(other)[..., node])
    assert not torch.allclose(intended(exogenous)[..., node], intended(other)[..., node], atol=0.05)
    x = released(exogenous).double()
    for r in range(2):  # X_node = a cubic of X1, so four columns fit it exactly
        powers = torch.stack([x[r, :, 0] ** k for k in range(4)], -1)
        fit = torch.linalg.lstsq(powers, x[r, :, node : node + 1]).solution
        assert float((powers @ fit - x[r, :, node : node + 1]).abs().max()) < 1e-4


def test_the_fault_does_not_touch_nodes_of_one_parent() -> None:
    exogenous = uniform(0, "test", 2, 0, 100, 3)
    assert torch.equal(
        PolynomialData("linear", True, 0, 2)(exogenous), PolynomialData("linear", False, 0, 2)(exogenous)
    )


def test_interventions_downstream_do_not_reach_a_parent() -> None:
    exogenous = uniform(0, "test", 1, 0, 50, 3)
    other = exogenous.clone()
    other[..., 2] = 0.5
    found, changed = (PolynomialData("linear", False, 0, 1)(noise) for noise in (exogenous, other))
    assert torch.equal(found[..., :2], changed[..., :2])
    assert not torch.equal(found[..., 2], changed[..., 2])


def test_bins_are_those_of_numpy() -> None:
    x = torch.rand((2, 500, 3), generator=torch.Generator().manual_seed(0))
    x[0, 0] = torch.tensor([0.0, 1.0, 0.3])
    for r in range(2):
        counts, _ = np.histogramdd(x[r].double().numpy(), bins=10, range=[(0, 1)] * 3)
        assert np.allclose(binned(x, 10)[r].numpy(), counts.reshape(-1) / 500, atol=1e-12)


def test_the_distance_is_0_of_equals_and_1_of_strangers() -> None:
    low, high = torch.full((1, 10, 3), 0.2), torch.full((1, 10, 3), 0.7)
    assert float(tvd(low, low)) == 0.0
    assert float(tvd(low, high)) == 1.0
    with pytest.raises(ValueError, match="outside of the unit cube"):
        tvd(low, high + 0.4)
    with pytest.raises(ValueError, match="outside of the unit cube"):
        tvd(low, high * float("nan"))


@pytest.mark.parametrize("graph", GRAPHS)
def test_two_draws_of_one_law_differ_by_a_few_hundredths(graph: GraphName) -> None:
    data = PolynomialData(graph, False, 0, 3)
    floors = tvd(drawn(data, 50_000, "first"), drawn(data, 50_000, "second"))
    assert 0.02 < float(floors.mean()) < 0.05  # between two draws of one law
