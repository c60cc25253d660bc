"""WaveGrad as a LightningModule: Algorithm 1 to train, Algorithm 2 to sample."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from reprise.config.errors import ConfigError
from reprise.diffusion.process import diffuse
from reprise.diffusion.sampler import ancestral
from reprise.diffusion.schedules import NoiseSchedule, listed
from reprise.metrics.base import Mean
from reprise.metrics.spectral import LogMelL2
from reprise.metrics.vocoder import vocoder_metrics
from reprise.models.wavegrad.network import WaveGradNetwork
from reprise.models.wavegrad.objective import Objective, l1_loss
from reprise.models.wavegrad.tiling import TiledPredictor
from reprise.models.wavegrad.tuning import candidate, coordinate_search
from reprise.nn.randomness import ExampleDraws
from reprise.nn.spectrogram import LogMel
from reprise.samples.audio import AudioSample

TRAIN = "train"  # the name of the training schedule among the inference schedules


log = logging.getLogger(__name__)


def playable(wave: Tensor) -> tuple[Tensor, float]:
    """Clamp a waveform (T,) to [-1, 1], non-finite samples to silence; also return their share."""
    share = 1.0 - float(wave.isfinite().double().mean())
    return wave.float().nan_to_num(0.0, 0.0, 0.0).clamp(-1.0, 1.0), share


class WaveGrad(pl.LightningModule):
    """WaveGrad vocoder.

    Args:
        network: the noise predictor; its hop must be that of the features.
        objective: conditioning on a continuous level or a step index.
        optimizer: optimiser class with its settings, waiting for parameters.
        features: the log-mel features the network is conditioned on.
        schedules: inference schedules by name; `train` is the training schedule.
        seed: decides noise levels and noise of every example.
        validation_schedule: schedule that validation samples with; it is quick or validation is slow.
        evaluation_schedules: schedules that `reprise evaluate` measures, each on every test clip.
        tile_frames: frames generated in one piece; bounds the memory, does not change the result.
        tile_batch: pieces generated at once.
        clamp_x_0: limit the clean waveform implied by each prediction; None as in Algorithm 2.
        lr_schedule: learning-rate schedule waiting for the optimiser, stepped once an iteration.

    Raises:
        ConfigError: hop lengths differ, or a schedule is unknown or unfit for the objective.
    """

    def __init__(
        self,
        network: WaveGradNetwork,
        objective: Objective,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        features: LogMel,
        schedules: dict[str, NoiseSchedule],
        seed: int,
        validation_schedule: str = "manual6",
        evaluation_schedules: list[str] | None = None,
        tile_frames: int = 160,
        tile_batch: int = 8,
        clamp_x_0: float | None = None,
        lr_schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
    ) -> None:
        super().__init__()
        if network.hop_length != features.hop_length or network.n_mels != features.n_mels:
            raise ConfigError(
                f"the network upsamples {network.n_mels} mels by {network.hop_length} (product of its factors), but "
                f"the features have {features.n_mels} mels and a hop of {features.hop_length}. They must be equal."
            )
        self.network = network
        self.objective = objective
        self.optimizer = optimizer
        self.features = features
        self.schedules = {**schedules, TRAIN: objective.schedule}
        self.seed = seed
        self.validation_schedule = validation_schedule
        self.evaluation_schedules = evaluation_schedules or [validation_schedule]
        for name in {validation_schedule, *self.evaluation_schedules}:
            self.named_schedule(name)
        self.tile_frames = tile_frames
        self.tile_batch = tile_batch
        self.clamp_x_0 = clamp_x_0
        self.lr_schedule = lr_schedule
        self.val_loss = Mean()
        self.val_ls_mse = LogMelL2(features.sample_rate)
        self.val_diverged = Mean()  # share of samples that came out non-finite, as a barely trained network's may
        # lists, in the order of evaluation_schedules: a ModuleDict refuses names such as `train`
        self.test_metrics = nn.ModuleList(vocoder_metrics(features.sample_rate) for _ in self.evaluation_schedules)
        self.test_rtf = nn.ModuleList(Mean() for _ in self.evaluation_schedules)
        self.samples: list[AudioSample] = []  # of the last validation or test, first clips only

    def forward(self, y: Tensor, mel: Tensor, condition: Tensor) -> Tensor:
        """Predict the noise in y; see WaveGradNetwork.forward."""
        return self.network(y, mel, condition)  # type: ignore[no-any-return]

    def loss(self, audio: Tensor, mel: Tensor, positions: Tensor, stream: str) -> Tensor:
        """Algorithm 1 for a batch: audio (B, T), mel (B, M, F), positions (B,) of the examples' draws."""
        draws = ExampleDraws(self.seed, stream, positions.tolist())
        # 1. noise level: a segment, then a place in it (lines 3 and 4)
        segment = draws.integers(1, len(self.objective.schedule))
        level, condition = self.objective.draw(segment, draws.uniform())
        # 2. noise (line 5)
        noise = draws.normal(audio.shape[1]).to(audio)
        # 3. L1 distance between the noise and its prediction (line 6)
        y_n = diffuse(audio, level.to(audio.device), noise)
        return l1_loss(noise, self(y_n, mel, condition.to(audio.device)))

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """L1 loss of one micro-batch."""
        return self.loss(batch["audio"], batch["mel"], batch["position"], "train")

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """L1 loss on the crops, LS-MSE of the clips vocoded with the validation schedule."""
        loss = self.loss(batch["crop_audio"], batch["crop_mel"], batch["position"], "val")
        self.val_loss.update(loss, len(batch["position"]))
        generated = self._vocode(batch, self.validation_schedule, "val")
        for ours, truth in zip(generated, batch["audio"], strict=True):
            self.val_ls_mse.update(ours, truth)
        self.log("val/loss", self.val_loss, batch_size=len(generated))
        self.log("val/ls_mse", self.val_ls_mse, batch_size=len(generated))
        self.log("val/diverged", self.val_diverged, batch_size=len(generated))
        self._keep_samples(batch, generated, batch_idx, self.validation_schedule)

    def on_validation_epoch_start(self) -> None:
        """Forget the samples of the validation before."""
        self.samples = []

    def on_test_epoch_start(self) -> None:
        """Forget samples of validation."""
        self.samples = []

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Every vocoder metric for every evaluation schedule, on whole clips."""
        for name, metrics, rtf in self._evaluations():
            start = time.perf_counter()
            generated = self._vocode(batch, name, f"test-{name}")
            elapsed = time.perf_counter() - start
            seconds = sum(len(a) for a in batch["audio"]) / self.features.sample_rate
            log.info("%s: %d clips, %.1f s of audio in %.1f s", name, len(generated), seconds, elapsed)
            for ours, truth in zip(generated, batch["audio"], strict=True):
                for metric in metrics.values():
                    metric.update(ours, truth)  # type: ignore[operator]
            rtf.update(elapsed / seconds, seconds)
            # this process's share: compute() would ask the others, and they may have fewer batches
            if (share := float(self.val_diverged.total / self.val_diverged.weight)) > 0:
                log.warning("%s: %.1f %% of the samples so far are not finite and count as silence", name, 100 * share)
            self._keep_samples(batch, generated, batch_idx, name)

    def on_test_epoch_end(self) -> None:
        """Log `test/SCHEDULE/METRIC`, and the real-time factor (generation time by audio duration)."""
        for name, metrics, rtf in self._evaluations():
            for key, value in metrics.compute().items():
                self.log(f"test/{name}/{key}", value.float(), sync_dist=False)
            self.log(f"test/{name}/rtf", rtf.compute().float())
            metrics.reset()
            rtf.reset()

    def _evaluations(self) -> Iterator[tuple[str, MetricCollection, Mean]]:
        yield from zip(self.evaluation_schedules, self.test_metrics, self.test_rtf, strict=True)  # type: ignore[misc]

    def configure_optimizers(self) -> Any:
        """Build the optimiser over the network's parameters."""
        optimizer = self.optimizer(self.network.parameters())
        if self.lr_schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.lr_schedule(optimizer), "interval": "step"},
        }

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each metric this module logs, for the run record."""
        versions = {"val/ls_mse": LogMelL2.version}
        for name, metrics, _ in self._evaluations():
            versions |= {f"test/{name}/{key}": metric.version for key, metric in metrics.items()}  # type: ignore[misc]
        return versions

    def named_schedule(self, name: str) -> NoiseSchedule:
        """Return an inference schedule by name, checked against the objective.

        Raises:
            ConfigError: no such schedule, or a discrete-index model trained with another one.
        """
        if name not in self.schedules:
            raise ConfigError(
                f"no schedule is called {name!r}. Expected one of {', '.join(sorted(self.schedules))}, or a list of "
                "betas."
            )
        try:
            self.objective.check(name, self.schedules[name])
        except ValueError as error:
            raise ConfigError(str(error)) from None
        return self.schedules[name]

    @torch.no_grad()
    def sample(
        self,
        mels: list[Tensor],
        schedule: NoiseSchedule,
        seed: int,
        keys: list[int] | None = None,
        stream: str = "generate",
        on_step: Callable[[int], None] | None = None,
    ) -> list[Tensor]:
        """Vocode several clips at once by Algorithm 2; a clip's result does not depend on the others.

        Args:
            mels: (M, F_i) each.
            schedule: inference schedule.
            seed: with the clip's key it decides its noise.
            keys: one number per clip; by default its place in the list.
            stream: name of the random stream.
            on_step: called after each of the N refinement steps.

        Returns:
            (F_i * hop,) each, not clamped.
        """
        keys = list(range(len(mels))) if keys is None else keys
        predictor = TiledPredictor(self.network, [m.to(self.device) for m in mels], self.tile_frames, self.tile_batch)
        draws = [ExampleDraws(seed, stream, [key]) for key in keys]

        def draw() -> Tensor:
            rows = [d.normal(n)[0] for d, n in zip(draws, predictor.lengths, strict=True)]
            return torch.cat(rows).to(self.device)

        def predict(y: Tensor, n: int, level: float) -> Tensor:
            return predictor(y, self.objective.condition(n, level))

        return predictor.split(ancestral(predict, schedule, draw, self.clamp_x_0, on_step))

    def generate(
        self,
        mels: list[Tensor],
        *,
        seed: int = 0,
        schedule: str | list[float] = "fibonacci25",
        keys: list[int] | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> list[Tensor]:
        """Vocode mel spectrograms.

        Args:
            mels: (M, F_i) each, made with this module's features.
            seed: equal seeds give equal sound.
            schedule: linear1000, linear50, fibonacci25, manual6, naive6, train, a name made by `reprise tune-schedule`,
                or a list of betas: 'schedule=[1e-6,1e-3,0.1,0.9]'.
            keys: one number per clip that, with the seed, decides its noise; by default its place in the list.
            on_step: called after each refinement step.

        Returns:
            waveforms (F_i * hop,) in [-1, 1].

        Raises:
            ConfigError: unknown or unfit schedule.
        """
        if isinstance(schedule, str):
            chosen = self.named_schedule(schedule)
        else:
            try:
                chosen = listed(schedule)
                self.objective.check("given", chosen)
            except ValueError as error:
                raise ConfigError(f"schedule: {error}") from None
        waves = [playable(wave) for wave in self.sample(mels, chosen, seed, keys, on_step=on_step)]
        if (worst := max(share for _, share in waves)) > 0:
            log.warning(
                "sampling diverged: up to %.1f %% of a clip is not finite and is written as silence. The "
                "network is barely trained, or the schedule does not suit it.",
                100 * worst,
            )
        return [wave for wave, _ in waves]

    def generate_steps(self, schedule: str | list[float] = "fibonacci25") -> int:
        """Refinement steps that `generate` will take, for a progress bar."""
        return len(self.named_schedule(schedule)) if isinstance(schedule, str) else len(schedule)

    def tune_schedule(
        self,
        clips: list[dict[str, Any]],
        steps: int,
        rounds: int,
        on_trial: Callable[[list[float], float, float], None],
    ) -> tuple[list[float], float, list[dict[str, Any]]]:
        """Search a schedule of `steps` iterations by LS-MSE on clips (`audio`, `mel`, `position` each).

        Returns:
            betas, their LS-MSE, and every schedule tried with its value.
        """
        history: list[dict[str, Any]] = []
        try:
            self.objective.check("tuned", listed(candidate([1] * steps)))
        except ValueError as error:
            raise ConfigError(str(error)) from None

        def score(betas: list[float]) -> float:
            metric = LogMelL2(self.features.sample_rate).to(self.device)
            keys = [int(c["position"]) for c in clips]
            for wave, clip in zip(self.sample([c["mel"] for c in clips], listed(betas), 0, keys), clips, strict=True):
                metric.update(playable(wave)[0], clip["audio"].to(self.device))
            history.append({"betas": betas, "ls_mse": float(metric.compute())})
            return float(history[-1]["ls_mse"])

        start = [1] * (steps - 3) + [9] * min(3, steps)  # as the manual schedule: small first, large last
        digits, value = coordinate_search(score, start[-steps:], rounds, on_trial)
        return candidate(digits), value, history

    def _vocode(self, batch: dict[str, Any], schedule: str, stream: str) -> list[Tensor]:
        keys = batch["position"].tolist()
        # the noise of evaluation is fixed, so that checkpoints and processes compare
        waves = [playable(w) for w in self.sample(batch["mel"], self.named_schedule(schedule), 0, keys, stream)]
        for _, share in waves:
            self.val_diverged.update(share)
        return [wave for wave, _ in waves]

    def _keep_samples(self, batch: dict[str, Any], generated: list[Tensor], batch_idx: int, schedule: str) -> None:
        if batch_idx > 0:
            return
        for i, ours in enumerate(generated[:2]):
            self.samples.append(
                AudioSample(
                    name=f"{batch['id'][i]}_{schedule}",
                    generated=ours.cpu(),
                    truth=batch["audio"][i].float().cpu(),
                    sample_rate=self.features.sample_rate,
                    caption=f"{batch['id'][i]}, {len(self.schedules[schedule])} iterations ({schedule})",
                    group=schedule,
                )
            )
