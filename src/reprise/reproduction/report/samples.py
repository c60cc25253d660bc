"""Sounds and pictures that measurements left: embedded while there is room, linked beyond."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from reprise.reproduction.entry import Entry
from reprise.reproduction.report.markup import file_link, place, plural, text

_SIGNS = {".png": (b"\x89PNG\r\n\x1a\n", "image/png"), ".wav": (b"RIFF", "audio/wav")}


@dataclass(frozen=True)
class Media:
    """What becomes of samples.

    Attributes:
        mode: embed them in the page, link to their files, or leave them out.
        page: directory the page will lie in; links are relative to it.
        total_bytes: of all embedded files, as they stand in the page.
        file_bytes: of one file on the disk.
        per_experiment: samples shown of one experiment.
    """

    mode: Literal["embed", "link", "none"] = "embed"
    page: Path = Path()
    total_bytes: int = 12_000_000
    file_bytes: int = 2_000_000
    per_experiment: int = 6


class Gallery:
    """Makes the galleries of all papers out of one allowance.

    Args:
        media: the settings.
        root: of the records, for the captions.
    """

    def __init__(self, media: Media, root: str) -> None:
        self.media = media
        self.root = root
        self._left = media.total_bytes

    def html(self, runs: Sequence[Entry]) -> str:
        """Samples of a paper's runs: of each protocol, the newest measurement of the first run that kept some."""
        if self.media.mode == "none":
            return ""
        found = []
        for _, group in groupby(runs, key=lambda r: (r.experiment or r.name, r.digest)):
            for run in group:
                folder, stems = _newest(run)
                if stems:
                    found.append(self._set(run, folder, stems))
                    break
        return "".join(found)

    def _set(self, run: Entry, folder: Path, stems: list[str]) -> str:
        shown = stems[: self.media.per_experiment]
        rest = len(stems) - len(shown)
        cards = "".join(self._card(folder, stem) for stem in shown)
        link = file_link(os.path.relpath(folder, self.media.page) + "/", place(folder, self.root))
        more = f"; {plural(rest, 'more sample')} there" if rest else ""
        return (
            f'<section class="gallery"><h4>{text(run.experiment or run.name)}</h4>'
            f'<p class="note">seed {run.seed}, {link}{more}</p><div class="cards">{cards}</div></section>'
        )

    def _card(self, folder: Path, stem: str) -> str:
        sounds = [(folder / f"{stem}.wav", "generated"), (folder / f"{stem}_truth.wav", "truth")]
        sounds = [(path, word) for path, word in sounds if _is_file(path)]
        name = f'<p class="sample-name"><code>{text(stem)}</code></p>'
        label = f"{stem}: picture of its sound" if sounds else f"picture of {stem}"
        picture = self._picture(folder / f"{stem}.png", label)
        if not sounds:
            return f'<div class="sample seen">{name}{picture}</div>'
        players = "".join(self._sound(path, word, stem) for path, word in sounds)
        return f'<div class="sample">{name}{picture}<div class="sounds">{players}</div></div>'

    def _picture(self, path: Path, label: str) -> str:
        if not _is_file(path):
            return ""
        data = self._data(path)
        if data is None:
            return f'<p class="note">{self._link(path)}</p>'
        return f'<img src="{data}" alt="{text(label)}" loading="lazy">'

    def _sound(self, path: Path, word: str, stem: str) -> str:
        data = self._data(path)
        if data is None:
            return f'<p class="note">{word}: {self._link(path)}</p>'
        label = f"{word}, {stem}"
        return f'<label>{word}<audio controls preload="none" src="{data}" aria-label="{text(label)}"></audio></label>'

    def _link(self, path: Path) -> str:
        why = " (not embedded: over the page's limit)" if self.media.mode == "embed" else ""
        return file_link(os.path.relpath(path, self.media.page), path.name) + why

    def _data(self, path: Path) -> str | None:
        """The file as an address of its own; None where it may not or cannot be embedded."""
        if self.media.mode != "embed":
            return None
        sign, kind = _SIGNS[path.suffix]
        try:
            size = path.stat().st_size
            if size > self.media.file_bytes or size * 4 / 3 > self._left:
                return None
            content = path.read_bytes()
        except OSError:
            return None
        if not content.startswith(sign):
            return None
        coded = base64.b64encode(content).decode()
        self._left -= len(coded)
        return f"data:{kind};base64,{coded}"


def _is_file(path: Path) -> bool:
    """Whether there is a file; a link could lead out of the run directory, so it counts as none."""
    return path.is_file() and not path.is_symlink()


def _newest(run: Entry) -> tuple[Path, list[str]]:
    """Folder and names of the newest samples of a run."""
    for evaluation in reversed(run.evaluations):
        folder = run.directory / evaluation.folder / "samples"
        if not folder.is_dir() or not folder.resolve().is_relative_to(run.directory.resolve()):
            continue
        stems = {p.stem for p in folder.iterdir() if p.suffix in _SIGNS and _is_file(p)}
        return folder, sorted(s for s in stems if not (s.endswith("_truth") and s.removesuffix("_truth") in stems))
    return run.directory, []
