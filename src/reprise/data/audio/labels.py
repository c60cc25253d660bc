"""Labels of clips: from names to numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.data.audio.recordings import Recording
from reprise.nn.labels import TAG

UNKNOWN = -1


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
