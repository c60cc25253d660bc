"""The ledger: all run records below a root, read as one table."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from reprise.config.errors import RunError
from reprise.config.protocol import is_hardware, protocol_values
from reprise.reproduction.entry import Entry, Evaluation, Measured
from reprise.tracking.provenance import changed_sources
from reprise.tracking.record import FILE, check_evaluation, check_record

ORIGIN = "imported.json"  # beside a record that was imported: where from


@dataclass
class Ledger:
    """What was read.

    Attributes:
        entries: the runs that count, by name, seed and begin.
        rejected: (path, why) of records that could not be read.
        set_aside: runs that repeat one that counts: same protocol, same seed.
        protocols: digest -> protocol part of the config, by dotted key.
    """

    entries: list[Entry] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    set_aside: list[Entry] = field(default_factory=list)
    protocols: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_ledger(roots: Path | Sequence[Path]) -> Ledger:
    """Read the records below one root or several; a broken one is named and hides no other.

    Args:
        roots: folders; one that is not there holds no records.
    """
    ledger = Ledger()
    found: list[Entry] = []
    changed: dict[str, tuple[str, ...]] = {}
    with _no_collection():
        for root in [roots] if isinstance(roots, Path) else roots:
            for path in record_files(root):
                try:
                    found.append(_read(path, ledger.protocols, changed))
                except (RunError, OSError) as error:
                    ledger.rejected.append((str(path), _why(error, path)))
    found.sort(key=lambda e: (e.name, e.seed, e.begun, str(e.directory)))
    best: dict[tuple[str, int], Entry] = {}
    for entry in found:
        key = (entry.digest, entry.seed)
        if key not in best or _counts_more(entry) >= _counts_more(best[key]):
            best[key] = entry
    ledger.entries = [e for e in found if best[e.digest, e.seed] is e]
    ledger.set_aside = [e for e in found if best[e.digest, e.seed] is not e]
    return ledger


def record_files(root: Path) -> Iterator[Path]:
    """Find run.json below a folder, in order; run directories and hidden folders are not searched further."""
    try:
        inside = sorted(os.scandir(root), key=lambda e: e.name)
    except OSError:
        return
    if any(e.name == FILE for e in inside):
        yield root / FILE
        return
    for item in inside:
        if not item.name.startswith(".") and item.is_dir(follow_symlinks=False):
            yield from record_files(root / item.name)


def _counts_more(entry: Entry) -> tuple[bool, bool, bool, str]:
    """Of runs that repeat each other the last in this order counts; what they measured plays no part."""
    return not entry.changed, entry.state == "finished", bool(entry.evaluations), entry.begun


def _read(path: Path, protocols: dict[str, dict[str, Any]], changed: dict[str, tuple[str, ...]]) -> Entry:
    raw = _parse(path.read_bytes(), path)
    check_record(raw, str(path))
    digest = raw["config_digest"]
    if digest not in protocols:
        protocols[digest] = protocol_values(raw["config"])
    code = raw.get("code") or {}
    key = json.dumps(code.get("sources") or {}, sort_keys=True)
    if key not in changed:
        changed[key] = tuple(changed_sources(code))
    sessions = raw.get("sessions") or []
    return Entry(
        directory=path.parent,
        id=raw["id"],
        name=raw["name"],
        experiment=raw.get("experiment"),
        seed=raw["seed"],
        state=raw.get("state", "running"),
        command=raw["command"],
        overrides=tuple(raw.get("overrides") or ()),
        digest=digest,
        begun=str(sessions[0].get("start", "")) if sessions else "",
        iteration=raw.get("iteration", 0),
        weights=raw.get("weights", "raw"),
        code=code,
        changed=changed[key],
        environment=raw.get("environment") or {},
        data=raw.get("data") or {},
        cost=raw.get("cost") or {},
        metrics={k: _measured(v) for k, v in (raw.get("metrics") or {}).items()},
        evaluations=tuple(_evaluation(e) for e in _evaluations(raw, path.parent)),
        wandb=raw.get("wandb"),
        imported=_origin(path.parent),
    )


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    try:
        raw = orjson.loads(content)
    except orjson.JSONDecodeError:
        try:
            raw = json.loads(content)  # NaN and Infinity, which orjson does not read
        except ValueError as error:
            raise RunError(f"{path} is not valid JSON ({error})") from None
    if not isinstance(raw, dict):
        raise RunError(f"{path} holds a {type(raw).__name__}. Expected a run record.")
    return raw


def _evaluations(raw: dict[str, Any], directory: Path) -> list[dict[str, Any]]:
    """The record's evaluations, and those that were finished after it was written last."""
    known = list(raw.get("evaluations") or ())
    folders = {e.get("folder") for e in known}
    try:
        inside = sorted(e.name for e in os.scandir(directory / "evaluations"))
    except OSError:
        return known
    for name in inside:
        if f"evaluations/{name}" not in folders:
            try:
                extra = _parse((directory / "evaluations" / name / "result.json").read_bytes(), directory)
                check_evaluation(extra, name)
            except (OSError, RunError):
                continue  # cut off before it was whole
            known.append(extra)
    return sorted(known, key=lambda e: str(e.get("time", "")))


def _evaluation(raw: dict[str, Any]) -> Evaluation:
    return Evaluation(
        folder=str(raw.get("folder", "")),
        time=str(raw.get("time", "")),
        step=int(raw.get("step") or 0),
        weights=str(raw.get("weights", "raw")),
        changes={k: v for k, v in (raw.get("changes") or {}).items() if not is_hardware(k)},
        examples=raw.get("examples"),
        metrics={k: _measured(v) for k, v in raw["metrics"].items()},
        cost=raw.get("cost") or {},
    )


def _measured(raw: dict[str, Any]) -> Measured:
    best = raw.get("best")
    return Measured(float(raw["value"]), raw.get("version"), raw.get("step"), None if best is None else float(best))


def _origin(directory: Path) -> str | None:
    try:
        origin = json.loads((directory / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(origin.get("from")) if isinstance(origin, dict) else None


def _why(error: Exception, path: Path) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error).removeprefix(str(path)).lstrip(": ")


@contextmanager
def _no_collection() -> Iterator[None]:
    """Thousands of records are millions of objects, all of which stay: looking for garbage doubles the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
