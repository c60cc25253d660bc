"""What a fitted graph does not know, in words."""

from __future__ import annotations

from collections import Counter

from reprise.nn.causal.law import CausalLaw


def undefined_in_words(law: CausalLaw) -> str | None:
    """Say how many conditionals of a fitted law the data do not define, and of which labels they are.

    A conditional is undefined where the data never show a combination of its label's parents; the graph's answers to
    interventions may rest on it, so the theory's "strictly positive" (Kocaoglu et al. 2018, corollary 1) fails there.

    Args:
        law: as `LabelLaw.fit` gives it.

    Returns:
        e.g. "213 conditionals are undefined, ... (Mustache 1, Smiling 6)", in the graph's order; None where all are.
    """
    if not law.undefined:
        return None
    count = Counter(name for name, _ in law.undefined)
    labels = ", ".join(f"{name} {count[name]}" for name in law.graph.names if count[name])
    total = "1 conditional is" if len(law.undefined) == 1 else f"{len(law.undefined)} conditionals are"
    return (
        f"{total} undefined, since the data never show these values of a label's parents together ({labels}). 1/2 "
        "stands in their place; what do() of the fitted graph answers may rest on it."
    )
