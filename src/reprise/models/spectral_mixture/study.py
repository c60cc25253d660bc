"""The study of the allocation (the authors' notebook exp1_appendix): how far sampled kernels are from the exact one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.models.spectral_mixture.allocation import Allocation, Rule
from reprise.models.spectral_mixture.features import belongs, features, spectral_points
from reprise.models.spectral_mixture.likelihood import by_kernel_matrix, negative_log_likelihood
from reprise.models.spectral_mixture.mixture import Mixture, kernel
from reprise.models.study.module import Study
from reprise.nn.randomness import example_rng

_COMPONENTS, _TOGETHER = 10, 50


def studied() -> tuple[Mixture, Tensor]:
    """The mixture and the 200 points on [0, 2), both as in the notebook.

    w = 20 U, sigma = 0.05 U, mu = 5 U of numpy's generator with seed 1000, drawn in the order w, sigma, the prior's
    sigma, mu.
    """
    rng = np.random.RandomState(1000)
    w, sigma = 20.0 * rng.rand(_COMPONENTS), 0.05 * rng.rand(_COMPONENTS, 1)
    rng.rand(_COMPONENTS, 1)  # the prior's sigma, which the study does not use
    mu = 5.0 * rng.rand(_COMPONENTS, 1)
    x = torch.arange(200, dtype=torch.float64)[:, None] / 100.0
    return Mixture(*(torch.from_numpy(part) for part in (w, mu, sigma))), x


class AllocationStudy(Study):
    """Error of the sampled kernel matrix and gap in log likelihood, by the rule that allots the spectral points.

    Reports, with M = 40 for 4 points a component, `test/points40/kernel_error`: mean |K - K_hat|_F over draws;
    `test/points40/kernel_error_std`; `test/points40/nll_gap`: mean over draws of -log p_hat(y) + log p(y), in nats, y
    being one draw from the exact process with its noise.

    Args:
        seed: of the draws. Mixture, points and y are the same for all seeds.
        rule: of the allocation.
        share: rho, of the rows that the rule looks at.
        points: spectral points a component.
        draws: of the spectral points.
        s: standard deviation of the noise.

    Raises:
        ConfigError: fewer than 2 draws, or no noise.
    """

    def __init__(
        self,
        seed: int,
        rule: Rule = "weighted",
        share: float = 1.0,
        points: Sequence[int] = (4, 7, 10),
        draws: int = 500,
        s: float = 0.05,
    ) -> None:
        super().__init__(seed)
        if draws < 2 or s <= 0.0:
            raise ConfigError(f"model.draws is {draws}, s {s}. Expected 2 or more, and above 0.")
        self.rules = [Allocation(rule, count, share) for count in points]
        self.draws = draws
        self.s = torch.tensor(s, dtype=torch.float64)

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Errors and gaps for each number of points."""
        mixture, x = studied()
        exact = kernel(mixture, x, x)
        noisy = exact + self.s.square() * torch.eye(len(x), dtype=torch.float64)
        y = torch.linalg.cholesky(noisy) @ torch.from_numpy(np.random.default_rng(1000).standard_normal(len(x)))
        found: dict[str, float] = {}
        for allocation in self.rules:
            name = f"test/points{allocation.points * _COMPONENTS}"
            errors, likelihoods = self._draw(allocation, mixture, x, y, exact)
            found[f"{name}/kernel_error"] = float(errors.mean())
            found[f"{name}/kernel_error_std"] = float(errors.std())
            found[f"{name}/nll_gap"] = float(likelihoods.mean() - by_kernel_matrix(exact, y, self.s))
        return found

    def _draw(
        self, allocation: Allocation, mixture: Mixture, x: Tensor, y: Tensor, exact: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Errors of the kernel and negative log likelihoods, (draws,) each."""
        errors, likelihoods = [], []
        for first in range(0, self.draws, _TOGETHER):
            places = range(first, min(first + _TOGETHER, self.draws))
            if allocation.share < 1.0:
                counts = torch.stack([allocation(mixture, x, place) for place in places])
            else:  # all rows: one allocation for all draws
                counts = allocation(mixture, x, 0).expand(len(places), -1)
            shape = (len(places), int(counts[0].sum()), 1)
            noise = example_rng(self.seed, f"allocation study, {allocation.points}", first).standard_normal(shape)
            drawn = spectral_points(mixture, counts, belongs(counts), torch.from_numpy(noise))
            phi = features(x, drawn)
            errors.append((phi @ phi.mT - exact).square().sum((-2, -1)).sqrt())
            likelihoods.append(negative_log_likelihood(phi, y, self.s.expand(len(places))))
        return torch.cat(errors), torch.cat(likelihoods)
