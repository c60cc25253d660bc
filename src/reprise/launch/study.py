"""A study that processes share: who may run which trial, and what came of it.

Trials that are under way carry their owner. A trial whose owner is gone is adopted by whoever comes next: it goes on
where it was, so that a search that was killed loses nothing and runs nothing twice.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from reprise.config.errors import ConfigError, RunError, suggest
from reprise.launch.owner import BEAT_SECONDS, Owner
from reprise.launch.parameter import Parameter
from reprise.launch.samplers import Samplers
from reprise.launch.space import Space
from reprise.launch.tickets import Tickets
from reprise.tracking.study import NoAnswerError, first_line, import_optuna, open_storage, shown

log = logging.getLogger(__name__)
IDENTITY, OWNER, POINT, REASON = "reprise", "reprise:owner", "reprise:point", "reprise:reason"
BEAT = "reprise:beat"  # apart from the owner: a late sign of life must not undo that somebody has taken the trial over
_WAITS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)  # seconds between attempts at a storage that is away
T = TypeVar("T")


class SharedStudy:
    """A study, opened.

    Args:
        tickets: its storage and its name; it is made when there is none.
        identity: what is searched; all who join must agree on it.
        directions: minimize or maximize, for each objective.
        samplers: what draws the trials.
        pruner: Optuna's.
        space: what is drawn.
        n_trials: finished trials that the whole study is to have.
        max_failures: failed trials from now on after which no more are started; None for no limit.

    Raises:
        ConfigError: the study searches something else.
        RunError: the storage cannot be used.
    """

    def __init__(
        self,
        tickets: Tickets,
        identity: dict[str, Any],
        directions: list[str],
        samplers: Samplers,
        pruner: Any,
        space: Space,
        n_trials: int,
        max_failures: int | None,
    ) -> None:
        optuna = import_optuna()
        url, name = tickets.url, tickets.study
        self.url, self.name, self.space, self.n_trials = url, name, space, n_trials
        self._tickets = tickets
        self._samplers = samplers
        self._max_failures = max_failures
        self._mine: dict[int, int] = {}  # number -> id of the trials that this process runs
        self._guard = threading.RLock()
        self._closing = threading.Event()
        self.left: set[int] = set()  # trials that were interrupted in this start
        self.over = False
        self.stopped_by_failures = False
        with Tickets(url, "").hold():  # tables are made once
            storage = open_storage(url)
        with self._tickets.hold():
            self.study = optuna.create_study(
                study_name=name,
                storage=storage,
                sampler=samplers.draw(0),
                pruner=pruner,
                directions=directions,
                load_if_exists=True,
            )
            stored = self.study.user_attrs.get(IDENTITY)
            if stored is None and self.study.get_trials(deepcopy=False):
                raise ConfigError(f"study {name} at {shown(url)} was not made by reprise. Use another study_name.")
            if stored is None:
                self.study.set_user_attr(IDENTITY, identity)
            elif (what := difference(stored, identity)) is not None:
                raise ConfigError(
                    f"study {name} at {shown(url)} searches something else: {what} Use the same, or another "
                    "hydra.sweeper.study_name."
                )
        self._failures_before = self._count(self.trials(), "FAIL")
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()

    def trials(self) -> list[Any]:
        """All trials as they are now (Optuna's FrozenTrial)."""
        return list(self._patiently(lambda: self.study.get_trials(deepcopy=False)))

    def claim(self) -> tuple[Any, dict[str, Any]] | None:
        """Get a trial to run: one that was abandoned, or a new one.

        Returns:
            the trial and its drawn values; None where there is none now, and `over` says whether there will be any.
        """
        trial = self._patiently(self._claim)
        return None if trial is None else (trial, self._patiently(lambda: self._draw(trial)))

    def _claim(self) -> Any:
        with self._tickets.hold():
            trials = self.study.get_trials(deepcopy=False)
            running = [t for t in trials if t.state.name == "RUNNING"]
            abandoned = [t for t in running if not self.is_held(t) and t.number not in self.left]
            done = self._count(trials, "COMPLETE", "PRUNED")
            failures = self._count(trials, "FAIL") - self._failures_before
            self.stopped_by_failures = self._max_failures is not None and failures >= self._max_failures
            self.over = done >= self.n_trials or self.stopped_by_failures
            if not self.over and self.left and done + len(self.left) >= self.n_trials:
                self.over = True  # the rest is for the next start
            if self.over or done + len(running) - len(abandoned) >= self.n_trials:
                return None
            adopt = import_optuna().trial.Trial
            trial = adopt(self.study, abandoned[0]._trial_id) if abandoned else self.study.ask()
            with self._guard:
                trial.set_user_attr(OWNER, Owner.me().to_json())
                self._mine[trial.number] = trial._trial_id
            return trial

    def _draw(self, trial: Any) -> dict[str, Any]:
        """Draw what is not drawn yet; an adopted trial gets what it would have got."""
        self.study.sampler = self._samplers.draw(trial.number)
        trial.relative_params  # noqa: B018  (the joint draw comes first, whatever is drawn already)

        def suggest_value(parameter: Parameter) -> Any:
            self.study.sampler = self._samplers.draw(trial.number, parameter.name)
            name, spread = parameter.name, parameter.distribution()
            if parameter.kind == "categorical":
                return trial.suggest_categorical(name, spread.choices)
            method = trial.suggest_int if parameter.kind == "int" else trial.suggest_float
            return method(name, spread.low, spread.high, log=spread.log, step=spread.step)

        return self.space.draw(suggest_value)

    def is_held(self, trial: Any) -> bool:
        """Whether somebody runs a trial that is under way."""
        owner = _owner_of(trial)
        if owner is None:
            return False
        return trial.number in self._mine if owner.is_me() else owner.is_alive()

    def owns(self, number: int) -> bool:
        """Whether this process still runs a trial; the storage knows: somebody else may have taken it for dead."""
        with self._guard:
            return self._patiently(lambda: self._keeps(number))

    def note(self, number: int, key: str, value: Any) -> None:
        """Keep something with a trial of ours; one that somebody else has by now is left alone."""
        with self._guard:
            if self.owns(number):
                identifier = self._mine[number]
                self._patiently(lambda: self.study._storage.set_trial_user_attr(identifier, key, value))

    def tell(self, number: int, state: str, values: list[float] | None = None, reason: str | None = None) -> None:
        """End a trial of ours; one that somebody else has by now is left alone, for that one has the last word.

        Args:
            number: of the trial.
            state: COMPLETE, PRUNED or FAIL.
            values: of the objectives, for COMPLETE.
            reason: why it failed.
        """
        self._patiently(lambda: self._tell(number, state, values, reason))

    def _tell(self, number: int, state: str, values: list[float] | None, reason: str | None) -> None:
        optuna = import_optuna()
        with self._tickets.hold(), self._guard:  # nobody takes it over between our look and our word
            if not self.owns(number):
                return
            if reason is not None:
                self.note(number, REASON, reason)
            self.study.sampler = self._samplers.draw(number)
            kind = optuna.trial.TrialState[state]
            try:
                self._patiently(lambda: self.study.tell(number, values, kind, skip_if_finished=True))
            except RuntimeError as error:
                if "Study.stop" not in str(error):  # the brute sampler's word for: all was tried
                    raise
            self._mine.pop(number, None)

    def release(self, number: int) -> None:
        """Let go of a trial that was interrupted: it goes on with the next start."""
        self._patiently(lambda: self._release(number))

    def _release(self, number: int) -> None:
        with self._tickets.hold(), self._guard:
            self.note(number, OWNER, None)
            self._mine.pop(number, None)

    def close(self) -> None:
        """Let go of everything."""
        self._closing.set()
        self._heart.join()
        for number in list(self._mine):
            self.release(number)

    def _keeps(self, number: int) -> bool:
        """Whether a trial is still ours; one that somebody else has adopted, for want of a sign of life, is let go."""
        if (identifier := self._mine.get(number)) is None:
            return False
        frozen = self.study._storage.get_trial(identifier)
        owner = _owner_of(frozen)
        if not frozen.state.is_finished() and owner is not None and owner.is_me():
            return True
        log.warning("trial %d was taken over by another process", number)
        del self._mine[number]
        return False

    def _beat(self) -> None:
        warned = False
        while not self._closing.wait(BEAT_SECONDS):
            with self._guard:
                try:
                    for number, identifier in list(self._mine.items()):
                        if self._keeps(number):
                            self.study._storage.set_trial_user_attr(identifier, BEAT, Owner.me().to_json())
                    warned = False
                except Exception as error:  # a missed beat must not end the search
                    if not warned:
                        log.warning("no sign of life could be given to %s: %s", shown(self.url), first_line(error))
                    warned = True

    def _patiently(self, call: Callable[[], T]) -> T:
        """Call something of the storage, again while it does not answer.

        Raises:
            RunError: it stays away.
        """
        from sqlalchemy.exc import InterfaceError, OperationalError

        away = (NoAnswerError, OperationalError, InterfaceError, import_optuna().exceptions.StorageInternalError)
        for i, seconds in enumerate(_WAITS):
            try:
                return call()
            except away as error:
                if i == 3:  # a second or two are nobody's concern
                    log.warning("the study's storage does not answer (%s): trying again", first_line(error))
                time.sleep(seconds)
        try:
            return call()
        except away as error:
            raise RunError(f"the study's storage {shown(self.url)} does not answer: {first_line(error)}.") from None

    @staticmethod
    def _count(trials: list[Any], *states: str) -> int:
        return sum(t.state.name in states for t in trials)


def _owner_of(trial: Any) -> Owner | None:
    """Who runs a trial, with the last sign of life."""
    owner, beat = (Owner.read(trial.user_attrs.get(key) or None) for key in (OWNER, BEAT))
    return None if owner is None else owner.at_last(beat)


def difference(stored: dict[str, Any], mine: dict[str, Any]) -> str | None:
    """Say what differs between what a study searches and what is to be searched; None where nothing does."""
    if stored.get("objectives") != mine["objectives"]:
        return f"its objectives are {_listed(stored.get('objectives'))}, here {_listed(mine['objectives'])}."
    theirs, ours = stored.get("space", {}), mine["space"]
    for key in sorted(theirs.keys() | ours.keys()):
        if key not in theirs:
            return f"{key} is not in its space. {suggest(key, theirs)}"
        if key not in ours:
            return f"{key} is in its space, but not here."
        if theirs[key] != ours[key]:
            return f"its space has {key}: {theirs[key]}, here {ours[key]}."
    if stored.get("digest") == mine["digest"]:
        return None
    gone = sorted(set(stored.get("words", ())) - set(mine["words"]))
    new = sorted(set(mine["words"]) - set(stored.get("words", ())))
    if not gone and not new:
        return "the config files have changed since it began."
    return f"it has {' '.join(gone) or 'nothing'} where here is {' '.join(new) or 'nothing'}."


def _listed(objectives: Any) -> str:
    return ", ".join(f"{o.get('value')} {o.get('metric')} ({o.get('direction')})" for o in objectives or ())
