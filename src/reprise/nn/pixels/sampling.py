"""Sampling in raster order with cached activations: one program a row, replayed as a CUDA graph on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from reprise.nn.cuda_graph import RecordedCall

if TYPE_CHECKING:
    from reprise.nn.pixels.network import PixelNetwork


class RowSampler:
    """Draws a batch of images row by row.

    Noise, given and drawn values of a row lie in fixed tensors, so that a row is a program without inputs, which a CUDA
    device replays: one program for each phase of the cache.

    Args:
        network: the model; called in inference mode, which takes a tenth off small operations, and as it stands (set
            evaluation mode beforehand).
        batch: images drawn together.
        condition: as the network takes it.
    """

    @torch.inference_mode()
    def __init__(self, network: PixelNetwork, batch: int, condition: Tensor | None = None) -> None:
        shape, likelihood = network.shape, network.likelihood
        like = next(network.parameters())
        self.likelihood = likelihood
        self.side = shape.side
        self.cache = network.cache(batch, condition)
        self.noise = like.new_zeros(batch, shape.side, likelihood.noise, dtype=torch.float64)
        self.row = torch.zeros(batch, shape.channels, shape.side, dtype=torch.long, device=like.device)
        self.given = torch.zeros_like(self.row)
        self.known = torch.zeros_like(self.row, dtype=torch.bool)
        self.keeps = False  # whether anything is given
        # views of each column, and of each stage's colours in it, made once
        columns, parts = range(self.side), [slice(stage[0], stage[-1] + 1) for stage in likelihood.stages]
        self._noise = [self.noise[:, c] for c in columns]
        self._pixels = [self.row[:, :, c] for c in columns]
        self._parts = [
            [(self.row[:, part, c], self.given[:, part, c], self.known[:, part, c]) for part in parts] for c in columns
        ]

    def run(
        self,
        uniform: Tensor,
        given: Tensor | None = None,
        known: Tensor | None = None,
        on_row: Callable[[int], None] | None = None,
    ) -> Tensor:
        """Draw; arguments and result as in `PixelNetwork.sample`. A sampler is used once."""
        self.keeps = given is not None and known is not None
        image = torch.zeros(len(uniform), *self.row.shape[1:2], self.side, self.side, dtype=torch.uint8)
        image = image.to(self.row.device)
        programs = [RecordedCall(partial(self._program, phase), image.device) for phase in range(self.cache.period)]
        for row in range(self.side):
            with torch.inference_mode():
                self.noise.copy_(uniform[:, row])
                if given is not None and known is not None:
                    self.given.copy_(given[:, :, row])
                    self.known.copy_(known[:, :, row])
                programs[row % len(programs)]()
                image[:, :, row] = self.row
            if on_row is not None:
                on_row(row + 1)
        return image

    def _program(self, phase: int) -> None:
        likelihood, cache = self.likelihood, self.cache
        cache.next_row(phase)
        for column in range(self.side):
            pixel, noise = self._pixels[column], self._noise[column]
            for stage, colours in enumerate(likelihood.stages):
                value = likelihood.draw(cache.predict(phase, column, stage), stage, noise, pixel)
                place, given, known = self._parts[column][stage]
                if self.keeps:
                    value = torch.where(known, given, value)
                place.copy_(value)
                cache.write(column, colours[0], likelihood.scale(value))
