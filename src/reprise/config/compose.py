"""Compose a config with Hydra and answer Hydra's errors in one paragraph.

The command line, the tests and the protocol diff all compose here, so a config means the same everywhere.
"""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from reprise.config.errors import ConfigError, nearest, suggest
from reprise.config.paths import conf_dir
from reprise.config.schema import GROUPS


@dataclass(frozen=True)
class Composed:
    """A composed config.

    Attributes:
        values: everything resolved to plain dicts, lists and scalars; a mandatory value that was not given is `???`.
        choices: what was chosen of each group, e.g. {"model": "wavegrad", "experiment": None}.
        overrides: the command line's `key=value` words.
    """

    values: dict[str, Any]
    choices: dict[str, str | None]
    overrides: tuple[str, ...]

    @property
    def experiment(self) -> str | None:
        """The experiment that was chosen, PAPER/ROW, or None."""
        return self.choices.get("experiment")


@contextlib.contextmanager
def hydra_on_conf(name: str) -> Iterator[None]:
    """Let Hydra read conf/ meanwhile, also from within a sweep, where it does already."""
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3", job_name=name):
            yield
    finally:
        GlobalHydra.instance().clear()  # another instance than before: Hydra replaces it
        if outer is not None:
            GlobalHydra.instance().initialize(outer)


def _load(overrides: Sequence[str], name: str) -> DictConfig:
    with hydra_on_conf(name):
        return compose(name, list(overrides), return_hydra_config=True)


