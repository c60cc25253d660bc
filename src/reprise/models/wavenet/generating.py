"""What a WaveNet is asked to draw: clips by name of their labels, of given features, or to listen to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.models.wavenet.conditioned import ConditionedWaveNet
from reprise.models.wavenet.generate import Engine
from reprise.models.wavenet.labels import chosen_labels, chosen_tags
from reprise.nn.labels import TAG
from reprise.nn.randomness import example_rng
from reprise.samples.sounds import SoundSample


class GeneratingModule(pl.LightningModule):
    """Draws waveforms.

    Args:
        model: the network with its conditions; its labels are what names stand for.
        sample_seconds: length of a clip of which nothing else is said.
        temperature: of drawing; 1 is the model's own distribution.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(self, model: ConditionedWaveNet, sample_seconds: float, temperature: float) -> None:
        super().__init__()
        if sample_seconds <= 0.0 or temperature <= 0.0:
            raise ConfigError(
                f"model.sample_seconds={sample_seconds}, temperature={temperature}. Expected more than 0 of both."
            )
        self.model = model
        self.labels = model.labels
        self.sample_seconds = sample_seconds
        self.temperature = temperature
        self.sample_rate: Tensor
        self.register_buffer("sample_rate", torch.zeros((), dtype=torch.long))  # of the data, kept for generation

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

    def vocoded(self, batch: dict[str, Any], chosen: list[int], seed: int) -> list[Tensor]:
        """Some clips of a batch drawn given their features, (T_i,) each; a clip's noise follows its place."""
        return self.model.draw(
            [len(batch["audio"][i]) for i in chosen],
            batch["labels"][chosen],
            batch["tags"][chosen] if "tags" in batch else None,
            [batch["local"][i] for i in chosen],
            seed=seed,
            keys=[int(batch["position"][i]) for i in chosen],
            stream="test",
            temperature=self.temperature,
        )

    def sounds(self, count: int, seed: int) -> list[SoundSample]:
        """Clips to listen to, of drawn labels; every process draws the same, so that none waits for another."""
        keys = list(range(count))
        rows = torch.stack([self._labels_of({}, seed, key) for key in keys])
        marks = (
            None
            if TAG not in self.labels
            else torch.eye(len(self.labels[TAG]))[[k % len(self.labels[TAG]) for k in keys]]
        )
        lengths = [self._length(None, None)] * len(keys)
        made = self.model.draw(
            lengths, rows, marks, None, seed=seed, keys=keys, stream="test", temperature=self.temperature
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
