"""Softmax over whole pixels, later colours linear in earlier ones (an ablation of PixelCNN++, arXiv 1701.05517)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from reprise.nn.images import ImageShape
from reprise.nn.pixels.likelihood import Likelihood, inverted, precise, spread


class LinearSoftmax(Likelihood):
    """What PixelCNN++ compares its mixture with: a softmax over the levels, colours coupled in the logits only.

    The logits of green are a_g + b_gr r, those of blue a_b + b_br r + b_bg g, where r and g are the true, scaled values
    of the pixel and a and b have an entry for each level. The paper says that later colours' logits are linear in the
    earlier ones and counts 1536 outputs for 3 colours of 256 levels, which is just this: 3 base logits and 3
    coefficients a level. Coefficients are not bounded (open in the paper).

    Maps, in this order: C * levels base logits, colour-major; C (C - 1) / 2 * levels coefficients: green on red, blue
    on red, blue on green. For one colour this is `Categorical`.

    Args:
        shape: of the images.
    """

    def __init__(self, shape: ImageShape) -> None:
        super().__init__(shape)
        colours = shape.channels
        self.maps = shape.levels * (colours + colours * (colours - 1) // 2)
        self.stages = (tuple(range(colours)),)
        self.noise = colours

    def log_prob(self, maps: Tensor, image: Tensor, uniform: Tensor | None = None) -> Tensor:
        """See Likelihood.log_prob."""
        parts = precise(maps).unflatten(1, (-1, self.shape.levels)).unbind(1)
        x = spread(image.to(parts[0]), self.shape.levels)
        levels = image.long()
        logits = (self._logits(parts, c, x) for c in range(self.shape.channels))
        losses = [F.cross_entropy(z, levels[:, c], reduction="none") for c, z in enumerate(logits)]
        return -torch.stack(losses).sum(0)

    def draw(self, maps: Tensor, stage: int, uniform: Tensor, pixel: Tensor) -> Tensor:
        """See Likelihood.draw; later colours see the earlier ones as they were drawn here."""
        parts = precise(maps).unflatten(1, (-1, self.shape.levels)).unbind(1)
        drawn = parts[0].new_zeros(len(maps), 0)
        for c in range(self.shape.channels):
            logits = self._logits(parts, c, spread(drawn, self.shape.levels))
            value = inverted(logits.softmax(-1), uniform[:, c])
            drawn = torch.cat([drawn, value[:, None]], 1)
        return drawn.long()

    def _logits(self, parts: tuple[Tensor, ...], c: int, x: Tensor) -> Tensor:
        """Logits of colour c, (B, levels, ...); C + pairs such parts, scaled earlier colours x (B, c or more, ...)."""
        logits = parts[c]
        first = self.shape.channels + c * (c - 1) // 2
        for j in range(c):
            logits = torch.addcmul(logits, parts[first + j], x[:, j, None])
        return logits
