"""The naive sampler: the whole network over the receptive field for every sample."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reprise.models.wavenet.heads import Head, LogisticMixture, Softmax
from reprise.models.wavenet.network import WaveNetNetwork
from reprise.nn.randomness import example_rng


def network(**settings) -> WaveNetNetwork:
    """A small network whose distributions are far from uniform."""
    torch.manual_seed(0)
    chosen = {"head": Softmax(16), "dilations": [1, 2, 4], "blocks": 2, "residual": 5, "skip": 6} | settings
    model = WaveNetNetwork(**chosen)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, 0, 0.3)
        elif name.startswith("out"):
            parameter.data *= 3
    if not model.head.classes:
        model.out.weight.data[model.head.channels // 3 :] *= 0.3  # within -1 and 1, mostly
        if model.out.bias is not None:
            model.out.bias.data[-model.head.channels // 3 :] -= 2.0
    return model


def mixture() -> Head:
    return LogisticMixture(3, 65536)


@torch.no_grad()
def naive(
    of: WaveNetNetwork,
    length: int,
    h: Tensor | None = None,
    y: Tensor | None = None,
    before: Tensor | None = None,
    given: Sequence[float] = (),
    seed: int = 0,
    key: int = 0,
    stream: str = "generate",
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """A waveform (T,) and the parameters (T - P, P) that its drawn samples came from.

    h is (G,), y (T, Y), before (Y,).
    """
    r, dtype = of.receptive_field, of.first.weight.dtype
    generator = example_rng(seed, stream, key)
    samples = of.head.inputs(torch.tensor([[0.0] * r + list(given)]))
    if y is not None:
        past = torch.zeros(y.shape[1]) if before is None else before
        y = torch.cat([past.expand(r, -1), y])[None].to(dtype)
    h = None if h is None else h[None].to(dtype)
    parameters = []
    for t in range(len(given), length):
        exists = torch.arange(t, t + r)[None] >= r  # of samples t - R ... t - 1
        window = None if y is None else y[:, t + 1 : t + 1 + r]
        previous = samples[:, -r:] if of.head.classes else samples[:, -r:].to(dtype)
        parameters.append(of(previous, h, window, exists)[:, 0])
        uniform = torch.from_numpy(generator.random((1, of.head.uniforms)))
        samples = torch.cat([samples, of.head.draw(parameters[-1], uniform, temperature)[:, None]], 1)
    return of.head.audio(samples[0, r:]), torch.cat(parameters)
