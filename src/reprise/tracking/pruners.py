"""Pruners by name: the sweep checks them, the trials ask them."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from reprise.config.errors import ConfigError, suggest
from reprise.tracking.study import import_optuna

PRUNERS = {
    "median": "MedianPruner",
    "percentile": "PercentilePruner",
    "asha": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
    "patient": "PatientPruner",
    "threshold": "ThresholdPruner",
}
_DEFAULTS: dict[str, dict[str, Any]] = {"percentile": {"percentile": 25.0}, "patient": {"wrapped_pruner": None}}


def named(value: Any, key: str, known: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Read `NAME` or `{name: NAME, option: value}`.

    Raises:
        ConfigError: of another form, or the name is unknown.
    """
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ConfigError(f"{key} is {value!r}. Expected a name, or {{name: NAME, option: value}}.")
    name, options = value["name"], {k: v for k, v in value.items() if k != "name"}
    if name not in known:
        raise ConfigError(f"{key}: there is no {name!r}. {suggest(name, known)}")
    return name, options


def construct(kind: Any, options: dict[str, Any], key: str, hidden: Sequence[str] = ()) -> Any:
    """Build a class of Optuna with options of the config.

    Raises:
        ConfigError: an option is unknown, or refused.
    """
    parameters = [p for p in inspect.signature(kind).parameters if p not in ("self", *hidden)]
    for option in options:
        if option in hidden or option not in parameters:
            raise ConfigError(f"{key}.{option} is not an option of {kind.__name__}. {suggest(option, parameters)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return kind(**options)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{key}: {kind.__name__} refused its options: {error}.") from None


def build_pruner(value: Any, key: str = "hydra.sweeper.pruner") -> Any:
    """Build a pruner from `NAME` or `{name: NAME, option: value}`; None never prunes.

    Raises:
        ConfigError: the name or an option is wrong.
    """
    optuna = import_optuna()
    if value is None:
        return optuna.pruners.NopPruner()
    name, options = named(value, key, PRUNERS)
    options = {**_DEFAULTS.get(name, {}), **options}
    if name == "patient":
        if "patience" not in options:
            raise ConfigError(f"{key}.patience is missing: validations without improvement that a trial may have.")
        inner = options["wrapped_pruner"]
        options["wrapped_pruner"] = build_pruner(inner, f"{key}.wrapped_pruner") if inner is not None else None
    return construct(getattr(optuna.pruners, PRUNERS[name]), options, key)
