"""Reads an offline W&B transaction log: a LevelDB-style log of protobuf records in 32 KiB blocks."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Log:
    """What a run logged."""

    id: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    exit_code: int | None = None


def _records(path: Path) -> Iterator[Any]:
    from wandb.proto import wandb_internal_pb2

    data, at, parts, block = path.read_bytes(), 7, b"", 32768
    assert data[:6] == b":W&B" + struct.pack("<H", 0xBEE1)
    while at + 7 <= len(data):
        left = block - at % block
        if left < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        chunk = data[at + 7 : at + 7 + size]
        if kind == 0 or len(chunk) < size:
            return
        at += 7 + size
        parts = chunk if kind in (1, 2) else parts + chunk
        if kind in (1, 4):
            yield wandb_internal_pb2.Record.FromString(parts)


def _values(items: Any) -> dict[str, Any]:
    return {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items}


def read_log(folder: Path) -> Log:
    """Read the log of one offline-run folder."""
    log = Log()
    for record in _records(next(folder.glob("run-*.wandb"))):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            log.id, log.name, log.group = run.run_id, run.display_name, run.run_group
            log.job_type, log.tags = run.job_type, list(run.tags)
            log.config |= _values(run.config.update)
        elif kind == "config":
            log.config |= _values(record.config.update)
        elif kind == "history":
            log.history.append(_values(record.history.item))
        elif kind == "files":
            log.files += [file.path for file in record.files.files]
        elif kind == "exit":
            log.exit_code = record.exit.exit_code
    return log
