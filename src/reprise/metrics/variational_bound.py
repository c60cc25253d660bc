"""The variational bound of a diffusion model over many images: bits/dim, its parts, rate and distortion."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from reprise.diffusion.terms import Terms, tenths
from reprise.nn.images import ImageShape


class VariationalBound(Metric):
    """Mean of the bound's terms over images (Ho et al. 2020, eq. 5), and what follows from them (section 4.3).

    Sums are float64, so the order of images and the number of processes do not matter. Distortions are the root of the
    squared error's mean over all images and values.

    Args:
        shape: of the images.
        steps: T.
        strata: intervals of steps of which a term each is measured, see `reprise.diffusion.terms.strata`.

    Attributes:
        version: protocol version; raised when a definition changes.
    """

    version: ClassVar[int] = 1
    higher_is_better: bool | None = False
    is_differentiable: bool | None = False
    full_state_update: bool | None = False

    def __init__(self, shape: ImageShape, steps: int, strata: list[tuple[int, int]]) -> None:
        super().__init__()
        self.shape, self.steps, self.strata = shape, steps, strata
        self.times = tenths(steps)
        for name, size in (("prior", ()), ("sums", (len(strata),)), ("squares", (len(self.times),)), ("count", ())):
            self.add_state(name, torch.zeros(size, dtype=torch.float64), dist_reduce_fx="sum")
        self.prior: Tensor
        self.sums: Tensor
        self.squares: Tensor
        self.count: Tensor

    def update(self, terms: Terms) -> None:
        """Add the terms of some images."""
        self.prior += terms.prior.to(self.prior).sum()
        self.sums += terms.sums.to(self.sums).sum(0)
        self.squares += terms.squares.to(self.squares).sum(0)
        self.count += len(terms.prior)

    def compute(self) -> dict[str, Tensor]:
        """Return `bpd` and its parts in bits/dim, and root mean square errors on the scale of 0 to 255.

        `prior_bpd` is L_T, `distortion_bpd` L_0; `rate/TIME` what was received until reverse time TIME = T - t + 1,
        `rmse/TIME` the error of the x_0 predicted then; `late_rate_share` the share of the rate that the last tenth of
        the reverse process takes, `distortion_share` that of L_0 in the whole. `terms` (S,) is the mean term of each
        stratum. Empty when nothing was added.
        """
        if not self.count:
            return {}
        scale = self.shape.bits_per_dim(1.0) / self.count
        sums = self.sums * scale
        found = {
            "bpd": self.prior * scale + sums.sum(),
            "prior_bpd": self.prior * scale,
            "distortion_bpd": sums[0],  # the first stratum is t = 1 alone
        }
        firsts = torch.tensor([first for first, _ in self.strata], device=sums.device)
        for i, (time, t) in enumerate(self.times.items()):
            found[f"rate/{time}"] = found["prior_bpd"] + sums[firsts > t].sum()
            found[f"rmse/{time}"] = (self.squares[i] / self.count / self.shape.dims).sqrt() * 127.5
        rates = [found[f"rate/{time}"] for time in self.times]
        found["late_rate_share"] = 1.0 - rates[-2] / rates[-1] if len(rates) > 1 else torch.ones_like(rates[-1])
        found["distortion_share"] = found["distortion_bpd"] / found["bpd"]
        found["terms"] = sums / torch.tensor([last - first + 1 for first, last in self.strata]).to(sums)
        return found

    @staticmethod
    def names(steps: int) -> list[str]:
        """Names of the single numbers that `compute` returns for T steps."""
        curves = [f"{name}/{time}" for time in tenths(steps) for name in ("rate", "rmse")]
        return ["bpd", "prior_bpd", "distortion_bpd", "late_rate_share", "distortion_share", *curves]
