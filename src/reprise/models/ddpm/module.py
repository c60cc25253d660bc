"""DDPM as a LightningModule: every objective of Table 2, the whole bound, samples and their quality."""

from __future__ import annotations

import contextlib
import logging
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.diffusion.bound import Cdf
from reprise.diffusion.reverse import Predicts, ReverseProcess
from reprise.diffusion.schedules import NoiseSchedule
from reprise.diffusion.steps import Sampling, Variance
from reprise.diffusion.terms import Terms, measure, strata
from reprise.metrics.base import Mean
from reprise.metrics.images.quality import Quality
from reprise.metrics.likelihood import BitsPerDim
from reprise.metrics.variational_bound import VariationalBound
from reprise.models.ddpm import drawing, showing
from reprise.models.ddpm.generating import GeneratingModule
from reprise.models.ddpm.network import UNet
from reprise.models.ddpm.objective import Loss, bound_loss, simple_loss
from reprise.models.ddpm.quality import SampleQuality
from reprise.nn.images import TEST_GROUPS
from reprise.samples.base import Sample
from reprise.samples.grids import columns_grid, sample_grid

log = logging.getLogger(__name__)


class DDPM(GeneratingModule):
    """A denoising diffusion model of images.

    Args:
        network: takes x_t and the step counted from 0; gives twice the channels where the variance is learned.
        schedule: beta_1..beta_T.
        optimizer: optimiser class with its settings, waiting for parameters.
        seed: decides the step and the noise of every training example.
        predicts: what the network predicts: epsilon, mean (of the posterior) or x_0.
        loss: simple, the squared error without weights; or bound, a term of the variational bound.
        variance: of the reverse process: large (beta_t), small (beta_tilde_t) or learned.
        lr_schedule: learning-rate schedule waiting for the optimiser, stepped once an iteration.
        cdf: distribution function of the discrete decoder: tanh, the released code's approximation, or exact.
        val_terms: terms of the bound that a validation estimates it from, at most T.
        test_terms: likewise when a run is evaluated; None for all T, as in the paper.
        sampling: how samples are drawn when a run is evaluated, and by `reprise generate`.
        val_sampling: how they are drawn at a validation, which has less time.
        few_steps: further ways to sample, by name; each is measured and shown when a run is evaluated.
        quality: what FID and IS are measured on when a run is evaluated; None for neither.
        val_quality: likewise at each validation.
        samples: images drawn after each validation; 0 for none.
        test_samples: images drawn when a run is evaluated, some of them also shown as they emerge.
        interpolations: pairs of test images between which is interpolated when a run is evaluated.
        sampling_batch: images drawn at once; bounds the memory, does not change what is drawn.

    Raises:
        ConfigError: a number is out of range, or choices do not go together.
    """

    def __init__(
        self,
        network: UNet,
        schedule: NoiseSchedule,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        seed: int,
        predicts: Predicts = "epsilon",
        loss: Loss = "simple",
        variance: Variance = "large",
        lr_schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
        cdf: Cdf = "tanh",
        val_terms: int = 20,
        test_terms: int | None = None,
        sampling: Sampling | None = None,
        val_sampling: Sampling | None = None,
        few_steps: dict[str, Sampling] | None = None,
        quality: Quality | None = None,
        val_quality: Quality | None = None,
        samples: int = 16,
        test_samples: int = 64,
        interpolations: int = 4,
        sampling_batch: int = 64,
    ) -> None:
        _check_numbers(
            {"samples": samples, "test_samples": test_samples, "interpolations": interpolations},
            {"val_terms": val_terms, "test_terms": test_terms, "sampling_batch": sampling_batch},
        )
        _check_choices(network, loss, variance, cdf)
        try:
            reverse = ReverseProcess(schedule, predicts, variance)
        except ValueError as error:
            raise ConfigError(f"model: {error}") from None
        super().__init__(network, reverse, sampling or Sampling(), sampling_batch)
        self.optimizer = optimizer
        self.seed = seed
        self.loss = loss
        self.lr_schedule = lr_schedule
        self.cdf: Cdf = cdf
        self.val_sampling = val_sampling or self.sampling
        self.few_steps = few_steps or {}
        for name, way in {"val_sampling": self.val_sampling, **self.few_steps}.items():
            self._plan(way, name)
        self.counts = {"val": samples, "test": test_samples, "interpolations": interpolations}
        steps = len(schedule)
        self.val_strata, self.test_strata = strata(steps, val_terms), strata(steps, test_terms or steps)
        self.val_loss, self.val_bpd = Mean(), BitsPerDim(self.shape)
        # a list, in the order of TEST_GROUPS: what a rank did not see is reduced all the same
        self.bounds = nn.ModuleList(VariationalBound(self.shape, steps, self.test_strata) for _ in TEST_GROUPS)
        self.val_quality = None if val_quality is None else SampleQuality(val_quality, ["val"])
        names = ["test", *(f"test/{name}" for name in self.few_steps)]
        self.quality = None if quality is None else SampleQuality(quality, names)
        self.samples: list[Sample] = []  # of the last validation or test

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The network's output for x_t (B, C, H, W) and steps t (B,) in 1..T."""
        return self.network(x_t, t - 1)  # type: ignore[no-any-return]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """The objective for one draw of t and noise for each image (Algorithm 1)."""
        noise = self._noise(self.seed, "train", batch["position"].tolist())
        return self._losses(batch["image"], noise).mean()

    def _losses(self, image: Tensor, noise: drawing.ImageNoise) -> Tensor:
        # 1. x_0, t ~ Uniform{1..T}, epsilon (lines 2 to 4)
        x_0 = drawing.scaled(image, self.shape.levels)
        t, epsilon = noise.at(1, len(self.reverse))
        # 2. x_t and what the network makes of it (line 5)
        x_t = self.reverse.diffuse(x_0, t, epsilon)
        output = self(x_t, t)
        if self.loss == "bound":
            return bound_loss(self.reverse, output, x_0, x_t, t, self.shape.levels, self.cdf)
        return simple_loss(self.reverse, output, x_0, x_t, t, epsilon)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The objective, and the bound from a few of its terms; what is drawn is the same at every validation."""
        size = len(batch["image"])
        self.val_loss.update(self._losses(batch["image"], self._noise(0, "val", _keys(batch))).mean(), size)
        self.val_bpd.update(-self._measure(batch, self.val_strata, with_distortion=False).total())
        self.log("val/loss", self.val_loss, batch_size=size)
        self.log("val/bpd", self.val_bpd, batch_size=size)

    def on_validation_epoch_end(self) -> None:
        """Draw samples; every process draws the same, so that none waits for another. Measure their quality."""
        self.samples = self._drawn("samples", self.counts["val"], self.val_sampling)
        if self.val_quality is not None:
            self._log_quality(self.val_quality, {"val": self.val_sampling})

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """All terms of the bound, of held-out and of training images apart."""
        terms = self._measure(batch, self.test_strata)
        for group, bound in enumerate(self.bounds):
            chosen = batch["group"] == group
            bound.update(Terms(*(values[chosen] for values in terms)))  # type: ignore[operator]

    def on_test_epoch_end(self) -> None:
        """Log what the bound says and the samples' quality, and show samples."""
        self.samples = []
        found: dict[str, Tensor] = {}
        for prefix, bound in zip(TEST_GROUPS, self.bounds, strict=True):
            values: dict[str, Tensor] = bound.compute()  # type: ignore[operator]
            found |= {f"{prefix}/{name}": value for name, value in values.items() if name != "terms"}
            if values and prefix == TEST_GROUPS[0]:
                self.samples += showing.bound_curves(bound, values)  # type: ignore[arg-type]
            bound.reset()  # type: ignore[operator]
        if "test/train_images/bpd" in found and "test/bpd" in found:
            found["test/bpd_gap"] = found["test/bpd"] - found["test/train_images/bpd"]
        found["test/parameters"] = torch.tensor(float(sum(p.numel() for p in self.network.parameters())))
        for name, value in found.items():
            self.log(name, value.float())
        self.samples += self._shown_in_test()
        if self.quality is not None:
            ways = {f"test/{name}": way for name, way in self.few_steps.items()}
            self._log_quality(self.quality, {"test": self.sampling, **ways})

    def configure_optimizers(self) -> Any:
        """Build the optimiser over the network's parameters."""
        optimizer = self.optimizer(self.network.parameters())
        if self.lr_schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.lr_schedule(optimizer), "interval": "step"},
        }

    def setup(self, stage: str) -> None:
        """Say before anything is computed that a feature network for FID is not there."""
        quality = self.quality if stage == "test" else self.val_quality
        if quality is not None:
            quality.protocol.check()
        if stage == "fit" and self.quality is not None and not self.quality.protocol.available():
            log.warning(
                "the feature network of model.quality is not there yet; an evaluation will fetch it or say why."
            )

    def metric_versions(self) -> dict[str, int]:
        """Protocol version of each metric this module logs, for the run record."""
        names = [f"{prefix}/{name}" for prefix in TEST_GROUPS for name in VariationalBound.names(len(self.reverse))]
        versions = dict.fromkeys([*names, "test/bpd_gap"], VariationalBound.version)
        versions |= {"val/bpd": BitsPerDim.version, "test/parameters": 1}
        for quality in (self.quality, self.val_quality):
            versions |= {} if quality is None else quality.versions()
        return versions

    def bound(self, image: Tensor, keys: list[int], terms: int | None = None) -> Tensor:
        """Upper bound of -log p(x) in nats (B,), of one draw of x_t a term.

        Args:
            image: (B, C, H, W) whole numbers.
            keys: one number per image that decides its noise.
            terms: terms it is estimated from; None for all T.
        """
        intervals = strata(len(self.reverse), terms or len(self.reverse))
        return self._bound_terms(image, keys, intervals, with_distortion=False).total()

    def _measure(self, batch: dict[str, Any], intervals: list[tuple[int, int]], with_distortion: bool = True) -> Terms:
        return self._bound_terms(batch["image"], _keys(batch), intervals, with_distortion)

    @torch.no_grad()
    def _bound_terms(
        self, image: Tensor, keys: list[int], intervals: list[tuple[int, int]], with_distortion: bool
    ) -> Terms:
        x_0 = drawing.scaled(image.to(self.device), self.shape.levels)
        draw, levels = self._noise(0, "bound", keys).at, self.shape.levels
        with self._without_dropout():
            return measure(
                self, self.reverse, x_0, levels, intervals, draw, cdf=self.cdf, with_distortion=with_distortion
            )

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        """The precision of the run, for what hooks compute outside of a step."""
        trainer = self._trainer
        return contextlib.nullcontext() if trainer is None else trainer.precision_plugin.forward_context()

    def _log_quality(self, quality: SampleQuality, ways: dict[str, Sampling]) -> None:
        def draw(keys: list[int], name: str) -> Tensor:
            return self.sample(keys, 0, "quality", ways[name])

        with self._precision():
            values = quality.measure(self.trainer, draw, self.shape.levels, self.sampling_batch)
        for name, value in values.items():
            self.log(name, value.float())

    def _drawn(self, name: str, count: int, way: Sampling, group: str = "", words: str = "") -> list[Sample]:
        """A grid of samples; of the same keys whatever the way, so that one sees what the way changes."""
        if not count:
            return []
        with self._precision():
            parts = [list(range(i, min(i + self.sampling_batch, count))) for i in range(0, count, self.sampling_batch)]
            drawn = torch.cat([self.sample(keys, 0, "samples", way) for keys in parts])
        return [sample_grid(drawn, self.shape.levels, name, words, group)]

    def _shown_in_test(self) -> list[Sample]:
        """Samples of every way, some as they emerge, and interpolations; the same on every process."""
        count = self.counts["test"]
        shown = self._drawn("samples", count, self.sampling)
        for name, way in self.few_steps.items():
            shown += self._drawn(f"samples_{name}", count, way, name, f", {name}")
        with self._precision():
            if count:
                plan = [step.index for step in self._plan(self.sampling, "sampling")]
                watch = showing.Watch(plan, self.shape.levels)
                self.sample(list(range(min(count, 8))), 0, "samples", on_x_0=watch)
                shown.append(showing.emerging_grid("progressive", watch.seen, self.shape.levels))
            return shown + self._interpolated(self.counts["interpolations"])

    def _interpolated(self, count: int) -> list[Sample]:
        """Figure 8: pairs of test images and what lies between them, half way through the forward process."""
        if not count:
            return []
        examples: Any = self.trainer.datamodule.eval_set("test")  # type: ignore[attr-defined]
        total: int = self.trainer.datamodule.held_out()  # type: ignore[attr-defined]
        count = min(count, total // 2)
        if not count:
            return []
        images = torch.stack([examples[i * total // (2 * count)]["image"] for i in range(2 * count)])
        first, second, t = images[:count], images[count:], len(self.reverse) // 2
        columns = [("source", first)]
        for mix in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
            columns.append((f"{mix:g}", self.interpolate(first, second, t, mix, list(range(count)))))
        columns.append(("source", second))
        return [columns_grid("interpolations", f"between test images, t = {t}", self.shape.levels, columns)]


def _keys(batch: dict[str, Any]) -> list[int]:
    """By the image's own name: numbers must not change with what else is measured."""
    return [zlib.crc32(name.encode()) for name in batch["id"]]


def _check_numbers(from_0: dict[str, int], from_1: dict[str, int | None]) -> None:
    for least, counts in ((0, from_0), (1, from_1)):
        for name, value in counts.items():
            if value is not None and value < least:
                raise ConfigError(f"model.{name} is {value}. Expected {least} or more.")


def _check_choices(network: UNet, loss: str, variance: str, cdf: str) -> None:
    if cdf not in ("tanh", "exact"):
        raise ConfigError(f"model.cdf is {cdf!r}. Expected tanh or exact.")
    if loss not in ("simple", "bound"):
        raise ConfigError(f"model.loss is {loss!r}. Expected simple or bound.")
    if network.learned_variance != (variance == "learned"):
        wanted = str(variance == "learned").lower()
        raise ConfigError(
            f"model.variance is {variance}, model.network.learned_variance {str(network.learned_variance).lower()}. "
            f"Set model.network.learned_variance={wanted}, or change the variance."
        )
    if loss == "simple" and variance == "learned":
        raise ConfigError("model.loss=simple does not train a variance. Expected model.variance=large or small.")
