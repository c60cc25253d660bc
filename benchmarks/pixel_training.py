"""A training step of the autoregressive image networks against their plain formulation: time and memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.pixel_models import ARCHS, DEVICE, IMAGES, network, parameters
from benchmarks.plain_pixels import plain
from benchmarks.timing import in_turns, table
from reprise.nn.pixels.network import PixelNetwork

# model, image, batch
CASES = [
    *((model, "28x28 binary", 16) for model in ("pixelcnn", "row_lstm", "diagonal_bilstm", "gated_pixelcnn")),
    *((model, "32x32 RGB", 16) for model in ("row_lstm", "diagonal_bilstm", "gated_pixelcnn", "pixelcnn_pp")),
]
ROUNDS = 5


def random_image(of: PixelNetwork, batch: int) -> Tensor:
    shape, generator = of.shape, torch.Generator().manual_seed(0)
    size = (batch, shape.channels, shape.side, shape.side)
    return torch.randint(shape.levels, size, generator=generator).to(DEVICE)


def loss_of(forward: nn.Module, of: PixelNetwork, image: Tensor) -> Tensor:
    """Nats per image, of the maps that `forward` makes."""
    maps = forward(of.likelihood.scale(image))
    return -of.likelihood.log_prob(maps, image).flatten(1).sum(1).mean()


def step_of(forward: nn.Module, of: PixelNetwork, image: Tensor) -> Callable[[], None]:
    """A whole step of training: gradients cleared, forward, backward, Adam."""
    optimizer = torch.optim.Adam(forward.parameters(), 1e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss_of(forward, of, image).backward()
        optimizer.step()

    return step


def peak_megabytes(step: Callable[[], None]) -> float:
    """Most memory that tensors made in a step take at a time, in MB; what lies there before is not counted.

    On a CPU as its allocator reports each tensor that comes and goes: the resident set only ever grows.
    """
    step()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    assert profiled.profiler is not None
    assert profiled.profiler.kineto_results is not None
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda e: e.start_ns())
    return max(itertools.accumulate(e.nbytes() for e in events)) / 1e6


def compare(cases: list[tuple[str, str, int]], rounds: int = ROUNDS, *overrides: str) -> None:
    rows = []
    for model, image, batch in cases:
        of = network(model, *IMAGES[image], *overrides)
        examples = random_image(of, batch)
        steps = {name: step_of(m, of, examples) for name, m in (("plain", plain(of)), ("ours", of))}
        times = in_turns(steps, rounds, warmup=1)
        memory = {name: peak_megabytes(step) for name, step in steps.items()}
        row = [f"{model}/{ARCHS[model]}", parameters(of), image, str(batch)]
        row += [f"{1000 * times[name]:.0f}" for name in steps] + [f"{times['plain'] / times['ours']:.2f}x"]
        rows.append([*row, *(f"{memory[name]:.0f}" for name in steps), f"{memory['plain'] / memory['ours']:.2f}x"])
    header = [
        "model",
        "parameters",
        "image",
        "batch",
        "plain ms",
        "ours ms",
        "speed-up",
        "plain MB",
        "ours MB",
        "ratio",
    ]
    table("A training step, median of interleaved calls, and the peak of the memory that it takes", header, rows)


def run() -> None:
    compare(CASES)
