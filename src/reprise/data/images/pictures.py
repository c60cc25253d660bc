"""Many pictures in one place, a folder or a zip file: their names, what is in them, and whether that has changed."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import shutil
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import TypeVar

import numpy as np

from reprise.config.errors import DataError
from reprise.data.images.arrays import part_head

T = TypeVar("T")
log = logging.getLogger(__name__)
_PORTION = 256
_SAY_AFTER = 20.0  # seconds
_LARGEST = 1 << 28  # bytes of one picture; more is no picture, or a zip file that means harm


class Pictures(ABC):
    """Pictures in one place.

    Attributes:
        place: the folder or file.
        stamp: changes when a picture is added, removed or written again; found without reading any.
    """

    place: Path
    stamp: str

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """Paths of the pictures in the place, with / and their ending, sorted folder by folder."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Bytes of a picture; several threads may read at once.

        Raises:
            DataError: missing or corrupt.
        """


class FolderPictures(Pictures):
    """Pictures in a folder and those below it; folders that are links are left out.

    Args:
        folder: the folder.
        kinds: endings of the files that count, in small letters with the dot.

    Raises:
        DataError: the folder cannot be read.
    """

    def __init__(self, folder: Path, kinds: Sequence[str]) -> None:
        self.place = folder
        self._names: list[str] = []
        stamp = hashlib.sha256(f"{folder.resolve()}\n".encode())
        try:
            for name, stat in _walk(folder, "", frozenset(kinds)):
                self._names.append(name)
                stamp.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
        except OSError as error:
            raise DataError(f"{error.filename or folder} cannot be read: {error.strerror}.") from None
        except UnicodeEncodeError as error:
            raise DataError(f"{folder} has a file whose name is not in UTF-8: {error.object!r}. Rename it.") from None
        self.stamp = stamp.hexdigest()

    @property
    def names(self) -> Sequence[str]:
        """Paths below the folder."""
        return self._names

    def read(self, name: str) -> bytes:
        """Bytes of a file."""
        try:
            return (self.place / name).read_bytes()
        except OSError as error:
            raise DataError(f"{self.place / name} cannot be read: {error.strerror}.") from None


def _walk(folder: Path, below: str, kinds: frozenset[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Files with their stat, in the order of their paths' parts."""
    with os.scandir(folder / below) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder, f"{below}{entry.name}/", kinds)
            elif os.path.splitext(entry.name)[1].lower() in kinds and entry.is_file():
                yield f"{below}{entry.name}", entry.stat()


class ZipPictures(Pictures):
    """Pictures in a zip file, which is opened when a name or a picture is asked for. Nothing is unpacked to disk.

    Args:
        file: the zip file.
        kinds: endings of the members that count, in small letters with the dot.

    Raises:
        DataError: the file is missing.
    """

    def __init__(self, file: Path, kinds: Sequence[str]) -> None:
        self.place = file
        self._kinds = frozenset(kinds)
        try:
            stat = file.stat()
        except OSError as error:
            raise DataError(f"{file} cannot be read: {error.strerror}.") from None
        self.stamp = hashlib.sha256(f"{file.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}".encode()).hexdigest()

    @cached_property
    def _bundle(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.place)
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{self.place} cannot be read: {error}. Is it truncated? Fetch it again.") from None

    @cached_property
    def names(self) -> Sequence[str]:
        """Paths of the members; what macOS adds beside files (__MACOSX) is left out."""
        found = [name for name in self._bundle.namelist() if PurePosixPath(name).suffix.lower() in self._kinds]
        return sorted((n for n in found if not n.startswith("__MACOSX/")), key=lambda name: PurePosixPath(name).parts)

    def read(self, name: str) -> bytes:
        """Bytes of a member, compared with their checksum."""
        try:
            size = self._bundle.getinfo(name).file_size
            if size > _LARGEST:
                raise DataError(f"{self.place}: {name} would have {size} bytes. That is no picture.")
            return self._bundle.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, KeyError) as error:
            raise DataError(f"{self.place}: {name} cannot be read: {error}. Fetch the file again.") from None


def pictures_digest(parts: Sequence[tuple[Pictures, Callable[[str], str]]]) -> str:
    """SHA-256 (hex) over ids and bytes of all pictures: the same for a folder and for a zip file of it.

    Args:
        parts: pictures in the order in which they count, each with what makes an id of a name.
    """
    total = hashlib.sha256()
    for pictures, id_of in parts:

        def one(name: str, pictures: Pictures = pictures) -> str:
            return hashlib.sha256(pictures.read(name)).hexdigest()

        digests = in_threads(one, pictures.names, f"of {pictures.place} checked")
        for name, sha256 in zip(pictures.names, digests, strict=True):
            total.update(f"{id_of(name)}\0{sha256}\n".encode())
    return total.hexdigest()


def decode_all(
    part: str,
    names: Sequence[str],
    read: Callable[[str], np.ndarray],
    shape: tuple[int, int, int],
    add: Callable[[bytes], object],
    folder: Path | None,
) -> None:
    """Decode every picture of a part once, add it to the digest of all pixels, and write it where a folder is given.

    Args:
        part: name of the part.
        names: names of the pictures.
        read: makes an array (C, H, W) uint8 of a name.
        shape: (C, H, W).
        add: takes what the digest of all pixels is made of, see `content_sha256`.
        folder: where to write <part>.npy, (N, C, H, W); None to decode only.

    Raises:
        DataError: there is no room for the file.
    """
    whole = (len(names), *shape)
    pixels = _open_pixels(folder / f"{part}.npy", whole) if folder else None
    add(part_head(part, whole))
    for i, picture in enumerate(in_threads(read, names, f"of part {part} decoded")):
        add(picture.tobytes())
        if pixels is not None:
            pixels[i] = picture
    if pixels is not None:
        pixels.flush()


def _open_pixels(file: Path, shape: tuple[int, ...]) -> np.memmap:
    size, free = math.prod(shape), shutil.disk_usage(file.parent).free
    if size > free:  # writing to a memory map on a full disk ends the process without a word
        raise DataError(
            f"The decoded pictures need {size / 1e9:.1f} GB; {file.parent.parent} has {free / 1e9:.1f} GB left. Set "
            "paths.cache=FOLDER (or REPRISE_CACHE) to a place on a larger disk."
        )
    return np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)


def in_threads(work: Callable[[str], T], names: Sequence[str], done: str) -> Iterator[T]:
    """Do something with each picture, several at once, and say every now and then how far it is.

    Yields:
        results in the order of the names; a portion of them is held in memory at a time.
    """
    started = said = monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(names), _PORTION):
            yield from pool.map(work, names[start : start + _PORTION])
            now, finished = monotonic(), min(start + _PORTION, len(names))
            if now - said > _SAY_AFTER:
                said = now
                left = (now - started) * (len(names) - finished) / finished
                log.info("%d of %d pictures %s, about %.0f s left", finished, len(names), done, left)
