"""Labels of clips: from names to numbers and back, of the command line too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from reprise.config.errors import ConfigError, suggest
from reprise.data.audio.recordings import Recording

UNKNOWN = -1
TAG = "tag"
"""Kind of names of which several hold at once: `label_names` has it, "labels" has no column for it, "tags" is it."""


def sorted_names(names: Iterable[str]) -> list[str]:
    """Names without doubles, in order; numbers are sorted as numbers where all are."""
    found = sorted(set(names))
    return sorted(found, key=int) if all(name.isdecimal() for name in found) else found


def name_labels(recordings: Sequence[Recording], kinds: Sequence[str]) -> dict[str, list[str]]:
    """Names of each kind of label that recordings have, sorted.

    Raises:
        ConfigError: no recording has a kind.
    """
    found = {kind: sorted_names(r.labels[kind] for r in recordings if kind in r.labels) for kind in kinds}
    for kind, names in found.items():
        if not names:
            known = sorted({k for r in recordings for k in r.labels})
            fix = f"Expected some of {', '.join(known)}." if known else "These recordings have no labels."
            raise ConfigError(f"data.labels names {kind!r}, which no recording has. {fix}")
    return found


def label_row(labels: Mapping[str, str], label_names: Mapping[str, Sequence[str]]) -> Tensor:
    """Numbers (K,) int64 of the labels of a clip, in the order of the kinds; -1 for one that is unknown."""
    kinds = [kind for kind in label_names if kind != TAG]
    found = [list(label_names[k]).index(labels[k]) if labels.get(k) in label_names[k] else UNKNOWN for k in kinds]
    return torch.tensor(found, dtype=torch.int64)


def label_indices(names: Mapping[str, str], label_names: Mapping[str, Sequence[str]]) -> Tensor:
    """Turn names, such as a user gives, into the labels that a model is conditioned on.

    Args:
        names: kind to name, e.g. {"speaker": "george"}; kinds that are left out are unknown.
        label_names: of the data: kind to its names.

    Returns:
        (K,) int64 in the order of the kinds (tags have none), -1 for unknown.

    Raises:
        ConfigError: a kind or a name is not among them; the message has the nearest, or all.
    """
    kinds = [kind for kind in label_names if kind != TAG]
    for kind, name in names.items():
        if kind == TAG:
            raise ConfigError("Tags hold several at once and are no label. Use tag_values for them.")
        if kind not in kinds:
            raise ConfigError(f"{kind!r} is not a kind of label of these data. {suggest(kind, kinds)}")
        if name not in label_names[kind]:
            raise ConfigError(f"{kind}={name} is not known to these data. {suggest(name, label_names[kind])}")
    return label_row(names, label_names)


def tag_values(names: Iterable[str], label_names: Mapping[str, Sequence[str]]) -> Tensor:
    """Turn names of tags into (N,) float32: 1 where a tag of `label_names["tag"]` is among them, 0 elsewhere.

    Raises:
        ConfigError: the data have no tags, or not this one.
    """
    known = list(label_names.get(TAG, ()))
    chosen = list(names)
    for name in chosen:
        if name not in known:
            raise ConfigError(f"{name!r} is not a tag of these data. {suggest(name, known)}")
    return torch.tensor([float(name in chosen) for name in known])
