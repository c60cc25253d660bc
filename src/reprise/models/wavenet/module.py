"""WaveNet as a LightningModule: exact likelihood to train and to measure, cached sampling to listen to."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.metrics.base import Mean
from reprise.metrics.sequence_likelihood import BitsPerSample, NatsPerSample
from reprise.metrics.vocoder import vocoder_metrics
from reprise.models.wavenet.conditioned import ConditionedWaveNet
from reprise.models.wavenet.conditions import LocalCondition
from reprise.models.wavenet.context import ContextStack
from reprise.models.wavenet.generating import GeneratingModule
from reprise.models.wavenet.labels import fitting_labels
from reprise.models.wavenet.measuring import computed
from reprise.models.wavenet.network import WaveNetNetwork
from reprise.models.wavenet.objective import next_sample_loss
from reprise.samples.audio import AudioSample
from reprise.samples.base import Sample

_LIKELIHOODS = {"bits_per_sample": BitsPerSample, "nats_per_sample": NatsPerSample}


class WaveNet(GeneratingModule):
    """Maximum likelihood of audio, sample after sample.

    Args:
        network: gives p(x_t | past, conditions).
        optimizer: optimiser class with its settings, waiting for parameters.
        seed: decides what is drawn when a run is evaluated.
        labels: names of the classes of each kind that audio is conditioned on, e.g. speaker; null for none. One-hot
            vectors of all kinds together are the global condition, whose length is network.global_channels.
        local: makes local conditions of frames of features; null for none.
        context: a stack over a longer past, further local conditions; null for none. The channels of both together are
            network.local_channels.
        lr_schedule: learning-rate schedule waiting for the optimiser, stepped once an iteration.
        vocode: held-out clips that are drawn given their features when a run is evaluated, and measured as a
            vocoder's; null for all. Needs `local`.
        samples: clips drawn to listen to when a run is evaluated; 0 with `local`.
        sample_seconds: their length.
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
        context: ContextStack | None = None,
        lr_schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
        vocode: int | None = 0,
        samples: int = 0,
        sample_seconds: float = 1.0,
        temperature: float = 1.0,
    ) -> None:
        names = {kind: [str(name) for name in each] for kind, each in (labels or {}).items()}
        super().__init__(ConditionedWaveNet(network, names, local, context), sample_seconds, temperature)
        if samples < 0 or (vocode or 0) < 0:
            raise ConfigError(f"model.samples={samples}, vocode={vocode}. Expected 0 or more of both.")
        if vocode != 0 and local is None:
            raise ConfigError(f"model.vocode={vocode} draws clips given their features. Expected model.local, or 0.")
        if samples and local is not None:
            raise ConfigError(
                f"model.samples={samples} draws clips of no features, of which model.local makes conditions. "
                "Set model.samples=0, and model.vocode to draw clips given theirs."
            )
        self.optimizer = optimizer
        self.seed = seed
        self.lr_schedule = lr_schedule
        self.vocode = vocode
        self.sample_count = samples
        self.past = 0  # samples of context that the data give
        self.ahead = 0  # samples at the end of a crop whose features lie behind it in part
        self.likelihood = nn.ModuleDict(
            {f"{split}_{name}": metric() for split in ("val", "test") for name, metric in _LIKELIHOODS.items()}
        )
        self.vocoder: Any = None
        self.rtf = Mean()
        self.samples: list[Sample] = []

    def setup(self, stage: str) -> None:
        """Ask the data for as much past as the network sees, and compare what both call the classes."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        ahead = 0 if self.model.local is None else self.model.local.reach * self.model.local.hop
        data.need_context(self.model.receptive_field + ahead)
        fitting_labels(self.labels, data.label_names)
        local, context = self.model.local, self.model.context
        if local is not None and (local.inputs, local.hop) != (data.local_channels, data.hop):
            raise ConfigError(
                f"model.local takes {local.inputs} features every {local.hop} samples, the data have "
                f"{data.local_channels} every {data.hop}. Set model.local.inputs and model.local.hop to these."
            )
        if data.crop <= ahead:
            raise ConfigError(
                f"data.crop={data.crop} has no sample whose features are all in the crop: they reach {ahead} samples "
                f"ahead. Expected more, e.g. data.crop={4 * ahead}."
            )
        if context is not None and math.lcm(data.grid, data.hop) % context.pool:
            raise ConfigError(
                f"crops start at multiples of {math.lcm(data.grid, data.hop)} samples, and frames of the context stack "
                f"are {context.pool} samples. Set data.grid={context.pool}."
            )
        self.past, self.ahead = int(data.context), ahead
        self.sample_rate.fill_(int(data.sample_rate))
        if self.vocode != 0 and self.vocoder is None:
            self.vocoder = vocoder_metrics(int(data.sample_rate))

    def forward(self, batch: dict[str, Any]) -> Tensor:
        """Log probability (B, crop) in nats of the samples of crops behind their context."""
        extra = self.past - self.model.receptive_field
        y = None if self.model.local is None else self.model.local(batch["local"])[:, extra:]
        audio, exists = batch["audio"][:, extra:], batch["exists"][:, extra:]
        return self.model.log_prob(audio, exists, batch["labels"], batch.get("tags"), y, -self.model.receptive_field)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """`next_sample_loss` of samples with all their context and features: the last `ahead` of a crop have not."""
        log_prob = self(batch)
        log_prob = log_prob[:, : log_prob.shape[1] - self.ahead]
        exists = batch["exists"][:, self.past :][:, : log_prob.shape[1]]
        return next_sample_loss(log_prob, exists)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Likelihood of whole held-out clips."""
        self._measure(batch, "val")
        for name in _LIKELIHOODS:
            metric: Any = self.likelihood[f"val_{name}"]
            self.log(f"val/{name}", metric, batch_size=len(batch["audio"]))

    def on_test_epoch_start(self) -> None:
        """Forget what was drawn before."""
        self.samples = []

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Likelihood of whole held-out clips, and where asked for their sound given their features."""
        self._measure(batch, "test")
        chosen = [i for i, p in enumerate(batch["position"].tolist()) if self.vocode is None or p < self.vocode]
        if chosen:
            self._vocode(batch, chosen)

    def on_test_epoch_end(self) -> None:
        """Log likelihoods, the receptive field and what a vocoder is measured by, and draw clips to listen to."""
        measures: dict[str, Any] = {f"test/{name}": self.likelihood[f"test_{name}"] for name in _LIKELIHOODS}
        if self.vocoder is not None:
            measures |= {f"test/vocoded/{name}": metric for name, metric in self.vocoder.items()}
            measures["test/vocoded/rtf"] = self.rtf
        for name, value in computed(measures).items():
            self.log(name, value)
        self.log("test/receptive_field", float(self.model.receptive_field))
        if self.sample_count:
            self.samples = [*self.sounds(self.sample_count, self.seed)]

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

    def _measure(self, batch: dict[str, Any], split: str) -> None:
        for i in range(len(batch["audio"])):
            log_prob = self.model.clip_log_prob(
                batch["audio"][i],
                batch["labels"][i],
                batch["tags"][i] if "tags" in batch else None,
                batch["local"][i] if "local" in batch else None,
            )
            for name in _LIKELIHOODS:
                self.likelihood[f"{split}_{name}"].update(log_prob)  # type: ignore[operator]

    def _vocode(self, batch: dict[str, Any], chosen: list[int]) -> None:
        """Draw clips given their features, measure and keep them."""
        truths = [batch["audio"][i].cpu() for i in chosen]
        begin = time.perf_counter()
        made = self.vocoded(batch, chosen, self.seed)
        rate = int(self.sample_rate)
        seconds = sum(len(truth) for truth in truths) / rate
        self.rtf.update((time.perf_counter() - begin) / seconds, seconds)
        for i, ours, truth in zip(chosen, made, truths, strict=True):
            for metric in self.vocoder.values():
                metric.update(ours.to(self.device), truth.to(self.device))
            caption = f"{batch['id'][i]}, drawn given its features"
            name = str(batch["id"][i]).replace("/", "-")
            self.samples.append(AudioSample(name=name, caption=caption, generated=ours, truth=truth, sample_rate=rate))
