"""Run directories: named by what is run, made by an atomic mkdir, holding the resolved config."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import yaml

from reprise.config import protocol
from reprise.config.check import check_config
from reprise.config.errors import RunError
from reprise.tracking.files import write_atomic

CONFIG = "config.yaml"


def claim(outputs: Path, name: str, seed: int, digest: str) -> Path:
    """Make a new run directory OUTPUTS/runs/NAME/s<seed>-<digest8>[-k]; no two runs ever share one.

    Raises:
        RunError: the folder cannot be made.
    """
    parent = outputs / "runs" / name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for k in itertools.count(1):
            path = parent / (f"s{seed}-{digest[:8]}" + (f"-{k}" if k > 1 else ""))
            try:
                path.mkdir()
            except FileExistsError:
                continue
            if not os.access(path, os.W_OK):
                raise PermissionError(f"no permission to write in {path}")
            return path
    except OSError as error:
        raise RunError(
            f"a run directory cannot be made below {outputs}: {error.strerror or error}. Set another place with "
            "paths.outputs=FOLDER."
        ) from None
    raise AssertionError("unreachable")


def claimed(outputs: Path, name: str, seed: int, digest: str) -> list[Path]:
    """List the run directories that `claim` has made for the same name, seed and digest, oldest first."""
    first = outputs / "runs" / name / f"s{seed}-{digest[:8]}"
    further = (p for p in first.parent.glob(f"{first.name}-*") if p.name.removeprefix(f"{first.name}-").isdigit())
    return [p for p in (first, *sorted(further, key=lambda p: int(p.name.rpartition("-")[2]))) if p.is_dir()]


def make(directory: Path, seed: int, digest: str) -> None:
    """Make a run directory that was decided beforehand, or accept one that holds no run, or the beginning of this one.

    Raises:
        RunError: something else is there, or it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        left = _left(directory)
    except OSError as error:
        raise RunError(f"paths.run={directory} cannot be made: {error.strerror or error}.") from None
    if left and not (directory / "run.json").is_file() and not _begun(directory, seed, digest):
        names = ", ".join(sorted(p.name for p in left)[:5])
        raise RunError(f"paths.run={directory} holds {names}, but no run. Expected an empty or new folder.")


def settle(directory: Path) -> None:
    """Move aside, into `unrecorded/`, what a run left here that was killed before it had a record.

    Whoever calls this has the run's lock.
    """
    if not (left := _left(directory)):
        return
    aside = directory / "unrecorded" / str(len(list(directory.glob("unrecorded/*"))) + 1)
    aside.mkdir(parents=True)
    for path in left:
        path.rename(aside / path.name)


def _left(directory: Path) -> list[Path]:
    return [p for p in directory.iterdir() if p.name not in ("logs", "unrecorded") and not p.name.startswith(".")]


def _begun(directory: Path, seed: int, digest: str) -> bool:
    """Whether the config there is that of a run of this seed and digest."""
    try:
        values = yaml.safe_load((directory / CONFIG).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return False
    return isinstance(values, dict) and values.get("seed") == seed and protocol.digest(values) == digest


def write_config(directory: Path, values: dict[str, Any]) -> None:
    """Store the resolved config, which every process of the run reads."""
    write_atomic(directory / CONFIG, yaml.safe_dump(values, sort_keys=False))


def read_config(directory: Path) -> dict[str, Any]:
    """Read and check the resolved config of a run; it is trusted no further than the user's own list of packages.

    Raises:
        RunError: it is missing or no mapping.
        ConfigError: it does not fit this version, or names classes that configs may not build.
    """
    path = directory / CONFIG
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise RunError(f"{path} cannot be read: {error}. Expected the resolved config of a run.") from None
    if not isinstance(values, dict):
        raise RunError(f"{path} holds no config.")
    values["allow"] = []
    values.setdefault("evaluate", False)  # this and the next: runs of versions that had no such key
    if isinstance(values.get("paths"), dict):
        values["paths"].setdefault("run", None)
    check_config(values, lambda key: str(path))
    return values
