"""What is kept of a training run's iterates: the lowest errors, the best weights, the last errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters


class Iterates(nn.Module):
    """Errors of the iterates, and the weights of the one with the lowest validation error; all in buffers.

    Args:
        parameters: of the model, in their order.
        recent: how many of the last test errors are kept.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], recent: int = 0) -> None:
        super().__init__()
        self._parameters_of_model = list(parameters)
        none = torch.tensor(float("inf"), dtype=torch.float64)
        self.register_buffer("best_test", none.clone())
        self.register_buffer("best_val", none.clone())
        self.register_buffer("best_weights", parameters_to_vector(self._parameters_of_model).detach().clone())
        self.register_buffer("recent", torch.full((recent,), float("nan"), dtype=torch.float64))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.register_buffer("iteration", torch.zeros((), dtype=torch.long))  # that was tracked last
        self.best_test: Tensor
        self.best_val: Tensor
        self.best_weights: Tensor
        self.recent: Tensor
        self.seen: Tensor
        self.iteration: Tensor

    def is_new(self, iteration: int) -> bool:
        """Whether an iterate was not tracked yet; L-BFGS asks for the loss of one iteration many times."""
        new = iteration > int(self.iteration)
        self.iteration.fill_(max(iteration, int(self.iteration)))
        return new

    def add(self, val: Tensor | None, test: Tensor) -> None:
        """Note the errors () of one iterate; of equal validation errors the first one's weights are kept."""
        self.best_test.copy_(torch.minimum(self.best_test, test.double()))
        if len(self.recent):
            self.recent[int(self.seen) % len(self.recent)] = test.double()
        self.seen += 1
        if val is not None and val.double() < self.best_val:
            self.best_val.copy_(val.double())
            self.best_weights.copy_(parameters_to_vector(self._parameters_of_model).detach())

    def recent_median(self) -> Tensor:
        """Median of the last test errors, of an even number the mean of the two in the middle; NaN without any."""
        kept = self.recent[~self.recent.isnan()]
        return kept.quantile(0.5) if len(kept) else kept.new_tensor(float("nan"))

    @contextmanager
    def best(self) -> Iterator[None]:
        """The best weights in place of the model's, for as long as the context lasts."""
        own = parameters_to_vector(self._parameters_of_model).detach().clone()
        vector_to_parameters(self.best_weights, self._parameters_of_model)
        try:
            yield
        finally:
            vector_to_parameters(own, self._parameters_of_model)
