"""CausalBEGAN as a LightningModule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.metrics.labels.judge import JudgeSettings
from reprise.models.adversarial.announce import announce
from reprise.models.adversarial.labels import LabelNoise
from reprise.models.adversarial.module import LabelledGAN
from reprise.models.adversarial.networks import networks_of
from reprise.models.adversarial.source import LabelsFrom
from reprise.models.adversarial.stage import ControllerStage
from reprise.models.adversarial.stepping import gradients_of, mean_over_processes, update
from reprise.models.causalbegan.network import Networks
from reprise.models.causalbegan.objective import (
    Errors,
    LabelLoss,
    convergence,
    discriminator_loss,
    generator_loss,
    image_error,
    label_error,
    margins,
    next_weights,
    shown_loss,
)
from reprise.nn.causal.graph import CausalGraph


class CausalBEGAN(LabelledGAN):
    """Images of labels that can be intervened on, by a BEGAN with a Labeler, balanced by three margins.

    In an iteration generator, auto-encoder and Labeler take one step each, of gradients at the same weights.
    `trainer.max_steps` counts iterations; Lightning's `global_step` counts two for each of them, since auto-encoder and
    Labeler, which share a loss, share an optimiser.

    Args:
        network: the networks, waiting for the number of labels.
        graph: over the labels; the data have to have these by name.
        optimizer: optimiser class with its settings; the generator has one, auto-encoder and Labeler have another.
        seed: decides all draws.
        labels_from: where the generator's labels come from: controller, law or data; see LabelSource.
        controller: the first stage, waiting for graph and seed; only where labels come from a controller.
        lr_schedule: learning-rate schedule waiting for an optimiser, stepped once an iteration.
        gamma: gamma_1, gamma_2 and gamma_3 of the margins.
        lambdas: how fast c_1, c_2 and c_3 follow the margins.
        first_weights: c_1, c_2 and c_3 before the first iteration.
        third_margin: whether the generator's label loss is weighted by c_3; else its weight is 1.
        label_loss: square, or cross_entropy: what the generator pays for labels that are not seen; see `shown_loss`.
            The Labeler and the margins have the square.
        convergence_as_released: add the Labeler's error on real images to M, as the released code does.
        samples: images of a grid after each validation; 0 for none.
        shown_labels: labels of which images under do() and under the condition are shown; None for those with parents.
        sampling_batch: images drawn at once; it does not change them.
        judge: how a judge is trained that looks at the images when a run is evaluated; None for no judge.
        examined: images that it looks at, of each condition and each intervention.
        measured_iterations: iterations of the image networks, after which the distance within labels is measured.
        training_images: how many the protocol has; other data are refused. None to take what there is.

    Raises:
        ConfigError: a number is out of range, or the networks are another model's.
    """

    title = "CausalBEGAN"
    logged = (*Errors._fields, "b_1", "b_2", "b_3", "c_1", "c_2", "c_3", "convergence")

    def __init__(
        self,
        network: Callable[..., object],
        graph: CausalGraph,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        seed: int,
        labels_from: LabelsFrom = "law",
        controller: Callable[..., ControllerStage] | None = None,
        lr_schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
        gamma: list[float] | tuple[float, float, float] = (0.5, 0.5, 0.5),
        lambdas: list[float] | tuple[float, float, float] = (1e-3, 8e-5, 1e-2),
        first_weights: list[float] | tuple[float, float, float] = (0.0, 0.0, 0.0),
        third_margin: bool = True,
        label_loss: LabelLoss = "square",
        convergence_as_released: bool = False,
        samples: int = 64,
        shown_labels: list[str] | None = None,
        sampling_batch: int = 64,
        judge: JudgeSettings | None = None,
        examined: int = 1000,
        measured_iterations: Sequence[int] = (),
        training_images: int | None = None,
    ) -> None:
        for name, values in (("gamma", gamma), ("lambdas", lambdas)):
            if len(values) != 3 or min(values) < 0:
                raise ConfigError(f"model.{name} is {list(values)}. Expected three numbers of 0 or more.")
        if len(first_weights) != 3 or min(first_weights) < 0 or max(first_weights) > 1:
            raise ConfigError(f"model.first_weights is {list(first_weights)}. Expected three numbers from 0 to 1.")
        if label_loss not in get_args(LabelLoss):
            raise ConfigError(f"model.label_loss is {label_loss!r}. Expected {' or '.join(get_args(LabelLoss))}.")
        networks = networks_of("causalbegan", Networks, network, len(graph))
        noise: LabelNoise = "none"
        super().__init__(
            networks,
            graph,
            optimizer,
            seed,
            labels_from,
            controller,
            noise,
            samples,
            shown_labels,
            sampling_batch,
            judge,
            examined,
            measured_iterations,
            training_images,
        )
        self.network: Networks = networks
        self.lr_schedule = lr_schedule
        self.gamma = (float(gamma[0]), float(gamma[1]), float(gamma[2]))
        self.lambdas = (float(lambdas[0]), float(lambdas[1]), float(lambdas[2]))
        self.third_margin = third_margin
        self.label_loss = label_loss
        self.convergence_as_released = convergence_as_released
        self.register_buffer("c", torch.tensor([float(c) for c in first_weights]))  # c_1, c_2, c_3
        self.c: Tensor

    def code(self, labels: Tensor) -> Tensor:
        """The labels themselves, 0 and 1."""
        return labels.float()

    def players(self) -> list[list[nn.Parameter]]:
        """The generator; auto-encoder and Labeler."""
        judges = [*self.network.discriminator.parameters(), *self.network.labeler.parameters()]
        return [list(self.network.generator.parameters()), judges]

    def configure_optimizers(self) -> Any:
        """Build the two optimisers, and their schedules where there is one."""
        optimizers = super().configure_optimizers()
        if self.lr_schedule is None:
            return optimizers
        return optimizers, [self.lr_schedule(optimizer) for optimizer in optimizers[:2]]

    def train_images(self, real: Tensor, labels: Tensor, batch: dict[str, Any], t: int) -> dict[str, Tensor]:
        """One step of everything, then the margins."""
        networks, (generator, judges) = self.network, self.players()
        _, (one,) = self.rounds(batch["position"].tolist(), 1, real.device)
        # 1. what the networks make of real and of generated images
        fake = networks.generator(one.z, one.code)
        seen = networks.labeler(fake)
        errors = Errors(
            image_error(networks.discriminator(real), real),
            image_error(networks.discriminator(fake), fake),
            label_error(labels, networks.labeler(real)),
            label_error(one.believed, seen),
        )
        # 2. gradients of both losses at the same weights
        loss_d = discriminator_loss(errors, self.c)
        shown = shown_loss(one.believed, seen, self.label_loss)
        loss_g = generator_loss(errors.image_fake, shown, self.c, self.third_margin)
        for_judges = gradients_of(loss_d, judges, keep=True)
        for_generator = gradients_of(loss_g, generator)
        announce(self, loss_d + loss_g)
        # 3. steps
        optimizers: Any = self.optimizers()
        update(optimizers[0], generator, for_generator)
        update(optimizers[1], judges, for_judges)
        if self.lr_schedule is not None:
            for schedule in self.lr_schedulers():  # type: ignore[union-attr]
                schedule.step()  # type: ignore[union-attr]
        # 4. margins of the global batch, and how they move the weights
        errors = Errors(*mean_over_processes(*errors))
        b = margins(errors, self.gamma)
        self.c.copy_(next_weights(self.c, b, self.lambdas))
        return {
            **errors._asdict(),
            **{f"b_{j}": value for j, value in enumerate(b, start=1)},
            **{f"c_{j}": value for j, value in enumerate(self.c.clone(), start=1)},
            "convergence": convergence(errors, b, self.convergence_as_released),
        }
