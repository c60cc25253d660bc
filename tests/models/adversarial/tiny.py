"""Small models on a few drawn shapes, and a trainer that announces as the house's does."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from reprise.data.images.shapes import Shapes
from reprise.models.adversarial.stage import ControllerStage
from reprise.models.causal_controller.critic import Critic
from reprise.models.causal_controller.network import Controller
from reprise.models.causalbegan.module import CausalBEGAN
from reprise.models.causalbegan.network import Networks as BEGANNetworks
from reprise.models.causalgan.module import CausalGAN
from reprise.models.causalgan.network import Networks
from reprise.nn.causal.graph import CausalGraph
from reprise.nn.images import ImageShape

SHAPE = ImageShape(3, 32)
GRAPH = {"Round": [], "Large": ["Round"], "Ringed": ["Round"]}
adam = functools.partial(torch.optim.Adam, lr=1e-3)


def gan(seed: int = 0, graph: dict[str, list[str]] | None = None, **settings: Any) -> CausalGAN:
    network = functools.partial(Networks, shape=SHAPE, noise=4, maps=4, kernels=4, dims=3)
    torch.manual_seed(1)
    given: dict[str, Any] = {"samples": 2, **settings}
    return CausalGAN(network, CausalGraph(graph or GRAPH), adam, seed, **given)


def began(seed: int = 0, **settings: Any) -> CausalBEGAN:
    network = functools.partial(BEGANNetworks, shape=SHAPE, noise=4, code=4, maps=4)
    torch.manual_seed(1)
    given: dict[str, Any] = {"samples": 2, **settings}
    return CausalBEGAN(network, CausalGraph(GRAPH), adam, seed, **given)


def stage(iterations: int) -> functools.partial[ControllerStage]:
    return functools.partial(
        ControllerStage, network=functools.partial(Controller, noise_dims=3, width=4, layers=3),
        critic=functools.partial(Critic, width=4, layers=3), optimizer=adam, iterations=iterations, batch_size=8,
        critic_steps=2, samples_tvd=2000,
    )  # fmt: skip


def shapes(cache: Path, batch_size: int = 8) -> Shapes:
    return Shapes(
        SHAPE, batch_size, seed=0, cache=str(cache), val_examples=10, test_examples=10, images=120, eval_batch_size=10
    )


class Watch(pl.Callback):
    """Counts announcements, and notes which networks an iteration changed."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.changed: list[set[str]] = []
        self._before: dict[str, list[Tensor]] = {}

    @staticmethod
    def _weights(module: Any) -> dict[str, list[Tensor]]:
        parts = dict(module.network.named_children())
        if module.stage is not None:
            parts["controller"] = module.stage.network
        return {name: [p.detach().clone() for p in part.parameters()] for name, part in parts.items()}

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self._before = self._weights(pl_module)

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Tensor) -> None:
        self.losses.append(float(loss))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        now = self._weights(pl_module)
        different = {name for name in now if not all(map(torch.equal, now[name], self._before[name]))}
        self.changed.append(different)


def fit(module: pl.LightningModule, data: Shapes, steps: int, **settings: Any) -> Watch:
    watch = Watch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            accelerator="cpu", devices=1, max_epochs=1, limit_train_batches=steps, logger=False, callbacks=[watch],
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
            **settings,
        )  # fmt: skip
        trainer.fit(module, datamodule=data)
    return watch
