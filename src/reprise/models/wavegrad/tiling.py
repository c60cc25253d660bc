"""Noise prediction for waveforms of any length, in pieces that fit the memory.

Every refinement step runs over all pieces before the next one starts, and each piece carries a halo as wide as the
network's receptive field. So the result equals that of the whole waveform in one go, whatever the tile length, and
pieces of several clips share a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from reprise.models.wavegrad.network import WaveGradNetwork


@dataclass(frozen=True)
class Tile:
    """Frames [start, stop) of a clip, computed from frames [left, right)."""

    clip: int
    start: int
    stop: int
    left: int
    right: int


def plan(frames: list[int], tile: int, halo: int) -> list[Tile]:
    """Cut clips of the given numbers of frames into tiles of at most `tile` frames."""
    tiles = []
    for clip, count in enumerate(frames):
        for start in range(0, count, tile):
            stop = min(start + tile, count)
            tiles.append(Tile(clip, start, stop, max(0, start - halo), min(count, stop + halo)))
    return tiles


def batches(tiles: list[Tile], batch_size: int) -> Iterator[list[Tile]]:
    """Group tiles of equal length; only those can share a batch without padding."""
    by_length: dict[int, list[Tile]] = {}
    for tile in tiles:
        by_length.setdefault(tile.right - tile.left, []).append(tile)
    for same in by_length.values():
        for i in range(0, len(same), batch_size):
            yield same[i : i + batch_size]


class TiledPredictor:
    """Predicts the noise of several clips laid end to end.

    Args:
        network: the noise predictor.
        mels: (M, F_i) conditioning of each clip.
        tile: frames per piece.
        batch_size: pieces computed at once.
    """

    def __init__(self, network: WaveGradNetwork, mels: list[Tensor], tile: int, batch_size: int) -> None:
        self.network = network
        self.mels = mels
        self.hop = network.hop_length
        self.lengths = [mel.shape[1] * self.hop for mel in mels]
        self.starts = [sum(self.lengths[:i]) for i in range(len(mels))]
        self.batches = list(batches(plan([m.shape[1] for m in mels], tile, network.halo()), batch_size))

    @property
    def total(self) -> int:
        """Samples of all clips together."""
        return sum(self.lengths)

    def split(self, y: Tensor) -> list[Tensor]:
        """Cut the joined waveform into clips."""
        return list(y.split(self.lengths))

    def __call__(self, y: Tensor, condition: float) -> Tensor:
        """Predict the noise in the joined waveforms (total,), told `condition` (level or step index)."""
        out = torch.empty_like(y)
        for tiles in self.batches:
            waves = torch.stack(
                [y[self.starts[t.clip] + t.left * self.hop : self.starts[t.clip] + t.right * self.hop] for t in tiles]
            )
            mels = torch.stack([self.mels[t.clip][:, t.left : t.right] for t in tiles])
            told = torch.full((len(tiles),), condition, dtype=torch.float64, device=y.device)
            noise = self.network(waves, mels, told).to(y.dtype)
            for tile, row in zip(tiles, noise, strict=True):
                at = self.starts[tile.clip]
                core = row[(tile.start - tile.left) * self.hop : (tile.stop - tile.left) * self.hop]
                out[at + tile.start * self.hop : at + tile.stop * self.hop] = core
        return out
