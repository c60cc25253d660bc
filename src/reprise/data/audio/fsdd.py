"""Free Spoken Digit Dataset (Jackson and others 2016 on): digits by several speakers, 8 kHz, CC BY-SA 4.0."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from reprise.config.errors import DataError
from reprise.data.audio.recordings import Recording, Recordings, by_name, sound_files

_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<index>\d+)")


class FSDD(Recordings):
    """Recordings DIGIT_SPEAKER_INDEX.wav of the folder recordings/ below root, of root itself, or of its archives.

    Archives are tar files below root, compressed or not, in which recordings have these names, as wav or flac; they
    are read where they are. Where a clips.csv beside them lists clips (column `clip`), each of those has to be there.
    Labels are `speaker` and `digit`; recordings of index 0 to 4 are the official test split.

    Args:
        test_indices: recordings of an index below this are for testing.
    """

    where_to_get = (
        "Get the Free Spoken Digit Dataset from https://github.com/Jakobovski/free-spoken-digit-dataset and set "
        "data.root to its folder, or use data=synthetic_digits, which needs no files."
    )

    def __init__(self, test_indices: int = 5) -> None:
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
        return sorted(found, key=lambda r: r.id)

    def _recording(self, name: str, path: Path, member: str) -> Recording:
        parts = _NAME.fullmatch(name)
        if parts is None:
            place = f"{path}, member {member}" if member else str(path)
            raise DataError(f"{place}: expected a name DIGIT_SPEAKER_INDEX such as 7_george_12. Rename or remove it.")
        labels = {"speaker": parts["speaker"], "digit": parts["digit"]}
        split = "test" if int(parts["index"]) < self.test_indices else "train"
        return Recording(name, path, member, labels, split)


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
