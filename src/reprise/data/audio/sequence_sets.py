"""Training crops and held-out clips of sequences, as items of the shape that SequenceDataModule describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from reprise.data.audio.labels import label_row
from reprise.data.audio.recordings import Recording
from reprise.data.audio.segments import class_sequence, frame_classes
from reprise.data.audio.waves import Waves
from reprise.data.stream import example_at
from reprise.nn.labels import TAG
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


@dataclass(frozen=True, eq=False)
class Clips:
    """Some clips of a data set.

    Attributes:
        waves: all recordings.
        recordings: what is known of each.
        chosen: numbers of the recordings that these clips are.
        shape: of items.
    """

    waves: Waves
    recordings: Sequence[Recording]
    chosen: Sequence[int]
    shape: Shape


class CropSet(Dataset[dict[str, Any]]):
    """Crops by position in the stream; which crop is a function of seed and position.

    Args:
        clips: those for training.
        step: crops start at its multiples.
        crops_per_clip: crops of each clip in one epoch; None for as many as cover it.
        seed: of the run.
    """

    def __init__(self, clips: Clips, step: int, crops_per_clip: int | None, seed: int) -> None:
        self.clips = clips
        self.step = step
        self.seed = seed
        lengths = clips.waves.samples[np.asarray(clips.chosen)]
        counts = -(-lengths // clips.shape.crop) if crops_per_clip is None else np.full(len(lengths), crops_per_clip)
        self._ends = np.cumsum(counts)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, position: int) -> dict[str, Any]:
        """The crop at a position, with its context."""
        number = example_at(position, self.seed, len(self))
        waves, shape = self.clips.waves, self.clips.shape
        clip = self.clips.chosen[int(np.searchsorted(self._ends, number, side="right"))]
        recording, length = self.clips.recordings[clip], int(waves.samples[clip])
        # the last start leaves less than a step of the clip behind the crop, so that each sample can be met
        starts = -(-max(0, length - shape.crop) // self.step) + 1
        start = self.step * int(example_rng(self.seed, "crop", position).integers(starts))
        first, count = start - shape.context, shape.context + shape.crop
        item: dict[str, Any] = {
            "audio": waves.audio(clip, first, count),
            "exists": waves.exists(clip, first, count),
            "position": position,
            **shape.labels(recording),
        }
        if waves.has_local:
            item["local"] = waves.local(clip, first // waves.hop, count // waves.hop)
        if shape.frame_names:
            item["frames"] = shape.frames(recording, int(waves.offsets[clip]), start, shape.crop, length)
        return item


class ClipSet(Dataset[dict[str, Any]]):
    """Held-out clips, whole or their first `most` samples.

    A clip that was cut keeps the local features of the samples that follow, as far as the context reaches: a model may
    look at features ahead of a sample, and zeros in their place would be scored.

    Args:
        clips: those held out.
        most: samples of a clip; None for all.
    """

    def __init__(self, clips: Clips, most: int | None) -> None:
        self.clips = clips
        self.most = most

    def __len__(self) -> int:
        return len(self.clips.chosen)

    def __getitem__(self, i: int) -> dict[str, Any]:
        """A clip without context."""
        waves, shape, clip = self.clips.waves, self.clips.shape, self.clips.chosen[i]
        recording, offset = self.clips.recordings[clip], int(waves.offsets[clip])
        length = int(waves.samples[clip])
        count = min(length, self.most or length)
        item: dict[str, Any] = {
            "audio": waves.audio(clip, 0, count),
            "id": waves.ids[clip],
            "position": i,
            **shape.labels(recording),
        }
        if waves.has_local:
            item["local"] = waves.local(clip, 0, -(-min(length, count + shape.context) // waves.hop))
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
