"""Waveforms as sequences of samples: crops with the samples before them for training, whole clips for evaluation."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reprise.config.errors import ConfigError, DataError
from reprise.data.audio.files import MEL, input_files, read_mel
from reprise.data.audio.labels import UNKNOWN, name_labels, sorted_names
from reprise.data.audio.recordings import Recording, Recordings, described
from reprise.data.audio.sequence_sets import Clips, ClipSet, CropSet, Shape, collate_sequences
from reprise.data.audio.sounds import SoundSettings, read_sound
from reprise.data.audio.splits import HeldOut, divide, keep_only, leave_out, warn_of_doubles
from reprise.data.audio.waves import LocalFeatures, MelFeatures, Waves, load_waves
from reprise.data.module import StreamDataModule
from reprise.nn.labels import TAG
from reprise.nn.spectrogram import LogMel
from reprise.samples.audio import write_audio

log = logging.getLogger(__name__)


class SequenceDataModule(StreamDataModule):
    """Crops of waveforms with their context, labels and local features.

    A training item is {"audio": (context + crop,) float32 in [-1, 1], "exists": (context + crop,) bool, "labels": (K,)
    int64 with -1 for unknown, "position": number}, with "local": (F, C) where F * hop = context + crop, "tags": (N,)
    float32 of 0 and 1, and "frames": (crop / grid,) int64 with -1 for frames that are not scored, where the data have
    such. Samples before a clip begins and behind its end are 0, do not exist, and have no frames.

    An evaluation item is a whole clip without context: "audio" (T,), "labels", "id", "position", and where the data
    have them "local" (ceil(T / hop), C), "tags", "frames" (ceil(T / grid),) and "classes" (number of segments,), what a
    recogniser should find. Of a clip that `max_seconds` cuts, "local" goes on behind T as far as the context reaches.

    Attributes:
        sample_rate: in Hz.
        hop: samples of a frame of local features; 1 without such.
        local_channels: C; 0 without local features.
        context: samples before a crop, a multiple of hop; `need_context` raises it.
        label_names: kind to names, known after `setup`; kinds in the order of `labels`. "tag", last, are the names of
            "tags" and have no column in "labels".
        frame_names: names of the classes of "frames"; empty without such.

    Args:
        recordings: the data set.
        batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test: see StreamDataModule.
        cache: folder for what is downloaded, made, and read once.
        crop: samples of a training crop behind its context.
        sample_rate: of the waveforms, Hz.
        root: folder of a copy that is there; None for the data set's own place.
        labels: kinds of label that items have, in this order.
        features: log-mel spectra as local features; None for waveforms alone.
        frame_label: kind of label that is the class of every frame of a clip, for data without segments; None for no
            such frames.
        grid: crops start at multiples of it (and of hop): the samples of one class of "frames", or of a pooling.
        crops_per_clip: crops taken of each clip in one epoch; None for as many as cover it.
        val_clips, test_clips: clips held out of training: a number of them, their ids, or None for official ones.
        split_seed: decides which clips are held out.
        only: kind of label to names: other recordings are left out. Names keep their numbers.
        evaluate_only: likewise for the held-out clips alone.
        skip: ids of recordings to leave out.
        max_seconds: of each held-out clip, from its beginning, down to whole frames of hop and grid; None for all.
        resample, mono, trim_silence, peak: see SoundSettings.

    Raises:
        ConfigError: a number is out of range, or crop, hop and grid do not fit.
    """

    def __init__(
        self,
        recordings: Recordings,
        batch_size: int,
        seed: int,
        cache: str,
        crop: int,
        sample_rate: int,
        root: str | None = None,
        num_workers: int = 0,
        max_device_batch: int | None = None,
        eval_batch_size: int = 1,
        limit_val: int | None = None,
        limit_test: int | None = None,
        labels: list[str] | None = None,
        features: LogMel | None = None,
        frame_label: str | None = None,
        grid: int = 1,
        crops_per_clip: int | None = None,
        val_clips: int | list[str] | None = None,
        test_clips: int | list[str] | None = None,
        split_seed: int = 0,
        only: dict[str, list[str | int]] | None = None,
        evaluate_only: dict[str, list[str | int]] | None = None,
        skip: list[str] | None = None,
        max_seconds: float | None = None,
        resample: bool = False,
        mono: bool = False,
        trim_silence: float | None = None,
        peak: float | None = None,
    ) -> None:
        super().__init__(batch_size, seed, num_workers, max_device_batch, eval_batch_size, limit_val, limit_test)
        self.recordings = recordings
        self.cache = Path(cache).expanduser()
        self.root = Path(root).expanduser() if root else None
        self.sound = SoundSettings(mono, sample_rate, resample, trim_silence, peak)
        self.sample_rate = sample_rate
        self.labels = list(labels or [])
        self.features = features
        self.local = self.local_features()
        self.hop = self.local.hop if self.local else 1
        self.local_channels = self.local.channels if self.local else 0
        self.frame_label = frame_label
        self.crop = crop
        self.grid = grid
        self.crops_per_clip = crops_per_clip
        self.held_out_clips: dict[str, HeldOut] = {"val": val_clips, "test": test_clips}
        self.split_seed = split_seed
        self.only = {kind: [str(n) for n in names] for kind, names in (only or {}).items()}
        self.evaluate_only = {kind: [str(n) for n in names] for kind, names in (evaluate_only or {}).items()}
        self.skip = list(skip or [])
        self.max_seconds = max_seconds
        self._check()
        self.context = 0
        self.label_names: dict[str, list[str]] = {}
        self.frame_names: list[str] = []
        self.splits: dict[str, list[int]] = {}
        self._chosen: list[Recording] = []
        self._waves: Waves | None = None

    def _check(self) -> None:
        for name, value in (("crop", self.crop), ("grid", self.grid), ("crops_per_clip", self.crops_per_clip)):
            if value is not None and value < 1:
                raise ConfigError(f"data.{name} is {value}. Expected 1 or more.")
        if self.max_seconds is not None and self.max_seconds <= 0:
            raise ConfigError(f"data.max_seconds is {self.max_seconds}. Expected more than 0, or null for whole clips.")
        if self.features is not None and self.features.sample_rate != self.sample_rate:
            raise ConfigError(
                f"data.features.sample_rate is {self.features.sample_rate}, data.sample_rate is {self.sample_rate}. "
                "Expected the same."
            )
        for name, step in (("one frame of local features", self.hop), ("data.grid", self.grid)):
            if self.crop % step:
                near = max(1, round(self.crop / step)) * step
                raise ConfigError(f"data.crop={self.crop} is no multiple of {step} samples, {name}. Set it to {near}.")
        if twice := [kind for i, kind in enumerate(self.labels) if kind in self.labels[:i]]:
            raise ConfigError(f"data.labels names {twice[0]!r} twice. Remove one.")

    def local_features(self) -> LocalFeatures | None:
        """The local features of these data: log-mel spectra, or None. Data with others override it."""
        return None if self.features is None else MelFeatures(self.features)

    def need_context(self, samples: int) -> None:
        """Have at least so many samples before each crop, rounded up to whole frames of local features.

        Raises:
            ConfigError: a negative number.
        """
        if samples < 0:
            raise ConfigError(f"{samples} samples of context. Expected 0 or more.")
        self.context = -(-samples // self.hop) * self.hop

    def prepare_data(self) -> None:
        """Fetch or make the recordings and read them into the cache, once per machine."""
        self._load()

    def _load(self) -> tuple[list[Recording], list[Recording], Waves]:
        everything = self.recordings.find(self.root, self.cache)
        chosen = keep_only(leave_out(everything, self.skip), self.only, "data.only")
        if not chosen:
            raise DataError("data.only leaves no recording. Ask for fewer labels at once.")
        return everything, chosen, load_waves(chosen, self.sound, self.cache, self.local)

    def setup(self, stage: str) -> None:
        """Open the recordings, name their labels and divide them."""
        if self._waves is not None:
            return
        everything, self._chosen, self._waves = self._load()
        if self.recordings.complaint:
            log.warning("%s", self.recordings.complaint)
        self.label_names = self._names(everything)
        self.frame_names = self._frame_names(everything)
        self.splits = divide(self._chosen, self.held_out_clips["val"], self.held_out_clips["test"], self.split_seed)
        if self.evaluate_only:
            for split in ("val", "test"):
                self.splits[split] = self._evaluated(split)
        warn_of_doubles(self._waves.ids, self._waves.wave_digests, self.splits)

    def _names(self, everything: list[Recording]) -> dict[str, list[str]]:
        found = name_labels(everything, self.labels)
        return found | ({TAG: list(self.recordings.tag_names)} if self.recordings.tag_names else {})

    def _frame_names(self, everything: list[Recording]) -> list[str]:
        if self.frame_label is None:
            return list(self.recordings.frame_names)
        if self.recordings.frame_names:
            raise ConfigError("data.frame_label is set, but the recordings have segments. Set it to null.")
        if not (names := sorted_names(r.labels[self.frame_label] for r in everything if self.frame_label in r.labels)):
            raise ConfigError(f"data.frame_label names {self.frame_label!r}, which no recording has.")
        return names

    def _evaluated(self, split: str) -> list[int]:
        clips = {self._chosen[i].id: i for i in self.splits[split]}
        kept = keep_only([self._chosen[i] for i in clips.values()], self.evaluate_only, "data.evaluate_only")
        if not kept:
            raise DataError(f"data.evaluate_only leaves no {split} clip. Ask for fewer labels at once.")
        return [clips[r.id] for r in kept]

    def _shape(self) -> Shape:
        return Shape(self.crop, self.context, self.grid, self.sample_rate, self.label_names, self.frame_names)

    def _ready(self) -> Waves:
        if self._waves is None:
            raise RuntimeError("setup() has not been called")
        return self._waves

    def _clips_at(self, chosen: Sequence[int]) -> Clips:
        return Clips(self._ready(), [self._framed(r) for r in self._chosen], chosen, self._shape())

    def train_set(self) -> CropSet:
        """Crops of the training clips by position in the stream."""
        step = math.lcm(self.hop, self.grid)
        return CropSet(self._clips_at(self.splits["train"]), step, self.crops_per_clip, self.seed)

    def eval_set(self, split: str) -> ClipSet:
        """Held-out clips, cut to `max_seconds`."""
        most = None
        if self.max_seconds is not None:
            # whole frames: of one that is cut in two the class would be that of samples that are not there
            step = math.lcm(self.hop, self.grid)
            most = max(1, int(self.max_seconds * self.sample_rate) // step) * step
        return ClipSet(self._clips_at(self.splits[split][: self.limits[split]]), most)

    def _framed(self, recording: Recording) -> Recording:
        """A recording whose one segment is all of it, where its label is the class of its frames."""
        if self.frame_label is None or self.frame_label not in recording.labels:
            return recording
        return replace(recording, segments=((0.0, math.inf, recording.labels[self.frame_label]),))

    def eval_collate(self) -> Callable[[list[Any]], Any]:
        """Lists of what differs in length; labels, tags and positions stacked."""
        return collate_sequences

    def epoch_size(self) -> int:
        """Crops in one pass over the training clips."""
        return len(self.train_set())

    def data_digests(self) -> dict[str, Any]:
        """Digest of the recordings, how they were read, names of labels and sizes of the splits."""
        waves = self._ready()
        return {
            "recordings_sha256": waves.digest,
            "described_sha256": described(self._chosen, self.splits),
            "sound": self.sound.signature(),
            "local": self.local.signature() if self.local else None,
            "hours": round(float(waves.samples.sum()) / self.sample_rate / 3600, 4),
            "clips": {name: len(clips) for name, clips in self.splits.items()},
            "labels": {kind: len(names) for kind, names in self.label_names.items()},
            "frame_classes": len(self.frame_names),
            **self.recordings.facts,
        }

    def read_inputs(self, path: Path) -> Iterable[tuple[str, dict[str, Tensor]]]:
        """Local features of each sound or mel file that `path` stands for, with unknown labels.

        Raises:
            ConfigError: a model of these data is not conditioned on local features.
            DataError: a file cannot be read.
        """
        if not isinstance(self.local, MelFeatures):
            raise ConfigError(
                "input=PATH gives sounds or mels to condition on, but these data have no mels (data.features is "
                "null). Leave input out, and give labels as options."
            )
        labels = torch.full((len(self.labels),), UNKNOWN, dtype=torch.int64)
        return [(f.stem, {"local": self._read_local(f, self.local), "labels": labels}) for f in input_files(path)]

    def _read_local(self, file: Path, mels: MelFeatures) -> Tensor:
        if file.suffix.lower() in MEL:
            return read_mel(file, mels.features).T.contiguous()
        return mels.of_wave(torch.from_numpy(read_sound(file, str(file), self.sound).wave))

    def example_inputs(self, count: int) -> Iterable[tuple[str, dict[str, Tensor]]]:
        """Labels, tags and local features of the first test clips."""
        clips = self.eval_set("test")
        found = []
        for i in range(min(count, len(clips))):
            item = clips[i]
            given: dict[str, Tensor] = {key: item[key] for key in ("local", "labels", "tags") if key in item}
            if "local" in given:  # to be drawn as long as the clip is
                given["local"] = given["local"][: -(-len(item["audio"]) // self.hop)]
            found.append((item["id"].replace("/", "-"), given))
        return found

    def sample_path(self, name: str, folder: Path) -> Path:
        """A wav file of that name."""
        return folder / f"{name}.wav"

    def write_sample(self, name: str, sample: Tensor, folder: Path) -> Path:
        """Write a waveform (T,) as wav."""
        return write_audio(self.sample_path(name, folder), sample, self.sample_rate)

    def seconds_of(self, sample: Tensor) -> float:
        """Duration of a waveform (T,)."""
        return sample.shape[-1] / self.sample_rate
