"""WaveNet as a LightningModule: exact likelihood to train and to measure, cached sampling to listen to."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.metrics.base import Mean
from reprise.metrics.sequence_likelihood import BitsPerSample, NatsPerSample
from reprise.metrics.vocoder import vocoder_metrics
from reprise.models.wavenet.conditioned import ConditionedWaveNet
from reprise.models.wavenet.conditions import LocalCondition
from reprise.models.wavenet.context import ContextStack
from reprise.models.wavenet.generate import Engine
from reprise.models.wavenet.labels import TAG, chosen_labels, chosen_tags, fitting_labels
from reprise.models.wavenet.network import WaveNetNetwork
from reprise.nn.randomness import example_rng
from reprise.samples.audio import AudioSample
from reprise.samples.base import Sample
from reprise.samples.sounds import SoundSample

_LIKELIHOODS = {"bits_per_sample": BitsPerSample, "nats_per_sample": NatsPerSample}


class WaveNet(pl.LightningModule):
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
        samples: clips drawn to listen to when a run is evaluated, where there are no features.
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
        samples: int = 4,
        sample_seconds: float = 1.0,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        if samples < 0 or (vocode or 0) < 0 or sample_seconds <= 0.0 or temperature <= 0.0:
            raise ConfigError(
                f"model.samples={samples}, vocode={vocode}, sample_seconds={sample_seconds}, temperature={temperature}."
                " Expected 0 or more of the first two, and above 0 of the others."
            )
        if vocode != 0 and local is None:
            raise ConfigError(f"model.vocode={vocode} draws clips given their features. Expected model.local, or 0.")
        self.labels = {kind: [str(name) for name in names] for kind, names in (labels or {}).items()}
        self.model = ConditionedWaveNet(network, self.labels, local, context)
        self.optimizer = optimizer
        self.seed = seed
        self.lr_schedule = lr_schedule
        self.vocode = vocode
        self.sample_count = samples
        self.sample_seconds = sample_seconds
        self.temperature = temperature
        self.sample_rate: Tensor
        self.register_buffer("sample_rate", torch.zeros((), dtype=torch.long))  # of the data, kept for generation
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
        """-log p of a sample in nats: the mean over crops of the mean over their samples that exist.

        All have their full context, and features: the last `ahead` samples of a crop are left out. A crop counts the
        same however many samples it has, so that a batch may be divided among processes.
        """
        log_prob = self(batch)
        log_prob = log_prob[:, : log_prob.shape[1] - self.ahead]
        exists = batch["exists"][:, self.past :][:, : log_prob.shape[1]]
        return -((log_prob * exists).sum(1) / exists.sum(1).clamp(min=1)).mean()

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
        for name in _LIKELIHOODS:
            metric: Any = self.likelihood[f"test_{name}"]
            self.log(f"test/{name}", metric.compute().float())
            metric.reset()
        self.log("test/receptive_field", float(self.model.receptive_field))
        if self.vocoder is not None:
            for name, value in self.vocoder.compute().items():
                self.log(f"test/vocoded/{name}", value.float(), sync_dist=False)
            self.log("test/vocoded/rtf", self.rtf.compute().float())
            self.vocoder.reset()
            self.rtf.reset()
        elif self.sample_count and self.model.local is None:
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

    def inputs_for(self, **_: Any) -> Literal["examples", "none"]:
        """What has to be given to `generate`: nothing, or features of clips, where no file gives them."""
        return "none" if self.model.local is None else "examples"

    def generate(
        self,
        conditions: Sequence[Any],
        *,
        seed: int = 0,
        seconds: float | None = None,
        speaker: str | None = None,
        labels: dict[str, str | int] | None = None,
        tags: list[str] | None = None,
        temperature: float | None = None,
        engine: Engine = "auto",
        keys: list[int] | None = None,
        on_step: Callable[[int, int, Sequence[Tensor]], None] | None = None,
    ) -> list[Tensor]:
        """Draw audio.

        Args:
            conditions: of each clip a dict with `local` features (F, C), `labels` (K,) and `tags` (N,), or None.
            seed: equal seeds give equal sound.
            seconds: length of each clip; by default that of its features, or model.sample_seconds.
            speaker: name of the speaker, where the model knows speakers.
            labels: class of each kind, e.g. labels={digit:7}; one that is left out is the given clip's, or drawn.
            tags: names of tags, where the model knows tags.
            temperature: below 1 for likelier sound; by default model.temperature.
            engine: auto, compiled or torch.
            keys: one number per clip that, with the seed, decides its noise; by default its place in the list.
            on_step: called while clips are drawn with the samples drawn of the longest, how many of them are new, and
                the part that each clip has grown by, (n_i,).

        Returns:
            waveforms (T_i,) in [-1, 1].

        Raises:
            ConfigError: an unknown class, or a length that is not above 0 or longer than the features.
        """
        keys = list(range(len(conditions))) if keys is None else keys
        wanted: dict[str, str | int] = dict(labels or {}) | ({} if speaker is None else {"speaker": speaker})
        given = [{} if condition is None else condition for condition in conditions]
        rows = [
            chosen_labels(wanted, self.labels, self._labels_of(c, seed, k)) for c, k in zip(given, keys, strict=True)
        ]
        marks = None
        if TAG in self.labels:
            marks = torch.stack([chosen_tags(tags, self.labels[TAG], c.get("tags")) for c in given])
        elif tags:
            raise ConfigError(f"tags={tags}: the model knows no tags. Leave them out.")
        frames = [c["local"] for c in given] if self.model.local is not None else None
        lengths = [self._length(seconds, None if frames is None else frames[i]) for i in range(len(given))]
        told = 0

        def tell(done: int, parts: list[Tensor]) -> None:
            nonlocal told
            if on_step is not None:
                on_step(done, done - told, parts)
            told = done

        return self.model.draw(
            lengths,
            torch.stack(rows),
            marks,
            frames,
            seed=seed,
            keys=keys,
            temperature=self.temperature if temperature is None else temperature,
            engine=engine,
            on_chunk=tell,
        )

    def generate_steps(self, conditions: Sequence[Any], seconds: float | None = None) -> int:
        """Samples of the longest of clips that are drawn together, of which `on_step` tells."""
        has = self.model.local is not None
        return max(self._length(seconds, condition["local"] if has else None) for condition in conditions)

    def _length(self, seconds: float | None, frames: Tensor | None) -> int:
        """Samples of a clip."""
        most = None if frames is None or self.model.local is None else len(frames) * self.model.local.hop
        if seconds is None and most is not None:
            return most
        wanted = round((self.sample_seconds if seconds is None else seconds) * int(self.sample_rate))
        if wanted < 1:
            raise ConfigError(f"seconds={seconds}. Expected more than 0.")
        if most is not None and wanted > most:
            limit = most / int(self.sample_rate)
            raise ConfigError(f"seconds={seconds} is longer than the features, {limit:.2f} s. Expected at most that.")
        return wanted

    def _labels_of(self, condition: dict[str, Any], seed: int, key: int) -> Tensor:
        """Labels (K,) of a clip; those that are unknown follow from seed and key."""
        counts = [len(names) for kind, names in self.labels.items() if kind != TAG]
        drawn = torch.tensor([int(example_rng(seed, "labels", key).integers(n)) for n in counts]).long()
        known = condition.get("labels")
        return drawn if known is None or not len(known) else torch.where(known.cpu() < 0, drawn, known.cpu())

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
        """Draw clips given their features, measure and keep them; a clip's noise follows its place."""
        truths = [batch["audio"][i].cpu() for i in chosen]
        positions = [int(batch["position"][i]) for i in chosen]
        begin = time.perf_counter()
        made = self.model.draw(
            [len(truth) for truth in truths],
            batch["labels"][chosen],
            batch["tags"][chosen] if "tags" in batch else None,
            [batch["local"][i] for i in chosen],
            seed=self.seed,
            keys=positions,
            stream="test",
            temperature=self.temperature,
        )
        rate = int(self.sample_rate)
        seconds = sum(len(truth) for truth in truths) / rate
        self.rtf.update((time.perf_counter() - begin) / seconds, seconds)
        for i, ours, truth in zip(chosen, made, truths, strict=True):
            for metric in self.vocoder.values():
                metric.update(ours.to(self.device), truth.to(self.device))
            caption = f"{batch['id'][i]}, drawn given its features"
            name = str(batch["id"][i]).replace("/", "-")
            self.samples.append(AudioSample(name=name, caption=caption, generated=ours, truth=truth, sample_rate=rate))

    def _drawn(self) -> list[Sample]:
        """Clips to listen to; every process draws the same, so that none waits for another."""
        keys = list(range(self.sample_count))
        rows = torch.stack([self._labels_of({}, self.seed, key) for key in keys])
        marks = (
            None
            if TAG not in self.labels
            else torch.eye(len(self.labels[TAG]))[[k % len(self.labels[TAG]) for k in keys]]
        )
        lengths = [self._length(None, None)] * len(keys)
        made = self.model.draw(
            lengths, rows, marks, None, seed=self.seed, keys=keys, stream="test", temperature=self.temperature
        )
        kinds = [kind for kind in self.labels if kind != TAG]
        return [
            SoundSample(
                name=f"sample-{key:03d}",
                caption=", ".join(f"{kind} {self.labels[kind][n]}" for kind, n in zip(kinds, row.tolist(), strict=True))
                or "drawn",
                audio=wave,
                sample_rate=int(self.sample_rate),
            )
            for key, row, wave in zip(keys, rows, made, strict=True)
        ]
