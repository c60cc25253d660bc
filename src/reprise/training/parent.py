"""What a worker does when rank 0 dies: says so in the run's record, where nobody else can, and leaves."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from pathlib import Path

from reprise.config.errors import UserError
from reprise.tracking.abandoned import close_abandoned

_POLL_SECONDS = 0.5
_LOCK_SECONDS = 2.0


class ParentWatch:
    """Watches the process that started this one, from a thread: the main thread may hang in a collective.

    A dead parent shows in getppid, which no reuse of process ids can fool.

    Args:
        directory: run directory.
        pid: process id of rank 0 of this node.
        rank: of this process on its node; lower ones are first to write.
        writes: whether the directory has a record to close.
    """

    def __init__(self, directory: Path, pid: int, rank: int, writes: bool) -> None:
        self.directory = directory
        self.pid = pid
        self.rank = rank
        self.writes = writes
        self._ending = threading.Lock()

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._watch, daemon=True).start()

    def is_gone(self, patience: float = 0.0) -> bool:
        """Whether the parent is dead, or dies within `patience` seconds."""
        deadline = time.monotonic() + patience
        while os.getppid() == self.pid:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        return True

    def end(self) -> None:
        """Close the record, where it still says running and no other process has the run by now, and leave at once."""
        with self._ending:
            why = (
                f"rank 0 was killed: process {self.pid} on {socket.gethostname()} is gone without an error of its own, "
                f"as after kill -9 or for want of memory. Noted by rank {self.rank}."
            )
            print(f"error: {why}", file=sys.stderr, flush=True)
            if self.writes:
                time.sleep(0.2 * (self.rank - 1))
                with contextlib.suppress(UserError, OSError):  # nobody is left to tell
                    close_abandoned(self.directory, why, pid=self.pid, patience=_LOCK_SECONDS)
            os._exit(1)

    def _watch(self) -> None:
        while not self.is_gone():
            time.sleep(_POLL_SECONDS)
        self.end()
