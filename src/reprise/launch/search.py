"""`hydra/sweeper=optuna`: trials of a study, each a point of its own, asked for when there is room for one."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from reprise.config.errors import ConfigError, UserError
from reprise.config.protocol import digest
from reprise.launch.book import Book
from reprise.launch.objectives import Objective, read_objectives
from reprise.launch.outcome import Outcome
from reprise.launch.parameter import text
from reprise.launch.plan import Planner, fingerprint, read_outcome, sweep_words
from reprise.launch.point import Point
from reprise.launch.report import PRUNING, finish_search
from reprise.launch.samplers import Samplers
from reprise.launch.settings import read_settings, with_fixed
from reprise.launch.space import Space, read_space
from reprise.launch.study import OWNER, POINT, REASON, SharedStudy
from reprise.launch.sweep import placed, run_source, sweep_directory, sweep_name
from reprise.launch.tickets import Tickets
from reprise.tracking.pruners import build_pruner
from reprise.tracking.record import read_record
from reprise.tracking.study import STORAGE, parse_storage, shown

log = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0  # between questions whether a trial of another process has become free
_STATES = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}


class SearchSource:
    """Points of a study.

    Args:
        study: opened.
        planner: makes points of overrides.
        book: shows the study's trials; any process that shares the study may write it.
        fixed: words that all points share.
        objectives: what is told of a finished run.
        template: a point of the search, for what needs no config of its own.
        pruner: setting of the pruner; None for none.
    """

    adaptive = True

    def __init__(
        self,
        study: SharedStudy,
        planner: Planner,
        book: Book,
        fixed: Sequence[str],
        objectives: Sequence[Objective],
        template: Point,
        pruner: Any = None,
    ) -> None:
        self.study, self.book = study, book
        self._planner, self._fixed, self._objectives = planner, list(fixed), objectives
        self._template, self._pruner = template, pruner
        self._look_again = 0.0
        self._under_way: dict[int, Point] = {}
        self.refresh()

    def next(self) -> Point | None:
        """Claim a trial; one that cannot even be composed has failed, and the next one is tried."""
        while time.monotonic() >= self._look_again:
            if (claimed := self.study.claim()) is None:
                self._look_again = time.monotonic() + _LOOK_SECONDS
                self.refresh()
                return None
            trial, values = claimed
            point = self._plain_point(trial.number, values)
            self._under_way[point.index] = point
            try:
                point = self._plan(trial, values)
            except UserError as error:
                point.state, point.error = "failed", str(error)
                self.ended(point)
                continue
            self._under_way[point.index] = point
            self.study.note(point.index, POINT, _portable(point))
            self.refresh()
            return point
        return None

    def started(self, point: Point) -> None:
        """Keep the job of a point that outlives this process, for whoever adopts it."""
        if point.placement.get("job"):
            self.study.note(point.index, POINT, _portable(point))

    def exhausted(self) -> bool:
        """Whether the study has its trials, or too many have failed."""
        return self.study.over

    def ended(self, point: Point) -> None:
        """Tell the study how a trial ended."""
        self._look_again = 0.0
        del self._under_way[point.index]
        if not self.study.owns(point.index):  # who has taken it over has the last word
            self.refresh()
            return
        if point.state == "interrupted":
            self.study.left.add(point.index)  # it goes on at the next start, not at once and for ever
            self.study.release(point.index)
            return
        values: list[float] | None = None
        if point.state == "finished":
            try:
                record = read_record(point.directory)
                values = [o.read(record) for o in self._objectives]
                point.objective = values[0] if len(values) == 1 else None
            except UserError as error:
                point.state, point.error = "failed", str(error)
        self.study.note(point.index, POINT, _portable(point))
        state = {"finished": "COMPLETE", "pruned": "PRUNED"}.get(point.state, "FAIL")
        self.study.tell(point.index, state, values, point.error if state == "FAIL" else None)
        self.refresh()

    def refresh(self) -> None:
        """Bring the book up to what the study says, the trials of other processes included."""
        points = []
        for frozen in self.study.trials():
            if (own := self._under_way.get(frozen.number)) is not None:
                points.append(own)
            elif (raw := frozen.user_attrs.get(POINT)) is not None:
                points.append(self._from_study(frozen, Point.from_json(raw)))
        self.book.points[:] = points

    def _plain_point(self, number: int, values: dict[str, Any]) -> Point:
        """A point as far as it is known before its config is composed."""
        space = self.study.space
        overrides = tuple([*self._fixed, *space.words(values)])
        return dataclasses.replace(
            self._template,
            index=number,
            overrides=overrides,
            params=space.shown(values),
            directory=Path(),
            placement={},
        )

    def _plan(self, trial: Any, values: dict[str, Any]) -> Point:
        plain = self._plain_point(trial.number, values)
        overrides = list(plain.overrides)
        if self._pruner is not None:
            overrides.append(PRUNING + text(self._pruning(trial.number)))
        point = self._planner.plan(trial.number, overrides, plain.params)
        if self._pruner is not None:
            point.environment[STORAGE] = parse_storage(self.study.url)
        if len(self._objectives) == 1:
            point.monitor, point.mode = self._objectives[0].metric, self._objectives[0].mode
        before = trial.user_attrs.get(POINT)
        if before is None or before["digest"] != point.digest or not Path(before["directory"]).is_dir():
            self._planner.place(point)
            return point
        point.directory, point.reused = Path(before["directory"]), before["reused"]
        point.placement = before["placement"]  # its job may still be there
        return point

    def _pruning(self, number: int) -> dict[str, Any]:
        return {
            "_target_": "reprise.training.callbacks.pruning.Pruning",
            "study": self.study.name,
            "trial": number,
            "metric": self._objectives[0].metric,
            "pruner": self._pruner,
        }

    def _from_study(self, frozen: Any, point: Point) -> Point:
        """A point of another process, or of an earlier start."""
        if frozen.state.name in _STATES:
            point.state = _STATES[frozen.state.name]  # type: ignore[assignment]
            point.error = frozen.user_attrs.get(REASON) if point.state == "failed" else None
            if point.state == "finished":
                point.objective = frozen.values[0] if len(self._objectives) == 1 else None
            return point
        point.state, point.error = ("running" if self.study.is_held(frozen) else "interrupted"), None
        if (point.directory / "run.json").is_file():
            with contextlib.suppress(UserError):
                read_outcome(point, read_record(point.directory))
        owner = frozen.user_attrs.get(OWNER)
        if owner:
            point.placement["node"] = f"{owner['host']}, pid {owner['pid']}"
        return point


def _portable(point: Point) -> dict[str, Any]:
    """A point as the study keeps it: its folder is found from elsewhere too."""
    job = {k: v for k, v in point.placement.items() if k == "job"}
    return point.to_json() | {"directory": str(point.directory.absolute()), "placement": job}


def check_space(space: Space, fixed: Sequence[str], planner: Planner) -> Point:
    """Compose and check configs that hold every choice and both ends of every interval.

    Returns:
        the first of them, planned.

    Raises:
        ConfigError: a key does not exist, or the config refuses a value.
    """
    examples = space.examples()
    for values in examples:
        words = space.words(values)
        try:
            planner.compose([*fixed, *words])
        except ConfigError as error:
            raise ConfigError(f"{error} (composed for {' '.join(words)} of the search space)") from None
    return planner.plan(0, [*fixed, *space.words(examples[0])], {})


def sweep(config: DictConfig, loader: Any, launcher: Any, raw: Any, words: Sequence[str]) -> Outcome:
    """Run, continue or join the search of a command line.

    Args:
        config: composed by Hydra for the sweep as a whole.
        loader: Hydra's config loader.
        launcher: one of hydra_plugins.reprise_points.
        raw: the sweeper's config.
        words: overrides of the command line.
    """
    place, planner = placed(launcher)
    # 1. what is searched, checked before anything is made
    settings = read_settings(raw)
    space, fixed = read_space(settings.space, with_fixed(settings.fixed, sweep_words(words)), loader)
    template = check_space(space, fixed, planner)
    objectives = read_objectives(settings.objectives, template.monitor, template.mode)
    samplers = Samplers(settings.sampler, settings.seed, space.conditional, len(objectives))
    pruner = build_pruner(settings.pruner)
    if settings.pruner is not None and len(objectives) > 1:
        raise ConfigError("hydra.sweeper.pruner: a trial of several objectives cannot be pruned. Set pruner=null.")
    n_trials = settings.n_trials
    if samplers.name == "brute":
        if (size := space.size()) is None:
            raise ConfigError("sampler brute tries all points, but this space is a continuum. Give floats a step.")
        n_trials = min(n_trials, size)
    # 2. which study it is
    identity = {
        "digest": digest(planner.compose([*fixed, *space.words(space.examples()[0])]).values) + f"-s{template.seed}",
        "words": sorted(fixed),
        "space": space.to_json(),
        "objectives": [dataclasses.asdict(o) for o in objectives],
    }
    kind = [identity["digest"], identity["space"], identity["objectives"]]
    title = str(config.hydra.runtime.choices.get("sweep") or sweep_name(config)).replace("/", "-")
    name = settings.study_name or f"{title}-{fingerprint(*kind)}"
    directory = sweep_directory(config)
    if config.hydra.sweep.dir == "auto":
        directory = directory.parent / name
    url = parse_storage(settings.storage or f"sqlite:///{directory.absolute() / 'study.db'}")
    tickets = Tickets(url, name)
    # 3. the study, the book and the loop
    head = {
        "study": name,
        "storage": shown(url),
        "n_trials": n_trials,
        "sampler": settings.sampler,
        "seed": settings.seed,
        "pruner": settings.pruner,
        "objectives": identity["objectives"],
        "space": identity["space"],
        "fixed": fixed,
    }
    book = Book(directory, {"sweeper": "optuna", "launcher": place.name, "search": head})
    book.open(exclusive=False)
    directions = [o.direction for o in objectives]
    study = SharedStudy(tickets, identity, directions, samplers, pruner, space, n_trials, settings.max_failures)
    try:
        source = SearchSource(study, planner, book, fixed, objectives, template, settings.pruner)
        if (note := samplers.note(space.unordered())) is not None:
            log.info("%s", note)
        return run_source(place, source, book, lambda: finish_search(study, source, objectives))
    finally:
        study.close()
