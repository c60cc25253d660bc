"""Where a value came from: the chain of config files and overrides that set a key, last one winning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from reprise.config.compose import hydra_on_conf
from reprise.config.paths import show_path
from reprise.config.schema import GROUPS


@dataclass(frozen=True)
class Setting:
    """One place that sets a key: `where` is `FILE:LINE` or `command line`, `value` as written there."""

    where: str
    value: Any

    def __str__(self) -> str:
        return f"{self.where}  {self.value}"


def _line_of(path: Path, keys: Sequence[str]) -> int | None:
    """Line (from 1) of a nested key in a YAML file."""
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    line = None
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            return line
        for name, value in node.value:
            if name.value == key:
                line, node = name.start_mark.line + 1, value
                break
        else:
            return None
    return line


def _select(node: Any, keys: Sequence[str]) -> tuple[bool, Any]:
    for key in keys:
        if not isinstance(node, dict) or key not in node:
            return False, None
        node = node[key]
    return True, node


def chain(key: str, overrides: Sequence[str] = (), name: str = "train") -> list[Setting]:
    """Return every place that sets `key` (dotted) or a part of it, in the order in which they are merged."""
    wanted = key.split(".")
    found: list[Setting] = []
    with hydra_on_conf(name):
        loader = GlobalHydra.instance().config_loader()
        defaults = loader.compute_defaults_list(name, list(overrides), RunMode.RUN)
        repo = loader.repository  # type: ignore[attr-defined]
        for element in defaults.defaults:
            loaded = repo.load_config(element.config_path) if element.config_path else None
            if loaded is None or element.config_path.startswith("hydra/"):
                continue
            package = [p for p in (element.package or "").split(".") if p]
            inner = wanted[len(package) :]
            if wanted[: len(package)] != package:
                continue
            content = OmegaConf.to_container(loaded.config, resolve=False)
            present, value = _select(content, inner)
            if not present or (not inner and not value):
                continue
            found.append(Setting(_where(element.config_path, loaded.path, inner), value))
    for override in overrides:
        left, _, right = override.partition("=")
        left = left.lstrip("+~").split("@")[0]
        if left in GROUPS and not right.startswith(("{", "[")):
            continue  # chooses a file, which the chain names already
        if left == key or key.startswith(left + ".") or left.startswith(key + "."):
            found.append(Setting("command line", override if left != key else right))
    return found


def _where(config_path: str, provider_path: str, inner: Sequence[str]) -> str:
    folder = Path(provider_path.removeprefix("file://"))
    file = folder / f"{config_path.removesuffix('.yaml')}.yaml" if folder.is_dir() else folder
    if not file.is_file():
        return config_path
    line = _line_of(file, inner)
    return show_path(file) + (f":{line}" if line else "")


def origin(key: str, overrides: Sequence[str] = (), name: str = "train") -> str:
    """Name the place that decides `key`: a file and line, or the command line."""
    try:
        settings = chain(key, overrides, name)
    except Exception:  # an error message must not fail for want of its own footnote
        return "the config"
    return settings[-1].where if settings else "the config"
