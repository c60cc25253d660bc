"""Attention as a picture: for each head its similarity, its magnitude and the weights that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from reprise.nn.attention.decomposition import Decomposition
from reprise.samples.base import Sample, Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("similarity", "magnitude / largest", "weight")


@dataclass(frozen=True, eq=False, kw_only=True)
class AttentionMaps(Sample):
    """Similarity, magnitude and weights of some heads, a row of pictures each; queries go down, keys to the right.

    A magnitude is shown relative to the largest that the query meets, since what they have in common cancels.

    Attributes:
        decomposition: of one example, (H, N, M) each.
        heads: which to show; all of them where it is empty.

    Raises:
        ValueError: no such head, or more axes.
    """

    decomposition: Decomposition
    heads: Sequence[int] = ()

    def __post_init__(self) -> None:
        weights = self.decomposition.weights
        if weights.dim() != 3:
            raise ValueError(f"weights have the shape {tuple(weights.shape)}. Expected (H, N, M), of one example.")
        if wrong := [h for h in self.heads if not 0 <= h < len(weights)]:
            raise ValueError(f"there is no head {wrong[0]}. Expected 0 to {len(weights) - 1}.")

    def write(self, folder: Path) -> list[Shown]:
        """Write NAME.png, which is shown."""
        picture = folder / f"{self.name}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        self.figure().savefig(picture, dpi=100, metadata={"Software": None})
        return [Shown(self.name, picture, "image", self.caption)]

    def maps(self) -> tuple[Tensor, Tensor, Tensor]:
        """What is drawn, (H, N, M) each on the CPU, for the heads to show."""
        chosen = list(self.heads) or list(range(len(self.decomposition.weights)))
        similarity, magnitude, weights = (x.detach().float().cpu()[chosen] for x in self.decomposition)
        return similarity.exp(), (magnitude - magnitude.amax(-1, keepdim=True)).exp(), weights

    def figure(self) -> Figure:
        """The picture."""
        from matplotlib.figure import Figure

        maps = torch.stack(self.maps(), 1)  # (H, 3, N, M)
        names = list(self.heads) or list(range(len(maps)))
        figure = Figure(figsize=(7.8, 2.3 * len(maps) + 0.4), layout="constrained")
        axes = figure.subplots(len(maps), 3, squeeze=False)
        for row, head, of_head in zip(axes, names, maps, strict=True):
            for column, axis, values in zip(COLUMNS, row, of_head, strict=True):
                # similarity and magnitude lie between 0 and 1; the weights of many keys are all small
                image = axis.imshow(values.numpy(), vmin=0.0, vmax=None if column == "weight" else 1.0, aspect="auto")
                figure.colorbar(image, ax=axis)
            row[0].set_ylabel(f"head {head}, query")
        for column, top, bottom in zip(COLUMNS, axes[0], axes[-1], strict=True):
            top.set_title(column, fontsize=8)
            bottom.set_xlabel("key")
        return figure
