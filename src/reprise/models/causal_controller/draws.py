"""What an iteration draws: real rows, noise, and where between real and fake rows the critic's slope is looked at.

Each replica's draws are a function of (its seed, the iteration), so that a resumed run draws what the uninterrupted one
would have drawn, and a replica what the run with its seed would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from reprise.config.errors import ConfigError, DataError
from reprise.nn.randomness import example_rng


class RealRows:
    """Labels of the data, from which rows are drawn with replacement.

    Args:
        labels: (N, n) of 0 and 1.
        rare_share: chance of a row to be drawn among those with the rarer value of one label, each label equally often.
            Such rows come more often than in the data and count less (`weights`), so that every expectation over
            weighted rows stays the data's. 0: rows as they come, all of weight 1.

    Attributes:
        labels: (N, n) float32.
        weights: (N,) float32, chance of a row in the data over its chance here; None where all are 1.

    Raises:
        ConfigError: `rare_share` is out of range.
        DataError: there are no rows, or a label never or always occurs while rare ones are asked for.
    """

    def __init__(self, labels: Tensor, rare_share: float = 0.0) -> None:
        if not 0.0 <= rare_share < 1.0:
            raise ConfigError(f"model.rare_share is {rare_share}. Expected 0 or more, and below 1.")
        if not len(labels):
            raise DataError("there are no labels to train on. Expected one row or more.")
        self.labels = labels.float()
        self.rare_share = rare_share
        self.weights: Tensor | None = None
        self._rare: list[np.ndarray] = []
        if rare_share > 0.0:
            self._find_rare(labels.cpu().numpy() > 0.5)

    def _find_rare(self, rows: np.ndarray) -> None:
        rarer = rows == (rows.mean(0) <= 0.5)  # (N, n), whether the row has the label's rarer value
        shares = rarer.mean(0)
        if not (shares > 0).all():
            raise DataError("a label has the same value in all rows, so it has no rare one. Use model.rare_share=0.")
        self._rare = [np.flatnonzero(column) for column in rarer.T]
        times = (1.0 - self.rare_share) + self.rare_share * (rarer / shares).mean(1)  # as often as in the data
        self.weights = torch.from_numpy(1.0 / times).float().to(self.labels.device)

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Places of rows, of a shape."""
        found = generator.integers(0, len(self.labels), shape)
        if self._rare:
            chosen = generator.random(shape) < self.rare_share
            label = generator.integers(0, len(self._rare), shape)
            place = generator.random(shape)
            for k, rows in enumerate(self._rare):
                here = chosen & (label == k)
                found[here] = rows[(place[here] * len(rows)).astype(np.int64)]
        return found


class Draws(NamedTuple):
    """Of one iteration, for R replicas, S steps of the critic (the joint one is the last) and B rows.

    Attributes:
        places: (R, S, B), of real rows.
        noise: (R, S, B, n, d), uniform on [-1, 1].
        alpha: (R, S, B / pack), uniform on [0, 1].
    """

    places: Tensor
    noise: Tensor
    alpha: Tensor


def draw_iteration(
    seeds: Sequence[int], iteration: int, rows: RealRows, steps: int, batch: int, node_noise: tuple[int, int], pack: int
) -> Draws:
    """All draws of an iteration, in a few calls a replica.

    Args:
        seeds: one a replica.
        iteration: from 0.
        rows: of the data.
        steps: S.
        batch: B.
        node_noise: (n, d).
        pack: rows that the critic sees as one.
    """
    device = rows.labels.device
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for seed in seeds:
        generator = example_rng(seed, "causal_controller", iteration)
        found.append(
            (
                rows.draw(generator, (steps, batch)),
                generator.random((steps, batch, *node_noise), np.float32),
                generator.random((steps, batch // pack), np.float32),
            )
        )
    places, noise, alpha = (torch.from_numpy(np.stack(part)).to(device) for part in zip(*found, strict=True))
    return Draws(places, noise.mul_(2.0).sub_(1.0), alpha)
