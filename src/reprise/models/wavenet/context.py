"""The context stack (section 2.6): a smaller network over a longer, coarser past, which conditions the main one.

The paper describes it in words and reports no experiment with it; sizes and alignment are ours. A frame is `pool`
samples, and frames are aligned to a clip: frame i holds its samples i pool ... (i + 1) pool - 1. All samples of frame i
get the same condition, a function of the frames i - N ... i - 1, so none of them sees its own frame: what has happened
since it began is the main stack's to see, whose receptive field should be `pool` or more.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprise.config.errors import ConfigError
from reprise.models.wavenet.network import Layer


class ContextStack(nn.Module):
    """Gated dilated causal layers over projected frames of the waveform.

    Its input is the waveform as it was quantised, `head.audio(head.inputs(audio))`, which is also what was drawn.
    Before a clip begins it is 0.

    Args:
        pool: samples of a frame.
        channels: Y, channels of the condition that it gives.
        dilations: of the layers of one block, in frames.
        blocks: how often they are repeated.
        residual, skip: channels C and S.
        kernel: taps.

    Attributes:
        frames: N, frames that a condition depends on.
        receptive_field: samples before a sample that its condition may depend on, at most.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        pool: int,
        channels: int,
        dilations: Sequence[int],
        blocks: int = 1,
        residual: int = 32,
        skip: int = 64,
        kernel: int = 2,
    ) -> None:
        super().__init__()
        numbers = {"pool": pool, "channels": channels, "blocks": blocks, "residual": residual, "skip": skip}
        for name, value in {**numbers, "kernel": kernel}.items():
            if value < 1:
                raise ConfigError(f"the context stack's {name} is {value}. Expected 1 or more.")
        if not dilations or min(dilations) < 1:
            raise ConfigError(f"the context stack's dilations are {list(dilations)}. Expected numbers of 1 or more.")
        self.pool = pool
        self.channels = channels
        self.project = nn.Linear(pool, residual)
        every = list(dilations) * blocks
        self.layers = nn.ModuleList(
            Layer(residual, skip, kernel, d, "gated", 0, 0, True, i < len(every) - 1) for i, d in enumerate(every)
        )
        self.out = nn.Linear(skip, channels)
        self.frames = 1 + sum((kernel - 1) * d for d in every)
        self.receptive_field = (self.frames + 1) * pool - 1  # the last sample of a frame reaches furthest back

    def forward(self, audio: Tensor, start: Tensor | int = 0, exists: Tensor | None = None) -> Tensor:
        """Conditions of the last T samples of a crop, wherever the crop begins.

        Args:
            audio: (B, receptive_field + T), the waveform as it was quantised.
            start: place in the clip of the first column, (B,) or one for all; below 0 where the crop begins before it.
            exists: (B, receptive_field + T), False before the clip begins; there the waveform is taken as 0.

        Returns:
            (B, T, Y). Samples of one frame have the same.

        Raises:
            ValueError: there is nothing beside the past.
        """
        batch, length = audio.shape
        if length <= self.receptive_field:
            raise ValueError(
                f"expected more samples than the receptive field, {self.receptive_field}; received {length}"
            )
        if exists is not None:
            audio = audio * exists
        begin = torch.as_tensor(start, device=audio.device).expand(batch)
        skipped = (-begin) % self.pool  # samples before the first whole frame of each crop
        # 1. whole frames; where a crop has one fewer than the others, nobody sees what fills it up
        count = (length - 1) // self.pool
        index = skipped[:, None] + torch.arange(count * self.pool, device=audio.device)
        frames = audio.gather(1, index.clamp(max=length - 1)).view(batch, count, self.pool)
        # 2. conditions of the frames from the N-th on
        conditions = self._run(frames)
        # 3. each sample takes that of its own frame
        t = torch.arange(self.receptive_field, length, device=audio.device)
        own = (t - skipped[:, None]) // self.pool - self.frames
        return conditions.gather(1, own[..., None].expand(-1, -1, self.channels))

    def _run(self, frames: Tensor) -> Tensor:
        """(B, F, pool) to (B, F - N + 1, Y), the j-th a function of frames j ... j + N - 1."""
        total = frames.shape[1] - self.frames + 1
        x = self.project(frames)
        skips = torch.zeros((), device=x.device)
        for layer in self.layers:
            z = layer(x, None, None)
            skips = skips + layer.skip(z[:, -total:])  # type: ignore[operator]
            if layer.residual is not None:
                x = x[:, -z.shape[1] :] + layer.residual(z)  # type: ignore[operator]
        return self.out(F.relu(skips))  # type: ignore[no-any-return]


class ContextCache:
    """The stack while a clip is drawn: each frame costs one step of each layer, whatever the receptive field.

    Args:
        stack: in evaluation; its weights must not change meanwhile.
        batch: clips B.
    """

    def __init__(self, stack: ContextStack, batch: int) -> None:
        self._stack = stack
        weight = stack.project.weight
        self._silence = weight.new_zeros((batch, stack.pool))
        # before the clip all frames are 0, so a layer's inputs are equal at all times
        self._queues: list[Tensor] = []
        self._last = self._start()

    @torch.no_grad()
    def _start(self) -> Tensor:
        x = self._stack.project(self._silence[:, None])
        skips = torch.zeros((), device=x.device)
        for layer in self._stack.layers:
            reach: int = layer.conv.reach  # type: ignore[union-attr,assignment]
            self._queues.append(x.expand(-1, reach, -1).contiguous())
            z = layer(x.expand(-1, reach + 1, -1), None, None)
            skips = skips + layer.skip(z)  # type: ignore[operator]
            if layer.residual is not None:
                x = x + layer.residual(z)  # type: ignore[operator]
        return self._stack.out(F.relu(skips))[:, 0]  # type: ignore[no-any-return]

    @property
    def condition(self) -> Tensor:
        """(B, Y), of the next `pool` samples."""
        return self._last

    @torch.no_grad()
    def push(self, samples: Tensor) -> Tensor:
        """Take the `pool` samples (B, pool) that were drawn, as audio; give the condition (B, Y) of the next ones.

        Raises:
            ValueError: another number of samples.
        """
        if samples.shape != self._silence.shape:
            raise ValueError(f"expected samples {tuple(self._silence.shape)}; received {tuple(samples.shape)}")
        x = self._stack.project(samples[:, None].to(self._silence))
        skips = torch.zeros((), device=x.device)
        for i, layer in enumerate(self._stack.layers):
            seen = torch.cat([self._queues[i], x], 1)
            self._queues[i] = seen[:, 1:]
            z = layer(seen, None, None)
            skips = skips + layer.skip(z)  # type: ignore[operator]
            if layer.residual is not None:
                x = x + layer.residual(z)  # type: ignore[operator]
        self._last = self._stack.out(F.relu(skips))[:, 0]
        return self._last
