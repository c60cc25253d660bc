"""What is kept of a training run whose spectral points are allotted anew on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from reprise.models.regression.tracking import Iterates


class AllottedIterates(Iterates):
    """Iterates of which the best one keeps its allocation beside its weights: features are made of both.

    Args:
        parameters: of the model, in their order.
        recent: how many of the last test errors are kept.
        counts: returns the model's m_q (Q,), which are replaced in place. A function, since a model that moves to a
            device has others there.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], recent: int, counts: Callable[[], Tensor]) -> None:
        super().__init__(parameters, recent)
        self._counts = counts
        self.best_counts: Tensor
        self.register_buffer("best_counts", counts().clone())

    def add(self, val: Tensor | None, test: Tensor) -> None:
        """Note the errors () of one iterate, and its allocation where it is the best."""
        before = self.best_val.clone()
        super().add(val, test)
        if self.best_val < before:
            self.best_counts.copy_(self._counts())

    @contextmanager
    def best(self) -> Iterator[None]:
        """The best weights and their allocation in place of the model's, for as long as the context lasts."""
        counts = self._counts()
        own = counts.clone()
        with super().best():
            counts.copy_(self.best_counts)
            try:
                yield
            finally:
                counts.copy_(own)
