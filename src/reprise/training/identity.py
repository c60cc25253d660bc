"""What the processes of a run have to agree on before any of them trains or evaluates."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import torch

from reprise import __version__
from reprise.config.protocol import flatten
from reprise.tracking import provenance

_SHOWN = 4  # differing keys that a message names with their values


def identity(values: dict[str, Any], directory: Path, task: list[str]) -> dict[str, str]:
    """What this process believes it is part of.

    Args:
        values: the resolved config it holds.
        directory: the run directory.
        task: what the run does, the checkpoint included.

    Returns:
        name -> text; equal on every process of a sane run.
    """
    found = {
        "run directory": str(directory.resolve()),
        "task": " ".join(task),
        "version": __version__,
        "source": provenance.package_digest(),
        "Python": platform.python_version(),
        "torch": torch.__version__,
    }
    # `allow` is the user's consent on the command line, not a part of the run; other processes never get it
    return found | {key: json.dumps(v, default=str) for key, v in flatten(values) if key.split(".")[0] != "allow"}


def disagreement(everyone: list[dict[str, str]]) -> str | None:
    """Say which processes differ from the first one and in what, or None where all agree.

    Args:
        everyone: the `identity` of each process, by rank.
    """
    first, found = everyone[0], []
    for rank, other in enumerate(everyone[1:], 1):
        keys = [k for k in sorted(first.keys() | other.keys()) if first.get(k) != other.get(k)]
        if keys:
            shown = [f"{k} ({other.get(k, 'absent')}, not {first.get(k, 'absent')})" for k in keys[:_SHOWN]]
            more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
            found.append(f"rank {rank} differs from rank 0 in {', '.join(shown)}{more}")
    if not found:
        return None
    return (
        f"the processes of this run do not agree: {'; '.join(found)}. Nothing was trained or evaluated. Expected one "
        "config.yaml, one checkpoint and one installation for all of them: start the run again."
    )
