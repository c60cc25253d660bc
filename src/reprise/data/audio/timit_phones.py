"""The phones of TIMIT as its files name them, the classes they are scored in, and the speakers of the core test set."""

from __future__ import annotations

from reprise.metrics.phones import TIMIT_61, TIMIT_61_TO_39

PHONES = TIMIT_61
"""The 61 labels of the .PHN files."""

REDUCED = {phone: among for phone, among in TIMIT_61_TO_39.items() if among is not None}
"""61 labels to the 39 classes of Lee and Hon (1989); the glottal stop q has none."""

_CORE_TEST = (
    "MDAB0 MWBT0 FELC0 MTAS1 MWEW0 FPAS0 MJMP0 MLNT0 FPKT0 MLLL0 MTLS0 FJLM0 "
    "MBPM0 MKLT0 FNLP0 MCMJ0 MJDH0 FMGD0 MGRT0 MNJM0 FDHC0 MJLN0 MPAM0 FMLD0"
)
CORE_TEST = frozenset(_CORE_TEST.split())
"""The 24 speakers of the core test set, three of each dialect region, as TIMIT's own documentation lists them."""
