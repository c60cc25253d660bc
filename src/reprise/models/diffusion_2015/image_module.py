"""Diffusion (2015) on images: whitened data, bits/pixel and bits/dim, inpainting, denoising, Parzen windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.metrics.base import WeightedMean
from reprise.metrics.likelihood import BitsPerDim
from reprise.metrics.parzen import ParzenLogLikelihood
from reprise.models.diffusion_2015.chain import Known
from reprise.models.diffusion_2015.gaussian import GaussianChain
from reprise.models.diffusion_2015.image_conditions import corrupted, kept, noisy
from reprise.models.diffusion_2015.module import Diffusion2015
from reprise.models.diffusion_2015.showing import terms_curve
from reprise.models.diffusion_2015.whitening import Whitening
from reprise.nn.images import ImageShape
from reprise.nn.occlusion import Region, known_pixels
from reprise.nn.randomness import ExampleDraws
from reprise.samples.base import Sample
from reprise.samples.grids import columns_grid, sample_grid

_BLOCK = 500  # images that are drawn at once for Parzen windows; the same whatever the number of processes
_WAYS = 3  # that an image is completed or denoised in, when a run is evaluated


class ImageDiffusion2015(Diffusion2015):
    """Gaussian diffusion of whitened images.

    Bounds are those of the paper's Table 1: bits a pixel, which is all colours of a place, of data scaled to variance
    1, and what they have above a unit Gaussian. `bpd` is the same bound for whole numbers: bits a colour of a pixel,
    lower is better.

    Args:
        network: of the reverse steps.
        chain: of the diffusion.
        shape: of the images.
        optimizer: optimiser class with its settings, waiting for parameters.
        seed: decides steps and noise of each example.
        steps_per_example: in training, steps t of each example whose terms estimate the bound; None for all of them.
        rates_lr: learning rate of the chain's rates; None for the optimiser's own.
        lr_schedule: learning-rate schedule waiting for the optimiser, stepped once an iteration.
        trajectories: in evaluation, draws of each x_t.
        rows: most states x_t that the network is given at once in evaluation; bounds the memory.
        samples: images drawn after each validation; 0 for none.
        test_samples: images drawn when a run is evaluated.
        completed: test images of which a half is drawn anew, three times each, when a run is evaluated (as the
            paper's Figure 5 does with the middle of a photograph).
        denoised: test images that noise of variance 1 is added to and taken from, three times each (Figure 3).
        parzen_samples: images drawn when a run is evaluated, for the log-likelihood by Parzen windows; 0 leaves it out.
        parzen_validation: validation images that the width of the windows is chosen by.

    Raises:
        ConfigError: a number is out of range.
    """

    generation_batch = 64

    def __init__(
        self,
        network: nn.Module,
        chain: GaussianChain,
        shape: ImageShape,
        optimizer: Callable[[Iterable[Any]], torch.optim.Optimizer],
        seed: int,
        steps_per_example: int | None = None,
        rates_lr: float | None = None,
        lr_schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
        trajectories: int = 1,
        rows: int = 4096,
        samples: int = 16,
        test_samples: int = 64,
        completed: int = 8,
        denoised: int = 8,
        parzen_samples: int = 0,
        parzen_validation: int = 1000,
    ) -> None:
        super().__init__(
            network,
            chain,
            [shape.channels, shape.side, shape.side],
            optimizer,
            seed,
            steps_per_example=steps_per_example,
            rates_lr=rates_lr,
            lr_schedule=lr_schedule,
            divisor=shape.side**2,
            trajectories=trajectories,
            rows=rows,
            samples=samples,
            test_samples=test_samples,
        )
        counts = {"completed": completed, "denoised": denoised, "parzen_samples": parzen_samples}
        for name, value in counts.items():
            if value < 0:
                raise ConfigError(f"model.{name} is {value}. Expected 0 or more.")
        if parzen_validation < 1:
            raise ConfigError(f"model.parzen_validation is {parzen_validation}. Expected 1 or more.")
        self.image_shape = shape
        self.counts |= counts
        self.parzen_validation = parzen_validation
        self.whitening = Whitening(shape)
        self.test_bpd = BitsPerDim(shape)
        self.parzen = ParzenLogLikelihood()

    def setup(self, stage: str) -> None:
        """Find the mean and the variance of the training images, on every process alike."""
        if stage != "fit":
            return
        images: Any = self.trainer.datamodule.train_set()  # type: ignore[attr-defined]
        count: int = self.trainer.datamodule.epoch_size()  # type: ignore[attr-defined]
        total, squares, values = 0, 0, count * self.image_shape.dims
        for start in range(0, count, 1000):  # whole numbers are added exactly
            portion = [images[position]["image"] for position in range(start, min(start + 1000, count))]
            batch = torch.stack(portion).long()
            total, squares = total + int(batch.sum()), squares + int((batch * batch).sum())
        if not squares * values > total * total:
            raise ConfigError("all training images are of one value. Expected images that differ from one another.")
        mean = total / values
        self.whitening.fit(mean, squares / values - mean**2)

    def observed(self, batch: dict[str, Any], seed: int, keys: list[int]) -> Tensor:
        """Whitened images, with uniform noise that belongs to each example."""
        uniform = ExampleDraws(seed, "dequantise", keys).uniform(*self.shape).to(batch["image"].device)
        return self.whitening(batch["image"], uniform)  # type: ignore[no-any-return]

    def on_test_start(self) -> None:
        """Draw images for Parzen windows, each process its part of them."""
        count = self.counts["parzen_samples"]
        if not count:
            return
        examples: Any = self.trainer.datamodule.eval_set("val")  # type: ignore[attr-defined]
        chosen = [examples[i]["image"] for i in range(min(self.parzen_validation, len(examples)))]
        self.parzen.fit(
            self._unit(self._spread(count)), self._unit(self.whitening(torch.stack(chosen).to(self.device)))
        )

    def _spread(self, count: int) -> Tensor:
        """Draw x_0 (count, C, n, n), the same images on any number of processes.

        Blocks of images go round the processes, and each draws as many of them, since a network may be sharded; those
        beyond the count are thrown away.
        """
        rank, world = self.trainer.global_rank, self.trainer.world_size
        rounds = math.ceil(count / (_BLOCK * world))
        made = []
        for i in range(rounds):
            first = (i * world + rank) * _BLOCK
            drawn = self.sample(list(range(first, first + min(_BLOCK, count))), 0, "parzen")
            gathered: Any = self.all_gather(drawn) if world > 1 else drawn[None]
            made.append(gathered.flatten(0, 1).cpu())
        return torch.cat(made)[:count].to(self.device)

    def _unit(self, x: Tensor) -> Tensor:
        """Values on the scale from 0 to 1, neither rounded nor clipped."""
        return self.whitening.levels(x.to(self.device)) / (self.image_shape.levels - 1)

    def record(self, batch: dict[str, Any], bound: Tensor, gain: Tensor, terms: Tensor) -> None:
        """Count examples of a test batch, and the bound in bits/dim and Parzen windows of the held-out ones."""
        super().record(batch, bound, gain, terms)
        held_out = batch["group"] == 0
        if not held_out.any():
            return
        self.test_bpd.update(bound[held_out] - self.whitening.log_scale())
        if self.counts["parzen_samples"]:
            self.parzen.update(batch["image"][held_out].double() / (self.image_shape.levels - 1))

    def on_test_epoch_end(self) -> None:
        """Log what was measured; draw samples, complete and denoise images."""
        super().on_test_epoch_end()
        if not self.counts["parzen_samples"]:
            return
        nats, error = self.parzen.compute(), self.parzen.standard_error
        for name, value in {"nats": nats, "bits": nats / math.log(2), "nats_stderr": error}.items():
            self.log(f"test/parzen_{name}", value.float())
        self.log("test/parzen_sigma", self.parzen.sigma)
        self.parzen.reset()

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each metric this module logs, for the run record."""
        found = super().metric_versions()
        if self.counts["parzen_samples"]:
            names = ("nats", "bits", "nats_stderr", "sigma")
            found |= {f"test/parzen_{name}": self.parzen.version for name in names}
        return found

    def _test_metrics(self) -> dict[str, WeightedMean]:
        return super()._test_metrics() | {"test/bpd": self.test_bpd}

    def draw(self, keys: list[int], seed: int, stream: str, known: Known | None = None, on_step: Any = None) -> Tensor:
        """Draw images as whole numbers, see `sample`: (B, C, n, n) uint8 on the CPU."""
        return self.whitening.whole_numbers(self.sample(keys, seed, stream, known, on_step)).cpu()

    def pictures(self, split: Literal["val", "test"], count: int) -> list[Sample]:
        """Samples; when a run is evaluated, test images completed and denoised too, and what the steps cost."""
        levels, found = self.image_shape.levels, list[Sample]()
        if count:
            found.append(sample_grid(self.draw(list(range(count)), 0, "samples"), levels))
        if split == "val":
            return found
        for name, work in (("completed", self._completed), ("denoised", self._denoised)):
            if items := self._held_out(self.counts[name]):
                found.append(columns_grid(name, f"test images, {name}", levels, work(items)))
        return [*found, *terms_curve(self.test_terms)]

    def _held_out(self, count: int) -> list[dict[str, Any]]:
        """Some test images from all over the split; the same on every process."""
        if not count:
            return []
        examples: Any = self.trainer.datamodule.eval_set("test")  # type: ignore[attr-defined]
        total: int = self.trainer.datamodule.held_out()  # type: ignore[attr-defined]
        count = min(count, total)
        return [examples[i * total // count] for i in range(count)]

    def _completed(self, items: list[dict[str, Any]], region: Region = "lower_half") -> list[tuple[str, Tensor]]:
        image, keys = torch.stack([item["image"] for item in items]), list(range(len(items)))
        known = kept(self.whitening, image, region)
        ways = [("completed", self.draw(keys, seed, "complete", known)) for seed in range(_WAYS)]
        return [("original", image), ("given", image * known_pixels(region, self.image_shape.side)), *ways]

    def _denoised(self, items: list[dict[str, Any]], noise: float = 1.0) -> list[tuple[str, Tensor]]:
        image, keys = torch.stack([item["image"] for item in items]), list(range(len(items)))
        known = corrupted(self.whitening, image, noise, [item["id"] for item in items], 0)
        ways = [("denoised", self.draw(keys, seed, "denoise", known)) for seed in range(_WAYS)]
        return [("original", image), ("noise added", self.whitening.whole_numbers(known.value)), *ways]

    def inputs_for(  # type: ignore[override]
        self, complete: Region | None = None, denoise: float | None = None, **_: Any
    ) -> Literal["examples", "none"]:
        """What has to be given to `generate`: nothing, or images to complete or to denoise."""
        return "none" if complete is None and denoise is None else "examples"

    def generate(
        self,
        conditions: list[Any],
        *,
        seed: int = 0,
        complete: Region | None = None,
        denoise: float | None = None,
        add_noise: bool = True,
        keys: list[int] | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> list[Tensor]:
        """Draw images, or multiply the chain with what is known of given ones.

        Args:
            conditions: examples with `image`, or None where nothing is given.
            seed: equal seeds give equal images.
            complete: region of given images to draw anew: lower_half, lower_quarter, right_half or centre.
            denoise: standard deviation of noise that given images have or get, those without it having 1.
            add_noise: with denoise, add the noise first; no if the given images have it.
            keys: one number per image that, with the seed, decides its noise; by default its place in the list.
            on_step: called after each step.

        Returns:
            (C, n, n) whole numbers each.

        Raises:
            ConfigError: images are to be both completed and denoised, or noise is not above 0.
        """
        if complete is not None and denoise is not None:
            raise ConfigError("complete and denoise are both given. Expected one of them.")
        if denoise is not None and not 0 < denoise < math.inf:
            raise ConfigError(f"denoise={denoise:g}. Expected a standard deviation above 0, that of images being 1.")
        keys = list(range(len(conditions))) if keys is None else keys
        known = self._known(conditions, seed, complete, denoise, add_noise)

        def count(t: int, _: Tensor) -> None:
            if on_step is not None and t < self.chain.steps:
                on_step(t)

        return list(self.draw(keys, seed, "generate", known, count))

    def overview(
        self,
        conditions: list[Any],
        made: list[Tensor],
        *,
        seed: int = 0,
        complete: Region | None = None,
        denoise: float | None = None,
        add_noise: bool = True,
    ) -> Sample:
        """All that was made in one picture: beside the original and what was given of it, where there was one."""
        levels, drawn = self.image_shape.levels, torch.stack(made)
        known = self._known(conditions, seed, complete, denoise, add_noise)
        if known is None:
            return sample_grid(drawn, levels, "grid")
        given = self.whitening.whole_numbers(known.value).cpu()
        columns = [("given", given * known.mask.cpu()), ("generated", drawn)]
        if complete is not None or add_noise:
            columns.insert(0, ("original", torch.stack([condition["image"] for condition in conditions])))
        words = f"{complete} drawn anew" if denoise is None else f"noise of standard deviation {denoise:g} taken away"
        return columns_grid("grid", f"{len(made)} examples, {words}", levels, columns)

    def _known(
        self, conditions: list[Any], seed: int, complete: Region | None, denoise: float | None, add_noise: bool
    ) -> Known | None:
        if complete is None and denoise is None:
            return None
        image = torch.stack([condition["image"] for condition in conditions])
        self.image_shape.check(image)
        if complete is not None:
            return kept(self.whitening, image, complete)
        noise = denoise or 0.0
        if add_noise:
            return corrupted(self.whitening, image, noise, [condition["id"] for condition in conditions], seed)
        return noisy(self.whitening, image, noise)
