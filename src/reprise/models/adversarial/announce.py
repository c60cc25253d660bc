"""How a module that takes its gradients by hand tells the training loop about an iteration."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from reprise.config.errors import ConfigError


def announce(module: pl.LightningModule, loss: Tensor) -> None:
    """Show one loss to the training loop, which counts it, refuses a non-finite one and agrees on signals.

    The loop looks at losses where Lightning calls `on_before_backward`, and counts one an iteration. Networks that are
    trained against each other have several losses an iteration, and theirs are differentiated by hand; so the loop is
    shown a copy of one of them, of which nothing depends on any weight. Call it once in each `training_step`, before
    the last weights of the iteration are changed: a loss that is not finite ends the run here, and nothing is saved.

    Gradients are not averaged over processes by it: DDP's reducer, which would wait for all gradients, is kept out.

    Args:
        module: of manual optimisation, in its `training_step`.
        loss: a number () that stands for the iteration; `train/loss` is its mean.
    """
    shown = loss.detach().clone().requires_grad_()
    with _without_reducer(module.trainer.model):
        module.manual_backward(shown)


@contextlib.contextmanager
def _without_reducer(model: Any) -> Iterator[None]:
    """Keep DDP from preparing a reduction of gradients that never come."""
    if not isinstance(model, DistributedDataParallel):
        yield
        return
    wanted = model.require_backward_grad_sync
    model.require_backward_grad_sync = False
    try:
        yield
    finally:
        model.require_backward_grad_sync = wanted


def require_whole_networks(module: pl.LightningModule, model: str) -> None:
    """Refuse what cannot go together with gradients that are taken by hand; call it before training starts.

    Args:
        module: attached to a trainer.
        model: what the module is called in messages.

    Raises:
        ConfigError: an iteration has several micro-batches, or weights are sharded.
    """
    trainer = module.trainer
    if trainer.accumulate_grad_batches != 1:
        raise ConfigError(
            f"{model} would have {trainer.accumulate_grad_batches} micro-batches an iteration. Expected 1, since its "
            "networks take turns within an iteration: set data.max_device_batch=null or lower data.batch_size."
        )
    if "FSDP" in type(trainer.strategy).__name__:
        raise ConfigError(
            f"{model} takes its gradients by hand, which needs whole weights on every process. "
            "Use trainer=ddp in place of trainer=fsdp, or one device."
        )
