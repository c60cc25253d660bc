"""Graph attention against PyTorch Geometric and dense matrices; implicit kernels of edges against dense ones."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from reprise.models.gat.implicit import ImplicitKernelScore, split_features
from reprise.models.gat.network import GATNetwork, GraphAttention
from reprise.models.gat.scores import AdditiveScore
from reprise.nn.attention.base import fixed_draw
from reprise.nn.attention.decomposition import graph_attention
from reprise.nn.attention.generated import GeneratedPoints
from reprise.nn.attention.spectral import DirectPoints, Points, features
from reprise.nn.graphs.edges import Edges
from reprise.nn.graphs.features import compact
from reprise.nn.graphs.graph import Graph

NODES, INPUTS, SIZE, HEADS = 12, 9, 4, 3


def graph(loops: bool = True) -> Graph:
    generator = torch.Generator().manual_seed(3)
    index = torch.randint(NODES - 2, (2, 30), generator=generator)  # the last two nodes are alone
    if loops:
        index = torch.cat([index, torch.arange(NODES).repeat(2, 1)], 1)
    return Graph(torch.randn(NODES, INPUTS, generator=generator), Edges(index, NODES))


def pairs(h: Tensor, edges: Edges) -> Tensor:
    """z_ij (E, H, 2 D) of projected features (H, N, D)."""
    return torch.cat([h[:, edges.target], h[:, edges.source]], 2).transpose(0, 1)


@pytest.mark.parametrize(("combine", "concat"), [("concat", True), ("mean", False)])
@pytest.mark.filterwarnings("ignore")
def test_a_layer_is_the_one_of_pytorch_geometric(combine: str, concat: bool) -> None:
    nn = pytest.importorskip("torch_geometric.nn")
    torch.manual_seed(0)
    given = graph()
    ours = GraphAttention(INPUTS, SIZE, HEADS, AdditiveScore, combine)  # type: ignore[arg-type]
    theirs = nn.GATConv(INPUTS, SIZE, HEADS, concat=concat, add_self_loops=False)
    with torch.no_grad():
        theirs.lin.weight.copy_(ours.weight.T)
        first, second = ours.score.a.chunk(2, 1)  # type: ignore[union-attr, operator]
        theirs.att_dst.copy_(first[None])
        theirs.att_src.copy_(second[None])
        ours.bias.uniform_(-1.0, 1.0)
        theirs.bias.copy_(ours.bias)
    out, penalty = ours(given.x, given.edges)
    assert torch.allclose(out, theirs(given.x, given.edges.index), atol=1e-5)
    assert penalty.item() == 0.0


@pytest.mark.parametrize("loops", [True, False])
def test_a_layer_is_the_papers_equations(loops: bool) -> None:
    torch.manual_seed(1)
    given = graph(loops)
    layer = GraphAttention(INPUTS, SIZE, HEADS, AdditiveScore).double()
    x = given.x.double()  # type: ignore[union-attr]
    neighbours = torch.zeros(NODES, NODES, dtype=torch.bool)
    neighbours[given.edges.target, given.edges.source] = True
    joined = []
    for head in range(HEADS):  # equations 1 to 5, one head after the other
        wh = x @ layer.weight[:, head * SIZE : (head + 1) * SIZE]
        z = torch.cat([wh[:, None].expand(-1, NODES, -1), wh[None].expand(NODES, -1, -1)], 2)
        e = F.leaky_relu(z @ layer.score.a[head], 0.2)  # type: ignore[union-attr, index, operator]
        alpha = e.masked_fill(~neighbours, -math.inf).softmax(1).nan_to_num(0.0)
        joined.append(alpha @ wh)
    found, _ = layer(x, given.edges)
    assert torch.allclose(found, torch.cat(joined, 1) + layer.bias, atol=1e-10)
    if not loops:
        assert torch.equal(found[-1], layer.bias)  # alone


def test_parts_of_the_additive_score_are_the_kernel_and_norms() -> None:
    torch.manual_seed(2)
    edges = graph().edges
    h, score = torch.randn(HEADS, NODES, SIZE, dtype=torch.float64), AdditiveScore(HEADS, SIZE).double()
    blocks = edges.blocks(HEADS)
    parts = score.decompose(h, blocks)
    known = graph_attention(score.a, pairs(h, edges), edges.target, NODES)
    for ours, theirs in zip(parts, known[:2], strict=True):
        assert torch.allclose(ours.view(HEADS, -1).T, theirs, atol=1e-9)
    assert torch.allclose(sum(parts), score(h, blocks).scores, atol=1e-9)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("p", [2.0, 3.0])
def test_implicit_scores_of_edges_are_those_of_whole_pairs(tied: bool, p: float) -> None:
    torch.manual_seed(3)
    edges = graph().edges
    points = partial(DirectPoints, count=6, tied=tied)
    score = ImplicitKernelScore(HEADS, SIZE, points, p=p, floor=1e-5).double().eval()
    h = torch.randn(HEADS, NODES, SIZE, dtype=torch.float64)
    blocks, z = edges.blocks(HEADS), pairs(h, edges)
    made: Points = score.points()
    k = (features(score.a[:, None], made) * features(z.transpose(0, 1), made)).sum(2)  # type: ignore[index]
    magnitude = (z.abs().pow(p).sum(2).pow(2 / p) + score.a.abs().pow(p).sum(1).pow(2 / p)).T / 2  # type: ignore[union-attr]
    expected = (k.square() + 1e-5).log() + magnitude
    found = score(h, blocks)
    assert torch.allclose(found.scores.view(HEADS, -1), expected, atol=1e-8)
    parts = score.decompose(h, blocks)
    assert torch.allclose(parts.log_magnitude.view(HEADS, -1), magnitude, atol=1e-8)
    assert found.penalty.item() == 0.0


def test_features_of_the_two_ends_have_gradients() -> None:
    torch.manual_seed(4)
    a, h, first, second = (
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in ((2, 6), (2, 3, 3), (2, 2, 6), (2, 2, 6))
    )
    zero = torch.zeros(())
    assert torch.autograd.gradcheck(
        lambda *v: split_features(v[0], v[1], Points(v[2], v[3], zero)), (a, h, first, second)
    )
    assert torch.autograd.gradcheck(lambda *v: split_features(v[0], v[1], Points(v[2], v[2], zero)), (a, h, first))


def test_ends_are_compared_by_a_kernel_of_their_features() -> None:
    torch.manual_seed(5)
    edges = graph().edges
    score = ImplicitKernelScore(HEADS, SIZE, partial(DirectPoints, count=6), compare="ends").double().eval()
    h = torch.randn(HEADS, NODES, SIZE, dtype=torch.float64)
    phi = features(h, score.points())
    k = (phi[:, edges.target] * phi[:, edges.source]).sum(2)
    norms = h.square().sum(2)
    expected = (k.square() + 1e-5).log() + (norms[:, edges.target] + norms[:, edges.source]) / 2
    assert torch.allclose(score(h, edges.blocks(HEADS)).scores.view(HEADS, -1), expected, atol=1e-8)


@pytest.mark.parametrize("compare", ["weight_and_pair", "ends"])
def test_generated_points_see_the_mean_over_edges(compare: str) -> None:
    torch.manual_seed(6)
    edges = graph().edges
    points = partial(GeneratedPoints, count=4)
    score = ImplicitKernelScore(HEADS, SIZE, points, compare=compare)  # type: ignore[arg-type]
    h = torch.randn(HEADS, NODES, SIZE)
    z = pairs(h, edges).mean(0)  # (H, 2 D)
    pooled = z if score.a is None else torch.cat([score.a, z], 1)
    made = score.points(pooled, fixed_draw(7))
    assert score(h, edges.blocks(HEADS), fixed_draw(7)).penalty.item() == pytest.approx(made.penalty.item(), rel=1e-5)
    assert made.penalty.item() != 0.0


def test_the_network_of_cora_has_its_size() -> None:
    network = GATNetwork(1433, 7, AdditiveScore, [8], [8, 1])
    first, second = 1433 * 64 + 8 * 16 + 64, 64 * 7 + 14 + 7
    assert sum(p.numel() for p in network.parameters()) == first + second == 92373
    pubmed = GATNetwork(500, 3, AdditiveScore, [8], [8, 8])
    assert pubmed(Graph(torch.rand(4, 500), Edges(torch.zeros(2, 1).long(), 4))).logits.shape == (4, 3)


def test_sparse_and_dense_features_give_the_same() -> None:
    torch.manual_seed(7)
    x = (torch.rand(NODES, 50) < 0.05).float()
    network = GATNetwork(50, 3, AdditiveScore, [4], [2, 1]).eval()
    edges = graph().edges
    assert not isinstance(compact(x), Tensor)
    assert torch.allclose(network(Graph(compact(x), edges)).logits, network(Graph(x, edges)).logits, atol=1e-6)


def test_the_look_at_a_network_is_what_it_does() -> None:
    torch.manual_seed(8)
    points = partial(DirectPoints, count=4)
    network = GATNetwork(INPUTS, 3, partial(ImplicitKernelScore, points=points), [SIZE], [HEADS, 1])
    looks = network.look(graph())
    assert [look.heads for look in looks] == [HEADS, 1] and network.training
    for look in looks:
        scores = sum(look.parts)
        weights = torch.zeros_like(scores)
        for node in range(look.blocks.size):
            own = look.blocks.target == node
            weights[own] = scores[own].softmax(0)
        assert torch.allclose(look.weights, weights, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"heads": [8]}, "one more"), ({"heads": [8, 0]}, "1 or more"), ({"dropout": 1.0}, "dropout is 1.0")],
)
def test_sizes_out_of_range_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GATNetwork(**{"features": 4, "classes": 2, "score": AdditiveScore, "hidden": [8], "heads": [8, 1], **settings})
