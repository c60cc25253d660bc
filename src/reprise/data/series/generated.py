"""Drawn series as a regression problem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np

from reprise.config.errors import ConfigError
from reprise.data.series.processes import (
    draw_process,
    matern32,
    negative_autoregression,
    quadratic_and_periodic,
    sinc_sum,
    two_components,
)
from reprise.data.series.series import given_split
from reprise.data.tabular.base import By, RegressionData, Table, Which
from reprise.data.tabular.scaling import Kind

Name = Literal["sinc", "negcov", "matern", "rq_per", "sm_q2"]


class GeneratedSeries(RegressionData):
    """A drawn series; it depends on `split_seed` alone, and sinc on nothing.

    sinc: 700 points for training, 300 within [-4.5, 4.5] for test; negcov: 400 points and the next 20; sm_q2: 1600
    points on [-10, 10] for training, 401 within [-2, 2] for test; matern and rq_per: 100 points for training and the
    next 20 for test, of which the paper has none.

    Args:
        name: of the series, see `reprise.data.series.processes`.
        seed: the run's.
        noise: deviation of white noise that is added to y.
        inputs: 1.
        batch_size, split, fold, test_share, val_share, split_seed, scale_x, scale_y, scale_by, train_stride: see
            RegressionData.
        limit_val, limit_test: not used: a series is always measured whole. Budgets of all models name them.

    Raises:
        ConfigError: the series is unknown, or the noise negative.
    """

    def __init__(
        self,
        name: Name,
        seed: int,
        noise: float = 0.0,
        inputs: int = 1,
        batch_size: int = 1,
        split: Which = "given",
        fold: int | None = 0,
        test_share: float = 0.1,
        val_share: float = 0.0,
        split_seed: int | None = 0,
        scale_x: Kind = "none",
        scale_y: Kind = "none",
        scale_by: By = "train",
        train_stride: int = 1,
        limit_val: int | None = None,
        limit_test: int | None = None,
    ) -> None:
        super().__init__(
            inputs, seed, batch_size, split, fold, test_share, val_share, split_seed, scale_x, scale_y, scale_by,
            train_stride,
        )  # fmt: skip
        if name not in get_args(Name):
            raise ConfigError(f"data.name is {name!r}. Expected one of {', '.join(get_args(Name))}.")
        if noise < 0.0:
            raise ConfigError(f"data.noise is {noise}. Expected 0 or more.")
        self.series = name
        self.noise = noise

    def read(self) -> Table:
        """Draw the series."""
        rng = np.random.default_rng([self.split_seed, get_args(Name).index(self.series)])
        train_points = 100
        gaps: list[tuple[float, float]] | None = None
        if self.series == "sinc":
            (x, y), gaps = sinc_sum(), [(-4.5, 4.5)]
        elif self.series == "negcov":
            (x, y), train_points = negative_autoregression(rng), 400
        elif self.series == "sm_q2":
            x, gaps = np.linspace(-10.0, 10.0, 2001).round(2), [(-2.0, 2.0)]
            y = _drawn(x, two_components, rng)
        else:
            x = np.arange(1.0, 121.0)
            y = _drawn(x, matern32 if self.series == "matern" else quadratic_and_periodic, rng)
        y = y + self.noise * rng.standard_normal(len(y))
        source = {"generated": self.series, "noise": self.noise}
        return Table(self.series, x[:, None], y, source, given_split(x, train_points, gaps))

    def data_digests(self) -> dict[str, Any]:
        """What was drawn from: runs with other seeds of the draw have other numbers of the same process."""
        found = super().data_digests()
        return {"draw": found.pop("sha256"), "draw_seed": self.split_seed, **found}


def _drawn(x: np.ndarray, kernel: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator) -> np.ndarray:
    return draw_process(kernel(x[:, None] - x[None, :]), rng)
