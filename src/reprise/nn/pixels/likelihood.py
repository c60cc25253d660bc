"""What a likelihood of pixels must offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from reprise.nn.images import ImageShape


class Likelihood(nn.Module, ABC):
    """Distribution of a pixel's whole-numbered colours, given the maps that a network puts out for it.

    Args:
        shape: of the images.

    Attributes:
        maps: P, maps per pixel that the network must put out. Where colours are drawn one by one, the maps of each
            colour are contiguous, red first, all parts equal.
        stages: colours that one evaluation of the network decides, in order: ((0,), (1,), (2,)) where it sees the
            colours of the present pixel one after the other, ((0, 1, 2),) where it sees complete pixels only.
        noise: N, uniform numbers from [0, 1) that a draw of one pixel consumes.
        dequantises: whether `log_prob` needs uniform numbers, since the distribution is continuous.
    """

    maps: int
    stages: tuple[tuple[int, ...], ...]
    noise: int
    dequantises: ClassVar[bool] = False

    def __init__(self, shape: ImageShape) -> None:
        super().__init__()
        self.shape = shape

    @property
    def colours(self) -> int:
        """Colour groups that the network's maps are split into: 1 where pixels are predicted as a whole."""
        return len(self.stages)

    def scale(self, image: Tensor) -> Tensor:
        """Whole numbers 0 ... levels - 1 as network input in [-1, 1]."""
        return spread(image.to(torch.get_default_dtype()), self.shape.levels)

    @abstractmethod
    def log_prob(self, maps: Tensor, image: Tensor, uniform: Tensor | None = None) -> Tensor:
        """Log-likelihood of each pixel in nats.

        Args:
            maps: (B, P, H, W), what the network put out.
            image: (B, C, H, W), whole numbers.
            uniform: (B, C, H, W) in [0, 1), where `dequantises`.

        Returns:
            (B, H, W), summed over colours.
        """

    @abstractmethod
    def draw(self, maps: Tensor, stage: int, uniform: Tensor, pixel: Tensor) -> Tensor:
        """Draw the colours of one stage at one pixel, by inversion of the distribution function.

        Args:
            maps: (B, P).
            stage: which colours, see `stages`.
            uniform: (B, N).
            pixel: (B, C) whole numbers, those of earlier stages filled in.

        Returns:
            (B, colours of the stage), whole numbers in int64.
        """


def inverted(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Smallest k with F(k) > u: probabilities (B, K), need not sum to one; uniform (B,); (B,) int64."""
    cumulative = probabilities.double().cumsum(-1)  # in float32 a number just below 1 would round to 1
    below = cumulative <= uniform[:, None] * cumulative[:, -1:]
    return below.sum(-1).clamp_(max=probabilities.shape[-1] - 1)


def precise(maps: Tensor) -> Tensor:
    """Maps of half precision in float32, others as they are: sums of many probabilities need more than 8 bits."""
    return maps.float() if maps.dtype in (torch.float16, torch.bfloat16) else maps


def spread(values: Tensor, levels: int) -> Tensor:
    """Levels 0 ... levels - 1, in any floating type, as -1 ... 1."""
    return values * (2.0 / (levels - 1)) - 1.0
