"""Sound that needs no files: made on this machine at first use by espeak-ng."""

from __future__ import annotations

from pathlib import Path

from reprise.config.errors import ConfigError, DataError
from reprise.data.audio.recordings import Recording, Recordings, by_name, sound_files
from reprise.data.audio.spoken_digits import VOICES, spoken_digits
from reprise.data.audio.synthesis import synthetic_speech


def _refuse_root(root: Path | None) -> None:
    if root is not None:
        raise ConfigError(
            f"data.root={root} is not read by the embedded data, which are made on this machine. Use "
            "data=sequence_folder for recordings of your own."
        )


class SyntheticSentences(Recordings):
    """5.6 minutes of sentences by one voice at 22,050 Hz, without labels or splits."""

    def find(self, root: Path | None, cache: Path) -> list[Recording]:
        """Make the recordings where the cache has none, and list them."""
        _refuse_root(root)
        files = sound_files(synthetic_speech(cache), (".wav",))
        return [Recording(name, path) for name, path in by_name(files, lambda p: p.stem).items()]


class SyntheticDigits(Recordings):
    """The ten digits by several voices, each several times in other tempos and pitches, at 22,050 Hz.

    Labels are `speaker` and `digit`. As in the Free Spoken Digit Dataset the first takes are the test split.

    Args:
        voices: number of speakers, 1 to 6.
        takes: recordings of each digit by each speaker.
        test_takes: of these, for testing.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(self, voices: int = 6, takes: int = 5, test_takes: int = 1) -> None:
        if not 1 <= voices <= len(VOICES):
            raise ConfigError(f"data.recordings.voices is {voices}. Expected 1 to {len(VOICES)}.")
        if not 2 <= takes <= 40:
            raise ConfigError(f"data.recordings.takes is {takes}. Expected 2 to 40.")
        if not 1 <= test_takes < takes:
            raise ConfigError(
                f"data.recordings.test_takes is {test_takes}. Expected 1 or more, less than {takes} takes."
            )
        self.voices = voices
        self.takes = takes
        self.test_takes = test_takes

    def find(self, root: Path | None, cache: Path) -> list[Recording]:
        """Make the recordings where the cache has none, and list them."""
        _refuse_root(root)
        folder = spoken_digits(cache, self.voices, self.takes)
        files = by_name(sound_files(folder, (".wav",)), lambda path: path.stem)
        if len(files) != 10 * self.voices * self.takes:
            raise DataError(f"{folder} holds {len(files)} recordings of {10 * self.voices * self.takes}. Delete it.")
        return [self._recording(name, path) for name, path in files.items()]

    def _recording(self, name: str, path: Path) -> Recording:
        digit, speaker, take = name.split("_")
        split = "test" if int(take) < self.test_takes else "train"
        return Recording(name, path, labels={"speaker": speaker, "digit": digit}, split=split)
