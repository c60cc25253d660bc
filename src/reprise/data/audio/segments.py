"""Classes of the frames of a clip, from segments whose times are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

Segment = tuple[float, float, str]


def frame_classes(
    segments: Sequence[Segment], names: Sequence[str], sample_rate: int, start: int, count: int, width: int
) -> Tensor:
    """Class of each frame: the one that most of its samples have; of equals the one that comes first in `names`.

    Args:
        segments: (begin, end, class) in seconds.
        names: of the classes; segments of others count as a class that is not scored.
        sample_rate: in Hz.
        start: sample of the file at which the first frame begins.
        count: number of frames.
        width: samples of a frame.

    Returns:
        (count,) int64, -1 for frames that no segment reaches or whose class is not among `names`.
    """
    number = {name: i for i, name in enumerate(names)}
    overlap = np.zeros((count, len(names) + 1), dtype=np.int64)
    for begin, end, name in segments:
        low = max(round(begin * sample_rate) - start, 0)
        high = round(min(end * sample_rate - start, count * width))  # an end may be infinite
        if high <= low:
            continue
        first, last = low // width, (high - 1) // width
        edges = np.arange(first, last + 1) * width
        shared = np.minimum(edges + width, high) - np.maximum(edges, low)
        overlap[first : last + 1, number.get(name, len(names))] += shared
    best = overlap.argmax(axis=1)
    best[(best == len(names)) | (overlap.max(axis=1, initial=0) == 0)] = -1
    return torch.from_numpy(best)


def class_sequence(segments: Sequence[Segment], names: Sequence[str], begin: float, end: float) -> Tensor:
    """Classes of a clip in order, (N,) int64, as a transcription: neighbours of one class are one.

    Args:
        segments: (begin, end, class) in seconds, in order.
        names: of the classes; segments of others are left out.
        begin, end: part of the file, seconds; segments of which nothing lies in it are left out.
    """
    number = {name: i for i, name in enumerate(names)}
    found: list[int] = []
    for low, high, name in segments:
        if name in number and low < end and high > begin and (not found or found[-1] != number[name]):
            found.append(number[name])
    return torch.tensor(found, dtype=torch.int64)
