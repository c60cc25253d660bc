"""Check a composed config before anything is built, downloaded or launched.

Signatures are read from source (signatures.py), so a typo is answered without importing torch. What is checked:
top-level keys and types, mandatory values, every `_target_` (exists, allowed), every key below it (a parameter),
every value (of the annotated type, choices included), and required parameters.
"""

from __future__ import annotations

import ast
import dataclasses
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from reprise.config.errors import ConfigError, nearest, suggest
from reprise.config.protocol import flatten
from reprise.config.schema import COLLECTIONS, PathsConfig, TrainConfig
from reprise.config.signatures import Signature, Unresolvable, public_names, signature
from reprise.config.types import accepts, describe

# Only the rooms that configs need are open; torch, lightning and this package also have functions that run or write.
ALLOWED = (
    "reprise.models.",
    "reprise.data.",
    "reprise.diffusion.",
    "reprise.metrics.",
    "reprise.nn.",
    "reprise.tracking.metrics_log.",
    "reprise.tracking.wandb.",
    "reprise.training.callbacks.",
    "torch.optim.",
    "torch.nn.",
    "torch.utils.data.",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.trainer.trainer.Trainer",
    "pytorch_lightning.callbacks.",
    "pytorch_lightning.loggers.",
    "torchmetrics.",
)
# Elsewhere a target has to be a class: functions may write files.
_FUNCTIONS = ("reprise.diffusion.", "reprise.nn.", "torch.")
_SECRET = re.compile(r"(?i)(api_?key|token|secret|passw(or)?d)$")
_HYDRA_KEYS = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}

# Parameters that code passes to these targets, so that a config need not.
_PASSED_BY_CODE = {"params", "optimizer", "save_dir"}

Where = Callable[[str], str]


def user_allowed() -> list[str]:
    """Packages the user lists in REPRISE_ALLOW (comma separated)."""
    return [p.strip() for p in os.environ.get("REPRISE_ALLOW", "").split(",") if p.strip()]


def trust(packages: Sequence[str]) -> None:
    """Let this process and those it starts build classes of further packages, as if REPRISE_ALLOW listed them."""
    os.environ["REPRISE_ALLOW"] = ",".join(dict.fromkeys([*user_allowed(), *packages]))


def is_allowed(target: str, extra: Sequence[str] = ()) -> bool:
    """Whether a dotted name lies in a package that configs may build objects of."""
    prefixes = (*ALLOWED, *(f"{p.rstrip('.')}." for p in (*extra, *user_allowed())))
    return target.startswith(prefixes)


def find_target(target: str, allow: Sequence[str] = ()) -> Signature:
    """Find the class or function that a target names, if configs may build it.

    Raises:
        Unresolvable: there is none.
        PermissionError: it, or what it re-exports, lies outside the open rooms, or it is a function that is not open.
    """
    if not is_allowed(target, allow):
        raise PermissionError(target)
    extra = tuple(f"{p.rstrip('.')}." for p in (*allow, *user_allowed()))
    found = signature(target)
    trusted = target.startswith(extra) if extra else False
    if not trusted and not (is_allowed(found.target) and (found.is_class or found.target.startswith(_FUNCTIONS))):
        raise PermissionError(found.target)
    return found


def check_config(values: dict[str, Any], where: Where | None = None, allow: Sequence[str] = ()) -> None:
    """Check a resolved training config.

    Args:
        values: plain nested dicts, interpolations resolved.
        where: answers which file or override set a dotted key; used in messages.
        allow: further packages whose classes may be named (never taken from a run directory's config).

    Raises:
        ConfigError: the first thing that is wrong, in one paragraph.
    """
    where = where or (lambda key: "the config")
    _check_section(values, TrainConfig, "", where)
    _check_mandatory(values, "", where)
    _check_section(values["paths"], PathsConfig, "paths.", where)
    if values["monitor_mode"] not in ("min", "max"):
        raise _wrong("monitor_mode", values["monitor_mode"], "one of 'min', 'max'", where)
    if not 0 <= values["seed"] < 2**32:
        raise _wrong("seed", values["seed"], "a whole number of 0 or more, below 2^32", where)
    for key, value in flatten(values):
        if isinstance(value, str) and _SECRET.search(key):
            raise ConfigError(
                f"{key} (from {where(key)}) looks like a secret. Configs are stored and uploaded: set it in "
                "the environment instead, e.g. WANDB_API_KEY."
            )
    for group in ("model", "data", "trainer"):
        if "_target_" not in values[group]:
            raise ConfigError(f"{group} (from {where(group)}) has no _target_. Expected the class to build.")
        _check_node(values[group], group, where, allow)
    for group in COLLECTIONS:
        for name, node in values[group].items():
            if isinstance(node, dict) and "_target_" in node:
                _check_node(node, f"{group}.{name}", where, allow)
            elif node is not None:
                raise _wrong(f"{group}.{name}", node, "an object with a _target_, or null", where)


