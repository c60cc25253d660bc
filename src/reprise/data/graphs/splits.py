"""Which nodes are trained on, which are held out."""

from __future__ import annotations

import numpy as np

from reprise.config.errors import ConfigError


def split_by_class(y: np.ndarray, train: int, val: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw so many nodes of each class for training, so many for validation; the others are for test.

    The splits of Shchur et al. 2018 (arXiv 1811.05868), who take 20 and 30.

    Args:
        y: classes (N,), -1 for nodes that have none and stay out.
        train, val: nodes of each class.
        seed: of the draw.

    Returns:
        numbers of the nodes for training, validation and test, each sorted.

    Raises:
        ConfigError: a class has too few nodes, or none would be left for test.
    """
    parts: tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]] = ([], [], [])
    for label in range(int(y.max(initial=-1)) + 1):
        members = np.random.default_rng([seed, label]).permutation(np.flatnonzero(y == label))
        if len(members) < train + val:
            raise ConfigError(
                f"class {label} has {len(members)} nodes, too few for data.train_per_class={train} and "
                f"data.val_per_class={val}. Lower them."
            )
        for part, chosen in zip(parts, np.split(members, [train, train + val]), strict=True):
            part.append(chosen)
    found = tuple(np.sort(np.concatenate(part)) for part in parts)
    if not all(len(part) for part in found):
        raise ConfigError("data.train_per_class and data.val_per_class leave a part of the nodes empty. Change them.")
    return found[0], found[1], found[2]
