"""TIMIT (Garofolo and others 1993): 6300 sentences with phones and their times, 16 kHz."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from reprise.config.errors import ConfigError, DataError, suggest
from reprise.data.audio.recordings import Recording, Recordings
from reprise.data.audio.timit_phones import CORE_TEST, PHONES, REDUCED

RATE = 16000  # of the recordings; times in .PHN files are samples at this rate
SPEAKERS = {"train": 462, "val": 144, "test": 24}
"""Speakers of the whole corpus by split; each reads ten sentences, two of them SA."""


class TIMIT(Recordings):
    """TRAIN/DRn/SPEAKER/SENTENCE.WAV and TEST/..., with the phones of each sentence in the .PHN file beside it.

    Names may have either case, and recordings may be NIST files or RIFF ones; root is the folder with TRAIN and TEST or
    one above it. Labels are `speaker`, `gender` (F or M) and `dialect` (DR1 to DR8). Splits: TRAIN for training; the 24
    speakers of the core test set for testing; the other speakers of TEST for validation. The two sentences that all
    speakers read (SA) are left out, as is usual in recognition. Where a copy has fewer sentences than these splits, a
    warning says how many are missing, and the run record has it.

    Args:
        phones: classes of frames: 39 after Lee and Hon (1989), in which error rates are scored, or the 61 labels as
            they are. Of 39, glottal stops belong to none.
        with_sa: keep the SA sentences.

    Raises:
        ConfigError: another number of phones.
    """

    where_to_get = (
        "TIMIT is sold by the Linguistic Data Consortium (https://catalog.ldc.upenn.edu/LDC93S1). Set data.root to the "
        "folder with TRAIN/ and TEST/."
    )

    def __init__(self, phones: int = 39, with_sa: bool = False) -> None:
        if phones not in (39, 61):
            raise ConfigError(f"data.recordings.phones is {phones}. Expected 39 or 61.")
        self.reduction = REDUCED if phones == 39 else {phone: phone for phone in PHONES}
        self.frame_names: Sequence[str] = sorted(set(self.reduction.values()))
        self.with_sa = with_sa

    def find(self, root: Path | None, cache: Path) -> list[Recording]:
        """List the sentences, sorted by part, dialect, speaker and name."""
        place = self._corpus(self.folder(root))
        found = []
        for part in ("TRAIN", "TEST"):
            folder = _child(place, part)
            if folder is None:
                raise DataError(f"{place} has no {part}/. {self.where_to_get}")
            sentences = sorted(p for p in folder.glob("*/*/*") if p.suffix.upper() == ".WAV")
            if not sentences:
                raise DataError(f"{folder} holds no DRn/SPEAKER/SENTENCE.WAV. {self.where_to_get}")
            found += [self._recording(part, p) for p in sentences if self.with_sa or p.stem.upper()[:2] != "SA"]
        there = Counter(r.split for r in found)
        whole = {split: speakers * (10 if self.with_sa else 8) for split, speakers in SPEAKERS.items()}
        missing = {split: count - there[split] for split, count in whole.items() if there[split] < count}
        self.facts = {"missing": missing}
        lacks = ", ".join(f"{count} of {whole[split]} in {split}" for split, count in missing.items())
        self.complaint = lacks and f"{place} is not the whole of TIMIT: it lacks {lacks}. Figures do not compare."
        return found

    def _corpus(self, root: Path) -> Path:
        for place in (root, *sorted(p for p in root.iterdir() if p.is_dir())):
            if _child(place, "TRAIN") or _child(place, "TEST"):
                return place
        raise DataError(f"{root} is not TIMIT: TRAIN/ and TEST/ are missing. {self.where_to_get}")

    def _recording(self, part: str, path: Path) -> Recording:
        speaker, dialect, name = path.parent.name.upper(), path.parents[1].name.upper(), path.stem.upper()
        split = "train" if part == "TRAIN" else "test" if speaker in CORE_TEST else "val"
        labels = {"speaker": speaker, "gender": speaker[0], "dialect": dialect}
        phones = _child(path.parent, f"{name}.PHN")
        if phones is None:
            raise DataError(f"{path.with_suffix('.PHN')} is missing: the phones of {path.name}. Restore it.")
        segments = tuple(
            (begin / RATE, end / RATE, self.reduction.get(phone, "")) for begin, end, phone in read_phones(phones)
        )
        return Recording(f"{part}/{dialect}/{speaker}/{name}", path, labels=labels, split=split, segments=segments)


def _child(folder: Path, name: str) -> Path | None:
    """What a folder has of a name in capitals or small letters."""
    return next((p for n in (name, name.lower()) if (p := folder / n).exists()), None)


def read_phones(path: Path) -> list[tuple[int, int, str]]:
    """Read a .PHN file: lines of first sample, sample behind the last one, and phone.

    Raises:
        DataError: a line has another form, times go back, or a phone is unknown.
    """
    found: list[tuple[int, int, str]] = []
    for number, line in enumerate(path.read_text(encoding="ascii", errors="replace").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 3 or not words[0].isdecimal() or not words[1].isdecimal():
            raise DataError(f"{path}, line {number}: expected `begin end phone`, found {line[:60]!r}.")
        begin, end, phone = int(words[0]), int(words[1]), words[2]
        if phone not in PHONES:
            raise DataError(f"{path}, line {number}: {phone!r} is no phone of TIMIT. {suggest(phone, PHONES)}")
        if end < begin or (found and begin < found[-1][0]):
            raise DataError(f"{path}, line {number}: times go back. Restore the file.")
        found.append((begin, end, phone))
    if not found:
        raise DataError(f"{path} is empty. Restore it.")
    return found
