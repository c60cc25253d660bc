"""Measures FID and IS of samples drawn in one or several ways, shared out over processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from reprise.metrics.images.quality import Quality


class SampleQuality(nn.Module):
    """The quality of samples by one protocol.

    Args:
        protocol: how many samples, which features, against which images.
        prefixes: of the metrics' names, one for each way to sample.
    """

    def __init__(self, protocol: Quality, prefixes: list[str]) -> None:
        super().__init__()
        self.protocol = protocol
        self.prefixes = prefixes
        self.metric = protocol.metric()

    def versions(self) -> dict[str, int]:
        """Protocol version of each metric, by its full name."""
        own = self.protocol.versions()
        return {f"{prefix}/{name}": version for prefix in self.prefixes for name, version in own.items()}

    @torch.no_grad()
    def measure(
        self, trainer: Any, draw: Callable[[list[int], str], Tensor], levels: int, batch: int
    ) -> dict[str, Tensor]:
        """Compare samples with the data; every process draws and reads its share.

        Args:
            trainer: whose data module has `reference_set` and `reference_digest`, and a folder `cache`.
            draw: images (B, C, H, W) of some keys, in the way of a prefix.
            levels: of the images.
            batch: images at once.

        Returns:
            each metric by its full name, the same on every process.
        """
        rank, world, device = trainer.global_rank, trainer.world_size, trainer.strategy.root_device
        data = trainer.datamodule
        for split in self.protocol.references:
            images = data.reference_set(split)
            folder = data.cache / "reference_features"
            if self.metric.recall(split, folder, data.reference_digest(split), len(images)):
                continue  # from the validation before, or an earlier run
            share = Subset(images, range(rank, len(images), world))
            # of which the loader draws a seed; of the global one, dropout would depend on whether there was a file
            generator = torch.Generator()
            for given in DataLoader(share, batch, num_workers=data.num_workers, generator=generator):
                self.metric.update_reference(given["image"].to(device), levels, split)
        found: dict[str, Tensor] = {}
        for prefix in self.prefixes:
            for keys in _portions(range(rank, self.protocol.samples, world), batch):
                self.metric.update_generated(draw(keys, prefix).to(device), levels, keys)
            found |= {f"{prefix}/{name}": value for name, value in self.metric.compute().items()}
            self.metric.reset()  # the reference stays
        return found


def _portions(numbers: range, size: int) -> list[list[int]]:
    return [list(numbers[i : i + size]) for i in range(0, len(numbers), size)]
