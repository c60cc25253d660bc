"""Recordings of your own, with labels from the names of folders or from a table."""

from __future__ import annotations

import csv
from pathlib import Path

from reprise.config.errors import ConfigError, DataError
from reprise.data.audio.recordings import Recording, Recordings, by_name, sound_files

_SPLITS = ("", "train", "val", "test")


class SequenceFolder(Recordings):
    """Sound files below root, at any depth.

    With labels.csv in root, its rows are the recordings: a column `file`, below root, a column for each kind of label,
    and if you like a column `split` of train, val and test; an empty value is unknown. Without it every sound file is a
    recording, and the folders that it lies in are its labels.

    Args:
        folders: kinds of label that the folders below root stand for, outermost first, e.g. [speaker] for
            root/SPEAKER/..., or [split, speaker] for root/train/SPEAKER/...; deeper folders mean nothing.
    """

    where_to_get = "Set it to a folder of wav, flac, mp3 or ogg files: data.root=PATH."

    def __init__(self, folders: list[str] | None = None) -> None:
        self.folders = list(folders or [])

    def find(self, root: Path | None, cache: Path) -> list[Recording]:
        """List the recordings, sorted by name."""
        place = self.folder(root)
        if (table := place / "labels.csv").is_file():
            if self.folders:
                raise ConfigError(f"{table} has the labels, so folders have none. Set data.recordings.folders=[].")
            return read_table(table)
        files = sound_files(place)
        if not files:
            raise DataError(f"data.root={place} holds no sound file. {self.where_to_get}")
        named = by_name(files, lambda path: path.relative_to(place).with_suffix("").as_posix())
        return [self._recording(place, name, path) for name, path in named.items()]

    def _recording(self, place: Path, name: str, path: Path) -> Recording:
        parts = path.relative_to(place).parts[:-1]
        if len(parts) < len(self.folders):
            expected = "/".join(kind.upper() for kind in self.folders)
            raise DataError(f"{path} lies {len(parts)} folders below data.root. Expected {place}/{expected}/FILE.")
        labels = dict(zip(self.folders, parts, strict=False))
        split = labels.pop("split", "")
        if split not in _SPLITS:
            raise DataError(f"{path}: the folder {split}/ is no split. Expected train, val or test.")
        return Recording(name, path, labels=labels, split=split)


def read_table(path: Path) -> list[Recording]:
    """Read labels.csv: recordings sorted by file.

    Raises:
        DataError: the column `file` is missing, two columns have one name, a line has another number of values, a file
            is missing or comes twice, or a split is unknown.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    if not rows or "file" not in rows[0]:
        raise DataError(f"{path}: expected a heading with a column `file`, e.g. file,speaker.")
    heading, found = rows[0], {}
    if twice := [kind for i, kind in enumerate(heading) if kind in heading[:i]]:
        raise DataError(f"{path}: two columns are called {twice[0]!r}. Rename or remove one of them.")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(heading):
            raise DataError(f"{path}, line {number}: expected {len(heading)} values, found {len(row)}.")
        labels = {kind: value for kind, value in zip(heading, row, strict=True) if value}
        name, split = labels.pop("file", ""), labels.pop("split", "")
        if split not in _SPLITS:
            raise DataError(f"{path}, line {number}: {split!r} is no split. Expected train, val, test or nothing.")
        if not (path.parent / name).is_file():
            raise DataError(f"{path}, line {number}: {path.parent / name} is missing. Restore it or remove the line.")
        if name in found:
            raise DataError(f"{path}, line {number}: {name} is listed before. Remove a line.")
        found[name] = Recording(Path(name).with_suffix("").as_posix(), path.parent / name, labels=labels, split=split)
    if not found:
        raise DataError(f"{path} lists no file.")
    return [found[name] for name in sorted(found)]
