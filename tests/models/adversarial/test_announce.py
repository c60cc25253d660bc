"""One loss an iteration reaches the training loop, and DDP's reducer stays out of it."""

from __future__ import annotations

import os
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader

from reprise.config.errors import ConfigError
from reprise.models.adversarial.announce import announce, require_whole_networks


class _Pair(pl.LightningModule):
    """Two weights that are stepped by hand in every iteration."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.first, self.second = nn.Linear(2, 1), nn.Linear(2, 1)

    def on_fit_start(self) -> None:
        require_whole_networks(self, "the pair")

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        before = [p.detach().clone() for p in self.parameters()]
        loss = self.first(batch).square().sum()
        gradients = torch.autograd.grad(loss, list(self.first.parameters()))
        announce(self, loss)
        assert all(torch.equal(a, b) for a, b in zip(before, self.parameters(), strict=True))
        assert all(p.grad is None for p in self.parameters())
        for parameter, gradient in zip(self.first.parameters(), gradients, strict=True):
            parameter.data -= 0.1 * gradient

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.SGD(self.first.parameters(), lr=0.1), torch.optim.SGD(self.second.parameters(), lr=0.1)]


class _Watch(pl.Callback):
    def __init__(self) -> None:
        self.losses: list[float] = []
        self.engaged: list[Any] = []

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        self.losses.append(float(loss))
        self.engaged.append(getattr(trainer.model, "require_backward_grad_sync", None))


def _fit(module: pl.LightningModule, tmp_path: Any, **settings: Any) -> _Watch:
    watch = _Watch()
    trainer = pl.Trainer(
        accelerator="cpu", devices=1, max_epochs=1, limit_train_batches=4, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[watch], default_root_dir=tmp_path, **settings,
    )  # fmt: skip
    trainer.fit(module, DataLoader(torch.ones(4, 2), batch_size=1, num_workers=0))
    return watch


@pytest.mark.filterwarnings("ignore")
def test_every_iteration_is_announced_once(tmp_path: Any) -> None:
    watch = _fit(_Pair(), tmp_path)
    assert len(watch.losses) == 4
    assert watch.losses[0] > watch.losses[-1]
    assert watch.engaged == [None] * 4


@pytest.mark.filterwarnings("ignore")
def test_the_reducer_of_ddp_waits_for_nothing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE"):
            patch.delenv(name, raising=False)
        try:
            watch = _fit(_Pair(), tmp_path, strategy=DDPStrategy(process_group_backend="gloo"))
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()
            for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE"):
                os.environ.pop(name, None)
    assert len(watch.losses) == 4
    assert watch.engaged == [False] * 4


@pytest.mark.filterwarnings("ignore")
def test_micro_batches_are_refused(tmp_path: Any) -> None:
    module = _Pair()
    module.trainer = pl.Trainer(
        accelerator="cpu", accumulate_grad_batches=2, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    with pytest.raises(ConfigError, match="the pair would have 2 micro-batches"):
        require_whole_networks(module, "the pair")
