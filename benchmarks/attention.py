"""Attention with an implicit kernel, as a matrix and in blocks, beside torch's fused attention: time and memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.timing import in_turns, table
from reprise.nn.attention.implicit import ImplicitKernel
from reprise.nn.attention.spectral import DirectPoints

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
HEADS, SIZE, COUNT = 8, 8, 64  # of the authors' regression
TOKENS = {144: 10, 527: 5, 2048: 2}  # airline passengers, co2, and more; rounds of timing
DROPOUTS = {"": 0.0, ", norm dropout": 0.1}


def memory(call: Callable[[], object]) -> float:
    """Most MiB that a call has allocated at once, beyond what was there before."""
    if DEVICE.type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    there = peak = 0
    events = profiler.profiler.kineto_results.events()
    for event in sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns()):
        there += event.nbytes()
        peak = max(peak, there)
    return peak / 2**20


def step(values: Callable[[Tensor, Tensor, Tensor], Tensor], inputs: list[Tensor]) -> Callable[[], object]:
    """Forward and backward."""

    def call() -> object:
        return torch.autograd.grad(values(*inputs).sum(), inputs)

    return call


def contenders(tokens: int) -> dict[str, Callable[[], object]]:
    """A step of each, by name, on the same queries, keys and values."""
    torch.manual_seed(0)
    inputs = list(torch.randn(3, 1, HEADS, tokens, SIZE, device=DEVICE).unbind(0))
    inputs = [x.requires_grad_() for x in inputs]
    steps = {"torch's fused dot product": step(F.scaled_dot_product_attention, inputs)}
    for words, dropout in DROPOUTS.items():
        kernel = ImplicitKernel(
            HEADS, SIZE, lambda **sizes: DirectPoints(count=COUNT, **sizes), p=3.0, norm_dropout=dropout
        ).to(DEVICE)
        steps["matrix" + words] = step(lambda q, k, v, kernel=kernel: kernel.weights(q, k) @ v, inputs)
        steps["blocks" + words] = step(lambda q, k, v, kernel=kernel: kernel(q, k, v).values, inputs)
    return steps


def run() -> None:
    rows = []
    for tokens, rounds in TOKENS.items():
        steps = contenders(tokens)
        seconds = in_turns(steps, rounds, warmup=1)
        fused = seconds["torch's fused dot product"]
        for name, call in steps.items():
            taken = seconds[name]
            rows.append([f"N={tokens}, {name}", f"{1e3 * taken:.1f}", f"{taken / fused:.1f}", f"{memory(call):.0f}"])
    title = f"Attention, forward and backward, {HEADS} heads of {SIZE}, {COUNT} spectral points"
    table(title, ["", "ms", "times fused", "MiB"], rows)
