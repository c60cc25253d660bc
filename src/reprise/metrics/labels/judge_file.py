"""Weights of a judge in a file, so that the next evaluation need not train it again."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor, nn

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JudgeFile:
    """Where the weights of one judge are kept.

    Attributes:
        folder: for such files.
        key: SHA-256 (hex) of all that the weights depend on.
    """

    folder: Path
    key: str

    @classmethod
    def of(cls, folder: Path, images: Tensor, labels: Tensor, settings: Sequence[object]) -> JudgeFile:
        """The file of images, labels and settings, which are told apart by how they are printed."""
        digest = hashlib.sha256(repr([str(s) for s in settings]).encode())
        for array in (images, labels):
            digest.update(f"{array.dtype} {tuple(array.shape)}".encode())
            digest.update(array.contiguous().numpy().tobytes())
        return cls(folder, digest.hexdigest())

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / f"judge-{self.key[:16]}.pt"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes out, so that one trains and the others read; go on where that cannot be done."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(f"{self.path}.lock")
            lock.acquire()
        except OSError as error:
            log.warning("%s cannot be locked: %s. The judge is trained by every process.", self.path, error)
            yield
            return
        try:
            yield
        finally:
            lock.release()

    def read_into(self, network: nn.Module) -> bool:
        """Load the weights; False where there are none, with a warning when the file is damaged or another one."""
        if not self.path.is_file():
            return False
        try:
            found = torch.load(self.path, map_location="cpu", weights_only=True)
            if found["key"] != self.key:
                raise ValueError(f"it is of {found['key']}")
            network.load_state_dict(found["weights"])
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
            log.warning("%s cannot be used: %s. The judge is trained again.", self.path, error)
            return False
        return True

    def write(self, network: nn.Module) -> None:
        """Write the file in one step; a folder that cannot be written to is warned of."""
        scratch = self.path.with_suffix(f".{os.getpid()}")
        try:
            torch.save({"key": self.key, "weights": network.state_dict()}, scratch)
            os.replace(scratch, self.path)
        except (OSError, RuntimeError) as error:
            log.warning("%s cannot be written: %s. The next evaluation trains its judge again.", self.path, error)
            with contextlib.suppress(OSError):
                scratch.unlink()
