"""Any autoregressive image network as a LightningModule: exact likelihood to train and to measure, cached sampling."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.metrics.base import WeightedMean
from reprise.metrics.likelihood import BayesClassifierAccuracy, BitsPerDim, NegativeLogLikelihood
from reprise.models.pixels.bayes import log_joint
from reprise.nn.images import TEST_GROUPS
from reprise.nn.occlusion import Region, known_pixels
from reprise.nn.pixels.network import PixelNetwork
from reprise.nn.randomness import ExampleDraws
from reprise.samples.base import Sample
from reprise.samples.grids import columns_grid, sample_grid


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
        completions: test images whose lower half is drawn anew, three times each, when a run is evaluated; an
            auto-encoder reconstructs them instead.
        classify: when a run is evaluated, also classify by Bayes' rule, p(y | x) ~ p(x | y) / classes. The network must
            be conditioned on the class; costs one pass a class.
        properties: when a run is evaluated, also record what the network says of itself, see PixelNetwork.properties.

    Raises:
        ConfigError: a number is out of range, or the network cannot do what is asked for.
    """

    generation_batch = 64  # images that `reprise generate` draws at once

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
        counts = {"initial_batch": initial_batch, "samples": samples, "test_samples": test_samples}
        for name, value in (counts | {"completions": completions}).items():
            if value < 0:
                raise ConfigError(f"model.{name} is {value}. Expected 0 or more.")
        if initial_batch and type(network).initialise is PixelNetwork.initialise:
            raise ConfigError(
                f"model.initial_batch is {initial_batch}, but {type(network).__name__} has no initial weights that "
                "depend on data. Expected 0."
            )
        if classify and (network.conditions_on != "label" or network.likelihood.dequantises):
            raise ConfigError(
                "model.classify=true compares p(x | y) over all classes y. Expected a network that is conditioned on "
                "the class, with a likelihood of whole numbers; or model.classify=false."
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
        # lists, in the order of TEST_GROUPS: what a rank did not see is reduced all the same
        self.test_nll = nn.ModuleList(NegativeLogLikelihood() for _ in TEST_GROUPS)
        self.test_bpd = nn.ModuleList(BitsPerDim(self.shape) for _ in TEST_GROUPS)
        self.marginal_bpd, self.accuracy = BitsPerDim(self.shape), BayesClassifierAccuracy()
        self.samples: list[Sample] = []  # of the last validation or test

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """Log-likelihood (B,) in nats of whole-numbered images (B, C, H, W); see PixelNetwork.log_prob."""
        return self.log_prob(image, label)

    def log_prob(self, image: Tensor, label: Tensor | None = None, uniform: Tensor | None = None) -> Tensor:
        """Log-likelihood of each example in nats; see PixelNetwork.log_prob."""
        return self.network.log_prob(image, label, uniform)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Negative log-likelihood of a micro-batch in nats per dimension."""
        keys = batch["position"].tolist()
        return -self._measure(batch, self.seed, "dequantise-train", keys).mean() / self.shape.dims

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Nats per image and bits per dimension."""
        log_prob = self._measure_held_out(batch)
        for name, metric in (("nll", self.val_nll), ("bpd", self.val_bpd)):
            metric.update(log_prob)
            self.log(f"val/{self.network.measures}{name}", metric, batch_size=len(log_prob))

    def on_validation_epoch_end(self) -> None:
        """Draw samples; every process draws the same, so that none waits for another."""
        self.samples = self._drawn(self.counts["val"])

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Likelihood of held-out and of training images apart, the classifier where it is asked for."""
        log_prob = self._measure_held_out(batch)
        for group in range(len(TEST_GROUPS)):
            chosen = log_prob[batch["group"] == group]
            for metrics in (self.test_nll, self.test_bpd):
                metrics[group].update(chosen)  # type: ignore[operator]
        held_out = batch["group"] == 0
        if self.classify and held_out.any():
            joint = log_joint(self.network, batch["image"][held_out])
            self.marginal_bpd.update(joint.logsumexp(1))
            self.accuracy.update(joint, batch["label"][held_out])

    def on_test_epoch_end(self) -> None:
        """Log `test/nll`, `test/bpd`, the same of training images, what the classifier found, and draw samples."""
        for name, metric in self._test_metrics().items():
            value = metric.compute()
            if not value.isnan():  # no example of that kind was asked for
                self.log(name, value.float())
            metric.reset()
        for name, number in (self.network.properties() if self.properties else {}).items():
            self.log(f"test/{name}", number)
        self.samples = self._drawn(self.counts["test"]) + self._completed(self.counts["completions"])

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
        found = self._test_metrics() | {
            f"val/{self.network.measures}nll": self.val_nll,
            f"val/{self.network.measures}bpd": self.val_bpd,
        }
        named = {f"test/{name}": version for name, version in self.network.property_versions.items()}
        return {name: metric.version for name, metric in found.items()} | named

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

        Weights are used in their own precision, whatever the trainer's, so that what is drawn does not depend on it.

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

        Raises:
            ValueError: there is no image to keep pixels of, or to be conditioned on.
            DataError: images or labels are not of the network's form.
        """
        if image is None and (known is not None or self.network.conditions_on == "image"):
            raise ValueError("no image is given. Expected images (B, C, H, W), whose known pixels are kept.")
        shape = (len(keys), self.shape.channels, self.shape.side, self.shape.side)
        seen = torch.zeros(shape, dtype=torch.uint8) if image is None else image.cpu()
        self.shape.check(seen)
        seen = seen.to(self.device)
        uniform = ExampleDraws(seed, stream, keys).uniform(*self.network.sampling_noise()).to(self.device)
        training = self.network.training
        self.network.eval()
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            condition = self.network.condition(seen, None if label is None else label.to(self.device))
            mask = None if known is None else known.to(self.device)
            drawn = self.network.sample(uniform, condition, seen if known is not None else None, mask, on_row)
        self.network.train(training)
        return drawn.cpu()

    def complete(
        self,
        image: Tensor,
        known: Tensor,
        seed: int = 0,
        label: Tensor | None = None,
        keys: list[int] | None = None,
        on_row: Callable[[int], None] | None = None,
    ) -> Tensor:
        """Fill in occluded images (PixelRNN, Figure 9).

        Args:
            image: (B, C, H, W) whole numbers.
            known: (H, W) or (B, C, H, W) of bool; True is kept, the rest is drawn given earlier pixels.
            seed: equal seeds give equal images.
            label: (B,) class numbers, where the network is conditioned on the class.
            keys: one number per image that decides its noise; its place in the batch by default.
            on_row: called with the number of rows done.

        Returns:
            (B, C, H, W) whole numbers, uint8.

        Raises:
            ValueError: the mask has another shape, or keeps some colours of a pixel only.
            ConfigError: the network is conditioned on whole images, also on what is to be hidden.
        """
        mask = known.expand(image.shape) if known.shape == image.shape[2:] else known
        if mask.shape != image.shape or mask.dtype != torch.bool:
            raise ValueError(
                f"the mask is {tuple(known.shape)} of {known.dtype}. Expected {tuple(image.shape[2:])} or "
                f"{tuple(image.shape)} of bool."
            )
        if (mask != mask[:, :1]).any():
            raise ValueError("the mask keeps some colours of a pixel and not others. Expected whole pixels.")
        if self.network.conditions_on == "image":
            raise ConfigError(
                f"{type(self.network).__name__} makes its condition of the whole image, hidden pixels included, so "
                "that it cannot complete one. Leave complete out."
            )
        return self.sample(keys or list(range(len(image))), seed, "complete", image, label, mask, on_row)

    def inputs_for(self, complete: Region | None = None, **_: Any) -> Literal["examples", "none"]:
        """What has to be given to `generate`: nothing, or images to complete or to be conditioned on."""
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
            label: class to draw, where the model is conditioned on one; by default that of the given image, or one
                that follows from the sample's name.
            complete: region of given images to draw anew: lower_half, lower_quarter, right_half or centre.
            keys: one number per image that, with the seed, decides its noise; by default its place in the list.
            on_step: called after each row.

        Returns:
            (C, H, W) whole numbers each.

        Raises:
            ConfigError: the label is out of range or missing, the model has no classes, or it cannot complete.
        """
        keys = list(range(len(conditions))) if keys is None else keys
        labels = self._labels(conditions, keys, label)
        images = [c["image"] for c in conditions if c is not None]
        given = torch.stack(images) if images else None
        if complete is not None and given is not None:
            known = known_pixels(complete, self.shape.side)
            return list(self.complete(given, known, seed, labels, keys, on_step))
        if self.network.conditions_on != "image":
            given = None
        return list(self.sample(keys, seed, "generate", given, labels, None, on_step))

    def overview(
        self, conditions: list[Any], made: list[Tensor], *, complete: Region | None = None, **_: Any
    ) -> Sample | None:
        """All that was made in one picture: beside the original and what was given of it, where there was one."""
        drawn = torch.stack(made)
        if complete is None and self.network.conditions_on != "image":
            return sample_grid(drawn, self.shape.levels, "grid")
        original = torch.stack([c["image"] for c in conditions]).cpu()
        columns = [("original", original), ("generated", drawn)]
        if complete is not None:
            columns.insert(1, ("given", original * known_pixels(complete, self.shape.side)))
        caption = f"{len(made)} examples" + (f", {complete} drawn anew" if complete else "")
        return columns_grid("grid", caption, self.shape.levels, columns)

    def _test_metrics(self) -> dict[str, WeightedMean]:
        found: dict[str, Any] = {}
        for prefix, nll, bpd in zip(TEST_GROUPS, self.test_nll, self.test_bpd, strict=True):
            found |= {f"{prefix}/{self.network.measures}nll": nll, f"{prefix}/{self.network.measures}bpd": bpd}
        if self.classify:
            found |= {"test/marginal_bpd": self.marginal_bpd, "test/classifier_accuracy": self.accuracy}
        return found

    def _measure_held_out(self, batch: dict[str, Any]) -> Tensor:
        # by the image's own name: numbers must not change with what else is measured
        keys = [zlib.crc32(name.encode()) for name in batch["id"]]
        return self._measure(batch, 0, "dequantise", keys)

    def _measure(self, batch: dict[str, Any], seed: int, stream: str, keys: list[int]) -> Tensor:
        """Log-likelihoods (B,) in nats, dequantised where it has to be by numbers that belong to each example."""
        uniform = None
        if self.network.likelihood.dequantises:
            uniform = ExampleDraws(seed, stream, keys).uniform(*batch["image"].shape[1:]).to(batch["image"].device)
        return self.log_prob(batch["image"], batch["label"], uniform)

    def _labels(self, conditions: list[Any], keys: list[int], label: int | None) -> Tensor | None:
        if self.network.conditions_on != "label":
            if label is not None:
                raise ConfigError(f"label={label}, but this model is not conditioned on a class. Leave label out.")
            return None
        classes = self.shape.classes
        if label is not None and not 0 <= label < classes:
            raise ConfigError(f"label={label}. Expected 0 to {classes - 1}.")
        if label is not None:
            return torch.full((len(conditions),), label)
        if any(c is not None and int(c["label"]) < 0 for c in conditions):
            raise ConfigError(
                f"the given images have no labels. Say of which class they are: label=0 to {classes - 1}."
            )
        return torch.tensor(
            [k % classes if c is None else int(c["label"]) for c, k in zip(conditions, keys, strict=True)]
        )

    def _drawn(self, count: int) -> list[Sample]:
        """A grid of images drawn from nothing, where the network can."""
        if not count or self.network.conditions_on == "image":
            return []
        keys = list(range(count))
        drawn = self.sample(keys, 0, "samples", label=self._labels([None] * count, keys, None))
        words = ", one class after the other" if self.network.conditions_on == "label" else ""
        return [sample_grid(drawn, self.shape.levels, words=words)]

    def _completed(self, count: int) -> list[Sample]:
        """Some held-out images, what is left of them, and three ways to go on; the same on every process."""
        if not count:
            return []
        examples: Any = self.trainer.datamodule.eval_set("test")  # type: ignore[attr-defined]
        total: int = self.trainer.datamodule.held_out()  # type: ignore[attr-defined]
        count = min(count, total)
        items = [examples[i * total // count] for i in range(count)]  # all over the split: it may be sorted by class
        image, keys = torch.stack([item["image"] for item in items]), list(range(len(items)))
        if self.network.conditions_on == "image":
            ways = [("from its code", self.sample(keys, seed, "reconstruct", image)) for seed in range(3)]
            return [columns_grid("reconstructions", "of test images", self.shape.levels, [("original", image), *ways])]
        known = known_pixels("lower_half", self.shape.side)
        labels = self._labels(items, keys, None)
        ways = [("completed", self.complete(image, known, seed, labels)) for seed in range(3)]
        columns = [("original", image), ("given", image * known), *ways]
        return [columns_grid("completions", "completions of test images", self.shape.levels, columns)]
