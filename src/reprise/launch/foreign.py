"""Our launchers under somebody else's sweeper: points come in batches, and each batch is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from reprise.config.errors import RunError
from reprise.launch.book import Book
from reprise.launch.grid import GridSource, place_points, plan_points
from reprise.launch.plan import sweep_words
from reprise.launch.point import DONE
from reprise.launch.sweep import placed, run_source


def launch(launcher: Any, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Run one batch.

    Args:
        launcher: one of hydra_plugins.reprise_points.
        job_overrides: of the batch's points.
        first: index of the first of them in the sweep.

    Returns:
        for each point its objective, or what went wrong, which is raised when the value is asked for.
    """
    place, planner = placed(launcher)
    planned = plan_points(planner, [sweep_words(o) for o in job_overrides], first)
    book = Book(Path(launcher.composed.hydra.sweep.dir), {"sweeper": "foreign", "launcher": place.name})
    book.open(exclusive=True)
    points = place_points(planner, planned, book.points)
    book.points = [p for p in book.points if not first <= p.index < first + len(points)] + points
    run_source(place, GridSource(points), book)
    found = []
    for point in points:
        done = point.state in DONE
        value: Any = point.objective if done else RunError(f"{point.label} {point.state}: {point.error}")
        one = JobReturn(
            overrides=point.overrides,
            cfg=OmegaConf.create({}),
            working_dir=str(point.directory),
            status=JobStatus.COMPLETED if done else JobStatus.FAILED,
        )
        one.return_value = value
        found.append(one)
    return found
