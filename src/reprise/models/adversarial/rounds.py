"""What is drawn for a batch: noise and labels of the generator, a function of the seed and the examples' positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from reprise.models.adversarial.generating import GeneratingModule
from reprise.models.adversarial.labels import noisy
from reprise.nn.randomness import ExampleDraws


class Round(NamedTuple):
    """What a generator is given for a batch.

    Attributes:
        z: (B, noise) in [-1, 1].
        believed: (B, n) labels as the labelers are to read them, in [0, 1].
        code: (B, n) the numbers for the generator.
    """

    z: Tensor
    believed: Tensor
    code: Tensor


def rounds_of(
    module: GeneratingModule, seed: int, positions: Sequence[int], count: int, device: torch.device
) -> tuple[Tensor, list[Round]]:
    """All that is drawn for a batch: uniform numbers (2, B, n) for the real labels' noise, and rounds of fakes.

    Args:
        module: has the source of labels.
        seed: of the run.
        positions: of the examples in the stream.
        count: rounds.
        device: where they are wanted; drawn on the CPU.
    """
    n = len(module.graph)
    width = module.noise + module.source.width + 2 * n
    u = ExampleDraws(seed, "adversarial", positions).uniform(2 * n + count * width)
    own, *parts = u.split([2 * n, *[width] * count], 1)
    return own.unflatten(1, (2, n)).transpose(0, 1), [_round(module, part, device) for part in parts]


def _round(module: GeneratingModule, u: Tensor, device: torch.device) -> Round:
    n = len(module.graph)
    z, source, noise = u.split([module.noise, module.source.width, 2 * n], 1)
    observed = module.source.observed(source)
    believed = noisy(observed, noise.unflatten(1, (2, n)).transpose(0, 1), module.label_noise)
    return Round(*(x.float().to(device) for x in (2.0 * z - 1.0, believed, module.code(believed))))
