"""The ledger: all run records below some folders, read as one table."""

from __future__ import annotations

import contextlib
import gc
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from reprise.config import protocol
from reprise.config.errors import RunError
from reprise.reproduction.entry import Entry, Evaluation, Measured
from reprise.reproduction.walk import find_records
from reprise.tracking.files import parse_json
from reprise.tracking.provenance import changed_sources
from reprise.tracking.record import FILE, RunRecord, own_measurement, parse_record
from reprise.tracking.record_check import check_evaluation

ORIGIN = "imported.json"  # beside a record that was imported: where from
_RESULT = "result.json"
UNKNOWN_SOURCES = "(its source files are not recorded)"


@dataclass
class Ledger:
    """What was read.

    Attributes:
        entries: the runs that count, by name, seed and begin.
        rejected: (path, why) of files that are no records.
        set_aside: re-runs of a run that counts.
        protocols: of each digest, the protocol part of the config by dotted key.
    """

    entries: list[Entry] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    set_aside: list[Entry] = field(default_factory=list)
    protocols: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_ledger(root: Path | Sequence[Path]) -> Ledger:
    """Read every run record below one folder or several.

    A record that is broken is named in `rejected` and hides no other one; a folder that is not there has no records.
    Of several runs with the same protocol and seed one counts: code that is unchanged before code that has changed
    since, finished before anything else, evaluated before not, then the one that was begun last. What they measured
    plays no part.
    """
    roots = [root] if isinstance(root, Path) else list(root)
    reader = _Reader()
    with _no_collection():
        for directory, content in find_records(roots, reader.reject):
            try:
                reader.read(directory, content)
            except RunError as error:
                reader.reject(Path(directory, FILE), str(error))
    counting, aside = _choose(reader.entries)
    return Ledger(
        entries=sorted(counting, key=_order),
        rejected=sorted(reader.rejected),
        set_aside=sorted(aside, key=_order),
        protocols=reader.protocols,
    )


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Suspend the garbage collector: it would look through all records again and again, and finds no cycles in them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _order(entry: Entry) -> tuple[str, int, datetime, str]:
    return entry.name, entry.seed, _when(entry.begun), str(entry.directory)


def _when(text: str) -> datetime:
    """A time of a record; a long time ago where it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _choose(entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Split runs into those that count and re-runs of these."""

    def rank(entry: Entry) -> tuple[bool, bool, bool, datetime, bool, str]:
        whole = not entry.changed, entry.state == "finished", bool(entry.evaluations)
        # of a run and its import, the run
        return *whole, _when(entry.begun), entry.imported is None, str(entry.directory)

    groups: dict[tuple[str, int], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.digest, entry.seed), []).append(entry)
    counting, aside = [], []
    for group in groups.values():
        best = group[0] if len(group) == 1 else max(group, key=rank)
        counting.append(best)
        aside += [entry for entry in group if entry is not best]
    return counting, aside


