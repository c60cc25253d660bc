"""How the layers of a network attend within a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from reprise.nn.attention.decomposition import Decomposition
from reprise.samples.attention import AttentionMaps
from reprise.samples.base import Sample


def sentence_attention(name: str, words: Sequence[str], layers: Sequence[Decomposition]) -> list[Sample]:
    """Similarity, magnitude and weights of each head within the first sentence of a batch, a picture a layer.

    Args:
        name: of the sentence.
        words: N of them, named in the captions.
        layers: (B, H, L, L) each, L at least N; what lies behind the words is padding, and is left out.
    """
    size = len(words)
    shown = " ".join(f"{i}:{word}" for i, word in enumerate(words))
    found: list[Sample] = []
    for number, layer in enumerate(layers, 1):
        of_sentence = Decomposition(*(x[0, :, :size, :size].detach().cpu() for x in layer))
        found.append(
            AttentionMaps(
                name=f"{name}_attention_layer{number}",
                caption=f"{name}, layer {number}: {shown}",
                group="attention",
                decomposition=of_sentence,
            )
        )
    return found
