"""`hydra/sweeper=grid`: every combination of the values given."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from reprise.config.compose import group_choices
from reprise.config.errors import ConfigError, UserError, suggest
from reprise.launch.book import Book
from reprise.launch.drive import Place, settled
from reprise.launch.outcome import Outcome
from reprise.launch.plan import Planner, sweep_words
from reprise.launch.point import DONE, Point
from reprise.launch.report import finish_grid
from reprise.launch.sweep import placed, run_source, sweep_directory
from reprise.tracking.provenance import changed_sources
from reprise.tracking.record import read_record


class GridSource:
    """Points that are known from the start.

    Args:
        points: in the order in which they are to run; those that are done are left alone.
    """

    adaptive = False

    def __init__(self, points: Sequence[Point]) -> None:
        self._left = [p for p in points if p.state not in DONE]

    def next(self) -> Point | None:
        """Return the first point that has not run."""
        return self._left.pop(0) if self._left else None

    def started(self, point: Point) -> None:
        """The book has it."""

    def exhausted(self) -> bool:
        """Whether all points were handed out."""
        return not self._left

    def ended(self, point: Point) -> None:
        """Nothing depends on it."""


def combinations(words: Sequence[str], params: dict[str, Any]) -> list[list[str]]:
    """List the overrides of every point.

    Args:
        words: of the command line; values may be sweeps in Hydra's syntax.
        params: further words of the sweeper's config, as key -> value.

    Raises:
        HydraException: a word cannot be parsed, or is an interval, which only a search can serve.
        ConfigError: a glob matches nothing.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    every = [*(f"{k}={v}" for k, v in params.items()), *sweep_words(words)]
    parsed = OverridesParser.create(config_loader=_Choices()).parse_overrides(every)  # type: ignore[arg-type]
    for override in parsed:
        if override.is_sweep_override() and not override.is_discrete_sweep():
            raise ConfigError(
                f"{override.input_line} is an interval, which only a search can serve: add hydra/sweeper=optuna. A "
                "grid takes a,b or choice(a,b) or range(3)."
            )
        if override.is_sweep_override() and override.is_discrete_sweep() and not list(override.sweep_iterator()):
            raise ConfigError(
                f"{override.input_line} matches nothing. {suggest('', group_choices(override.key_or_group))}"
            )
    (batch,) = BasicSweeper.split_arguments(parsed, None)
    return batch


class _Choices:
    """What the parser asks Hydra's config loader for, to expand glob; here with the choices in folders too."""

    def get_group_options(self, group_name: str, *_: Any, **__: Any) -> list[str]:
        return group_choices(group_name)


def varying(batch: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """For each point the words that are not the same in all points, as key -> value."""
    rows = [dict(word.partition("=")[::2] for word in overrides) for overrides in batch]
    keys = [k for k in dict.fromkeys(k for row in rows for k in row) if len({row.get(k) for row in rows}) > 1]
    return [{k: row[k] for k in keys if k in row} for row in rows]


def plan_points(planner: Planner, batch: Sequence[Sequence[str]], first: int = 0) -> list[Point]:
    """Plan all points of a sweep; nothing is made yet.

    Raises:
        ConfigError: the config of a point is wrong.
    """
    return [
        planner.plan(first + i, overrides, params)
        for i, (overrides, params) in enumerate(zip(batch, varying(batch), strict=True))
    ]


def place_points(
    planner: Planner, planned: Sequence[Point], earlier: Sequence[Point], renew: bool = False
) -> list[Point]:
    """Give points their run directories; what an earlier start of the same sweep had is taken over.

    Args:
        planner: gives directories.
        planned: the points.
        earlier: those of an earlier start.
        renew: a run that is done counts no more where the code it depends on has changed since.
    """
    known = {p.overrides: p for p in earlier}
    points = []
    for point in planned:
        before = known.pop(point.overrides, None)
        lost = before is None or before.digest != point.digest or not before.directory.is_dir()
        if before is None or lost or (renew and _outdated(before)):
            planner.place(point)
        else:
            point.directory, point.reused, point.placement = before.directory, before.reused, before.placement
        points.append(point)
    return points


def _outdated(point: Point) -> bool:
    """Whether a point's run came to its end with other code than that of now."""
    try:
        record = read_record(point.directory)
    except UserError:
        return False  # it has not begun, or will say itself what is wrong with it
    return record.state in DONE and bool(changed_sources(record.code))


def run_batch(
    place: Place, planner: Planner, planned: Sequence[Point], directory: Path, sweeper: str, keep: bool = False
) -> Outcome:
    """Run points that are planned, and what is left of them when a sweep goes on.

    Args:
        place: where they run.
        planner: gives them their directories.
        planned: the points, each with words of its own.
        directory: of the sweep.
        sweeper: what chose them, for the books.
        keep: points of an earlier start that are not among these stay in the books: as they are if they are done, aside
            if they are not; and one whose code has changed since it was done is run anew.
    """
    book = Book(directory, {"sweeper": sweeper, "launcher": place.name})
    book.open(exclusive=True)
    earlier = [*book.points, *book.aside]
    points = place_points(planner, planned, earlier, renew=keep)
    kept: list[Point] = []
    if keep:
        wanted = {p.overrides for p in points}
        others = [p for p in earlier if p.overrides not in wanted]
        kept = [p for p in others if settled(p)]
        book.aside = [p for p in others if p not in kept]
        numbers = {p.overrides: p.index for p in earlier}  # each is for one point, for good
        free = itertools.count(1 + max(numbers.values(), default=-1))
        for point in points:
            point.index = numbers[point.overrides] if point.overrides in numbers else next(free)
    book.points = [*kept, *points]
    return run_source(place, GridSource(points), book, lambda: finish_grid(book))


def sweep(config: DictConfig, launcher: Any, params: dict[str, Any], words: Sequence[str]) -> Outcome:
    """Run the sweep of a command line.

    Args:
        config: composed by Hydra for the sweep as a whole.
        launcher: one of hydra_plugins.reprise_points.
        params: further words, of the sweeper's config.
        words: overrides of the command line.
    """
    place, planner = placed(launcher)
    batch = combinations(words, params)
    directory = sweep_directory(config, batch)
    planned = plan_points(planner, batch)
    return run_batch(place, planner, planned, directory, "grid")
