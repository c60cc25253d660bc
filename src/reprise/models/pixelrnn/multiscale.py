"""Multi-scale PixelRNN: a small image is drawn first, and biases every layer of the network that draws the large one.

van den Oord et al., arXiv 1601.06759, section 3.6. n: side of the image; s: side of the small image; c: maps of the
upsampled small image.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.models.pixelrnn.network import PixelRNN, PixelRNNCache
from reprise.nn.pixels.likelihood import Likelihood
from reprise.nn.pixels.network import PixelNetwork


class MultiScalePixelRNN(PixelNetwork):
    """p(small) p(image | small), where small is every (n / s)-th pixel of every (n / s)-th row of the image.

    The paper subsamples without naming a filter. Taking pixels as they are keeps the levels of the image, so that the
    small image is one that the likelihood knows.

    `log_prob` is exact for the pair of an image and its own small image. An image can also be drawn after another small
    image than its own, so it is a lower bound of log p(image), the sum over all small images.

    Args:
        likelihood: of a pixel; the small image has the same, on fewer pixels.
        small: makes the unconditional network from its likelihood.
        large: makes the conditional network from its likelihood and `condition_maps`.
        side: s; divides n.
        condition_maps: c.
        upsampling_width: maps between the layers of the upsampling network.

    Raises:
        ConfigError: a size is out of range.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        small: Callable[..., PixelNetwork],
        large: Callable[..., PixelRNN],
        side: int,
        condition_maps: int = 16,
        upsampling_width: int = 32,
    ) -> None:
        super().__init__(likelihood)
        n = self.shape.side
        if not 1 <= side < n or n % side:
            allowed = ", ".join(str(k) for k in range(1, n) if n % k == 0)
            raise ConfigError(f"network.side is {side}. Expected a divisor of the image's {n}: one of {allowed}.")
        for name, value in (("condition_maps", condition_maps), ("upsampling_width", upsampling_width)):
            if value < 1:
                raise ConfigError(f"network.{name} is {value}. Expected 1 or more.")
        self.stride = n // side
        self.small = small(likelihood=_of_side(likelihood, side))
        self.large = large(likelihood=likelihood, condition_maps=condition_maps)
        self.upsampling = upsampling(self.shape.channels, upsampling_width, condition_maps, self.stride)

    def small_image(self, image: Tensor) -> Tensor:
        """Every (n / s)-th pixel of every (n / s)-th row: (B, C, H, W) to (B, C, s, s), whole numbers or input."""
        return image[:, :, :: self.stride, :: self.stride]

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Maps of all pixels of the large image, given the small one.

        Args:
            x: (B, C, H, W), scaled by the likelihood.
            condition: (B, C, s, s), the small image, scaled alike.

        Returns:
            (B, P, H, W).

        Raises:
            ValueError: there is no small image.
        """
        return self.large(x, self._upsampled(condition))

    def log_prob(self, image: Tensor, label: Tensor | None = None, uniform: Tensor | None = None) -> Tensor:
        """Sum of log p(small) and log p(image | small); see PixelNetwork.log_prob."""
        x = self.likelihood.scale(image).to(next(self.parameters()).dtype)
        given_small = self.likelihood.log_prob(self(x, self.small_image(x)), image, uniform).flatten(1).sum(1)
        small_uniform = None if uniform is None else self.small_image(uniform)
        return given_small + self.small.log_prob(self.small_image(image), None, small_uniform)

    def cache(self, batch: int, condition: Tensor | None = None) -> PixelRNNCache:
        """Begin sampling `batch` large images, given small ones (B, C, s, s), scaled."""
        return self.large.cache(batch, self._upsampled(condition))

    @torch.no_grad()
    def sample(
        self,
        uniform: Tensor,
        condition: Tensor | None = None,
        given: Tensor | None = None,
        known: Tensor | None = None,
        on_row: Callable[[int], None] | None = None,
    ) -> Tensor:
        """Draw small images, then large ones; see PixelNetwork.sample.

        Where pixels are given, those among them that belong to the small image are given to it too. Both images are
        drawn from top to bottom, each pixel after those above it and to the left.

        Args:
            uniform: (B, H + s, W, N): H rows for the large image, then s rows of which the small image uses the first
                s columns.
            condition: (B, C, s, s) small images, scaled; drawn by default.
            given: (B, C, H, W) whole numbers that are kept where `known`.
            known: (B, C, H, W) of bool; whole pixels.
            on_row: called with the number of rows done, of both images.

        Returns:
            (B, C, H, W) whole numbers, uint8.
        """
        n, s = self.shape.side, self.small.shape.side
        done = s if condition is None else 0
        if condition is None:
            small_given, small_known = (None if x is None else self.small_image(x) for x in (given, known))
            small = self.small.sample(uniform[:, n:, :s], None, small_given, small_known, on_row)
            condition = self.likelihood.scale(small).to(next(self.parameters()).dtype)
        later = None if on_row is None else lambda rows: on_row(done + rows)
        return super().sample(uniform[:, :n], condition, given, known, later)

    def sampling_noise(self) -> tuple[int, int, int]:
        """See PixelNetwork.sampling_noise and `sample`."""
        height, width, noise = super().sampling_noise()
        return height + self.small.shape.side, width, noise

    def sampling_rows(self) -> int:
        """See PixelNetwork.sampling_rows; of both images."""
        return self.shape.side + self.small.shape.side

    def _upsampled(self, small: Tensor | None) -> Tensor:
        if small is None:
            s = self.small.shape.side
            raise ValueError(f"the large image needs a small one as condition: (B, {self.shape.channels}, {s}, {s}).")
        return self.upsampling(small)


def upsampling(channels: int, width: int, maps: int, factor: int) -> nn.Sequential:
    """Transposed convolutions from an image (B, channels, s, s) to (B, maps, factor * s, factor * s).

    Not in the paper: how many, of which width, and what lies between. Here one for each prime factor f, which enlarges
    by f with a kernel of 2f, so that each position takes from two neighbours a side, and ReLU between them.
    """
    factors = [p for p in range(2, factor + 1) for _ in range(_power(p, factor))]
    widths = [channels, *[width] * (len(factors) - 1), maps]
    layers: list[nn.Module] = []
    for f, (into, out) in zip(factors, pairwise(widths), strict=True):
        # (s - 1) f - 2 padding + 2f + output_padding = f s
        layers += [nn.ConvTranspose2d(into, out, 2 * f, f, (f + 1) // 2, f % 2), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _power(candidate: int, number: int) -> int:
    """How often a prime divides a number; 0 for what is not prime."""
    if any(candidate % k == 0 for k in range(2, candidate)):
        return 0
    power = 0
    while number % candidate == 0:
        number, power = number // candidate, power + 1
    return power


def _of_side(likelihood: Likelihood, side: int) -> Likelihood:
    """The same likelihood on images of another side, which decides nothing about a single pixel."""
    other = copy.deepcopy(likelihood)
    other.shape = dataclasses.replace(likelihood.shape, side=side)
    return other
