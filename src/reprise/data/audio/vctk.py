"""VCTK (Yamagishi, Veaux and MacDonald): English read by 110 speakers of various accents, 48 kHz, 44 hours."""

from __future__ import annotations

from pathlib import Path

from reprise.config.errors import ConfigError, DataError
from reprise.data.audio.recordings import Recording, Recordings, by_name
from reprise.data.download import fetch, unpack
from reprise.data.sources import Source

VCTK_092 = Source(
    name="VCTK-Corpus-0.92.zip",
    url="https://datashare.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
    size=11_747_302_977,
    sha256="f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c",
    licence="CC BY 4.0",
)
_WAV, _FLAC, _SPEAKERS = "wav48", "wav48_silence_trimmed", "speaker-info.txt"


class VCTK(Recordings):
    """VCTK 0.80 (wav48/p225/p225_001.wav) or 0.92 (wav48_silence_trimmed/p225/p225_001_mic1.flac) at root.

    root is the folder that holds these, or one above it (VCTK-Corpus, VCTK-Corpus-0.92). Of 0.80 every wav file is
    taken; of 0.92, also where both folders are there, the flac files of one microphone, with silence trimmed as they
    are published. A speaker is a folder, by whatever name: 0.92 has s5 beside p225 to p376. Labels are `speaker`, and
    `gender` and `accent` where speaker-info.txt has the speaker; those of others are unknown. There is no official
    split. The paper (section 3.1) has 109 speakers; 0.92 has one more.

    The layouts are tested on small made files; neither version was at hand. In particular it was not checked that all
    of p225_031 to p225_050 exist, which experiments hold out by name: one that does not is refused by its name.

    Args:
        microphone: 1 or 2, of the two of version 0.92. Speakers without recordings of it (p280 and p315 have none of
            the second) are left out, and named in a warning.
        download: fetch version 0.92, 11.7 GB, where root is not set.

    Raises:
        ConfigError: there is no such microphone.
        DataError: at use: root has neither layout.
    """

    where_to_get = (
        "Get VCTK from https://datashare.ed.ac.uk/handle/10283/3443 and set data.root to the folder with wav48/ or "
        "wav48_silence_trimmed/, or let version 0.92 (11.7 GB) be fetched with data.recordings.download=true."
    )

    def __init__(self, microphone: int = 1, download: bool = False) -> None:
        if microphone not in (1, 2):
            raise ConfigError(f"data.recordings.microphone is {microphone}. Expected 1 or 2.")
        self.microphone = microphone
        self.download = download

    def find(self, root: Path | None, cache: Path) -> list[Recording]:
        """List the recordings, sorted by name."""
        if root is None and self.download:
            root = unpack(fetch(VCTK_092, cache / "downloads"), cache / "VCTK-Corpus-0.92")
        place = self._corpus(self.folder(root))
        trimmed = (place / _FLAC).is_dir()
        pattern = f"*/*_mic{self.microphone}.flac" if trimmed else "*/*.wav"
        folder = place / (_FLAC if trimmed else _WAV)
        # ids are those of the texts, in both versions: p225_001, whichever microphone
        files = by_name(sorted(folder.glob(pattern)), lambda path: path.stem.removesuffix(f"_mic{self.microphone}"))
        if not files:
            raise DataError(f"{folder} holds no {pattern}. {self.where_to_get}")
        self.facts = {"version": "0.92" if trimmed else "0.80", "microphone": self.microphone if trimmed else None}
        self.complaint = self._complaint(folder, {path.parent.name for path in files.values()})
        speakers = read_speakers(place / _SPEAKERS)
        return [Recording(name, path, labels=self._labels(path, speakers)) for name, path in files.items()]

    def _complaint(self, folder: Path, found: set[str]) -> str:
        """Which speakers are left out; empty where none is."""
        left = sorted({path.parent.name for path in folder.glob("*/*") if path.suffix in (".flac", ".wav")} - found)
        if not left:
            return ""
        return f"{folder}: speakers without a recording of microphone {self.microphone} are left out: {', '.join(left)}"

    def _corpus(self, root: Path) -> Path:
        for place in (root, *sorted(p for p in root.iterdir() if p.is_dir())):
            if (place / _WAV).is_dir() or (place / _FLAC).is_dir():
                return place
        raise DataError(f"{root} is not VCTK: neither {_WAV}/ nor {_FLAC}/ is in it. {self.where_to_get}")

    def _labels(self, path: Path, speakers: dict[str, dict[str, str]]) -> dict[str, str]:
        speaker = path.parent.name
        if not path.stem.startswith(f"{speaker}_"):
            raise DataError(f"{path} lies in the folder of speaker {speaker}, but is named after another. Move it.")
        return {"speaker": speaker, **speakers.get(speaker, {})}


def read_speakers(path: Path) -> dict[str, dict[str, str]]:
    """Read speaker-info.txt: gender and accent by speaker.

    Columns are ID, AGE, GENDER, ACCENTS and further ones, divided by spaces; version 0.80 leaves the p of an ID out.

    Raises:
        DataError: it is missing, or a line has fewer columns.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing. It comes with VCTK: copy it there.")
    lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    found: dict[str, dict[str, str]] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if words[0].upper() == "ID":
            continue
        if len(words) < 4 or words[2] not in ("F", "M"):
            raise DataError(f"{path}, line {number}: expected ID AGE GENDER ACCENT, found {line[:60]!r}.")
        name = f"p{words[0]}" if words[0].isdecimal() else words[0]
        found[name] = {"gender": words[2], "accent": words[3]}
    if not found:
        raise DataError(f"{path} names no speaker. Copy it again.")
    return found
