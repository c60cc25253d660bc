"""Any autoregressive image network as a LightningModule: exact likelihood to train and to measure, cached sampling."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.metrics.base import WeightedMean
from reprise.metrics.likelihood import BayesClassifierAccuracy, BitsPerDim, NegativeLogLikelihood
from reprise.models.pixels.bayes import log_joint
from reprise.models.pixels.occlusion import Region, known_pixels
from reprise.nn.pixels.network import PixelNetwork
from reprise.nn.randomness import ExampleDraws
from reprise.samples.base import Sample
from reprise.samples.images import ImageGrid

_GROUPS = ("test", "test/train_images")  # by the `group` of an example: held out, or seen in training


class PixelModel(pl.LightningModule):
    """Maximum likelihood of images under a network that predicts pixel after pixel.

    Args:
        network: gives p(x | condition); knows the shape of the images.
        optimizer: optimiser class with its settings, waiting for parameters.
        seed: decides what is drawn for each example.
        lr_schedule: learning-rate schedule waiting for the optimiser, stepped once an iteration.
        initial_batch: training examples for data-dependent initial weights, where the network has such; 0 for none.
        samples: images drawn after each validation; 0 for none.
        test_samples: images drawn when a run is evaluated.
        completions: test images whose lower half is drawn anew, three times each, when a run is evaluated.
        classify: when a run is evaluated, also classify by Bayes' rule, p(y | x) ~ p(x | y) / classes. The network must
            be conditioned on the class; costs one pass a class.
        properties: when a run is evaluated, also record what the network says of itself, see PixelNetwork.properties.

    Raises:
        ConfigError: a number is out of range, or the network cannot classify.
    """

    def __init__(
        self,
        network: PixelNetwork,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        seed: int,
        lr_schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
        initial_batch: int = 0,
        samples: int = 16,
        test_samples: int = 64,
        completions: int = 8,
        classify: bool = False,
        properties: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (
            ("initial_batch", initial_batch),
            ("samples", samples),
            ("test_samples", test_samples),
            ("completions", completions),
        ):
            if value < 0:
                raise ConfigError(f"model.{name} is {value}. Expected 0 or more.")
        if classify and network.conditions_on != "label":
            raise ConfigError(
                "model.classify=true needs a network that is conditioned on the class: it compares p(x | y) over all "
                "y. Expected such a network, or model.classify=false."
            )
        self.network = network
        self.shape = network.shape
        self.optimizer = optimizer
        self.seed = seed
        self.lr_schedule = lr_schedule
        self.initial_batch = initial_batch
        self.counts = {"val": samples, "test": test_samples, "completions": completions}
        self.classify = classify
        self.properties = properties
        self.val_nll, self.val_bpd = NegativeLogLikelihood(), BitsPerDim(self.shape)
        # lists, in the order of _GROUPS: what a rank did not see is reduced all the same
        self.test_nll = nn.ModuleList(NegativeLogLikelihood() for _ in _GROUPS)
        self.test_bpd = nn.ModuleList(BitsPerDim(self.shape) for _ in _GROUPS)
        self.marginal_bpd, self.accuracy = BitsPerDim(self.shape), BayesClassifierAccuracy()
        self.samples: list[Sample] = []  # of the last validation or test
        self._to_complete: list[tuple[Tensor, int]] = []

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """Log-likelihood (B,) in nats of whole-numbered images (B, C, H, W); see PixelNetwork.log_prob."""
        return self.log_prob(image, label)

    def log_prob(self, image: Tensor, label: Tensor | None = None, uniform: Tensor | None = None) -> Tensor:
        """Log-likelihood of each example in nats; see PixelNetwork.log_prob."""
        return self.network.log_prob(image, label, uniform)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Negative log-likelihood of a micro-batch in nats per dimension."""
        return -self._measure(batch, "train").mean() / self.shape.dims

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Nats per image and bits per dimension."""
        log_prob = self._measure(batch, "val")
        for name, metric in (("val/nll", self.val_nll), ("val/bpd", self.val_bpd)):
            metric.update(log_prob)
            self.log(name, metric, batch_size=len(log_prob))
        if batch_idx == 0:
            self._to_complete = []

    def on_validation_epoch_end(self) -> None:
        """Draw samples; every process draws the same, so that none waits for another."""
        self.samples = self._grids("val") if self.counts["val"] else []

    def on_test_epoch_start(self) -> None:
        """Forget samples of validation."""
        self.samples, self._to_complete = [], []

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Likelihood of held-out and of training images apart, the classifier where it is asked for."""
        log_prob = self._measure(batch, "test")
        for group in range(len(_GROUPS)):
            chosen = log_prob[batch["group"] == group]
            for metrics in (self.test_nll, self.test_bpd):
                metrics[group].update(chosen)  # type: ignore[operator]
        held_out = batch["group"] == 0
        if self.classify and held_out.any():
            joint = log_joint(self.network, batch["image"][held_out])
            self.marginal_bpd.update(joint.logsumexp(1))
            self.accuracy.update(joint, batch["label"][held_out])
        room = self.counts["completions"] - len(self._to_complete)
        for image, label in zip(batch["image"][:room], batch["label"][:room], strict=True):
            self._to_complete.append((image, int(label)))

    def on_test_epoch_end(self) -> None:
        """Log `test/nll`, `test/bpd`, the same of training images, and what the classifier found."""
        found: dict[str, WeightedMean] = {}
        for prefix, nll, bpd in zip(_GROUPS, self.test_nll, self.test_bpd, strict=True):
            found |= {f"{prefix}/nll": nll, f"{prefix}/bpd": bpd}  # type: ignore[dict-item]
        if self.classify:
            found |= {"test/marginal_bpd": self.marginal_bpd, "test/classifier_accuracy": self.accuracy}
        for name, metric in found.items():
            value = metric.compute()
            if not value.isnan():  # no example of that kind was asked for
                self.log(name, value.float())
            metric.reset()
        for name, number in (self.network.properties() if self.properties else {}).items():
            self.log(f"test/{name}", number)
        self.samples = self._grids("test") + self._completed()

    def configure_optimizers(self) -> Any:
        """Build the optimiser over all parameters."""
        optimizer = self.optimizer(self.network.parameters())
        if self.lr_schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.lr_schedule(optimizer), "interval": "step"},
        }

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each metric this module logs, for the run record."""
        versions = {"val/nll": NegativeLogLikelihood.version, "val/bpd": BitsPerDim.version}
        for prefix in _GROUPS:
            versions |= {f"{prefix}/nll": NegativeLogLikelihood.version, f"{prefix}/bpd": BitsPerDim.version}
        versions |= {f"test/{name}": version for name, version in self.network.property_versions.items()}
        return versions | {
            "test/marginal_bpd": BitsPerDim.version,
            "test/classifier_accuracy": BayesClassifierAccuracy.version,
        }

    def setup(self, stage: str) -> None:
        """Set data-dependent initial weights, from the first examples of the stream on every process alike."""
        if stage != "fit" or not self.initial_batch:
            return
        examples: Any = self.trainer.datamodule.train_set()  # type: ignore[attr-defined]
        items = [examples[position] for position in range(self.initial_batch)]
        label = torch.tensor([item["label"] for item in items])
        self.network.initialise(torch.stack([item["image"] for item in items]), label)

    def sample(
        self,
        keys: list[int],
        seed: int = 0,
        stream: str = "generate",
        image: Tensor | None = None,
        label: Tensor | None = None,
        known: Tensor | None = None,
        on_row: Callable[[int], None] | None = None,
    ) -> Tensor:
        """Draw images; each depends on its key, not on the others of the batch.

        Args:
            keys: one number per image, that with the seed decides its noise.
            seed: equal seeds give equal images.
            stream: name of the random stream.
            image: (B, C, H, W) whole numbers, to condition on or to complete.
            label: (B,) class numbers, where the network is conditioned on the class.
            known: (B, C, H, W) of bool, pixels of `image` to keep.
            on_row: called with the number of rows done.

        Returns:
            (B, C, H, W) whole numbers, uint8, on the CPU.
        """
        uniform = ExampleDraws(seed, stream, keys).uniform(*self.network.sampling_noise()).to(self.device)
        image = None if image is None else image.to(self.device)
        training = self.network.training
        self.network.eval()
        with torch.no_grad():
            blank = torch.zeros(len(keys), self.shape.channels, self.shape.side, self.shape.side, device=self.device)
            seen = blank.to(torch.uint8) if image is None else image
            condition = self.network.condition(seen, None if label is None else label.to(self.device))
            given = None if known is None else seen
            drawn = self.network.sample(
                uniform, condition, given, None if known is None else known.to(self.device), on_row
            )
        self.network.train(training)
        return drawn.cpu()

    def complete(
        self, image: Tensor, known: Tensor, seed: int = 0, label: Tensor | None = None, keys: list[int] | None = None
    ) -> Tensor:
        """Fill in occluded images (PixelRNN, Figure 9).

        Args:
            image: (B, C, H, W) whole numbers.
            known: (H, W) or (B, C, H, W) of bool; True is kept, the rest is drawn given earlier pixels.
            seed: equal seeds give equal images.
            label: (B,) class numbers, where the network is conditioned on the class.
            keys: one number per image that decides its noise; its place in the batch by default.

        Returns:
            (B, C, H, W) whole numbers, uint8.

        Raises:
            ValueError: the mask has another shape, or keeps some colours of a pixel only.
        """
        mask = known.expand(image.shape) if known.ndim == 2 else known
        if mask.shape != image.shape or mask.dtype != torch.bool:
            raise ValueError(
                f"the mask is {tuple(known.shape)} of {known.dtype}. Expected (H, W) or {tuple(image.shape)} of bool."
            )
        if (mask != mask[:, :1]).any():
            raise ValueError("the mask keeps some colours of a pixel and not others. Expected whole pixels.")
        return self.sample(keys or list(range(len(image))), seed, "complete", image, label, mask)

    # what `reprise generate` asks of a module

    generation_batch = 64  # images drawn at once

    def inputs_for(self, complete: Region | None = None, **_: Any) -> Literal["examples", "none"]:
        """What has to be given: nothing, or images to complete or to be conditioned on."""
        return "examples" if complete is not None or self.network.conditions_on == "image" else "none"

    def generate_steps(self) -> int:
        """Rows that `generate` draws, for a progress bar."""
        return self.network.sampling_rows()

    def generate(
        self,
        conditions: list[Any],
        *,
        seed: int = 0,
        label: int | None = None,
        complete: Region | None = None,
        keys: list[int] | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> list[Tensor]:
        """Draw images, or complete given ones.

        Args:
            conditions: examples with `image` and `label`, or None where nothing is given.
            seed: equal seeds give equal images.
            label: class to draw, where the model is conditioned on one; by default each class in turn.
            complete: region of given images to draw anew: lower_half, lower_quarter, right_half or centre.
            keys: one number per image that, with the seed, decides its noise; by default its place in the list.
            on_step: called after each row.

        Returns:
            (C, H, W) whole numbers each.

        Raises:
            ConfigError: the label is out of range or the model has no classes.
        """
        images = [c["image"] for c in conditions if c is not None]
        given = torch.stack(images) if images else None
        labels = self._labels(conditions, label)
        known = None
        if complete is not None and given is not None:
            known = known_pixels(complete, self.shape.side).expand(given.shape)
        elif self.network.conditions_on != "image":
            given = None
        keys = list(range(len(conditions))) if keys is None else keys
        return list(self.sample(keys, seed, "generate", given, labels, known, on_step))

    def overview(
        self, conditions: list[Any], made: list[Tensor], *, complete: Region | None = None, **_: Any
    ) -> Sample | None:
        """All that was made in one picture: beside the original and what was given of it, where there was one."""
        if complete is None and self.network.conditions_on != "image":
            grid = torch.stack(made)
            return ImageGrid(name="grid", caption=f"{len(made)} samples", images=grid, levels=self.shape.levels)
        columns = ["original", "generated"]
        rows = [[c["image"] for c in conditions], made]
        if complete is not None:
            known = known_pixels(complete, self.shape.side)
            rows.insert(1, [image * known for image in rows[0]])
            columns.insert(1, "given")
        images = torch.stack([image.to(torch.uint8) for row in zip(*rows, strict=True) for image in row])
        caption = f"{len(made)} examples" + (f", {complete} drawn anew" if complete else "")
        return ImageGrid(
            name="grid",
            caption=caption,
            images=images,
            levels=self.shape.levels,
            columns=len(columns),
            column_titles=columns,
        )

    def _labels(self, conditions: list[Any], label: int | None) -> Tensor | None:
        if self.network.conditions_on != "label":
            if label is not None:
                raise ConfigError(f"label={label}, but this model is not conditioned on a class. Leave label out.")
            return None
        if label is not None and not 0 <= label < self.shape.classes:
            raise ConfigError(f"label={label}. Expected 0 to {self.shape.classes - 1}.")
        if label is not None:
            return torch.full((len(conditions),), label)
        known = [c["label"] if c is not None and int(c["label"]) >= 0 else i for i, c in enumerate(conditions)]
        return torch.tensor([int(k) % self.shape.classes for k in known])

    def _measure(self, batch: dict[str, Any], stream: str) -> Tensor:
        """Log-likelihoods (B,) in nats, dequantised by numbers that belong to each example."""
        uniform = None
        if self.network.likelihood.dequantises:
            draws = ExampleDraws(
                self.seed if stream == "train" else 0, f"dequantise-{stream}", batch["position"].tolist()
            )
            uniform = draws.uniform(*batch["image"].shape[1:]).to(batch["image"].device)
        return self.log_prob(batch["image"], batch["label"], uniform)

    def _grids(self, stage: str) -> list[Sample]:
        """A grid of images drawn from nothing, where the network can."""
        count = self.counts[stage]
        if not count or self.network.conditions_on == "image":
            return []
        keys = list(range(count))
        drawn = self.sample(keys, 0, "samples", label=self._labels([None] * count, None))
        caption = f"{count} samples" + (", one class after the other" if self.network.conditions_on == "label" else "")
        return [ImageGrid(name="samples", caption=caption, images=drawn, levels=self.shape.levels)]

    def _completed(self) -> list[Sample]:
        """Held-out images, what is left of them, and three ways to go on; or reconstructions of an auto-encoder."""
        if not self._to_complete:
            return []
        image = torch.stack([image for image, _ in self._to_complete]).cpu()
        label = torch.tensor([max(0, label) for _, label in self._to_complete])
        labels = label if self.network.conditions_on == "label" else None
        keys = list(range(len(image)))
        if self.network.conditions_on == "image":
            columns = [image] + [self.sample(keys, seed, "reconstruct", image) for seed in range(3)]
            titles, name = ["original", *["from its code"] * 3], "reconstructions"
        else:
            known = known_pixels("lower_half", self.shape.side)
            columns = [image, image * known] + [self.complete(image, known, seed, labels) for seed in range(3)]
            titles, name = ["original", "given", *["completed"] * 3], "completions"
        images = torch.stack([column.to(torch.uint8) for column in columns], 1).flatten(0, 1)
        return [
            ImageGrid(
                name=name,
                caption=f"{name} of test images",
                group=name,
                images=images,
                levels=self.shape.levels,
                columns=len(columns),
                column_titles=titles,
            )
        ]