def _wrong(key: str, value: Any, expected: str, where: Where) -> ConfigError:
    shown = repr(value) if isinstance(value, (str, int, float, bool)) or value is None else f"a {type(value).__name__}"
    kind = f" ({type(value).__name__})" if isinstance(value, (str, int, float, bool)) else ""
    return ConfigError(f"{key} (from {where(key)}) is {shown}{kind}. Expected {expected}.")


def _check_section(values: dict[str, Any], schema: type, prefix: str, where: Where) -> None:
    fields = {f.name: f for f in dataclasses.fields(schema)}
    for key in values:
        if key not in fields:
            raise ConfigError(
                f"{prefix}{key} (from {where(prefix + key)}) is not a key of the config. {suggest(key, fields)}"
            )
    for name, field in fields.items():
        if name not in values:
            raise ConfigError(f"{prefix}{name} is missing. Expected it in conf/train.yaml.")
        annotation = ast.parse(str(field.type), mode="eval").body
        if values[name] != "???" and not accepts(values[name], annotation, __name__):
            raise _wrong(prefix + name, values[name], str(field.type).replace("None", "null"), where)


def _check_mandatory(node: Any, prefix: str, where: Where) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            _check_mandatory(value, f"{prefix}{key}.", where)
    elif node == "???":
        key = prefix.rstrip(".")
        raise ConfigError(f"{key} is missing: {where(key)} leaves it open. Set it on the command line: {key}=VALUE.")


def _read_signature(target: Any, key: str, where: Where, allow: Sequence[str]) -> Signature:
    if not isinstance(target, str):
        raise _wrong(f"{key}._target_", target, "the dotted name of a class or function", where)
    try:
        return find_target(target, allow)
    except PermissionError as error:
        real = "" if str(error) == target else f" (that is {error})"
        raise ConfigError(
            f"{key}._target_ (from {where(key + '._target_')}) names {target}{real}, which configs may not build. "
            "Expected a class of reprise's models, data, metrics or callbacks, of torch.optim, torch.nn, lightning or "
            "torchmetrics, or of a package listed in `allow` or REPRISE_ALLOW."
        ) from None
    except (Unresolvable, SyntaxError):
        module, _, name = target.rpartition(".")
        near = nearest(name, public_names(module))
        hint = f"Did you mean {' or '.join(f'{module}.{n}' for n in near)}?" if near else "Check the spelling."
        raise ConfigError(
            f"{key}._target_ (from {where(key + '._target_')}) names {target}, which does not exist. {hint}"
        ) from None


def _check_node(node: dict[str, Any], key: str, where: Where, allow: Sequence[str]) -> None:
    sig = _read_signature(node["_target_"], key, where, allow)
    short = sig.target.rsplit(".", 1)[-1]
    for name, value in node.items():
        path = f"{key}.{name}"
        if name in _HYDRA_KEYS:
            continue
        parameter = sig.parameters.get(name)
        if parameter is None:
            if not sig.open:
                raise ConfigError(
                    f"{path} (from {where(path)}) is not a parameter of {short}. {suggest(name, sig.parameters)}"
                )
        elif not accepts(value, parameter.annotation, parameter.module):
            raise _wrong(path, value, describe(parameter), where)
        _check_inside(value, path, where, allow)
    if not node.get("_partial_"):
        for name, parameter in sig.parameters.items():
            if parameter.required and name not in node and name not in _PASSED_BY_CODE:
                raise ConfigError(
                    f"{key}.{name} is missing. {short} (from {where(key + '._target_')}) needs it: "
                    f"{describe(parameter)}. Set it with +{key}.{name}=VALUE or in the file."
                )


def _check_inside(value: Any, key: str, where: Where, allow: Sequence[str]) -> None:
    if isinstance(value, dict):
        if "_target_" in value:
            _check_node(value, key, where, allow)
        else:
            for name, inner in value.items():
                _check_inside(inner, f"{key}.{name}", where, allow)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            _check_inside(inner, f"{key}.{i}", where, allow)


def check_parameters(target: str, given: dict[str, Any], what: str, hidden: Sequence[str] = ()) -> None:
    """Check `key=value` words against the parameters of a function, e.g. a module's `generate`; code passes `hidden`.

    Raises:
        ConfigError: a name is no parameter, or a value is not of its annotated type.
    """
    options = {n: p for n, p in signature(target).parameters.items() if n not in hidden}
    for name, value in given.items():
        if name not in options:
            raise ConfigError(f"{name} is not an option of {what}. {suggest(name, options)}")
        parameter = options[name]
        if not accepts(value, parameter.annotation, parameter.module):
            raise _wrong(name, value, describe(parameter), lambda key: "the command line")
