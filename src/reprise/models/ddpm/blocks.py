"""The blocks of the DDPM U-Net (Ho et al., arXiv 2006.11239, Appendix B; details from the authors' models/unet.py).

B: images; C: channels; H, W: height and width of the maps at a block's resolution; E: width of the time embedding.
Maps are (B, C, H, W) throughout, as a rule with channels last in memory (see UNet.forward).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.nn.dropout import Dropout

GROUPS, EPS = 32, 1e-6  # of group normalisation: the authors' code
LEAST_PER_GROUP = 4  # channels, as in the paper's narrowest layer: 128 in 32 groups
NEARLY_ZERO = 1e-5  # the authors' "zero" weights have a variance of 1e-10 times the usual one


def glorot(weight: Tensor, gain: float = 1.0) -> Tensor:
    """Fill with uniform numbers of variance gain^2 * 2 / (fan in + fan out), as every weight of the authors' code."""
    return nn.init.xavier_uniform_(weight, gain)


class Conv2d(nn.Conv2d):
    """Convolution with weights as `glorot` draws them and zero biases; output of the input's size if stride is 1."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 3, stride: int = 1, gain: float = 1.0) -> None:
        super().__init__(c_in, c_out, kernel, stride, padding=kernel // 2 if stride == 1 else 0)
        assert self.bias is not None
        glorot(self.weight, gain)
        nn.init.zeros_(self.bias)


class Linear(nn.Linear):
    """Linear layer with weights as `glorot` draws them and zero biases.

    Args:
        c_in: inputs.
        c_out: outputs of each part.
        parts: layers of the same input that are computed as one; each has initial weights of its own fan.
        gain: of the initial weights.
    """

    def __init__(self, c_in: int, c_out: int, parts: int = 1, gain: float = 1.0) -> None:
        super().__init__(c_in, parts * c_out)
        for part in self.weight.chunk(parts):
            glorot(part, gain)
        nn.init.zeros_(self.bias)


class GroupNorm(nn.GroupNorm):
    """Group normalisation in as many of 32 groups as leave four channels or more to a group.

    That is the paper's 32 for all of its widths. A narrower layer has the largest power of two that divides its
    channels into such groups, since groups of one or two channels would take away what those channels say.
    """

    def __init__(self, channels: int) -> None:
        groups = min(GROUPS, math.gcd(channels, GROUPS))
        while groups > 1 and channels // groups < LEAST_PER_GROUP:
            groups //= 2
        super().__init__(groups, channels, eps=EPS)


class TimeEmbedding(nn.Module):
    """Sinusoids of t, then two layers: dense, swish, dense.

    The sinusoids are sin and cos of t * 10000^(-i / (C/2 - 1)), i = 0 ... C/2 - 1: first all sines, then all cosines.
    They are worth keeping apart at neighbouring t, so this part stays in full precision under autocast.

    Args:
        channels: C, even and at least 4.
        width: E.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        half = channels // 2
        exponent = torch.arange(half, dtype=torch.float64) / (half - 1)
        self.register_buffer("frequencies", (-math.log(10000.0) * exponent).exp(), persistent=False)
        self.frequencies: Tensor
        self.hidden = Linear(channels, width)
        self.out = Linear(width, width)

    def sinusoids(self, t: Tensor) -> Tensor:
        """(B,) to (B, C), float64: the angle reaches a thousand radians."""
        angle = t.double()[:, None] * self.frequencies.double()
        return torch.cat([angle.sin(), angle.cos()], 1)

    def forward(self, t: Tensor) -> Tensor:
        """(B,) whole or broken numbers to (B, E)."""
        with torch.autocast(t.device.type, enabled=False):
            return self.out(F.silu(self.hidden(self.sinusoids(t).to(self.out.weight.dtype))))


