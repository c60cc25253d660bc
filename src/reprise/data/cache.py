"""Things worked out once and kept: folders that appear whole or not at all, and digests of files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock

from reprise.config.errors import DataError
from reprise.data.download import file_sha256


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return `folder`, filled by `build` in one atomic step where it is missing."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            scratch = folder.with_name(f".{folder.name}.building")
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            build(scratch)
            os.replace(scratch, folder)
    return folder


def remember(file: Path, compute: Callable[[], str]) -> str:
    """Return what `file` holds, which `compute` finds out where it is missing or unreadable."""
    try:
        remembered: str = json.loads(file.read_text(encoding="utf-8"))
        return remembered
    except (OSError, ValueError):
        pass
    found = compute()
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    scratch.write_text(json.dumps(found), encoding="utf-8")
    os.replace(scratch, file)
    return found


def file_digests(paths: Sequence[Path], memory_file: Path) -> list[str]:
    """SHA-256 (hex) of files, remembered in `memory_file` by path, size and time of change, since files are large.

    Raises:
        DataError: a file is missing.
    """
    try:
        memory: dict[str, str] = json.loads(memory_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        memory = {}
    keys = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            raise DataError(f"{path} is missing.") from None
        keys.append(f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}")
    new = {k: p for k, p in zip(keys, paths, strict=True) if k not in memory}
    if new:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            memory |= dict(zip(new, pool.map(file_sha256, new.values()), strict=True))
        memory_file.parent.mkdir(parents=True, exist_ok=True)
        scratch = memory_file.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(memory), encoding="utf-8")
        os.replace(scratch, memory_file)
    return [memory[k] for k in keys]
