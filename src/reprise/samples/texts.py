"""A text beside what it was made from, as a text file and as a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reprise.samples.base import Sample, Shown

_WIDTH = 80  # letters of a line in the picture


@dataclass(frozen=True, eq=False, kw_only=True)
class TextSample(Sample):
    """Texts with a title each, e.g. a source, its reference and a hypothesis.

    Attributes:
        texts: by title, in the order shown.

    Raises:
        ValueError: there is no text.
    """

    texts: Mapping[str, str]

    def __post_init__(self) -> None:
        if not self.texts:
            raise ValueError("no text is given. Expected one or more.")

    def write(self, folder: Path) -> list[Shown]:
        """Write NAME.txt and NAME.png; the picture is shown."""
        plain, picture = folder / f"{self.name}.txt", folder / f"{self.name}.png"
        plain.parent.mkdir(parents=True, exist_ok=True)
        plain.write_text("".join(f"{title}: {text}\n" for title, text in self.texts.items()), encoding="utf-8")
        self._draw(picture)
        return [Shown(self.name, picture, "image", self.caption)]

    def _draw(self, path: Path) -> None:
        from matplotlib.figure import Figure

        blocks = [f"{title}\n" + textwrap.fill(text or "(empty)", _WIDTH) for title, text in self.texts.items()]
        content = "\n\n".join(blocks)
        figure = Figure(figsize=(8.0, 0.3 + 0.2 * (content.count("\n") + 1)))
        # parse_math: a dollar in a text is no formula
        figure.text(0.02, 0.5, content, va="center", fontsize=10, family="monospace", parse_math=False)
        figure.savefig(path, dpi=120, metadata={"Software": None})
