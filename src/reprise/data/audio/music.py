"""Music with tags: MagnaTagATune (Law and others 2009), or any folder of sound files with a list of tags."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from reprise.config.errors import ConfigError, DataError, suggest
from reprise.data.audio.recordings import Recording, Recordings

_FOLDERS = {**dict.fromkeys("0123456789ab", "train"), "c": "val", **dict.fromkeys("def", "test")}


class TaggedMusic(Recordings):
    """Sound files below root and a list of their tags.

    The list has one of two forms. MagnaTagATune's annotations_final.csv: columns divided by tabs, `clip_id`, one of 0
    and 1 for each of 188 tags, and `mp3_path`; its clips are split by folder as is usual: 0 to b for training, c for
    validation, d to f for testing. Or lines `file,tag;tag`, without a heading; the data then have no splits.

    Args:
        listing: the list, below root; None for annotations_final.csv, or tags.csv where that is missing.
        tags: names of the tags, in this order; None for the most frequent ones.
        most_frequent: how many these are, of training clips where there are splits, in the order of their frequency.
        merge: tag to others that count as it, e.g. {vocal: [vocals, voice]}; they are tags no longer. The paper merged
            tags and dropped rare ones (section 3.3), and does not say which.
        known_empty: files that are left out where the list has them, since they hold nothing as published.

    Raises:
        ConfigError: `most_frequent` is below 1, a tag is named twice, or one is merged twice or on from what it was
            merged into.
    """

    where_to_get = (
        "Set it to a folder with sound files and tags.csv, or with MagnaTagATune's annotations_final.csv and its mp3 "
        "files (https://mirg.city.ac.uk/codeapps/the-magnatagatune-dataset): data.root=PATH."
    )

    def __init__(
        self,
        listing: str | None = None,
        tags: list[str] | None = None,
        most_frequent: int = 50,
        merge: dict[str, list[str]] | None = None,
        known_empty: list[str] | None = None,
    ) -> None:
        if most_frequent < 1:
            raise ConfigError(f"data.recordings.most_frequent is {most_frequent}. Expected 1 or more.")
        self.listing = listing
        self.tags = tags
        self.most_frequent = most_frequent
        self.merge = _merged(merge or {})
        self.known_empty = frozenset(known_empty or ())
        for i, tag in enumerate(tags or []):
            if tag in (tags or [])[:i]:
                raise ConfigError(f"data.recordings.tags names {tag!r} twice. Remove one.")
            if tag in self.merge:
                into = self.merge[tag]
                raise ConfigError(f"data.recordings.tags names {tag!r}, which merge counts as {into!r}. Name that.")

    def find(self, root: Path | None, cache: Path) -> list[Recording]:
        """List the clips, sorted by file."""
        place = self.folder(root)
        listing = self._listing(place)
        official = listing.read_text(encoding="utf-8").startswith(("clip_id", '"clip_id"'))
        read = read_annotations(listing) if official else read_tags(listing)
        read = {file: tags for file, tags in read.items() if file not in self.known_empty}
        if not read:
            raise DataError(f"{listing} lists no clip.")
        if unknown := [t for t in self.merge if not any(t in tags for tags in read.values())]:
            known = {tag for tags in read.values() for tag in tags}
            raise ConfigError(
                f"data.recordings.merge names {unknown[0]!r}, no tag of any clip. {suggest(unknown[0], known)}"
            )
        merged = {file: frozenset(self.merge.get(t, t) for t in tags) for file, tags in read.items()}
        found = [
            Recording(file, place / file, split=_split(listing, file) if official else "", tags=tags)
            for file, tags in sorted(merged.items())
        ]
        self.tag_names: Sequence[str] = self._names(found)
        return found

    def _listing(self, place: Path) -> Path:
        names = [self.listing] if self.listing else ["annotations_final.csv", "tags.csv"]
        for name in names:
            if (place / name).is_file():
                return place / name
        raise DataError(f"{place} holds no {' or '.join(names)}. {self.where_to_get}")

    def _names(self, recordings: Sequence[Recording]) -> list[str]:
        counts = Counter(tag for r in recordings if r.split in ("", "train") for tag in sorted(r.tags))
        if self.tags is None:
            # of equally frequent tags the first in the alphabet, so that the order is the same everywhere
            return [tag for tag, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))][
                : self.most_frequent
            ]
        for tag in self.tags:
            if tag not in counts:
                raise ConfigError(f"data.recordings.tags names {tag!r}, which no clip has. {suggest(tag, counts)}")
        return list(self.tags)


def _merged(merge: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Tag to the one that it counts as.

    Raises:
        ConfigError: a tag is merged twice, into itself, or into one that is itself merged.
    """
    found: dict[str, str] = {}
    for tag, others in merge.items():
        for other in others:
            if other in found:
                raise ConfigError(
                    f"data.recordings.merge counts {other!r} as {found[other]!r} and as {tag!r}. Remove one of them."
                )
            found[other] = tag
    for other, tag in found.items():
        if other == tag:
            raise ConfigError(f"data.recordings.merge counts {tag!r} as itself. Remove it from its list.")
        if tag in found:
            raise ConfigError(
                f"data.recordings.merge counts {other!r} as {tag!r}, and that as {found[tag]!r}. Name {other!r} in the "
                f"list of {found[tag]!r}."
            )
    return found


def _split(listing: Path, file: str) -> str:
    folder = file.split("/")[0]
    if folder not in _FOLDERS:
        raise DataError(f"{listing} lists {file}. Expected it in one of the folders 0 to 9 and a to f.")
    return _FOLDERS[folder]


def read_annotations(path: Path) -> Mapping[str, frozenset[str]]:
    """Read MagnaTagATune's annotations_final.csv: file to tags.

    Raises:
        DataError: a column is missing, a line has another number of values, a value is neither 0 nor 1, or a file
            comes twice.
    """
    with path.open(encoding="utf-8", newline="") as file:
        heading, *rows = csv.reader(file, delimiter="\t")
    if heading[0] != "clip_id" or heading[-1] != "mp3_path":
        raise DataError(f"{path}: expected columns clip_id, tags and mp3_path, found {heading[0]} to {heading[-1]}.")
    found: dict[str, frozenset[str]] = {}
    for number, row in enumerate(rows, 2):
        if len(row) != len(heading) or not set(row[1:-1]) <= {"0", "1"}:
            raise DataError(f"{path}, line {number}: expected {len(heading) - 2} values 0 or 1, and a file.")
        _add(found, row[-1], (tag for tag, value in zip(heading[1:-1], row[1:-1], strict=True) if value == "1"), path)
    return found


def read_tags(path: Path) -> Mapping[str, frozenset[str]]:
    """Read lines `file,tag;tag`; a file without tags ends with its comma.

    Raises:
        DataError: a line has another form, or a file comes twice.
    """
    found: dict[str, frozenset[str]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if not row:
                continue
            if len(row) != 2:
                raise DataError(f"{path}, line {number}: expected `file,tag;tag`, found {','.join(row)[:60]!r}.")
            _add(found, row[0], (tag.strip() for tag in row[1].split(";") if tag.strip()), path)
    return found


def _add(found: dict[str, frozenset[str]], file: str, tags: Iterable[str], path: Path) -> None:
    if file in found:
        raise DataError(f"{path} lists {file} twice. Remove a line.")
    found[file] = frozenset(tags)
