"""Paths of a series drawn step by step from its past."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reprise.models.wavenet.network import WaveNetNetwork


@torch.no_grad()
def sample_paths(
    network: WaveNetNetwork,
    context: Tensor,
    h: Tensor | None,
    uniform: Tensor,
    temperature: float = 1.0,
    on_step: Callable[[int], None] | None = None,
) -> Tensor:
    """Draw ancestral paths: each step from the last R samples, drawn ones included.

    Each step runs the network over its whole receptive field, which is short where series are.

    Args:
        network: with a receptive field of R.
        context: scaled steps so far, (B, R) or longer.
        h: global condition (B, G), or None.
        uniform: (B, paths, steps, U) in [0, 1), float64; U is that of the head.
        temperature: see Head.draw.
        on_step: called with the number of steps drawn.

    Returns:
        scaled steps (B, paths, steps), float32.
    """
    batch, paths, steps, _ = uniform.shape
    reach = network.receptive_field
    inputs = network.head.inputs(context[:, -reach:]).repeat_interleave(paths, 0)
    condition = None if h is None else h.repeat_interleave(paths, 0)
    numbers = uniform.flatten(0, 1)
    for step in range(steps):
        parameters = network(inputs[:, -reach:], condition)[:, -1]
        drawn = network.head.draw(parameters, numbers[:, step], temperature)
        inputs = torch.cat([inputs, drawn[:, None]], 1)
        if on_step is not None:
            on_step(step + 1)
    return network.head.audio(inputs[:, inputs.shape[1] - steps :]).view(batch, paths, steps)
