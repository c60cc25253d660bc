"""Exponential moving average of the weights."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.tracking.run import Run
from reprise.training.callbacks.control import Control
from reprise.training.sharding import placed_like, whole


class EMA(pl.Callback):
    """Averages the parameters after each iteration: average <- d average + (1 - d) weight.

    Both sets of weights are saved; the record says which one validation used.

    Args:
        decay: d.
        warmup: use min(d, (1 + n) / (10 + n)) at iteration n, so that the start is forgotten.
        evaluate: validate and test with the average.
    """

    def __init__(self, decay: float = 0.9999, warmup: bool = False, evaluate: bool = True) -> None:
        if not 0.0 <= decay < 1.0:
            raise ConfigError(f"callbacks.ema.decay is {decay}. Expected 0 or more and less than 1.")
        self.decay = decay
        self.warmup = warmup
        self.evaluate = evaluate
        self.average: dict[str, Tensor] = {}
        self._raw: dict[str, Tensor] | None = None

    def bind(self, run: Run, control: Control) -> None:
        """Learn who counts iterations, and note in the record which weights are evaluated."""
        self.control = control
        if run.record is not None and self.evaluate:
            run.record.weights = "ema"

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights, whole, by parameter name (a collective where they are sharded)."""
        return {"average": {name: whole(average) for name, average in self.average.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with the checkpoint's average."""
        self.average = dict(state_dict["average"])

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the average at the initial weights, or bring a loaded one to the device."""
        for name, parameter in pl_module.named_parameters():
            loaded = self.average.get(name)
            start = parameter if loaded is None else placed_like(loaded, parameter)
            self.average[name] = start.detach().clone()

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update at the end of an iteration."""
        if not self.control.at_iteration_end(trainer):
            return
        n = self.control.iteration
        decay = min(self.decay, (1 + n) / (10 + n)) if self.warmup else self.decay
        parameters = dict(pl_module.named_parameters())
        names = list(self.average)
        torch._foreach_lerp_([self.average[k] for k in names], [parameters[k].detach() for k in names], 1.0 - decay)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the average in place."""
        if self.evaluate:
            self._swap_in(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the weights back."""
        self._swap_out(pl_module)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Never leave the average in the model."""
        self._swap_out(pl_module)

    @torch.no_grad()
    def _swap_in(self, pl_module: pl.LightningModule) -> None:
        if self._raw is None:
            self._raw = {k: p.detach().clone() for k, p in pl_module.named_parameters()}
            for name, parameter in pl_module.named_parameters():
                parameter.copy_(self.average[name])

    @torch.no_grad()
    def _swap_out(self, pl_module: pl.LightningModule) -> None:
        if self._raw is not None:
            for name, parameter in pl_module.named_parameters():
                parameter.copy_(self._raw[name])
            self._raw = None


def averaged_weights(checkpoint: dict[str, Any]) -> dict[str, Tensor] | None:
    """The averaged weights in a checkpoint, or None where there are none."""
    for key, state in checkpoint.get("callbacks", {}).items():
        if key.startswith("EMA") and state.get("average"):
            return dict(state["average"])
    return None
