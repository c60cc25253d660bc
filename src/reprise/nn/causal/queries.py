"""What is asked of a law of labels: marginals, conditional and interventional probabilities, each with its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from reprise.config.errors import ConfigError
from reprise.nn.causal.law import CausalLaw, LabelLaw, binary

# (event, condition): P(event = 1 | condition = 1) and P(event = 1 | do(condition = 1)).
_PAIRS = (
    # CelebA, the probabilities in which Causal Graph 1 tells conditioning from intervening
    ("Male", "Mustache"),
    ("Male", "Bald"),
    ("Young", "Bald"),
    ("Male", "Wearing_Lipstick"),
    ("Smiling", "Mouth_Slightly_Open"),
    ("Smiling", "Narrow_Eyes"),
    ("Mouth_Slightly_Open", "Smiling"),
    ("Male", "Smiling"),
    ("Mustache", "Male"),
    # the drawn shapes, likewise
    ("Round", "Ringed"),
    ("Large", "Ringed"),
    ("Large", "Striped"),
    ("Striped", "Large"),
    ("Large", "Night"),
    ("Round", "Large"),
    ("Ringed", "Round"),
)


def snake(name: str) -> str:
    """A label as part of a metric's name: lower case, anything but letters and digits an underscore."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def words_of(values: dict[str, int]) -> str:
    """Values of labels as words: "mustache", "not_male", "bald_and_not_young"."""
    return "_and_".join(("" if value else "not_") + snake(name) for name, value in values.items())


@dataclass(frozen=True)
class Query:
    """One probability.

    Attributes:
        kind: "marginal" asks for P(event), "given" for P(event | values), "do" for P(event | do(values)).
        event: values of labels, e.g. {"Male": 1}.
        values: likewise; empty for a marginal.

    Raises:
        ConfigError: the kind is another one, a value is neither 0 nor 1, or what the kind needs is missing.
    """

    kind: Literal["marginal", "given", "do"]
    event: dict[str, int]
    values: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in ("marginal", "given", "do"):
            raise ConfigError(f"A query is of the kind {self.kind!r}. Expected 'marginal', 'given' or 'do'.")
        if not self.event or (self.kind == "marginal") == bool(self.values):
            raise ConfigError(
                f"A query of the kind {self.kind!r} has the event {self.event} and the values {self.values}. Expected "
                "an event, and values unless it is a marginal."
            )
        for name, value in (*self.event.items(), *self.values.items()):
            binary(name, value)

    @property
    def name(self) -> str:
        """Name as part of a metric's: "p_male/do_mustache", "p_male/given_not_mustache", "p_male/marginal"."""
        asked = f"p_{words_of(self.event)}"
        return f"{asked}/marginal" if self.kind == "marginal" else f"{asked}/{self.kind}_{words_of(self.values)}"

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it names, each once."""
        return tuple(dict.fromkeys((*self.event, *self.values)))

    def answered(self, law: LabelLaw, causal_law: CausalLaw) -> float:
        """The exact answer.

        Args:
            law: answers marginals and conditionals: the law of the data, or `causal_law.joint()`.
            causal_law: answers interventions.

        Raises:
            ConfigError: a label is unknown.
            DataError: the condition has probability 0.
        """
        if self.kind == "do":
            return causal_law.do(self.values).probability(self.event)
        return law.probability(self.event, self.values)


def query_table(names: Sequence[str]) -> list[Query]:
    """The queries whose labels are all among `names`: each pair's marginal (once), conditional and intervention."""
    found: dict[str, Query] = {}
    for event, condition in _PAIRS:
        if event in names and condition in names:
            asked, on = {event: 1}, {condition: 1}
            for query in (Query("marginal", asked), Query("given", asked, on), Query("do", asked, on)):
                found.setdefault(query.name, query)
    return list(found.values())
