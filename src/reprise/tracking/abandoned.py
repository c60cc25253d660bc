"""Runs whose process died without a word: somebody else has to say so in their record."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from reprise.tracking.record import FILE, read_record

LOCK = ".lock"  # held by the process that trains, and gone with it


def close_abandoned(directory: Path, why: str, pid: int | None = None, patience: float = 0.0) -> bool:
    """Note that a run failed which still calls itself running although nobody trains it.

    Nothing is written while a process holds the run's lock: it trains, or a resume has begun already.

    Args:
        directory: run directory.
        why: the error to note.
        pid: close only a session of this process; None closes any.
        patience: seconds to wait for the lock.

    Returns:
        whether the record was changed.

    Raises:
        RunError: the record cannot be read.
    """
    if not (directory / FILE).is_file():
        return False
    try:
        with FileLock(directory / LOCK).acquire(timeout=patience):
            record = read_record(directory)
            session = record.sessions[-1] if record.sessions else {}
            if record.state != "running" or (pid is not None and session.get("pid") != pid):
                return False
            record.state, record.exit_code, record.error = "failed", 1, why
            session |= {
                "end": datetime.now(UTC).isoformat(timespec="seconds"),
                "to_step": record.iteration,
                "state": "failed",
            }
            record.write(directory)
            return True
    except Timeout:
        return False
