"""A step of SVSS on a series of CO2's size beside one of GPyTorch's exact Gaussian process, one thread, in turns.

200 months, 20 components, 60 spectral points. Bare: loss, gradient and optimiser. Loop: `python train.py` with
everything on, from its own throughput.
"""

from __future__ import annotations

import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks.timing import in_turns, module_of, table
from reprise.config.compose import compose_config
from reprise.tracking.metrics_log import read_metrics
from reprise.training import fit

ROWS, COMPONENTS, STEPS = 200, 20, 400
MODELS = ("svss", "svss_wsng")


def series() -> tuple[torch.Tensor, torch.Tensor]:
    """x (N, 1) and y (N,): a trend, a year and noise, in float64."""
    x = torch.arange(1, ROWS + 1).double()[:, None]
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(ROWS))
    return x, 320.0 + 0.11 * x[:, 0] + 3.0 * torch.sin(2.0 * np.pi * x[:, 0] / 12.0) + 0.3 * noise


def svss_step(name: str) -> Callable[[], None]:
    module: Any = module_of(f"model={name}", f"model.components={COMPONENTS}")
    x, y = series()
    batch = {"x": x, "y": y, "x_test": x[:0], "y_test": y[:0], "x_val": x[:0], "y_val": y[:0]}
    data = types.SimpleNamespace(iteration=0)
    trainer = types.SimpleNamespace(datamodule=data, max_steps=10**6)
    optimizer = module.configure_optimizers()

    def step() -> None:
        with mock.patch.object(type(module), "trainer", trainer):
            optimizer.zero_grad()
            module.training_step(batch, 0).backward()
            optimizer.step()
        data.iteration += 1

    return step


def exact_step() -> Callable[[], None]:
    """GPyTorch's exact process with its spectral mixture kernel, Cholesky factors, in float64."""
    import gpytorch

    x, y = series()
    likelihood = gpytorch.likelihoods.GaussianLikelihood().double()

    class Exact(gpytorch.models.ExactGP):
        def __init__(self) -> None:
            super().__init__(x, y, likelihood)
            self.mean_module = gpytorch.means.ZeroMean()
            self.covar_module = gpytorch.kernels.SpectralMixtureKernel(num_mixtures=COMPONENTS)
            self.covar_module.initialize_from_data(x, y)

        def forward(self, rows: torch.Tensor) -> Any:
            return gpytorch.distributions.MultivariateNormal(self.mean_module(rows), self.covar_module(rows))

    model = Exact().double()
    model.train()
    likelihood.train()
    marginal = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def step() -> None:
        optimizer.zero_grad()
        (-marginal(model(x), y)).backward()
        optimizer.step()

    return step


def loop(name: str, outputs: Path) -> float:
    """Seconds of a step of `python train.py`, from its own throughput figure."""
    words = [f"model={name}", "trainer=cpu", f"trainer.max_steps={STEPS}", "logger=csv", f"paths.outputs={outputs}"]
    composed = compose_config(words)
    directory = fit.start(composed.values, composed.choices, [], [])
    return 1.0 / [value for _, key, value in read_metrics(directory) if key == "perf/samples_per_sec"][-1]


def run() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = in_turns({**{name: svss_step(name) for name in MODELS}, "exact": exact_step()}, rounds=100)
        with tempfile.TemporaryDirectory() as folder:
            loops = {name: loop(name, Path(folder)) for name in MODELS}
    finally:
        torch.set_num_threads(threads)
    rows = []
    for name, seconds in found.items():
        looped = f"{1e3 * loops[name]:.2f}" if name in loops else "-"
        label = "GPyTorch, exact" if name == "exact" else name
        rows.append([label, f"{1e3 * seconds:.2f}", looped, f"{found['exact'] / seconds:.1f}"])
    columns = ["one thread", "bare, ms", "train.py, ms", "exact / bare"]
    table(f"A step on {ROWS} months, Q = {COMPONENTS}, M = {3 * COMPONENTS}", columns, rows)
