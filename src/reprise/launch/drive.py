"""The loop of a sweep: points go from a source to a place, and what comes back is noted."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

from reprise.config.errors import Interrupted, UserError
from reprise.launch.book import Book
from reprise.launch.plan import read_outcome
from reprise.launch.point import DONE, Point
from reprise.tracking.abandoned import close_abandoned
from reprise.tracking.record import FILE, is_done, read_record

_POLL_SECONDS = (0.005, 0.25)  # right after something happened, and when nothing does
_PROGRESS_SECONDS = 2.0
_LOCK_SECONDS = 3.0  # a surviving rank of the point may be closing the record itself


@dataclass
class End:
    """How a point's process ended.

    Attributes:
        code: its exit code, negative for a signal; None where only the place knows.
        reason: what the place has to say of it.
        cancelled: the place ended it itself, since it was told to.
    """

    code: int | None
    reason: str | None = None
    cancelled: bool = False


class Place(Protocol):
    """Where points run.

    A place whose points outlive the sweep notes `job` in a point's placement. A later start hands such a point over
    with it, and `start` watches the job rather than starting another. A place may offer `prepare(directory)`, which is
    called with the sweep's folder before anything else.
    """

    name: str

    def has_room(self) -> bool:
        """Whether one more point like the last one fits now, so that it is worth asking the source for one."""

    def take(self, point: Point) -> bool:
        """Reserve what the point needs; False when there is no room now. Raises ConfigError when there never is."""

    def start(self, points: list[Point], group: str | None) -> None:
        """Start points that were taken."""

    def poll(self) -> list[tuple[Point, End]]:
        """Return the points that ended since the last call, without waiting."""

    def running(self) -> int:
        """Count the points under way."""

    def stop(self) -> str:
        """Ask all points to save and end, or let go of them; says which, for the user."""

    def kill(self) -> None:
        """End all points at once."""

    def close(self) -> None:
        """Give back what the place holds."""


class Source(Protocol):
    """Where points come from.

    An adaptive one draws a point from all that have ended before, so it is asked only when the place has room.
    """

    adaptive: bool

    def next(self) -> Point | None:
        """Return a point to run, or None when there is none now."""

    def started(self, point: Point) -> None:
        """Take note of where a point was placed."""

    def exhausted(self) -> bool:
        """Whether no further point will come, whatever the running ones give."""

    def ended(self, point: Point) -> None:
        """Take note of a point that has ended, or that was found to be done."""


class View(Protocol):
    """What the user sees of it."""

    def show(self, points: list[Point]) -> None:
        """Show the state of all points; called often."""

    def say(self, line: str) -> None:
        """Say something once."""


class Stop:
    """Notes Ctrl-C and SIGTERM instead of obeying them at once.

    Args:
        numbers: of the signals.
    """

    def __init__(self, numbers: Sequence[int] = (signal.SIGINT, signal.SIGTERM)) -> None:
        self.signals: list[int] = []
        self._numbers = numbers
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        for number in self._numbers:
            try:
                self._before[number] = signal.signal(number, self._note)
            except ValueError:  # not in the main thread: the caller deals with signals
                break
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signals.append(number)


def drive(place: Place, source: Source, book: Book, view: View, group: str | None) -> None:
    """Run the points of a source until it is exhausted.

    Args:
        place: where they run.
        source: where they come from.
        book: what is kept of them.
        view: what is shown.
        group: W&B group of the points.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the points were asked to save and end first.
    """
    held: Point | None = None
    obeyed = 0
    looked = 0.0
    pause = _POLL_SECONDS[0]
    with Stop() as stop:
        while True:
            # 1. start what there is room for
            batch: list[Point] = []
            while not stop.signals:
                if held is None and (place.has_room() or not source.adaptive):
                    held = source.next()
                if held is None:
                    break
                if settled(held):
                    source.ended(held)
                    held = None
                    continue
                try:
                    if not place.take(held):
                        break
                except UserError as error:
                    held.state, held.error = "failed", str(error)
                    source.ended(held)
                    held = None
                    continue
                held.state, held.error = "running", None
                _remember(held)
                batch.append(held)
                held = None
            if batch:
                try:
                    place.start(batch, group)
                except BaseException:
                    for point in batch:  # those that did not get so far
                        if not point.placement.keys() & {"job", "pid"}:
                            point.state = "waiting"
                    raise
                for point in batch:
                    source.started(point)
            # 2. note what has ended
            finished = place.poll()
            for point, end in finished:
                conclude(point, end, stopped=bool(stop.signals))
                source.ended(point)
            pause = _POLL_SECONDS[0] if batch or finished else min(1.5 * pause, _POLL_SECONDS[1])
            if batch or finished:
                book.save(now=any("job" in p.placement for p in batch))
            # 3. look at what is under way
            if time.monotonic() - looked > _PROGRESS_SECONDS:
                looked = time.monotonic()
                for point in book.points:
                    if point.state == "running":
                        _look(point)
                book.save()
            view.show(book.points)
            # 4. obey signals: the first asks, the second insists
            if len(stop.signals) > obeyed:
                if obeyed == 0:
                    view.say(place.stop())
                else:
                    place.kill()
                obeyed = len(stop.signals)
            if place.running() == 0 and (stop.signals or (held is None and source.exhausted())):
                break
            time.sleep(pause)
    view.show(book.points)
    if stop.signals:
        interrupted = Interrupted(f"the sweep was stopped by {signal.Signals(stop.signals[0]).name}")
        interrupted.exit_code = 130 if stop.signals[0] == signal.SIGINT else 75
        raise interrupted


def conclude(point: Point, end: End, stopped: bool = False) -> None:
    """Decide how a point ended, from its record first and its exit code second."""
    record = None
    if (point.directory / FILE).is_file():
        try:
            record = read_record(point.directory)
        except UserError as error:
            point.state, point.error = "failed", str(error)
            return
        read_outcome(point, record)
        if record.state == "running" and end.code is not None:
            why = end.reason or describe(end.code)
            close_abandoned(point.directory, why, pid=point.placement.get("pid"), patience=_LOCK_SECONDS)
            point.state, point.error = ("interrupted", None) if stopped else ("failed", why)
            return
        if is_done(record, point.evaluate) and end.code in (0, None):
            point.state, point.error = record.state, None  # type: ignore[assignment]
            return
        if record.state == "finished" and end.code == Interrupted.exit_code:  # it was asked to stop while evaluating
            point.state, point.error = "interrupted", end.reason
            return
        # without a session of its own, it was an earlier start that was interrupted, and this one did not get as far
        if record.state == "interrupted" and len(record.sessions) > point.sessions_before:
            point.state, point.error = "interrupted", end.reason or record.error
            return
    if stopped and (end.cancelled or end.code in (75, 130, -signal.SIGTERM, -signal.SIGKILL)):
        point.state, point.error = "interrupted", None
        return
    said = record.error if record is not None and record.state == "failed" else None
    complaint, last = _last_words(point)
    if record is not None and record.state == "finished" and end.code == 0:
        complaint = "its training is finished, but its best checkpoint was not evaluated"
    point.state = "failed"
    point.error = complaint or end.reason or said or last or describe(end.code)


def describe(code: int | None) -> str:
    """Say in words how a process ended."""
    if code is None:
        return "it ended without a word"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"ended with code {code}"


def settled(point: Point) -> bool:
    """Whether a point's run is done already, by whoever; notes how it went."""
    if point.state in DONE:
        return True
    if not (point.directory / FILE).is_file():
        return False
    try:
        record = read_record(point.directory)
    except UserError:
        return False  # the point itself will say what is wrong with it
    if not is_done(record, point.evaluate) or record.config_digest != point.digest:
        return False
    read_outcome(point, record)
    point.state, point.error = record.state, None  # type: ignore[assignment]
    return True


def _remember(point: Point) -> None:
    """Note where this start begins; a job that is there already began before."""
    point.log_from, point.sessions_before = 0, -1
    if point.placement.get("job"):
        return
    point.log_from = point.log.stat().st_size if point.log.is_file() else 0
    try:
        point.sessions_before = len(read_record(point.directory).sessions)
    except (UserError, OSError):
        return  # it has none yet


def _look(point: Point) -> None:
    try:
        read_outcome(point, read_record(point.directory))
    except (UserError, OSError):
        return  # not begun yet


def _last_words(point: Point) -> tuple[str | None, str | None]:
    """The last error that this start of a point has written to its log, and the last line."""
    try:
        with point.log.open("rb") as file:
            file.seek(point.log_from)
            lines = file.read().decode("utf-8", errors="replace").strip().splitlines()
    except OSError:
        return None, None
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return errors[-1] if errors else None, lines[-1] if lines else None
