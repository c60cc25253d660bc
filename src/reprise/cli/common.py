"""What several verbs share: compose and check, overrides over a saved config, plain words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprise.config.compose import Composed
from reprise.config.errors import ConfigError, suggest

if TYPE_CHECKING:
    from reprise.reproduction.standing import PaperStanding


def compose_checked(overrides: Sequence[str]) -> Composed:
    """Compose conf/train.yaml with overrides and check it, with errors that name file or command line."""
    from reprise.config.check import check_config
    from reprise.config.compose import compose_config
    from reprise.config.fitting import explain_misfit, explain_unknown_name, require_fitting_arch
    from reprise.config.origin import origin
    from reprise.config.unknown import explain_unknown_choice

    try:
        composed = compose_config(overrides)
    except ConfigError as error:
        explain_misfit(overrides, compose_config)
        explain_unknown_choice(error, overrides)
        explain_unknown_name(error, overrides, compose_config)
        raise
    require_fitting_arch(composed.choices, compose_config)
    allow = composed.values.get("allow")
    check_config(composed.values, lambda key: origin(key, overrides), allow=allow if isinstance(allow, list) else [])
    return composed


def protocol_deviations(composed: Composed) -> list[dict[str, Any]]:
    """Deviations of a composed config from its experiment's own; none without an experiment."""
    from reprise.config.compose import compose_config
    from reprise.config.protocol import deviations

    if composed.experiment is None:
        return []
    return deviations(compose_config([f"experiment={composed.experiment}"]).values, composed.values)


def run_directory(words: list[str], usage: str) -> tuple[Path, list[str]]:
    """Split off the leading RUN_DIR of a verb's words.

    Raises:
        ConfigError: it is missing.
    """
    if not words or "=" in words[0]:
        raise ConfigError(f"RUN_DIR is missing. Expected: {usage}")
    return Path(words[0]).expanduser(), words[1:]


def key_values(words: Sequence[str]) -> dict[str, Any]:
    """Parse `key=value` words; values as Hydra reads them (numbers, booleans, lists, null, strings).

    Raises:
        ConfigError: a word is of another form.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import OverrideType
    from hydra.errors import HydraException

    found: dict[str, Any] = {}
    for word in words:
        try:
            override = OverridesParser.create().parse_override(word)
        except HydraException:
            # paths may hold characters that Hydra's grammar reserves
            key, equals, value = word.partition("=")
            if not equals or not key.replace("_", "a").replace(".", "a").isalnum():
                raise ConfigError(f"{word!r} cannot be read. Expected key=value.") from None
            found[key] = value
            continue
        if override.type is not OverrideType.CHANGE or override.is_sweep_override():
            raise ConfigError(f"{word!r} cannot be used here. Expected a plain key=value.")
        found[override.key_or_group] = override.value()
    return {k: _unquoted(v) for k, v in found.items()}


def defaults_of(verb: str) -> dict[str, Any]:
    """Read conf/VERB.yaml: the settings of a verb with their defaults."""
    import yaml

    from reprise.config.paths import conf_dir

    found: dict[str, Any] = yaml.safe_load((conf_dir() / f"{verb}.yaml").read_text(encoding="utf-8"))
    return found


def without_dashes(words: Sequence[str], verb: str) -> list[str]:
    """Turn `--name value`, `--name=value` and `--flag` into `name=value` words of conf/VERB.yaml.

    Raises:
        ConfigError: there is no such option, or its value is missing.
    """
    from reprise.launch.point import quoted

    defaults = defaults_of(verb)
    found, left = [], list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("--"):
            found.append(word)
            continue
        option, equals, value = word.partition("=")
        name = option.removeprefix("--").replace("-", "_")
        if name not in defaults:
            raise ConfigError(f"there is no option {option}. {suggest(option, [_option(n) for n in defaults])}")
        if not equals and isinstance(defaults[name], bool):
            value = "true"
        elif not equals:
            if not left or left[0].startswith("--") or "=" in left[0]:
                raise ConfigError(f"{option} lacks its value. Expected e.g. {option} {defaults[name] or 'VALUE'}.")
            value = left.pop(0)
        found.append(f"{name}={quoted(value)}")  # a path or a list with commas is one value
    return found


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def settings_for(verb: str, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split given values into those of conf/VERB.yaml (with its defaults and types) and the rest.

    Raises:
        ConfigError: a value is not of the default's type.
    """
    defaults = defaults_of(verb)
    settings = dict(defaults)
    for key, value in given.items():
        if key not in defaults:
            continue
        default = defaults[key]
        if isinstance(default, str) and value is None:
            raise ConfigError(f"{key} is null. Expected text, e.g. {default!r}.")
        if isinstance(default, str) or default is None:
            value = value if value is None else str(value)
        elif type(value) is not type(default):
            raise ConfigError(
                f"{key} is {value!r} ({type(value).__name__}). Expected {type(default).__name__}, e.g. {default!r}."
            )
        settings[key] = value
    return settings, {k: v for k, v in given.items() if k not in defaults}


def _unquoted(value: Any) -> Any:
    from hydra.core.override_parser.types import QuotedString

    if isinstance(value, QuotedString):
        return value.text
    return [_unquoted(v) for v in value] if isinstance(value, list) else value


def apply_to(values: dict[str, Any], changes: dict[str, Any], what: str) -> dict[str, Any]:
    """Return a saved config with dotted keys changed; each must exist in it.

    Raises:
        ConfigError: a key is unknown, or the changed config is wrong.
    """
    import copy

    from reprise.config.check import check_config
    from reprise.config.compose import dotted_keys
    from reprise.config.schema import GROUPS

    changed = copy.deepcopy(values)
    for key, value in changes.items():
        if key in GROUPS:
            raise ConfigError(
                f"{key}={value} cannot be chosen here: the groups of {what} are fixed. Set single values instead, e.g. "
                "trainer.devices=2 or trainer.max_steps=2000."
            )
        *parents, leaf = key.split(".")
        node: Any = changed
        for name in parents:
            node = node.get(name) if isinstance(node, dict) else None
        if not isinstance(node, dict) or leaf not in node:
            raise ConfigError(f"{key} is not a key of {what}. {suggest(key, dotted_keys(values))}")
        node[leaf] = value
    check_config(changed, lambda key: "the command line" if key in changes else what)
    return changed


def format_value(value: Any) -> str:
    """A value as a user would type it."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return "null" if value is None else str(value)


def existing(root: Path) -> Path:
    """A root of runs that is there.

    Raises:
        RunError: it is not, or is no folder.
    """
    from reprise.config.errors import RunError

    if not root.is_dir():
        raise RunError(f"{root} is no folder. Expected one with run directories, e.g. --root outputs.")
    return root


def standing_of(names: Sequence[str], root: str | None) -> list[PaperStanding]:
    """Where papers stand by the runs below a root.

    Args:
        names: of papers.
        root: folder with runs; None for paths.outputs of conf/report.yaml, which need not be there.

    Raises:
        RunError: a folder that was given is not there.
    """
    from reprise.reproduction.assess import assess
    from reprise.reproduction.estimate import Estimator
    from reprise.reproduction.evidence import Evidence
    from reprise.reproduction.ledger import read_ledger
    from reprise.reproduction.papers import read_papers

    folder = Path(root or defaults_of("report")["root"]).expanduser()
    ledger = read_ledger(existing(folder) if root is not None else folder)
    papers = read_papers(names)
    return assess(papers, Evidence(ledger, papers), Estimator(ledger))
