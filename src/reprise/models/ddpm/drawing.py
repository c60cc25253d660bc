"""Draw images from a DDPM network: from noise, or on from images that were diffused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from reprise.diffusion.reverse import ReverseProcess
from reprise.diffusion.sampler import refine
from reprise.diffusion.steps import Step
from reprise.nn.images import ImageShape
from reprise.nn.randomness import ExampleDraws

Network = Callable[[Tensor, Tensor], Tensor]


def scaled(image: Tensor, levels: int) -> Tensor:
    """Whole numbers 0 ... levels - 1 to [-1, 1], float32 (section 3.3)."""
    return image.float() * (2.0 / (levels - 1)) - 1.0


def whole_numbers(x: Tensor, levels: int) -> Tensor:
    """Nearest whole numbers 0 ... levels - 1, uint8; what is no number becomes black."""
    values = (x.float().nan_to_num(-1.0, 1.0, -1.0) + 1.0) * ((levels - 1) / 2)
    return values.round().clamp(0, levels - 1).to(torch.uint8)


class ImageNoise:
    """Standard normal images, a stream for each key, on a device.

    Args:
        shape: of the images.
        seed, stream, keys: see ExampleDraws.
        device: where the noise is wanted. It is drawn on the CPU, so that it is the same everywhere.
    """

    def __init__(self, shape: ImageShape, seed: int, stream: str, keys: Sequence[int], device: torch.device) -> None:
        self._draws = ExampleDraws(seed, stream, keys)
        self._size = (shape.channels, shape.side, shape.side)
        self._device = device

    def __call__(self) -> Tensor:
        """(B, C, H, W)."""
        return self._draws.normal(*self._size).to(self._device)

    def at(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Steps (B,) from first to last, both included, and noise for them."""
        return self._draws.integers(first, last).to(self._device), self()


def run(
    network: Network,
    reverse: ReverseProcess,
    steps: Sequence[Step],
    noise: Callable[[], Tensor],
    clip: bool = True,
    learned: bool = False,
    start: Tensor | None = None,
    on_x_0: Callable[[int, Tensor], None] | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Tensor:
    """Run the reverse process (Algorithm 2, or whatever the steps say).

    Args:
        network: takes x_t (B, C, H, W) and the step counted from 0, (B,).
        reverse: what the network's output means.
        steps: to take.
        noise: draws (B, C, H, W).
        clip: keep the predicted x_0 within [-1, 1].
        learned: use the variance that the network learned.
        start: x_t of the first step; None for noise.
        on_x_0: called with t and the x_0 predicted at t.
        on_step: called after each step with t.

    Returns:
        x_0 (B, C, H, W), not clamped.
    """

    def kernel(x: Tensor, step: Step) -> tuple[Tensor, float | Tensor]:
        t = torch.full((len(x),), step.index, device=x.device)
        predicted, log_variance = reverse.split(network(x, t - 1).float())
        x_0 = reverse.x_0(predicted, x, t, clip)
        if on_x_0 is not None:
            on_x_0(step.index, x_0)
        # a predicted mean is taken as it is where it is the one that was trained
        direct = reverse.predicts == "mean" and step.trained
        mean = predicted if direct else step.weight_0 * x_0 + step.weight_n * x
        if learned and log_variance is not None:
            return mean, (0.5 * log_variance).exp()
        return mean, step.sigma

    return refine(kernel, steps, noise, start, on_step)
