"""Download with resume, check, unpack safely, and move into place in one step."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path

from filelock import FileLock

from reprise.config.errors import DataError
from reprise.data.sources import Source

log = logging.getLogger(__name__)
_BLOCK = 1 << 20


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(source: Source, folder: Path) -> Path:
    """Return the checked file of `source` in `folder`, downloading what is missing.

    An interrupted download goes on where it stopped. Size and SHA-256 are checked before the file gets its name.

    Raises:
        DataError: no address answered, or the bytes are not the ones expected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final, part = folder / source.name, folder / f"{source.name}.part"
    with FileLock(f"{final}.lock"):
        if final.is_file() and final.stat().st_size == source.size:
            return final
        failures = []
        for url in (source.url, *source.mirrors):
            try:
                _download(url, part, source.size)
                _verify(part, source)
                os.replace(part, final)
                return final
            except (OSError, DataError) as error:
                failures.append(f"{url}: {error}")
        raise DataError(
            f"{source.name} could not be downloaded. " + "; ".join(failures) + f". Fetch it by hand to {final} "
            "(or unpack it anywhere and set data.root=FOLDER)."
        )


def _download(url: str, part: Path, size: int) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have > size:
        part.unlink()
        have = 0
    if have == size:
        return
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=60) as answer:
        resumed = have > 0 and answer.status == 206
        log.info("%s: %s MB %s", url, (size - have) // 10**6, "to go" if resumed else "to load")
        with part.open("ab" if resumed else "wb") as file:
            shutil.copyfileobj(answer, file, _BLOCK)


def _verify(part: Path, source: Source) -> None:
    size = part.stat().st_size
    if size < source.size:
        raise DataError(f"truncated: {size} of {source.size} bytes arrived; run again to continue")
    actual = file_sha256(part)
    if size > source.size or actual != source.sha256:
        part.unlink()
        raise DataError(f"corrupt: SHA-256 is {actual}, expected {source.sha256}; deleted, run again to load it anew")


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a tar or zip archive to `folder` in one atomic step; nothing in it may leave the folder.

    Returns:
        `folder`; at once when it exists already.

    Raises:
        DataError: the archive is corrupt, or a member points outside.
    """
    with FileLock(f"{folder}.lock"):
        if folder.is_dir():
            return folder
        scratch = folder.with_name(f".{folder.name}.unpacking")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            if zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as bundle:
                    _check_zip(bundle, scratch)
                    bundle.extractall(scratch)
            else:
                with tarfile.open(archive) as tar:
                    tar.extractall(scratch, filter="data")
                    while tar.fileobj and tar.fileobj.read(_BLOCK):
                        pass  # to the end of the stream: its checksum is compared there, and tarfile stops before it
        except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, DataError) as error:
            shutil.rmtree(scratch, ignore_errors=True)
            raise DataError(f"{archive} cannot be unpacked: {error}. Delete it and run again.") from error
        os.replace(scratch, folder)
    return folder


def _check_zip(bundle: zipfile.ZipFile, folder: Path) -> None:
    root = folder.resolve()
    for name in bundle.namelist():
        if not (root / name).resolve().is_relative_to(root):
            raise DataError(f"member {name!r} points outside the folder")
