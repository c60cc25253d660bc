"""Discrete likelihoods with one probability per level: softmax (PixelRNN, section 3.3) and Bernoulli."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.nn.images import ImageShape
from reprise.nn.pixels.likelihood import Likelihood, inverted, precise


class Categorical(Likelihood):
    """Softmax over all levels of each colour; colours of a pixel are predicted one after the other.

    Args:
        shape: of the images.
    """

    def __init__(self, shape: ImageShape) -> None:
        super().__init__(shape)
        self.maps = shape.channels * shape.levels
        self.stages = tuple((c,) for c in range(shape.channels))
        self.noise = shape.channels

    def log_prob(self, maps: Tensor, image: Tensor, uniform: Tensor | None = None) -> Tensor:
        """See Likelihood.log_prob."""
        logits = precise(maps).unflatten(1, (self.shape.channels, self.shape.levels))
        # cross_entropy takes the classes second: (B, levels, C, H, W)
        return -F.cross_entropy(logits.transpose(1, 2), image.long(), reduction="none").sum(1)

    def draw(self, maps: Tensor, stage: int, uniform: Tensor, pixel: Tensor) -> Tensor:
        """See Likelihood.draw."""
        logits = maps[:, stage * self.shape.levels : (stage + 1) * self.shape.levels]
        return inverted(precise(logits).softmax(-1), uniform[:, stage])[:, None]


class Bernoulli(Likelihood):
    """One logit per colour of a binary image; the input is 0 or 1 as it stands (PixelRNN, MNIST).

    Args:
        shape: of the images; levels must be 2.
    """

    def __init__(self, shape: ImageShape) -> None:
        if shape.levels != 2:
            raise ConfigError(
                f"a Bernoulli likelihood is for images of 2 levels, these have {shape.levels}. Expected binarised "
                "data, or likelihood._target_=reprise.nn.pixels.categorical.Categorical."
            )
        super().__init__(shape)
        self.maps = self.noise = shape.channels
        self.stages = tuple((c,) for c in range(shape.channels))

    def scale(self, image: Tensor) -> Tensor:
        """0 and 1 as floats."""
        return image.to(torch.get_default_dtype())

    def log_prob(self, maps: Tensor, image: Tensor, uniform: Tensor | None = None) -> Tensor:
        """See Likelihood.log_prob."""
        logits = precise(maps)
        return -F.binary_cross_entropy_with_logits(logits, image.to(logits), reduction="none").sum(1)

    def draw(self, maps: Tensor, stage: int, uniform: Tensor, pixel: Tensor) -> Tensor:
        """See Likelihood.draw."""
        off = torch.sigmoid(-precise(maps[:, stage]))  # F(0) = p(0)
        return (off <= uniform[:, stage].to(off)).long()[:, None]
