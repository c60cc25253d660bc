"""Names of the classes that audio is conditioned on."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from reprise.config.errors import ConfigError


def fitting_labels(ours: Mapping[str, Sequence[str]], data: Mapping[str, Sequence[str]]) -> None:
    """Refuse data whose classes are others than the model's, or in another order.

    Raises:
        ConfigError: they differ; the text is what to set.
    """
    theirs = {kind: [str(name) for name in names] for kind, names in data.items()}
    if {kind: list(names) for kind, names in ours.items()} == theirs and list(ours) == list(theirs):
        return
    total = sum(len(names) for names in theirs.values())
    listed = ", ".join(f"{kind}: [{', '.join(names)}]" for kind, names in theirs.items())
    raise ConfigError(
        f"the model is conditioned on {_counted(ours)}, the data have {_counted(theirs)}. Set model.labels to "
        f"{{{listed}}} and model.network.global_channels={total}; or choose with data.labels what the data give."
    )


def _counted(labels: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{len(names)} of {kind}" for kind, names in labels.items()) or "no labels"


def chosen_labels(wanted: Mapping[str, object], known: Mapping[str, Sequence[str]], default: Tensor) -> Tensor:
    """Label numbers (K,) by name; a kind that is not named keeps its default.

    Args:
        wanted: name by kind.
        known: names of each kind.
        default: (K,).

    Raises:
        ConfigError: an unknown kind or name; the text has the nearest.
    """
    found = default.clone()
    kinds = list(known)
    for kind, name in wanted.items():
        if kind not in known:
            raise ConfigError(f"labels.{kind}: there is no such kind. Expected one of {', '.join(kinds) or 'none'}.")
        names = [str(n) for n in known[kind]]
        if str(name) not in names:
            near = difflib.get_close_matches(str(name), names, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ConfigError(f"labels.{kind}={name} is unknown. Expected one of {', '.join(names)}.{hint}")
        found[kinds.index(kind)] = names.index(str(name))
    return torch.as_tensor(found)
