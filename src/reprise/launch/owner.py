"""Who runs a trial, and whether that process is still there."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

BEAT_SECONDS = 30.0  # between signs of life
STALE_SECONDS = 300.0  # without one, a process elsewhere is taken for dead


@dataclass(frozen=True)
class Owner:
    """A process that runs a trial.

    Attributes:
        host: name of its machine.
        space: where its pid means something: machine start and pid namespace.
        pid: its number there.
        started: when it started, in the system's own words, since numbers are used again.
        beat: its last sign of life, in seconds since 1970.
    """

    host: str
    space: str
    pid: int
    started: str
    beat: float

    @classmethod
    def me(cls) -> Owner:
        """This process, now."""
        return cls(socket.gethostname(), _space(), os.getpid(), process_start(os.getpid()) or "", time.time())

    @classmethod
    def read(cls, raw: Any) -> Owner | None:
        """Read what `to_json` wrote; None for nobody, or for another layout."""
        try:
            return cls(**raw)
        except TypeError:
            return None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def is_me(self) -> bool:
        """Whether it is this process."""
        return self.pid == os.getpid() and self.space == _space() and self.started == process_start(self.pid)

    def at_last(self, beat: Owner | None) -> Owner:
        """Return this owner with the sign of life that it has given since; one of somebody else is none of its."""
        if beat is None or replace(beat, beat=self.beat) != self:
            return self
        return replace(self, beat=max(self.beat, beat.beat))

    def is_alive(self) -> bool:
        """Whether it still runs: known at once on this machine, by its sign of life elsewhere."""
        if self.space == _space():
            return process_start(self.pid) == self.started
        return time.time() - self.beat < STALE_SECONDS

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}"


def process_start(pid: int) -> str | None:
    """When a process of this machine started, as a text to compare; None when it is gone."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in ("Z", "X") else fields[19]  # a zombie runs nothing
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip() or None


@cache
def _space() -> str:
    """A name for this machine since its start, and for the numbering of processes in it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}/{socket.gethostname()}"
    except OSError:
        return socket.gethostname()
