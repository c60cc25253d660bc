"""sweep.json: the points of a sweep, replaced in one step whenever something changed."""

from __future__ import annotations

import json
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from reprise.config.errors import RunError
from reprise.launch.point import Point
from reprise.tracking.files import write_json

SCHEMA = 1
FILE = "sweep.json"
_SHARE = 0.05  # of a sweep's time that may go into writing; the run directories know the rest


class Book:
    """What a sweep knows of its points, on disk.

    Args:
        directory: of the sweep.
        head: what is written before the points: id, name, command, sweeper, launcher, study.
    """

    def __init__(self, directory: Path, head: dict[str, Any]) -> None:
        self.directory = directory
        self.head = {"schema": SCHEMA, **head}
        self.points: list[Point] = []
        self.aside: list[Point] = []  # begun, and not wanted now; when they are again, they go on where they were
        self._next = 0.0
        self._lock = FileLock(directory / ".lock")

    @property
    def path(self) -> Path:
        """The file."""
        return self.directory / FILE

    def open(self, exclusive: bool) -> None:
        """Make the folder and read the points of an earlier start.

        Args:
            exclusive: refuse while another process runs the sweep; False where processes may share it.

        Raises:
            RunError: another process is at it, or the file is no sweep of this version.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"a sweep directory cannot be made at {self.directory}: {error.strerror or error}. Set another place "
                "with paths.outputs=FOLDER."
            ) from None
        if exclusive:
            try:
                self._lock.acquire(blocking=False)
            except Timeout:
                who = read_book(self.directory) if self.path.is_file() else {}
                raise RunError(
                    f"{self.directory} is being run by another process (pid {who.get('pid')} on {who.get('host')}). "
                    "Wait for it, or stop it first."
                ) from None
        if self.path.is_file():
            raw = read_book(self.directory)
            self.points = [Point.from_json(p) for p in raw["points"]]
            self.aside = [Point.from_json(p) for p in raw.get("aside", ())]
            self.head = {**raw, **self.head, "started": raw.get("started")}
        self.head |= {"pid": os.getpid(), "host": socket.gethostname(), "started": self.head.get("started") or _now()}

    def save(self, now: bool = False) -> None:
        """Write the file.

        Args:
            now: also when the last write is recent. What a run has reached is in its own directory, so that a write
                that is left out loses nothing; where its directory or its job is, is not.
        """
        begin = time.monotonic()
        if not now and begin < self._next:
            return
        points = [p.to_json() for p in sorted(self.points, key=lambda p: p.index)]
        aside = [p.to_json() for p in self.aside]
        write_json(self.path, {**self.head, "updated": _now(), "points": points, "aside": aside})
        end = time.monotonic()
        self._next = end + (end - begin) / _SHARE

    def close(self, state: str) -> None:
        """Note how the sweep ended and let others at it."""
        self.head["state"] = state
        self.save(now=True)
        self._lock.release()


def read_book(directory: Path) -> dict[str, Any]:
    """Read sweep.json of a sweep directory.

    Raises:
        RunError: there is none, or it is of another version.
    """
    path = directory / FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{directory} is no sweep directory: it has no {FILE}.") from None
    except ValueError as error:
        raise RunError(f"{path} is not valid JSON ({error}). It was changed by hand or by the disk.") from None
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        found = raw.get("schema") if isinstance(raw, dict) else type(raw).__name__
        raise RunError(f"{path} has schema {found!r}. Expected {SCHEMA}.")
    return raw


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
