"""Composed experiments, by their values and by what sets them apart."""

from __future__ import annotations

import functools
from typing import Any

from reprise.config.compose import Composed, compose_config
from reprise.config.protocol import difference, flatten, protocol_values
from reprise.reproduction.paper import Paper, Recipe
from reprise.reproduction.papers import read_paper


@functools.cache
def composed(*words: str) -> Composed:
    """Composing takes a tenth of a second."""
    return compose_config([*words, "data.root=FOLDER"])


@functools.cache
def protocol(*words: str) -> dict[str, Any]:
    return protocol_values(composed(*words).values)


def values(*words: str) -> dict[str, Any]:
    """Leaves of a composed config by dotted key."""
    return dict(flatten(composed(*words).values))


def of(experiment: str) -> dict[str, Any]:
    return values(f"experiment={experiment}")


def last(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def changed(old: Recipe, new: Recipe, *words: str) -> dict[str, Any]:
    """What the protocol of one recipe has that the other's has not."""
    return {key: now for key, _, now in difference(protocol(*old.words, *words), protocol(*new.words, *words))}


@functools.cache
def paper(name: str) -> Paper:
    return read_paper(name)
