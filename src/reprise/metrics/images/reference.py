"""Statistics of reference images in a file, so that the next evaluation need not look at the images again."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sums:
    """Sums over features f of images, from which mean and covariance follow.

    Attributes:
        total: sum of f, (D,), float64.
        outer: sum of f f^T, (D, D), float64.
        count: number of images.
    """

    total: Tensor
    outer: Tensor
    count: int


@dataclass(frozen=True)
class ReferenceFile:
    """Where the sums of one reference are kept. Its name and content say what it holds.

    Attributes:
        folder: for such files.
        features: name and version of the feature network.
        dims: D of the features.
        data: what decides which images they are and how they look: digests, shape, split.
        count: number of images.
    """

    folder: Path
    features: str
    dims: int
    data: str
    count: int

    @property
    def key(self) -> str:
        """All that the sums depend on."""
        return f"{self.features} of {self.count} images: {self.data}"

    @property
    def path(self) -> Path:
        """The file."""
        digest = hashlib.sha256(self.key.encode()).hexdigest()[:16]
        return self.folder / f"{self.features}-{self.count}-{digest}.pt"

    def read(self) -> Sums | None:
        """The sums, or None where there are none, with a warning when the file is damaged or another one."""
        if not self.path.is_file():
            return None
        try:
            found = torch.load(self.path, map_location="cpu", weights_only=True)
            sums = Sums(found["total"], found["outer"], int(found["count"]))
            if found["key"] != self.key or sums.count != self.count:
                raise ValueError(f"it is of {found['key']}")
            if sums.total.shape != (self.dims,) or sums.outer.shape != (self.dims, self.dims):
                raise ValueError(f"it has sums of shape {tuple(sums.total.shape)} and {tuple(sums.outer.shape)}")
            if not (sums.total.isfinite().all() and sums.outer.isfinite().all()):
                raise ValueError("it holds numbers that are not finite")
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
            log.warning("%s cannot be used: %s. The reference images are measured again.", self.path, error)
            return None
        return sums

    def write(self, sums: Sums) -> None:
        """Write the file in one step; a folder that cannot be written to is warned of."""
        values = {"key": self.key, "total": sums.total.cpu(), "outer": sums.outer.cpu(), "count": sums.count}
        scratch = self.path.with_suffix(f".{os.getpid()}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            torch.save(values, scratch)
            os.replace(scratch, self.path)
        except (OSError, RuntimeError) as error:
            log.warning("%s cannot be written: %s. The next evaluation measures its images again.", self.path, error)
            with contextlib.suppress(OSError):
                scratch.unlink()
