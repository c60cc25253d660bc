"""Where public data come from: address, size, checksum, licence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One file to download.

    Attributes:
        name: file name in the cache.
        url: first address to try.
        size: in bytes.
        sha256: hex digest.
        licence: of the data.
        mirrors: further addresses, tried in order.
    """

    name: str
    url: str
    size: int
    sha256: str
    licence: str
    mirrors: tuple[str, ...] = ()
