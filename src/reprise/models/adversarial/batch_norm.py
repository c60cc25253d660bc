"""Batch normalisation over the global batch, with a choice of the statistics that evaluation uses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.models.adversarial.together import processes, summed

Statistics = Literal["running", "batch"]


class BatchNorm(nn.Module):
    """Batch normalisation of maps, whose statistics in training are those of all processes' examples together.

    In TensorFlow's networks of this kind the layer runs in training mode for ever: an image depends on the others that
    are drawn with it, and a batch of which all labels are intervened on has statistics that training never saw.
    `statistics="batch"` does that; by default evaluation uses running statistics. Pictures to be judged are normalised
    by a batch that is always the same one, see `normalised_by`: else one would depend on how many are drawn at once.

    Args:
        maps: C.
        statistics: of evaluation: running, the moving average of training; or batch, those of the batch at hand.
        momentum: weight of a new batch in the moving average.
        eps: added to the variance.

    Raises:
        ValueError: another choice of statistics.
    """

    def __init__(self, maps: int, statistics: Statistics = "running", momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        if statistics not in ("running", "batch"):
            raise ValueError(f"statistics is {statistics!r}. Expected 'running' or 'batch'.")
        self.statistics = statistics
        self.momentum = momentum
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(maps))
        self.bias = nn.Parameter(torch.zeros(maps))
        self.register_buffer("mean", torch.zeros(maps))
        self.register_buffer("variance", torch.ones(maps))
        self.mean: Tensor
        self.variance: Tensor
        self.noted = True  # whether a batch of training moves the averages
        self.held: tuple[Tensor, Tensor] | None = None  # statistics of a batch that stands for the one at hand

    def forward(self, x: Tensor) -> Tensor:
        """Normalise maps (B, C, H, W), each over examples and places."""
        if not self.training:
            if self.held is not None:
                mean, variance = self.held
                return F.batch_norm(x, mean, variance, self.weight, self.bias, False, 0.0, self.eps)
            if self.statistics == "batch":
                return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)
            return F.batch_norm(x, self.mean, self.variance, self.weight, self.bias, False, 0.0, self.eps)
        if processes() == 1:
            if not self.noted:
                return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)
            return F.batch_norm(x, self.mean, self.variance, self.weight, self.bias, True, self.momentum, self.eps)
        return self._over_processes(x)

    def _over_processes(self, x: Tensor) -> Tensor:
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        count = x.numel() // x.shape[1] * processes()
        # two passes: a variance as a difference of squares would lose the digits that equal numbers need
        mean = summed(values.sum((0, 2, 3))) / count
        centred = values - mean[:, None, None]
        variance = summed(centred.square().sum((0, 2, 3))) / count
        if self.noted:
            with torch.no_grad():
                self.mean.lerp_(mean, self.momentum)
                self.variance.lerp_(variance * (count / (count - 1)), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


@contextlib.contextmanager
def unnoted(network: nn.Module) -> Iterator[None]:
    """Within it, training batches leave the moving averages of a network's layers as they are."""
    layers = [module for module in network.modules() if isinstance(module, BatchNorm)]
    for layer in layers:
        layer.noted = False
    try:
        yield
    finally:
        for layer in layers:
            layer.noted = True


@contextlib.contextmanager
def normalised_by(network: nn.Module, run: Callable[[], object]) -> Iterator[None]:
    """Within it, layers with statistics="batch" use those of one fixed batch, whatever they are given.

    Args:
        network: in evaluation mode.
        run: sends that batch through the network, once.
    """
    layers = [m for m in network.modules() if isinstance(m, BatchNorm) and m.statistics == "batch"]

    def note(layer: Any, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].detach().float()
        layer.held = (x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False))  # before the layer itself runs

    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        if layers:
            run()
        for hook in hooks:
            hook.remove()
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for layer in layers:
            layer.held = None
