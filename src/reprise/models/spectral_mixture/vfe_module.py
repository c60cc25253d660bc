"""VFE(SM) as a LightningModule: inducing points with the exact spectral mixture kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.models.regression.module import Choose, Prediction, RegressionModule, inputs_of, targets_of
from reprise.models.spectral_mixture.initial import starts
from reprise.models.spectral_mixture.mixture import Mixture
from reprise.models.spectral_mixture.showing import density_curve
from reprise.models.spectral_mixture.vfe import draw_inducing, negative_bound, predict
from reprise.nn.randomness import example_rng
from reprise.samples.base import Sample


class VFE(RegressionModule):
    """A spectral mixture learnt by inducing points.

    Args:
        inputs: P.
        optimizer: as in the base.
        seed: decides start and inducing points.
        components: Q.
        points: m; there are 2 Q m inducing points, as many as SVSS has features.
        noise: initial standard deviation of the noise as a share of that of y.
        learn_inducing: move the inducing points.
        choose, track_every, recent, curve: as in the base.

    Raises:
        ConfigError: a value is out of range.
    """

    def __init__(
        self,
        inputs: int,
        optimizer: Callable[[Iterable[Any]], torch.optim.Optimizer],
        seed: int,
        components: int = 20,
        points: int = 3,
        noise: float = 0.1,
        learn_inducing: bool = True,
        choose: Choose = "last",
        track_every: int = 0,
        recent: int = 0,
        curve: int = 400,
    ) -> None:
        super().__init__(optimizer, seed, choose, track_every, recent, curve)
        for name, value in {"inputs": inputs, "components": components, "points": points}.items():
            if value < 1:
                raise ConfigError(f"model.{name} is {value}. Expected 1 or more.")
        if noise <= 0.0:
            raise ConfigError(f"model.noise is {noise}. Expected above 0.")
        self.noise = noise
        shape, double = (components, inputs), torch.float64
        self.log_w = nn.Parameter(torch.zeros(components, dtype=double))
        self.log_mu = nn.Parameter(torch.zeros(shape, dtype=double))
        self.log_sigma = nn.Parameter(torch.zeros(shape, dtype=double))
        self.log_s = nn.Parameter(torch.zeros((), dtype=double))
        places = torch.zeros(2 * components * points, inputs, dtype=double)
        self.inducing = nn.Parameter(places, requires_grad=learn_inducing)
        self.started: Tensor
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self.track_iterates()

    @property
    def mixture(self) -> Mixture:
        """The learnt mixture."""
        return Mixture(self.log_w.exp(), self.log_mu.exp(), self.log_sigma.exp())

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Start in the first iteration."""
        if not bool(self.started):
            self.start(batch)
        return super().training_step(batch, batch_idx)

    @torch.no_grad()
    def start(self, batch: dict[str, Any]) -> None:
        """Start from the periodogram or at random as SVSS does, with inducing points at inputs."""
        x, y = inputs_of(batch, "train"), targets_of(batch, "train")
        rng = example_rng(self.seed, "starts", 0)
        made = starts(x.cpu().numpy(), y.cpu().numpy(), len(self.log_w), 1, self.noise, "initial", rng)
        for own, found in zip(
            (self.log_w, self.log_mu, self.log_sigma, self.log_s), (*made.mixture, made.s), strict=True
        ):
            own.copy_(found[0].log())
        order = torch.from_numpy(rng.permutation(len(x))).to(x.device)
        noise = torch.from_numpy(rng.standard_normal(tuple(self.inducing.shape))).to(x.device)
        self.inducing.copy_(draw_inducing(x, len(self.inducing), noise, order))
        self.started.fill_(True)

    def objective(self, batch: dict[str, Any]) -> Tensor:
        """Minus the bound."""
        x, y = inputs_of(batch, "train"), targets_of(batch, "train")
        return negative_bound(self.mixture, self.log_s.exp(), x, y, self.inducing)

    def predict(self, batch: dict[str, Any], x: Tensor) -> Prediction:
        """Predict at x (K, P)."""
        rows, y = inputs_of(batch, "train"), targets_of(batch, "train")
        return Prediction(*predict(self.mixture, self.log_s.exp(), rows, y, self.inducing, x))

    def measures(self, batch: dict[str, Any]) -> dict[str, tuple[float, int]]:
        """The same errors under the name that they have beside other models, where features stand for the kernel."""
        found = {}
        for name in ("rmse", "mnll"):
            metric: Any = self.metrics[name]
            made = self.predict(batch, inputs_of(batch, "test"))
            values = (made.mean, made.variance) if name == "mnll" else (made.mean,)
            metric.update(*values, targets_of(batch, "test"))
            found[f"test/features/{name}"] = float(metric.compute()), metric.version
            metric.reset()
        return found

    def pictures(self, batch: dict[str, Any]) -> list[Sample]:
        """The prediction and, of one input, the learnt spectral density beside the periodogram."""
        shown = super().pictures(batch)
        if shown:
            x, y = (np.asarray(part(batch, "train").cpu()) for part in (inputs_of, targets_of))
            shown.append(density_curve(self.mixture, x[:, 0], y, batch["x_label"]))
        return shown
