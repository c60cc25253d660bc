"""Exact Gaussian process regression, from several starts at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.models.regression.module import Choose, Prediction, RegressionModule, inputs_of, targets_of
from reprise.models.spectral_mixture.network.kernels import Kernel
from reprise.models.spectral_mixture.network.lags import Lags, lags
from reprise.models.spectral_mixture.network.mixture import SpectralMixture
from reprise.models.spectral_mixture.network.positive import Link, Positive
from reprise.models.spectral_mixture.objective import condition, log_density
from reprise.models.spectral_mixture.starts import periodogram
from reprise.samples.base import Sample
from reprise.samples.spectra import Spectrum

Mean = Literal["zero", "constant"]
NoiseUnit = Literal["deviation", "absolute"]


class ExactGP(RegressionModule):
    """y = m + f(x) + e, f a Gaussian process, e white noise; learned by the marginal likelihood.

    S starts are learned side by side. After `screen` iterations only the one with the highest marginal likelihood goes
    on; without, the choice is made at the end. The training data alone decide.

    Args:
        network: the kernel, of S starts.
        optimizer, seed, choose, track_every, recent, curve: see RegressionModule.
        start: way in which the kernel begins, see the kernel's `ways`; default leaves noise and mean as they are, too.
        mean: m, zero or a constant that is learned.
        noise: deviation of e at first.
        noise_unit: of it: deviation, that of y; absolute, y's own.
        learn_noise: whether it is learned.
        noise_floor: the variance of e is never below it.
        link: see Positive; of the noise.
        screen: iterations until one start is chosen; 0: all of them.
        component_share: a component of a spectral mixture is in use if its weight is more than this share of all.
        peaks: names under which the mean frequencies of the components in use are reported, the lowest first.
        lr_schedule: of the learning rate, by iterations.

    Raises:
        ConfigError: a value is out of range.
    """

    def __init__(
        self,
        network: Kernel,
        optimizer: Callable[[Iterable[Any]], torch.optim.Optimizer],
        seed: int,
        choose: Choose = "last",
        track_every: int = 0,
        recent: int = 0,
        curve: int = 400,
        start: str = "data",
        mean: Mean = "zero",
        noise: float = 0.1,
        noise_unit: NoiseUnit = "deviation",
        learn_noise: bool = True,
        noise_floor: float = 0.0,
        link: Link = "exp",
        screen: int = 0,
        component_share: float = 1e-6,
        peaks: Sequence[str] = (),
        lr_schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
    ) -> None:
        super().__init__(optimizer, seed, choose, track_every, recent, curve)
        if start not in network.ways:
            raise ConfigError(f"model.start is {start!r}. Expected one of {', '.join(network.ways)} for this kernel.")
        for name, value, allowed in (("mean", mean, get_args(Mean)), ("noise_unit", noise_unit, get_args(NoiseUnit))):
            if value not in allowed:
                raise ConfigError(f"model.{name} is {value!r}. Expected one of {', '.join(allowed)}.")
        if noise <= 0.0:
            raise ConfigError(f"model.noise is {noise}. Expected a deviation above 0.")
        if noise_floor < 0.0 or screen < 0:
            raise ConfigError(f"model.noise_floor is {noise_floor}, model.screen {screen}. Expected 0 or more.")
        self.network = network
        self.start = start
        self.noise_start = noise
        self.noise_unit = noise_unit
        self.screen = screen
        self.lr_schedule = lr_schedule
        self.component_share = component_share
        self.peaks = tuple(peaks)
        self.noise = Positive((network.starts,), link, noise_floor)
        self.noise.raw.requires_grad_(learn_noise)
        self.offset = nn.Parameter(torch.zeros(network.starts, dtype=torch.float64), requires_grad=mean == "constant")
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))
        self.register_buffer("chosen", torch.full((), -1))  # -1: all starts go on
        self.begun: Tensor
        self.chosen: Tensor
        self._lags: tuple[Tensor, Lags] | None = None
        self.track_iterates()

    # ---- the start

    @torch.no_grad()
    def begin(self, batch: dict[str, Any]) -> None:
        """Put kernel, noise and mean where they begin, by the training data."""
        x, y = inputs_of(batch, "train"), targets_of(batch, "train").double()
        if self.offset.requires_grad and self.start != "default":
            self.offset.copy_(y.mean().expand_as(self.offset))
        rng = np.random.default_rng([self.seed, 0])
        self.network.begin(x.double(), y - self.offset[0], self.start, rng)
        if self.start != "default":
            unit = y.std(correction=0) if self.noise_unit == "deviation" else y.new_ones(())
            self.noise.begin((self.noise_start * unit).square())
        self.begun.fill_(True)

    # ---- likelihood

    def _going(self) -> Tensor | None:
        return None if int(self.chosen) < 0 else self.chosen[None]

    def _training_lags(self, x: Tensor) -> Lags:
        if self._lags is None or self._lags[0] is not x:
            self._lags = x, lags(x, x)
        return self._lags[1]

    def covariance(self, found: Lags, which: Tensor | None) -> Tensor:
        """K + s^2 I (S, N, N) of N points with these differences among themselves."""
        matrix = found.spread(self.network(found.tau, which))
        identity = torch.eye(found.shape[0], dtype=matrix.dtype, device=matrix.device)
        return matrix + self.noise(which)[:, None, None] * identity

    def log_marginal_likelihood(self, batch: dict[str, Any], which: Tensor | None = None) -> Tensor:
        """The log of p(y) of the training part, in nats: (S,), or of the starts `which`."""
        x, y = inputs_of(batch, "train"), targets_of(batch, "train")
        offset = self.offset if which is None else self.offset[which]
        return log_density(self.covariance(self._training_lags(x), which), y - offset[:, None])

    def objective(self, batch: dict[str, Any]) -> Tensor:
        """The sum over starts of -log p(y) / N, in evaluation mode of the best one alone.

        A start without a finite likelihood is left out, unless all are.
        """
        which = self._going() if self.training else self.best(batch)[None]
        found = self.log_marginal_likelihood(batch, which)
        finite = found.isfinite()
        total = torch.where(finite, found, 0.0).sum()
        return (total if bool(finite.any()) else found.sum()) / -len(targets_of(batch, "train"))

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Begin, or choose a start, where it is time for that; then as every regression."""
        if not bool(self.begun):
            self.begin(batch)
        iteration: int = self.trainer.datamodule.iteration  # type: ignore[attr-defined]
        if self.screen and iteration >= self.screen and int(self.chosen) < 0:
            self.chosen.copy_(self.best(batch))
        return super().training_step(batch, batch_idx)

    @torch.no_grad()
    def best(self, batch: dict[str, Any]) -> Tensor:
        """The start that was chosen, or has the highest marginal likelihood: its number ()."""
        if int(self.chosen) >= 0:
            return self.chosen
        return self.log_marginal_likelihood(batch).argmax()

    # ---- prediction

    def predict(self, batch: dict[str, Any], x: Tensor) -> Prediction:
        """Mean and variance, noise included, by the best start."""
        return self._predict(batch, x, self.best(batch)[None])

    def _predict(self, batch: dict[str, Any], x: Tensor, which: Tensor) -> Prediction:
        train, y = inputs_of(batch, "train"), targets_of(batch, "train")
        known = self.covariance(self._training_lags(train), which)[0]
        between = lags(x, train)
        cross = between.spread(self.network(between.tau, which))[0]
        prior = self.network(torch.zeros_like(x[:1]), which)[0].expand(len(x))
        offset = self.offset[which]
        mean, variance = condition(known, cross, prior, y - offset)
        return Prediction(mean + offset, variance + self.noise(which))

    # ---- measures

    @torch.no_grad()
    def joint_log_density(self, batch: dict[str, Any], which: Tensor) -> float:
        """The log of p(test targets | training targets), all together, noise included: the difference of two log p."""
        x = torch.cat([inputs_of(batch, "train"), inputs_of(batch, "test")])
        y = torch.cat([targets_of(batch, "train"), targets_of(batch, "test")])
        whole = log_density(self.covariance(lags(x, x), which), (y - self.offset[which])[None])
        return float((whole - self.log_marginal_likelihood(batch, which))[0])

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """As every regression; a run that is validated before it is trained begins here."""
        if not bool(self.begun):
            self.begin(batch)
        super().validation_step(batch, batch_idx)

    def used(self, which: Tensor) -> Tensor:
        """Components in use of one start, by their mean frequency along the first input: their numbers (Q',)."""
        assert isinstance(self.network, SpectralMixture)
        weight, mean = self.network.weight(which)[0], self.network.mean(which)[0, :, 0]
        order = mean.argsort()
        return order[(weight > self.component_share * weight.sum())[order]]

    @torch.no_grad()
    def measures(self, batch: dict[str, Any]) -> dict[str, tuple[float, int]]:
        """Densities of the test targets, jointly and one by one, and of the training targets; what a mixture learned.

        Of a spectral mixture: how many components are in use, and the mean frequencies of those that `peaks` names.
        """
        which = self.best(batch)[None]
        made = self._predict(batch, inputs_of(batch, "test"), which)
        assert made.variance is not None
        each = torch.distributions.Normal(made.mean, made.variance.sqrt()).log_prob(targets_of(batch, "test"))
        likelihood = float(self.log_marginal_likelihood(batch, which)[0])
        found = {
            "test/log_likelihood": self.joint_log_density(batch, which),
            "test/sum_of_log_densities": float(each.sum()),
            "test/train_log_marginal_likelihood": likelihood,
            "test/train_negative_log_marginal_likelihood": -likelihood,
            "test/noise_deviation": float(self.noise(which)[0].sqrt()),
        }
        if isinstance(self.network, SpectralMixture):
            used = self.used(which)
            found["test/components_used"] = float(len(used))
            frequencies = self.network.mean(which)[0, used, 0].tolist()
            for number, name in enumerate(self.peaks):  # NaN: there are fewer
                value = frequencies[number] if number < len(frequencies) else float("nan")
                found[f"test/{name}/peak_frequency"] = value
        return {name: (value, 1) for name, value in found.items()}

    def configure_optimizers(self) -> Any:
        """Build the optimiser over what is learned, and its schedule."""
        optimizer = self.optimizer(p for p in self.parameters() if p.requires_grad)
        if self.lr_schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.lr_schedule(optimizer), "interval": "step"},
        }

    # ---- pictures

    @torch.no_grad()
    def pictures(self, batch: dict[str, Any]) -> list[Sample]:
        """The prediction beside the data and, of a spectral mixture, the density beside the periodogram."""
        shown = super().pictures(batch)
        x, y = inputs_of(batch, "train"), targets_of(batch, "train")
        if self.curve and x.shape[1] == 1 and isinstance(self.network, SpectralMixture):
            which = self.best(batch)[None]
            frequency, power = periodogram(x[:, 0].cpu().numpy(), y.cpu().numpy())
            mu, sigma = self.network.mean(which)[0, :, 0], self.network.deviation(which)[0, :, 0]
            near = torch.cat([mu + step * sigma for step in torch.linspace(-4.0, 4.0, 33).tolist()])  # narrow peaks
            even = torch.linspace(0.0, float(frequency[-1]), 1000).to(mu)
            points = torch.cat([even, near.clamp(0.0, float(frequency[-1]))]).sort().values
            density = self.network.density(points, which)[0]
            shown.append(
                Spectrum(
                    name="spectrum",
                    caption="learnt spectral density, and the periodogram of the training data less its mean",
                    group="spectrum",
                    x=f"cycles per {batch['x_label']}",
                    density=(points.tolist(), density.tolist()),
                    periodogram=(frequency.tolist(), power.tolist()),
                )
            )
        return shown
