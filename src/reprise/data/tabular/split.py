"""Which rows of a table are trained on, which are held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reprise.config.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the three parts, disjoint.

    Attributes:
        train, val, test: whole numbers, (n,) each; val may be empty.
    """

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def random_split(rows: int, test_share: float, seed: int) -> Split:
    """Draw a split; round(test_share rows) rows are for test, the others for training, both in random order.

    Raises:
        ConfigError: a part would be empty.
    """
    held_out = round(test_share * rows)
    if not 0 < held_out < rows:
        raise ConfigError(
            f"data.test_share is {test_share}: of {rows} rows, {held_out} are for test. Change the share."
        )
    order = np.random.default_rng([seed, 0]).permutation(rows)
    return Split(order[held_out:], order[:0], order[:held_out])


def hold_out(split: Split, share: float, seed: int) -> Split:
    """Move a random share of the training rows to the validation part; 0 leaves the split as it is.

    Raises:
        ConfigError: nothing would be left of a part.
    """
    if share == 0.0:
        return split
    count = round(share * len(split.train))
    if not 0 < count < len(split.train):
        raise ConfigError(
            f"data.val_share is {share} of {len(split.train)} training rows. Change the share, or take 0."
        )
    order = np.random.default_rng([seed, 1]).permutation(len(split.train))
    return Split(split.train[np.sort(order[count:])], split.train[np.sort(order[:count])], split.test)
