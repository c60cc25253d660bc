"""What every regression that is learned by full-batch steps has in common."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, get_args

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.metrics.base import WeightedMean
from reprise.metrics.regression import MeanNegativeLogLikelihood, MeanSquaredError, RootMeanSquaredError
from reprise.models.regression.tracking import Iterates
from reprise.samples.bands import Band
from reprise.samples.base import Sample

Part = Literal["train", "val", "test"]
Choose = Literal["last", "validation"]
_SUFFIX: dict[str, str] = {"train": "", "val": "_val", "test": "_test"}


class Prediction(NamedTuple):
    """Of M points.

    Attributes:
        mean: (M,), in the scaled unit of y.
        variance: (M,) of y, noise included; None where a model predicts no distribution.
    """

    mean: Tensor
    variance: Tensor | None = None


def inputs_of(batch: dict[str, Any], part: Part) -> Tensor:
    """Inputs (M, D) of a part of the problem."""
    return batch[f"x{_SUFFIX[part]}"]  # type: ignore[no-any-return]


def targets_of(batch: dict[str, Any], part: Part) -> Tensor:
    """Targets (M,) of a part of the problem."""
    return batch[f"y{_SUFFIX[part]}"]  # type: ignore[no-any-return]


class RegressionModule(pl.LightningModule):
    """A regression problem as one batch; one iteration is one full-batch step.

    A subclass gives `objective` and `predict`, and calls `track_iterates` once its parameters exist. Errors are in
    the scaled unit of y; `test/rmse_raw` is in the raw one.

    Args:
        optimizer: optimiser class with its settings, waiting for parameters.
        seed: decides what the model draws.
        choose: weights that are evaluated: last, or those with the lowest validation error among tracked iterates.
        track_every: measure held-out errors every so many iterations while training; 0: never. The lowest test error
            is reported as `test/rmse_best_epoch`. It was chosen on the test set: it is there to compare with
            published figures that were, and is no estimate of an error.
        recent: report the median of so many of the last tracked test errors; 0: none.
        curve: points of the drawn prediction where there is one input; 0: no picture.

    Raises:
        ConfigError: a value is out of range, or two do not go together.
    """

    def __init__(
        self,
        optimizer: Callable[[Iterable[Any]], torch.optim.Optimizer],
        seed: int,
        choose: Choose = "last",
        track_every: int = 0,
        recent: int = 0,
        curve: int = 400,
    ) -> None:
        super().__init__()
        if choose not in get_args(Choose):
            raise ConfigError(f"model.choose is {choose!r}. Expected one of {', '.join(get_args(Choose))}.")
        for name, value in {"track_every": track_every, "recent": recent, "curve": curve}.items():
            if value < 0:
                raise ConfigError(f"model.{name} is {value}. Expected 0 or more.")
        if not track_every and (choose == "validation" or recent):
            raise ConfigError("model.choose=validation and model.recent need model.track_every, 1 or more.")
        self.optimizer = optimizer
        self.seed = seed
        self.choose = choose
        self.track_every = track_every
        self.keep_recent = recent
        self.curve = curve
        self.iterates: Iterates | None = None
        self.metrics = nn.ModuleDict(
            {
                "rmse": RootMeanSquaredError(),
                "mse": MeanSquaredError(),
                "mnll": MeanNegativeLogLikelihood(),
                "rmse_raw": RootMeanSquaredError(),
                "train_rmse": RootMeanSquaredError(),
            }
        )
        self.samples: list[Sample] = []  # of the last validation or test
        self._versions: dict[str, int] = {}

    @abstractmethod
    def objective(self, batch: dict[str, Any]) -> Tensor:
        """The loss () of the training part, to be minimised."""

    @abstractmethod
    def predict(self, batch: dict[str, Any], x: Tensor) -> Prediction:
        """Predict at inputs x (M, D), given the training part; called in evaluation mode and without gradients."""

    def predict_parts(self, batch: dict[str, Any], parts: tuple[Part, ...]) -> dict[Part, Prediction]:
        """Predict parts of the problem together, each that has any points."""
        sizes = [len(targets_of(batch, part)) for part in parts]
        found = self.predict(batch, torch.cat([inputs_of(batch, part) for part in parts]))
        means = found.mean.split(sizes)
        variances = found.variance.split(sizes) if found.variance is not None else [None] * len(sizes)
        pairs = zip(parts, means, variances, strict=True)
        return {part: Prediction(mean, variance) for part, mean, variance in pairs if len(mean)}

    def measures(self, batch: dict[str, Any]) -> dict[str, tuple[float, int]]:
        """Further values to report of the evaluated weights: name, starting with `test/`, to (value, version)."""
        return {}

    def track_iterates(self) -> None:
        """Prepare to keep what is tracked; to be called at the end of a subclass's constructor."""
        if self.track_every:
            self.iterates = Iterates(self.parameters(), self.keep_recent)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Track the iterate that the last step made, then take the loss of the next one."""
        iteration: int = self.trainer.datamodule.iteration  # type: ignore[attr-defined]
        due = self.iterates is not None and iteration and iteration % self.track_every == 0
        if due and self.iterates is not None and self.iterates.is_new(iteration):
            self._track(batch)
        return self.objective(batch)

    @torch.no_grad()
    def _track(self, batch: dict[str, Any]) -> None:
        if self.iterates is None:
            return
        training = self.training
        self.eval()
        found = self.predict_parts(batch, ("val", "test"))
        self.train(training)
        errors = {part: _rmse(made.mean, targets_of(batch, part)) for part, made in found.items()}
        self.iterates.add(errors.get("val"), errors["test"])

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Log the objective, by which the last checkpoint is the best where it is validated once."""
        self.log("val/objective", self.objective(batch).double().item(), batch_size=1)
        for part, made in self.predict_parts(batch, ("train", "val")).items():
            name = "train" if part == "train" else "val"
            self.log(f"{name}/rmse", _rmse(made.mean, targets_of(batch, part)).item(), batch_size=1)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Measure the chosen weights; of tracked runs also the lowest and the last test errors."""
        self._track(batch)  # the last iterate, which no training step came after
        if self.iterates is not None:
            self._report("test/rmse_best_epoch", self.iterates.best_test, 1)
            if self.keep_recent:
                self._report(f"test/rmse_median_last_{self.keep_recent}", self.iterates.recent_median(), 1)
        chosen = self.choose == "validation" and self.iterates is not None and self.iterates.best_val.isfinite()
        with self.iterates.best() if chosen and self.iterates is not None else contextlib.nullcontext():
            self._measure(batch)
            self.samples = self.pictures(batch)

    def _measure(self, batch: dict[str, Any]) -> None:
        y, scale = targets_of(batch, "test"), batch["y_scale"]
        found = self.predict_parts(batch, ("train", "test"))
        test, train = found["test"], found["train"]
        self._metric("rmse", test.mean, y)
        self._metric("mse", test.mean, y)
        self._metric("rmse_raw", test.mean * scale, y * scale)
        self._metric("train_rmse", train.mean, targets_of(batch, "train"))
        if test.variance is not None:
            self._metric("mnll", test.mean, test.variance, y)
        for name, (value, version) in self.measures(batch).items():
            self._report(name, value, version)

    def _metric(self, name: str, *values: Tensor) -> None:
        metric: Any = self.metrics[name]
        assert isinstance(metric, WeightedMean)
        metric.reset()
        metric.update(*values)
        self._report(f"test/{name}", metric.compute(), metric.version)
        metric.reset()

    def _report(self, name: str, value: Tensor | float, version: int) -> None:
        self.log(name, float(value), batch_size=1)
        self._versions[name] = version

    def pictures(self, batch: dict[str, Any]) -> list[Sample]:
        """The prediction beside the data, where there is one input."""
        x = torch.cat([inputs_of(batch, part) for part in get_args(Part)])
        if not self.curve or x.shape[1] != 1:
            return []
        grid = torch.linspace(float(x.min()), float(x.max()), self.curve, dtype=x.dtype, device=x.device)
        made = self.predict(batch, grid[:, None])
        shift, scale = float(batch["y_shift"]), float(batch["y_scale"])
        mean = (made.mean.double().cpu() * scale + shift).tolist()
        lower = upper = None
        if made.variance is not None:
            half = 1.96 * made.variance.double().cpu().sqrt() * abs(scale)
            lower = [m - h for m, h in zip(mean, half.tolist(), strict=True)]
            upper = [m + h for m, h in zip(mean, half.tolist(), strict=True)]
        points = {}
        named: tuple[tuple[Part, str], ...] = (("train", "training"), ("test", "test"))
        for part, name in named:
            y = targets_of(batch, part).cpu() * scale + shift
            points[name] = (inputs_of(batch, part)[:, 0].cpu().tolist(), y.tolist())
        return [
            Band(
                name="prediction",
                caption="prediction, and 95 % of y where a distribution is predicted",
                group="prediction",
                x=(batch["x_label"], grid.cpu().tolist()),
                y=batch["y_label"],
                mean=mean,
                lower=lower,
                upper=upper,
                points=points,
            )
        ]

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each measure of the evaluation, for the run record."""
        return dict(self._versions)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build the optimiser over all parameters."""
        return self.optimizer(self.parameters())


def _rmse(mean: Tensor, y: Tensor) -> Tensor:
    return (mean.double() - y.double()).square().mean().sqrt()
