"""`reprise generate` for a controller: tables of labels as they come, under a condition, under an intervention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.models.causal_controller.network import Controller
from reprise.models.causal_controller.sampling import condition, intervene, observe
from reprise.nn.causal.choices import values_of
from reprise.nn.causal.graph import CausalGraph
from reprise.nn.randomness import example_rng
from reprise.samples.rows import Rows


class DrawingModule(pl.LightningModule):
    """Draws labels of its controller's first replica.

    Attributes:
        graph: over the labels.
        controller: of one or several replicas.
    """

    graph: CausalGraph
    controller: Controller

    def draw_labels(
        self,
        count: int,
        generator: torch.Generator,
        given: dict[str, int] | None = None,
        do: dict[str, int] | None = None,
    ) -> Tensor:
        """Labels of replica 0: (count, n) uint8, as they come, under a condition, under an intervention, or both.

        Raises:
            ConfigError: an unknown label, or a value that is neither 0 nor 1.
            RunError: too few draws meet the condition.
        """
        controller = self.controller.only(0)
        if given:
            return condition(controller, count, given, generator, do)
        return intervene(controller, count, do, generator) if do else observe(controller, count, generator)

    def inputs_for(self) -> str:
        """Nothing is conditioned on but what `given` and `do` say."""
        return "none"

    def generate(
        self,
        conditions: Sequence[None],
        *,
        seed: int = 0,
        rows: int = 1000,
        given: dict[str, Any] | str | None = None,
        do: dict[str, Any] | str | None = None,
        keys: Sequence[int] = (),
        on_step: Callable[[int], None] = lambda n: None,
    ) -> list[Rows]:
        """Draw tables of labels.

        Args:
            conditions: None for each table.
            seed: of the noise.
            rows: of each table.
            given: condition, e.g. {Mustache:1}; rows that do not meet it are drawn again.
            do: intervention, e.g. {Mustache:1}; the causes of these labels do not feel it.
            keys: one a table, on which its noise depends.
            on_step: not called.

        Raises:
            ConfigError: an unknown label, a value that is neither 0 nor 1, or no rows.
            RunError: too few draws meet the condition.
        """
        if rows < 1:
            raise ConfigError(f"rows={rows}. Expected 1 or more.")
        asked, held = values_of("given", given, self.graph), values_of("do", do, self.graph)
        found = []
        for i in range(len(conditions)):
            start = int(example_rng(seed, "labels", keys[i] if keys else i).integers(2**63))
            labels = self.draw_labels(rows, torch.Generator().manual_seed(start), asked, held)
            found.append(Rows(name=f"labels-{i:03d}", caption="", columns=self.graph.names, values=labels.cpu()))
        return found
