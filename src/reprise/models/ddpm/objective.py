"""The objectives that Ho et al. (2020) compare (Table 2), each a loss an example."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

from reprise.diffusion.bound import Cdf, bound_term
from reprise.diffusion.reverse import ReverseProcess

Loss = Literal["simple", "bound"]


def simple_loss(reverse: ReverseProcess, output: Tensor, x_0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """Mean squared error (B,) of what is predicted: L_simple where that is epsilon (eq. 14).

    A mean over an image's values, as in the released code, where the paper writes a sum.
    """
    target = reverse.target(x_0, x_t, t, noise)
    return ((target - output.float()) ** 2).flatten(1).mean(1)


def bound_loss(
    reverse: ReverseProcess, output: Tensor, x_0: Tensor, x_t: Tensor, t: Tensor, levels: int, cdf: Cdf = "tanh"
) -> Tensor:
    """The bound's term at t in bits/dim (B,) (eq. 5); its mean over t is L / T but for L_T, which has no weights.

    As in the released code, x_0 is not clipped in training.
    """
    term, _ = bound_term(reverse, output, x_0, x_t, t, levels, clip=False, cdf=cdf)
    return term / (math.log(2.0) * x_0[0].numel())
