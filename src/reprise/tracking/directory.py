"""Run directories: named by what is run, made by an atomic mkdir, holding the resolved config."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import yaml

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
    check_config(values, lambda key: str(path))
    return values
