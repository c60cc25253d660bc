"""Where a generator's labels come from: the data, their exact law, or a trained controller."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from torch import Tensor, nn

from reprise.config.errors import RunError
from reprise.models.causal_controller.rejection import collected
from reprise.nn.causal.choices import require_table
from reprise.nn.causal.graph import CausalGraph
from reprise.nn.causal.law import CausalLaw, LabelLaw
from reprise.nn.causal.undefined import undefined_in_words

LabelsFrom = Literal["controller", "law", "data"]
Kind = Literal["observe", "given", "do"]

log = logging.getLogger(__name__)


class SoftLabels(Protocol):
    """A trained controller, as a source of labels needs it."""

    noise_dims: int

    def __call__(self, noise: Tensor, do: Mapping[str, Tensor | float] | None = None) -> Tensor:
        """Soft labels (1, B, n) of noise (1, B, n, noise_dims)."""


class LabelSource(nn.Module):
    """Draws labels as they are observed, under a condition, and under an intervention.

    - data: labels of the training set with replacement. They cannot be intervened on, so do() is that of the law below.
    - law: the product of the data's conditionals along the graph, of their true law where they come with one, else of
      the training labels. With the data's own graph that is the true law.
    - controller: a network trained on the labels; its values are rounded, and conditioning rejects.

    The laws are a table of all combinations, kept in the checkpoint.

    Args:
        graph: over the labels.
        labels_from: data, law or controller.
        controller: for `controller`.

    Raises:
        ConfigError: there are too many labels for a table.
    """

    def __init__(self, graph: CausalGraph, labels_from: LabelsFrom, controller: SoftLabels | None = None) -> None:
        super().__init__()
        require_table(graph)
        self.graph = graph
        self.labels_from = labels_from
        self._controller = [controller]  # a list, since the controller is registered by its owner
        self.register_buffer("table", torch.zeros((2,) * len(graph), dtype=torch.float64))
        self.table: Tensor
        self._laws: tuple[LabelLaw, CausalLaw] | None = None

    def learn(self, rows: np.ndarray, true_law: CausalLaw | None) -> None:
        """Take over the law of training labels (N, n), or for `law` of the data where it is known; fit the graph."""
        law = LabelLaw.of_rows(self.graph.names, rows)
        if self.labels_from == "law":
            same = true_law is not None and set(true_law.graph.names) >= set(self.graph.names)
            law = true_law.joint().of(self.graph.names) if same and true_law is not None else law
        if not self._by_network:
            fit = law.fit(self.graph)
            self._say_what_is_unknown(fit)  # of the data: the fit itself may let happen what they never show
            law = fit.joint() if self.labels_from == "law" else law
        self.table.copy_(torch.from_numpy(law.table))
        self._laws = None

    @staticmethod
    @rank_zero_only
    def _say_what_is_unknown(fit: CausalLaw) -> None:
        """Warn of conditionals that no data say anything of."""
        if words := undefined_in_words(fit):
            log.warning("of the graph fitted to the data, %s", words)

    @property
    def laws(self) -> tuple[LabelLaw, CausalLaw]:
        """The law that labels are drawn from, and its conditionals along the graph.

        Raises:
            RunError: no labels were seen yet.
        """
        if self._laws is None:
            table = self.table.cpu().numpy()
            if not table.any():
                raise RunError("the law of the labels is not known before training has begun. Use a checkpoint of it.")
            law = LabelLaw(self.graph.names, table)
            self._laws = (law, law.fit(self.graph))
        return self._laws

    def _load_from_state_dict(self, *arguments: Any, **settings: Any) -> None:
        super()._load_from_state_dict(*arguments, **settings)
        self._laws = None

    @property
    def width(self) -> int:
        """Uniform numbers that the labels of one example are made of."""
        controller = self._controller[0]
        return len(self.graph) * (controller.noise_dims if self._by_network and controller is not None else 1)

    @property
    def _by_network(self) -> bool:
        return self.labels_from == "controller"

    @torch.no_grad()
    def observed(self, u: Tensor) -> Tensor:
        """Labels (B, n) uint8 on the CPU as they are observed, of uniform numbers (B, width) in [0, 1)."""
        if self._by_network:
            return self._of_network(u, None)
        return self._of_table(self.laws[0], u)

    @torch.no_grad()
    def intervened(self, u: Tensor, values: Mapping[str, int]) -> Tensor:
        """Labels under do(values); see `observed`."""
        if self._by_network:
            return self._of_network(u, values)
        return self.laws[1].sample(u.cpu(), values)

    @torch.no_grad()
    def conditioned(self, count: int, draw: Callable[[int], Tensor], values: Mapping[str, int]) -> Tensor:
        """Labels (count, n) that meet a condition; see `collected`, the rule by which a controller's are drawn.

        Args:
            count: rows.
            draw: gives uniform numbers (rows, width), other ones each time.
            values: the condition.

        Raises:
            DataError: the law gives the condition probability 0.
            RunError: the controller draws it too rarely, or not at all.
        """
        if not self._by_network:
            return self._of_table(self.laws[0].given(values), draw(count))
        return collected(self.graph, count, values, lambda rows: self.observed(draw(rows)), "model.controller")

    def _of_network(self, u: Tensor, values: Mapping[str, int] | None) -> Tensor:
        controller = self._controller[0]
        if controller is None:
            raise RuntimeError("labels_from=controller without a controller")
        noise = (2.0 * u - 1.0).float().view(1, len(u), len(self.graph), -1).to(self.table.device)
        soft = controller(noise, None if values is None else {name: float(v) for name, v in values.items()})
        return (soft[0] > 0.5).to(torch.uint8).cpu()

    @staticmethod
    def _of_table(law: LabelLaw, u: Tensor) -> Tensor:
        """Of the first uniform number."""
        return law.sample(u[:, 0].cpu())


def training_labels(datamodule: Any, columns: Sequence[int]) -> np.ndarray:
    """Labels (N, n) of all training images that an image data module serves.

    Args:
        datamodule: after its `setup`.
        columns: of the labels that are wanted, in order.
    """
    selection = datamodule.train_set().selection
    return np.asarray(selection.images.attributes[selection.rows][:, list(columns)])
