"""`reprise generate` for models of labelled images: labels as they come, set, asked for, or moved."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.models.adversarial.batch_norm import normalised_by
from reprise.models.adversarial.labels import LabelNoise, encoded, moved, noisy
from reprise.models.adversarial.networks import LabelledNetworks
from reprise.models.adversarial.showing import samples_of, whole_numbers
from reprise.models.adversarial.source import Kind, LabelSource
from reprise.nn.causal.choices import values_of
from reprise.nn.causal.graph import CausalGraph
from reprise.nn.randomness import ExampleDraws
from reprise.samples.base import Sample
from reprise.samples.captioned import CaptionedGrid
from reprise.samples.labels import words_of_row

_COMPANY = 64  # images of the batch whose statistics stand for those of the batch at hand, as many as in training


class GeneratingModule(pl.LightningModule):
    """Draws labels from its source, and images of them.

    Args:
        networks: with a generator and a Labeler.
        graph: over the labels.
        label_noise: see `labels.noisy`.
        sampling_batch: images drawn at once.

    Raises:
        ConfigError: a choice is none of those expected.
    """

    source: LabelSource

    def __init__(
        self, networks: LabelledNetworks, graph: CausalGraph, label_noise: LabelNoise, sampling_batch: int
    ) -> None:
        super().__init__()
        if label_noise not in ("none", "as_released", "as_meant"):
            raise ConfigError(f"model.label_noise is {label_noise!r}. Expected 'none', 'as_released' or 'as_meant'.")
        if sampling_batch < 1:
            raise ConfigError(f"model.sampling_batch is {sampling_batch}. Expected 1 or more.")
        self.network = networks
        self.shape, self.noise = networks.shape, networks.noise
        self.graph = graph
        self.label_noise: LabelNoise = label_noise
        self.generation_batch = self.sampling_batch = sampling_batch
        self._moved: list[Tensor] = []  # what each `generate` since the last overview moved, (B, steps, C, S, S)

    def code(self, labels: Tensor) -> Tensor:
        """The numbers that the generator is given for labels (B, n) in [0, 1]."""
        return encoded(labels, self.label_noise)

    def draw_labels(self, count: int, kind: Kind, values: dict[str, int], generator: torch.Generator) -> Tensor:
        """Labels as they are observed, under a condition or under an intervention.

        Args:
            count: of rows.
            kind: observe, given or do.
            values: labels that the condition asks for, or that are set; empty for observe.
            generator: on the CPU.

        Returns:
            (count, n) uint8 in the order of `graph.names`, on the CPU.

        Raises:
            ConfigError: an unknown kind or label.
            DataError: the condition has probability 0.
            RunError: a controller does not draw the condition.
        """
        self._check_kind(kind, values)
        if kind == "given" and values:
            return self.source.conditioned(count, lambda rows: self._uniform(rows, generator), values)
        return self._labels_of(self._uniform(count, generator), kind, values)

    def labels_for(self, seed: int, keys: Sequence[int], kind: Kind, values: dict[str, int]) -> Tensor:
        """As `draw_labels`, a row for each key, which is a function of the seed and this key alone."""
        self._check_kind(kind, values)
        if kind != "given" or not values:
            u = ExampleDraws(seed, "generate labels", keys).uniform(self.source.width)
            return self._labels_of(u, kind, values)
        return torch.cat([self._given_for(seed, key, values) for key in keys])

    def _given_for(self, seed: int, key: int, values: dict[str, int]) -> Tensor:
        draws = ExampleDraws(seed, "generate labels", [key])
        return self.source.conditioned(1, lambda rows: draws.uniform(rows, self.source.width)[0], values)

    def _labels_of(self, u: Tensor, kind: Kind, values: dict[str, int]) -> Tensor:
        return self.source.intervened(u, values) if kind == "do" and values else self.source.observed(u)

    def _check_kind(self, kind: Kind, values: dict[str, int]) -> None:
        if kind not in ("observe", "given", "do"):
            raise ConfigError(f"labels are drawn by {kind!r}. Expected 'observe', 'given' or 'do'.")
        for name in values:
            self.graph.index(name)

    def _uniform(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.rand(count, self.source.width, generator=generator, dtype=torch.float64)

    def images_of(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Images of labels, with statistics of evaluation.

        Args:
            labels: (B, n) of 0 and 1, in the order of `graph.names`.
            generator: on the CPU.

        Returns:
            (B, C, S, S) in [-1, 1], on the module's device.
        """
        width = self.noise + 2 * labels.shape[1]
        u = torch.rand(len(labels), width, generator=generator, dtype=torch.float64)
        return self.images_by(labels, u)

    @torch.no_grad()
    def images_by(self, labels: Tensor, u: Tensor) -> Tensor:
        """Images of labels, of uniform numbers (B, noise + 2 n): z, then what the labels' noise takes.

        Labels between 0 and 1 are taken as they are, without noise.
        """
        n, device = labels.shape[1], self.device
        z, noise = u.split([u.shape[1] - 2 * n, 2 * n], 1)
        if labels.is_floating_point():
            believed = moved(labels, self.label_noise)
        else:
            believed = noisy(labels.cpu(), noise.unflatten(1, (2, n)).transpose(0, 1), self.label_noise)
        code = self.code(believed).float().to(device)
        parts = zip(
            (2.0 * z - 1.0).float().to(device).split(self.sampling_batch), code.split(self.sampling_batch), strict=True
        )
        with self._evaluating(), normalised_by(self.network.generator, self._observed_batch):
            made = [self.network.generator(*part) for part in parts]
        return torch.cat(made).float().clamp(-1.0, 1.0)

    def _observed_batch(self) -> Tensor:
        """Images of a batch of observed labels, always of the same draws."""
        generator, n = torch.Generator().manual_seed(0), len(self.graph)
        labels = self.draw_labels(_COMPANY, "observe", {}, generator)
        u = torch.rand(_COMPANY, self.noise + 2 * n, generator=generator, dtype=torch.float64)
        z, noise = u.split([self.noise, 2 * n], 1)
        code = self.code(noisy(labels, noise.unflatten(1, (2, n)).transpose(0, 1), self.label_noise))
        images: Tensor = self.network.generator((2.0 * z - 1.0).float().to(self.device), code.float().to(self.device))
        return images

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[None]:
        training = self.network.training
        self.network.eval()
        try:
            yield
        finally:
            self.network.train(training)

    def inputs_for(self) -> Literal["none"]:
        """What has to be given to `generate`: nothing."""
        return "none"

    def generate(
        self,
        conditions: list[Any],
        *,
        seed: int = 0,
        do: dict[str, Any] | str | None = None,
        given: dict[str, Any] | str | None = None,
        sweep: str | None = None,
        sweep_steps: int = 8,
        keys: list[int] | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> list[Tensor]:
        """Draw images of labels.

        Args:
            conditions: None for each image.
            seed: equal seeds give equal images.
            do: labels that are set, e.g. do={Mustache:1}; their causes stay as they were, their effects follow.
            given: labels that the others are drawn with, e.g. given={Mustache:1}.
            sweep: a label that is moved from 0 to 1 with everything else as it is; one picture shows the way, the files
                hold the images at 1.
            sweep_steps: images on that way.
            keys: one number per image that, with the seed, decides its labels and noise; by default its place.
            on_step: not called, since there is one step.

        Returns:
            (C, S, S) whole numbers each.

        Raises:
            ConfigError: an unknown label, a value that is neither 0 nor 1, or do and given at once.
            DataError: the condition has probability 0.
            RunError: a controller does not draw the condition.
        """
        if any(condition is not None for condition in conditions):
            raise ConfigError("images are given, and these are drawn of labels. Leave out input.")
        keys = list(range(len(conditions))) if keys is None else keys
        kind, values = self._asked(do, given)
        labels = self.labels_for(seed, keys, kind, values)
        u = ExampleDraws(seed, "generate images", keys).uniform(self.noise + 2 * len(self.graph))
        if sweep is None:
            return list(whole_numbers(self.images_by(labels, u), self.shape.levels).cpu())
        way = self.swept(labels, u, sweep, sweep_steps)
        self._moved.append(way)
        return list(way[:, -1])

    def swept(self, labels: Tensor, u: Tensor, name: str, steps: int) -> Tensor:
        """Images (B, steps, C, S, S), whole numbers, of one label moved from 0 to 1 with all noise as it is.

        Args:
            labels: (B, n) of 0 and 1.
            u: (B, noise + 2 n) uniform numbers.
            name: of the label; its effects do not follow.
            steps: 2 or more.
        """
        if steps < 2:
            raise ConfigError(f"sweep_steps={steps}. Expected 2 or more.")
        place, found = self.graph.index(name), []
        for value in torch.linspace(0.0, 1.0, steps):
            at = labels.float()
            at[:, place] = value
            found.append(whole_numbers(self.images_by(at, u), self.shape.levels).cpu())
        return torch.stack(found, 1)

    def overview(
        self,
        conditions: list[Any],
        made: list[Tensor],
        *,
        do: dict[str, Any] | str | None = None,
        given: dict[str, Any] | str | None = None,
        sweep: str | None = None,
    ) -> Sample | None:
        """All that was made in one picture."""
        kind, values = self._asked(do, given)
        how = "as they are observed"
        if kind != "observe":
            how = f"{'under ' if kind == 'do' else ''}{words_of_row(kind, values)[0]}"
        if sweep is None:
            return samples_of(torch.stack(made), self.shape.levels, how, "grid")
        way, self._moved = torch.cat(self._moved), []
        ends = torch.linspace(0.0, 1.0, way.shape[1]).tolist()
        return CaptionedGrid(
            name="grid",
            caption=f"Each row moves {sweep} from 0 to 1, of labels drawn {how}; the other labels and the noise stay "
            "as they are",
            group="grid",
            images=way.flatten(0, 1),
            levels=self.shape.levels,
            columns=way.shape[1],
            column_titles=[f"{value:.2g}" for value in ends],
        )

    def _asked(self, do: object, given: object) -> tuple[Kind, dict[str, int]]:
        if do and given:
            raise ConfigError("do and given are both there. Expected one of them.")
        if do:
            return "do", values_of("do", do, self.graph)
        return ("given" if given else "observe"), values_of("given", given or None, self.graph)
