"""Training crops and held-out clips of sequences, as items of the shape that SequenceDataModule describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from reprise.data.audio.labels import TAG, label_row
from reprise.data.audio.recordings import Recording
from reprise.data.audio.segments import class_sequence, frame_classes
from reprise.data.audio.waves import Waves
from reprise.data.stream import example_at
from reprise.nn.randomness import example_rng


@dataclass(frozen=True)
class Shape:
    """What items look like.

    Attributes:
        crop: samples of a training crop.
        context: samples before it.
        grid: samples of a frame that has a class.
        sample_rate: in Hz.
        label_names: kind to names, tags included.
        frame_names: classes of frames; empty for none.
    """

    crop: int
    context: int
    grid: int
    sample_rate: int
    label_names: Mapping[str, Sequence[str]]
    frame_names: Sequence[str]

    def labels(self, recording: Recording) -> dict[str, Tensor]:
        """What an item says of all of its clip."""
        found = {"labels": label_row(recording.labels, self.label_names)}
        if TAG in self.label_names:
            found["tags"] = torch.tensor([float(name in recording.tags) for name in self.label_names[TAG]])
        return found

    def frames(self, recording: Recording, offset: int, start: int, samples: int, length: int) -> Tensor:
        """Classes of the frames from sample `start` on, ceil(samples / grid) of them; -1 behind the end of the clip.

        Args:
            recording: the clip.
            offset: samples that were trimmed before it.
            start: first sample, counted after trimming.
            samples: so many.
            length: of the clip.
        """
        count = -(-samples // self.grid)
        classes = frame_classes(
            recording.segments, self.frame_names, self.sample_rate, offset + start, count, self.grid
        )
        classes[torch.arange(count) * self.grid + start >= length] = -1
        return classes


class CropSet(Dataset[dict[str, Any]]):
    """Crops by position in the stream; which crop is a function of seed and position.

    Args:
        waves: the recordings.
        recordings: what is known of each.
        clips: those for training.
        shape: of items.
        step: crops start at its multiples.
        crops_per_clip: crops of each clip in one epoch; None for as many as cover it.
        seed: of the run.
    """

    def __init__(
        self,
        waves: Waves,
        recordings: Sequence[Recording],
        clips: Sequence[int],
        shape: Shape,
        step: int,
        crops_per_clip: int | None,
        seed: int,
    ) -> None:
        self.waves = waves
        self.recordings = recordings
        self.clips = clips
        self.shape = shape
        self.step = step
        self.seed = seed
        lengths = waves.samples[np.asarray(clips)]
        counts = -(-lengths // shape.crop) if crops_per_clip is None else np.full(len(clips), crops_per_clip)
        self._ends = np.cumsum(counts)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, position: int) -> dict[str, Any]:
        """The crop at a position, with its context."""
        number = example_at(position, self.seed, len(self))
        clip = self.clips[int(np.searchsorted(self._ends, number, side="right"))]
        shape, length = self.shape, int(self.waves.samples[clip])
        # the last start leaves less than a step of the clip behind the crop, so that each sample can be met
        starts = -(-max(0, length - shape.crop) // self.step) + 1
        start = self.step * int(example_rng(self.seed, "crop", position).integers(starts))
        first, count = start - shape.context, shape.context + shape.crop
        item: dict[str, Any] = {
            "audio": self.waves.audio(clip, first, count),
            "exists": self.waves.exists(clip, first, count),
            "position": position,
            **shape.labels(self.recordings[clip]),
        }
        if self.waves.has_local:
            item["local"] = self.waves.local(clip, first // self.waves.hop, count // self.waves.hop)
        if shape.frame_names:
            offset = int(self.waves.offsets[clip])
            item["frames"] = shape.frames(self.recordings[clip], offset, start, shape.crop, length)
        return item


class ClipSet(Dataset[dict[str, Any]]):
    """Held-out clips, whole or their first `most` samples.

    Args:
        waves: the recordings.
        recordings: what is known of each.
        clips: those held out.
        shape: of items.
        most: samples of a clip; None for all.
    """

    def __init__(
        self,
        waves: Waves,
        recordings: Sequence[Recording],
        clips: Sequence[int],
        shape: Shape,
        most: int | None,
    ) -> None:
        self.waves = waves
        self.recordings = recordings
        self.clips = clips
        self.shape = shape
        self.most = most

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> dict[str, Any]:
        """A clip without context."""
        clip, shape = self.clips[i], self.shape
        recording, offset = self.recordings[clip], int(self.waves.offsets[clip])
        count = min(int(self.waves.samples[clip]), self.most or int(self.waves.samples[clip]))
        item: dict[str, Any] = {
            "audio": self.waves.audio(clip, 0, count),
            "id": self.waves.ids[clip],
            "position": i,
            **shape.labels(recording),
        }
        if self.waves.has_local:
            item["local"] = self.waves.local(clip, 0, -(-count // self.waves.hop))
        if shape.frame_names:
            item["frames"] = shape.frames(recording, offset, 0, count, count)
            begin, end = offset / shape.sample_rate, (offset + count) / shape.sample_rate
            item["classes"] = class_sequence(recording.segments, shape.frame_names, begin, end)
        return item


def collate_sequences(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Keep what differs in length as lists, and stack labels, tags and positions."""
    batch: dict[str, Any] = {key: [item[key] for item in items] for key in items[0]}
    for key in ("labels", "tags"):
        if key in batch:
            batch[key] = torch.stack(batch[key])
    batch["position"] = torch.tensor(batch["position"])
    return batch
