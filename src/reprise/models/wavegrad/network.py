"""The WaveGrad network (Appendix A, Figures 3 to 6).

Shapes: B batch, T waveform samples, M mel bins, F = T / hop frames, L samples at a block's rate, C channels.
Symbols: y_n noisy waveform, x mel spectrogram, gamma and xi the FiLM scale and shift, level sqrt(alpha_bar).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2  # not in the paper: slope of the leaky ReLU; every public implementation uses 0.2

Downsampling = Literal["strided", "strided_odd", "interpolate"]


class Conv1d(nn.Conv1d):
    """Convolution over (B, L, C) with "same" padding, orthogonal weights (Appendix A) and zero biases.

    Inside the network channels come last in memory: on CPUs that is 1.2 to 1.9 times as fast as (B, C, L), since the
    kernels vectorise over channels. Weights keep the usual shape (C_out, C_in, kernel).
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, dilation: int = 1, stride: int = 1) -> None:
        super().__init__(c_in, c_out, kernel, stride, padding=dilation * (kernel // 2), dilation=dilation)
        nn.init.orthogonal_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, C_in) to (B, L / stride, C_out)."""
        if self.kernel_size == (1,) and self.stride == (1,):
            return F.linear(x, self.weight.squeeze(2), self.bias)
        return convolve(x, self.weight, self.bias, self.stride[0], int(self.padding[0]), self.dilation[0])


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Tensor:
    """Convolve (B, L, C_in) with (C_out, C_in, kernel): a 2-D convolution of height 1 in channels-last layout."""
    image = x.permute(0, 2, 1).unsqueeze(2)
    out = F.conv2d(image, weight.unsqueeze(2), bias, (1, stride), (0, padding), (1, dilation))
    return out.squeeze(2).permute(0, 2, 1)


class UpsamplingConv(Conv1d):
    """Nearest-neighbour upsampling by `factor`, then a kernel-3 convolution, computed at the low rate.

    Between two repeated samples all three taps see the same value, so the f outputs of one input sample need five
    products instead of 3 f. Equal to conv(repeat(x)) up to rounding.
    """

    def __init__(self, c_in: int, c_out: int, factor: int) -> None:
        super().__init__(c_in, c_out, 3)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, C_in) to (B, L * factor, C_out)."""
        if self.factor == 1:
            return super().forward(x)
        w_0, w_1, w_2 = self.weight.unbind(2)
        assert self.bias is not None
        # 1. first and last of the f outputs each see one neighbour of the input sample
        first, last = torch.stack([w_0, w_1 + w_2], 2), torch.stack([w_0 + w_1, w_2], 2)
        edges = convolve(x, torch.cat([first, last]), self.bias.repeat(2), padding=1)
        phases = [edges[:, :-1, : self.out_channels], edges[:, 1:, self.out_channels :]]
        # 2. the ones between see the same input sample three times
        if self.factor > 2:
            phases[1:1] = [F.linear(x, w_0 + w_1 + w_2, self.bias)] * (self.factor - 2)
        # 3. phases side by side in the channels are, in memory, samples one after the other
        return torch.cat(phases, 2).reshape(x.shape[0], -1, self.out_channels)


class LevelEncoding(nn.Module):
    """Sinusoidal encoding of the noise level: sin and cos of C * level * 10^(-4 i / (d / 2)), i < d / 2.

    Args:
        channels: d, even.
        scale: C; 5000 for the continuous level in (0, 1), 1 for a step index.
    """

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        half = channels // 2
        exponent = torch.arange(half, dtype=torch.float64) / half
        self.register_buffer("frequencies", scale * 10.0 ** (-4.0 * exponent), persistent=False)
        self.frequencies: Tensor

    def forward(self, level: Tensor) -> Tensor:
        """(B,) to (B, d). The angle is formed in float64: it reaches thousands of radians."""
        angle = level.double()[:, None] * self.frequencies.double()
        return torch.cat([angle.sin(), angle.cos()], 1).float()


class FiLM(nn.Module):
    """Feature-wise linear modulation (Figure 6): gamma and xi from a DBlock's output and the noise level."""

    def __init__(self, c_in: int, c_out: int, level_scale: float) -> None:
        super().__init__()
        self.conv_in = Conv1d(c_in, c_in, 3)
        self.encoding = LevelEncoding(c_in, level_scale)
        self.conv_out = Conv1d(c_in, 2 * c_out, 3)  # gamma and xi side by side
        for conv in (self.conv_in, self.conv_out):  # not in the paper, which names orthogonal for U- and DBlocks only
            nn.init.xavier_uniform_(conv.weight)

    def forward(self, d: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L, C_in) and (B,) to gamma, xi, each (B, L, C_out)."""
        h = F.leaky_relu(self.conv_in(d), SLOPE) + self.encoding(level).to(d.dtype)[:, None, :]
        gamma, xi = self.conv_out(h).chunk(2, 2)
        return gamma, xi


def modulate(u: Tensor, film: tuple[Tensor, Tensor]) -> Tensor:
    """Gamma * u + xi, then the leaky ReLU that follows it everywhere in a UBlock."""
    gamma, xi = film
    return F.leaky_relu(torch.addcmul(xi, gamma, u), SLOPE)


class UBlock(nn.Module):
    """Upsampling block (Figure 4): two residual blocks with the same gamma and xi at three places.

    With factor 1 and equal channels the first skip connection is the identity (the repeated block of Large).
    """

    def __init__(self, c_in: int, c_out: int, factor: int, dilations: Sequence[int]) -> None:
        super().__init__()
        d_1, d_2, d_3, d_4 = dilations
        if d_1 != 1:
            raise ValueError(f"the first dilation of a UBlock is {d_1}; expected 1, it follows the upsampling directly")
        self.factor = factor
        self.skip = Conv1d(c_in, c_out, 1) if factor > 1 or c_in != c_out else nn.Identity()
        self.conv_1 = UpsamplingConv(c_in, c_out, factor)
        self.conv_2 = Conv1d(c_out, c_out, 3, d_2)
        self.conv_3 = Conv1d(c_out, c_out, 3, d_3)
        self.conv_4 = Conv1d(c_out, c_out, 3, d_4)

    def forward(self, u: Tensor, film: tuple[Tensor, Tensor]) -> Tensor:
        """(B, L, C_in) to (B, L * factor, C_out)."""
        # A 1x1 convolution commutes with repetition, so the skip is computed at the low rate.
        skip = self.skip(u)
        h = self.conv_2(modulate(self.conv_1(F.leaky_relu(u, SLOPE)), film))
        h = (h.unflatten(1, (-1, self.factor)) + skip.unsqueeze(2)).flatten(1, 2)
        return h + self.conv_4(modulate(self.conv_3(modulate(h, film)), film))


class DBlock(nn.Module):
    """Downsampling block (Figure 5): one residual block, dilations 1, 2, 4.

    The paper says strided convolutions; kernel and the place where channels change are open. `widen="last"` with
    kernel 3 gives the paper's 15 M parameters, the other settings are for comparison with public code.
    """

    def __init__(
        self, c_in: int, c_out: int, factor: int, downsampling: Downsampling, widen: Literal["first", "last"]
    ) -> None:
        super().__init__()
        self.factor = factor
        middle = c_out if widen == "first" else c_in
        skip_width = c_out if widen == "first" else c_in
        if factor == 1 and c_in == c_out:
            self.skip: nn.Module = nn.Identity()
        else:
            self.skip = Conv1d(c_in, c_out if downsampling == "interpolate" else skip_width, 1)
        self.strided = downsampling != "interpolate" and factor > 1
        if self.strided:
            kernel = 3 if downsampling == "strided" else 2 * (factor // 2) + 1
            self.down = Conv1d(c_in, c_in, kernel, stride=factor)
            self.skip_down = Conv1d(skip_width, c_out, kernel, stride=factor)
        self.conv_1 = Conv1d(c_in, middle, 3, 1)
        self.conv_2 = Conv1d(middle, middle, 3, 2)
        self.conv_3 = Conv1d(middle, c_out, 3, 4)

    def forward(self, d: Tensor) -> Tensor:
        """(B, L, C_in) to (B, L / factor, C_out)."""
        if self.strided:
            h, skip = self.down(d), self.skip_down(self.skip(d))
        elif self.factor > 1:  # every factor-th sample, as nearest-neighbour interpolation takes
            h = d[:, :: self.factor]
            skip = self.skip(h)
        else:
            h, skip = d, self.skip(d)
        for conv in (self.conv_1, self.conv_2, self.conv_3):
            h = conv(F.leaky_relu(h, SLOPE))
        return h + skip


class WaveGradNetwork(nn.Module):
    """Predicts the noise in a noisy waveform, given its mel spectrogram and the noise level.

    Args:
        n_mels: M, mel bins of the conditioning.
        factors: upsampling factors of the UBlocks; their product is the hop length.
        mel_channels: channels of the first convolution over the mel.
        up_channels: output channels of each UBlock.
        wave_channels: channels of the first convolution over the waveform.
        down_channels: output channels of each DBlock, one fewer than UBlocks.
        dilations: four dilations for each UBlock.
        level_scale: C of the level encoding.
        downsampling: how DBlocks lower the rate: `strided` (kernel 3), `strided_odd` (kernel 2 floor(f/2) + 1, no
            gaps), `interpolate` (public code's departure).
        widen: which convolution of a DBlock changes the channels.
        repeat_ublocks: follow each UBlock by one without upsampling (Large).
        repeat_dblocks: likewise for DBlocks.

    Raises:
        ValueError: lengths of the lists do not fit each other, or a choice is unknown.
    """

    def __init__(
        self,
        n_mels: int,
        factors: list[int],
        mel_channels: int,
        up_channels: list[int],
        wave_channels: int,
        down_channels: list[int],
        dilations: list[list[int]],
        level_scale: float = 5000.0,
        downsampling: Downsampling = "strided",
        widen: Literal["first", "last"] = "last",
        repeat_ublocks: bool = False,
        repeat_dblocks: bool = False,
    ) -> None:
        super().__init__()
        n = len(factors)
        if not (len(up_channels) == len(dilations) == n and len(down_channels) == n - 1):
            raise ValueError(
                f"{n} factors need {n} up_channels, {n} dilations and {n - 1} down_channels; received "
                f"{len(up_channels)}, {len(dilations)} and {len(down_channels)}"
            )
        if any(c % 2 for c in (wave_channels, *down_channels)):
            raise ValueError("wave_channels and down_channels must be even: the level encoding has a sine and a cosine")
        self.n_mels = n_mels
        self.factors = list(factors)
        self.hop_length = math.prod(factors)
        self.dilations = [list(d) for d in dilations]
        self.mel_in = Conv1d(n_mels, mel_channels, 3)
        self.wave_in = Conv1d(1, wave_channels, 5)
        self.out = Conv1d(up_channels[-1], 1, 3)
        # DBlocks lower the rate in the reverse order; the first factor is only ever upsampled (the mel's rate).
        d_widths = [wave_channels, *down_channels]
        d_factors = list(reversed(factors))[: n - 1]
        self.dblocks = nn.ModuleList()
        for c_in, c_out, factor in zip(d_widths, d_widths[1:], d_factors, strict=False):
            blocks: list[nn.Module] = [DBlock(c_in, c_out, factor, downsampling, widen)]
            if repeat_dblocks:
                blocks.append(DBlock(c_out, c_out, 1, downsampling, widen))
            self.dblocks.append(nn.Sequential(*blocks))
        u_widths = [mel_channels, *up_channels]
        self.films = nn.ModuleList(
            FiLM(c_in, c_out, level_scale) for c_in, c_out in zip(d_widths, reversed(up_channels), strict=True)
        )
        self.ublocks = nn.ModuleList()
        for i in range(n):
            ublocks = nn.ModuleList([UBlock(u_widths[i], u_widths[i + 1], factors[i], dilations[i])])
            if repeat_ublocks:
                ublocks.append(UBlock(u_widths[i + 1], u_widths[i + 1], 1, dilations[i]))
            self.ublocks.append(ublocks)

    def forward(self, y: Tensor, mel: Tensor, level: Tensor) -> Tensor:
        """Predict the noise.

        Args:
            y: (B, T) noisy waveform, T = F * hop.
            mel: (B, M, F) conditioning.
            level: (B,) sqrt(alpha_bar) in (0, 1], or the step index of a discrete model.

        Returns:
            (B, T).
        """
        d = self.wave_in(y.unsqueeze(2))
        films = [self.films[0](d, level)]
        for dblock, film in zip(self.dblocks, self.films[1:], strict=True):
            d = dblock(d)
            films.append(film(d, level))
        u = self.mel_in(mel.transpose(1, 2))
        for ublocks, modulation in zip(self.ublocks, reversed(films), strict=True):
            for ublock in ublocks:  # type: ignore[attr-defined]
                u = ublock(u, modulation)
        return self.out(u).squeeze(2)

    def halo(self) -> int:
        """Frames on each side that can influence a frame's samples: the receptive field's radius, rounded up.

        Adds up the reach of every convolution on the longest path (waveform or mel, deepest FiLM, all UBlocks), each
        in samples of the rate it runs at. An upper bound: a resampling counts as one sample of its low rate.
        """
        repeats_d = len(self.dblocks[0]) if len(self.dblocks) else 1  # type: ignore[arg-type]
        repeats_u = len(self.ublocks[0])  # type: ignore[arg-type]
        reach, rate = 2, 1  # wave_in, kernel 5
        for factor in reversed(self.factors[1:]):
            rate *= factor
            reach += rate + (1 + 2 + 4) * rate * repeats_d
        reach = max(reach + 2 * rate, self.hop_length + rate)  # the FiLM's two convolutions, or by way of the mel
        for i, dilations in enumerate(self.dilations):
            rate = self.hop_length // math.prod(self.factors[: i + 1])
            reach += rate * sum(dilations) * repeats_u
        return math.ceil((reach + 1) / self.hop_length) + 1
