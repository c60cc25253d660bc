"""Stationary kernels, for S starts at once: S sets of hyper-parameters that do not know of each other.

Symbols: tau, difference of two inputs (P,); l, length-scale; a^2, variance k(0).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.models.spectral_mixture.network.positive import Link, Positive


class Kernel(nn.Module, ABC):
    """A stationary kernel.

    Args:
        inputs: P.
        starts: S.
    """

    ways: tuple[str, ...] = ("data", "default")
    """How it may begin: data, by what is seen of the data; default, every number as `Positive` has it."""

    def __init__(self, inputs: int, starts: int = 1) -> None:
        super().__init__()
        if inputs < 1 or starts < 1:
            raise ConfigError(f"the kernel has {inputs} inputs and {starts} starts. Expected 1 or more.")
        self.inputs = inputs
        self.starts = starts

    @abstractmethod
    def forward(self, tau: Tensor, which: Tensor | None = None) -> Tensor:
        """Values at differences tau (U, P) of all starts, or of those in `which` (S',): (S, U) or (S', U)."""

    @abstractmethod
    def begin_by_data(self, x: Tensor, y: Tensor, way: str, rng: np.random.Generator) -> None:
        """Begin at inputs x (N, P) and targets y (N,), each start elsewhere."""

    def begin(self, x: Tensor, y: Tensor, way: str, rng: np.random.Generator) -> None:
        """Begin in one of the ways, see `ways`.

        Raises:
            ConfigError: the kernel does not know the way.
        """
        if way not in self.ways:
            raise ConfigError(f"model.start is {way!r}. Expected one of {', '.join(self.ways)} for this kernel.")
        if way != "default":
            self.begin_by_data(x, y, way, rng)


class RadialKernel(Kernel):
    """a^2 g(r), r^2 = sum_p tau_p^2 / l_p^2.

    Args:
        inputs: P.
        starts: S.
        ard: one length-scale for each input, not one for all.
        link: see Positive.
        given: l and a^2, with which it may begin.
    """

    ways: tuple[str, ...] = ("data", "given", "default")

    def __init__(
        self,
        inputs: int,
        starts: int = 1,
        ard: bool = False,
        link: Link = "exp",
        given: tuple[float, float] | None = None,
    ) -> None:
        super().__init__(inputs, starts)
        self.given = given
        self.variance = Positive((starts,), link)
        self.length = Positive((starts, inputs if ard else 1), link)

    @abstractmethod
    def profile(self, squared: Tensor, which: Tensor | None) -> Tensor:
        """The function g of r^2 (S, U)."""

    def forward(self, tau: Tensor, which: Tensor | None = None) -> Tensor:
        """Values (S, U) at differences tau (U, P)."""
        length = self.length(which).expand(-1, self.inputs)
        squared = length.reciprocal().square() @ tau.square().T
        values: Tensor = self.variance(which)[:, None] * self.profile(squared, which)
        return values

    def begin_by_data(self, x: Tensor, y: Tensor, way: str, rng: np.random.Generator) -> None:
        """Draw lengths between the least spacing and the range, evenly in their logarithm; a^2 is the mean of y^2."""
        if way == "given":
            if self.given is None:
                raise ConfigError("model.start is given, but model.network.given is not: [length-scale, variance].")
            self.length.begin(torch.tensor(self.given[0]))
            self.variance.begin(torch.tensor(self.given[1]))
            return
        least, most = spacing_and_range(x)
        drawn = _log_uniform(least, most, self.starts, rng)
        self.length.begin(drawn if self.length.raw.shape[1] > 1 else drawn.mean(1, keepdim=True))
        self.variance.begin(y.square().mean())


class RBF(RadialKernel):
    """Squared exponential: g = exp(-r^2 / 2)."""

    def profile(self, squared: Tensor, which: Tensor | None) -> Tensor:
        """See the class."""
        return (-0.5 * squared).exp()


class Matern(RadialKernel):
    """Matérn of smoothness nu: with q = sqrt(2 nu) r, g = exp(-q) times 1, 1 + q, or 1 + q + q^2 / 3.

    Args:
        inputs, starts, ard, link, given: see RadialKernel.
        nu: 0.5, 1.5 or 2.5.
    """

    def __init__(
        self,
        inputs: int,
        starts: int = 1,
        ard: bool = False,
        link: Link = "exp",
        given: tuple[float, float] | None = None,
        nu: float = 1.5,
    ) -> None:
        super().__init__(inputs, starts, ard, link, given)
        if nu not in (0.5, 1.5, 2.5):
            raise ConfigError(f"model.network.nu is {nu}. Expected 0.5, 1.5 or 2.5.")
        self.nu = nu

    def profile(self, squared: Tensor, which: Tensor | None) -> Tensor:
        """See the class."""
        q = (2.0 * self.nu * squared).clamp_min(1e-30).sqrt()  # so that the root has a gradient at 0
        terms = 1.0 + (q if self.nu > 1.0 else 0.0) + (q.square() / 3.0 if self.nu > 2.0 else 0.0)
        return terms * (-q).exp()


class RationalQuadratic(RadialKernel):
    """g = (1 + r^2 / (2 alpha))^-alpha.

    Args:
        inputs, starts, ard, link: see RadialKernel.
    """

    ways = ("data", "default")

    def __init__(self, inputs: int, starts: int = 1, ard: bool = False, link: Link = "exp") -> None:
        super().__init__(inputs, starts, ard, link)
        self.alpha = Positive((starts,), link)

    def profile(self, squared: Tensor, which: Tensor | None) -> Tensor:
        """See the class."""
        alpha = self.alpha(which)[:, None]
        return (-alpha * torch.log1p(squared / (2.0 * alpha))).exp()

    def begin_by_data(self, x: Tensor, y: Tensor, way: str, rng: np.random.Generator) -> None:
        """As RadialKernel; alpha is between 0.1 and 10."""
        super().begin_by_data(x, y, way, rng)
        self.alpha.begin(torch.from_numpy(10.0 ** rng.uniform(-1.0, 1.0, self.starts)))


class Periodic(Kernel):
    """a^2 exp(-2 sum_p sin^2(pi tau_p / T_p) / l^2), T being the periods.

    Args:
        inputs: P.
        starts: S.
        link: see Positive.
    """

    def __init__(self, inputs: int, starts: int = 1, link: Link = "exp") -> None:
        super().__init__(inputs, starts)
        self.variance = Positive((starts,), link)
        self.length = Positive((starts,), link)
        self.period = Positive((starts, inputs), link)

    def forward(self, tau: Tensor, which: Tensor | None = None) -> Tensor:
        """Values (S, U) at differences tau (U, P)."""
        sines = (math.pi * tau / self.period(which)[:, None]).sin().square().sum(-1)
        values: Tensor = self.variance(which)[:, None] * (-2.0 * sines / self.length(which)[:, None].square()).exp()
        return values

    def begin_by_data(self, x: Tensor, y: Tensor, way: str, rng: np.random.Generator) -> None:
        """Take periods between twice the least spacing and the range, evenly in their logarithm; l = 1."""
        least, most = spacing_and_range(x)
        self.period.begin(_log_uniform(2.0 * least, most, self.starts, rng))
        self.length.begin(torch.ones(()))
        self.variance.begin(y.square().mean())


class Scaled(Kernel):
    """A kernel times a number that is learned. A kernel with a variance of its own has no need of it.

    Args:
        kernel: that is scaled.
        link: see Positive.
    """

    def __init__(self, kernel: Kernel, link: Link = "exp") -> None:
        super().__init__(kernel.inputs, kernel.starts)
        self.kernel = kernel
        self.ways = kernel.ways
        self.scale = Positive((kernel.starts,), link)

    def forward(self, tau: Tensor, which: Tensor | None = None) -> Tensor:
        """Values (S, U) at differences tau (U, P)."""
        values: Tensor = self.scale(which)[:, None] * self.kernel(tau, which)
        return values

    def begin_by_data(self, x: Tensor, y: Tensor, way: str, rng: np.random.Generator) -> None:
        """Begin the kernel; the number is 1."""
        self.kernel.begin_by_data(x, y, way, rng)
        self.scale.begin(torch.ones(()))


def spacing_and_range(x: Tensor) -> tuple[Tensor, Tensor]:
    """The least positive difference of neighbours, and the range, of each of the inputs x (N, P): (P,) each.

    Of a constant input both are 1.
    """
    steps = x.sort(0).values.diff(dim=0)
    steps = torch.where(steps > 0, steps, torch.full_like(steps, float("inf")))
    least, most = steps.amin(0), x.amax(0) - x.amin(0)
    return torch.where(most > 0, least, 1.0), torch.where(most > 0, most, 1.0)


def _log_uniform(least: Tensor, most: Tensor, starts: int, rng: np.random.Generator) -> Tensor:
    share = torch.from_numpy(rng.uniform(size=(starts, len(least)))).to(least)
    return least * (most / least) ** share
