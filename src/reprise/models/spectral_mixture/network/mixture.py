"""The spectral mixture kernel (Wilson and Adams 2013)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.models.spectral_mixture.network.kernels import Kernel
from reprise.models.spectral_mixture.network.positive import Link, Positive
from reprise.models.spectral_mixture.starts import gaussian_starts, gpytorch_starts, uniform_starts


class SpectralMixture(Kernel):
    """k(tau) = sum_q w_q prod_p exp(-2 pi^2 tau_p^2 sigma_qp^2) cos(2 pi tau_p mu_qp)   (equation 12).

    Of more than one input this is the product form, whose density is symmetric in each of them; that of random features
    has one cosine of the inner product, and is another kernel. Weights are not normalised: k(0) = sum_q w_q.

    Args:
        inputs: P.
        components: Q.
        starts: S.
        link: see Positive.
    """

    ways = ("periodogram", "uniform", "gpytorch", "default")
    """periodogram: a Gaussian mixture is fitted to frequencies that are drawn from the periodogram, one input only;
    uniform: means up to Nyquist's frequency, at random; gpytorch: the same with other weights, as its
    initialize_from_data; default: all components are equal, and stay so."""

    def __init__(self, inputs: int, components: int, starts: int = 1, link: Link = "exp") -> None:
        super().__init__(inputs, starts)
        if components < 1:
            raise ConfigError(f"model.network.components is {components}. Expected 1 or more.")
        self.components = components
        self.weight = Positive((starts, components), link)
        self.mean = Positive((starts, components, inputs), link)
        self.deviation = Positive((starts, components, inputs), link)

    def forward(self, tau: Tensor, which: Tensor | None = None) -> Tensor:
        """Values (S, U) at differences tau (U, P)."""
        w, mu, sigma = self.weight(which), self.mean(which), self.deviation(which)
        terms: Tensor | None = None
        for p in range(self.inputs):
            t = tau[:, p]
            decay = (-2.0 * math.pi**2 * sigma[:, :, p, None].square() * t.square()).exp()  # (S, Q, U)
            factor = decay * (2.0 * math.pi * mu[:, :, p, None] * t).cos()
            terms = factor if terms is None else terms * factor
        assert terms is not None
        return torch.einsum("sq,squ->su", w, terms)

    def density(self, frequency: Tensor, which: Tensor | None = None) -> Tensor:
        """S(f) for f >= 0 (F,), both signs taken together, of one input: (S, F). Its integral is k(0)."""
        w, mu, sigma = self.weight(which), self.mean(which)[..., 0], self.deviation(which)[..., 0]
        found = torch.zeros(len(w), len(frequency), dtype=w.dtype, device=w.device)
        for sign in (1.0, -1.0):
            z = (frequency - sign * mu[..., None]) / sigma[..., None]
            normal = (-0.5 * z.square()).exp() / (math.sqrt(2.0 * math.pi) * sigma[..., None])
            found = found + torch.einsum("sq,sqf->sf", w, normal)
        return found

    def begin_by_data(self, x: Tensor, y: Tensor, way: str, rng: np.random.Generator) -> None:
        """Begin at weights, means and deviations by the data, see `ways`."""
        make = {"periodogram": gaussian_starts, "uniform": uniform_starts, "gpytorch": gpytorch_starts}[way]
        found = make(x.cpu().numpy(), y.cpu().numpy(), self.components, self.starts, rng)
        self.weight.begin(torch.from_numpy(found.weight))
        self.mean.begin(torch.from_numpy(found.mean))
        self.deviation.begin(torch.from_numpy(found.deviation))
