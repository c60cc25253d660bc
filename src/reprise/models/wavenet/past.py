"""What lies before the first sample that is drawn, as the layers remember it.

Shapes as in network.py; L layers, W width of a layer's sum before its unit, (k-1)d inputs that a layer remembers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reprise.models.wavenet.network import CausalConv, Layer, WaveNetNetwork


@dataclass(frozen=True)
class Past:
    """The memory of a network, with which sampling begins.

    Attributes:
        queues: of each layer its last inputs (B, (k-1) d, C), the oldest first.
        recent: the last samples (B, k1), the newest first, as the head gives them; k1 taps has the first convolution.
        exists: (B,), False where nothing has been and `padding=zeros`: then every layer's input is still zero.
    """

    queues: list[Tensor]
    recent: Tensor
    exists: Tensor

    @staticmethod
    def stack(pasts: list[Past]) -> Past:
        """The pasts of several utterances as one of a batch."""
        queues = [torch.cat(layer) for layer in zip(*(past.queues for past in pasts), strict=True)]
        return Past(queues, torch.cat([p.recent for p in pasts]), torch.cat([p.exists for p in pasts]))


def stack_of(network: WaveNetNetwork) -> list[Layer]:
    """The layers of a network."""
    return list(network.layers)  # type: ignore[arg-type]


def enter(conv: CausalConv, window: Tensor) -> Tensor:
    """The first convolution: (B, T) codes or waveform to (B, T - reach, C)."""
    if conv.codes:
        return conv(window)
    return conv(window[..., None].to(conv.weight.dtype))


@torch.no_grad()
def nothing(network: WaveNetNetwork, h: Tensor | None, y: Tensor | None, batch: int) -> Past:
    """Before audio begins: zeros in all queues, or what endless silence leaves there (`padding`).

    Silence is constant, and so is then every layer's input: a layer is computed for one column of it.

    Args:
        network: the model.
        h: global condition (B, G).
        y: local condition (B, Y) of the silence.
        batch: B.
    """
    weight = network.first.weight
    silence = network.head.inputs(torch.zeros(1, 1, device=weight.device))
    recent = silence.expand(batch, network.first.kernel).clone()
    layers = stack_of(network)
    if network.padding == "zeros":
        queues = [weight.new_zeros(batch, layer.conv.reach, network.first.weight.shape[1]) for layer in layers]
        return Past(queues, recent, torch.zeros(batch, dtype=torch.bool, device=weight.device))
    x = enter(network.first, recent)
    queues = []
    for layer in layers:
        reach = layer.conv.reach
        queues.append(x.expand(-1, reach, -1).clone())
        if layer.residual is not None:
            z = layer(x.expand(-1, reach + 1, -1), h, None if y is None else y[:, None])
            x = x + layer.residual(z)
    return Past(queues, recent, torch.ones(batch, dtype=torch.bool, device=weight.device))


@torch.no_grad()
def follow(network: WaveNetNetwork, past: Past, given: Tensor, h: Tensor | None, y: Tensor | None) -> Past:
    """Go on from a past by samples that are given, all at once.

    Args:
        network: the model.
        past: what was before.
        given: (B, T) samples, as the head gives them.
        h: (B, G).
        y: (B, T, Y), each given sample's own.

    Returns:
        the past that ends with the last given sample.
    """
    samples = torch.cat([past.recent.flip(1), given], 1)  # oldest first
    x = enter(network.first, samples[:, :-1])
    exists = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    exists[:, :1] = past.exists[:, None]
    queues = []
    for layer, queue in zip(stack_of(network), past.queues, strict=True):
        x = torch.cat([queue, x * exists[..., None]], 1)
        reach = layer.conv.reach
        queues.append(x[:, x.shape[1] - reach :])
        if layer.residual is not None:
            x = x[:, reach:] + layer.residual(layer(x, h, y))
    recent = samples[:, -network.first.kernel :].flip(1)
    return Past(queues, recent, torch.ones_like(past.exists))
