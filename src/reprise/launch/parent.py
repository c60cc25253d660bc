"""A point must not outlive the sweep that started it: when the launcher dies, the run saves and ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PARENT = "REPRISE_PARENT"  # pid of the process that a run must not outlive
_PR_SET_PDEATHSIG = 1


def follow_parent(number: int = signal.SIGTERM) -> None:
    """Get a signal when the process named in the environment dies; it may be dead already.

    Only Linux can do this. Elsewhere a run whose launcher was killed goes on, and the sweep finds it finished later.

    Args:
        number: of the signal.
    """
    parent = os.environ.pop(PARENT, None)
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != int(parent):
        os.kill(os.getpid(), number)
