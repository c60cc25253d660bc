"""The first stage of the same run: a Causal Controller learns the labels before there are images of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.models.causal_controller.critic import Critic
from reprise.models.causal_controller.distances import distances_of
from reprise.models.causal_controller.draws import RealRows
from reprise.models.causal_controller.duel import Duel
from reprise.models.causal_controller.measures import count_draws, lost_labels
from reprise.models.causal_controller.network import Controller
from reprise.nn.causal.graph import CausalGraph
from reprise.nn.causal.law import LabelLaw
from reprise.nn.causal.queries import snake
from reprise.nn.randomness import example_rng


class ControllerStage(nn.Module):
    """A controller and its critic, trained on the labels of the training images for some iterations, then left as is.

    An iteration is a generator step of the controller, with the critic's steps before it; every process does it whole,
    of draws that are a function of the seed and the iteration, since the networks are tiny. The settings are those of
    `model=causal_controller`, which trains the same by itself and measures it.

    Args:
        graph: over the labels.
        seed: of weights and draws.
        network: the controller, called with graph.
        critic: called with inputs.
        optimizer: optimiser class with its settings; controller and critic have one each.
        iterations: generator steps.
        batch_size: rows of a step.
        critic_steps: before each joint step.
        penalty: lambda of the gradient penalty.
        pack: rows that the critic sees as one; 1 is the paper's.
        rare_share: chance of a real row to be drawn among those with a rare label; 0 is the paper's.
        samples_tvd: draws of a measurement.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        graph: CausalGraph,
        seed: int,
        network: Callable[..., Controller],
        critic: Callable[..., Critic],
        optimizer: Callable[[Iterable[Any]], torch.optim.Optimizer],
        iterations: int,
        batch_size: int = 64,
        critic_steps: int = 20,
        penalty: float = 0.1,
        pack: int = 1,
        rare_share: float = 0.0,
        samples_tvd: int = 500_000,
    ) -> None:
        super().__init__()
        for name, value in (("iterations", iterations), ("samples_tvd", samples_tvd)):
            if value < 1:
                raise ConfigError(f"model.controller.{name} is {value}. Expected 1 or more.")
        self.seed, self.samples_tvd = seed, samples_tvd
        self.iterations = iterations
        self.network = network(graph=graph)
        self.critic = critic(inputs=pack * len(graph))
        self.network.initialise([example_rng(seed, "controller weights", 0)])
        self.critic.initialise([example_rng(seed, "critic weights", 0)])
        self.optimizer = optimizer
        self.rare_share = rare_share
        self._duel = Duel(self.network, self.critic, [seed], batch_size, critic_steps, penalty, pack)
        self._rows: RealRows | None = None

    def learn_from(self, rows: np.ndarray) -> None:
        """Take labels (N, n) of 0 and 1 as the real ones."""
        self._rows = RealRows(torch.from_numpy(np.ascontiguousarray(rows)).to(self.critic.flat.device), self.rare_share)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """One for the controller, one for the critic."""
        return [self.optimizer(self.network.parameters()), self.optimizer(self.critic.parameters())]

    def train_once(self, t: int, controller: Any, critic: Any, announce: Callable[[Tensor], None]) -> Tensor:
        """Iteration t, from 0.

        Args:
            t: which one.
            controller, critic: the optimisers.
            announce: called once, with the critic's loss, before the joint step.

        Returns:
            the critic's loss () of the joint step.
        """
        if self._rows is None:
            raise RuntimeError("learn_from() has not been called")
        if self._rows.labels.device != self.critic.flat.device:  # the networks were moved after the data were read
            self._rows = RealRows(self._rows.labels.to(self.critic.flat.device), self.rare_share)
        with torch.autocast(self.critic.flat.device.type, enabled=False):
            draws = self._duel.draw(t, self._rows)
            return self._duel.play(draws, self._rows, critic.step, controller.step, announce)[0]

    def measure(self, law: LabelLaw) -> tuple[dict[str, float], list[str]]:
        """How the labels that the controller draws differ from the data's.

        Args:
            law: of the training labels.

        Returns:
            `tvd` (combinations that the data lack are left out, as released), `tvd_all` (all are counted),
            `lost_labels`, and P(label = 1) as `marginal/mustache`; and a sentence for each label that is lost.
        """
        counted = count_draws(self.network, self.samples_tvd, [self.seed])[0]
        drawn = counted.law(law.names)
        lost = lost_labels(drawn, law)
        found = distances_of(counted, law) | {"lost_labels": float(len(lost))}
        found |= {f"marginal/{snake(name)}": drawn.marginal(name) for name in law.names}
        words = [
            f"the controller draws {name}=1 in {drawn.marginal(name):.5f} of the rows, the data have "
            f"{law.marginal(name):.5f}: it is lost or about to be, so the images hardly show it. Remedies: "
            "model.controller.rare_share, model.controller.pack, or more iterations."
            for name in lost
        ]
        return found, words
