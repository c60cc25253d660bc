"""A directed acyclic graph over labels: who is a direct cause of whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from reprise.config.errors import ConfigError, suggest


class CausalGraph:
    """Labels and their parents, as Pearl's structural models have them (Kocaoglu et al. 2018, section 3).

    Args:
        nodes: the parents of each label, e.g. {"Male": [], "Mustache": ["Male"]}. The order of the labels is that of
            columns wherever there are some; parents may stand before or after their children.

    Attributes:
        names: the labels in the order given.
        order: the labels with parents before children; among those that could come next, in the order given.
        levels: labels of equal depth; a root has depth 0, another label one more than its deepest parent.

    Raises:
        ConfigError: there is no label, a parent is none of the labels or named twice, or the graph has a cycle.
    """

    def __init__(self, nodes: dict[str, list[str]]) -> None:
        if not nodes:
            raise ConfigError("The causal graph has no labels. Expected e.g. nodes: {Male: [], Mustache: [Male]}.")
        self._parents = {str(name): _parents_of(str(name), parents, nodes) for name, parents in nodes.items()}
        self.names = tuple(self._parents)
        self._number = {name: i for i, name in enumerate(self.names)}
        self.order = self._sorted()
        depth: dict[str, int] = {}
        for name in self.order:
            depth[name] = 1 + max((depth[parent] for parent in self._parents[name]), default=-1)
        self.levels = [[name for name in self.names if depth[name] == d] for d in range(max(depth.values()) + 1)]

    def __len__(self) -> int:
        """Number of labels."""
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        """Whether both have the same labels and parents, in the same order."""
        return isinstance(other, CausalGraph) and list(self._parents.items()) == list(other._parents.items())

    def __hash__(self) -> int:
        return hash(tuple(self._parents.items()))

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}[{', '.join(parents)}]" for name, parents in self._parents.items())
        return f"{type(self).__name__}({inner})"

    def index(self, name: str) -> int:
        """Place of a label in `names`.

        Raises:
            ConfigError: the graph has no such label.
        """
        if name not in self._number:
            raise ConfigError(f"The causal graph has no label {name!r}. {suggest(name, self.names)}")
        return self._number[name]

    def parents(self, name: str) -> tuple[str, ...]:
        """Direct causes of a label, in the order given."""
        return self._parents[self.names[self.index(name)]]

    def ancestors(self, name: str) -> set[str]:
        """Labels from which a path of arrows leads to this one, itself left out."""
        return self._reached(self.parents(name), self.parents)

    def descendants(self, name: str) -> set[str]:
        """Labels to which a path of arrows leads from this one, itself left out."""
        return self._reached(self.children(name), self.children)

    def children(self, name: str) -> tuple[str, ...]:
        """Labels of which this one is a direct cause, in the order of `names`."""
        self.index(name)
        return tuple(other for other in self.names if name in self._parents[other])

    @staticmethod
    def _reached(start: Iterable[str], further: Callable[[str], Iterable[str]]) -> set[str]:
        found: set[str] = set()
        ahead = list(start)
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead.extend(further(name))
        return found

    def _sorted(self) -> tuple[str, ...]:
        order: list[str] = []
        left = list(self.names)
        while left:
            ready = next((name for name in left if set(self._parents[name]) <= set(order)), None)
            if ready is None:
                cycle = " -> ".join(self._cycle(left))
                raise ConfigError(
                    f"The causal graph has a cycle: {cycle}. Causes cannot go round; take one of these arrows out."
                )
            order.append(ready)
            left.remove(ready)
        return tuple(order)

    def _cycle(self, left: Sequence[str]) -> list[str]:
        """One cycle among labels each of which has a parent among them, cause before effect, its first label twice."""
        path = [left[0]]
        while True:
            parent = next(p for p in self._parents[path[-1]] if p in left)
            if parent in path:
                return [parent, *reversed(path[path.index(parent) :])]
            path.append(parent)


def _parents_of(name: str, parents: Sequence[str], nodes: Mapping[str, object]) -> tuple[str, ...]:
    for i, parent in enumerate(parents):
        if parent not in nodes:
            raise ConfigError(
                f"The causal graph names {parent!r} as a parent of {name!r}, but has no such label. "
                f"{suggest(str(parent), map(str, nodes))}"
            )
        if parent in parents[:i]:
            raise ConfigError(f"The causal graph names {parent!r} twice as a parent of {name!r}. Name it once.")
    return tuple(parents)
