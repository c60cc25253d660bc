"""Bring run records home that only W&B has, so that the ledger reads them as any other."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reprise.config.errors import ConfigError, RunError, UserError
from reprise.reproduction.ledger import ORIGIN
from reprise.reproduction.wandb_record import rebuild
from reprise.tracking.files import parse_json, write_json
from reprise.tracking.record import FILE, parse_record
from reprise.tracking.wandb_key import RECORD, has_key

_PLACE = re.compile(r"^([\w-][\w.-]*)/([\w-][\w. -]*)$")
_ID = re.compile(r"^[\w-][\w.-]*$")
_ANSWER_SECONDS = 20

Say = Callable[[str], None]


@dataclass
class Imported:
    """What an import did.

    Attributes:
        folder: below which the records lie.
        written: ids of runs that were imported, new or again.
        rebuilt: those of them whose record had to be put together from config and summary.
        unchanged: ids of runs that were imported before and are as they were.
        refused: (id, why) of those that cannot be a record.
    """

    folder: Path
    written: list[str] = field(default_factory=list)
    rebuilt: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


def import_runs(place: str, outputs: Path, api: Any = None, say: Say = lambda text: None) -> Imported:
    """Write the record of every run of a W&B project to OUTPUTS/imported/ENTITY/PROJECT/ID.

    A run that sent its record gets that one; of others the record is put together from what W&B has. A run that cannot
    be a record is named, the others are imported. What was imported before and has not changed is skipped.

    Args:
        place: ENTITY/PROJECT.
        outputs: root of the run records.
        api: a `wandb.Api`; None for one with the user's key.
        say: called with a line for each run.

    Raises:
        ConfigError: the place is none.
        RunError: there is no key, W&B does not answer, or it has no such project.
    """
    match = _PLACE.match(place)
    if match is None:
        raise ConfigError(f"{place!r} is no place on W&B. Expected ENTITY/PROJECT, e.g. someone/reprise.")
    entity, project = match.groups()
    found = Imported(outputs / "imported" / entity / project)
    api = _connect() if api is None else api
    with _asking(f"the runs of {place}"):
        for run in api.runs(place, order="+created_at"):
            try:
                _import(run, {"entity": entity, "project": project}, found)
            except UserError as error:
                found.refused.append((str(run.id), str(error)))
                say(f"{run.id}: not imported: {error}")
            else:
                say(f"{run.id}: {'imported' if found.written[-1:] == [run.id] else 'unchanged'}")
    return found


def _connect() -> Any:
    if not has_key():
        raise RunError("there is no key for W&B. Set WANDB_API_KEY, or call `wandb login` once.")
    with _asking("who we are"):
        import wandb

        return wandb.Api(timeout=_ANSWER_SECONDS)


@contextlib.contextmanager
def _asking(what: str) -> Iterator[None]:
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:  # the client raises its own kinds for keys, networks, permissions and missing projects
        first = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise RunError(
            f"W&B did not say {what} ({type(error).__name__}: {first[:300]}). Check the name, the network and the key."
        ) from None


def _import(run: Any, origin: dict[str, str], found: Imported) -> None:
    if not _ID.match(str(run.id)):
        raise RunError(f"its id is {str(run.id)[:80]!r}. Expected letters, digits, - and _.")
    with _asking(f"the files of run {run.id}"):
        files = [f for f in run.files(names=[RECORD]) if f.name == RECORD and f.size > 0]
    stamp = {"state": run.state, "heartbeat": str(run.heartbeat_at), "record": str(files[0].md5) if files else None}
    directory = found.folder / str(run.id)
    if _stamp(directory) == stamp:
        found.unchanged.append(run.id)
        return
    if files:
        raw = _download(files[0], run.id)
    else:
        with _asking(f"config and summary of run {run.id}"):
            raw = dataclasses.asdict(rebuild(run, origin))
    parse_record(raw, f"its {RECORD}" if files else "what W&B has of it")
    from_ = {"from": f"W&B {origin['entity']}/{origin['project']}/{run.id}", "url": run.url, "rebuilt": not files}
    directory.mkdir(parents=True, exist_ok=True)
    # whoever reads the folder in between sees an import, and one that is not complete is made again
    write_json(directory / ORIGIN, from_)
    write_json(directory / FILE, raw)
    write_json(directory / ORIGIN, {**from_, "stamp": stamp})
    found.written.append(run.id)
    if not files:
        found.rebuilt.append(run.id)


def _stamp(directory: Path) -> Any:
    """By what an imported run was recognised when it was imported; None where it was not."""
    try:
        found = parse_json((directory / ORIGIN).read_bytes())
    except (OSError, ValueError):
        return None
    return found.get("stamp") if isinstance(found, dict) and (directory / FILE).is_file() else None


def _download(file: Any, identifier: str) -> Any:
    with _asking(f"the record of run {identifier}"), tempfile.TemporaryDirectory() as folder:
        file.download(root=folder, replace=True).close()
        content = Path(folder, RECORD).read_bytes()
    try:
        raw = parse_json(content)
    except ValueError as error:
        raise RunError(f"its {RECORD} is not valid JSON ({error}).") from None
    about = raw.get("wandb") if isinstance(raw, dict) else None
    if not isinstance(about, dict) or about.get("id") != identifier:
        raise RunError(f"its {RECORD} is that of another run.")
    return raw
