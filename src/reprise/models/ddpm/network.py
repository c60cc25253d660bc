"""The DDPM U-Net (Ho et al., arXiv 2006.11239, Appendix B; details from the authors' models/unet.py).

B: images; T: steps of the diffusion; C: channels of an image; L: resolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from reprise.config.errors import ConfigError
from reprise.models.ddpm.blocks import NEARLY_ZERO, Block, Conv2d, Down, GroupNorm, TimeEmbedding, Up
from reprise.nn.images import ImageShape
from reprise.nn.pixels.precision import in_full_precision


class UNet(nn.Module):
    """Predicts the noise of an image, or whatever else has the image's shape, from the noisy image and its time.

    On the way down every resolution has `blocks` blocks, on the way up one more; each of these reads, beside the maps
    before it, those of its counterpart on the way down, of which the last made are the first read. All layers have
    initial weights of Glorot's uniform kind; the last layer, and the last of each block, nearly zero ones, so that an
    untrained network predicts nearly zero.

    Group normalisation has 32 groups, or fewer in layers of less than 128 channels: see GroupNorm.

    Args:
        shape: the images'. Their side divides by 2^(L-1).
        channels: width of the first resolution, a multiple of 8.
        multipliers: of that width, one a resolution, L numbers.
        blocks: n, at each resolution on the way down.
        attention: sides of the maps on which attention follows each block. The middle always has one.
        dropout: share of activations that are dropped in training, within each block.
        learned_variance: predict twice as many channels, for a mean or noise and for a log-variance.
        checkpoint: recompute blocks in the backward pass rather than keep their activations.

    Raises:
        ConfigError: a size is out of range or does not fit the images.
    """

    def __init__(
        self,
        shape: ImageShape,
        channels: int = 128,
        multipliers: Sequence[int] = (1, 2, 2, 2),
        blocks: int = 2,
        attention: Sequence[int] = (16,),
        dropout: float = 0.1,
        learned_variance: bool = False,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.learned_variance = learned_variance
        self.checkpoint = checkpoint
        sides = _checked(shape.side, channels, multipliers, blocks, attention, dropout)
        widths = [channels * m for m in multipliers]
        embedded = 4 * channels

        def block(c_in: int, c_out: int, attends: bool) -> Block:
            return Block(c_in, c_out, embedded, dropout, attends)

        self.time = TimeEmbedding(channels, embedded)
        self.conv_in = Conv2d(shape.channels, channels)
        # 1. the way down; `kept` are the widths of what the way up will read
        encode: list[nn.Module] = []
        kept = [channels]
        for level, width in enumerate(widths):
            if level:
                encode.append(Down(kept[-1]))
                kept.append(kept[-1])
            for _ in range(blocks):
                encode.append(block(kept[-1], width, sides[level] in attention))
                kept.append(width)
        self.encode = nn.ModuleList(encode)
        # 2. the middle
        last = widths[-1]
        self.middle = nn.ModuleList([block(last, last, True), block(last, last, False)])
        # 3. the way up
        decode: list[nn.Module] = []
        before = last
        for level, width in reversed(list(enumerate(widths))):
            for _ in range(blocks + 1):
                decode.append(block(before + kept.pop(), width, sides[level] in attention))
                before = width
            if level:
                decode.append(Up(width))
        self.decode = nn.ModuleList(decode)
        self.norm_out = GroupNorm(before)
        self.conv_out = Conv2d(before, shape.channels * (1 + learned_variance), gain=NEARLY_ZERO)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Predict from noisy images and their times.

        Args:
            x: (B, C, side, side), values around [-1, 1].
            t: (B,) time of each image, 0 ... T-1 as the authors count: 0 has one step of noise. Whole or broken.

        Returns:
            (B, C, side, side); or (B, 2C, side, side) with `learned_variance`, first the C channels of the mean or the
            noise, then those of the log-variance.
        """
        embedded = F.silu(self.time(t))
        if not x.is_cuda or torch.compiler.is_compiling():
            # The faster layout; but not for single kernels on a GPU, of which torch's group normalisation (2.13) has
            # none for it: it copies, and so would each block.
            x = x.contiguous(memory_format=torch.channels_last)
            # once more for images of one channel, whose layout says nothing, so that the convolution would choose
            h = self.conv_in(x).contiguous(memory_format=torch.channels_last)
        else:
            h = self.conv_in(x)
        kept = [h]
        for layer in self.encode:
            h = layer(h) if isinstance(layer, Down) else self._run(layer, h, embedded)
            kept.append(h)
        for layer in self.middle:
            h = self._run(layer, h, embedded)
        for layer in self.decode:
            h = layer(h) if isinstance(layer, Up) else self._run(layer, torch.cat([h, kept.pop()], 1), embedded)
        return in_full_precision(self.conv_out, F.silu(self.norm_out(h))).contiguous()

    def _run(self, block: Callable[..., Tensor], *inputs: Any) -> Tensor:
        if self.checkpoint and torch.is_grad_enabled():
            return recomputed(block, *inputs, use_reentrant=False)  # type: ignore[no-any-return]
        return block(*inputs)


def _checked(
    side: int, channels: int, multipliers: Sequence[int], blocks: int, attention: Sequence[int], dropout: float
) -> list[int]:
    """Refuse sizes that fit no network; returns the side of the maps at each resolution."""
    if channels < 8 or channels % 8:
        near = max(8, round(channels / 8) * 8)
        raise ConfigError(
            f"network.channels is {channels}. Expected a multiple of 8, such as {near}; the paper has 128."
        )
    if not multipliers or min(multipliers) < 1:
        raise ConfigError(
            f"network.multipliers is {list(multipliers)}. Expected a whole number of 1 or more for each resolution, "
            "such as [1, 2, 2, 2]."
        )
    if blocks < 1:
        raise ConfigError(f"network.blocks is {blocks}. Expected 1 or more; the paper has 2.")
    if not 0.0 <= dropout < 1.0:
        raise ConfigError(f"network.dropout is {dropout}. Expected 0 or more and less than 1; the paper has 0.1.")
    levels = len(multipliers)
    if side % 2 ** (levels - 1):
        fitting = max(k for k in range(1, levels) if side % 2 ** (k - 1) == 0)
        raise ConfigError(
            f"network.multipliers has {levels} resolutions, but the images' side of {side} does not divide by "
            f"{2 ** (levels - 1)}. Expected at most {fitting}, such as {list(multipliers[:fitting])}."
        )
    sides = [side // 2**level for level in range(levels)]
    for wanted in attention:
        if wanted not in sides:
            near = min(sides, key=lambda s: (abs(s - wanted), s))
            raise ConfigError(
                f"network.attention names maps of side {wanted}, but those of this network have sides "
                f"{', '.join(map(str, sides))}. Expected one of these, such as [{near}], or [] for the middle alone."
            )
    return sides
