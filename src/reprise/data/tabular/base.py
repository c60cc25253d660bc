"""A regression problem as a data module: a table of inputs and one target, split and scaled."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import torch

from reprise.config.errors import ConfigError, DataError
from reprise.data.full_batch import FullBatchData
from reprise.data.tabular.scaling import Kind, Scaling, fit_scaling
from reprise.data.tabular.split import Split, hold_out, random_split

By = Literal["train", "all"]
Which = Literal["given", "random"]


@dataclass(frozen=True, eq=False)
class Table:
    """What was read.

    Attributes:
        name: of the data set.
        x: inputs (N, D).
        y: target (N,).
        source: what was read where, for the run record; it must not depend on the run's seed.
        splits: those that come with the data.
        x_label, y_label: what the first input and the target are, with their units.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    source: dict[str, Any]
    splits: Sequence[Split] = field(default_factory=tuple)
    x_label: str = "x"
    y_label: str = "y"


class RegressionData(FullBatchData):
    """Regression as one problem.

    The problem holds, in float64 and scaled, x (N, D), y (N,) for training, x_val, y_val (which may be empty), x_test,
    y_test; y_shift and y_scale (), with raw y = y_scale y + y_shift; x_label, y_label.

    Args:
        inputs: D, from which a model is built.
        seed: the run's.
        batch_size: 1.
        split: given, one that comes with the data; random, drawn by split_seed.
        fold: which of the given splits, counted from 0; where there is one split only, it is that one. None: that of
            the seed's number, so that runs of several seeds are a cross-validation.
        test_share: share of the rows that is held out by a random split.
        val_share: share of the training rows that is taken away for validation.
        split_seed: of random splits and of the validation rows; None: the run's seed, another split in each run.
        scale_x, scale_y: none; centre, to mean 0; standard, to mean 0 and deviation 1; unit, to [-1, 1].
        scale_by: rows that decide the scaling. By all, it sees held-out rows.
        train_stride: train on every so-many-th training row only.

    Raises:
        ConfigError: a value is out of range.
    """

    def __init__(
        self,
        inputs: int,
        seed: int,
        batch_size: int = 1,
        split: Which = "random",
        fold: int | None = 0,
        test_share: float = 0.1,
        val_share: float = 0.0,
        split_seed: int | None = 0,
        scale_x: Kind = "none",
        scale_y: Kind = "none",
        scale_by: By = "train",
        train_stride: int = 1,
    ) -> None:
        super().__init__(seed, batch_size)
        for name, value, allowed in (
            ("split", split, get_args(Which)),
            ("scale_by", scale_by, get_args(By)),
            ("scale_x", scale_x, get_args(Kind)),
            ("scale_y", scale_y, get_args(Kind)),
        ):
            if value not in allowed:
                raise ConfigError(f"data.{name} is {value!r}. Expected one of {', '.join(allowed)}.")
        for name, share in {"test_share": test_share, "val_share": val_share}.items():
            if not 0.0 <= share < 1.0:
                raise ConfigError(f"data.{name} is {share}. Expected 0 or more, below 1.")
        self.fold = seed if fold is None else fold
        for name, number, least in (("inputs", inputs, 1), ("train_stride", train_stride, 1), ("fold", self.fold, 0)):
            if number < least:
                raise ConfigError(f"data.{name} is {number}. Expected {least} or more.")
        self.inputs = inputs
        self.which = split
        self.test_share = test_share
        self.val_share = val_share
        self.split_seed = seed if split_seed is None else split_seed
        self.scale_x: Kind = scale_x
        self.scale_y: Kind = scale_y
        self.scale_by = scale_by
        self.train_stride = train_stride
        self._table: Table | None = None
        self._problem: dict[str, Any] | None = None

    @abstractmethod
    def read(self) -> Table:
        """Read or make the data."""

    def table(self) -> Table:
        """What was read, checked.

        Raises:
            DataError: values are missing or not finite, or there are other numbers of inputs or rows.
        """
        if self._table is None:
            table = self.read()
            if table.x.ndim != 2 or table.y.shape != table.x.shape[:1]:
                raise DataError(
                    f"{table.name}: inputs {table.x.shape} and target {table.y.shape}. Expected (N, D), (N,)."
                )
            if table.x.shape[1] != self.inputs:
                raise ConfigError(
                    f"data.inputs is {self.inputs}, but {table.name} has {table.x.shape[1]} inputs. Set it to that."
                )
            if not (np.isfinite(table.x).all() and np.isfinite(table.y).all()):
                raise DataError(f"{table.name} holds values that are not finite. Expected numbers in every cell.")
            self._table = table
        return self._table

    def split(self) -> Split:
        """The rows of each part."""
        table = self.table()
        if self.which == "given":
            if not table.splits:
                raise ConfigError(f"{table.name} comes without a split. Use data.split=random.")
            chosen = table.splits[self._number_of_split(table)]
        else:
            chosen = random_split(len(table.y), self.test_share, self.split_seed)
        chosen = hold_out(chosen, self.val_share, self.split_seed)
        return Split(chosen.train[:: self.train_stride], chosen.val, chosen.test)

    def _number_of_split(self, table: Table) -> int:
        count = len(table.splits)
        if count > 1 and self.fold >= count:
            raise ConfigError(
                f"data.fold is {self.fold}, but {table.name} comes with {count} splits. Expected 0 to {count - 1}; "
                f"where data.fold is null it is the seed, so take seeds 0 to {count - 1}."
            )
        return min(self.fold, count - 1)

    def setup(self, stage: str) -> None:
        """Read, split and scale."""
        if self._problem is None:
            table, split = self.table(), self.split()
            rows = split.train if self.scale_by == "train" else np.arange(len(table.y))
            scaled_x: Scaling = fit_scaling(table.x[rows], self.scale_x)
            scaled_y: Scaling = fit_scaling(table.y[rows], self.scale_y)
            found: dict[str, Any] = {}
            for suffix, part in (("", split.train), ("_val", split.val), ("_test", split.test)):
                found[f"x{suffix}"] = torch.from_numpy(scaled_x(table.x[part])).double()
                found[f"y{suffix}"] = torch.from_numpy(scaled_y(table.y[part])).double()
            found["y_shift"] = torch.as_tensor(scaled_y.shift, dtype=torch.float64)
            found["y_scale"] = torch.as_tensor(scaled_y.scale, dtype=torch.float64)
            found |= {"x_label": table.x_label, "y_label": table.y_label}
            found |= {"position": torch.zeros(1, dtype=torch.long), "id": table.name}
            self._problem = found

    def problem(self) -> dict[str, Any]:
        """The problem, after `setup`."""
        if self._problem is None:
            self.setup("fit")
        assert self._problem is not None
        return self._problem

    def held_out(self) -> int:
        """Test rows."""
        return len(self.problem()["y_test"])

    def data_digests(self) -> dict[str, Any]:
        """The table as a whole: runs with other seeds, and so other splits, have read the same data."""
        table = self.table()
        digest = hashlib.sha256(np.ascontiguousarray(table.x, dtype="<f8").tobytes())
        digest.update(np.ascontiguousarray(table.y, dtype="<f8").tobytes())
        return {
            "name": table.name,
            "rows": len(table.y),
            "inputs": self.inputs,
            "sha256": digest.hexdigest(),
            **table.source,
        }
