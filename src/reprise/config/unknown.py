"""A choice that a config group lacks, said with the choices that it has."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reprise.config.compose import group_choices
from reprise.config.errors import ConfigError, suggest


def explain_unknown_choice(error: ConfigError, overrides: Sequence[str]) -> None:
    """Raise a better error where what does not compose names no choice of a group that some configs have, as `graph`.

    Args:
        error: of composing.
        overrides: the command line's words.

    Raises:
        ConfigError: the group exists, and the choice does not.
    """
    missing = re.match(r"(\w+)/(.+): no such config\.", str(error))
    if missing and (choices := group_choices(missing.group(1))):
        group, choice = missing.groups()
        given = any(re.fullmatch(rf"\+?{group}(@.*)?=.*\b{re.escape(choice)}", word) for word in overrides)
        origin = "the command line" if given else "the defaults list of a config file"
        raise ConfigError(
            f"{group}={choice} (from {origin}): conf/{group} has no {choice!r}. {suggest(choice, choices)} "
            f"`reprise list {group}` shows what exists."
        ) from None
