"""Bring back the trained module of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl

from reprise.config.errors import ConfigError, RunError
from reprise.training import checkpoints
from reprise.training.callbacks.ema import averaged_weights
from reprise.training.trainer import build_module

Weights = Literal["auto", "raw", "ema"]


@dataclass(frozen=True)
class Restored:
    """A module with the weights of a checkpoint.

    Attributes:
        module: in evaluation mode, on the CPU.
        entry: the checkpoint it came from.
        weights: raw or ema.
    """

    module: pl.LightningModule
    entry: checkpoints.Entry
    weights: str


def choose_checkpoint(directory: Path, role: str) -> tuple[Path, checkpoints.Entry]:
    """Return the checkpoint of a role, `best` or `last`."""
    if role not in ("best", "last"):
        raise ConfigError(f"checkpoint={role}. Expected best or last.")
    return checkpoints.find(directory, role)


def load_weights(module: pl.LightningModule, path: Path, weights: str) -> str:
    """Load raw or averaged weights into a module and say which.

    Raises:
        ConfigError: unknown choice, or averaged weights that the run did not keep.
        RunError: the checkpoint does not fit the module.
    """
    if weights not in ("auto", "raw", "ema"):
        raise ConfigError(f"weights={weights}. Expected auto, raw or ema.")
    content = checkpoints.load(path)
    average = averaged_weights(content)
    if weights == "ema" and average is None:
        raise ConfigError(f"weights=ema, but {path} has no averaged weights: the run had no callbacks=ema.")
    chosen = "ema" if average is not None and weights != "raw" else "raw"
    state = dict(content["state_dict"])
    if chosen == "ema":
        state |= average or {}
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise RunError(f"{path} does not fit the model of its config: {str(error).splitlines()[1].strip()}") from None
    return chosen


def restore(directory: Path, values: dict[str, Any], role: str = "best", weights: str = "auto") -> Restored:
    """Build the module of a run's config and load its weights.

    Raises:
        ConfigError: the config names classes that may not be built.
        RunError: there is no usable checkpoint.
    """
    path, entry = choose_checkpoint(directory, role)
    module = build_module(values)
    chosen = load_weights(module, path, weights)
    module.eval()
    return Restored(module, entry, chosen)