class ResBlock(nn.Module):
    """conv(dropout(swish(norm(conv(swish(norm(x))) + W swish(e))))) + shortcut(x); e: time embedding.

    The last convolution starts at nearly zero, so that the block starts as its shortcut: the identity, or a 1x1
    convolution where the number of channels changes.

    Args:
        c_in: channels of the input.
        c_out: channels of the output.
        width: E.
        dropout: share of activations that are dropped in training.
    """

    def __init__(self, c_in: int, c_out: int, width: int, dropout: float) -> None:
        super().__init__()
        self.norm_in = GroupNorm(c_in)
        self.conv_in = Conv2d(c_in, c_out)
        self.time = Linear(width, c_out)
        self.norm_out = GroupNorm(c_out)
        self.dropout = Dropout(dropout)
        self.conv_out = Conv2d(c_out, c_out, gain=NEARLY_ZERO)
        self.shortcut = Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """Maps (B, C_in, H, W) and swish of the time embedding (B, E) to (B, C_out, H, W)."""
        h = self.conv_in(F.silu(self.norm_in(x)))
        h += self.time(embedded)[:, :, None, None]  # in place: no convolution needs its output to go back
        h = self.conv_out(self.dropout(F.silu(self.norm_out(h))))
        h += self.shortcut(x)
        return h


def _pixelwise(layer: nn.Linear, x: Tensor) -> Tensor:
    """A linear layer at every position of x (B, C, H, W); as a convolution on CPUs, for which torch has faster code."""
    if x.is_cuda:
        return layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # type: ignore[no-any-return]
    return F.conv2d(x, layer.weight[:, :, None, None], layer.bias)


class AttnBlock(nn.Module):
    """proj(softmax(q k^T / sqrt(C)) v) + x over all positions, one head; q, k, v: 1x1 convolutions of norm(x).

    The projection starts at nearly zero, so that the block starts as the identity.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = GroupNorm(channels)
        self.qkv = Linear(channels, channels, parts=3)
        self.proj = Linear(channels, channels, gain=NEARLY_ZERO)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        height, width = x.shape[2:]
        h = _pixelwise(self.qkv, self.norm(x)).permute(0, 2, 3, 1).flatten(1, 2)  # no copy where channels are last
        q, k, v = h[:, None].chunk(3, -1)  # (B, 1, H W, C) each
        h = F.scaled_dot_product_attention(q, k, v)[:, 0].unflatten(1, (height, width)).permute(0, 3, 1, 2)
        h = _pixelwise(self.proj, h)
        h += x
        return h


class Block(nn.Module):
    """A ResBlock, followed by an AttnBlock at some resolutions.

    Args:
        c_in: channels of the input.
        c_out: channels of the output.
        width: E.
        dropout: see ResBlock.
        attends: whether attention follows.
    """

    def __init__(self, c_in: int, c_out: int, width: int, dropout: float, attends: bool) -> None:
        super().__init__()
        self.residual = ResBlock(c_in, c_out, width, dropout)
        self.attention = AttnBlock(c_out) if attends else nn.Identity()

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """See ResBlock.forward."""
        return self.attention(self.residual(x, embedded))


class Down(nn.Module):
    """Convolution of stride 2 that reads one row and column beyond the bottom and the right, as TensorFlow's SAME.

    Padding both sides by one, as is usual in torch, would shift the maps by a pixel.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv2d(channels, channels, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H/2, W/2); H and W even."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Up(nn.Module):
    """Nearest-neighbour upsampling by 2, then a 3x3 convolution, computed as one transposed convolution.

    Among the four copies of a pixel the nine taps see four different values at most, so a 4x4 kernel of stride 2, made
    of sums of taps, does in 16 products what takes 36. Equal to conv(repeat(x)) up to rounding.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv2d(channels, channels)
        # row u: the taps whose sum is element u of the kernel, along one axis
        taps = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
        self.register_buffer("taps", taps, persistent=False)
        self.taps: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, 2H, 2W)."""
        taps = self.taps.to(self.conv.weight.dtype)
        with torch.autocast(x.device.type, enabled=False):  # sums of weights in full precision
            kernel = torch.einsum("ua,vb,oiab->iouv", taps, taps, self.conv.weight)
        return F.conv_transpose2d(x, kernel, self.conv.bias, stride=2, padding=1)
