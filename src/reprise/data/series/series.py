"""A time series as a regression problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reprise.config.errors import ConfigError, DataError
from reprise.data.series.files import find_file, read_file
from reprise.data.series.shipped import CO2_START, monthly_co2, yearly_sunspots
from reprise.data.tabular.base import By, RegressionData, Table, Which
from reprise.data.tabular.scaling import Kind
from reprise.data.tabular.split import Split


@dataclass(frozen=True)
class Known:
    """A series of a file whose layout and split are known.

    Attributes:
        files: names that its file goes by.
        points: N, so many points at the end of the file.
        train_points: so many of them, from the beginning, are trained on; None where no split is known.
        x_label, y_label: what is measured.
        numbered: its times are 1, 2, ..., not those of the file.
    """

    files: tuple[str, ...]
    points: int
    train_points: int | None
    x_label: str
    y_label: str
    numbered: bool = False


known = {
    # Wilson and Adams (2013) as Jung et al. keep it: 200 months and the next 301. The file has 529 months from December
    # 1964; its last 501, from April 1967, have the mean (331.92), deviation (6.50) and range (341 to 388) of theirs.
    "co2_wilson": Known(("CO2data",), 501, 200, "month", "CO2 [ppm]", numbered=True),
    "airline": Known(("airline", "01-airline"), 144, 96, "month", "passengers [1000]", numbered=True),
    "solar": Known(("02-solar",), 402, None, "year", "solar irradiance [W/m²]"),
}
"""Series of files, by name."""

shipped = ("co2_statsmodels", "co2_monthly", "sunspots_statsmodels")
"""Series that need no file."""


class SeriesData(RegressionData):
    """A time series; the input is the time.

    Names: co2_statsmodels, monthly CO2 from April 1967 to December 2001, the first 200 months for training: the months
    of co2_wilson as far as they go (417 of 501), measured by the same station; co2_monthly, all 526 months from March
    1958, without a split; sunspots_statsmodels, 309 years, without a split; these ship with statsmodels. Of files:
    co2_wilson, 200 and 301 months; airline, 96 and 48 months; solar, 402 years, without a split; or the name of any
    .mat or .csv file, see `read_file`.

    Args:
        name: of the series.
        seed: the run's.
        root: folder of the file, or of the collection that it is in, or the file; None where it is shipped.
        train_points: the given split trains on so many points from the beginning; None: as the series has it.
        gaps: the given split's test points are those within these intervals (first and last time) of x instead.
        inputs: 1.
        batch_size, split, fold, test_share, val_share, split_seed, scale_x, scale_y, scale_by, train_stride: see
            RegressionData.
        limit_val, limit_test: not used: a series is always measured whole. Budgets of all models name them.

    Raises:
        ConfigError: the series is unknown, or its file is needed and `root` is not given.
    """

    def __init__(
        self,
        name: str,
        seed: int,
        root: str | None = None,
        train_points: int | None = None,
        gaps: Sequence[Sequence[float]] | None = None,
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
        if root is None and name not in shipped:
            raise ConfigError(
                f"data.name is {name!r}, which is read from a file: set data.root to its folder. "
                f"Without one there are {', '.join(shipped)}."
            )
        if train_points is not None and gaps is not None:
            raise ConfigError("data.train_points and data.gaps are both given. Expected one of them.")
        if any(len(gap) != 2 or gap[0] > gap[1] for gap in gaps or ()):
            raise ConfigError(f"data.gaps is {gaps}. Expected pairs of a first and a last time.")
        self.series = name
        self.root = None if root is None else Path(root).expanduser()
        self.train_points = train_points
        self.gaps = gaps

    def read(self) -> Table:
        """Read the series."""
        return self._read_shipped() if self.series in shipped else self._read_file()

    def _read_shipped(self) -> Table:
        source: dict[str, str] = {"package": "statsmodels", "series": self.series}
        if self.series == "sunspots_statsmodels":
            x, y = yearly_sunspots()
            return self._table_of(x, y, None, source, "year", "sunspot number")
        y = monthly_co2(CO2_START if self.series == "co2_statsmodels" else None)
        train_points = 200 if self.series == "co2_statsmodels" else None
        return self._table_of(_numbers(len(y)), y, train_points, source, "month", "CO2 [ppm]")

    def _read_file(self) -> Table:
        assert self.root is not None
        series = known.get(self.series)
        held = read_file(find_file(self.root, (self.series,) if series is None else series.files))
        source = {"file": held.name, "file_digest": held.sha256}
        if series is None:
            return self._table_of(held.x, held.y, held.train_points, source, "x", "y")
        if len(held.y) < series.points:
            raise DataError(f"{held.name} has {len(held.y)} points. Expected {series.points} of {self.series}.")
        y = held.y[-series.points :]
        x = _numbers(len(y)) if series.numbered else held.x[-series.points :]
        return self._table_of(x, y, series.train_points, source, series.x_label, series.y_label)

    def _table_of(
        self, x: np.ndarray, y: np.ndarray, train: int | None, source: dict[str, str], x_label: str, y_label: str
    ) -> Table:
        splits = given_split(x, self.train_points or train, self.gaps)
        return Table(self.series, x[:, None], y, source, splits, x_label, y_label)


def given_split(x: np.ndarray, train_points: int | None, gaps: Sequence[Sequence[float]] | None) -> list[Split]:
    """A split of times (N,): the first points for training, or all that lie outside gaps; none without either.

    Raises:
        ConfigError: a part would be empty.
    """
    if gaps is not None:
        held_out = np.zeros(len(x), dtype=bool)
        for first, last in gaps:
            held_out |= (x >= first) & (x <= last)
    elif train_points is not None:
        held_out = np.arange(len(x)) >= train_points
    else:
        return []
    if held_out.all() or not held_out.any():
        raise ConfigError(
            f"of {len(x)} points, {int(held_out.sum())} are for test. Change data.train_points or data.gaps."
        )
    return [Split(np.flatnonzero(~held_out), np.arange(0), np.flatnonzero(held_out))]


def _numbers(count: int) -> np.ndarray:
    return np.arange(1, count + 1, dtype=np.float64)
