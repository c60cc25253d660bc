"""VSSGP as a LightningModule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.models.regression.module import Choose, Prediction, RegressionModule, inputs_of, targets_of
from reprise.models.spectral_mixture.vssgp import Frequencies, bound, predict
from reprise.nn.randomness import example_rng


class VSSGP(RegressionModule):
    """Gal and Turner's sparse spectrum with variational frequencies, of one or several squared exponential kernels.

    Args:
        inputs: P.
        optimizer: as in the base; the bound has no noise, so L-BFGS will do.
        seed: decides the start.
        features: K, of each kernel.
        lengths: initial length-scale of each kernel, in the scaled unit of x; as many kernels.
        precision: tau at first, of the scaled y.
        spread: initial standard deviation of q(w) as a share of the prior's.
        choose, track_every, recent, curve: as in the base.

    Raises:
        ConfigError: a value is out of range.
    """

    def __init__(
        self,
        inputs: int,
        optimizer: Callable[[Iterable[Any]], torch.optim.Optimizer],
        seed: int,
        features: int = 50,
        lengths: Sequence[float] = (1.0,),
        precision: float = 10.0,
        spread: float = 0.1,
        choose: Choose = "last",
        track_every: int = 0,
        recent: int = 0,
        curve: int = 400,
    ) -> None:
        super().__init__(optimizer, seed, choose, track_every, recent, curve)
        if inputs < 1 or features < 1 or not lengths:
            raise ConfigError(f"model.inputs is {inputs}, features {features}, lengths {list(lengths)}. Expected some.")
        if min(*lengths, precision, spread) <= 0.0:
            raise ConfigError("model.lengths, precision and spread have to be above 0.")
        self.spread = spread
        kernels, total = len(lengths), len(lengths) * features
        double = torch.float64
        scale = torch.tensor([[length] * inputs for length in lengths], dtype=double)
        self.log_variance = nn.Parameter(torch.zeros(kernels, dtype=double))
        self.log_length = nn.Parameter(scale.log())
        self.log_tau = nn.Parameter(torch.tensor(math.log(precision), dtype=double))
        self.mu = nn.Parameter(torch.zeros(total, inputs, dtype=double))
        self.log_sigma = nn.Parameter(torch.zeros(total, inputs, dtype=double))
        self.centre = nn.Parameter(torch.zeros(total, dtype=double))
        self.width = nn.Parameter(torch.zeros(total, dtype=double))  # delta = 2 pi sigmoid(width)
        self.z = nn.Parameter(torch.zeros(total, inputs, dtype=double))
        self.started: Tensor
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self.track_iterates()

    @property
    def frequencies(self) -> Frequencies:
        """Q of the frequencies."""
        return Frequencies(
            self.log_variance.exp(), self.log_length.exp(), self.mu, self.log_sigma.exp(), self.centre,
            2.0 * math.pi * self.width.sigmoid(), self.z,
        )  # fmt: skip

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Start in the first iteration."""
        if not bool(self.started):
            self.start(batch)
        return super().training_step(batch, batch_idx)

    @torch.no_grad()
    def start(self, batch: dict[str, Any]) -> None:
        """Draw the means of q(w) from the prior, phases from the circle, inducing inputs from the inputs.

        The variance of y is divided among the kernels; phases begin with narrow intervals.
        """
        x, y = inputs_of(batch, "train"), targets_of(batch, "train")
        rng = example_rng(self.seed, "starts", 0)
        prior = (1.0 / (2.0 * math.pi * self.log_length.exp())).repeat_interleave(
            len(self.mu) // len(self.log_length), 0
        )
        self.mu.copy_(torch.from_numpy(rng.standard_normal(tuple(self.mu.shape))).to(x.device) * prior)
        self.log_sigma.copy_((self.spread * prior).log())
        self.centre.copy_(torch.from_numpy(2.0 * math.pi * rng.random(len(self.centre))))
        self.width.fill_(-2.0)
        rows = rng.integers(len(x), size=len(self.z))
        self.z.copy_(x[torch.from_numpy(rows).to(x.device)])
        self.log_variance.fill_(math.log(max(float(y.square().mean()), 1e-12) / len(self.log_variance)))
        self.started.fill_(True)

    def objective(self, batch: dict[str, Any]) -> Tensor:
        """Minus the bound."""
        return -bound(self.frequencies, self.log_tau.exp(), inputs_of(batch, "train"), targets_of(batch, "train"))

    def predict(self, batch: dict[str, Any], x: Tensor) -> Prediction:
        """Predict at x (M, P)."""
        rows, y = inputs_of(batch, "train"), targets_of(batch, "train")
        return Prediction(*predict(self.frequencies, self.log_tau.exp(), rows, y, x))
