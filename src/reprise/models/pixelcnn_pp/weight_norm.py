"""Weight normalisation with data-dependent initialisation (Salimans & Kingma, arXiv 1602.07868, sections 2 and 3).

v: direction of a map's weights; g: their length; b: bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NormedConv2d(nn.Module):
    """Convolution without padding whose weights are w = g v / |v|, one g for each output map.

    Until `fitted_to_data` sets g and b from data, g is `init_scale` and b is 0.

    Args:
        into: I, input maps.
        out: O, output maps.
        kernel: (height, width).
        init_scale: standard deviation of the outputs after initialisation.
        stride: of both axes.
        dilation: of both axes.
    """

    def __init__(
        self,
        into: int,
        out: int,
        kernel: tuple[int, int] = (1, 1),
        init_scale: float = 1.0,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.kernel = kernel
        self.init_scale = init_scale
        self.stride = stride
        self.dilation = dilation
        self.v = nn.Parameter(torch.randn(out, into, *kernel) * 0.05)  # released code
        self.g = nn.Parameter(torch.full((out, 1, 1, 1), init_scale))
        self.b = nn.Parameter(torch.zeros(out))

    @property
    def weight(self) -> Tensor:
        """The weights in force, (O, I, height, width)."""
        return torch._weight_norm(self.v, self.g, 0)  # one kernel; the public ways take several

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x (B, I, H, W), padded as needed, to (B, O, H', W')."""
        return F.conv2d(x, self.weight, self.b, self.stride, dilation=self.dilation)


class NormedSides(NormedConv2d):
    """A 1x1 convolution of several stacks of maps as if they were one, without joining them.

    Each stack has its own margins, which are cut off from the outputs: a copy of fewer maps than cutting the input.
    """

    def forward(self, *sides: tuple[Tensor, tuple[int, int, int]]) -> Tensor:  # type: ignore[override]
        """Sum over one or two stacks.

        Args:
            sides: maps (B, I_k, H + top, W + left + right), and (top, left, right).

        Returns:
            (B, O, H, W).
        """
        weights = self.weight.split([maps.shape[1] for maps, _ in sides], dim=1)
        parts: list[Tensor] = []
        for (maps, (top, left, right)), weight in zip(sides, weights, strict=True):
            y = F.conv2d(maps, weight, None if parts else self.b)
            parts.append(y[:, :, top:, left : y.shape[3] - right])
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]


class NormedUpsampling(NormedConv2d):
    """Transposed convolution with stride 2 that doubles both sides; kernel 2x3 or 2x2.

    Coarse pixel (R, C) gives to rows 2R and 2R + 1, and to columns 2C - 1 to 2C + 1 (2x3) or 2C and 2C + 1 (2x2).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, I, H, W) to (B, O, 2H, 2W)."""
        beside = (self.kernel[1] - 1) // 2
        weight = self.weight.transpose(0, 1)
        return F.conv_transpose2d(x, weight, self.b, 2, padding=(0, beside), output_padding=(0, beside))


@contextmanager
def fitted_to_data(network: nn.Module) -> Iterator[None]:
    """While active, each forward pass sets g and b of every layer so that its outputs fit their scale.

    Outputs of each map get mean 0 and standard deviation `init_scale` over the batch and all positions, and are handed
    on like that. A map that is constant over the batch keeps its g: dividing by its deviation would blow it up.
    """
    layers = [module for module in network.modules() if isinstance(module, NormedConv2d)]
    handles = [layer.register_forward_hook(_fit) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def _fit(layer: NormedConv2d, _inputs: object, output: Tensor) -> Tensor:
    spread, mean = torch.std_mean(output, dim=(0, 2, 3), correction=0)
    factor = torch.where(spread > 1e-5, layer.init_scale / spread, 1.0)
    layer.g.mul_(factor[:, None, None, None])
    layer.b.copy_((layer.b - mean) * factor)
    return (output - mean[:, None, None]) * factor[:, None, None]
