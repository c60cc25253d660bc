"""Implicit Kernel Attention: the study of what holds without training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.models.attention_identities import measures
from reprise.models.study.module import Study
from reprise.nn.attention.decomposition import dot_product
from reprise.nn.attention.generated import GeneratedPoints
from reprise.nn.attention.implicit import ImplicitKernel
from reprise.samples.attention import AttentionMaps
from reprise.samples.base import Sample

ESTIMATED = 2  # heads whose weights are estimated, so that it takes seconds


class AttentionIdentities(Study):
    """Attention weights in two forms each, the limit of many spectral points, the norm's exponent, coupled heads.

    Queries, keys, a graph and all noise are drawn from the seed; networks have the weights that they start with.

    Args:
        seed: the run's.
        attention: an implicit kernel, called with heads and size; its entropy is measured.
        points: generated spectral points, called with heads and size; the coupling of their heads is measured.
        heads: H.
        size: d.
        tokens: N, queries, keys and nodes.
        neighbours: share of the pairs of nodes that are linked.
        spread: standard deviation of queries and keys where estimates are compared with softmax attention.
        counts: numbers of spectral points of these estimates.

    Raises:
        ConfigError: fewer than two tokens, or a share outside of (0, 1].
    """

    def __init__(
        self,
        seed: int,
        attention: Callable[..., ImplicitKernel],
        points: Callable[..., GeneratedPoints],
        heads: int,
        size: int,
        tokens: int,
        neighbours: float,
        spread: float,
        counts: Sequence[int],
    ) -> None:
        super().__init__(seed)
        if tokens < 2 or not 0.0 < neighbours <= 1.0:
            raise ConfigError(
                f"the study has tokens={tokens} and neighbours={neighbours}. Expected 2 or more and a share above 0."
            )
        self.attention, self.points = attention(heads=heads, size=size), points(heads=heads, size=size)
        self.heads, self.size, self.tokens = heads, size, tokens
        self.neighbours, self.spread, self.counts = neighbours, spread, list(counts)

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """All of it, by the names of the paper's claims."""
        self._generator = torch.Generator().manual_seed(self.seed)
        h, n, d = self.heads, self.tokens, self.size
        q, k = self._normal((1, h, n, d)), self._normal((1, h, n, d))
        found = {f"test/{at}/attention_weight": value for at, value in self._forms(q, k).items()}
        kernel = self.attention.decompose(q, k, draw=self._normal)
        found["test/attention_entropy"] = measures.entropy(kernel.weights)
        found["test/head_correlation"] = measures.head_correlation(self.points, self._normal((h, 2 * d)), self._normal)
        some_q, some_k = self.spread * q[:, :ESTIMATED], self.spread * k[:, :ESTIMATED]
        for count in self.counts:  # last, so that nothing else depends on how many there are
            error = measures.largest_weight_error(some_q, some_k, count, self._normal)
            found[f"test/points{count}/largest_weight_error"] = error
        self._pictures = {
            "dot": ("softmax attention as an RBF kernel times magnitude", measures.of_example(dot_product(q, k))),
            "kernel": ("an implicit kernel at its start", measures.of_example(kernel)),
        }
        return found

    def pictures(self) -> list[Sample]:
        """The factors of the first two heads, for softmax attention and for the implicit kernel."""
        shown = list(range(min(2, self.heads)))
        return [
            AttentionMaps(name=name, caption=caption, group=name, decomposition=found, heads=shown)
            for name, (caption, found) in self._pictures.items()
        ]

    def _forms(self, q: Tensor, k: Tensor) -> dict[str, float]:
        """Probes of both forms, of the Transformer and of GAT."""
        h, n, d = self.heads, self.tokens, self.size
        softmax = measures.softmax_forms(q, k, self._uniform((1, h, n, n)))
        linked = (self._uniform((n, n)) < self.neighbours) | torch.eye(n, dtype=torch.bool, device=self.device)
        nodes, a = self._normal((n, h, d)), self._normal((h, 2 * d)) / (2 * d) ** 0.5
        return softmax | measures.gat_forms(nodes, a, linked, self._uniform((h, n, n)))

    def _normal(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self._generator).to(self.device)

    def _uniform(self, shape: tuple[int, ...]) -> Tensor:
        return torch.rand(shape, generator=self._generator).to(self.device)
