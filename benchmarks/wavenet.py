"""Sampling from a WaveNet: cached, in torch and compiled, against naive, and the real-time factor of a public size.

Naive sampling runs the network over its receptive field for every sample; it is timed on a few samples. All figures are
of one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from benchmarks.timing import in_turns, table
from reprise.models.wavenet.fast.library import library
from reprise.models.wavenet.generate import Engine, generate
from reprise.models.wavenet.heads import Softmax
from reprise.models.wavenet.network import WaveNetNetwork

LAYERS = (10, 20, 30, 40)
BATCHES = (1, 16)
RATES = (8000, 16000)
ROUNDS = 3
SAMPLES: dict[Engine, int] = {"torch": 60, "compiled": 3000}


def public(blocks: int = 5) -> WaveNetNetwork:
    """Dilations 1 ... 512, residual 32, skip 512; with five blocks 1.5 M parameters."""
    torch.manual_seed(0)
    return WaveNetNetwork(Softmax(), [2**i for i in range(10)], blocks=blocks, residual=32, skip=512).eval()


def naive(of: WaveNetNetwork, batch: int) -> Callable[[], object]:
    """Draw one sample of each of a batch."""
    window = of.head.inputs(torch.zeros(batch, of.receptive_field))
    uniform = torch.rand(batch, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    @torch.inference_mode()
    def call() -> object:
        return of.head.draw(of(window)[:, 0], uniform)

    return call


def engines() -> list[Engine]:
    """What there is here."""
    return ["torch", "compiled"] if library() is not None else ["torch"]


def cached(of: WaveNetNetwork, batch: int, engine: Engine, samples: int) -> Callable[[], object]:
    """Draw so many samples of each of a batch."""
    return lambda: generate(of, [samples] * batch, engine=engine)


def compare(layers: tuple[int, ...] = LAYERS, batch: int = 1, rounds: int = ROUNDS) -> list[dict[str, float]]:
    """Print samples a second by depth, each beside the naive sampler; give them back."""
    rows, found = [], []
    for depth in layers:
        of = public(depth // 10)
        calls: dict[str, Callable[[], object]] = {"naive": naive(of, batch)}
        counts = {"naive": 1}
        for engine in engines():
            calls[engine], counts[engine] = cached(of, batch, engine, SAMPLES[engine]), SAMPLES[engine]
        seconds = in_turns(calls, rounds, warmup=1)
        speed = {name: counts[name] * batch / taken for name, taken in seconds.items()}
        ratios = [f"{speed[name] / speed['naive']:.0f}x" for name in engines()]
        rows.append([str(depth), str(of.receptive_field), *(f"{rate:.0f}" for rate in speed.values()), *ratios])
        found.append(speed)
    header = ["layers", "receptive field", "naive", *engines(), *(f"{name} / naive" for name in engines())]
    table(f"Samples a second, batch {batch}, residual 32, skip 512, one thread", header, rows)
    return found


def real_time(batches: tuple[int, ...] = BATCHES, rounds: int = ROUNDS) -> None:
    """Print the time of a second of sound at the public size, by the wall and by the processor's clock."""
    of, rows = public(), []
    for engine in engines():
        for batch in batches:
            call = cached(of, batch, engine, SAMPLES[engine])
            call()
            best = [float("inf")] * 2
            for _ in range(rounds):
                begun = time.perf_counter(), time.process_time()
                call()
                ended = time.perf_counter(), time.process_time()
                best = [min(b, y - x) for b, x, y in zip(best, begun, ended, strict=True)]
            speed = [SAMPLES[engine] * batch / seconds for seconds in best]
            # of all the sound that was made
            factors = [f"{rate / s:.2f}" for s in speed for rate in RATES]
            rows.append([engine, str(batch), *(f"{s:.0f}" for s in speed), *factors])
    title = "Seconds of computing for a second of sound, 50 layers, 1.5 M parameters, one thread, everything included"
    clocks = [f"{clock}, {rate} Hz" for clock in ("wall", "processor") for rate in RATES]
    table(title, ["engine", "batch", "samples/s wall", "samples/s processor", *clocks], rows)


def run() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        compare()
        real_time()
    finally:
        torch.set_num_threads(before)
