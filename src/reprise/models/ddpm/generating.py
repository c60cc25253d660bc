"""What a trained DDPM draws: samples, samples as they emerge, interpolations; and the options of `reprise generate`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.diffusion.reverse import ReverseProcess
from reprise.diffusion.steps import Sampling, Step, Variance
from reprise.models.ddpm import drawing, showing
from reprise.models.ddpm.network import UNet
from reprise.nn.cuda_graph import RecordedCall
from reprise.samples.base import Sample
from reprise.samples.grids import columns_grid, sample_grid

log = logging.getLogger(__name__)


class GeneratingModule(pl.LightningModule):
    """Draws images from a U-Net and the reverse process that its output stands for.

    Args:
        network: takes x_t and the step counted from 0.
        reverse: what its output means.
        sampling: how images are drawn where nothing else is asked for.
        sampling_batch: images drawn at once.

    Raises:
        ConfigError: the sampling does not go with the reverse process.
    """

    def __init__(self, network: UNet, reverse: ReverseProcess, sampling: Sampling, sampling_batch: int) -> None:
        super().__init__()
        self.network = network
        self.shape = network.shape
        self.reverse = reverse
        self.sampling = sampling
        self.sampling_batch = self.generation_batch = sampling_batch
        self._emerging: list[list[tuple[int, Tensor]]] = []  # what each `generate` since the last overview saw
        self._plan(sampling, "sampling")

    @torch.no_grad()
    def sample(
        self,
        keys: list[int],
        seed: int = 0,
        stream: str = "generate",
        sampling: Sampling | None = None,
        start: tuple[int, Tensor] | None = None,
        on_x_0: Callable[[int, Tensor], None] | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> Tensor:
        """Draw images; each depends on its key, not on the others of the batch.

        Args:
            keys: one number per image, that with the seed decides its noise.
            seed: equal seeds give equal images.
            stream: name of the random stream.
            sampling: how; None for the model's own way.
            start: a step t and x_t (B, C, H, W), to begin there; None to begin with noise.
            on_x_0: called with t and the x_0 (B, C, H, W) predicted at t.
            on_step: called after each step with t.

        Returns:
            (B, C, H, W) whole numbers, uint8, on the CPU.

        Raises:
            ConfigError: the sampling does not go with the model.
        """
        way = sampling or self.sampling
        steps = self._plan(way, "sampling", None if start is None else start[0])
        learned = self.reverse.variance == "learned" and way.method == "ancestral" and way.variance in (None, "learned")
        noise = self._noise(seed, stream, keys)
        x_t = None if start is None else start[1].to(self.device)
        network = RecordedCall(self.network, self.device)
        with self._without_dropout():
            x_0 = drawing.run(network, self.reverse, steps, noise, way.clip, learned, x_t, on_x_0, on_step)
        if share := 1.0 - float(x_0.isfinite().double().mean()):
            log.warning(
                "sampling diverged: %.1f %% of the values are not finite; what is no number is drawn black.",
                100 * share,
            )
        return drawing.whole_numbers(x_0, self.shape.levels).cpu()

    @torch.no_grad()
    def interpolate(
        self,
        first: Tensor,
        second: Tensor,
        t: int,
        mix: float,
        keys: list[int],
        seed: int = 0,
        sampling: Sampling | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> Tensor:
        """Diffuse both images to step t, mix what they became, and run the reverse process (section 4.4).

        The noise of a key is the same for every mix.

        Args:
            first, second: (B, C, H, W) whole numbers.
            t: 1..T; the larger, the more the mixture differs from both.
            mix: 0 for the first, 1 for the second.
            keys: one number per pair that decides its noise.
            seed: equal seeds give equal images.
            sampling: how the reverse process is run.
            on_step: called after each step.

        Returns:
            (B, C, H, W) whole numbers, uint8, on the CPU.

        Raises:
            ConfigError: t or mix is out of range.
        """
        self._check_step(t)
        if not 0.0 <= mix <= 1.0:
            raise ConfigError(f"mix={mix}. Expected 0 to 1.")
        noise = self._noise(seed, "interpolate", keys)
        at = torch.full((len(keys),), t, device=self.device)
        images = [drawing.scaled(image.to(self.device), self.shape.levels) for image in (first, second)]
        x_t, other = (self.reverse.diffuse(image, at, noise()) for image in images)
        start = (1.0 - mix) * x_t + mix * other
        return self.sample(keys, seed, "interpolated", sampling, (t, start), on_step=on_step)

    def inputs_for(self, interpolate: int | None = None, **_: Any) -> Literal["examples", "none"]:
        """What has to be given to `generate`: nothing, or images to interpolate between."""
        return "none" if interpolate is None else "examples"

    def generate_steps(
        self,
        steps: int | None = None,
        variance: Variance | None = None,
        method: Literal["ancestral", "ddim"] | None = None,
        eta: float | None = None,
        interpolate: int | None = None,
    ) -> int:
        """Steps of the reverse process that `generate` will take, for a progress bar."""
        if interpolate is not None:
            self._check_step(interpolate)
        return len(self._plan(self._way(steps, variance, method, eta), "generate", interpolate))

    def generate(
        self,
        conditions: list[Any],
        *,
        seed: int = 0,
        steps: int | None = None,
        variance: Literal["large", "small", "learned"] | None = None,
        method: Literal["ancestral", "ddim"] | None = None,
        eta: float | None = None,
        interpolate: int | None = None,
        mix: float = 0.5,
        progressive: bool = False,
        keys: list[int] | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> list[Tensor]:
        """Draw images, or interpolate between given ones.

        Args:
            conditions: examples with `image`, or None where nothing is given.
            seed: equal seeds give equal images.
            steps: steps to take, evenly spaced; by default as the run is configured, which is all.
            variance: large, small or learned; by default that of training.
            method: ancestral or ddim; by default as the run is configured.
            eta: of ddim; 0 draws nothing on the way; by default as the run is configured.
            interpolate: step to which given images are diffused; of those that are drawn together each is mixed with
                the next, the last with the first.
            mix: of an interpolation; 0 for the image, 1 for the next.
            progressive: also show what x_0 was predicted to be on the way.
            keys: one number per image that, with the seed, decides its noise; by default its place in the list.
            on_step: called after each step.

        Returns:
            (C, H, W) whole numbers each.

        Raises:
            ConfigError: choices that do not go together, or a number out of range.
        """
        keys = list(range(len(conditions))) if keys is None else keys
        way = self._way(steps, variance, method, eta)
        if interpolate is not None:
            if progressive:
                raise ConfigError("progressive=true shows samples, not interpolations. Leave one of the two out.")
            if len(conditions) < 2:
                raise ConfigError(
                    f"one image is left to interpolate from. Expected two or more in each {self.generation_batch} that "
                    "are drawn together: change count."
                )
            images = torch.stack([c["image"] for c in conditions])
            return list(self.interpolate(images, images.roll(-1, 0), interpolate, mix, keys, seed, way, on_step))
        if mix != 0.5:
            raise ConfigError(f"mix={mix:g} is of an interpolation. Add interpolate=STEP, or leave it out.")
        if any(condition is not None for condition in conditions):
            raise ConfigError(
                "images are given, and samples are drawn from nothing. Add interpolate=STEP, or leave out input."
            )
        plan = self._plan(way, "generate")
        watch = showing.Watch([step.index for step in plan], self.shape.levels) if progressive else None
        made = self.sample(keys, seed, "generate", way, None, watch, on_step)
        if watch is not None:
            self._emerging.append(watch.seen)
        return list(made)

    def overview(
        self,
        conditions: list[Any],
        made: list[Tensor],
        *,
        interpolate: int | None = None,
        mix: float = 0.5,
        progressive: bool = False,
        **_: Any,
    ) -> Sample | None:
        """All that was made in one picture; interpolations between the images that they are made of."""
        drawn = torch.stack(made)
        if interpolate is not None:
            images = torch.stack([c["image"] for c in conditions]).cpu()
            others = torch.cat([together.roll(-1, 0) for together in images.split(self.generation_batch)])
            columns = [("first", images), (f"{mix:g}", drawn), ("second", others)]
            return columns_grid("grid", f"interpolated at t = {interpolate}", self.shape.levels, columns)
        if progressive and self._emerging:
            seen, self._emerging = showing.together(self._emerging, len(made)), []
            return showing.emerging_grid("grid", seen, self.shape.levels)
        return sample_grid(drawn, self.shape.levels, "grid")

    def _way(
        self,
        steps: int | None,
        variance: Variance | None,
        method: Literal["ancestral", "ddim"] | None,
        eta: float | None,
    ) -> Sampling:
        """The model's own way of sampling, but for what is given."""
        own = self.sampling
        chosen = method or ("ancestral" if variance is not None else own.method)
        same = chosen == own.method
        try:
            return Sampling(
                steps=own.steps if steps is None else steps,
                variance=variance or (own.variance if same else None),
                method=chosen,
                eta=eta if eta is not None else (own.eta if same else 0.0),
                clip=own.clip,
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def _check_step(self, t: int) -> None:
        if not 1 <= t <= len(self.reverse):
            raise ConfigError(f"interpolate={t}. Expected a step from 1 to {len(self.reverse)}.")

    def _plan(self, way: Sampling, name: str, top: int | None = None) -> list[Step]:
        try:
            return way.plan(self.reverse.schedule, self.reverse.variance, top)
        except ValueError as error:
            raise ConfigError(f"{name}: {error}") from None

    def _noise(self, seed: int, stream: str, keys: list[int]) -> drawing.ImageNoise:
        return drawing.ImageNoise(self.shape, seed, stream, keys, self.device)

    @contextlib.contextmanager
    def _without_dropout(self) -> Iterator[None]:
        """In evaluation mode, whatever mode the network is in before and afterwards."""
        training = self.network.training
        self.network.eval()
        try:
            yield
        finally:
            self.network.train(training)
