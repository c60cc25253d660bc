"""Resizing by areas, exactly."""

from __future__ import annotations

import functools

import numpy as np


@functools.cache
def _overlaps(old: int, new: int) -> np.ndarray:
    """How much of old pixel j new pixel i covers, in units of 1 / new of an old pixel: (new, old), rows sum to old."""
    edges, starts = np.arange(new + 1) * old, np.arange(old) * new
    low = np.maximum(edges[:-1, None], starts[None])
    high = np.minimum(edges[1:, None], starts[None] + new)
    return np.maximum(high - low, 0).astype(np.float64)


def resize_area(pixels: np.ndarray, side: int) -> np.ndarray:
    """Resize a square so that each new pixel is the mean over the area it covers, rounded half up.

    TensorFlow's AREA does this. Pillow's BOX does not where sizes are no multiples: it takes whole pixels.

    Args:
        pixels: (C, n, n) uint8, n < 5000, so that the sums are whole numbers that float64 holds exactly.
        side: new height and width.

    Returns:
        (C, side, side) uint8.
    """
    old = pixels.shape[-1]
    weights = _overlaps(old, side)
    sums = (weights @ pixels.astype(np.float64) @ weights.T).astype(np.int64)
    means: np.ndarray = (2 * sums + old * old) // (2 * old * old)
    return means.astype(np.uint8)
