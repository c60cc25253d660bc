"""What attention on edges consists of: sums of two ends, products of two ends, softmax, weighted sums.

Each works on the copies of a graph that `Blocks` describes, values of nodes being (H N, ...), values of edges (H E,).
Backward passes are written out, so that they too are sums over neighbouring memory and sparse products, without
atomic additions: results are the same each time.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from reprise.nn.graphs.edges import Blocks

with warnings.catch_warnings():  # torch says once a process that compressed rows are in beta; not to users of a model
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor(torch.tensor([0, 0]), torch.tensor([], dtype=torch.long), torch.tensor([]), (1, 1))


def end_sums(of_target: Tensor, of_source: Tensor, blocks: Blocks) -> Tensor:
    """Sum a value of each end: (H N,) and (H N,) to t_i + s_j (H E,)."""
    return _EndSums.apply(of_target, of_source, blocks)  # type: ignore[no-any-return]


def end_products(of_target: Tensor, of_source: Tensor, blocks: Blocks) -> Tensor:
    """Inner product of a vector of each end: (H N, K) and (H N, K) to t_i . s_j (H E,)."""
    return _EndProducts.apply(of_target, of_source, blocks)  # type: ignore[no-any-return]


def neighbour_softmax(scores: Tensor, blocks: Blocks) -> Tensor:
    """Softmax of (H E,) over the edges that end in the same node; a node without any has none."""
    return _Softmax.apply(scores, blocks)  # type: ignore[no-any-return]


def weighted_sums(weights: Tensor, values: Tensor, blocks: Blocks) -> Tensor:
    """Sum of neighbours' values v_j (H N, D), each times the weight of its edge (H E,), to (H N, D); 0 without any."""
    return _WeightedSums.apply(weights, values, blocks)  # type: ignore[no-any-return]


def sparse(starts: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A matrix of compressed rows, its parts taken as they are."""
    return torch.sparse_csr_tensor(starts, columns, values, shape, check_invariants=False)


def _square(starts: Tensor, columns: Tensor, values: Tensor, blocks: Blocks) -> Tensor:
    return sparse(starts, columns, values, (blocks.size, blocks.size))


def _taken(values: Tensor, places: Tensor) -> Tensor:
    return values.index_select(0, places)  # takes int32 as it is, which indexing by [] would convert


def _segments(values: Tensor, starts: Tensor, reduce: str = "sum") -> Tensor:
    # "unsafe" leaves out checks of the offsets, which would wait for a GPU
    return torch.segment_reduce(values, reduce, offsets=starts, unsafe=True)  # type: ignore[no-any-return]


class _EndSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, of_target: Tensor, of_source: Tensor, blocks: Blocks) -> Tensor:
        ctx.blocks = blocks
        return _taken(of_target, blocks.target).add_(_taken(of_source, blocks.source))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        blocks, gradient = ctx.blocks, gradients[0].contiguous()
        return (
            _segments(gradient, blocks.starts) if ctx.needs_input_grad[0] else None,
            _segments(_taken(gradient, blocks.back), blocks.back_starts) if ctx.needs_input_grad[1] else None,
            None,
        )


class _EndProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, of_target: Tensor, of_source: Tensor, blocks: Blocks) -> Tensor:
        ctx.blocks = blocks
        ctx.save_for_backward(of_target, of_source)
        return _sampled_products(of_target, of_source, blocks)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        blocks, gradient = ctx.blocks, gradients[0].contiguous()
        of_target, of_source = ctx.saved_tensors
        return (
            _neighbour_sums(gradient, of_source, blocks) if ctx.needs_input_grad[0] else None,
            _reverse_sums(gradient, of_target, blocks) if ctx.needs_input_grad[1] else None,
            None,
        )


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, blocks: Blocks) -> Tensor:
        most = _segments(scores, blocks.starts, "max")
        weights = (scores - _taken(most, blocks.target)).exp_()
        weights /= _taken(_segments(weights, blocks.starts), blocks.target)
        ctx.blocks = blocks
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        blocks = ctx.blocks
        (weights,) = ctx.saved_tensors
        product = weights * gradients[0]
        return product.sub_(weights * _taken(_segments(product, blocks.starts), blocks.target)), None


class _WeightedSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, values: Tensor, blocks: Blocks) -> Tensor:
        ctx.blocks = blocks
        ctx.save_for_backward(weights, values)
        return _neighbour_sums(weights, values, blocks)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        blocks, gradient = ctx.blocks, gradients[0].contiguous()
        weights, values = ctx.saved_tensors
        return (
            _sampled_products(gradient, values, blocks) if ctx.needs_input_grad[0] else None,
            _reverse_sums(weights, gradient, blocks) if ctx.needs_input_grad[1] else None,
            None,
        )


def _neighbour_sums(weights: Tensor, values: Tensor, blocks: Blocks) -> Tensor:
    """Sum over edges j -> i of w v_j."""
    return _square(blocks.starts, blocks.source, weights, blocks) @ values


def _reverse_sums(weights: Tensor, values: Tensor, blocks: Blocks) -> Tensor:
    """Sum over edges j -> i of w v_i, at j."""
    return _square(blocks.back_starts, blocks.back_target, _taken(weights, blocks.back), blocks) @ values


def _sampled_products(of_target: Tensor, of_source: Tensor, blocks: Blocks) -> Tensor:
    pattern = _square(blocks.starts, blocks.source, of_target.new_zeros(len(blocks.source)), blocks)
    return torch.sparse.sampled_addmm(pattern, of_target, of_source.t(), beta=0.0).values()  # type: ignore[no-any-return]
