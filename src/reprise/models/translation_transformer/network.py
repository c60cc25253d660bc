"""Encoder and decoder that translate."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from torch import Tensor, nn

from reprise.nn.attention.base import Draw
from reprise.nn.attention.decomposition import Decomposition
from reprise.nn.transformer.decoder import DecoderLayer, DecoderState
from reprise.nn.transformer.embedding import Embedding, Positions, causal_mask, padding_mask
from reprise.nn.transformer.layers import AttentionMaker, Encoder, Heads, Norm


class Translated(NamedTuple):
    """What the network says of targets.

    Attributes:
        logits: (B, T, V) of the word after each.
        penalty: (), of all attention, to be divided by the number of training pairs.
    """

    logits: Tensor
    penalty: Tensor


class TranslationTransformer(nn.Module):
    """A Transformer; the decoder's table of words gives its logits too.

    Args:
        vocabulary: V, numbers of both languages, padding (0) among them.
        attention: makes the encoder's self-attention, of heads= and size=.
        decoder_attention: makes the decoder's self-attention.
        cross_attention: makes the decoder's attention to the encoded text.
        width: D.
        layers: of the encoder, and as many of the decoder.
        heads: H.
        hidden: width of the feed-forward nets.
        dropout: of embeddings and of what sublayers give.
        norm: before each sublayer, or after each sum.
        positions: sinusoidal, learned or none.
        max_length: places at most, on either side.

    Raises:
        ConfigError: a value out of its range, or an attention of the decoder that would see later places.
    """

    def __init__(
        self,
        vocabulary: int,
        attention: AttentionMaker,
        decoder_attention: AttentionMaker,
        cross_attention: AttentionMaker,
        width: int = 512,
        layers: int = 6,
        heads: int = 4,
        hidden: int = 1024,
        dropout: float = 0.3,
        norm: Norm = "post",
        positions: Positions = "sinusoidal",
        max_length: int = 256,
    ) -> None:
        super().__init__()
        self.max_length = max_length
        self.source = Embedding(vocabulary, width, positions, max_length, dropout)
        self.target = Embedding(vocabulary, width, positions, max_length, dropout)
        self.encoder = Encoder(layers, width, hidden, heads, attention, dropout, norm)
        self.decoder = nn.ModuleList(
            DecoderLayer(width, hidden, heads, decoder_attention, cross_attention, dropout, norm) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor, draw: Draw | None = None) -> Translated:
        """Predict each word of the targets from the words before it.

        Args:
            source: (B, S) of int64, padded on the right.
            lengths: (B,) of the sources, 1 or more.
            target: (B, T) of int64, the words before those to predict; what is padded on the right is not seen.
            draw: standard normal numbers, for an attention that is random.
        """
        state, penalty = self.begin(source, lengths, draw)
        logits, _, more = self._decode(target, state, causal_mask(target.shape[1], target.device), draw)
        return Translated(logits, penalty + more)

    def begin(self, source: Tensor, lengths: Tensor, draw: Draw | None = None) -> tuple[DecoderState, Tensor]:
        """Encode sources: the state before the first word, and the penalty."""
        allowed = padding_mask(lengths, source.shape[1])
        memory = self.encoder(self.source(source), allowed, draw)
        heads: tuple[Heads, ...] = tuple(
            layer.cross_attention.keys_values(memory.values)  # type: ignore[operator, union-attr]
            for layer in self.decoder
        )
        return DecoderState(heads, allowed), memory.penalty

    def step(self, words: Tensor, state: DecoderState, draw: Draw | None = None) -> tuple[Tensor, DecoderState]:
        """Logits (B, V) of the word after `words` (B,), and the state with these."""
        logits, state, _ = self._decode(words[:, None], state, None, draw)
        return logits[:, -1], state

    def _decode(
        self, target: Tensor, state: DecoderState, allowed: Tensor | None, draw: Draw | None
    ) -> tuple[Tensor, DecoderState, Tensor]:
        x = self.target(target, state.place)
        penalty, own = x.new_zeros(()), []
        for i, layer in enumerate(self.decoder):
            before = state.own[i] if state.own else None
            found, heads = layer(x, before, state.memory[i], allowed, state.allowed, draw)
            x, penalty = found.values, penalty + found.penalty
            own.append(heads)
        logits = self.norm(x) @ self.target.words.weight.T
        return logits, replace(state, own=tuple(own), place=state.place + target.shape[1]), penalty

    def decompose(self, source: Tensor, lengths: Tensor, draw: Draw | None = None) -> list[Decomposition]:
        """Similarity, magnitude and weights (B, H, S, S) of each layer of the encoder."""
        return self.encoder.decompose(self.source(source), padding_mask(lengths, source.shape[1]), draw)
