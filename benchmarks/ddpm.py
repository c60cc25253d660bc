"""DDPM's training step and sampling against the PyPI packages denoising-diffusion-pytorch and diffusers.

A step is everything from images of whole numbers to averaged weights: steps and noise are drawn, the images diffused,
forward pass, loss, backward pass, clipping, Adam, moving average. Ours is the module of `model=ddpm` with its own
objective, optimiser and callback; theirs are the packages' own objectives and averages. All have the allocator that our
processes set up, which favours them: see `prepare_process`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from benchmarks.contender import DEVICE, Case, Contender
from benchmarks.ddpm_packages import available
from benchmarks.pixel_training import peak_megabytes
from benchmarks.timing import in_turns, module_of, table
from reprise.diffusion.steps import Sampling
from reprise.training.callbacks.ema import EMA
from reprise.training.trainer import prepare_process
from reprise.training.world import plan_world

OURS = "reprise"
CASES = [
    Case("cifar10", 3, 32, 32, (1, 2, 2, 2), 16, 16),
    Case("mnist", 1, 28, 32, (1, 2, 2), 14, 16),
    Case("cifar10", 3, 32, 64, (1, 2, 2, 2), 16, 16),
]
ROUNDS = 9
STEPS = 50 if torch.cuda.is_available() else 3  # of sampling, a call; on a GPU the first two record a graph


def ours(case: Case) -> Contender:
    module = module_of(
        "model=ddpm",
        f"data={case.data}",
        f"data.shape.side={case.side}",
        f"model.network.channels={case.channels}",
        f"model.network.multipliers={list(case.multipliers)}".replace(" ", ""),
        f"model.network.attention=[{case.attention}]",
        "model.network.blocks=2",
        "model.network.dropout=0.1",
    ).to(DEVICE)
    ema = EMA(0.9999)
    ema.control = SimpleNamespace(at_iteration_end=lambda trainer: True, iteration=0)  # type: ignore[assignment]
    ema.on_fit_start(None, module.network)  # type: ignore[arg-type]
    position = torch.arange(case.batch)

    def loss(images: Tensor) -> Any:
        return module.training_step({"image": images, "position": position}, 0)

    def average() -> None:
        ema.on_train_batch_end(None, module.network, None, None, 0)  # type: ignore[arg-type]

    def sample(batch: int, steps: int) -> Any:
        return module.sample(list(range(batch)), sampling=Sampling(steps=steps))

    return Contender(module.network, loss, module.configure_optimizers()["optimizer"], average, sample)


def milliseconds(
    contenders: dict[str, Contender], case: Case, rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Of a training step, and of a step of sampling a batch."""
    images = case.images()
    training = in_turns({name: partial(c.train, images) for name, c in contenders.items()}, rounds)
    sampling = in_turns({name: partial(c.sample, case.batch, STEPS) for name, c in contenders.items()}, rounds)
    return {n: 1e3 * t for n, t in training.items()}, {n: 1e3 * t / STEPS for n, t in sampling.items()}


def compare(cases: list[Case], others: dict[str, Callable[[Case], Contender]], rounds: int = ROUNDS) -> None:
    """Everybody as they come: float32, not compiled."""
    rows = []
    for case in cases:
        contenders = {name: make(case) for name, make in {**others, OURS: ours}.items()}
        training, sampling = milliseconds(contenders, case, rounds)
        images = case.images()
        for name, contender in contenders.items():
            row = [str(case), name, f"{contender.parameters():,}", f"{contender.multiplications(case) / 1e9:.2f}"]
            for times in (training, sampling):
                row += [f"{times[name]:.0f}", f"{times[name] / times[OURS]:.2f}x"]
            rows.append([*row, f"{peak_megabytes(partial(contender.train, images)):.0f}"])
    columns = [
        "images, network",
        "package",
        "parameters",
        "GMAC",
        "training ms",
        "ours is faster by",
        "sampling ms a step",
        "ours is faster by",
        "peak MB",
    ]
    table("DDPM, float32, not compiled, median of interleaved calls; memory: of a training step", columns, rows)


SETTINGS: dict[str, Callable[[Contender], Contender]] = {
    "float32": lambda contender: contender,
    "bfloat16": Contender.half,
    "float32, compiled": Contender.compiled,
    "bfloat16, compiled": lambda contender: contender.compiled().half(),
}


def settings(
    case: Case,
    others: dict[str, Callable[[Case], Contender]],
    rounds: int = ROUNDS,
    ways: Mapping[str, Callable[[Contender], Contender]] = SETTINGS,
) -> None:
    """What autocast to bfloat16 and compiling are worth; each package against ours of the same setting."""
    rows = []
    for way, change in ways.items():
        contenders = {name: change(make(case)) for name, make in {**others, OURS: ours}.items()}
        training, sampling = milliseconds(contenders, case, rounds)
        for name in contenders:
            row = [way, name]
            for times in (training, sampling):
                row += [f"{times[name]:.0f}", f"{times[name] / times[OURS]:.2f}x"]
            rows.append(row)
    columns = ["setting", "package", "training ms", "ours is faster by", "sampling ms a step", "ours is faster by"]
    table(f"DDPM, settings of all packages: {case}", columns, rows)


def run() -> None:
    prepare_process(plan_world({"accelerator": "auto", "devices": 1}))
    others = available()
    compare(CASES, others)
    print()
    compiler = DEVICE.type == "cuda" or shutil.which("c++") is not None
    if not compiler:
        print("no C++ compiler is there: compiled networks are left out")
    settings(CASES[1], others, ways={name: way for name, way in SETTINGS.items() if compiler or "compiled" not in name})
