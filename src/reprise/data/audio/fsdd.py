"""Free Spoken Digit Dataset (Jackson and others 2016 on): digits by several speakers, 8 kHz, CC BY-SA 4.0."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from reprise.config.errors import ConfigError, DataError
from reprise.data.audio.recordings import Recording, Recordings, by_name, sound_files

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
INDICES = 50
"""Recordings of each digit by each speaker, so 3,000 in all."""
_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<index>\d+)")


class FSDD(Recordings):
    """Recordings DIGIT_SPEAKER_INDEX.wav of the folder recordings/ below root, of root itself, or of its archives.

    Archives are tar files below root, compressed or not, in which recordings have these names, as wav or flac; they
    are read where they are. Where a clips.csv beside them lists clips (column `clip`), each of those has to be there.
    Labels are `speaker` and `digit`; recordings of index 0 to 4 are the official test split.

    The whole set has 3,000 recordings: `SPEAKERS`, ten digits, index 0 to 49. Of a copy that has fewer a warning says
    how many are missing of which split, speaker and digit, and the run record has it: its test split is not the
    official one. A speaker of whom there is nothing is refused where data.only asks for them.

    Args:
        test_indices: recordings of an index below this are for testing.

    Raises:
        ConfigError: `test_indices` is out of range.
    """

    where_to_get = (
        "Get the Free Spoken Digit Dataset from https://github.com/Jakobovski/free-spoken-digit-dataset and set "
        "data.root to its folder, or use data=synthetic_digits, which needs no files."
    )

    def __init__(self, test_indices: int = 5) -> None:
        if not 1 <= test_indices < INDICES:
            raise ConfigError(f"data.recordings.test_indices is {test_indices}. Expected 1 to {INDICES - 1}.")
        self.test_indices = test_indices

    def find(self, root: Path | None, cache: Path) -> list[Recording]:
        """List the recordings, sorted by name."""
        place = self.folder(root)
        inner = place / "recordings"
        files = by_name(sound_files(inner if inner.is_dir() else place, (".wav", ".flac")), lambda path: path.stem)
        found = [self._recording(name, path, "") for name, path in files.items()]
        for archive in sorted(p for p in place.iterdir() if p.name.endswith((".tar.gz", ".tgz", ".tar"))):
            found += [self._recording(PurePosixPath(m).stem, archive, m) for m in sound_members(archive)]
        if not found:
            raise DataError(f"{place} holds no recordings DIGIT_SPEAKER_INDEX.wav and no archive. {self.where_to_get}")
        if (listing := place / "clips.csv").is_file():
            _compare(listing, {r.id for r in found})
        self.facts = {"missing": self._missing(found)}
        self.complaint = _complaint(place, self.facts["missing"])
        return sorted(found, key=lambda r: r.id)

    def _missing(self, found: Sequence[Recording]) -> dict[str, Any]:
        """How many recordings of the whole set a copy has not: of all, and of which split, speaker and digit."""
        there = {r.id for r in found}
        wanted = [f"{digit}_{speaker}_{i}" for speaker in SPEAKERS for digit in range(10) for i in range(INDICES)]
        lacking = [self._recording(name, Path(), "") for name in wanted if name not in there]
        counts: dict[str, Any] = {"recordings": len(lacking), "of": len(wanted)}
        if lacking:
            counts["split"] = dict(Counter(r.split for r in lacking))
            counts |= {kind: dict(Counter(r.labels[kind] for r in lacking)) for kind in ("speaker", "digit")}
        return counts

    def _recording(self, name: str, path: Path, member: str) -> Recording:
        parts = _NAME.fullmatch(name)
        if parts is None:
            place = f"{path}, member {member}" if member else str(path)
            raise DataError(f"{place}: expected a name DIGIT_SPEAKER_INDEX such as 7_george_12. Rename or remove it.")
        labels = {"speaker": parts["speaker"], "digit": parts["digit"]}
        split = "test" if int(parts["index"]) < self.test_indices else "train"
        return Recording(name, path, member, labels, split)


def _complaint(place: Path, missing: dict[str, Any]) -> str:
    """What a user is told of an incomplete copy; empty for a whole one."""
    if not missing["recordings"]:
        return ""
    parts = "; ".join(
        f"{kind}: {', '.join(f'{name} {count}' for name, count in missing[kind].items())}"
        for kind in ("split", "speaker", "digit")
    )
    told = (
        f"{place} lacks {missing['recordings']:,} of the {missing['of']:,} recordings of the Free Spoken Digit Dataset"
    )
    compare = " The test split is not the official one." if "test" in missing["split"] else ""
    return f"{told} ({parts}).{compare} Figures do not compare with those of the whole; the run record says so."


def sound_members(archive: Path) -> list[str]:
    """Names of the wav and flac files in a tar archive.

    Raises:
        DataError: it is truncated or corrupt.
    """
    try:
        with tarfile.open(archive) as tar:
            names = [member.name for member in tar if member.isfile()]
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{archive} cannot be read as an archive: {error}. Fetch it again.") from None
    return [name for name in names if name.endswith((".wav", ".flac"))]


def _compare(listing: Path, found: Iterable[str]) -> None:
    """Compare with a list of clips, whose first column is the name."""
    heading, *rows = listing.read_text(encoding="utf-8").splitlines()
    if heading.split(",")[0] != "clip":
        raise DataError(f"{listing}: expected a first column `clip`, found {heading[:60]!r}.")
    listed = {row.split(",")[0] for row in rows if row.strip()}
    if missing := sorted(listed - set(found)):
        raise DataError(
            f"{listing} lists {len(listed)} clips, but {len(missing)} are missing beside it, the first being "
            f"{missing[0]}. Fetch their archives, or remove their rows."
        )
