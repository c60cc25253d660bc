"""When training ends, and which weights are kept, by figures of validation. All state is in buffers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

Watch = Literal["either", "accuracy", "loss"]


class Verdict(NamedTuple):
    """What follows from an epoch.

    Attributes:
        keep: its weights are the ones to keep.
        stop: training ends here.
    """

    keep: bool
    stop: bool


class Stopping(nn.Module, ABC):
    """Decides after each epoch.

    Attributes:
        stopped: whether training has ended, () bool.
        epoch: epochs seen, () int64.
        kept_epoch: epoch, counted from 1, whose weights are kept; 0 for none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("stopped", torch.zeros((), dtype=torch.bool))
        self.register_buffer("epoch", torch.zeros((), dtype=torch.long))
        self.register_buffer("kept_epoch", torch.zeros((), dtype=torch.long))
        self.stopped: Tensor
        self.epoch: Tensor
        self.kept_epoch: Tensor

    def update(self, loss: float, accuracy: float) -> Verdict:
        """Note validation loss and accuracy of the next epoch."""
        self.epoch += 1
        found = self.judge(loss, accuracy)
        if found.keep:
            self.kept_epoch.copy_(self.epoch)
        if found.stop:
            self.stopped.fill_(True)
        return found

    @abstractmethod
    def judge(self, loss: float, accuracy: float) -> Verdict:
        """Decide about the epoch that `epoch` numbers."""


class Patience(Stopping):
    """Stops after so many epochs in a row without improvement; ties count as improvement.

    Watching either, as the code of GAT's authors does, an epoch improves where accuracy or loss is at least as good as
    its best so far, and weights are kept where both are. The bests are of all epochs, each figure by itself.

    Args:
        patience: epochs without improvement that end training.
        watch: what has to improve; accuracy or loss: that alone decides, also which weights are kept.

    Raises:
        ValueError: a value is out of range.
    """

    def __init__(self, patience: int = 100, watch: Watch = "either") -> None:
        super().__init__()
        if patience < 1:
            raise ValueError(f"patience is {patience}. Expected 1 or more.")
        if watch not in get_args(Watch):
            raise ValueError(f"watch is {watch!r}. Expected one of {', '.join(get_args(Watch))}.")
        self.patience = patience
        self.watch = watch
        self.register_buffer("best_loss", torch.tensor(float("inf"), dtype=torch.float64))
        self.register_buffer("best_accuracy", torch.zeros((), dtype=torch.float64))
        self.register_buffer("waited", torch.zeros((), dtype=torch.long))
        self.best_loss: Tensor
        self.best_accuracy: Tensor
        self.waited: Tensor

    def judge(self, loss: float, accuracy: float) -> Verdict:
        """Compare with the best so far."""
        good_loss, good_accuracy = loss <= float(self.best_loss), accuracy >= float(self.best_accuracy)
        if self.watch == "either":
            improved, keep = good_loss or good_accuracy, good_loss and good_accuracy
        else:
            improved = keep = good_accuracy if self.watch == "accuracy" else good_loss
        if not improved:
            self.waited += 1
            return Verdict(False, int(self.waited) >= self.patience)
        self.best_loss.fill_(min(loss, float(self.best_loss)))
        self.best_accuracy.fill_(max(accuracy, float(self.best_accuracy)))
        self.waited.zero_()
        return Verdict(keep, False)


class LowestLoss(Stopping):
    """Keeps the weights of the lowest validation loss; stops when the loss exceeds its mean over a window.

    The benchmark of PyTorch Geometric on citation graphs: the window is the epochs just before, and it is looked at
    once `from_epoch` epochs are over.

    Args:
        window: epochs of the mean; 0: never stop.
        from_epoch: epochs that are trained in any case.

    Raises:
        ValueError: a value is below 0.
    """

    def __init__(self, window: int = 100, from_epoch: int = 500) -> None:
        super().__init__()
        if window < 0 or from_epoch < 0:
            raise ValueError(f"window is {window} and from_epoch {from_epoch}. Expected 0 or more.")
        self.window = window
        self.from_epoch = from_epoch
        self.register_buffer("best_loss", torch.tensor(float("inf"), dtype=torch.float64))
        self.register_buffer("recent", torch.full((window,), float("nan"), dtype=torch.float64))
        self.best_loss: Tensor
        self.recent: Tensor

    def judge(self, loss: float, accuracy: float) -> Verdict:
        """Compare with the lowest and with the mean of those before."""
        keep = loss < float(self.best_loss)
        if keep:
            self.best_loss.fill_(loss)
        if not self.window:
            return Verdict(keep, False)
        before = self.recent[~self.recent.isnan()]
        stop = int(self.epoch) > self.from_epoch and len(before) > 0 and loss > float(before.mean())
        self.recent[int(self.epoch) % self.window] = loss
        return Verdict(keep, stop)
