"""What every kind of sweep does: find its directory, run its points, say how it ended."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from reprise.config.errors import ConfigError, UserError
from reprise.launch.book import Book
from reprise.launch.drive import Place, Source, drive
from reprise.launch.outcome import Outcome
from reprise.launch.plan import Planner, fingerprint
from reprise.launch.view import make_view
from reprise.tracking.provenance import redact


def placed(launcher: Any) -> tuple[Place, Planner]:
    """Build a launcher's place, and the planner for it.

    Raises:
        ConfigError: the launcher would train in this process.
    """
    if not hasattr(launcher, "place"):
        raise ConfigError(
            f"hydra/launcher={type(launcher).__name__} trains all points in one process, where data parallel ranks mix "
            "them up. Use hydra/launcher=local, ray or slurm."
        )
    return launcher.place(), Planner(launcher.reuse)


def sweep_name(config: DictConfig) -> str:
    """What a sweep is filed under: its experiment or model where all points share it, or `sweep`."""
    choices = config.hydra.runtime.choices
    for group in ("experiment", "model"):
        choice = choices.get(group)
        if choice and "," not in choice and "(" not in choice:
            return str(choice)
    return "sweep"


def sweep_directory(config: DictConfig, *identity: Any) -> Path:
    """Return a sweep's directory: the same for the same command, without a clock in it.

    Args:
        config: composed by Hydra for the sweep as a whole.
        identity: what makes it this sweep.
    """
    given = config.hydra.sweep.dir
    if given != "auto":
        return Path(given).expanduser()
    outputs = Path(config.paths.outputs).expanduser()
    return outputs / "sweeps" / f"{sweep_name(config)}-{fingerprint(*identity)}"


def run_source(place: Place, source: Source, book: Book, notes: Any = lambda: ()) -> Outcome:
    """Run a source's points to the end and say how it went.

    Args:
        place: where they run.
        source: where they come from.
        book: opened, with the points that are known.
        notes: called at the end for further lines.

    Raises:
        Interrupted: Ctrl-C or SIGTERM.
    """
    start = time.monotonic()
    group = str(book.head.get("group") or book.directory.name)
    book.head |= {"group": group, "state": "running", "command": redact(shlex.join(sys.argv))}
    book.save(now=True)
    if hasattr(place, "prepare"):  # a place that keeps files of its own
        place.prepare(book.directory)
    view = make_view()
    view.say(f"sweep directory: {book.directory}")
    view.show(book.points)
    state = "failed"
    try:
        drive(place, source, book, view, group)
        state = "finished" if all(p.state in ("finished", "pruned") for p in book.points) else "failed"
    except UserError:
        state = "interrupted"
        raise
    finally:
        place.close()
        view.close()
        book.close(state)
        outcome = Outcome(book.directory, book.points, group, time.monotonic() - start, tuple(notes()))
        for line in outcome.lines():
            print(line)
    return outcome
