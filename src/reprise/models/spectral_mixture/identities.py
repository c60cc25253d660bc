"""Claims that are identities, measured: the released natural gradient for one input, two forms of a likelihood."""

from __future__ import annotations

import torch

from reprise.models.spectral_mixture.features import belongs, features, spectral_points
from reprise.models.spectral_mixture.likelihood import by_kernel_matrix, in_weight_space
from reprise.models.spectral_mixture.mixture import Mixture
from reprise.models.spectral_mixture.natural_gradient import NaturalAdam
from reprise.models.study.module import Study
from reprise.nn.randomness import example_rng


class SignStudy(Study):
    """Steps by the released natural gradient beside steps of Adam on the sign of the gradient, for one input.

    Both take the same random gradients. Reports `test/natural/step` and `test/sign/step`: how far 20 means went along a
    random direction.

    Args:
        seed: of parameters and gradients.
        iterations: steps.
    """

    def __init__(self, seed: int, iterations: int = 50) -> None:
        super().__init__(seed)
        self.iterations = iterations

    def measure(self) -> dict[str, float]:
        """Both distances."""
        rng = example_rng(self.seed, "sign study", 0)
        size = (20, 1)
        log_mu, log_sigma, direction = (torch.from_numpy(0.5 * rng.standard_normal(size)) for _ in range(3))
        # as large as on raw data: the released code adds 1e-8 to the length that it divides by
        gradients = torch.from_numpy(100.0 * rng.standard_normal((self.iterations, 2, *size)))
        found = {}
        for name in ("natural", "sign"):
            mean, scale = log_mu.clone(), log_sigma.clone()
            groups = [{"params": [mean], "role": "log_mean"}, {"params": [scale], "role": "log_scale"}]
            adam = NaturalAdam(groups, lr=0.01) if name == "natural" else torch.optim.Adam(groups, lr=0.01)
            for by_mean, by_scale in gradients:
                mean.grad, scale.grad = by_mean.clone(), by_scale.clone()
                if name == "sign":
                    mean.grad, scale.grad = by_mean.sign(), by_scale.sign()
                adam.step()
            found[f"test/{name}/step"] = float(((mean - log_mu) * direction).sum())
        return found


class WeightSpaceStudy(Study):
    """The marginal likelihood in weight space beside that of the kernel matrix of the same features.

    Reports `test/weights/negative_log_marginal_likelihood` and `test/kernel/...`, in nats a row.

    Args:
        seed: of rows, features and noise.
        rows: N.
        points: spectral points of each of five components.
    """

    def __init__(self, seed: int, rows: int = 100, points: int = 4) -> None:
        super().__init__(seed)
        self.rows = rows
        self.points = points

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Both likelihoods."""
        rng = example_rng(self.seed, "weight space study", 0)
        x, y = (torch.from_numpy(rng.standard_normal(shape)) for shape in ((self.rows, 3), (self.rows,)))
        w, mu, sigma = (torch.from_numpy(rng.random(shape)) for shape in ((5,), (5, 3), (5, 3)))
        counts = torch.full((5,), self.points)
        noise = torch.from_numpy(rng.standard_normal((5 * self.points, 3)))
        phi = features(x, spectral_points(Mixture(w, mu, sigma), counts, belongs(counts), noise))
        s = torch.tensor(0.3, dtype=torch.float64)
        both = {"weights": in_weight_space(phi, y, s), "kernel": by_kernel_matrix(phi @ phi.mT, y, s)}
        return {f"test/{k}/negative_log_marginal_likelihood": float(v) / self.rows for k, v in both.items()}
