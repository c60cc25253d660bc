"""Files of a data set, from a folder or straight from an archive; nothing is unpacked."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from reprise.config.errors import DataError

_LARGEST = 1 << 28  # bytes of one file; a table of text is far smaller


def read_folder(folder: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Content of the wanted files of a folder, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file() and wanted(path.name)}


def read_archive(archive: Path, folder: str, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Content of the wanted files that an archive holds in `folder`, by name; nothing is written.

    Args:
        archive: tar, compressed or not.
        folder: path inside of it.
        wanted: whether to read a name.

    Raises:
        DataError: the archive is truncated or corrupt, or a member is a link, too large, or points outside.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts:
                    raise DataError(f"{archive}: its member {member.name!r} points outside. Fetch the archive again.")
                if path.parent != PurePosixPath(folder) or not wanted(path.name) or member.isdir():
                    continue
                if not member.isreg() or member.size > _LARGEST:
                    raise DataError(
                        f"{archive}: its member {member.name!r} is no plain file of at most {_LARGEST >> 20} MB. "
                        "Fetch the archive again."
                    )
                file = tar.extractfile(member)
                found[path.name] = file.read() if file is not None else b""
            while tar.fileobj and tar.fileobj.read(1 << 20):
                pass  # to the end of the stream: its checksum is compared there, and tarfile stops before it
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"{archive} cannot be read: {error}. Is it truncated? Fetch it again.") from error
    return found
