"""Mixture of conditional Gaussian scale mixtures: the continuous output that PixelRNN compares its softmax with.

Theis, Hosseini and Bethge, PLoS ONE 7(7), 2012; for the hidden units of a recurrent network: Theis and Bethge,
"Generative Image Modeling Using Spatial LSTMs", 2015. PixelRNN gives neither sizes nor initial values.

h: features that the network puts out for a colour; c: component; s: scale; eta_cs log-weight; alpha_cs log-precision;
beta_ci and b_i: weights and directions of a quadratic gate; w_c: linear gate; a_c and u_c: predictor and its mean.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.nn.images import ImageShape
from reprise.nn.pixels.likelihood import Likelihood, inverted, precise


class MCGSM(Likelihood):
    """Density of a colour given the network's features h, with parameters of its own for each colour.

        p(y | h) = sum_cs p(c, s | h) N(y; a_c h + u_c, exp(-alpha_cs))
        p(c, s | h) prop. to exp(eta_cs + exp(alpha_cs) (w_c h - sum_i beta_ci^2 (b_i h)^2 / 2))

    This is the form of the authors' toolbox (lucastheis/cmt, its description of MCGSM) for one output dimension, whose
    factor L_c is 1 as in the paper of 2015. y = x + u, with the level x and uniform u in [0, 1), is a density over bins
    of width 1, so its mean log over u is a lower bound of the log-likelihood of levels, and nats compare with those of
    discrete models (Theis, van den Oord and Bethge, 2016). Inside, [0, levels) is mapped to [-1, 1).

    Maps: `features` for each colour, contiguous. Noise of a colour: one number for the component and scale, one for
    the Gaussian.

    Args:
        shape: of the images.
        components: number of c; 8 in the authors' code (lucastheis/ride, ride.py).
        scales: number of s; 4, likewise.
        features: entries of h (open in the paper).
        quadratics: number of b_i; 16, likewise.

    Raises:
        ConfigError: a size is out of range.
    """

    dequantises = True

    def __init__(
        self, shape: ImageShape, components: int = 8, scales: int = 4, features: int = 32, quadratics: int = 16
    ) -> None:
        super().__init__(shape)
        sizes = {"components": components, "scales": scales, "features": features, "quadratics": quadratics}
        for name, value in sizes.items():
            if value < 1:
                raise ConfigError(f"likelihood.{name} is {value}. Expected 1 or more.")
        colours = shape.channels
        self.features = features
        self.maps = colours * features
        self.stages = tuple((c,) for c in range(colours))
        self.noise = 2 * colours
        # rows: b_i, then w_c, then a_c, so that one product gives all that is linear in h
        self.sizes = (quadratics, components, components)
        self.linear = nn.Parameter(torch.empty(colours, sum(self.sizes), features))
        self.beta = nn.Parameter(torch.full((colours, components, quadratics), 0.5))
        self.u = nn.Parameter(torch.zeros(colours, components))
        self.eta = nn.Parameter(torch.zeros(colours, components, scales))
        # not in the papers: scales start around the spread of uniform levels, variance 1/3, a factor e each way at most
        start = math.log(3.0) + (torch.linspace(-1.0, 1.0, scales) if scales > 1 else torch.zeros(1))
        self.alpha = nn.Parameter(start.repeat(colours, components, 1))
        nn.init.normal_(self.linear, std=0.1 / math.sqrt(features))  # small, so that the first density is broad

    def log_prob(self, maps: Tensor, image: Tensor, uniform: Tensor | None = None) -> Tensor:
        """See Likelihood.log_prob.

        Raises:
            ValueError: no uniform numbers.
        """
        if uniform is None:
            raise ValueError("MCGSM is a density: log_prob needs uniform numbers (B, C, H, W) in [0, 1).")
        h = precise(maps).unflatten(1, (self.shape.channels, self.features)).movedim(2, -1)  # (B, C, H, W, F)
        y = (image.to(h) + uniform.to(h)) * (2 / self.shape.levels) - 1
        h = h.flatten(2, 3)
        weights, means = self._mixture(h, slice(None))
        alpha = self.alpha.to(h)[:, None]  # (C, 1, K, S)
        error = y.flatten(2)[..., None] - means  # (B, C, HW, K)
        gauss = 0.5 * (alpha - math.log(2 * math.pi) - alpha.exp() * error.square()[..., None])
        density = torch.logsumexp((weights + gauss).flatten(-2), -1).sum(1).unflatten(1, image.shape[2:])
        # bins of width 1 are 2 / levels wide here
        return density + self.shape.channels * math.log(2 / self.shape.levels)

    def draw(self, maps: Tensor, stage: int, uniform: Tensor, pixel: Tensor) -> Tensor:
        """See Likelihood.draw. The density reaches beyond the levels; what falls there becomes the nearest one."""
        h = precise(maps[:, stage * self.features : (stage + 1) * self.features])
        colour = slice(stage, stage + 1)
        weights, means = self._mixture(h[:, None, None], colour)
        chosen = inverted(weights[:, 0, 0].flatten(1).exp(), uniform[:, 2 * stage])
        scales = self.alpha.shape[-1]
        mean = means[:, 0, 0].gather(1, chosen[:, None] // scales)[:, 0]
        deviation = torch.exp(-0.5 * self.alpha[stage].to(h)).flatten()[chosen]
        y = mean + deviation * torch.special.ndtri(uniform[:, 2 * stage + 1]).to(h)
        level = ((y + 1) * (self.shape.levels / 2)).floor()
        return level.clamp(0, self.shape.levels - 1).long()[:, None]

    def _mixture(self, h: Tensor, colour: slice) -> tuple[Tensor, Tensor]:
        """Log of p(c, s | h), (B, C, N, K, S), and means a_c h + u_c, (B, C, N, K); h (B, C, N, F) of some colours."""
        linear, beta, u, eta, alpha = (p[colour].to(h) for p in (self.linear, self.beta, self.u, self.eta, self.alpha))
        with torch.autocast(h.device.type, enabled=False):  # 8 bits would put means on a coarser grid than the levels
            quadratic, gate, means = (h @ linear.transpose(1, 2)).split(self.sizes, -1)
            gate = gate - 0.5 * quadratic.square() @ beta.square().transpose(1, 2)
        logits = eta[:, None] + alpha.exp()[:, None] * gate[..., None]
        return logits.flatten(-2).log_softmax(-1).view_as(logits), means + u[:, None]
