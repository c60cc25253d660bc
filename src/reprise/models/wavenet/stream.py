"""Writing waveforms to sound files while they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from reprise.samples.stream import WavStream


def streaming(
    files: Sequence[WavStream], on_chunk: Callable[[int, list[Tensor]], None] | None = None
) -> Callable[[int, list[Tensor]], None]:
    """An `on_chunk` for `generate` that appends each waveform's samples to its file.

    Args:
        files: one for each waveform. Samples that were given are not drawn; write them first.
        on_chunk: called afterwards, as for a progress bar.
    """

    def write(done: int, parts: list[Tensor]) -> None:
        for file, part in zip(files, parts, strict=True):
            file.write(part)
        if on_chunk is not None:
            on_chunk(done, parts)

    return write
