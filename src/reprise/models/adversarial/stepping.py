"""Updates of one network at a time, by hand: gradients of its parameters alone, averaged over processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from reprise.models.adversarial.together import processes


def averaged(gradients: Sequence[Tensor]) -> list[Tensor]:
    """The mean over processes of gradients, in one all_reduce."""
    if processes() == 1:
        return list(gradients)
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= processes()
    parts = flat.split([gradient.numel() for gradient in gradients])
    return [part.view_as(gradient) for part, gradient in zip(parts, gradients, strict=True)]


def mean_over_processes(*values: Tensor) -> list[Tensor]:
    """The mean over processes of numbers (), without gradients, in one all_reduce."""
    return averaged([value.detach() for value in values])


def gradients_of(loss: Tensor, parameters: Iterable[nn.Parameter], keep: bool = False) -> list[Tensor]:
    """Gradients of a loss by some parameters, averaged over processes.

    Each process averages the loss over its examples, so this is the gradient of the global batch's mean.

    Args:
        loss: a number ().
        parameters: that are to be changed; all of them have to have a part in the loss.
        keep: leave the graph for another loss that shares it.
    """
    return averaged(torch.autograd.grad(loss, list(parameters), retain_graph=keep))


def update(optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], gradients: Sequence[Tensor]) -> None:
    """One step of an optimiser with these gradients, which are dropped afterwards."""
    kept = list(parameters)
    for parameter, gradient in zip(kept, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    for parameter in kept:
        parameter.grad = None
