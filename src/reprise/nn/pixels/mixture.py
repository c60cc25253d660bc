"""Discretized mixture of logistics over whole pixels (PixelCNN++, arXiv 1701.05517, sections 2.1 and 2.2).

K: components; C: colours; nu: the continuous value whose rounding is the pixel; u+, u-: the upper and lower edge of a
bin, seen from the mean in units of the scale s; a bin is 2 / (levels - 1) wide on [-1, 1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.nn.images import ImageShape
from reprise.nn.pixels.likelihood import Likelihood, inverted, precise, spread

LOG_SCALE_FLOOR = -7.0  # not in the paper; authors' code: openai/pixel-cnn, pixel_cnn_pp/nn.py
UNIFORM_EDGE = 1e-5  # likewise: uniform numbers behind a logistic stay in [1e-5, 1 - 1e-5]


class LogisticMixture(Likelihood):
    """Mixture of logistics, rounded to the levels; one component for all colours of a pixel.

    p(r, g, b) = sum_k pi_k P(r | mu_r, s_r) P(g | mu_g + alpha r, s_g) P(b | mu_b + beta r + gamma g, s_b), where
    P(x | mu, s) = sigmoid(u+) - sigmoid(u-), the lowest bin reaching down to minus infinity and the highest up to
    infinity. The colours on the right are the true, scaled values of the pixel.

    Maps, in this order: K logits; C * K means and C * K log-scales, colour-major; C (C - 1) / 2 * K coefficients: green
    on red, blue on red, blue on green. Noise of a pixel: one number for the component, then one for each colour.

    Args:
        shape: of the images.
        components: K. "About 5" in the paper, 10 in the authors' code.

    Raises:
        ConfigError: no component.
    """

    def __init__(self, shape: ImageShape, components: int = 10) -> None:
        super().__init__(shape)
        if components < 1:
            raise ConfigError(f"likelihood.components is {components}. Expected 1 or more.")
        colours = shape.channels
        self.components = components
        self.sizes = (colours, colours, colours * (colours - 1) // 2)
        self.maps = components * (1 + sum(self.sizes))
        self.stages = (tuple(range(colours)),)
        self.noise = 1 + colours

    def log_prob(self, maps: Tensor, image: Tensor, uniform: Tensor | None = None) -> Tensor:
        """See Likelihood.log_prob."""
        maps = precise(maps)
        logits, means, log_scales, coefficients = self._parts(maps)
        x = spread(image.to(maps), self.shape.levels)[:, :, None]  # (B, C, 1, H, W)
        # 1. means of later colours move with the true values of the earlier ones
        moved = list(means.unbind(1))
        for c in range(1, self.shape.channels):
            first = c * (c - 1) // 2
            moved[c] = moved[c] + (coefficients[:, first : first + c] * x[:, :c]).sum(1)
        centred = x - torch.stack(moved, 1)
        # 2. colours are multiplied inside the mixture: they share the component
        colours = self._log_bin(centred, log_scales, image[:, :, None]).sum(1)
        return torch.logsumexp(logits.log_softmax(1) + colours, 1)

    def draw(self, maps: Tensor, stage: int, uniform: Tensor, pixel: Tensor) -> Tensor:
        """See Likelihood.draw. A logistic, clipped to [-1, 1] and rounded, has just the bins' probabilities."""
        maps = precise(maps)
        k = inverted(maps[:, : self.components].softmax(-1), uniform[:, 0])
        parts = maps[:, self.components :].unflatten(1, (-1, self.components))
        chosen = parts.gather(2, k[:, None, None].expand(-1, parts.shape[1], 1))[..., 0]
        means, raw, coefficients = chosen.split(self.sizes, 1)
        scales = raw.clamp_min(LOG_SCALE_FLOOR).exp()
        # in units of levels: mu + s logit(u) with -1 ... 1 spread over 0 ... levels - 1
        top = self.shape.levels - 1
        nu = (means + scales * torch.logit(uniform[:, 1:].to(maps), UNIFORM_EDGE) + 1) * (top / 2)
        coefficients = coefficients.tanh()
        drawn: list[Tensor] = []
        for c in range(self.shape.channels):
            value = nu[:, c]
            for j in range(c):  # the earlier colours clipped and rounded, as the network will see them
                value = torch.addcmul(value, coefficients[:, c * (c - 1) // 2 + j], drawn[j] - top / 2)
            drawn.append(value.clamp(0, top).round())
        return torch.stack(drawn, 1).long()

    def _parts(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits (B, K, H, W), means and log-scales (B, C, K, H, W), coefficients (B, C (C - 1) / 2, K, H, W)."""
        logits, rest = maps[:, : self.components], maps[:, self.components :]
        means, raw, coefficients = rest.unflatten(1, (-1, self.components)).split(self.sizes, 1)
        return logits, means, raw.clamp_min(LOG_SCALE_FLOOR), coefficients.tanh()

    def _log_bin(self, centred: Tensor, log_scales: Tensor, image: Tensor) -> Tensor:
        """Log-probability of each bin; centred (B, C, K, H, W) is x - mu, image (B, C, 1, H, W) the level.

        The authors' code takes log(sigmoid(u+) - sigmoid(u-)), and where that is below 1e-5 the density at the centre
        times the width, which fits narrow bins only. Here it is the exact

            sigmoid(u+) - sigmoid(u-) = sigmoid(u+) sigmoid(-u-) (1 - exp(-(u+ - u-))),

        whose factors do not cancel, so that neither tails nor wide bins (few levels) need another formula.
        """
        top = self.shape.levels - 1
        inverse = torch.exp(-log_scales)
        below = F.logsigmoid((centred + 1 / top) * inverse)
        above = F.logsigmoid((1 / top - centred) * inverse)
        # the smallest normal number keeps the logarithm finite at scales beyond all sense
        width = (inverse * (2 / top)).clamp_min(torch.finfo(inverse.dtype).tiny)
        inside = torch.log(-torch.expm1(-width))
        lowest, highest = image == 0, image == top
        return (
            below.masked_fill(highest, 0.0) + above.masked_fill(lowest, 0.0) + inside.masked_fill(lowest | highest, 0.0)
        )
