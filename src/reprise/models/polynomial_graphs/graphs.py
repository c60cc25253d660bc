"""The causal graphs over three variables that data and generators are wired by."""

from __future__ import annotations

from typing import Literal, get_args

GraphName = Literal["linear", "collider", "complete"]
GRAPHS: tuple[GraphName, ...] = get_args(GraphName)

PARENTS: dict[GraphName, tuple[tuple[int, ...], ...]] = {
    "linear": ((), (0,), (1,)),  # X1 -> X2 -> X3
    "collider": ((), (0, 2), ()),  # X1 -> X2 <- X3
    "complete": ((), (0,), (0, 1)),  # X1 -> X2, X1 -> X3, X2 -> X3
}
"""Parents of X1, X2, X3, counted from 0, in the order in which the authors' code names them."""

ORDER: dict[GraphName, tuple[int, ...]] = {"linear": (0, 1, 2), "collider": (0, 2, 1), "complete": (0, 1, 2)}
"""Parents before children."""
