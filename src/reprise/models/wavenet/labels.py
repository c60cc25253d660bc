"""Names of the classes that audio is conditioned on: those of the model, of the data, and of the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from reprise.config.errors import ConfigError, suggest
from reprise.models.wavenet.conditions import one_hot
from reprise.nn.labels import TAG

Names = Mapping[str, Sequence[str]]


def fitting_labels(ours: Names, data: Names) -> None:
    """Refuse data whose classes are others than the model's, or in another order.

    Raises:
        ConfigError: they differ; the text is what to set.
    """
    theirs = {kind: [str(name) for name in names] for kind, names in data.items()}
    if [(k, list(v)) for k, v in ours.items()] == list(theirs.items()):
        return
    total = sum(len(names) for names in theirs.values())
    plus = "+" if ours and set(theirs) - set(ours) else ""  # Hydra's, for a kind beside others
    listed = ",".join(f"{kind}:[{','.join(names)}]" for kind, names in theirs.items())
    raise ConfigError(
        f"the model is conditioned on {_counted(ours)}, the data have {_counted(theirs)}. Set "
        f"'{plus}model.labels={{{listed}}}' and model.network.global_channels={total}, or choose other data.labels."
    )


def _counted(labels: Names) -> str:
    return ", ".join(f"{len(names)} of kind {kind}" for kind, names in labels.items()) or "no labels"


def chosen_labels(wanted: Mapping[str, object], known: Names, default: Tensor) -> Tensor:
    """Label numbers (K,) by name; a kind that is not named keeps its default.

    Args:
        wanted: name by kind.
        known: names of each kind.
        default: (K,).

    Raises:
        ConfigError: an unknown kind or name; the text has the nearest.
    """
    found = default.clone()
    kinds = [kind for kind in known if kind != TAG]
    for kind, name in wanted.items():
        if kind not in kinds:
            raise ConfigError(f"{kind!r} is not a kind of label of this model. {suggest(kind, kinds)}")
        names = [str(n) for n in known[kind]]
        if str(name) not in names:
            raise ConfigError(f"{kind}={name} is not known to this model. {suggest(str(name), names)}")
        found[kinds.index(kind)] = names.index(str(name))
    return found


def chosen_tags(wanted: Sequence[str] | None, known: Sequence[str], default: Tensor | None) -> Tensor:
    """Tags (N,) of 0 and 1 by name; where none is named, the default, or none of them.

    Raises:
        ConfigError: an unknown tag.
    """
    if wanted is None:
        return torch.zeros(len(known)) if default is None else default.float().cpu()
    for name in wanted:
        if name not in known:
            raise ConfigError(f"{name!r} is not a tag that this model knows. {suggest(name, known)}")
    return torch.tensor([float(name in wanted) for name in known])


def global_condition(known: Names, labels: Tensor, tags: Tensor | None, like: Tensor) -> Tensor | None:
    """The vector h: one-hot vectors of all kinds side by side, tags last; None where nothing is known.

    Args:
        known: names of each kind.
        labels: (B, K), -1 where unknown.
        tags: (B, N) of 0 and 1, or None for none of them.
        like: has the device and the type of what is returned.

    Returns:
        (B, G).
    """
    counts = [len(names) for kind, names in known.items() if kind != TAG]
    parts = [one_hot(labels, counts)] if counts else []
    if TAG in known:
        parts.append(tags if tags is not None else torch.zeros(len(labels), len(known[TAG])))
    return torch.cat([part.to(like) for part in parts], 1) if parts else None
