"""Errors that a user can act on. The command line prints them as one paragraph, without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something outside the code is wrong: what, what was expected and the nearest fix are in the message.

    Attributes:
        exit_code: what the process ends with; 2 for wrong input, 1 for a run that failed.
    """

    exit_code = 1


class ConfigError(UserError):
    """The command line or a config file is wrong. Raised before anything is built or written."""

    exit_code = 2


class DataError(UserError):
    """A data file is missing, truncated, corrupt or not what its format says."""


class RunError(UserError):
    """A run could not start, go on or be read."""


class Interrupted(UserError):
    """The run was asked to stop and left a checkpoint. 75 is EX_TEMPFAIL: schedulers may requeue on it."""

    exit_code = 75


class Pruned(UserError):
    """A search ended the run early, as one that falls behind. Nothing is left to do."""

    exit_code = 0


def nearest(name: str, valid: Iterable[str], n: int = 3) -> list[str]:
    """Return up to `n` names of `valid` that look like `name`, best first."""
    return difflib.get_close_matches(name, list(valid), n=n, cutoff=0.5)


def suggest(name: str, valid: Iterable[str]) -> str:
    """Phrase the nearest valid names as the end of an error message, or list all when none is near."""
    valid = sorted(set(valid))
    if found := nearest(name, valid):
        return f"Did you mean {' or '.join(repr(f) for f in found)}?"
    if not valid:
        return "No name is valid here."
    shown = ", ".join(valid[:12]) + (", ..." if len(valid) > 12 else "")
    return f"Valid names: {shown}."
