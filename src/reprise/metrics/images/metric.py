"""FID and Inception Score of generated images, exact however they are divided among processes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.image.fid import FrechetInceptionDistance

from reprise.config.errors import DataError, RunError
from reprise.metrics.images.features import to_bytes
from reprise.metrics.images.reference import ReferenceFile, Sums
from reprise.metrics.images.score import SplitScore

if TYPE_CHECKING:
    from pathlib import Path

    from reprise.metrics.images.quality import Quality, Split

log = logging.getLogger(__name__)


class Given(nn.Module):
    """Stands where torchmetrics wants a feature network, and is given features.

    So several distances and the score share one pass through the real network, which is no part of this metric.

    Args:
        num_features: D; torchmetrics reads it.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        """Return the features, (B, D)."""
        return features


class ImageQuality(Metric):
    """All values of a protocol.

    `compute` needs every process, `update_reference` and `update_generated` do not. `reset` forgets the generated
    images and keeps the reference, which is the same for the next ones; `knows` tells whether it was given.
    It moves with the LightningModule that holds it; the feature network follows the images, and is neither among the
    parameters nor in a checkpoint.

    Args:
        quality: the protocol.
    """

    is_differentiable: bool | None = False
    full_state_update: bool | None = False

    def __init__(self, quality: Quality) -> None:
        super().__init__()
        self.quality = quality
        features = quality.features
        self.distances = nn.ModuleList()
        for _ in quality.references:
            distance = FrechetInceptionDistance(Given(features.dims), reset_real_features=False)
            distance.orig_dtype = torch.float64  # torchmetrics notes it in `update`, which a process may never call
            self.distances.append(distance)
        self.score = None if features.classes is None else SplitScore(quality.samples, features.classes, quality.splits)
        self.add_state("seen", torch.zeros(quality.samples, dtype=torch.int32), dist_reduce_fx="sum")
        self.add_state("given", torch.zeros(len(quality.references), dtype=torch.int64), dist_reduce_fx="sum")
        self.seen: Tensor
        self.given: Tensor
        self._known: set[Split] = set()
        self._expected: dict[Split, int] = {}
        self._unwritten: dict[Split, ReferenceFile] = {}
        self._warned = False

    def recall(self, split: Split, folder: Path, data: str, count: int) -> bool:
        """Take the reference from a file of an earlier evaluation, on all processes together.

        When there is none, give the images, on whatever processes; `compute` then writes the file.

        Args:
            split: one of `quality.references`.
            folder: for such files.
            data: what decides which images they are and how they look, such as digest, shape and split.
            count: number of the images; `compute` refuses another one.

        Returns:
            whether the reference is known now, so that no images are to be given. The same on every process.
        """
        features = self.quality.features
        self._expected[split] = count
        if not any(_from_all(split in self._known)):  # else only some have been given images: no collective may differ
            file = ReferenceFile(folder, features.key, features.dims, data, count)
            # one process holds the sums, which `compute` adds up over all of them
            sums = file.read() if _rank() == 0 else None
            if sums is not None:
                self._restore(split, sums)
            if not _from_all(sums is not None)[0]:
                self._unwritten[split] = file
                return False
        self._known.add(split)
        return True

    def _restore(self, split: Split, sums: Sums) -> None:
        distance, device = self._distance(split), self.given.device
        distance.real_features_sum = sums.total.to(device)
        distance.real_features_cov_sum = sums.outer.to(device)
        distance.real_features_num_samples = torch.tensor(sums.count, device=device)
        self.given[self.quality.references.index(split)] = sums.count

    def knows(self, split: Split) -> bool:
        """Whether this process has been given reference images of the split, or all processes did `recall` them."""
        return split in self._known

    def update_reference(self, images: Tensor, levels: int, split: Split) -> None:
        """Add images of a split to compare with, each of them once, on one of the processes.

        Args:
            images: (B, C, H, W) of whole numbers 0 ... levels - 1.
            levels: 2 to 256.
            split: one of `quality.references`.

        Raises:
            DataError: the images are no such images, or the split is no reference of this protocol.
        """
        self.update(images, levels, split=split)

    def update_generated(self, images: Tensor, levels: int, keys: list[int]) -> None:
        """Add generated images. What was added before, by its key, is left out.

        Args:
            images: (B, C, H, W) of whole numbers 0 ... levels - 1.
            levels: 2 to 256.
            keys: number of each image, 0 ... samples - 1, whatever process generates it.

        Raises:
            DataError: the images are no such images.
            ValueError: not one key an image, or a key out of range.
        """
        self.update(images, levels, keys=keys)

    def update(self, images: Tensor, levels: int, split: Split | None = None, keys: list[int] | None = None) -> None:
        """Add reference images of `split`, or generated images of `keys`; see the two methods above."""
        values = to_bytes(images, levels)
        if split is not None:
            self._add_reference(values, split)
        else:
            self._add_generated(values, keys or [])

    def _add_reference(self, values: Tensor, split: Split) -> None:
        if split not in self.quality.references:
            raise DataError(f"{split} images are no reference of this protocol. Expected {self.quality.references}.")
        features, _ = self.quality.features(values)
        self._distance(split).update(features, real=True)
        self.given[self.quality.references.index(split)] += len(values)
        self._known.add(split)

    def _add_generated(self, values: Tensor, keys: list[int]) -> None:
        samples = self.quality.samples
        if len(keys) != len(values):
            raise ValueError(f"{len(values)} images have {len(keys)} keys. Expected one each.")
        if any(not 0 <= key < samples for key in keys):
            raise ValueError(f"keys are {min(keys)} to {max(keys)}. Expected 0 to {samples - 1}.")
        seen = self.seen.tolist()
        places = [i for i, key in enumerate(keys) if not seen[key] and key not in keys[:i]]
        if not places:
            return
        new = torch.tensor([keys[i] for i in places], device=self.seen.device)
        features, logits = self.quality.features(values[torch.tensor(places, device=values.device)])
        for split in self.quality.references:
            self._distance(split).update(features, real=False)
        if self.score is not None and logits is not None:
            self.score.update(logits, new)
        self.seen[new] += 1

    def compute(self) -> dict[str, Tensor]:
        """All values by name, in float64.

        Raises:
            RunError: generated images are missing or came twice, or a reference has fewer than two images.
        """
        self._check_complete()
        found: dict[str, Tensor] = {}
        for split in self.quality.references:
            self._keep(split)
            found[self.quality.fid_name(split)] = self._distance(split).compute()
        if self.score is not None and (name := self.quality.score_name):
            found[name], found[f"{name}_std"] = self.score.compute()
        return found

    def _check_complete(self) -> None:
        """Compare what came, on all processes, with what the metrics' names say."""
        came, samples = int((self.seen > 0).sum()), self.quality.samples
        if came < samples:
            raise RunError(f"{came} of {samples} generated images were measured. Expected one for each key from 0.")
        if int(self.seen.max()) > 1:
            raise RunError(
                f"{int((self.seen > 1).sum())} generated images were measured by more than one process. Expected each "
                "key on one of them."
            )
        counts = dict(zip(self.quality.references, self.given.tolist(), strict=True))
        for split, count in counts.items():
            if count < 2:
                raise RunError(f"FID compares with {count} {split} images. Expected 2 or more.")
            if count != (expected := self._expected.get(split, count)):
                raise RunError(f"{count} {split} images were given as reference. Expected {expected}, each once.")
        self._warn_if_singular({"generated": samples} | {f"{split} reference": n for split, n in counts.items()})

    def _keep(self, split: Split) -> None:
        """Write the reference's sums over all processes, where that was asked for and the file is not there."""
        file, distance = self._unwritten.pop(split, None), self._distance(split)
        if file is None:
            return
        with distance.sync_context():
            if _rank() == 0:
                sums = distance.real_features_sum, distance.real_features_cov_sum
                file.write(Sums(*sums, count=int(distance.real_features_num_samples)))

    def _warn_if_singular(self, counts: dict[str, int]) -> None:
        dims = self.quality.features.dims
        few = [f"{count} {what}" for what, count in counts.items() if count < dims]
        if few and not self._warned:
            log.warning(
                "FID of %s images with %s features: covariances are singular, values are far too high. They compare "
                "only with values of the same numbers of images.",
                " and ".join(few),
                dims,
            )
            self._warned = True

    def reset(self) -> None:
        """Forget the generated images; the reference stays."""
        given = self.given.clone()
        super().reset()
        self.given = given
        for split in self.quality.references:
            self._distance(split).reset()
        if self.score is not None:
            self.score.reset()

    def _distance(self, split: Split) -> FrechetInceptionDistance:
        return cast(FrechetInceptionDistance, self.distances[self.quality.references.index(split)])


def _rank() -> int:
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def _from_all(value: bool) -> list[bool]:
    """The value of every process, by rank."""
    if not torch.distributed.is_initialized():
        return [value]
    found = [False] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(found, value)
    return found
