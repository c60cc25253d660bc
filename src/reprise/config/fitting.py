"""Whether what was chosen goes together: an architecture with its model, a name with the table that lists it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from reprise.config.compose import Composed, group_choices
from reprise.config.errors import ConfigError, suggest


def require_fitting_arch(choices: Mapping[str, str | None], compose: Callable[[Sequence[str]], Composed]) -> None:
    """Refuse an architecture of another model, whose networks would be trained under this model's name.

    The folder of `arch=FOLDER/SIZE` has to be that of the model's own default.

    Args:
        choices: of the config groups; those of model and arch are read.
        compose: composes a config of override words.

    Raises:
        ConfigError: it is of another model.
    """
    model, arch = choices.get("model"), choices.get("arch")
    if not model or not arch:
        return
    folder = arch.rpartition("/")[0]
    if folder == model:
        return
    default = compose([f"model={model}"]).choices.get("arch")
    if default is None:
        raise ConfigError(f"arch={arch} does not fit model={model}, which has no choice of arch. Leave it out.")
    own = default.rpartition("/")[0]
    if folder != own:
        fitting = [name for name in group_choices("arch") if name.startswith(f"{own}/")]
        raise ConfigError(f"arch={arch} does not fit model={model}. Expected one of {', '.join(fitting)}.")


def explain_misfit(words: Sequence[str], compose: Callable[[Sequence[str]], Composed]) -> None:
    """Raise the error of `require_fitting_arch` where words that do not compose name both, and both exist.

    Raises:
        ConfigError: the words name an architecture of another model.
    """
    given = dict(word.split("=", 1) for word in words if word.startswith(("model=", "arch=")))
    if given.get("model") in group_choices("model") and given.get("arch") in group_choices("arch"):
        require_fitting_arch(given, compose)


def explain_unknown_name(
    error: ConfigError, words: Sequence[str], compose: Callable[[Sequence[str]], Composed]
) -> None:
    """Raise a better error where a word's value names an entry that a table of the config lacks.

    `data.name=coraa` makes `${data.sizes.${data.name}.features}` miss a key that nobody wrote.

    Raises:
        ConfigError: the value is none of the table's entries.
    """
    missing = re.search(r"Interpolation key '([^']+)' not found", str(error))
    path = missing.group(1).split(".") if missing else []
    for word in words:
        key, _, value = word.partition("=")
        if value in path:
            try:
                node: object = compose([other for other in words if other != word]).values
            except ConfigError:
                continue  # wrong in another way too: the first error stands
            for part in path[: path.index(value)]:
                node = node.get(part) if isinstance(node, dict) else None
            if isinstance(node, dict):
                raise ConfigError(f"{key}={value} is not known. {suggest(value, map(str, node))}") from None
