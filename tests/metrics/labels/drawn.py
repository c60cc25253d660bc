"""Small labelled pictures to train a judge on."""

from __future__ import annotations

import numpy as np
import torch

NAMES = ("Bright", "Barred", "Rare")


def pictures(count: int, seed: int, side: int = 12, rare: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    """Grey noise (N, 3, side, side), bright or dark, with a bar or without, seldom with a red corner; labels (N, 3)."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((count, 3)) < [0.5, 0.3, rare]).astype(np.uint8)
    return picture_of(labels, rng, side), labels


def picture_of(labels: np.ndarray, rng: np.random.Generator, side: int = 12) -> np.ndarray:
    """Pictures (N, 3, side, side) uint8 of labels (N, 3)."""
    base = np.where(labels[:, 0, None, None, None], 150, 60)
    images = base + rng.integers(-30, 30, (len(labels), 3, side, side))
    images[labels[:, 1] == 1, :, side // 2 - 1 : side // 2 + 1] = 0
    images[labels[:, 2] == 1, 0, :3, :3] = 255
    return images.clip(0, 255).astype(np.uint8)


def scaled(images: np.ndarray) -> torch.Tensor:
    """The same in [-1, 1]."""
    return torch.from_numpy(images).float() / 127.5 - 1.0
