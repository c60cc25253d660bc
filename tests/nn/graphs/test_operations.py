"""Sums and softmax over edges against what they are on dense matrices."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reprise.nn.graphs.edges import Blocks, Edges
from reprise.nn.graphs.features import DENSE, SparseFeatures, compact, drop_features
from reprise.nn.graphs.operations import end_products, end_sums, neighbour_softmax, weighted_sums

HEADS, NODES = 2, 5
INDEX = torch.tensor([[0, 1, 2, 2, 0, 4], [1, 0, 1, 0, 0, 4]])  # nodes 2 and 3 have no neighbours


def blocks() -> Blocks:
    return Edges(INDEX, NODES).blocks(HEADS)


def numbers(*shape: int) -> Tensor:
    made = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))
    return made.requires_grad_()


def dense(values: Tensor, edges: Edges, fill: float = 0.0) -> Tensor:
    """(H E,) as (H, N, N), row i holding the edges that end in i."""
    found = values.new_full((HEADS, edges.nodes, edges.nodes), fill)
    found[:, edges.target, edges.source] = values.view(HEADS, -1)
    return found


def test_edges_are_sorted_by_target_and_count_once() -> None:
    edges = Edges(torch.cat([INDEX.flip(1), INDEX], 1), NODES)
    assert edges.index.tolist() == [[0, 1, 2, 0, 2, 4], [0, 0, 0, 1, 1, 4]]
    found = edges.blocks(HEADS)
    assert found is edges.blocks(HEADS)
    for h in range(HEADS):
        for node in range(NODES):
            first, last = found.starts[h * NODES + node], found.starts[h * NODES + node + 1]
            assert (found.target[first:last] == h * NODES + node).all()
    assert found.target[found.back].tolist() == found.back_target.tolist()
    assert found.source[found.back].tolist() == sorted(found.source.tolist())


@pytest.mark.parametrize("index", [torch.tensor([[0], [5]]), torch.tensor([[-1], [0]]), torch.zeros(3, 2)])
def test_edges_without_nodes_are_refused(index: Tensor) -> None:
    with pytest.raises(ValueError, match="Expected"):
        Edges(index, NODES)


def test_operations_are_those_of_dense_matrices() -> None:
    edges, b = Edges(INDEX, NODES), blocks()
    t, s = numbers(HEADS * NODES), numbers(HEADS * NODES).flip(0)
    expected = t.view(HEADS, NODES, 1) + s.view(HEADS, 1, NODES)
    assert torch.equal(end_sums(t, s, b).view(HEADS, -1), expected[:, edges.target, edges.source])
    u, v = numbers(HEADS * NODES, 3), numbers(HEADS * NODES, 3).flip(0)
    inner = u.view(HEADS, NODES, 3) @ v.view(HEADS, NODES, 3).transpose(1, 2)
    assert torch.allclose(end_products(u, v, b).view(HEADS, -1), inner[:, edges.target, edges.source], atol=1e-12)
    scores = numbers(HEADS * len(edges)) * 50.0
    weights = neighbour_softmax(scores, b)
    matrix = dense(scores, edges, -torch.inf).softmax(2).nan_to_num(0.0)
    assert torch.allclose(dense(weights, edges), matrix, atol=1e-12)
    sums = weighted_sums(weights, v, b).view(HEADS, NODES, 3)
    assert torch.allclose(sums, matrix @ v.view(HEADS, NODES, 3), atol=1e-12)
    assert (sums[:, 2:4] == 0.0).all()  # nobody to attend to


def test_softmax_of_scores_that_overflow_an_exponential() -> None:
    weights = neighbour_softmax(torch.tensor([1e4, 1e4, -1e4, 0.0, -2e4, 3e4] * HEADS), blocks())
    assert weights[:3].tolist() == [0.5, 0.5, 0.0]


def test_gradients() -> None:
    b = blocks()
    edges = len(b.source)
    assert torch.autograd.gradcheck(lambda x, y: end_sums(x, y, b), (numbers(10), numbers(10)))
    assert torch.autograd.gradcheck(lambda x, y: end_products(x, y, b), (numbers(10, 3), numbers(10, 3)))
    assert torch.autograd.gradcheck(lambda x: neighbour_softmax(x, b), (numbers(edges),))
    assert torch.autograd.gradcheck(lambda w, v: weighted_sums(w, v, b), (numbers(edges), numbers(10, 3)))


def test_sparse_features_multiply_as_dense_ones_do() -> None:
    x = torch.zeros(7, 40, dtype=torch.float64)
    x[[0, 0, 3, 6], [1, 39, 1, 5]] = torch.tensor([1.0, 2.0, 3.0, -4.0], dtype=torch.float64)
    found = compact(x)
    assert isinstance(found, SparseFeatures) and found.shape == (7, 40)
    weight = numbers(40, 3)
    assert torch.allclose(found @ weight, x @ weight)
    assert torch.autograd.gradcheck(lambda w: found @ w, (weight,))
    half = torch.rand(7, 40)
    assert compact(half) is half and DENSE < 1.0


def test_dropout_of_sparse_features_keeps_the_mean_and_the_pattern() -> None:
    torch.manual_seed(0)
    x = torch.zeros(100, 2000)
    x[:, ::40] = 1.0
    found = compact(x)
    assert drop_features(found, 0.6, training=False) is found
    dropped = drop_features(found, 0.6, training=True) @ torch.eye(2000)
    assert (dropped[x == 0.0] == 0.0).all()
    kept = dropped[x == 1.0]
    assert kept.unique().tolist() == pytest.approx([0.0, 2.5])
    assert kept.mean().item() == pytest.approx(1.0, abs=0.06)  # 3.5 deviations of 5000 draws
