"""A Transformer encoder that classifies texts."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.nn.attention.base import Draw
from reprise.nn.attention.decomposition import Decomposition
from reprise.nn.dropout import Dropout
from reprise.nn.transformer.embedding import Embedding, Positions, padding_mask
from reprise.nn.transformer.layers import AttentionMaker, Encoder, Norm

Pooling = Literal["mean", "cls"]


class Classified(NamedTuple):
    """What the network says of texts.

    Attributes:
        logits: (B, C), one a class.
        penalty: (), of its attention, to be divided by the number of training texts.
    """

    logits: Tensor
    penalty: Tensor


class TextTransformer(nn.Module):
    """Words and places, encoder layers, one vector for the text, a linear map to classes.

    Args:
        vocabulary: words, padding (0) among them.
        classes: C.
        attention: makes the attention of each layer, of heads= and size=.
        width: D.
        layers: of the encoder.
        heads: H.
        hidden: width of the feed-forward nets.
        dropout: of embeddings, of what sublayers give, and of the text's vector.
        norm: before each sublayer, or after each sum.
        positions: sinusoidal, learned or none.
        pooling: the mean over words, or a vector of its own at the first place, which is learned.
        max_length: words at most.

    Raises:
        ConfigError: a value out of its range.

    Example:
        >>> from functools import partial
        >>> from reprise.nn.attention.dot import DotProduct
        >>> network = TextTransformer(10, 2, DotProduct, width=8, heads=2, hidden=8)
        >>> network(torch.tensor([[3, 4, 0], [5, 6, 7]]), torch.tensor([2, 3])).logits.shape
        torch.Size([2, 2])
    """

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        attention: AttentionMaker,
        width: int = 128,
        layers: int = 1,
        heads: int = 4,
        hidden: int = 256,
        dropout: float = 0.1,
        norm: Norm = "post",
        positions: Positions = "sinusoidal",
        pooling: Pooling = "mean",
        max_length: int = 64,
    ) -> None:
        super().__init__()
        if pooling not in get_args(Pooling):
            raise ConfigError(f"the network has pooling={pooling}. Expected one of {', '.join(get_args(Pooling))}.")
        self.embedding = Embedding(vocabulary, width, positions, max_length, dropout)
        self.start = nn.Parameter(torch.randn(width) / width**0.5) if pooling == "cls" else None
        self.encoder = Encoder(layers, width, hidden, heads, attention, dropout, norm)
        self.dropout = Dropout(dropout)
        self.out = nn.Linear(width, classes)

    def forward(self, tokens: Tensor, lengths: Tensor, draw: Draw | None = None) -> Classified:
        """Classify texts.

        Args:
            tokens: (B, L) of int64, padded with 0 on the right.
            lengths: (B,) words of each text, 1 or more.
            draw: standard normal numbers, for an attention that is random.
        """
        x, allowed = self._embedded(tokens, lengths)
        found = self.encoder(x, allowed, draw)
        if self.start is not None:
            text = found.values[:, 0]
        else:
            there = allowed[:, 0, 0, :, None].to(x)
            text = (found.values * there).sum(1) / there.sum(1)
        return Classified(self.out(self.dropout(text)), found.penalty)

    def decompose(self, tokens: Tensor, lengths: Tensor, draw: Draw | None = None) -> list[Decomposition]:
        """Similarity, magnitude and weights (B, H, L, L) of each layer; with pooling=cls place 0 is the text."""
        x, allowed = self._embedded(tokens, lengths)
        return self.encoder.decompose(x, allowed, draw)

    def _embedded(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (B, L, D) and the mask (B, 1, 1, L) of words that are there."""
        x = self.embedding(tokens)
        if self.start is None:
            return x, padding_mask(lengths, x.shape[1])
        x = torch.cat([self.start.expand(len(x), 1, -1), x], 1)
        return x, padding_mask(lengths + 1, x.shape[1])
