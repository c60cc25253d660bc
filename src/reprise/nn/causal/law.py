"""Exact laws of binary labels: of a table of all combinations, and of a causal graph with its conditionals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from torch import Tensor, from_numpy

from reprise.config.errors import ConfigError, DataError, suggest
from reprise.nn.causal.graph import CausalGraph

MAX_LABELS = 20  # 2^20 probabilities of 8 bytes
Values = Mapping[str, int]
Array = TypeVar("Array", np.ndarray, Tensor)


def label_codes(rows: np.ndarray) -> np.ndarray:
    """Number of each combination of labels (N, n) of 0 and 1: (N,) int64, the first label is the highest binary digit.

    It is the place of the combination in `LabelLaw.table.ravel()`.
    """
    weights = 1 << np.arange(rows.shape[1] - 1, -1, -1, dtype=np.int64)
    return rows.astype(np.int64) @ weights


class LabelLaw:
    """The probability of every combination of n binary labels.

    Args:
        names: the labels.
        table: float64 (2,) * n; table[l_1, ..., l_n] is the probability of that combination.

    Attributes:
        names: the labels, a tuple.
        table: as given.

    Raises:
        ConfigError: a name stands twice, or there are more than MAX_LABELS.
        DataError: the table is of another shape, has a negative value, or does not sum to one.
    """

    def __init__(self, names: Sequence[str], table: np.ndarray) -> None:
        self.names = _checked(names)
        self.table = np.asarray(table, np.float64)
        if self.table.shape != (2,) * len(self.names):
            raise DataError(
                f"The table of {len(self.names)} labels has the shape {self.table.shape}. Expected 2 along each of "
                f"{len(self.names)} axes."
            )
        if not (self.table.min() >= 0 and abs(float(self.table.sum()) - 1) < 1e-6):
            raise DataError(
                f"The table of the labels has values from {self.table.min():.6g} and sums to {self.table.sum():.6g}. "
                "Expected probabilities that sum to 1."
            )

    @classmethod
    def of_rows(cls, names: Sequence[str], rows: np.ndarray) -> LabelLaw:
        """The frequencies of labels (N, n) of 0 and 1.

        Raises:
            DataError: there are no rows, they have another width, or a value is neither 0 nor 1.
        """
        rows = np.asarray(rows)
        if rows.ndim != 2 or rows.shape[1] != len(names) or not len(rows):
            raise DataError(f"labels have the shape {rows.shape}. Expected (N, {len(names)}) with N of 1 or more.")
        if not np.isin(rows, (0, 1)).all():
            raise DataError(
                f"labels hold values from {rows.min()} to {rows.max()}. Expected 0 and 1; round them first."
            )
        _checked(names)
        return cls.of_codes(names, label_codes(rows))

    @classmethod
    def of_codes(cls, names: Sequence[str], codes: np.ndarray) -> LabelLaw:
        """The frequencies of combinations given by number (N,), see `label_codes`.

        Raises:
            DataError: there are none, or a number is none of 0 ... 2^n - 1.
        """
        size = 1 << len(_checked(names))
        codes = np.asarray(codes)
        if not codes.size or codes.min() < 0 or codes.max() >= size:
            raise DataError(f"combinations of {len(names)} labels are numbered 0 to {size - 1}; found others, or none.")
        counts = np.bincount(codes.ravel(), minlength=size)
        return cls(names, (counts / counts.sum()).reshape((2,) * len(names)))

    def index(self, name: str) -> int:
        """Place of a label in `names`.

        Raises:
            ConfigError: there is no such label.
        """
        if name not in self.names:
            raise ConfigError(f"There is no label {name!r}. {suggest(name, self.names)}")
        return self.names.index(name)

    def of(self, names: Sequence[str]) -> LabelLaw:
        """The law of some of the labels, in the order named."""
        kept = [self.index(name) for name in _checked(names)]
        others = tuple(i for i in range(len(self.names)) if i not in kept)
        left = sorted(kept)  # the axes that are left, which `transpose` puts in the order named
        return LabelLaw(names, self.table.sum(others).transpose([left.index(i) for i in kept]))

    def marginal(self, name: str) -> float:
        """P(name = 1)."""
        return float(self.table.take(1, self.index(name)).sum())

    def probability(self, event: Values, given: Values | None = None) -> float:
        """P(event), or P(event | given).

        Args:
            event: values of some labels, e.g. {"Male": 1}.
            given: likewise.

        Raises:
            ConfigError: a label is unknown, or a value is neither 0 nor 1.
            DataError: `given` has probability 0.
        """
        if not given:
            return float(self.table[self._where(event)].sum())
        below = self._support(given)
        if any(name in given and given[name] != value for name, value in event.items()):
            self._where(event)  # for its errors
            return 0.0
        return float(self.table[self._where({**given, **event})].sum()) / below

    def given(self, values: Values) -> LabelLaw:
        """The law under a condition, over the same labels.

        Raises:
            DataError: the condition has probability 0.
        """
        below = self._support(values)
        table = np.zeros_like(self.table)
        where = self._where(values)
        table[where] = self.table[where] / below
        return LabelLaw(self.names, table)

    def fit(self, graph: CausalGraph) -> CausalLaw:
        """The product of this law's conditionals along a graph: the best fit in likelihood of its structure.

        Where a combination of a label's parents has probability 0, its conditional is undefined; it is set to 1/2 and
        listed in `CausalLaw.undefined`.

        Raises:
            ConfigError: the graph has a label that this law lacks.
        """
        conditionals: dict[str, np.ndarray] = {}
        undefined: list[tuple[str, dict[str, int]]] = []
        for name in graph.names:
            parents = graph.parents(name)
            joint = self.of([*parents, name]).table
            total = joint.sum(-1)
            seen = total > 0
            conditionals[name] = np.divide(joint[..., 1], total, out=np.full_like(total, 0.5), where=seen)
            undefined += [(name, dict(zip(parents, map(int, state), strict=True))) for state in np.argwhere(~seen)]
        return CausalLaw(graph, conditionals, undefined)

    def tvd(self, other: LabelLaw) -> float:
        """Total variation distance, half the sum of |p - q| over all combinations.

        Args:
            other: a law of the same labels, in any order.

        Raises:
            DataError: it is one of other labels.
        """
        if set(other.names) != set(self.names):
            raise DataError(f"Laws of different labels do not compare: {list(self.names)} and {list(other.names)}.")
        return float(np.abs(self.table - other.of(self.names).table).sum() / 2)

    def sample(self, uniform: Array) -> Array:
        """Draw combinations of labels.

        Args:
            uniform: (B,) of [0, 1), NumPy's or torch's.

        Returns:
            (B, n) uint8 of the same kind, on the same device.
        """
        draws = _as_numpy(uniform)
        below = np.cumsum(self.table.ravel())
        # rounding may leave the last sum a little below a draw; then it is the last combination that can occur
        codes = np.minimum(np.searchsorted(below, draws * below[-1], side="right"), np.flatnonzero(self.table)[-1])
        return _like(np.stack(np.unravel_index(codes, self.table.shape), -1).astype(np.uint8), uniform)

    def _support(self, given: Values) -> float:
        below = float(self.table[self._where(given)].sum())
        if below <= 0:
            shown = ", ".join(f"{name} = {value}" for name, value in given.items())
            raise DataError(
                f"The condition {shown} has probability 0, so nothing can be said under it. Ask for what occurs, or "
                "intervene on these labels instead."
            )
        return below

    def _where(self, values: Values) -> tuple[int | slice, ...]:
        chosen: list[int | slice] = [slice(None)] * len(self.names)
        for name, value in values.items():
            chosen[self.index(name)] = binary(name, value)
        return tuple(chosen)


class CausalLaw:
    """A causal graph and the conditional of each label given its parents (Kocaoglu et al. 2018, section 3).

    Args:
        graph: the graph.
        conditionals: by label, P(label = 1 | parents), float64 (2,) * number of parents, an axis for each of
            `graph.parents(label)`; of no axes for a root.
        undefined: the conditionals that were chosen arbitrarily: label and values of its parents.

    Raises:
        ConfigError: a label of the graph has no conditional, or a conditional no label.
        DataError: a conditional is of another shape, or not between 0 and 1.
    """

    def __init__(
        self,
        graph: CausalGraph,
        conditionals: Mapping[str, np.ndarray],
        undefined: Sequence[tuple[str, dict[str, int]]] = (),
    ) -> None:
        for name in conditionals:
            graph.index(name)
        self.graph = graph
        self.conditionals: dict[str, np.ndarray] = {}
        self.undefined = tuple(undefined)
        for name in graph.names:
            if name not in conditionals:
                raise ConfigError(f"The label {name!r} has no conditional. Expected one for each label of the graph.")
            value = np.asarray(conditionals[name], np.float64)
            if value.shape != (2,) * len(graph.parents(name)):
                raise DataError(
                    f"The conditional of {name!r} has the shape {value.shape}. Expected 2 along an axis for each of "
                    f"its parents {list(graph.parents(name))}."
                )
            if not ((value >= 0) & (value <= 1)).all():
                raise DataError(f"The conditional of {name!r} holds {value.tolist()}. Expected values from 0 to 1.")
            self.conditionals[name] = value

    def joint(self) -> LabelLaw:
        """The observational law, the product of the conditionals."""
        return self.do({})

    def do(self, values: Values) -> LabelLaw:
        """The law under an intervention: the product of the conditionals of all labels that are not set (section 3).

        Args:
            values: the labels that are set, and to what; arrows into them are cut.

        Returns:
            the law of all labels, those of `values` included.

        Raises:
            ConfigError: a label is unknown, a value is neither 0 nor 1, or there are more than MAX_LABELS.
        """
        names = _checked(self.graph.names)
        held = self._held(values)
        table = np.ones((2,) * len(names))
        for name in names:
            if name in held:
                factor, axes = np.eye(2)[held[name]], [name]
            else:
                one = self.conditionals[name]
                factor, axes = np.stack([1 - one, one], -1), [*self.graph.parents(name), name]
            table *= _spread(factor, [self.graph.index(axis) for axis in axes], len(names))
        return LabelLaw(names, table)

    def sample(self, uniform: Array, do: Values | None = None) -> Array:
        """Draw labels, parents before children.

        Args:
            uniform: (B, n) of [0, 1), NumPy's or torch's: column i is the noise of label i of `graph.names`, so that
                the same noise under another intervention gives the counterfactual.
            do: labels that are set, and to what.

        Returns:
            (B, n) uint8 of the same kind, on the same device: 1 where the noise is below the conditional.
        """
        held = self._held(do or {})
        draws = _as_numpy(uniform)
        if draws.ndim != 2 or draws.shape[1] != len(self.graph):
            raise DataError(f"uniform numbers have the shape {draws.shape}. Expected (B, {len(self.graph)}).")
        labels = np.zeros(draws.shape, np.uint8)
        for name in self.graph.order:
            i = self.graph.index(name)
            if name in held:
                labels[:, i] = held[name]
            else:
                parents = tuple(labels[:, self.graph.index(parent)] for parent in self.graph.parents(name))
                labels[:, i] = draws[:, i] < self.conditionals[name][parents]
        return _like(labels, uniform)

    def _held(self, values: Values) -> dict[str, int]:
        return {self.graph.names[self.graph.index(name)]: binary(name, value) for name, value in values.items()}


def binary(name: str, value: int) -> int:
    """The value of a label as 0 or 1.

    Raises:
        ConfigError: it is another one.
    """
    if value not in (0, 1):
        raise ConfigError(f"The label {name!r} cannot be {value!r}. Expected 0 or 1.")
    return int(value)


def _checked(names: Sequence[str]) -> tuple[str, ...]:
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ConfigError(f"The label {name!r} is named twice. Name it once.")
    if not 1 <= len(names) <= MAX_LABELS:
        raise ConfigError(
            f"A law of {len(names)} labels has 2^{len(names)} probabilities. Expected 1 to {MAX_LABELS} labels; choose "
            "some of them."
        )
    return tuple(names)


def _spread(factor: np.ndarray, axes: Sequence[int], dims: int) -> np.ndarray:
    """The factor over some axes of a table of `dims`, in a shape that broadcasts."""
    shape = [2 if axis in axes else 1 for axis in range(dims)]
    return factor.transpose(np.argsort(axes)).reshape(shape)


def _as_numpy(values: np.ndarray | Tensor) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else values


def _like(found: np.ndarray, given: Array) -> Array:
    return from_numpy(found).to(given.device) if isinstance(given, Tensor) else found