class _Reader:
    """Turns records into entries, and keeps what many of them share once."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.rejected: list[tuple[str, str]] = []
        self.protocols: dict[str, dict[str, Any]] = {}
        self._digests: dict[bytes, str] = {}
        self._shared: dict[bytes, Any] = {}
        self._changed: dict[bytes, tuple[str, ...]] = {}

    def reject(self, path: Path, why: str) -> None:
        self.rejected.append((str(path), why))

    def read(self, directory: str, content: bytes) -> None:
        """Read one record.

        Raises:
            RunError: it is none.
        """
        record = parse_record(_parsed(content, FILE), FILE)
        digest = self.digest(record)
        sources = record.code.get("sources", {})
        self.entries.append(
            Entry(
                directory=Path(directory),
                id=record.id,
                name=record.name,
                experiment=record.experiment,
                seed=record.seed,
                state=record.state,
                command=record.command,
                overrides=tuple(record.overrides),
                digest=digest,
                begun=record.sessions[0].get("start", "") if record.sessions else "",
                iteration=record.iteration,
                weights=record.weights,
                code={**record.code, "sources": self.shared(sources)},
                changed=self.changed(sources) if sources else (UNKNOWN_SOURCES,),
                environment=self.shared(record.environment),
                data=self.shared(record.data),
                cost=_numbers(record.cost),
                metrics={name: _measured(m, m.get("step")) for name, m in record.metrics.items()},
                evaluations=self.evaluations(directory, record),
                wandb=record.wandb,
                imported=self.origin(directory),
            )
        )

    def shared(self, value: dict[str, Any]) -> dict[str, Any]:
        """The first of all equal values, so that thousands of records of one machine take the memory of one."""
        return self._shared.setdefault(_bytes(value), value)

    def changed(self, sources: dict[str, str]) -> tuple[str, ...]:
        """Modules whose source is another now; thousands of records depend on the same few states of the code."""
        key = _bytes(sources)
        if key not in self._changed:
            self._changed[key] = tuple(changed_sources({"sources": sources}))
        return self._changed[key]

    def digest(self, record: RunRecord) -> str:
        """Digest of the protocol that a run followed; its protocol part is kept.

        It is worked out here rather than believed: other versions may have counted other keys as protocol.
        """
        stages = [d for d in record.deviations if d.get("from_step", 0) > 0]
        key = _bytes([_without_seed(record.config), stages])
        if key not in self._digests:
            try:
                leaves = with_stages(protocol.protocol_values(record.config), stages)
                found = self._digests[key] = protocol.digest_of(leaves)
            except RecursionError:
                raise RunError(f"{FILE}: config is nested too deeply.") from None
            self.protocols.setdefault(found, leaves)
        return self._digests[key]

    def evaluations(self, directory: str, record: RunRecord) -> tuple[Evaluation, ...]:
        """Evaluations of a run, with those that it had no time to write into its record."""
        results = list(record.evaluations)
        known = {result["folder"] for result in results}
        for name in _folders(f"{directory}/evaluations"):
            if f"evaluations/{name}" in known:
                continue
            path = Path(directory, "evaluations", name, _RESULT)
            try:
                result = _parsed(path.read_bytes(), _RESULT)
                check_evaluation(result, _RESULT)
            except FileNotFoundError:
                continue  # it is being made, or was killed before it had a result
            except RunError as error:
                self.reject(path, str(error))
            except OSError as error:
                self.reject(path, f"cannot be read: {error.strerror or error}")
            else:
                results.append(result)
        own = own_measurement(record)
        found = (self.evaluation(result, own, record.data) for result in results)
        return tuple(sorted(found, key=lambda e: _when(e.time)))

    def evaluation(self, raw: dict[str, Any], own: tuple[str | None, str], data: dict[str, Any]) -> Evaluation:
        """One evaluation, with all that sets it apart from the run's own."""
        changes = {k: v for k, v in raw.get("changes", {}).items() if not protocol.is_hardware(k)}
        if raw.get("sha256") != own[0] or own[0] is None:
            changes["checkpoint"] = f"of step {raw['step']}"
        if raw["weights"] != own[1]:
            changes["weights"] = raw["weights"]
        read = raw.get("data", {})
        if other := [k for k in data if k.endswith("sha256") and k in read and read[k] != data[k]]:
            changes["data"] = f"other {', '.join(other)}"
        sources = raw.get("code", {}).get("sources", {})
        return Evaluation(
            folder=raw["folder"],
            time=raw["time"],
            step=raw["step"],
            weights=raw["weights"],
            changes=changes,
            examples=raw.get("examples"),
            metrics={name: _measured(m, raw["step"]) for name, m in raw["metrics"].items()},
            cost=_numbers(raw.get("cost", {})),
            changed=self.changed(sources) if sources else (),
        )

    def origin(self, directory: str) -> str | None:
        """Where an imported record comes from."""
        path = f"{directory}/{ORIGIN}"
        if not os.path.exists(path):
            return None
        try:
            raw = parse_json(Path(path).read_bytes())
        except (ValueError, OSError) as error:
            self.reject(Path(path), f"cannot be read: {error}")
            return "unknown"
        origin = raw.get("from") if isinstance(raw, dict) else None
        return origin if isinstance(origin, str) else "unknown"


def with_stages(leaves: dict[str, Any], stages: list[dict[str, Any]]) -> dict[str, Any]:
    """Protocol values of a run that was resumed with other ones: such a value is no longer what the whole run had.

    Args:
        leaves: of the last config.
        stages: changes made by a resume, oldest first, each with key, protocol (before), run (after) and from_step.
    """
    told: dict[str, str] = {}
    for stage in stages:
        key = stage["key"]
        before = told.get(key) or f"{stage.get('protocol')}"
        told[key] = f"{before} until iteration {stage['from_step']}, then {stage.get('run')}"
    return {**leaves, **told}


def _parsed(content: bytes, name: str) -> Any:
    try:
        return parse_json(content)
    except ValueError as error:
        raise RunError(f"{name} is not valid JSON ({error}). It was changed by hand or by the disk.") from None


def _bytes(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer of more than 64 bits
        return repr(value).encode("utf-8", "backslashreplace")


def _without_seed(config: dict[str, Any]) -> str:
    """A config as text that is the same for all seeds, and wherever its run lies."""
    text = _bytes({k: v for k, v in config.items() if not protocol.is_hardware(k)}).decode()
    seed = config.get("seed")
    if type(seed) is not int or "[{" in text or ",{" in text:  # a list is one value, whatever is in it
        return text
    # quotes inside a value are escaped, so what is found is a key; `protocol_values` leaves the same keys out
    return re.sub(rf'"seed":{seed}(?=[,}}])', '"seed":_', text)


def _folders(path: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(path) if name[:1] == "e" and name[1:].isdigit())
    except OSError:
        return []


def _measured(raw: dict[str, Any], step: int | None) -> Measured:
    best = raw.get("best")
    return Measured(float(raw["value"]), raw.get("version"), step, None if best is None else float(best))


def _numbers(cost: dict[str, Any]) -> dict[str, Any]:
    """Costs as numbers; the record writes those that are not finite as text."""
    return {k: float(v) if type(v) is str else v for k, v in cost.items()}
