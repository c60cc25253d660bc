"""WaveNet as a LightningModule: exact likelihood to train and to measure, cached sampling to listen to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.config.errors import ConfigError
from reprise.metrics.base import Mean
from reprise.metrics.sequence_likelihood import BitsPerSample, NatsPerSample
from reprise.metrics.vocoder import vocoder_metrics
from reprise.models.wavenet.conditions import LocalCondition, one_hot
from reprise.models.wavenet.generate import Engine, generate
from reprise.models.wavenet.labels import chosen_labels, fitting_labels
from reprise.models.wavenet.network import WaveNetNetwork
from reprise.samples.audio import AudioSample

_PIECE = 16384  # samples of a held-out clip that are measured at once, which bounds the memory


class WaveNet(pl.LightningModule):
    """Maximum likelihood of audio, sample after sample.

    Args:
        network: gives p(x_t | past, conditions).
        optimizer: optimiser class with its settings, waiting for parameters.
        seed: decides what is drawn.
        labels: names of the classes of each kind that audio is conditioned on, e.g. speaker; None for none. One-hot
            vectors of all kinds together are the global condition, so that network.global_channels is their number.
        local: makes the local condition of frames of features; None for none.
        lr_schedule: learning-rate schedule waiting for the optimiser, stepped once an iteration.
        vocode: held-out clips that are also drawn given their local features when a run is evaluated, and measured as
            a vocoder's; 0 for none, null for all.
        samples: clips drawn to listen to when a run is evaluated.
        sample_seconds: their length, where no clip gives it.
        temperature: of drawing; 1 is the model's own distribution.

    Raises:
        ConfigError: conditions do not fit the network, or a number is out of range.
    """

    def __init__(
        self,
        network: WaveNetNetwork,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        seed: int,
        labels: dict[str, list[str]] | None = None,
        local: LocalCondition | None = None,
        lr_schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
        vocode: int | None = 0,
        samples: int = 4,
        sample_seconds: float = 1.0,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.labels = {kind: [str(name) for name in names] for kind, names in (labels or {}).items()}
        self.counts = [len(names) for names in self.labels.values()]
        if sum(self.counts) != network.global_channels:
            raise ConfigError(
                f"model.labels has {sum(self.counts)} names in all, and model.network.global_channels is "
                f"{network.global_channels}. Expected equal numbers."
            )
        if (local.channels if local else 0) != network.local_channels:
            raise ConfigError(
                f"model.local gives {local.channels if local else 0} channels, and model.network.local_channels is "
                f"{network.local_channels}. Expected equal numbers."
            )
        if samples < 0 or (vocode or 0) < 0 or sample_seconds <= 0.0 or temperature <= 0.0:
            raise ConfigError(
                f"model.samples={samples}, vocode={vocode}, sample_seconds={sample_seconds}, temperature={temperature}."
                " Expected 0 or more, and above 0."
            )
        if vocode != 0 and local is None:
            raise ConfigError(f"model.vocode={vocode} draws clips from their local features. Expected model.local.")
        self.network = network
        self.optimizer = optimizer
        self.seed = seed
        self.local = local
        self.lr_schedule = lr_schedule
        self.vocode = vocode
        self.sample_count = samples
        self.sample_seconds = sample_seconds
        self.temperature = temperature
        self.sample_rate = 0
        self.likelihood = nn.ModuleDict(
            {f"{split}_{name}": metric() for split in ("val", "test") for name, metric in _LIKELIHOODS.items()}
        )
        self.vocoder: Any = None
        self.rtf = Mean()
        self.samples: list[AudioSample] = []

    def setup(self, stage: str) -> None:
        """Ask the data for the context that the network looks back on, and compare what both call classes."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        data.need_context(self.network.receptive_field)
        fitting_labels(self.labels, data.label_names)
        if self.local is not None and (self.local.hop, self.local.inputs) != (data.hop, data.local_channels):
            raise ConfigError(
                f"model.local takes frames of {self.local.inputs} numbers every {self.local.hop} samples; the data "
                f"give {data.local_channels} every {data.hop}. Set model.local.inputs and model.local.hop."
            )
        self.sample_rate = int(data.sample_rate)
        if self.vocode != 0 and self.vocoder is None:
            self.vocoder = vocoder_metrics(self.sample_rate)

    def forward(self, batch: dict[str, Any]) -> Tensor:
        """Log probability (B, crop) in nats of the samples of crops that come after their context."""
        y = self.local(batch["local"]) if self.local is not None else None
        extra = batch["context"] - self.network.receptive_field
        parts = (batch["audio"], y, batch["exists"])
        audio, y, exists = (None if part is None else part[:, extra:] for part in parts)
        return self.network.log_prob(audio, self._global(batch["labels"]), y, exists)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Mean of -log p over samples with full context, in nats."""
        return -self(batch | {"context": self._context()}).mean()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Likelihood of whole held-out clips."""
        self._measure(batch, "val")
        for name in _LIKELIHOODS:
            self.log(f"val/{name}", self.likelihood[f"val_{name}"], batch_size=len(batch["audio"]))

    def on_test_epoch_start(self) -> None:
        """Forget what was drawn before."""
        self.samples = []

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Likelihood of whole held-out clips, and where asked for their sound given their features."""
        self._measure(batch, "test")
        for i, position in enumerate(batch["position"].tolist()):
            if self.vocode is None or position < self.vocode:
                self._vocode(batch, i)

    def on_test_epoch_end(self) -> None:
        """Log `test/bits_per_sample`, `test/nats_per_sample`, what a vocoder is measured by, and draw clips."""
        for name in _LIKELIHOODS:
            metric: Any = self.likelihood[f"test_{name}"]
            self.log(f"test/{name}", metric.compute().float())
            metric.reset()
        self.log("test/receptive_field", float(self.network.receptive_field))
        if self.vocoder is not None:
            for name, value in self.vocoder.compute().items():
                self.log(f"test/vocoded/{name}", value.float(), sync_dist=False)
            self.log("test/vocoded/rtf", self.rtf.compute().float())
            self.vocoder.reset()
            self.rtf.reset()
        elif self.sample_count:
            self.samples = self._drawn()

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each metric this module logs, for the run record."""
        found = {f"{split}/{name}": m.version for split in ("val", "test") for name, m in _LIKELIHOODS.items()}
        found["test/receptive_field"] = 1
        if self.vocoder is not None:
            found |= {f"test/vocoded/{name}": metric.version for name, metric in self.vocoder.items()}
        return found

    def configure_optimizers(self) -> Any:
        """Build the optimiser over all parameters."""
        optimizer = self.optimizer(self.parameters())
        if self.lr_schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.lr_schedule(optimizer), "interval": "step"},
        }

    @torch.no_grad()
    def clip_log_prob(self, audio: Tensor, labels: Tensor, frames: Tensor | None) -> Tensor:
        """Log probability of each sample of a whole clip, silence before it, in nats.

        Args:
            audio: (T,) in [-1, 1].
            labels: (K,), -1 where unknown.
            frames: local features (F, C), F * hop at least T; None where there is no local condition.

        Returns:
            (T,).
        """
        reach, length = self.network.receptive_field, len(audio)
        padded = F.pad(audio, (reach, 0)).to(self.device)[None]
        exists = torch.arange(reach + length, device=self.device)[None] >= reach
        h, y = self._global(labels[None]), self._local_of_clip(frames, length)
        found = []
        for start in range(0, length, _PIECE):
            part = slice(start, min(start + _PIECE, length) + reach)
            found.append(
                self.network.log_prob(padded[:, part], h, None if y is None else y[:, part], exists[:, part])[0]
            )
        return torch.cat(found)

    def inputs_for(self, **_: Any) -> Literal["examples", "none"]:
        """What has to be given to `generate`: nothing, or the features of test clips where no file gives them."""
        return "none" if self.local is None else "examples"

    def generate(
        self,
        conditions: Sequence[Any],
        *,
        seed: int = 0,
        seconds: float | None = None,
        labels: dict[str, str] | None = None,
        temperature: float | None = None,
        engine: Engine = "auto",
        rate: int | None = None,
        keys: list[int] | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> list[Tensor]:
        """Draw audio.

        Args:
            conditions: of each clip its `local` features (F, C) and `labels` (K,), or None.
            seed: equal seeds give equal sound.
            seconds: length; by default that of the local features, or model.sample_seconds.
            labels: classes by kind, e.g. labels.speaker=theo; a kind that is left out is drawn, or the clip's own.
            temperature: below 1 for likelier sound; by default model.temperature.
            engine: auto, compiled or torch.
            rate: samples a second, where `seconds` are given; by default the data's.
            keys: one number per clip that, with the seed, decides its noise; by default its place in the list.
            on_step: called after each piece of audio.

        Returns:
            waveforms (T_i,) in [-1, 1].

        Raises:
            ConfigError: an unknown class, or a length that is not above 0.
        """
        raise NotImplementedError
