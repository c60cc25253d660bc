"""Fingerprints of the first iterations, which `reprise verify` repeats and compares."""

from __future__ import annotations

import hashlib
from typing import Any

import pytorch_lightning as pl
import torch

from reprise.tracking.files import write_json
from reprise.tracking.run import Run
from reprise.training.callbacks.control import Control
from reprise.training.sharding import whole

FILE = "trace.json"


class Trace(pl.Callback):
    """Writes trace.json: for each of the first iterations the loss and a digest of every tensor of the model.

    Args:
        steps: iterations to trace; 0 for none.
    """

    def __init__(self, steps: int = 3) -> None:
        self.steps = steps
        self.entries: list[dict[str, Any]] = []

    def bind(self, run: Run, control: Control) -> None:
        """Learn the run."""
        self.run = run
        self.control = control

    def state_dict(self) -> dict[str, Any]:
        """Entries so far."""
        return {"entries": self.entries}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the checkpoint's entries."""
        self.entries = list(state_dict["entries"])

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Any) -> None:
        """Remember rank 0's loss, to the last bit."""
        if self.control.iteration < self.steps:
            self._loss = float(loss.detach()).hex()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Fingerprint the weights after the step."""
        step = self.control.iteration
        if step > self.steps or not self.control.at_iteration_end(trainer):
            return
        gathered = {name: whole(tensor) for name, tensor in pl_module.state_dict().items()}  # takes all processes
        if not trainer.is_global_zero:
            return
        tensors = {}
        for name, tensor in gathered.items():
            array = tensor.detach().cpu().contiguous()
            digest = hashlib.sha256(array.reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()[:16]
            tensors[name] = [digest, float(array.double().abs().mean()) if array.numel() else 0.0]
        self.entries.append({"step": step, "loss": self._loss, "tensors": tensors})
        write_json(self.run.directory / FILE, self.entries)


def compare(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str | None:
    """Say where two traces part (first step and tensor), or None where they are equal."""
    if len(theirs) < len(ours):
        return f"step {len(theirs) + 1}: the repetition ended before it"
    for a, b in zip(ours, theirs, strict=False):
        if a["loss"] != b["loss"]:
            return (
                f"step {a['step']}: the loss is {float.fromhex(b['loss']):.9g}, the record has "
                f"{float.fromhex(a['loss']):.9g}"
            )
        for name, (digest, size) in a["tensors"].items():
            other = b["tensors"].get(name)
            if other is None:
                return f"step {a['step']}: tensor {name} is gone"
            if other[0] != digest:
                sizes = f"mean magnitude {other[1]:.9g}, the record has {size:.9g}"
                return f"step {a['step']}: tensor {name} differs ({sizes})"
    return None
