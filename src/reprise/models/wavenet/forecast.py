"""WaveNet as a forecaster of series: exact one-step distributions, sampled paths, and both against naive forecasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.config.errors import ConfigError
from reprise.metrics.base import WeightedMean
from reprise.metrics.forecasts import ForecastScores, LogDensity
from reprise.metrics.sequence_likelihood import NatsPerSample
from reprise.models.wavenet.forecast_grid import Cells, cells_of, log_density, probabilities
from reprise.models.wavenet.forecast_naive import naive_residuals, naive_scale, persistence_lag, seasonal_lag
from reprise.models.wavenet.forecast_paths import sample_paths
from reprise.models.wavenet.measuring import computed
from reprise.models.wavenet.network import WaveNetNetwork
from reprise.nn.randomness import ExampleDraws
from reprise.nn.series import SeriesScale
from reprise.samples.bands import Band


@dataclass(frozen=True, eq=False)
class Window:
    """A held-out window of one series, of W steps.

    Attributes:
        audio: its scaled steps and the R before them, (R + W,).
        levels: values of the whole series up to its end, (T,).
        start: where it begins among them.
        train: how many of them were trained on.
        scale: of the series.
        channel: number of the series.
        key: decides the draws of its paths.
        name: of its pictures.
    """

    audio: Tensor
    levels: Tensor
    start: int
    train: int
    scale: SeriesScale
    channel: int
    key: int
    name: str

    @property
    def observed(self) -> Tensor:
        """Values of the window, (W,)."""
        return self.levels[self.start :]

    @property
    def before(self) -> Tensor:
        """The value before each of them, (W,)."""
        return self.levels[self.start - 1 : -1]


class WaveNetForecaster(pl.LightningModule):
    """Maximum likelihood of scaled steps; forecasts are distributions of the next step, and sampled paths.

    Args:
        network: its global condition is the channel, one-hot; without one, channels are not told apart.
        optimizer: optimiser class with its settings, waiting for parameters.
        lr_schedule: learning-rate schedule waiting for the optimiser, stepped once an iteration.
        season: points of a season, for the seasonal naive forecast; None for none.
        paths: drawn of each held-out window when a run is evaluated.

    Raises:
        ConfigError: a number is out of range, or the network asks for local conditions.
    """

    generation_batch = 4  # series that `reprise generate` continues at once

    def __init__(
        self,
        network: WaveNetNetwork,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        lr_schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
        season: int | None = None,
        paths: int = 100,
    ) -> None:
        super().__init__()
        if paths < 2 or (season is not None and season < 1):
            raise ConfigError(f"model.paths is {paths}, model.season {season}. Expected 2 or more, and 1 or more.")
        if network.local_channels:
            raise ConfigError("a series has no local conditions. Expected model.network.local_channels=0.")
        self.network = network
        self.optimizer = optimizer
        self.lr_schedule = lr_schedule
        self.paths = paths
        self.lags: dict[str, Callable[[int], int]] = {"persistence": persistence_lag}
        if season is not None:
            self.lags["seasonal_naive"] = seasonal_lag(season)
        self.val_nats, self.nats = NatsPerSample(), NatsPerSample()
        self.val_scores, self.log_density = ForecastScores(), LogDensity()
        names = ["model", *self.lags]
        self.one_step = nn.ModuleDict({name: ForecastScores() for name in names})
        self.ahead = nn.ModuleDict({name: ForecastScores() for name in names})
        self.samples: list[Band] = []  # of the last test
        self._residuals: dict[tuple[int, int], Tensor] = {}  # of naive forecasts, by channel and lag

    def forward(self, previous: Tensor, h: Tensor | None = None) -> Tensor:
        """Parameters of the distributions of T steps, each from the R before it; see WaveNetNetwork.forward."""
        return self.network(previous, h)  # type: ignore[no-any-return]

    def setup(self, stage: str) -> None:
        """Ask the data for a history as long as the receptive field.

        Raises:
            ConfigError: the network is conditioned on another number of channels than there are.
        """
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        data.need_context(self.network.receptive_field)
        count = len(data.label_names["channel"])
        if self.network.global_channels not in (0, count):
            raise ConfigError(
                f"model.network.global_channels is {self.network.global_channels}, but there are {count} channels. "
                f"Set it to {count}, or to 0, which does not tell them apart."
            )

    def condition(self, channels: Tensor) -> Tensor | None:
        """Global condition (B, G) of channels (B,): one-hot; None where the network has none."""
        if not self.network.global_channels:
            return None
        return F.one_hot(channels, self.network.global_channels).float()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Nats a step, of all steps that have their whole receptive field before them."""
        return -self.network.log_prob(batch["audio"], self.condition(batch["labels"][:, 0])).mean()

    def on_validation_epoch_start(self) -> None:
        """Forget the scores of the validation before, those too that are not logged."""
        for metric in self.val_scores.named().values():
            metric.reset()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Nats a step and CRPS one step ahead."""
        for window, parameters in self._predicted(batch):
            self._add_one_step(window, parameters, self.val_nats, self.val_scores)
        self.log("val/nats_per_step", self.val_nats, batch_size=len(batch["position"]))
        self.log("val/crps", self.val_scores.crps, batch_size=len(batch["position"]))

    def on_test_epoch_start(self) -> None:
        """Forget what belongs to another test."""
        self.samples, self._residuals = [], {}

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """One-step distributions and sampled paths of each window, and what naive forecasts make of it."""
        windows = []
        for window, parameters in self._predicted(batch):
            scores: Any = self.one_step["model"]
            self._add_one_step(window, parameters, self.nats, scores, self.log_density)
            for name in self.lags:
                self._add_naive(window, name)
            windows.append(window)
        for window, levels in self._drawn(windows):
            scores = self.ahead["model"]
            scores.add_draws(levels.T, window.observed)
            if batch_idx == 0 and len(self.samples) < 4:
                self.samples.append(fan(window, levels))

    def on_test_epoch_end(self) -> None:
        """Log every measure."""
        for name, value in computed(self._test_metrics()).items():
            self.log(name, value)
        self.log("test/receptive_field", float(self.network.receptive_field))

    def _test_metrics(self) -> dict[str, WeightedMean]:
        found: dict[str, WeightedMean] = {"test/nats_per_step": self.nats, "test/log_density": self.log_density}
        for name in self.one_step:
            prefix = "test" if name == "model" else f"test/{name}"
            for scores, group in ((self.one_step[name], f"{prefix}/"), (self.ahead[name], f"{prefix}/ahead_")):
                found |= {f"{group}{key}": metric for key, metric in scores.named().items()}  # type: ignore[operator]
        return found

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each metric this module logs, for the run record."""
        val = {"val/nats_per_step": self.val_nats, "val/crps": self.val_scores.crps}
        versions = {name: metric.version for name, metric in (self._test_metrics() | val).items()}
        return versions | {"test/receptive_field": 1}

    def configure_optimizers(self) -> Any:
        """Build the optimiser over all parameters."""
        optimizer = self.optimizer(self.network.parameters())
        if self.lr_schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.lr_schedule(optimizer), "interval": "step"},
        }

    def inputs_for(self) -> Literal["examples"]:
        """Without input, the series of the data are continued from their ends."""
        return "examples"

    def generate_steps(self, horizon: int = 24) -> int:
        """Steps that `generate` draws, for a progress bar."""
        return horizon

    def generate(
        self,
        conditions: list[dict[str, Tensor]],
        *,
        seed: int = 0,
        horizon: int = 24,
        paths: int = 100,
        temperature: float = 1.0,
        keys: list[int] | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> list[Tensor]:
        """Continue series from their ends.

        Args:
            conditions: series as `audio` (T,), scaled, and `labels` (1,), the channel.
            seed: equal seeds give equal paths.
            horizon: steps to draw.
            paths: continuations of each series.
            temperature: below 1 for likelier paths.
            keys: one number per series that, with the seed, decides its draws; by default its place in the list.
            on_step: called after each step.

        Returns:
            scaled steps (paths, horizon) of each series.

        Raises:
            ConfigError: a number is out of range, or a series is shorter than the receptive field.
        """
        if horizon < 1 or paths < 1 or not temperature > 0.0:
            raise ConfigError(
                f"horizon={horizon}, paths={paths}, temperature={temperature}. Expected 1 or more, 1 or more, above 0."
            )
        reach = self.network.receptive_field
        if (shortest := min(len(c["audio"]) for c in conditions)) < reach:
            raise ConfigError(f"a series has {shortest} steps. Expected {reach} or more, the receptive field.")
        keys = list(range(len(conditions))) if keys is None else keys
        context = torch.stack([c["audio"][-reach:] for c in conditions])
        channels = torch.stack([c["labels"][0] for c in conditions])
        made = self._sample(context, channels, horizon, paths, seed, "generate", keys, temperature, on_step)
        return list(made.cpu())

    def _sample(
        self,
        context: Tensor,
        channels: Tensor,
        steps: int,
        paths: int,
        seed: int,
        stream: str,
        keys: list[int],
        temperature: float = 1.0,
        on_step: Callable[[int], None] | None = None,
    ) -> Tensor:
        """The one place where paths (B, paths, steps) are drawn."""
        uniform = ExampleDraws(seed, stream, keys).uniform(paths, steps, self.network.head.uniforms).to(self.device)
        h = self.condition(channels.to(self.device))
        return sample_paths(self.network, context.to(self.device), h, uniform, temperature, on_step)

    def _windows(self, batch: dict[str, Any]) -> list[Window]:
        reach = self.network.receptive_field
        return [
            Window(
                audio[start - reach :],
                batch["levels"][i],
                start,
                batch["train"][i],
                SeriesScale(*batch["scale"][i]),
                int(batch["labels"][i, 0]),
                int(batch["position"][i]),
                batch["id"][i],
            )
            for i, (audio, start) in enumerate(zip(batch["audio"], batch["start"], strict=True))
        ]

    def _alike(self, windows: list[Window]) -> Iterator[list[Window]]:
        """Windows of equal length together, the longest first."""
        for length in sorted({len(window.observed) for window in windows}, reverse=True):
            yield [window for window in windows if len(window.observed) == length]

    def _predicted(self, batch: dict[str, Any]) -> Iterator[tuple[Window, Tensor]]:
        """Each window with the parameters (W, P) of its steps, each from the steps that were observed before it."""
        for group in self._alike(self._windows(batch)):
            inputs = self.network.head.inputs(torch.stack([window.audio for window in group]))
            channels = torch.tensor([window.channel for window in group], device=inputs.device)
            yield from zip(group, self(inputs[:, :-1], self.condition(channels)), strict=True)

    def _drawn(self, windows: list[Window]) -> Iterator[tuple[Window, Tensor]]:
        """Each window with paths (paths, W) through it, in the unit of the series, drawn from what lies before it."""
        for group in self._alike(windows):
            context = torch.stack([window.audio[: self.network.receptive_field] for window in group])
            channels = torch.tensor([window.channel for window in group])
            steps, keys = len(group[0].observed), [window.key for window in group]
            drawn = self._sample(context, channels, steps, self.paths, 0, "test-paths", keys)
            for window, scaled in zip(group, drawn, strict=True):
                yield window, window.scale.path(scaled, window.before[0].expand(self.paths))

    def _add_one_step(
        self,
        window: Window,
        parameters: Tensor,
        nats: NatsPerSample,
        scores: ForecastScores,
        density: LogDensity | None = None,
    ) -> None:
        head, scale = self.network.head, window.scale
        cells: Cells = cells_of(head, parameters.device)
        audio = window.audio[self.network.receptive_field :]
        nats.update(head.log_prob(parameters, head.inputs(audio)))
        edges, factor = scale.outcome(cells.edges), scale.factor(window.before)
        observed = scale.relative(window.observed, window.before)
        scores.add_cells(probabilities(head, cells, parameters), scale.outcome(cells.values), edges, observed, factor)
        if density is not None:
            density.update(log_density(head, cells, parameters, audio, observed, scale) - factor.log())

    def _add_naive(self, window: Window, name: str) -> None:
        """One step ahead from the values just before, and ahead from the window's beginning, by the same rule."""
        lag, levels, scale = self.lags[name], window.levels, naive_scale(window.scale)
        one_step: Any = self.one_step[name]
        ahead: Any = self.ahead[name]
        near = lag(1)
        past = levels[window.start - near : len(levels) - near]
        factor = scale.factor(past)
        one_step.add_residuals(self._residuals_of(window, near), scale.relative(window.observed, past), factor)
        for lead in range(1, len(window.observed) + 1):
            back = lag(lead)
            place = window.start + lead - 1
            past = levels[place - back : place - back + 1]
            observed = scale.relative(levels[place : place + 1], past)
            ahead.add_residuals(self._residuals_of(window, back), observed, scale.factor(past))

    def _residuals_of(self, window: Window, lag: int) -> Tensor:
        key = (window.channel, lag)
        if key not in self._residuals:
            try:
                self._residuals[key] = naive_residuals(window.levels[: window.train], lag, naive_scale(window.scale))
            except ValueError as error:
                raise ConfigError(f"{error}: lower data.season or data.window.") from None
        return self._residuals[key]


def fan(window: Window, levels: Tensor) -> Band:
    """Paths (paths, W) as mean and 95 % interval, beside what was observed and some of what was known."""
    length = levels.shape[1]
    first = max(0, window.start - 3 * length)
    shares = torch.tensor([0.025, 0.975], dtype=torch.float64, device=levels.device)
    low, high = levels.double().quantile(shares, 0)
    steps = list(range(window.start, window.start + length))
    return Band(
        name=f"fan_{window.name}",
        caption=f"{window.name}: mean and 95 % of {len(levels)} paths, drawn from what lies before",
        x=("step", steps),
        y="value",
        mean=levels.double().mean(0).tolist(),
        lower=low.tolist(),
        upper=high.tolist(),
        points={
            "known": (list(range(first, window.start)), window.levels[first : window.start].tolist()),
            "observed": (steps, window.observed.tolist()),
        },
    )
