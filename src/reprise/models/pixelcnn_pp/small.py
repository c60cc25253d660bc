"""PixelCNN++ with a small receptive field (arXiv 1701.05517, Table 2): one resolution, few layers.

The paper gives the field (11x5, 15x8) and what is added to the layers in a few words; all else here is chosen.

F: filters; n: layers; S: sets of channels.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.models.pixelcnn_pp.layers import POINT, GatedResnet, InputLayers, Maps, Pair, Shift, concat_elu, down
from reprise.models.pixelcnn_pp.network import TwoStreams
from reprise.models.pixelcnn_pp.small_cache import SmallFieldCache
from reprise.nn.pixels.likelihood import Likelihood
from reprise.nn.pixels.precision import in_full_precision

Blocks = Literal["plain", "nin", "channel"]
NIN_BLOCKS = 3  # paper: three gated 1x1 blocks between every other layer
# Stream ul reads only its own row: with a row above it would reach further up than stream u, and the field would not be
# a rectangle.
LEFT = Shift(0, 1, 0)


class ChannelSets(nn.Module):
    """Sets of channels of one stream, each changed by a gated 1x1 layer that sees the earlier sets.

    Set j of S equal contiguous sets becomes GatedResnet(set j; side input phi(sets before j, as changed)); the first
    stays as it is. All sets of a pixel have seen the same earlier pixels.

    Args:
        filters: F.
        sets: S.
        classes, dropout: see GatedResnet.
    """

    def __init__(self, filters: int, sets: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.sets = sets
        width = filters // sets
        self.layers = nn.ModuleList(GatedResnet(width, POINT, 2 * width * j, classes, dropout) for j in range(1, sets))

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        """Map x (B, F, H, W) to as many maps; label (B,)."""
        parts = list(x.chunk(self.sets, 1))
        for j, layer in enumerate(self.layers, start=1):
            earlier = concat_elu(torch.cat(parts[:j], 1))
            parts[j] = layer(Maps(parts[j], concat_elu(parts[j])), [(earlier, POINT.margins)], label)
        return torch.cat(parts, 1)


class ChannelPair(nn.Module):
    """Autoregressive channel, for both streams.

    Paper: skip connections between sets of channels by a gated 1x1 residual layer. No more is said; `ChannelSets` is
    one reading.

    Args:
        filters, sets, classes, dropout: see ChannelSets.
        changes_u: see Pair.
    """

    def __init__(self, filters: int, sets: int, classes: int = 0, dropout: float = 0.0, changes_u: bool = True) -> None:
        super().__init__()
        self.shifts = POINT, POINT
        self.u = ChannelSets(filters, sets, classes, dropout) if changes_u else None
        self.ul = ChannelSets(filters, sets, classes, dropout)

    def forward(
        self, u: Maps, ul: Maps, shown: None, label: Tensor | None, after: tuple[Shift, Shift]
    ) -> tuple[Maps, Maps]:
        """As Pair.forward."""
        new_ul = self.ul(ul.raw, label)
        if self.u is not None:
            new_u = self.u(u.raw, label)
            u = Maps(new_u, concat_elu(new_u, after[0]))
        return u, Maps(new_ul, concat_elu(new_ul, after[1]))


class SmallField(TwoStreams):
    """A plain stack of layers whose receptive field is a rectangle above the pixel and a strip to its left.

    With n layers the field is 4n + 3 wide, `first_rows` + 2n high, and 2n + 1 pixels to the left. So n = 2 with one row
    gives 11x5, and n = 3 with two rows 15x8.

    Args:
        likelihood: of a whole pixel.
        filters: F.
        resnets: n.
        first_rows: rows that the first layer of stream u reads, 1 or 2.
        blocks: what follows every other layer, the first one included: nothing; three gated 1x1 layers (nin); or gated
            1x1 shortcuts between sets of channels (channel).
        sets: S, sets of channels where blocks is channel.
        dropout, class_conditional: see TwoStreams.

    Raises:
        ConfigError: a size is out of range.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        filters: int = 160,
        resnets: int = 2,
        first_rows: int = 1,
        blocks: Blocks = "plain",
        sets: int = 4,
        dropout: float = 0.5,
        class_conditional: bool = False,
    ) -> None:
        super().__init__(likelihood, filters, class_conditional, dropout)
        if resnets < 1:
            raise ConfigError(f"network.resnets is {resnets}. Expected 1 or more.")
        if first_rows not in (1, 2):
            raise ConfigError(f"network.first_rows is {first_rows}. Expected 1 or 2.")
        if blocks not in ("plain", "nin", "channel"):
            raise ConfigError(f"network.blocks is {blocks!r}. Expected plain, nin or channel.")
        if blocks == "channel" and (sets < 2 or filters % sets):
            raise ConfigError(f"network.sets is {sets}. Expected 2 or more that divide the {filters} filters.")
        self.field = 4 * resnets + 3, first_rows + 2 * resnets, 2 * resnets + 1
        # Columns c and c + 1: stream ul adds the column that is missing on the left.
        self.input = InputLayers(self.shape.channels, filters, Shift(first_rows - 1, 0, 1))
        self.body = nn.ModuleList()
        for k in range(resnets):
            self.body.append(Pair(filters, down(), LEFT, classes=self.classes, dropout=dropout))
            read = k < resnets - 1  # behind the last layer nothing reads stream u
            if k % 2 == 0 and blocks == "nin":
                self.body.extend(
                    Pair(filters, POINT, POINT, sees_u=False, classes=self.classes, dropout=dropout, changes_u=read)
                    for _ in range(NIN_BLOCKS)
                )
            elif k % 2 == 0 and blocks == "channel":
                self.body.append(ChannelPair(filters, sets, self.classes, dropout, changes_u=read))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """See PixelNetwork.forward; condition (B,) class numbers."""
        if x.is_cuda:
            x = x.contiguous(memory_format=torch.channels_last)
        shifts = [block.shifts for block in self.body] + [(POINT, POINT)]
        u, ul = (Maps(raw, concat_elu(raw, shift)) for raw, shift in zip(self.input(x), shifts[0], strict=True))  # type: ignore[arg-type]
        for block, after in zip(self.body, shifts[1:], strict=True):
            u, ul = block(u, ul, None, condition, after)
        return in_full_precision(self.head, F.elu(ul.raw))  # type: ignore[no-any-return]

    def cache(self, batch: int, condition: Tensor | None = None) -> SmallFieldCache:
        """See PixelNetwork.cache; condition (B,) class numbers."""
        return SmallFieldCache(self, batch, condition)
