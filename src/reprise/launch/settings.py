"""The settings of a search, `hydra.sweeper.*`, read and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any

from omegaconf import OmegaConf

from reprise.config.errors import ConfigError, suggest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Settings:
    """What conf/hydra/sweeper/optuna.yaml explains."""

    space: dict[str, Any] = field(default_factory=dict)
    fixed: list[str] = field(default_factory=list)
    n_trials: int = 20
    sampler: Any = "tpe"
    seed: int | None = 0
    pruner: Any = None
    objectives: Any = None
    max_failures: int | None = 10
    study_name: str | None = None
    storage: str | None = None


def read_settings(raw: Any) -> Settings:
    """Read the sweeper's config.

    Raises:
        ConfigError: a key is unknown, or a value is of the wrong type.
    """
    values = OmegaConf.to_container(OmegaConf.create(raw), resolve=True)
    assert isinstance(values, dict)
    named = {str(k): v for k, v in values.items()}
    known = [f.name for f in fields(Settings)]
    for key in named:
        if key not in known:
            raise ConfigError(f"hydra.sweeper.{key} is not a setting of a search. {suggest(key, known)}")
    settings = Settings(**named)
    for key, kind, words in (
        ("space", dict, "a mapping of config keys"),
        ("fixed", list, "a list of key=value words"),
    ):
        if not isinstance(getattr(settings, key), kind):
            raise ConfigError(f"hydra.sweeper.{key} is {getattr(settings, key)!r}. Expected {words}.")
    if bad := [w for w in settings.fixed if not isinstance(w, str) or "=" not in w]:
        raise ConfigError(f"hydra.sweeper.fixed has {bad[0]!r}. Expected key=value.")
    for key, null in (("n_trials", False), ("max_failures", True)):
        value = getattr(settings, key)
        if not (null and value is None) and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            extra = ", or null" if null else ""
            raise ConfigError(f"hydra.sweeper.{key} is {value!r}. Expected a whole number of 1 or more{extra}.")
    name = settings.study_name
    if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise ConfigError(f"hydra.sweeper.study_name is {name!r}. Expected letters, digits, dots, dashes, underscores.")
    if settings.storage is not None and not isinstance(settings.storage, str):
        raise ConfigError(
            "hydra.sweeper.storage is no text. Expected e.g. sqlite:///FILE or postgresql://user@host/db."
        )
    return settings


def with_fixed(fixed: list[str], words: list[str]) -> list[str]:
    """Words of a command line, after those of a sweep file that it does not set itself."""
    given = {_key(w) for w in words}
    return [*(w for w in fixed if _key(w) not in given), *words]


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")
