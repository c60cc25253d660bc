"""Checkpoint files: written whole or not at all, listed with their digests, found again after any kill.

A checkpoint is `checkpoints/step-<iteration>.ckpt` and never changes. `checkpoints/index.json` lists what is complete:
step, SHA-256, size, roles (`last`, `previous`, `best`). The links last.ckpt and best.ckpt are for people.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reprise.config.errors import RunError
from reprise.tracking.files import write_json

log = logging.getLogger(__name__)
FOLDER, INDEX = "checkpoints", "index.json"


@dataclass
class Entry:
    """One complete checkpoint; `file` is relative to the run directory."""

    file: str
    step: int
    sha256: str
    bytes: int
    roles: list[str]


def read_index(directory: Path) -> list[Entry]:
    """List the complete checkpoints of a run, newest first."""
    path = directory / FOLDER / INDEX
    if not path.is_file():
        return []
    entries = [Entry(**raw) for raw in json.loads(path.read_text(encoding="utf-8"))]
    return sorted(entries, key=lambda e: e.step, reverse=True)


def write_index(directory: Path, entries: list[Entry]) -> None:
    """Replace the list in one step, and the links after it."""
    folder = directory / FOLDER
    write_json(folder / INDEX, [asdict(e) for e in entries])
    for role in ("last", "best"):
        chosen = [e for e in entries if role in e.roles]
        if chosen:
            scratch = folder / f".{role}.link"
            scratch.unlink(missing_ok=True)
            scratch.symlink_to(Path(chosen[0].file).name)
            os.replace(scratch, folder / f"{role}.ckpt")


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def commit(scratch: Path, directory: Path, step: int) -> Entry:
    """Give a freshly written file its name, after it is on the disk."""
    with scratch.open("rb") as file:
        os.fsync(file.fileno())
    entry = Entry(f"{FOLDER}/step-{step:08d}.ckpt", step, sha256_of(scratch), scratch.stat().st_size, [])
    os.replace(scratch, directory / entry.file)
    return entry


def is_whole(directory: Path, entry: Entry) -> bool:
    """Whether a listed file is there with the bytes it was written with."""
    path = directory / entry.file
    return path.is_file() and path.stat().st_size == entry.bytes and sha256_of(path) == entry.sha256


def find(directory: Path, role: str = "last") -> tuple[Path, Entry]:
    """Return the checkpoint of a role; a damaged one falls back to the newest whole one, with a warning.

    Raises:
        RunError: there is no whole checkpoint.
    """
    entries = read_index(directory)
    candidates = [e for e in entries if role in e.roles] or entries[:1]
    rest = [e for e in entries if e not in candidates]
    damaged: list[str] = []
    for entry in [*candidates, *rest]:
        if is_whole(directory, entry):
            if damaged:
                log.warning("checkpoint %s is damaged; falling back to %s", ", ".join(damaged), entry.file)
            return directory / entry.file, entry
        damaged.append(entry.file)
    what = f"all are damaged: {', '.join(damaged)}" if damaged else "none was written yet"
    raise RunError(f"{directory} has no usable checkpoint ({what}). Start the run again: its directory is not needed.")


def forget_after(directory: Path, step: int) -> None:
    """Take checkpoints later than `step` off the list: they are damaged, and the run goes on from `step`."""
    entries = read_index(directory)
    kept = [e for e in entries if e.step <= step]
    if len(kept) < len(entries):
        for i, entry in enumerate(kept):
            entry.roles = [r for r in entry.roles if r == "best"] + [["last"], ["previous"], []][min(i, 2)]
        write_index(directory, kept)


def load(path: Path) -> dict[str, Any]:
    """Load a checkpoint with weights_only, on the CPU.

    Raises:
        RunError: it cannot be read, or holds more than tensors and plain values.
    """
    import pickle

    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError) as error:
        raise RunError(f"{path} cannot be loaded: {str(error).splitlines()[0]}") from None
    return dict(content)


def explain_write_error(error: OSError, directory: Path) -> RunError:
    """Say what a failed write of a checkpoint means."""
    entries = read_index(directory)
    good = f"{entries[0].file} (step {entries[0].step}) is intact" if entries else "none was written before"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunError(
            f"the disk is full: the checkpoint could not be written to {directory / FOLDER}; {good}. Free some space "
            f"and go on with: python train.py resume={directory}"
        )
    return RunError(f"the checkpoint could not be written ({error}); {good}.")
