"""CausalGAN as a LightningModule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.metrics.labels.judge import JudgeSettings
from reprise.models.adversarial.announce import announce
from reprise.models.adversarial.batch_norm import unnoted
from reprise.models.adversarial.labels import LabelNoise, noisy
from reprise.models.adversarial.module import LabelledGAN
from reprise.models.adversarial.networks import networks_of
from reprise.models.adversarial.rounds import Round
from reprise.models.adversarial.source import LabelsFrom
from reprise.models.adversarial.stage import ControllerStage
from reprise.models.adversarial.stepping import gradients_of, mean_over_processes, update
from reprise.models.causalgan.network import Networks
from reprise.models.causalgan.objective import (
    Form,
    GANTerm,
    anti_labeler_loss,
    anti_labeler_weight,
    discriminator_loss,
    generator_loss,
    labeler_loss,
)
from reprise.nn.causal.graph import CausalGraph


class CausalGAN(LabelledGAN):
    """Images of labels that can be intervened on, by a GAN with a Labeler and an Anti-Labeler.

    An iteration is what the released code counts: `generator_steps` steps of the generator, each with labels and noise
    of its own, and on every `critic_every`-th iteration, the first one included, before them a step of discriminator,
    Labeler and Anti-Labeler: 6 : 1 : 1 with the released 2 and 3. `trainer.max_steps` counts
    these; Lightning's `global_step` counts 3 steps for each of them on the mean (all optimisers' together).

    Args:
        network: the networks, waiting for the number of labels.
        graph: over the labels; the data have to have these by name.
        optimizer: optimiser class with its settings; each of the four networks has one of its own.
        seed: decides all draws.
        labels_from: where the generator's labels come from: controller, law or data; see LabelSource.
        controller: the first stage, waiting for graph and seed; only where labels come from a controller.
        label_noise: none (labels are given as -1 and 1), as_released or as_meant; see `labels.noisy`.
        form: which way round the label losses are: orthodox, or as_released; see `objective.label_loss`.
        gan_term: of the generator: non_saturating, log_ratio (the paper's) or minimax.
        anti_labeler: whether there is an Anti-Labeler's term; without it, it is not trained either.
        anti_labeler_decay: T of its weight exp(-t / T), in iterations; None for 1 for ever, as in the theory.
        label_weight: of the labelers' terms in the generator's loss, which are means over labels; as many as there are
            labels gives their sums.
        generator_steps: in an iteration.
        critic_every: iterations from one step of discriminator and labelers to the next.
        samples: images of a grid after each validation; 0 for none.
        shown_labels: labels of which images under do() and under the condition are shown; None for those with parents.
        sampling_batch: images drawn at once; with running statistics it does not change them.
        judge: how a judge is trained that looks at the images when a run is evaluated; None for no judge.
        examined: images that it looks at, of each condition and each intervention.
        measured_iterations: iterations of the image networks, after which the distance within labels is measured.
        training_images: how many the protocol has; other data are refused. None to take what there is.

    Raises:
        ConfigError: a number is out of range, choices do not go together, or the networks are another model's.
    """

    title = "CausalGAN"
    logged = ("discriminator_loss", "labeler_loss", "anti_labeler_loss", "generator_loss", "anti_labeler_weight")

    def __init__(
        self,
        network: Callable[..., object],
        graph: CausalGraph,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        seed: int,
        labels_from: LabelsFrom = "law",
        controller: Callable[..., ControllerStage] | None = None,
        label_noise: LabelNoise = "none",
        form: Form = "orthodox",
        gan_term: GANTerm = "non_saturating",
        anti_labeler: bool = True,
        anti_labeler_decay: float | None = 3000.0,
        label_weight: float = 1.0,
        generator_steps: int = 2,
        critic_every: int = 3,
        samples: int = 64,
        shown_labels: list[str] | None = None,
        sampling_batch: int = 64,
        judge: JudgeSettings | None = None,
        examined: int = 1000,
        measured_iterations: Sequence[int] = (),
        training_images: int | None = None,
    ) -> None:
        for name, value in (("generator_steps", generator_steps), ("critic_every", critic_every)):
            if value < 1:
                raise ConfigError(f"model.{name} is {value}. Expected 1 or more.")
        if anti_labeler_decay is not None and anti_labeler_decay <= 0:
            raise ConfigError(f"model.anti_labeler_decay is {anti_labeler_decay}. Expected more than 0, or null.")
        if form == "as_released" and label_noise == "none":
            raise ConfigError(
                "model.form=as_released takes the logit of a label, which labels of 0 and 1 have none of. Add "
                "model.label_noise=as_released (or as_meant)."
            )
        if label_weight <= 0:
            raise ConfigError(f"model.label_weight is {label_weight}. Expected more than 0.")
        networks = networks_of("causalgan", Networks, network, len(graph))
        super().__init__(
            networks,
            graph,
            optimizer,
            seed,
            labels_from,
            controller,
            label_noise,
            samples,
            shown_labels,
            sampling_batch,
            judge,
            examined,
            measured_iterations,
            training_images,
        )
        self.network: Networks = networks
        self.form: Form = form
        self.gan_term: GANTerm = gan_term
        self.anti_labeler_decay = anti_labeler_decay
        self.with_anti_labeler = anti_labeler
        self.label_weight = label_weight
        self.generator_steps = generator_steps
        self.critic_every = critic_every

    def players(self) -> list[list[nn.Parameter]]:
        """Generator, discriminator, Labeler and, where there is one, Anti-Labeler."""
        networks = self.network
        players: list[nn.Module] = [networks.generator, networks.discriminator, networks.labeler]
        if self.with_anti_labeler:
            players.append(networks.anti_labeler)
        return [list(player.parameters()) for player in players]

    def train_images(self, real: Tensor, labels: Tensor, batch: dict[str, Any], t: int) -> dict[str, Tensor]:
        """Steps of the judges where it is their turn, then of the generator."""
        u, rounds = self.rounds(batch["position"].tolist(), 1 + self.generator_steps, real.device)
        found: dict[str, Tensor] = {}
        if t % self.critic_every == 0:
            believed = noisy(labels.cpu(), u, self.label_noise).to(real.device)
            found |= self._train_judges(real, believed, rounds[0])
        for i, one in enumerate(rounds[1:]):
            loss = self._generator_loss(one, t)
            gradients = gradients_of(loss, self.players()[0])
            if i == self.generator_steps - 1:
                announce(self, loss)  # the last loss of an iteration shows what went wrong in any of its steps
            update(self._optimizer(0), self.players()[0], gradients)
            found["generator_loss"] = loss
        values = mean_over_processes(*found.values())
        weight = anti_labeler_weight(t, self.anti_labeler_decay) if self.with_anti_labeler else 0.0
        return dict(zip(found, values, strict=True)) | {"anti_labeler_weight": torch.tensor(weight)}

    def _train_judges(self, real: Tensor, labels: Tensor, fake: Round) -> dict[str, Tensor]:
        """One step of discriminator, Labeler and Anti-Labeler, of the same images of the generator."""
        networks = self.network
        with torch.no_grad():
            images = networks.generator(fake.z, fake.code)
        losses = {
            "discriminator_loss": discriminator_loss(networks.discriminator(real), networks.discriminator(images)),
            "labeler_loss": labeler_loss(networks.labeler(real), labels),
        }
        if self.with_anti_labeler:
            losses["anti_labeler_loss"] = anti_labeler_loss(networks.anti_labeler(images), fake.believed, self.form)
        for i, loss in enumerate(losses.values(), start=1):
            update(self._optimizer(i), self.players()[i], gradients_of(loss, self.players()[i]))
        return losses

    def _generator_loss(self, one: Round, t: int) -> Tensor:
        networks = self.network
        images = networks.generator(one.z, one.code)
        with unnoted(networks.labeler):  # its moving averages are of real images, by which it is evaluated
            read = networks.labeler(images)
        return generator_loss(
            networks.discriminator(images),
            read,
            networks.anti_labeler(images) if self.with_anti_labeler else None,
            one.believed,
            anti_labeler_weight(t, self.anti_labeler_decay),
            self.gan_term,
            self.form,
            self.label_weight,
        )

    def _optimizer(self, i: int) -> Any:
        return self.optimizers()[i]  # type: ignore[index]
