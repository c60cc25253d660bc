"""Sound files that grow while their samples are drawn, and can be played at any time."""

from __future__ import annotations

import wave
from pathlib import Path
from types import TracebackType

from torch import Tensor


class WavStream:
    """A 16-bit mono wav file, whose header is right after every part, so that an interrupted file is a shorter one.

    Values become 16 bits as in `samples.audio.write_audio`: the higher half of 32, of which the lower half is dropped.

    Args:
        path: of the file; its folder is made.
        sample_rate: in Hz.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("wb")
        try:
            self._wave = wave.Wave_write(self._file)
            self._wave.setparams((1, 2, sample_rate, 0, "NONE", "not compressed"))
            self._wave.writeframes(b"")
        except BaseException:
            self._file.close()
            raise
        self._file.flush()

    def write(self, audio: Tensor) -> None:
        """Append samples (n,) in [-1, 1]; what lies outside is clipped."""
        if len(audio):
            fine = (audio.detach().double().cpu().clamp(-1.0, 1.0) * 2.0**31).round().clamp(max=2.0**31 - 1)
            self._wave.writeframes((fine.long() >> 16).numpy().astype("<i2").tobytes())  # and mends the header
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._wave.close()
        self._file.close()

    def __enter__(self) -> WavStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
