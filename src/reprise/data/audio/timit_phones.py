"""The phones of TIMIT, the classes in which they are usually scored, and the speakers of the core test set."""

from __future__ import annotations

_PHONES = (
    "iy ih eh ey ae aa aw ay ah ao oy ow uh uw ux er ax ix axr ax-h "  # vowels
    "l r w y hh hv el m n ng em en eng nx "  # semivowels, nasals
    "s sh z zh f th v dh jh ch b d g p t k dx q "  # fricatives, affricates, stops
    "bcl dcl gcl pcl tcl kcl pau epi h#"  # closures, silence
)
PHONES = tuple(_PHONES.split())
"""The 61 labels of the .PHN files."""

_SAME = (
    "aa ao|ah ax ax-h|er axr|hh hv|ih ix|l el|m em|n en nx|ng eng|sh zh|uw ux|sil bcl dcl gcl pcl tcl kcl pau epi h#"
)


def _reduction() -> dict[str, str]:
    found = {phone: phone for phone in PHONES if phone != "q"}
    for group in _SAME.split("|"):
        first, *others = group.split()
        found |= dict.fromkeys(others, first)
    return found


REDUCED = _reduction()
"""61 labels to the 39 classes of Lee and Hon (1989); the glottal stop q has none."""

_CORE_TEST = (
    "MDAB0 MWBT0 FELC0 MTAS1 MWEW0 FPAS0 MJMP0 MLNT0 FPKT0 MLLL0 MTLS0 FJLM0 "
    "MBPM0 MKLT0 FNLP0 MCMJ0 MJDH0 FMGD0 MGRT0 MNJM0 FDHC0 MJLN0 MPAM0 FMLD0"
)
CORE_TEST = frozenset(_CORE_TEST.split())
"""The 24 speakers of the core test set, three of each dialect region, as TIMIT's own documentation lists them."""
