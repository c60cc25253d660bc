"""Synthetic speech with its linguistic features: the embedded data of text to speech."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from reprise.config.errors import ConfigError, DataError
from reprise.data.audio.linguistics import LinguisticFeatures
from reprise.data.audio.phonemes import speak
from reprise.data.audio.spoken import Spoken, load_spoken, phones_of_voice, read_sentences
from reprise.data.audio.synthesis import VOICE, sentences
from reprise.data.module import StreamDataModule
from reprise.data.stream import example_at
from reprise.nn.randomness import example_rng
from reprise.samples.audio import write_audio

NO_LABELS = torch.zeros(0, dtype=torch.int64)


class SpokenCrops(Dataset[dict[str, Any]]):
    """Crops of training clips with the samples before them; which crop is a function of seed and position."""

    def __init__(
        self, spoken: Spoken, clips: list[int], crop: int, context: int, crops_per_clip: int | None, seed: int
    ) -> None:
        self.spoken = spoken
        self.clips = clips
        self.crop_frames = crop // spoken.hop
        self.context_frames = context // spoken.hop
        self.seed = seed
        frames = [spoken.frames(clip) for clip in clips]
        self._ends = np.cumsum([crops_per_clip or -(-count // self.crop_frames) for count in frames])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, position: int) -> dict[str, Any]:
        """The crop at a position, with its context."""
        clip = self.clips[int(np.searchsorted(self._ends, example_at(position, self.seed, len(self)), side="right"))]
        slack = max(0, self.spoken.frames(clip) - self.crop_frames)
        start = int(example_rng(self.seed, "crop", position).integers(slack + 1)) - self.context_frames
        count, hop = self.context_frames + self.crop_frames, self.spoken.hop
        audio, exists = self.spoken.audio(clip, start * hop, count * hop)
        local = self.spoken.local(clip, start, count)
        return {"audio": audio, "exists": exists, "labels": NO_LABELS, "local": local, "position": position}


class SpokenClips(Dataset[dict[str, Any]]):
    """Held-out clips, whole or their first `most` samples, without context."""

    def __init__(self, spoken: Spoken, clips: list[int], most: int | None) -> None:
        self.spoken = spoken
        self.clips = clips
        self.most = most

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> dict[str, Any]:
        """A clip."""
        clip = self.clips[i]
        length = int(self.spoken.samples[clip])
        count = min(length, self.most or length)
        return {
            "audio": self.spoken.audio(clip, 0, count)[0],
            "local": self.spoken.local(clip, 0, -(-count // self.spoken.hop)),
            "labels": NO_LABELS,
            "position": i,
            "id": f"{clip:04d}",
        }


def collate_spoken(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Keep whole clips as lists, since lengths differ; stack labels and positions."""
    return {
        **{key: [item[key] for item in items] for key in ("audio", "local", "id")},
        "labels": torch.stack([item["labels"] for item in items]),
        "position": torch.tensor([item["position"] for item in items]),
    }


