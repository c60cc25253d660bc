"""What CausalGAN and CausalBEGAN share as Lightning modules: labels, two stages, validation, drawing images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.metrics.base import Mean
from reprise.metrics.labels.distance import intra_label_distance
from reprise.metrics.labels.judge import JudgeSettings
from reprise.models.adversarial.announce import announce, require_whole_networks
from reprise.models.adversarial.evaluating import EvaluatedModule
from reprise.models.adversarial.labels import LabelNoise
from reprise.models.adversarial.networks import LabelledNetworks
from reprise.models.adversarial.over_time import DistancesOverTime
from reprise.models.adversarial.rounds import Round, rounds_of
from reprise.models.adversarial.source import LabelsFrom, LabelSource, training_labels
from reprise.models.adversarial.stage import ControllerStage
from reprise.models.adversarial.tally import Tally
from reprise.nn.causal.choices import columns_of
from reprise.nn.causal.graph import CausalGraph
from reprise.samples.base import Sample


class LabelledGAN(EvaluatedModule):
    """A generator of images with labels of a causal graph, trained against other networks by hand.

    `trainer.max_steps` counts iterations, one batch of real images each, whatever the networks do in them; Lightning's
    own `global_step` counts the steps of all optimisers together. What is drawn for an example depends on the seed and
    its position in the stream alone, so that two processes draw what one does.

    Args:
        networks: with `generator(z, code)`, `labeler(images)`, `shape` and `noise`.
        graph: over the labels; the data have to have these by name.
        optimizer: optimiser class with its settings, waiting for parameters; each network has one of its own.
        seed: decides all draws.
        labels_from: where the generator's labels come from: controller, law or data; see LabelSource.
        controller: the first stage, waiting for graph and seed; only where labels come from a controller. Its
            iterations come first, and are counted with the others.
        label_noise: none, as_released or as_meant; see `labels.noisy`.
        samples: images of a grid after each validation; 0 for none.
        shown_labels: labels of which images under do() and under the condition are shown; None for those with parents.
        sampling_batch: images drawn at once.
        judge: how a judge is trained that looks at the images when a run is evaluated; None for no judge.
        examined: images that it looks at, of each condition and each intervention.
        measured_iterations: iterations of the image networks, after which the distance within labels is measured.
        training_images: how many the protocol has; other data are refused. None to take what there is.

    Raises:
        ConfigError: a number or a name is none of those expected.
    """

    title: ClassVar[str] = "this model"
    logged: ClassVar[tuple[str, ...]] = ()  # what `train_images` gives

    def __init__(
        self,
        networks: LabelledNetworks,
        graph: CausalGraph,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        seed: int,
        labels_from: LabelsFrom,
        controller: Callable[..., ControllerStage] | None,
        label_noise: LabelNoise,
        samples: int,
        shown_labels: list[str] | None,
        sampling_batch: int,
        judge: JudgeSettings | None,
        examined: int,
        measured_iterations: Sequence[int],
        training_images: int | None,
    ) -> None:
        super().__init__(networks, graph, label_noise, sampling_batch)
        self.automatic_optimization = False
        for key, value, least in (("samples", samples, 0), ("examined", examined, 1)):
            if value < least:
                raise ConfigError(f"model.{key} is {value}. Expected {least} or more.")
        self.optimizer = optimizer
        self.seed = seed
        self.stage: ControllerStage | None = None
        if labels_from == "controller":
            if controller is None:
                raise ConfigError("model.labels_from=controller needs model.controller, the settings of one.")
            self.stage = controller(graph=graph, seed=seed)
        self.source = LabelSource(graph, labels_from, None if self.stage is None else self.stage.network)
        self.count, self.judge, self.examined = samples, judge, examined
        self.training_images = training_images
        self.distances = DistancesOverTime(measured_iterations)
        self._found: set[str] = set()  # names of what only some evaluations have
        with_parents = [name for name in graph.names if graph.parents(name)]
        self.shown_labels = with_parents if shown_labels is None else shown_labels
        for name in self.shown_labels:
            graph.index(name)
        self.register_buffer("iteration", torch.zeros((), dtype=torch.int64))
        self.iteration: Tensor
        self.tally = Tally([*self.logged, *(["critic_loss"] if self.stage is not None else [])])
        self.columns: list[int] = []
        self.labeler_loss, self.labeler_accuracy = Mean(), Mean()
        self.samples: list[Sample] = []  # of the last validation or test

    # what a model gives

    @abstractmethod
    def players(self) -> list[list[nn.Parameter]]:
        """Parameters of each optimiser, in the order of `optimizers()`."""

    @abstractmethod
    def train_images(self, real: Tensor, labels: Tensor, batch: dict[str, Any], t: int) -> dict[str, Tensor]:
        """Change the weights once and announce a loss; give numbers to be logged.

        Args:
            real: (B, C, S, S) in [-1, 1].
            labels: (B, n) of 0 and 1.
            batch: as the data give it.
            t: iterations of the image networks so far.
        """

    # training

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """One iteration."""
        t, first = int(self.iteration), self.first_stage
        if t % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._log_means()  # of the iterations before, now that they are counted
        if self.stage is not None and t < first:
            optimizers: Any = self.optimizers()
            controller, critic = optimizers[-2:]
            loss = self.stage.train_once(t, controller, critic, lambda loss: announce(self, loss))
            found = {"critic_loss": loss}
        else:
            real, labels = self.scaled(batch["image"]), batch["attributes"][:, self.columns].float()
            found = self.train_images(real, labels, batch, t - first)
        self.iteration += 1
        self.tally.add(found)
        if self.stage is not None and t + 1 == first:
            self._log_now({f"train/{name}": value for name, value in self.measure_stage(self.stage).items()})
        if self.distances.is_due(t + 1 - first):
            images, labels, _ = self.draw_and_read()
            distance = intra_label_distance(images, labels, self.graph.names)
            self.distances.note(t + 1 - first, distance)
            self._log_now({"train/intra_label_distance": distance})

    def on_train_end(self) -> None:
        """Log what the last iterations leave."""
        self._log_means()

    def _log_means(self) -> None:
        self._log_now({f"train/{name}": value for name, value in self.tally.take().items()})

    def _log_now(self, values: dict[str, float]) -> None:
        for logger in self.trainer.loggers if values else ():
            logger.log_metrics(values, step=int(self.iteration))

    def rounds(self, positions: Sequence[int], count: int, device: torch.device) -> tuple[Tensor, list[Round]]:
        """All that is drawn for a batch; see `rounds_of`."""
        return rounds_of(self, self.seed, positions, count, device)

    def configure_optimizers(self) -> Any:
        """Build an optimiser for each player, and behind them those of controller and critic."""
        of_images = [self.optimizer(parameters) for parameters in self.players()]
        return of_images if self.stage is None else of_images + self.stage.optimizers()

    def setup(self, stage: str) -> None:
        """Find the labels of the graph among those of the data, and learn their law.

        Raises:
            ConfigError: the data lack one of them, or are others than the protocol's.
        """
        datamodule: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        self.columns = columns_of(self.graph.names, getattr(datamodule, "attributes", None))
        if stage == "fit":
            true_law = getattr(datamodule, "true_law", None)
            rows = training_labels(datamodule, self.columns)
            self._check_data(len(rows))
            self.source.learn(rows, true_law)
            if self.stage is not None:
                self.stage.learn_from(rows)

    def _check_data(self, found: int) -> None:
        if self.training_images not in (None, found):
            raise ConfigError(
                f"the data have {found} training images, and the protocol has {self.training_images}. Give the whole "
                f"data set, or set model.training_images={found}, which is recorded as a deviation."
            )

    def configure_callbacks(self) -> list[pl.Callback]:
        """Refuse trainers that cannot go together with updates by hand, before Lightning refuses some in other words.

        Raises:
            ConfigError: micro-batches, sharded weights, or clipping of gradients.
        """
        require_whole_networks(self, self.title)
        if self.trainer.gradient_clip_val:
            raise ConfigError(
                f"{self.title} takes its steps by hand and does not clip gradients. Set trainer.gradient_clip_val=null."
            )
        return []
