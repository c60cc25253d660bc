"""Batch normalisation over the global batch, with a choice of the statistics that evaluation uses."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.models.adversarial.together import processes, summed

Statistics = Literal["running", "batch"]


class BatchNorm(nn.Module):
    """Batch normalisation of maps, whose statistics in training are those of all processes' examples together.

    In TensorFlow's networks of this kind the layer runs in training mode for ever: an image depends on the others that
    are drawn with it, and a batch of which all labels are intervened on has statistics that training never saw.
    `statistics="batch"` does that; by default evaluation uses running statistics.

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

    def forward(self, x: Tensor) -> Tensor:
        """Normalise maps (B, C, H, W), each over examples and places."""
        if not self.training:
            if self.statistics == "batch":
                return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)
            return F.batch_norm(x, self.mean, self.variance, self.weight, self.bias, False, 0.0, self.eps)
        if processes() == 1:
            return F.batch_norm(x, self.mean, self.variance, self.weight, self.bias, True, self.momentum, self.eps)
        return self._over_processes(x)

    def _over_processes(self, x: Tensor) -> Tensor:
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        count = x.numel() // x.shape[1] * processes()
        # two passes: a variance as a difference of squares would lose the digits that equal numbers need
        mean = summed(values.sum((0, 2, 3))) / count
        centred = values - mean[:, None, None]
        variance = summed(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            self.mean.lerp_(mean, self.momentum)
            self.variance.lerp_(variance * (count / (count - 1)), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)
