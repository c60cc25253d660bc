"""Random features of a spectral mixture as a LightningModule: SS, SS+RP and SVSS with or without its two aids."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.metrics.regression import MeanNegativeLogLikelihood, RootMeanSquaredError
from reprise.models.regression.module import Choose, Prediction, RegressionModule, inputs_of, targets_of
from reprise.models.spectral_mixture.allocation import Allocation, Rule
from reprise.models.spectral_mixture.initial import Prior, starts
from reprise.models.spectral_mixture.iterates import AllottedIterates
from reprise.models.spectral_mixture.likelihood import white_noise
from reprise.models.spectral_mixture.showing import density_curve
from reprise.models.spectral_mixture.svss import (
    Logs,
    best_start,
    divergence,
    groups,
    predict_exact,
    predict_features,
    sampled_likelihood,
)
from reprise.nn.randomness import example_rng
from reprise.samples.base import Sample

Variant = Literal["frozen", "redrawn", "variational"]
Way = Literal["exact", "features"]
_COMPARED = 3  # draws by which starts are compared


class SVSS(RegressionModule):
    """A spectral mixture learnt by random features.

    Args:
        inputs: P.
        optimizer: as in the base; it is given groups with `role`, which `NaturalAdam` reads.
        seed: decides starts and draws.
        components: Q.
        points: m, spectral points a component on average.
        variant: frozen, one draw for all (SS); redrawn, another in each iteration (SS+RP); variational, redrawn and
            with the KL to the prior (SVSS).
        rule: how points are allotted; equal, or one of `Allocation`.
        share: rho, of the training rows that the rule looks at.
        allot_every: iterations between allocations.
        draws: B, of an iteration.
        kl_weight: of the KL, one term a component.
        prior: released (random) or initial (around the start, deviation 1).
        prior_mean: scale of the released prior's means in place of its own.
        noise: initial standard deviation of the noise as a share of that of y.
        restarts: starts that are trained side by side, of which the one with the lowest loss goes on.
        restart_iterations: for so long.
        restart_stride: on every so-many-th training row.
        prediction: exact, by the Gaussian process of the learnt mixture; features, by draws.
        prediction_draws: of `features`; the frozen variant has but one.
        between: count that the draws' means differ in the variance.
        exact_limit: most training rows for exact prediction; beyond it, features predict.
        track_last: track the last so many iterations only; 0: all.
        rmse_at: note the validation error after so many iterations as `val/rmse_iteration_N`; 0: no.
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
        variant: Variant = "variational",
        rule: Rule = "equal",
        share: float = 0.05,
        allot_every: int = 1,
        draws: int = 1,
        kl_weight: float = 1.0,
        prior: Prior = "released",
        prior_mean: float | None = None,
        noise: float = 0.1,
        restarts: int = 1,
        restart_iterations: int = 101,
        restart_stride: int = 1,
        prediction: Way = "exact",
        prediction_draws: int = 10,
        between: bool = True,
        exact_limit: int = 5000,
        track_last: int = 0,
        rmse_at: int = 0,
        choose: Choose = "last",
        track_every: int = 0,
        recent: int = 0,
        curve: int = 400,
    ) -> None:
        super().__init__(optimizer, seed, choose, track_every, recent, curve)
        for name, value, allowed in (
            ("variant", variant, get_args(Variant)),
            ("prior", prior, get_args(Prior)),
            ("prediction", prediction, get_args(Way)),
        ):
            if value not in allowed:
                raise ConfigError(f"model.{name} is {value!r}. Expected one of {', '.join(allowed)}.")
        numbers = {"inputs": inputs, "components": components, "allot_every": allot_every, "draws": draws}
        numbers |= {"restarts": restarts, "restart_stride": restart_stride, "prediction_draws": prediction_draws}
        for name, number in numbers.items():
            if number < 1:
                raise ConfigError(f"model.{name} is {number}. Expected 1 or more.")
        if noise <= 0.0 or kl_weight < 0.0:
            raise ConfigError(f"model.noise is {noise}, kl_weight {kl_weight}. Expected above 0, and 0 or more.")
        if variant == "frozen" and rule != "equal":
            raise ConfigError("model.variant=frozen needs model.rule=equal: a frozen point belongs to one component.")
        self.variant: Variant = variant
        self.allocation = Allocation(rule, points, share)
        self.allot_every = allot_every
        self.draws = 1 if variant == "frozen" else draws
        self.kl_weight = kl_weight if variant == "variational" else 0.0
        self.prior: Prior = prior
        self.prior_mean = prior_mean
        self.noise = noise
        self.restarts = restarts
        self.restart_iterations = restart_iterations
        self.restart_stride = restart_stride
        self.prediction: Way = prediction
        self.prediction_draws = prediction_draws
        self.between = between
        self.exact_limit = exact_limit
        self.track_last = track_last
        self.rmse_at = rmse_at
        self.inputs = inputs
        shape = (components, inputs)
        double = torch.float64
        self.log_w = nn.Parameter(torch.zeros(components, dtype=double))
        self.log_mu = nn.Parameter(torch.zeros(shape, dtype=double))
        self.log_sigma = nn.Parameter(torch.zeros(shape, dtype=double))
        self.log_s = nn.Parameter(torch.zeros((), dtype=double))
        self.prior_mu: Tensor
        self.prior_sigma: Tensor
        self.counts: Tensor
        self.started: Tensor
        self.noted: Tensor
        self.register_buffer("prior_mu", torch.zeros(shape, dtype=double))
        self.register_buffer("prior_sigma", torch.ones(shape, dtype=double))
        self.register_buffer("counts", torch.full((components,), points))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self.register_buffer("noted", torch.tensor(float("nan"), dtype=double))
        self._position = 0  # of the draws of a prediction
        self.track_iterates()

    def track_iterates(self) -> None:
        """Keep the allocation together with the weights: features are of both."""
        if self.track_every:
            self.iterates = AllottedIterates(self.parameters(), self.keep_recent, lambda: self.counts)

    @property
    def logs(self) -> Logs:
        """The parameters."""
        return Logs(self.log_w, self.log_mu, self.log_sigma, self.log_s)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build the optimiser over groups that say what they hold."""
        return self.optimizer(groups(self.logs))

    def draw(self, stream: str, position: int, count: int) -> Tensor:
        """Standard normal noise (count, M, P) of one place in a stream of draws."""
        if self.variant == "frozen":
            stream, position, count = "frozen", 0, 1
        shape = (count, len(self.log_w) * self.allocation.points, self.inputs)
        made = example_rng(self.seed, f"spectral points, {stream}", position).standard_normal(shape)
        return torch.from_numpy(made).to(self.log_mu.device)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Start in the first iteration, allot points, then do what the base does."""
        iteration: int = self.trainer.datamodule.iteration  # type: ignore[attr-defined]
        if not bool(self.started):
            self.start(batch)
        if iteration % self.allot_every == 0 and self.allocation.rule != "equal":
            self.counts.copy_(self.allocation(self.logs.mixture(), inputs_of(batch, "train"), iteration))
        if self.rmse_at and iteration == self.rmse_at and len(targets_of(batch, "val")):
            with torch.no_grad():
                made = self.predict(batch, inputs_of(batch, "val"))
            self.noted.copy_((made.mean - targets_of(batch, "val")).square().mean().sqrt())
        return super().training_step(batch, batch_idx)

    def objective(self, batch: dict[str, Any]) -> Tensor:
        """Minus the estimate of the evidence lower bound; in validation of draws that do not change."""
        position = self.trainer.datamodule.iteration if self.training else 0  # type: ignore[attr-defined]
        noise = self.draw("training" if self.training else "validation", position, self.draws)
        return self._loss(self.logs, self.prior_mu, self.prior_sigma, self.counts, noise, batch)

    def _loss(
        self, logs: Logs, prior_mu: Tensor, prior_sigma: Tensor, counts: Tensor, noise: Tensor, batch: dict[str, Any]
    ) -> Tensor:
        x, y = inputs_of(batch, "train"), targets_of(batch, "train")
        loss = sampled_likelihood(logs, counts, noise, x, y)
        return loss + self.kl_weight * divergence(logs, prior_mu, prior_sigma) if self.kl_weight else loss

    def start(self, batch: dict[str, Any]) -> None:
        """Draw starts, train them side by side, and go on with the best; done once in a run."""
        rng = example_rng(self.seed, "starts", 0)
        x, y = (part(batch, "train").cpu().numpy() for part in (inputs_of, targets_of))
        made = starts(x, y, len(self.log_w), self.restarts, self.noise, self.prior, rng, self.prior_mean)
        rows = {k: batch[k][:: self.restart_stride] for k in ("x", "y")}

        def loss(logs: Logs, prior_mu: Tensor, prior_sigma: Tensor, iteration: int) -> Tensor:
            counts = self.allocation(logs.mixture(), rows["x"], iteration).to(rows["x"].device)
            last = iteration == self.restart_iterations
            noise = self.draw("starts", iteration, _COMPARED if last else self.draws)
            return self._loss(logs, prior_mu, prior_sigma, counts, noise, rows)

        device = self.log_mu.device
        mixture = type(made.mixture)(*(part.to(device) for part in made.mixture))
        made = type(made)(mixture, *(part.to(device) for part in made[1:]))
        chosen = best_start(made, loss, self.optimizer, self.restart_iterations if self.restarts > 1 else 0)
        with torch.no_grad():
            for own, found in zip(self.logs, chosen.logs, strict=True):
                own.copy_(found)
            self.prior_mu.copy_(chosen.prior_mu)
            self.prior_sigma.copy_(chosen.prior_sigma)
            self.started.fill_(True)

    def predict(self, batch: dict[str, Any], x: Tensor) -> Prediction:
        """Predict in the chosen way."""
        exact = self.prediction == "exact" and len(targets_of(batch, "train")) <= self.exact_limit
        return self.predict_by("exact" if exact else "features", batch, x)

    def predict_by(self, way: Way, batch: dict[str, Any], x: Tensor) -> Prediction:
        """Predict at x (K, P) in one way."""
        rows, y = inputs_of(batch, "train"), targets_of(batch, "train")
        if way == "exact":
            return Prediction(*predict_exact(self.logs, rows, y, x))
        noise = self.draw("prediction", self._position, self.prediction_draws)
        return Prediction(*predict_features(self.logs, self.counts, noise, rows, y, x, self.between))

    def _track(self, batch: dict[str, Any]) -> None:
        """Track late iterates only where so chosen, each with draws of its own."""
        if self.iterates is None:
            return
        iteration: int = self.trainer.datamodule.iteration  # type: ignore[attr-defined]
        if self.training and self.track_last and iteration <= self.trainer.max_steps - self.track_last:
            return
        self._position = 1 + int(self.iterates.seen)
        super()._track(batch)
        self._position = 0

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Also log the error that was noted on the way."""
        super().validation_step(batch, batch_idx)
        if self.rmse_at:
            self.log(f"val/rmse_iteration_{self.rmse_at}", self.noted.item(), batch_size=1)

    @torch.no_grad()
    def measures(self, batch: dict[str, Any]) -> dict[str, tuple[float, int]]:
        """Errors in both ways of prediction, and whether training never left white noise."""
        found: dict[str, tuple[float, int]] = {}
        y, ways = targets_of(batch, "test"), ["features"]
        if len(targets_of(batch, "train")) <= self.exact_limit:
            ways.append("exact")
        for way in get_args(Way):
            if way in ways:
                made = self.predict_by(way, batch, inputs_of(batch, "test"))
                rmse, mnll = RootMeanSquaredError().to(y.device), MeanNegativeLogLikelihood().to(y.device)
                rmse.update(made.mean, y)
                mnll.update(made.mean, made.variance, y)  # type: ignore[arg-type]
                found[f"test/{way}/rmse"] = float(rmse.compute()), rmse.version
                found[f"test/{way}/mnll"] = float(mnll.compute()), mnll.version
        found["test/failed_start"] = float(self.failed(batch)), 1
        return found

    @torch.no_grad()
    def failed(self, batch: dict[str, Any]) -> bool:
        """Whether the data are explained no better than as white noise, by 0.01 nats a row."""
        x, y = inputs_of(batch, "train"), targets_of(batch, "train")
        noise = self.draw("validation", 0, self.draws)
        loss = float(sampled_likelihood(self.logs, self.counts, noise, x, y))
        return not loss < white_noise(y) - 0.01 * len(y)

    def pictures(self, batch: dict[str, Any]) -> list[Sample]:
        """The prediction and, of one input, the learnt spectral density beside the periodogram."""
        shown = super().pictures(batch)
        if shown:
            x, y = (np.asarray(part(batch, "train").cpu()) for part in (inputs_of, targets_of))
            shown.append(density_curve(self.logs.mixture(), x[:, 0], y, batch["x_label"]))
        return shown