class LinguisticSpeech(StreamDataModule):
    """Sentences spoken by espeak-ng on this machine, and linguistic features of them every 5 ms.

    A training item is {"audio": (context + crop,) float32 in [-1, 1], "exists": (context + crop,) bool, "labels": (0,)
    int64, "local": (F, C) with F * hop = context + crop, "position": number}. Samples before a clip begins and behind
    its end are 0 and do not exist. An evaluation item is a whole clip: "audio" (T,), "local" (ceil(T / hop), C),
    "labels", "position", "id".

    The paper predicts the durations of phones and log F0 by other models. There are none here: both are espeak-ng's
    own, for sentences to generate too. Such speech is espeak-ng's prosody with the model's voice.

    Attributes:
        hop: samples of a frame, 5 ms of them.
        local_channels: C.
        context: samples before a crop, a multiple of hop; `need_context` sets it.
        label_names: kinds of labels: none.

    Args:
        crop: samples of a training crop behind its context.
        batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test: see StreamDataModule.
        cache: folder in which the speech is kept.
        sample_rate: Hz; a multiple of 200.
        voice: one of espeak-ng's. Other languages need a `text` of their own.
        text: file with a sentence a line; None for the sentences of this project (5.6 minutes).
        neighbours: features of the phones before and after, too.
        f0: log F0 and voicing, too: the paper's L+F; without them its L.
        crops_per_clip: crops of each clip in one epoch; None for as many as cover it.
        val_clips, test_clips: sentences held out of training.
        split_seed: decides which sentences are held out.
        max_seconds: of each held-out clip, from its beginning; None for all of it.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        crop: int,
        batch_size: int,
        seed: int,
        cache: str,
        sample_rate: int = 16000,
        voice: str = VOICE,
        text: str | None = None,
        neighbours: bool = True,
        f0: bool = True,
        num_workers: int = 0,
        max_device_batch: int | None = None,
        eval_batch_size: int = 1,
        crops_per_clip: int | None = None,
        val_clips: int = 8,
        test_clips: int = 8,
        split_seed: int = 0,
        max_seconds: float | None = None,
        limit_val: int | None = None,
        limit_test: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test)
        self.cache = Path(cache).expanduser()
        self.voice = voice
        self.texts = sentences() if text is None else read_sentences(Path(text).expanduser())
        self.features = LinguisticFeatures(
            sample_rate, phones_of_voice(self.texts, voice, self.cache), neighbours=neighbours, f0=f0
        )
        self.sample_rate = sample_rate
        self.hop = self.features.hop
        self.local_channels = self.features.channels
        self.label_names: dict[str, list[str]] = {}
        self.context = 0
        self.crop = crop
        self.crops_per_clip = crops_per_clip
        self.val_clips = val_clips
        self.test_clips = test_clips
        self.split_seed = split_seed
        self.max_seconds = max_seconds
        self._check()
        self.spoken: Spoken | None = None
        self.splits: dict[str, list[int]] = {}

    def _check(self) -> None:
        for name, least in (("crop", 1), ("crops_per_clip", 1), ("val_clips", 1), ("test_clips", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"data.{name} is {value}. Expected {least} or more.")
        if self.crop % self.hop:
            near = max(1, round(self.crop / self.hop)) * self.hop
            raise ConfigError(
                f"data.crop={self.crop} is no multiple of {self.hop} samples, one frame of 5 ms. Set it to {near}."
            )
        if self.max_seconds is not None and self.max_seconds <= 0:
            raise ConfigError(f"data.max_seconds is {self.max_seconds}. Expected more than 0, or null for whole clips.")

    def need_context(self, samples: int) -> None:
        """Have at least so many samples before each crop, rounded up to whole frames.

        Raises:
            ConfigError: a negative number.
        """
        if samples < 0:
            raise ConfigError(f"{samples} samples of context. Expected 0 or more.")
        self.context = -(-samples // self.hop) * self.hop

    def prepare_data(self) -> None:
        """Speak the sentences and compute their features, once per machine."""
        load_spoken(self.texts, self.voice, self.features, self.cache)

    def setup(self, stage: str) -> None:
        """Open the speech and divide it."""
        if self.spoken is not None:
            return
        held_out, count = self.val_clips + self.test_clips, len(self.texts)
        if held_out >= count:
            raise DataError(
                f"{count} sentences cannot give {self.val_clips} for validation and {self.test_clips} for testing "
                "and leave any for training. Lower data.val_clips and data.test_clips."
            )
        self.spoken = load_spoken(self.texts, self.voice, self.features, self.cache)
        order = np.random.default_rng(self.split_seed).permutation(count).tolist()
        self.splits = {
            "test": sorted(order[: self.test_clips]),
            "val": sorted(order[self.test_clips : held_out]),
            "train": sorted(order[held_out:]),
        }

    def _ready(self) -> Spoken:
        if self.spoken is None:
            raise RuntimeError("setup() has not been called")
        return self.spoken

    def train_set(self) -> SpokenCrops:
        """Crops of the training clips by position in the stream."""
        return SpokenCrops(self._ready(), self.splits["train"], self.crop, self.context, self.crops_per_clip, self.seed)

    def eval_set(self, split: str) -> SpokenClips:
        """Held-out clips, cut to `max_seconds`."""
        most = None if self.max_seconds is None else max(1, int(self.max_seconds * self.sample_rate))
        return SpokenClips(self._ready(), self.splits[split][: self.limits[split]], most)

    def eval_collate(self) -> Callable[[list[Any]], Any]:
        """Lists of clips and their features."""
        return collate_spoken

    def epoch_size(self) -> int:
        """Crops in one pass over the training clips."""
        return len(self.train_set())

    def data_digests(self) -> dict[str, Any]:
        """Digest of the speech, the names of its features, and the sizes of the splits."""
        spoken = self._ready()
        return {
            "recordings_sha256": spoken.digest,
            "voice": self.voice,
            "features": self.features.feature_names(),
            "hours": round(float(spoken.samples.sum()) / self.sample_rate / 3600, 4),
            "clips": {name: len(clips) for name, clips in self.splits.items()},
        }

    def inputs_of_text(self, text: str) -> dict[str, Tensor]:
        """What a model needs to say a sentence: {"local": (F, C), "labels": (0,)}.

        How long each phone is, and F0, are taken from espeak-ng's own rendering of the sentence, which is discarded.

        Raises:
            DataError: a text of which nothing can be said.
            UserError: espeak-ng or a package is missing.
        """
        return self._inputs_of([text])[0]

    def _inputs_of(self, texts: list[str]) -> list[dict[str, Tensor]]:
        spoken = (self.features.of_utterance(utterance)[1] for utterance in speak(texts, self.voice))
        return [{"local": torch.from_numpy(local), "labels": NO_LABELS} for local in spoken]

    def read_inputs(self, path: Path) -> Iterable[tuple[str, dict[str, Tensor]]]:
        """What a model needs to say each sentence of a text file, one a line; see `inputs_of_text`.

        They are called by the number of the sentence, from 1, and its first words.

        Raises:
            DataError: no text file, or a sentence of which nothing can be said.
        """
        if path.suffix.lower() != ".txt":
            raise DataError(f"{path} is of an unknown type. Expected a .txt file, a sentence a line.")
        texts = read_sentences(path)
        names = [f"{i:03d}-{_short(text)}" for i, text in enumerate(texts, 1)]
        return list(zip(names, self._inputs_of(texts), strict=True))

    def example_inputs(self, count: int) -> Iterable[tuple[str, dict[str, Tensor]]]:
        """Features of the first test clips."""
        clips = self.eval_set("test")
        items = [clips[i] for i in range(min(count, len(clips)))]
        return [(item["id"], {"local": item["local"], "labels": item["labels"]}) for item in items]

    def sample_path(self, name: str, folder: Path) -> Path:
        """A wav file of that name."""
        return folder / f"{name}.wav"

    def write_sample(self, name: str, sample: Tensor, folder: Path) -> Path:
        """Write a waveform (T,) as wav."""
        return write_audio(self.sample_path(name, folder), sample, self.sample_rate)

    def seconds_of(self, sample: Tensor) -> float:
        """Duration of a waveform (T,)."""
        return sample.shape[-1] / self.sample_rate


def _short(text: str) -> str:
    """The first words of a sentence as a part of a file name."""
    return "-".join(re.findall(r"\w+", text.lower())[:4])[:40]
