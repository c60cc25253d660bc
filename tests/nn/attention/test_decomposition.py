"""Softmax attention and GAT are a kernel times magnitude, to single precision."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from reprise.nn.attention.decomposition import dot_product, graph_attention
from reprise.nn.attention.dot import DotProduct


def test_softmax_attention_is_an_rbf_kernel_times_magnitude() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 3, 4, 12, 8, generator=generator)
    found = dot_product(q, k)
    plain = (q @ k.transpose(-1, -2) / math.sqrt(8)).softmax(-1)
    torch.testing.assert_close(found.weights, plain, atol=1e-6, rtol=0.0)
    rbf = torch.exp(-(q[1, 2, 3] - k[1, 2, 5]).square().sum() / (2 * math.sqrt(8)))
    torch.testing.assert_close(found.log_similarity[1, 2, 3, 5].exp(), rbf)
    norms = torch.exp((q[1, 2, 3].square().sum() + k[1, 2, 5].square().sum()) / (2 * math.sqrt(8)))
    torch.testing.assert_close(found.log_magnitude[1, 2, 3, 5].exp(), norms)


def test_gat_is_an_rbf_kernel_times_magnitude() -> None:
    """The identity of GAT's softmax of LeakyReLU(a'[Wh_i, Wh_j]) over the neighbours of each node."""
    generator = torch.Generator().manual_seed(0)
    nodes, heads, size = 6, 3, 5
    wh, a = torch.randn(nodes, heads, size, generator=generator), torch.randn(heads, 2 * size, generator=generator)
    linked = torch.rand(nodes, nodes, generator=generator) < 0.5
    linked |= torch.eye(nodes, dtype=torch.bool)
    targets, sources = linked.nonzero(as_tuple=True)
    z = torch.cat([wh[targets], wh[sources]], -1)
    scores = (z * a).sum(-1)
    assert (scores > 0).any() and (scores < 0).any()  # both slopes take part
    dense = torch.full((nodes, nodes, heads), -math.inf)
    dense[targets, sources] = F.leaky_relu(scores, 0.2)
    plain = dense.softmax(1)[targets, sources]
    found = graph_attention(a, z, targets, nodes)
    torch.testing.assert_close(found.weights, plain, atol=1e-6, rtol=0.0)
    c = torch.where(scores > 0, 1.0, 0.2)
    torch.testing.assert_close(found.log_similarity, -c / 2 * torch.stack([(a - e).square().sum(-1) for e in z]))


def test_the_fused_dot_product_has_these_weights_and_masks() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, 7, 4, generator=generator) for _ in range(3))
    allowed = torch.rand(2, 1, 7, 7, generator=generator) < 0.6
    allowed[0, 0, 2] = False  # a query without keys
    attention = DotProduct(3, 4, dropout=0.5).eval()
    weights = attention.weights(q, k, allowed=allowed)
    values, penalty = attention(q, k, v, allowed=allowed)
    torch.testing.assert_close(values, weights @ v)
    assert penalty == 0 and not weights[~allowed.expand_as(weights)].any() and not values[0, :, 2].any()
    attention.train()
    torch.manual_seed(0)
    assert not torch.allclose(attention(q, k, v, allowed=allowed).values, values)
