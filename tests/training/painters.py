"""Stand-ins: modules that make images of known values, from nothing, from examples or from files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor

from reprise.samples.images import ImageGrid
from reprise.training.restore import Restored


class Painter(pl.LightningModule):
    """Paints one colour, its `shade`, and remembers how it was asked."""

    generation_batch = 3

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[list[Any], list[int], dict[str, Any]]] = []

    def inputs_for(self) -> Literal["given", "examples", "none"]:
        return "none"

    def generate(
        self,
        conditions: list[Any],
        *,
        shade: int,
        seed: int = 0,
        lines: list[int] | None = None,
        quick: bool = True,
        keys: list[int] | None = None,
        on_step: Callable[[int], None] = lambda n: None,
    ) -> list[Tensor]:
        """Paint.

        Args:
            conditions: what is given, or None.
            shade: the colour of all pixels,
                from 0 to 255.
            seed, lines: what every
                image begins with.
            keys: one number each.
            on_step: called after each line.

        Returns:
            (1, 2, 2) each.
        """
        self.asked.append((conditions, list(keys or []), {"shade": shade, "seed": seed}))
        for n in range(2):
            on_step(n)
        return [torch.full((1, 2, 2), shade) if c is None else c + shade for c in conditions]

    def generate_steps(self, seed: int = 0) -> int:
        return 2 + 0 * seed


class Completer(Painter):
    """Takes the first test examples, and shows originals above completions; inherits `generate`."""

    generation_batch = 16

    def inputs_for(self, shade: int) -> Literal["given", "examples", "none"]:
        return "examples" if shade < 100 else "given"

    def overview(self, conditions: list[Tensor], made: list[Tensor], shade: int) -> ImageGrid | None:
        if shade == 0:
            return None
        images = torch.stack([*conditions, *made])
        return ImageGrid(name="overview", caption="", images=images, levels=256, columns=len(made))


class Plain(pl.LightningModule):
    """Offers nothing but `generate`."""

    def generate(self, conditions: list[Tensor], *, keys: list[int], on_step: Any) -> list[Tensor]:
        on_step(0)
        return conditions


class Canvas:
    """A data module whose samples are text files."""

    def __init__(self, examples: int = 5) -> None:
        self.examples = examples
        self.calls: list[str] = []

    def prepare_data(self) -> None:
        self.calls.append("prepare_data")

    def setup(self, stage: str) -> None:
        self.calls.append(f"setup {stage}")

    def example_inputs(self, count: int) -> Iterable[tuple[str, Tensor]]:
        assert self.calls == ["prepare_data", "setup test"]
        return ((f"example-{i}", torch.full((1, 2, 2), i)) for i in range(min(count, self.examples)))

    def read_inputs(self, path: Path) -> Iterable[tuple[str, Tensor]]:
        files = [path] if path.is_file() else sorted(path.iterdir())
        return [(f.stem, torch.full((1, 2, 2), int(f.read_text().split()[0]))) for f in files]

    def sample_path(self, name: str, folder: Path) -> Path:
        return folder / f"{name}.txt"

    def write_sample(self, name: str, sample: Tensor, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = self.sample_path(name, folder)
        path.write_text(" ".join(str(int(v)) for v in sample.flatten()))
        return path

    def seconds_of(self, sample: Tensor) -> float | None:
        return None


def restored(module: pl.LightningModule) -> Restored:
    from reprise.training.checkpoints import Entry

    return Restored(module, Entry("step-7.ckpt", 7, "0", 1, ["best"]), "raw")
