"""Find run records below folders: quickly, each once, whatever else lies there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from reprise.tracking.record import FILE

Reject = Callable[[Path, str], None]


def find_records(roots: Iterable[Path], reject: Reject) -> Iterator[tuple[str, bytes]]:
    """Yield (run directory, content of its run.json).

    A folder that holds a run.json is a run, and what is below it belongs to it. Hidden folders are left out. Links are
    followed, and nothing is read twice, however it is reached. What cannot be read is given to `reject`.
    """
    seen: set[tuple[int, int]] = set()
    folders = [str(root) for root in reversed(list(roots))]
    while folders:
        folder = folders.pop()
        path = f"{folder}/{FILE}"
        try:
            content = _read_once(path, seen)
        except FileNotFoundError:
            folders += _inner(folder, seen, reject)
        except OSError as error:
            reject(Path(path), f"cannot be read: {error.strerror or error}")
        else:
            if content is not None:
                yield folder, content


def _read_once(path: str, seen: set[tuple[int, int]]) -> bytes | None:
    """Content of a file; None where it was read before."""
    # a pipe of this name must not stop us, and a folder of this name is an error
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(number, "rb", buffering=0) as file:
        status = os.fstat(number)
        if (place := (status.st_dev, status.st_ino)) in seen:
            return None
        seen.add(place)
        return file.read()


def _inner(folder: str, seen: set[tuple[int, int]], reject: Reject) -> list[str]:
    """Folders in a folder, in reverse order; none where it was looked into before."""
    try:
        status = os.stat(folder)
        if (place := (status.st_dev, status.st_ino)) in seen:
            return []
        seen.add(place)
        with os.scandir(folder) as entries:
            found = [e.path for e in entries if not e.name.startswith(".") and e.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        reject(Path(folder), f"cannot be read: {error.strerror or error}")
        return []
    return sorted(found, reverse=True)