def compose_config(overrides: Sequence[str] = (), name: str = "train") -> Composed:
    """Compose conf/NAME.yaml with `key=value` overrides.

    Raises:
        ConfigError: an override cannot be parsed, a group choice or key does not exist, an interpolation fails.
    """
    try:
        config = _load(overrides, name)
        choices = _choices(config)
        with open_dict(config):
            del config["hydra"]
        values = OmegaConf.to_container(config, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise explain_error(error, overrides, name) from None
    assert isinstance(values, dict)
    return Composed({str(k): v for k, v in values.items()}, choices, tuple(overrides))


def _choices(config: DictConfig) -> dict[str, str | None]:
    """What was chosen of each group; not Hydra's own, nor what follows from other choices (GROUP@PACKAGE)."""
    every = {str(k): v for k, v in config.hydra.runtime.choices.items()}
    return {k: v for k, v in every.items() if not k.startswith("hydra/") and "@" not in k}


class PointComposer:
    """Composes many override lists that share their group choices, as `compose_config` does, a tenth of its time each.

    Values are set on a copy of the config that the group choices give, by the function Hydra itself uses for it.
    """

    def __init__(self, name: str = "train") -> None:
        self.name = name
        self._bases: dict[tuple[str, ...], tuple[DictConfig, dict[str, str | None]]] = {}

    def compose(self, overrides: Sequence[str]) -> Composed:
        """Compose conf/NAME.yaml with `key=value` overrides.

        Raises:
            ConfigError: as `compose_config`.
        """
        try:
            with hydra_on_conf(self.name):
                loader: Any = GlobalHydra.instance().config_loader()
                parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
                groups = [o for o in parsed if o.is_hydra_override() or loader.repository.group_exists(o.key_or_group)]
                key = tuple(str(o.input_line) for o in groups)
                if key not in self._bases:
                    base = compose(self.name, list(key), return_hydra_config=True)
                    choices = _choices(base)
                    with open_dict(base):
                        del base["hydra"]
                    self._bases[key] = base, choices
                base, choices = self._bases[key]
                config = copy.deepcopy(base)
                loader._apply_overrides_to_config([o for o in parsed if o not in groups], config)
                values = OmegaConf.to_container(config, resolve=True)
        except (HydraException, OmegaConfBaseException) as error:
            raise explain_error(error, overrides, self.name) from None
        assert isinstance(values, dict)
        return Composed({str(k): v for k, v in values.items()}, dict(choices), tuple(overrides))


def group_choices(group: str) -> list[str]:
    """List the choices of a config group (also those that other packages add), nested ones as `wavegrad/base`."""
    from hydra.core.object_type import ObjectType

    found: list[str] = []
    with hydra_on_conf("train"):
        loader = GlobalHydra.instance().config_loader()

        def walk(path: str) -> None:
            found.extend(f"{path}/{o}" for o in loader.get_group_options(path, ObjectType.CONFIG))
            for folder in loader.get_group_options(path, ObjectType.GROUP):
                walk(f"{path}/{folder}")

        walk(group)
    return sorted(name for f in found if not (name := f.removeprefix(group + "/")).rsplit("/", 1)[-1].startswith("_"))


def read_choice(group: str, choice: str) -> dict[str, Any]:
    """Read the file of a group's choice as it is written, interpolations unresolved.

    Raises:
        ConfigError: there is none.
    """
    with hydra_on_conf("train"):
        loader: Any = GlobalHydra.instance().config_loader()
        loaded = loader.repository.load_config(f"{group}/{choice}")
    if loaded is None:
        raise _missing_choice(f"{group}/{choice}", [f"{group}={choice}"])
    content = OmegaConf.to_container(loaded.config, resolve=False)
    return {str(k): v for k, v in content.items()} if isinstance(content, dict) else {}


def _key_of(override: str) -> str:
    return override.split("=", 1)[0].lstrip("+~").split("@")[0]


def _is_sweep(override: str) -> bool:
    try:
        return bool(OverridesParser.create().parse_override(override).is_sweep_override())
    except OverrideParseException:
        return False


def known_keys(overrides: Sequence[str], name: str, without: str) -> list[str]:
    """All dotted keys of the config as it would be without the override of key `without`."""
    rest = [o for o in overrides if _key_of(o) != without and not _is_sweep(o)]
    try:
        config = _load(rest, name)
    except (HydraException, OmegaConfBaseException):
        return []
    if without.startswith("hydra."):
        inner = OmegaConf.to_container(config.hydra, resolve=False)
        return dotted_keys({"hydra": inner})
    with open_dict(config):
        del config["hydra"]
    return dotted_keys(OmegaConf.to_container(config, resolve=False))


def dotted_keys(node: Any, prefix: str = "") -> list[str]:
    """List the dotted keys of nested dicts, inner nodes included."""
    keys: list[str] = []
    if isinstance(node, dict):
        for key, value in node.items():
            path = f"{prefix}{key}"
            keys += [path, *dotted_keys(value, path + ".")]
    return keys


def explain_error(error: Exception, overrides: Sequence[str], name: str) -> ConfigError:
    """Turn an error of Hydra or OmegaConf into one paragraph: key, what was expected, nearest right name."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        return ConfigError(
            f"{error.override!r} on the command line cannot be parsed: {_first_line(text)}. Expected key=value; "
            "quote values with commas, blanks or brackets, e.g. 'key=[1,2]'."
        )
    if isinstance(error, MissingConfigException) and (match := re.search(r"Could not (?:find|load) '([^']+)'", text)):
        return _missing_choice(match.group(1), overrides)
    if match := re.search(r"You must specify '([^']+)'", text):
        group = match.group(1)
        return ConfigError(
            f"{group} is missing. Expected {group}=NAME on the command line; "
            f"choices: {', '.join(group_choices(group))}."
        )
    if match := re.search(r"(?:Could not (?:override|append to config) |delete from config.* )'([^']+)'", text):
        key = match.group(1).split("@")[0]
        return _unknown_key(key, overrides, name, text)
    key = getattr(error, "full_key", None)
    where = f"{key}: " if key else ""
    return ConfigError(f"{where}{_first_line(text)}. Check the interpolations and the type of this key.")


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0].rstrip(".")


def _missing_choice(path: str, overrides: Sequence[str]) -> ConfigError:
    group, _, choice = path.rpartition("/") if path.startswith("hydra/") else path.partition("/")
    if group in GROUPS or group.startswith("hydra/"):
        choices = group_choices(group)
        given = [o for o in overrides if _key_of(o) == group and o.endswith(choice)]
        origin = "the command line" if given else "the defaults list of a config file"
        return ConfigError(
            f"{group}={choice} (from {origin}): conf/{group} has no {choice!r}. "
            f"{suggest(choice, choices)} `reprise list` shows what exists."
        )
    return ConfigError(f"{path}: no such config. {suggest(group, GROUPS)}")


def _unknown_key(key: str, overrides: Sequence[str], name: str, text: str) -> ConfigError:
    keys = known_keys(overrides, name, key)
    parent, _, leaf = key.rpartition(".")
    siblings = [k.rpartition(".")[2] for k in keys if k.rpartition(".")[0] == parent]
    extra = ""
    if "Multiple values" not in text and (parameters := _parameters_of(parent, overrides, name, key)):
        if leaf in parameters:
            return ConfigError(
                f"{key} (from the command line) is not set in the config. It is a valid parameter, so "
                f"add it with a plus: +{key}=VALUE."
            )
        siblings = sorted(set(siblings) | set(parameters))
        extra = f" `{parent}` takes: {', '.join(siblings)}."
    if not siblings:
        near = nearest(key, keys)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"{parent or 'The config'} has no such key."
        return ConfigError(f"{key} (from the command line) is not a key of the config. {hint}")
    names = [f"{parent}.{s}" if parent else s for s in siblings]
    near = nearest(leaf, siblings)
    hint = suggest(key, [f"{parent}.{n}" if parent else n for n in near] or names)
    return ConfigError(f"{key} (from the command line) is not a key of the config. {hint}{extra}")


def _parameters_of(parent: str, overrides: Sequence[str], name: str, without: str) -> list[str]:
    from reprise.config.signatures import Unresolvable, signature

    rest = [o for o in overrides if _key_of(o) != without]
    try:
        target = OmegaConf.select(_load(rest, name), f"{parent}._target_")
        return list(signature(target).parameters) if target else []
    except (HydraException, OmegaConfBaseException, Unresolvable):
        return []
