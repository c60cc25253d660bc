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


LJSPEECH = Source(
    name="LJSpeech-1.1.tar.bz2",
    url="https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
    size=2_748_572_632,
    sha256="be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
    licence="public domain",
)
