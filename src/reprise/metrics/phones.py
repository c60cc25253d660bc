"""The 61 phones of TIMIT, and the smaller sets of Lee and Hon (1989) in which errors are counted."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import groupby
from typing import TypeVar

# vowels, stops, closures, affricates and fricatives, nasals, glides; pause, epenthetic silence, silence at the ends
_TIMIT_61 = """
iy ih eh ey ae aa aw ay ah ao oy ow uh uw ux er ax ix axr ax-h
b d g p t k dx q
bcl dcl gcl pcl tcl kcl
jh ch s sh z zh f th v dh
m n ng em en eng nx
l r w y hh hv el
pau epi h#
"""
TIMIT_61: tuple[str, ...] = tuple(_TIMIT_61.split())

_61_TO_48 = {
    "ax-h": "ax", "axr": "er", "ux": "uw", "em": "m", "nx": "n", "eng": "ng", "hv": "hh",
    "bcl": "vcl", "dcl": "vcl", "gcl": "vcl", "pcl": "cl", "tcl": "cl", "kcl": "cl", "h#": "sil", "pau": "sil",
}  # fmt: skip
_48_TO_39 = {
    "ao": "aa", "ax": "ah", "ix": "ih", "el": "l", "en": "n", "zh": "sh", "cl": "sil", "vcl": "sil", "epi": "sil",
}  # fmt: skip

# each phone's name among 48, of which models of phones are made; the glottal stop q is left out of sequences
TIMIT_61_TO_48: dict[str, str | None] = {p: None if p == "q" else _61_TO_48.get(p, p) for p in TIMIT_61}
# and among 39, in which errors are counted
TIMIT_61_TO_39: dict[str, str | None] = {
    phone: None if among_48 is None else _48_TO_39.get(among_48, among_48) for phone, among_48 in TIMIT_61_TO_48.items()
}

Class = TypeVar("Class", bound=Hashable)
Mapped = TypeVar("Mapped", bound=Hashable)


def merged(classes: Iterable[Class]) -> list[Class]:
    """Each run of equal neighbours once: what frames say, as a sequence."""
    return [value for value, _ in groupby(classes)]


def mapped(classes: Iterable[Class], table: Mapping[Class, Mapped | None]) -> list[Mapped]:
    """A sequence by a table; what it maps to None is left out."""
    return [value for name in classes if (value := table[name]) is not None]
