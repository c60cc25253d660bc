"""The controller's Wasserstein critic, with the gradient of its loss in closed form.

Fully connected layers with leaky ReLU are linear wherever no sum changes its sign. So both the critic's gradient by its
input, which the penalty is about, and the penalty's gradient by the weights are chains of products with the layers,
masked by the signs of the forward pass; no second differentiation is needed.

Shapes: R replicas, B rows of each kind, m inputs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.models.causal_controller.network import glorot

Layers = list[tuple[Tensor, Tensor]]
_masked = torch.ops.aten.leaky_relu_backward  # (gradient, sums, slope, False): gradient times the slope at each sum


class CriticGradient(NamedTuple):
    """Of one batch.

    Attributes:
        loss: (R,), the critic's, penalty included.
        weights: (R, P), its gradient by `Critic.flat`.
        fake: (R, B, m), gradient of the mean of D over fake rows by these rows.
    """

    loss: Tensor
    weights: Tensor
    fake: Tensor


class Critic(nn.Module):
    """D: fully connected layers, leaky ReLU between them, one number at the end; R of them side by side.

    All weights are in one tensor, so that an optimiser's step is one operation.

    Args:
        inputs: m.
        width: of the hidden layers.
        layers: fully connected layers, the last one included.
        slope: of the leaky ReLU.
        replicas: R.

    Raises:
        ConfigError: a size is too small.
    """

    def __init__(self, inputs: int, width: int = 15, layers: int = 6, slope: float = 0.2, replicas: int = 1) -> None:
        super().__init__()
        for name, value, least in (("width", width, 1), ("layers", layers, 2), ("replicas", replicas, 1)):
            if value < least:
                raise ConfigError(f"critic.{name} is {value}. Expected {least} or more.")
        self.inputs, self.slope, self.replicas = inputs, slope, replicas
        sizes = [inputs, *[width] * (layers - 1), 1]
        self._sizes = list(itertools.pairwise(sizes))
        self.flat = nn.Parameter(torch.zeros(replicas, sum((a + 1) * b for a, b in self._sizes)))

    def initialise(self, generators: Sequence[np.random.Generator]) -> None:
        """Draw the weights of each replica of its generator: Glorot's uniform law, biases 0."""
        with torch.no_grad():
            for r, generator in enumerate(generators):
                for weight, bias in self.layers():
                    weight[r] = glorot(generator, *weight.shape[1:])
                    bias[r] = 0.0

    def layers(self) -> Layers:
        """Weight (R, in, out) and bias (R, 1, out) of each layer, as views."""
        found, place = [], 0
        for a, b in self._sizes:
            weight = self.flat[:, place : place + a * b].view(-1, a, b)
            place += a * b
            found.append((weight, self.flat[:, None, place : place + b]))
            place += b
        return found

    def forward(self, x: Tensor) -> Tensor:
        """D(x) of rows (R, B, m): (R, B)."""
        *hidden, (weight, bias) = self.layers()
        for w, b in hidden:
            x = F.leaky_relu(torch.baddbmm(b, x, w), self.slope)
        return torch.baddbmm(bias, x, weight)[:, :, 0]

    @torch.no_grad()
    def gradient(
        self,
        real: Tensor,
        fake: Tensor,
        alpha: Tensor,
        penalty: float,
        weight: Tensor | None = None,
        layers: Layers | None = None,
    ) -> CriticGradient:
        """Loss of the critic, and its gradient by the weights and by fake rows, in closed form.

        E D(fake) - E D(real) + penalty E (|grad D(mixed)| - 1)^2 with mixed = alpha real + (1 - alpha) fake:
        Gulrajani et al. (2017), eq. (3), which is `objective.critic_loss`.

        Args:
            real: (R, B, m).
            fake: (R, B, m).
            alpha: (R, B), uniform on [0, 1].
            penalty: lambda.
            weight: (R, B) of the real rows, of mean about 1; None: all 1.
            layers: of `layers()`, where they are at hand: views follow the weights.
        """
        rows = real.shape[1]
        judged = slice(0, 2 * rows)  # of the rows below, those whose D is in the loss; the others are mixed ones
        x = torch.cat([real, fake, torch.lerp(fake, real, alpha[:, :, None])], 1)
        layers = layers or self.layers()
        # 1. forward: sums a_k and what enters each layer h_k
        h, sums = [x], []
        for w, b in layers[:-1]:
            sums.append(torch.baddbmm(b, h[-1], w))
            h.append(F.leaky_relu(sums[-1], self.slope))
        last, last_bias = layers[-1]
        judgement = torch.baddbmm(last_bias, h[-1][:, judged], last)[:, :, 0]
        # 2. backward: v_k, the gradient by a_k of each row's D times its share c in the loss; mixed rows have c = 1
        shares = self._shares(real, weight)
        v = [shares]
        u = shares @ last.transpose(1, 2)
        for (w, _), a in zip(reversed(layers[:-1]), reversed(sums), strict=True):
            v.append(_masked(u, a, self.slope, False))
            u = torch.bmm(v[-1], w.transpose(1, 2))
        v.reverse()
        # 3. the penalty's gradient by g = grad D, carried forward through the same masks: it meets v_k at each weight
        g = u[:, 2 * rows :]
        norm = torch.linalg.vector_norm(g, dim=2, keepdim=True)
        t = g * ((2.0 * penalty / rows) * (norm - 1.0) / norm.clamp_min(1e-30))
        h[0] = torch.cat([x[:, judged], t], 1)
        for k, ((w, _), a) in enumerate(zip(layers[:-1], sums, strict=True), 1):
            t = _masked(torch.bmm(t, w), a[:, 2 * rows :], self.slope, False)
            h[k][:, 2 * rows :] = t
        # 4. one product a weight; a bias has no part in the slope, so none in the penalty
        parts = []
        for entering, leaving in zip(h, v, strict=True):
            parts += [torch.bmm(entering.transpose(1, 2), leaving).flatten(1), leaving[:, judged].sum(1)]
        wasserstein = (judgement * shares[:, judged, 0]).sum(1)
        return CriticGradient(
            loss=wasserstein + penalty * (norm[:, :, 0] - 1.0).square().mean(1),
            weights=torch.cat(parts, 1),
            fake=u[:, rows : 2 * rows],
        )

    def _shares(self, real: Tensor, weight: Tensor | None) -> Tensor:
        """What each row's D counts in the loss, (R, 3 B, 1): real rows, fake rows, mixed rows."""
        r, rows, _ = real.shape
        shares = real.new_ones(r, 3 * rows, 1)
        shares[:, rows : 2 * rows] = 1.0 / rows
        shares[:, :rows] = -1.0 / rows if weight is None else weight[:, :, None] / -rows
        return shares
