"""Sums over processes with gradients, so that what a batch shares is that of the global batch."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def processes() -> int:
    """Processes that train together; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class _Sum(torch.autograd.Function):
    """all_reduce whose gradient is the sum of the processes' gradients."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
        total = grads[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def summed(x: Tensor) -> Tensor:
    """The sum of x over the processes, of the same shape; x itself where there is one process.

    Where each process averages a loss over its own examples, the mean over processes of the gradients of these losses
    is the gradient of the loss of the global batch, also through this sum. Every process has to go backward through it.
    """
    if processes() == 1:
        return x
    return _Sum.apply(x)  # type: ignore[no-any-return]


def gathered(x: Tensor) -> Tensor:
    """The rows of all processes, (W * B, ...) of (B, ...), in the order of ranks; with gradients, as `summed`.

    Every process has to have as many rows.
    """
    count = processes()
    if count == 1:
        return x
    # one kind of collective is enough, and has a backward pass with every backend: others' rows are zero here
    places = x.new_zeros(count, *x.shape)
    own = torch.arange(count, device=x.device).eq(dist.get_rank()).view(-1, *[1] * x.ndim)
    return summed(torch.where(own, x[None], places)).flatten(0, 1)
