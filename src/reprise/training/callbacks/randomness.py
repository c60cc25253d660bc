"""Saves and restores the random states of every rank."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.distributed as dist

from reprise.config.errors import RunError


def random_states() -> dict[str, Any]:
    """States of Python's, NumPy's, torch's and CUDA's generators, as tensors and plain values."""
    name, keys, position, has_gauss, cached = np.random.get_state()
    version, words, gauss = random.getstate()
    return {
        "python": [version, list(words), gauss],
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Put the generators where `random_states` found them."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.device_count() == len(states["cuda"]):
        torch.cuda.set_rng_state_all(states["cuda"])


class RandomStates(pl.Callback):
    """Keeps one state per rank in the checkpoint; a resumed rank gets its own back."""

    def __init__(self) -> None:
        self._loaded: list[dict[str, Any]] | None = None
        self._held: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """States of all ranks (a collective: Lightning saves on every rank)."""
        mine = random_states()
        if dist.is_available() and dist.is_initialized():
            everyone: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(everyone, mine)
            return {"ranks": everyone}
        return {"ranks": [mine]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Hold the states until the loaders are set up, which draws numbers."""
        self._loaded = state_dict["ranks"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore this rank's state."""
        if self._loaded is None:
            return
        if len(self._loaded) != trainer.world_size:
            raise RunError(
                f"the checkpoint was written by {len(self._loaded)} processes and is resumed by {trainer.world_size}; "
                "a bit-exact resume needs as many."
            )
        set_random_states(self._loaded[trainer.global_rank])
        self._loaded = None
        self.hold()

    def hold(self) -> None:
        """Note the state that the first step has to find; a resumed loop makes its iterators after this, and draws."""
        self._held = random_states()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Give the first step of a resumed run the state that was noted."""
        if self._held is not None:
            set_random_states(self._held)
            self._held = None
