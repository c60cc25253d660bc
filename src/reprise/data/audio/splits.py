"""Which recordings are trained on, and which are held out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from reprise.config.errors import ConfigError, DataError, suggest
from reprise.data.audio.recordings import Recording

log = logging.getLogger(__name__)

HeldOut = int | list[str] | None


def keep_only(recordings: Sequence[Recording], only: Mapping[str, Sequence[str]], key: str) -> list[Recording]:
    """Recordings whose labels are among those asked for.

    Args:
        recordings: to choose from.
        only: kind of label to names.
        key: of the config, for messages.

    Raises:
        ConfigError: no recording has such a kind or name.
    """
    for kind, names in only.items():
        kinds = {k for r in recordings for k in r.labels}
        if kind not in kinds:
            raise ConfigError(f"{key}.{kind}: the recordings have no such label. {suggest(kind, kinds)}")
        known = {r.labels[kind] for r in recordings if kind in r.labels}
        for name in names:
            if name not in known:
                raise ConfigError(f"{key}.{kind} names {name!r}, which no recording has. {suggest(name, known)}")
    return [r for r in recordings if all(r.labels.get(kind) in names for kind, names in only.items())]


def leave_out(recordings: Sequence[Recording], skip: Sequence[str]) -> list[Recording]:
    """Recordings without those of some ids.

    Raises:
        ConfigError: there is no recording of an id.
    """
    ids = {r.id for r in recordings}
    for name in skip:
        if name not in ids:
            raise ConfigError(f"data.skip names {name!r}, which is no recording. {suggest(name, ids)}")
    return [r for r in recordings if r.id not in set(skip)]


def divide(recordings: Sequence[Recording], val: HeldOut, test: HeldOut, seed: int) -> dict[str, list[int]]:
    """Divide recordings into train, val and test.

    Args:
        recordings: of which `split` may say where they belong.
        val, test: the recordings held out: None for those that the data set names, a number for so many drawn of the
            ones for training, or their ids. Those which the data set names for a split and that are not asked for are
            left out, except that a validation split without official clips is one of the training clips.
        seed: of the draw.

    Returns:
        split to indices into `recordings`, ascending.

    Raises:
        ConfigError: the data set names none where None is given, an id is unknown or in both, or a number is below 1.
        DataError: too few recordings.
    """
    official = {s: [i for i, r in enumerate(recordings) if r.split == s] for s in ("val", "test")}
    free = [i for i, r in enumerate(recordings) if r.split in ("", "train")]
    at = {r.id: i for i, r in enumerate(recordings)}
    found: dict[str, list[int]] = {}
    for split, asked in (("test", test), ("val", val)):
        if isinstance(asked, list):
            if twice := [name for i, name in enumerate(asked) if name in asked[:i]]:
                raise ConfigError(f"data.{split}_clips names {twice[0]!r} twice. Remove one.")
            found[split] = sorted(_index(name, at, f"data.{split}_clips") for name in asked)
        elif asked is None:
            if not official[split]:
                raise ConfigError(
                    f"data.{split}_clips is null, but the recordings name no {split} clips of their own. "
                    f"Set it to a number of clips, or to a list of their ids."
                )
            found[split] = official[split]
        elif asked < 1:
            raise ConfigError(f"data.{split}_clips is {asked}. Expected 1 or more, a list of ids, or null.")
    if both := set(found.get("val", [])) & set(found.get("test", [])):
        raise ConfigError(f"{recordings[min(both)].id!r} is in data.val_clips and in data.test_clips. Remove one.")
    taken = {i for indices in found.values() for i in indices}
    order = np.random.default_rng(seed).permutation([i for i in free if i not in taken]).tolist()
    for split, asked in (("test", test), ("val", val)):
        if isinstance(asked, int):
            found[split], order = sorted(order[:asked]), order[asked:]
    if not order or any(not found[s] for s in ("val", "test")):
        raise DataError(
            f"{len(recordings)} recordings cannot give data.val_clips={val} and data.test_clips={test} and leave any "
            "for training. Hold out fewer."
        )
    return {"train": sorted(order), **found}


def _index(name: str, at: Mapping[str, int], key: str) -> int:
    if name not in at:
        raise ConfigError(f"{key} names {name!r}, which is no recording. {suggest(name, at)}")
    return at[name]


def warn_of_doubles(ids: Sequence[str], digests: Sequence[str], splits: Mapping[str, Sequence[int]]) -> None:
    """Say which held-out clips have the samples of a training clip.

    Args:
        ids: of the recordings.
        digests: of their waveforms.
        splits: train, val and test to indices of recordings.
    """
    trained = {digests[i]: i for i in splits["train"]}
    for split in ("val", "test"):
        doubles = [i for i in splits[split] if digests[i] in trained]
        if doubles:
            other = trained[digests[doubles[0]]]
            log.warning(
                "%d %s clips are trained on too under another name, the first being %s as %s; data.skip leaves "
                "recordings out",
                *(len(doubles), split, ids[doubles[0]], ids[other]),
            )
