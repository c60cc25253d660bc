"""One iteration of the controller against its critic."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.models.causal_controller.critic import Critic, CriticGradient, Layers
from reprise.models.causal_controller.draws import Draws, RealRows, draw_iteration
from reprise.models.causal_controller.network import Controller


class Duel:
    """Some steps of the critic, then one joint step of both on the same batch, both with the gradients before it.

    The controller stays as it is during the critic's own steps, so their fake rows are drawn in one pass.

    Args:
        controller: G.
        critic: D, of `pack` times as many inputs as there are labels.
        seeds: of the draws, one a replica.
        batch_size: B.
        critic_steps: before the joint one.
        penalty: lambda.
        pack: rows that the critic sees as one, so that it can tell a batch without variety (Lin et al. 2018, PacGAN).

    Raises:
        ConfigError: a number is out of range, or the batch does not divide into packs.
    """

    def __init__(
        self,
        controller: Controller,
        critic: Critic,
        seeds: list[int],
        batch_size: int,
        critic_steps: int,
        penalty: float,
        pack: int = 1,
    ) -> None:
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("critic_steps", critic_steps, 0),
            ("penalty", penalty, 0),
            ("pack", pack, 1),
        ):
            if value < least:
                raise ConfigError(f"model.{name} is {value}. Expected {least} or more.")
        if batch_size % pack:
            raise ConfigError(f"model.batch_size={batch_size} does not divide into packs of model.pack={pack} rows.")
        self.controller, self.critic, self.seeds = controller, critic, seeds
        self.batch_size, self.critic_steps, self.penalty, self.pack = batch_size, critic_steps, penalty, pack
        self._weights = list(controller.parameters())

    def draw(self, iteration: int, rows: RealRows) -> Draws:
        """What iteration `iteration`, from 0, draws."""
        node_noise = len(self.controller.graph), self.controller.noise_dims
        return draw_iteration(
            self.seeds, iteration, rows, self.critic_steps + 1, self.batch_size, node_noise, self.pack
        )

    def play(
        self,
        draws: Draws,
        rows: RealRows,
        step_critic: Callable[[], object],
        step_controller: Callable[[], object],
        announce: Callable[[Tensor], None] = lambda loss: None,
    ) -> Tensor:
        """Do one iteration.

        Args:
            draws: of `draw`.
            rows: from which real ones are taken.
            step_critic: steps the critic's optimiser, whose gradient is `critic.flat.grad`.
            step_controller: steps the controller's, likewise.
            announce: called once, before the joint step, with the critic's loss () of it, mean over replicas.

        Returns:
            the critic's loss of the joint step, (R,).
        """
        real = rows.labels[draws.places]
        weights = None if rows.weights is None else self._packed_weights(rows.weights[draws.places])
        with torch.no_grad():
            layers = self.critic.layers()
            fake = self._draw_ahead(draws.noise[:, :-1])
        for step in range(self.critic_steps):
            found = self._gradient(real, fake[:, step], draws, weights, step, layers)
            self.critic.flat.grad = found.weights
            step_critic()
        fake = self.controller(draws.noise[:, -1])
        found = self._gradient(real, fake.detach(), draws, weights, self.critic_steps, layers)
        # the controller's loss is -E D(fake); the critic's gradient by fake rows is at hand
        gradients = torch.autograd.grad(fake, self._weights, -found.fake.reshape(fake.shape), allow_unused=True)
        announce(found.loss.mean())
        self.critic.flat.grad = found.weights
        step_critic()
        for weight, gradient in zip(self._weights, gradients, strict=True):
            weight.grad = gradient
        step_controller()
        return found.loss

    def _draw_ahead(self, noise: Tensor) -> Tensor:
        """Fake rows (R, S, B, n) of noise (R, S, B, n, d)."""
        r, s, b, n, d = noise.shape
        if s == 0:
            return noise.new_zeros(r, 0, b, n)
        return self.controller(noise.reshape(r, s * b, n, d)).view(r, s, b, n)

    def _gradient(
        self, real: Tensor, fake: Tensor, draws: Draws, weights: Tensor | None, step: int, layers: Layers
    ) -> CriticGradient:
        weight = None if weights is None else weights[:, step]
        return self.critic.gradient(
            self._packed(real[:, step]), self._packed(fake), draws.alpha[:, step], self.penalty, weight, layers
        )

    def _packed(self, rows: Tensor) -> Tensor:
        """Rows (R, B, n) as packs (R, B / pack, pack n)."""
        return rows if self.pack == 1 else rows.reshape(len(rows), self.batch_size // self.pack, -1)

    def _packed_weights(self, weights: Tensor) -> Tensor:
        """Weights (R, S, B) of rows as those of packs (R, S, B / pack): rows are independent, so their product."""
        return weights if self.pack == 1 else weights.unflatten(-1, (-1, self.pack)).prod(-1)
