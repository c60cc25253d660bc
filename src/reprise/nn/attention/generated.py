"""Spectral points that a network generates from noise (IKAN, MIKAN)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.nn.attention import copula as gaussian_copula
from reprise.nn.attention.base import Draw
from reprise.nn.attention.spectral import Points, SpectralPoints

SLOPE = 0.2  # of LeakyReLU in all of the generator (authors' code)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear map that starts as the authors' code has it: uniform in +-1/sqrt(outputs), without a shift."""
    layer = nn.Linear(inputs, outputs)
    bound = 1 / math.sqrt(
        outputs
    )  # Kaiming's rule, a = sqrt(5), on a matrix (inputs, outputs), whose fan-in is outputs
    nn.init.uniform_(layer.weight, -bound, bound)
    nn.init.zeros_(layer.bias)
    return layer


class OddNetwork(nn.Module):
    """f(z) = sign(z) g(|z|) with g of three layers, so that f(-z) = -f(z) and a symmetric density stays symmetric.

    Args:
        size: d, of all layers.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_linear(size, size) for _ in range(3)])

    def forward(self, z: Tensor) -> Tensor:
        """(..., d) to the same."""
        h = z.abs()
        for layer in self.layers[:-1]:
            h = F.leaky_relu(layer(h), SLOPE)
        return torch.sign(z) * self.layers[-1](h)


class GeneratedPoints(SpectralPoints):
    """Noise, whose mean and variance depend on the data, through two odd networks (IKAN); coupled by a copula (MIKAN).

    x = [mean query, mean key] of a head; h = LeakyReLU(W1 x + b1), mu = W2 h + b2, l = W3 h + b3 + log v with the
    prior's variance v. R / 2 of the numbers z are drawn from N(mu, e^l) and R / 2 from N(-mu, e^l), and w = f(z). The
    layers are shared by the heads; what is drawn is shared by the examples of a batch.

    The penalty is lambda_kl KL(N(mu, e^l) || N(0, v)) over heads and features, less lambda_copula times the entropy of
    the copula; the mean over examples. With both weights equal that is the divergence of the heads' joint normal from
    the prior. The caller divides it by the number of training points, as the loss is a mean over these.

    `as_released` is the authors' code: the copula does not couple the heads (its product with the noise is no matrix
    product), what it makes is clamped and not standard normal, variances are taken for standard deviations, and the
    entropy is replaced by -sum U log U of the uniform marginals U, which is made small, not large. Its marginals
    without the copula have a tenth of the deviation e^(l/2).

    Args:
        heads: H.
        size: d.
        count: R, even.
        tied: a stationary kernel: one odd network.
        copula: the noise of the heads is drawn together.
        prior_variance: v.
        lambda_kl: weight of the divergence.
        lambda_copula: weight of the copula's entropy.
        as_released: with the defects of the authors' code.

    Raises:
        ConfigError: an odd number of points, or a variance that is not positive.
    """

    pools = True

    def __init__(
        self,
        heads: int,
        size: int,
        count: int = 64,
        tied: bool = False,
        copula: bool = True,
        prior_variance: float = 0.1,
        lambda_kl: float = 0.1,
        lambda_copula: float = 1.0,
        as_released: bool = False,
    ) -> None:
        super().__init__(heads, size, count, tied)
        if count % 2:
            raise ConfigError(
                f"generated spectral points have count={count}. Expected an even number: half have the mean -mu."
            )
        if prior_variance <= 0:
            raise ConfigError(
                f"generated spectral points have prior_variance={prior_variance}. Expected a number above 0."
            )
        self.prior_variance, self.lambda_kl, self.lambda_copula = prior_variance, lambda_kl, lambda_copula
        self.as_released = as_released
        self.encoder = _linear(2 * size, size)
        self.mean = _linear(size, size)
        self.log_variance = _linear(size, size)
        self.copula = _linear(size, size) if copula else None
        self.to_first = OddNetwork(size)
        self.to_second = None if tied else OddNetwork(size)

    def forward(self, pooled: Tensor | None = None, draw: Draw | None = None) -> Points:
        """Points (..., H, R, d) for pooled (..., H, 2 d), from R d normal numbers a head."""
        if pooled is None:
            raise ConfigError(
                "generated spectral points depend on the data. Pass pooled=, the mean query and mean key."
            )
        if draw is None:
            raise ConfigError("generated spectral points are random. Pass draw=, such as fixed_draw(seed).")
        # 1. mean and variance of each head's noise
        mu, log_variance, factors = self.moments(pooled)
        # 2. standard normal numbers (..., H, R, d), coupled or not
        noise = self.coupled(factors, draw((self.heads, self.count, self.size)).to(mu))
        # 3. their marginals: half around mu, half around -mu
        side = torch.ones(self.count, 1, dtype=mu.dtype, device=mu.device)
        side[self.count // 2 :] = -1.0
        z = side * mu.unsqueeze(-2) + self._deviation(log_variance).unsqueeze(-2) * noise
        # 4. spectral points
        first = self.to_first(z)
        second = first if self.to_second is None else self.to_second(z)
        return Points(first, second, self._penalty(mu, log_variance, factors, noise))

    def moments(self, pooled: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Of the noise: mu and l, (..., H, d) each, and the copula's factor (..., d, H, H) where there is a copula."""
        h = F.leaky_relu(self.encoder(pooled), SLOPE)
        factors = None if self.copula is None else gaussian_copula.factor(torch.tanh(self.copula(h)))
        return self.mean(h), self.log_variance(h) + math.log(self.prior_variance), factors

    def coupled(self, factors: Tensor | None, noise: Tensor) -> Tensor:
        """Noise (H, R, d) as the copula couples its heads, (..., H, R, d); without a copula as it is."""
        if factors is None:
            return noise
        return (gaussian_copula.couple_as_released if self.as_released else gaussian_copula.couple)(factors, noise)

    def _deviation(self, log_variance: Tensor) -> Tensor:
        """Standard deviation of the noise, (..., H, d)."""
        if not self.as_released:
            return (log_variance / 2).exp()
        return (log_variance / 2).exp() / 10 if self.copula is None else log_variance.exp()

    def _penalty(self, mu: Tensor, log_variance: Tensor, factors: Tensor | None, noise: Tensor) -> Tensor:
        """Weighted divergence and entropy, ()."""
        variance, prior = log_variance.exp(), self.prior_variance
        if self.as_released:
            variance, prior = variance.square(), prior**2
        divergence = 0.5 * ((variance + mu.square()) / prior - 1 - (variance / prior).log())
        penalty = self.lambda_kl * divergence.sum((-1, -2))
        if factors is not None and self.as_released:
            u = torch.special.ndtr(noise)
            penalty = penalty - self.lambda_copula * (u * (u + 1e-5).log()).sum((-1, -2, -3))
        elif factors is not None:
            penalty = penalty - self.lambda_copula * gaussian_copula.entropy(factors)
        return penalty.mean()
