"""Tables that come as two files of numbers, train.csv and test.csv."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from reprise.config.errors import DataError
from reprise.data.tabular.base import By, RegressionData, Table, Which
from reprise.data.tabular.numbers import read_numbers
from reprise.data.tabular.scaling import Kind
from reprise.data.tabular.split import Split


class TrainTestCsv(RegressionData):
    """NAME/train.csv and NAME/test.csv without headers, inputs first, the target in the last column.

    So MushroomHunting/black-box-quantile-kernels has its data sets (bbq_tf/datasets): co2 (527 x 1),
    airline_passengers, concrete, airfoil_noise, scaled to [-1, 1]. Rows are numbered through, those of train.csv first.

    Args:
        name: of the folder.
        root: holds the folder.
        x_label, y_label: what the first input and the target are, with their units.
        inputs, seed, batch_size, split, fold, test_share, val_share, split_seed, scale_x, scale_y, scale_by,
            train_stride: see RegressionData.
        limit_val, limit_test: not used: a table is always measured whole. Budgets of all models name them.

    Raises:
        ConfigError: a value is out of range.
    """

    def __init__(
        self,
        name: str,
        root: str,
        inputs: int,
        seed: int,
        x_label: str = "x",
        y_label: str = "y",
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
        self.table_name = name
        self.root = Path(root).expanduser()
        self.labels = x_label, y_label

    def read(self) -> Table:
        """Read both files.

        Raises:
            DataError: one is missing or no table of numbers, or they differ in their columns.
        """
        contents, parts = [], []
        for path in (self.root / self.table_name / part for part in ("train.csv", "test.csv")):
            if not path.is_file():
                raise DataError(
                    f"{path} is missing. Expected train.csv and test.csv in the folder {self.table_name} of data.root."
                )
            contents.append(path.read_bytes())
            parts.append(read_numbers(contents[-1], str(path), ","))
        if parts[0].shape[1] != parts[1].shape[1]:
            raise DataError(f"{self.root / self.table_name}: train.csv and test.csv have different numbers of columns.")
        rows = np.concatenate(parts)
        split = Split(np.arange(len(parts[0])), np.arange(0), np.arange(len(parts[0]), len(rows)))
        source = {"files": hashlib.sha256(b"".join(contents)).hexdigest()}
        return Table(self.table_name, rows[:, :-1], rows[:, -1], source, [split], *self.labels)
