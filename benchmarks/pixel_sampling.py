"""Cached against naive sampling from the autoregressive image networks, and how both grow with the image.

Naive sampling runs the whole network for every stage of every pixel. That is done in earnest at a few positions,
between the rows of the cached run, and multiplied by their number: whole images of 32x32 pixels would take hours.
"""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from torch import Tensor

from benchmarks.pixel_models import ARCHS, DEVICE, IMAGES, network, parameters
from benchmarks.timing import table
from reprise.models.pixelrnn.multiscale import MultiScalePixelRNN
from reprise.nn.pixels.network import PixelNetwork

BATCHES = (1, 16, 64)
SIDES = (16, 32, 64)
POSITIONS = 3
ROUNDS = 3  # of what is fitted


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


class Naive:
    """Naive sampling of single pixels of a batch.

    Args:
        of: the network.
        batch: B.
        condition: as the network takes it.
    """

    def __init__(self, of: PixelNetwork, batch: int, condition: Tensor | None = None) -> None:
        self.of, self.condition = of, condition
        shape = of.shape
        generator = torch.Generator().manual_seed(1)
        image = torch.randint(shape.levels, (batch, shape.channels, shape.side, shape.side), generator=generator)
        noise = torch.rand(batch, of.likelihood.noise, generator=generator, dtype=torch.float64)
        self.image, self.noise = image.to(DEVICE), noise.to(DEVICE)

    @torch.inference_mode()
    def pixel(self, row: int, column: int) -> float:
        """Draw a pixel; seconds that it took."""
        likelihood, pixel = self.of.likelihood, self.image[:, :, row, column]
        start = now()
        for stage, colours in enumerate(likelihood.stages):
            maps = self.of(likelihood.scale(self.image), self.condition)[:, :, row, column]
            pixel[:, colours[0] : colours[-1] + 1] = likelihood.draw(maps, stage, self.noise, pixel)
        return now() - start


@torch.inference_mode()
def naive_runs(of: PixelNetwork, batch: int) -> list[Naive]:
    """What sampling takes one after the other: the network itself, and before it the small one of two scales."""
    if not isinstance(of, MultiScalePixelRNN):
        return [Naive(of, batch)]
    small = Naive(of.small, batch)
    # enlarged once, as in cached sampling
    return [small, Naive(of.large, batch, of.upsampling(of.likelihood.scale(small.image)))]


def measure(of: PixelNetwork, batch: int, positions: int = POSITIONS) -> tuple[float, float]:
    """Seconds of a cached run, and of a naive one by its pixels at some positions, measured between the former's rows.

    So whatever else the machine does hits both alike.
    """
    of.eval()
    runs, generator = naive_runs(of, batch), torch.Generator().manual_seed(0)
    uniform = torch.rand(batch, *of.sampling_noise(), generator=generator, dtype=torch.float64).to(DEVICE)
    for run in runs:
        run.pixel(0, 0)  # what a first call sets up
    rows = of.sampling_rows()
    stops = {round((k + 0.5) * rows / positions): (k + 0.5) / positions for k in range(positions)}
    spent: list[float] = []
    total = 0.0

    def on_row(done: int) -> None:
        nonlocal total
        if (place := stops.get(done)) is None:
            return
        begun = now()
        for run in runs:
            at = int(place * run.of.shape.side)
            spent.append(run.pixel(at, run.of.shape.side - 1 - at) * run.of.shape.side**2)
        total -= now() - begun

    total -= now()
    of.sample(uniform, on_row=on_row)
    return now() + total, sum(spent) / len(stops)


def exponent(sides: tuple[int, ...], seconds: list[float]) -> float:
    """Of the number of pixels, in a fit of the time to a power of it."""
    return float(np.polyfit([2 * math.log(n) for n in sides], np.log(seconds), 1)[0])


def compare(models: list[str], images: dict[str, tuple[str, int]], batches: tuple[int, ...]) -> None:
    rows = []
    for model in models:
        for image, (data, side) in images.items():
            of = network(model, data, side)
            for batch in batches:
                cached, naive = measure(of, batch)
                row = [f"{model}/{ARCHS[model]}", parameters(of), image, str(batch), f"{cached:.2f}", f"{naive:.0f}"]
                rows.append([*row, f"{naive / cached:.0f}x", f"{batch / cached:.2f}"])
    header = ["model", "parameters", "image", "batch", "cached s", "naive s", "ratio", "images/s cached"]
    note = f"naive: extrapolated from {POSITIONS} pixels that were drawn so in the same run"
    table(f"Sampling with cached activations ({note})", header, rows)


def grow(models: list[str], sides: tuple[int, ...], batch: int) -> None:
    rows = []
    for model in models:
        networks = [network(model, "binarized_mnist", side) for side in sides]
        rounds = [[measure(of, batch) for of in networks] for _ in range(ROUNDS)]  # sides in turns
        cached, naive = (
            [min(times) for times in zip(*([t[k] for t in r] for r in rounds), strict=True)] for k in (0, 1)
        )
        per_pixel = [f"{1e6 * t / n**2:.0f}" for t, n in zip(cached, sides, strict=True)]
        rows.append([model, *per_pixel, f"{exponent(sides, cached):.2f}", f"{exponent(sides, naive):.2f}"])
    header = ["model", *(f"{n}x{n} [us a pixel]" for n in sides), "exponent cached", "exponent naive"]
    table(
        f"Growth of the sampling time with the number of pixels, binary images, batch {batch}, best of {ROUNDS}",
        header,
        rows,
    )


def run() -> None:
    compare(list(ARCHS), IMAGES, BATCHES)
    grow(list(ARCHS), SIDES, 16)
