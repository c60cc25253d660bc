"""What a record on disk must look like: every field of its type, so that whoever reads it can rely on that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reprise.config.errors import RunError
from reprise.tracking.files import NOT_FINITE

SCHEMA = 1
STATES = ("running", "finished", "pruned", "interrupted", "failed")

Check = Callable[[Any], bool]


def is_number(value: Any) -> bool:
    """Whether a value of a record is a number, NaN and infinities included."""
    kind = type(value)
    return kind is float or kind is int or (kind is str and value in NOT_FINITE)


def _text(value: Any) -> bool:
    return type(value) is str


def _whole(value: Any) -> bool:
    return type(value) is int


def _mapping(value: Any) -> bool:
    return type(value) is dict


def _texts(value: Any) -> bool:
    return type(value) is list and all(type(v) is str for v in value)


def _text_or_none(value: Any) -> bool:
    return value is None or type(value) is str


def _whole_or_none(value: Any) -> bool:
    return value is None or type(value) is int


def _mapping_or_none(value: Any) -> bool:
    return value is None or type(value) is dict


def _list(value: Any) -> bool:
    return type(value) is list


# what is expected, in words, and how it is recognised
_TEXT: tuple[str, Check] = "text", _text
_WHOLE: tuple[str, Check] = "an integer", _whole
_NUMBER: tuple[str, Check] = "a number", is_number
_NUMBER_OR_NONE: tuple[str, Check] = "a number or null", lambda value: value is None or is_number(value)
_MAPPING: tuple[str, Check] = "a dict", _mapping
_TEXT_OR_NONE: tuple[str, Check] = "text or null", _text_or_none
_WHOLE_OR_NONE: tuple[str, Check] = "an integer or null", _whole_or_none
_MAPPING_OR_NONE: tuple[str, Check] = "a dict or null", _mapping_or_none
_TEXTS: tuple[str, Check] = "a list of texts", _texts
_LIST: tuple[str, Check] = "a list", _list

FIELDS: dict[str, tuple[str, Check]] = {
    "schema": _WHOLE,
    "id": _TEXT,
    "name": _TEXT,
    "seed": _WHOLE,
    "command": _TEXT,
    "config": _MAPPING,
    "config_digest": _TEXT,
    "experiment": _TEXT_OR_NONE,
    "overrides": _TEXTS,
    "choices": _MAPPING,
    "deviations": _LIST,
    "code": _MAPPING,
    "environment": _MAPPING,
    "data": _MAPPING,
    "state": _TEXT,
    "exit_code": _WHOLE_OR_NONE,
    "error": _TEXT_OR_NONE,
    "sessions": _LIST,
    "cost": _MAPPING,
    "metrics": _MAPPING,
    "checkpoints": _LIST,
    "evaluations": _LIST,
    "wandb": _MAPPING_OR_NONE,
    "weights": _TEXT,
    "iteration": _WHOLE,
}
REQUIRED = ("id", "name", "seed", "command", "config", "config_digest")
_METRIC = {"value": _NUMBER, "step": _WHOLE, "best": _NUMBER, "best_step": _WHOLE, "version": _WHOLE}
_ANYTHING: tuple[str, Check] = "anything", lambda value: True
_DEVIATION = {"key": _TEXT, "from_step": _WHOLE}
_SESSION = {"host": _TEXT, "start": _TEXT, "end": _TEXT, "state": _TEXT, "from_step": _WHOLE, "to_step": _WHOLE}
_CHECKPOINT = {"file": _TEXT, "step": _WHOLE, "sha256": _TEXT, "bytes": _WHOLE, "roles": _TEXTS}
_CODE = {"commit": _TEXT_OR_NONE, "version": _TEXT_OR_NONE, "sources": _MAPPING}
_WANDB = dict.fromkeys(("id", "mode", "project", "url", "sweep"), _TEXT_OR_NONE)
_ENVIRONMENT = {"hardware": _MAPPING, "packages": _MAPPING, "world_size": _WHOLE}
_HARDWARE = {"cpu": _TEXT_OR_NONE, "gpus": _TEXTS, "cores": _WHOLE_OR_NONE, "memory_bytes": _WHOLE_OR_NONE}
_EVALUATION = {
    "folder": _TEXT,
    "time": _TEXT,
    "step": _WHOLE,
    "weights": _TEXT,
    "changes": _MAPPING,
    "examples": _WHOLE_OR_NONE,
    "precision": _TEXT,
    "metrics": _MAPPING,
    "cost": _MAPPING,
    "data": _MAPPING,
    "code": _MAPPING,
    "sha256": _TEXT,
}


def check_record(raw: Any, where: str) -> None:
    """Check schema version, names and types of everything that is read from a record.

    Args:
        raw: parsed JSON.
        where: for messages.

    Raises:
        RunError: the first thing that is wrong, by name.
    """
    if type(raw) is not dict or raw.get("schema") != SCHEMA:
        found = raw.get("schema") if isinstance(raw, dict) else type(raw).__name__
        raise RunError(f"{where} has schema {_short(found)}. Expected {SCHEMA}.")
    if raw.keys() - FIELDS.keys():
        unknown = ", ".join(str(n)[:80] for n in sorted(raw.keys() - FIELDS.keys())[:5])
        raise RunError(f"{where} has unknown fields: {unknown}.")
    if missing := [n for n in REQUIRED if n not in raw]:
        raise RunError(f"{where} lacks {', '.join(missing)}.")
    _check(raw, FIELDS, where, "")
    if raw.get("state", "running") not in STATES:
        raise RunError(f"{where}: state is {_short(raw['state'])}. Expected one of {', '.join(STATES)}.")
    _check_metrics(raw.get("metrics", {}), where, "metrics")
    _check_all(raw.get("cost", {}), _NUMBER_OR_NONE, where, "cost")
    _check(raw.get("code", {}), _CODE, where, "code.")
    _check_all(raw.get("code", {}).get("sources", {}), _TEXT, where, "code.sources")
    _check(raw.get("environment", {}), _ENVIRONMENT, where, "environment.")
    _check(raw.get("environment", {}).get("hardware", {}), _HARDWARE, where, "environment.hardware.")
    _check(raw.get("wandb") or {}, _WANDB, where, "wandb.")
    for name, kinds, needed in (
        ("deviations", _DEVIATION, ("key",)),
        ("sessions", _SESSION, ()),
        ("checkpoints", _CHECKPOINT, ("file", "step")),
    ):
        for i, member in enumerate(raw.get(name, ())):
            _check_member(member, kinds, needed, where, f"{name}[{i}]")
    for i, result in enumerate(raw.get("evaluations", ())):
        check_evaluation(result, where, f"evaluations[{i}]")


def check_evaluation(raw: Any, where: str, name: str = "the evaluation") -> None:
    """Check the names and types of an evaluation's result.

    Raises:
        RunError: the first thing that is wrong, by name.
    """
    _check_member(raw, _EVALUATION, ("folder", "time", "step", "weights", "metrics"), where, name)
    _check_metrics(raw["metrics"], where, f"{name}.metrics")
    _check_all(raw.get("cost", {}), _NUMBER_OR_NONE, where, f"{name}.cost")
    _check(raw.get("code", {}), _CODE, where, f"{name}.code.")
    _check_all(raw.get("code", {}).get("sources", {}), _TEXT, where, f"{name}.code.sources")


def _check(raw: Mapping[str, Any], kinds: Mapping[str, tuple[str, Check]], where: str, prefix: str) -> None:
    for name, (expected, fits) in kinds.items():
        if name in raw and not fits(raw[name]):
            raise RunError(f"{where}: {prefix}{name} is a {type(raw[name]).__name__}. Expected {expected}.")


def _check_member(
    raw: Any, kinds: Mapping[str, tuple[str, Check]], needed: tuple[str, ...], where: str, name: str
) -> None:
    if type(raw) is not dict:
        raise RunError(f"{where}: {name} is a {type(raw).__name__}. Expected a dict.")
    if missing := [n for n in needed if n not in raw]:
        raise RunError(f"{where}: {name} lacks {', '.join(missing)}.")
    _check(raw, kinds, where, f"{name}.")


def _check_all(raw: Mapping[str, Any], kind: tuple[str, Check], where: str, name: str) -> None:
    expected, fits = kind
    for key, value in raw.items():
        if not fits(value):
            raise RunError(f"{where}: {name}.{key[:80]} is a {type(value).__name__}. Expected {expected}.")


def _check_metrics(raw: Mapping[str, Any], where: str, name: str) -> None:
    for key, metric in raw.items():
        if type(metric) is not dict or not is_number(metric.get("value")):
            found = type(metric.get("value") if isinstance(metric, dict) else metric).__name__
            raise RunError(f"{where}: {name}.{key[:80]} has a {found} for its value. Expected a number.")
        for part, value in metric.items():
            expected, fits = _METRIC.get(part, _ANYTHING)
            if not fits(value):
                raise RunError(f"{where}: {name}.{key[:80]}.{part} is a {type(value).__name__}. Expected {expected}.")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
