"""What a data set of sound consists of: recordings with labels, wherever their bytes lie."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from reprise.config.errors import ConfigError, DataError

SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".aif", ".aiff")


@dataclass(frozen=True)
class Recording:
    """One clip of a data set.

    Attributes:
        id: unique in the data set.
        path: the sound file, or the tar archive that holds it.
        member: its name in that archive; empty where `path` is the sound itself.
        labels: kind to name, e.g. {"speaker": "george", "digit": "7"}; a kind that is missing is unknown.
        split: train, val or test where the data set says so; "" where it does not.
        tags: names that hold of the clip, several at once.
        segments: (begin, end, class) in seconds of the file, where parts of the clip have classes of their own.
    """

    id: str
    path: Path
    member: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    split: str = ""
    tags: frozenset[str] = frozenset()
    segments: tuple[tuple[float, float, str], ...] = ()

    @property
    def place(self) -> str:
        """Where the sound is, for messages."""
        return f"{self.path}, member {self.member}" if self.member else str(self.path)


def described(recordings: Sequence[Recording], splits: Mapping[str, Sequence[int]]) -> str:
    """SHA-256 of what is said of recordings beside their sound: labels, tags, segments, and who is held out.

    Args:
        recordings: in their order.
        splits: numbers of the recordings of each split.
    """
    told = [[r.id, sorted(r.labels.items()), sorted(r.tags), list(r.segments)] for r in recordings]
    parts = {name: [recordings[i].id for i in chosen] for name, chosen in sorted(splits.items())}
    return hashlib.sha256(json.dumps([told, parts]).encode()).hexdigest()


class Recordings(ABC):
    """A data set of sound: it lists its recordings and reads none of them."""

    where_to_get: ClassVar[str] = "Set it to the folder of recordings: data.root=PATH."
    """What a user without `data.root` is told."""
    tag_names: Sequence[str] = ()
    """Names of tags, in order, known once the recordings are listed; empty where the data have none."""
    frame_names: Sequence[str] = ()
    """Names of the classes of segments; empty where the data have none."""
    facts: Mapping[str, Any] = MappingProxyType({})
    """What the run record has to say of this copy beside digests and counts, known once the recordings are listed."""
    complaint: str = ""
    """What is missing of this copy, for a warning, known once the recordings are listed; empty where nothing is."""

    @abstractmethod
    def find(self, root: Path | None, cache: Path) -> list[Recording]:
        """List the recordings, in an order that does not depend on the machine.

        Args:
            root: the folder that `data.root` names; None where it is not set.
            cache: folder for what is downloaded or made.

        Raises:
            ConfigError: `root` is needed and missing, or given and not read.
            DataError: a file is missing, double or not what its format says.
        """

    def folder(self, root: Path | None) -> Path:
        """The folder at `root`.

        Raises:
            ConfigError: it is not set.
            DataError: it is not there.
        """
        if root is None:
            raise ConfigError(f"data.root is missing. {self.where_to_get}")
        if not root.is_dir():
            raise DataError(f"data.root={root} is not a folder. {self.where_to_get}")
        return root


def sound_files(folder: Path, endings: Sequence[str] = SOUNDS) -> list[Path]:
    """Sound files below a folder, at any depth, sorted; empty where there are none."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in endings and p.is_file())


def by_name(files: Iterable[Path], name_of: Callable[[Path], str]) -> dict[str, Path]:
    """Name files, sorted by name; two of one name are an error, since one would be lost.

    Raises:
        DataError: two files have one name.
    """
    named: dict[str, Path] = {}
    for path in files:
        name = name_of(path)
        if name in named:
            raise DataError(f"{named[name]} and {path} are both called {name!r}. Rename or remove one of them.")
        named[name] = path
    return dict(sorted(named.items()))
