"""Transformers with every attention: padding, causality, step-by-step decoding, schedule."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.models.text_transformer.network import TextTransformer
from reprise.models.translation_transformer.network import TranslationTransformer
from reprise.nn.attention.base import fixed_draw
from reprise.nn.attention.dot import DotProduct
from reprise.nn.attention.generated import GeneratedPoints
from reprise.nn.attention.implicit import ImplicitKernel
from reprise.nn.attention.spectral import DirectPoints
from reprise.nn.transformer.embedding import Embedding
from reprise.nn.transformer.layers import MultiHead
from reprise.nn.transformer.schedule import InverseSqrt

DIRECT = functools.partial(ImplicitKernel, points=functools.partial(DirectPoints, count=6), p=3.0)
MIKAN = functools.partial(ImplicitKernel, points=functools.partial(GeneratedPoints, count=6))
IKAN = functools.partial(ImplicitKernel, points=functools.partial(GeneratedPoints, count=6, copula=False))
CROSS = functools.partial(MIKAN, pool="keys")
ATTENTIONS: dict[str, Any] = {"dot": DotProduct, "direct": DIRECT, "ikan": IKAN, "mikan": MIKAN}
LENGTHS = torch.tensor([3, 7, 1])


def texts(seed: int = 0, length: int = 7, vocabulary: int = 12) -> Tensor:
    tokens = torch.randint(4, vocabulary, (3, length), generator=torch.Generator().manual_seed(seed))
    return tokens.masked_fill(torch.arange(length) >= LENGTHS[:, None], 0)


def classifier(attention: Callable[..., Any], **settings: Any) -> TextTransformer:
    torch.manual_seed(0)
    return TextTransformer(12, 3, attention, **{"width": 16, "layers": 2, "heads": 2, "hidden": 8, **settings}).eval()


def translator(own: Callable[..., Any] = DotProduct, cross: Callable[..., Any] = DotProduct) -> TranslationTransformer:
    torch.manual_seed(0)
    return TranslationTransformer(12, own, own, cross, width=16, layers=2, heads=2, hidden=8, max_length=20).eval()


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("name", ATTENTIONS)
def test_padding_changes_nothing(name: str, norm: Any, pooling: Any) -> None:
    network = classifier(ATTENTIONS[name], norm=norm, pooling=pooling).double()  # to tell rounding from padding
    tokens, draw = texts(), fixed_draw(0)
    together = network(tokens, LENGTHS, draw).logits
    wider = network(torch.cat([tokens, torch.full((3, 5), 9)], 1), LENGTHS, draw).logits
    torch.testing.assert_close(wider, together, atol=1e-9, rtol=1e-9)
    for i, n in enumerate(LENGTHS.tolist()):
        alone = network(tokens[i : i + 1, :n], LENGTHS[i : i + 1], draw).logits
        torch.testing.assert_close(alone, together[i : i + 1], atol=1e-9, rtol=1e-9)


def test_places_matter_unless_there_are_none() -> None:
    tokens, lengths = torch.tensor([[4, 5, 6]]), torch.tensor([3])
    for positions in ("sinusoidal", "learned", "none"):
        network = classifier(DIRECT, positions=positions)
        same = torch.allclose(network(tokens, lengths).logits, network(tokens.flip(1), lengths).logits, atol=1e-6)
        assert same == (positions == "none")


def test_penalties_of_the_layers_add_up() -> None:
    network, draw = classifier(MIKAN), fixed_draw(0)
    both = network(texts(), LENGTHS, draw).penalty.item()
    one = classifier(MIKAN, layers=1)(texts(), LENGTHS, draw).penalty.item()
    assert both > one > 0
    assert classifier(DIRECT)(texts(), LENGTHS).penalty.item() == 0


def test_what_the_network_shows_of_its_attention() -> None:
    network = classifier(DIRECT)
    found = network.decompose(texts(), LENGTHS)
    assert len(found) == 2 and found[1].weights.shape == (3, 2, 7, 7)
    torch.testing.assert_close(found[1].weights.sum(-1), torch.ones(3, 2, 7))
    assert not found[0].weights[0, :, :, 3:].any()  # padding is not seen


@pytest.mark.parametrize(("own", "cross"), [(DotProduct, DotProduct), (DIRECT, DIRECT), (DIRECT, CROSS)])
def test_no_word_depends_on_a_later_one(own: Any, cross: Any) -> None:
    network, draw = translator(own, cross), fixed_draw(0)
    source, target = texts(), texts(1, 6)
    before = network(source, LENGTHS, target, draw).logits
    for place in range(1, 6):
        changed = target.clone()
        changed[:, place:] = 11 - changed[:, place:]
        after = network(source, LENGTHS, changed, draw).logits
        torch.testing.assert_close(after[:, :place], before[:, :place], atol=1e-6, rtol=1e-5)
        assert not torch.allclose(after[:, place], before[:, place], atol=1e-4)
    # and on each word of the source that is there
    for i, n in enumerate(LENGTHS.tolist()):
        changed = source.clone()
        changed[i, n - 1] = 11 if changed[i, n - 1] != 11 else 10
        assert not torch.allclose(network(changed, LENGTHS, target, draw).logits[i], before[i], atol=1e-4)


@pytest.mark.parametrize(("own", "cross"), [(DotProduct, DotProduct), (DIRECT, CROSS)])
def test_decoding_step_by_step_equals_all_at_once(own: Any, cross: Any) -> None:
    network, draw = translator(own, cross), fixed_draw(0)
    source, target = texts(), texts(1, 6)
    expected = network(source, LENGTHS, target, draw).logits
    state, _ = network.begin(source, LENGTHS, draw)
    for place in range(6):
        logits, state = network.step(target[:, place], state, draw)
        torch.testing.assert_close(logits, expected[:, place], atol=1e-5, rtol=1e-5)
    assert state.place == 6


def test_the_decoder_refuses_points_that_see_later_places() -> None:
    with pytest.raises(ConfigError, match="self-attention"):
        translator(MIKAN)
    with pytest.raises(ConfigError, match="pool=keys"):
        translator(DIRECT, IKAN)


def test_parameters_of_the_usual_iwslt_network() -> None:
    network = TranslationTransformer(1000, DotProduct, DotProduct, DotProduct)
    attention, norms = 4 * (512 * 512 + 512), 2 * 512
    feedforward = 2 * 512 * 1024 + 1024 + 512
    layers = 6 * (attention + feedforward + 2 * norms) + 6 * (2 * attention + feedforward + 3 * norms)
    assert sum(p.numel() for p in network.parameters()) == 2 * 1000 * 512 + layers


def test_wrong_sizes_are_named() -> None:
    for settings, words in (
        ({"heads": 3}, "do not divide"),
        ({"layers": 0}, "layers=0"),
        ({"norm": "both"}, "pre, post"),
        ({"positions": "odd"}, "sinusoidal"),
        ({"pooling": "max"}, "mean, cls"),
    ):
        with pytest.raises(ConfigError, match=words):
            classifier(DotProduct, **settings)
    with pytest.raises(ConfigError, match="max_length is 4"):
        Embedding(5, 4, max_length=4)(torch.zeros(1, 5, dtype=torch.long))
    with pytest.raises(ConfigError, match="warmup is 0"):
        InverseSqrt(torch.optim.SGD([torch.zeros(1)]), 0)


def test_heads_are_those_of_torch() -> None:
    torch.manual_seed(0)
    ours = MultiHead(8, 2, DotProduct)
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    weight = torch.cat([layer.weight for layer in (ours.query, ours.key, ours.value)])
    state = {"in_proj_weight": weight, "in_proj_bias": torch.zeros(24), "out_proj.weight": ours.out.weight}
    theirs.load_state_dict({**state, "out_proj.bias": torch.zeros(8)})
    x = torch.randn(2, 5, 8)
    there = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    expected, _ = theirs(x, x, x, key_padding_mask=~there)
    found = ours(x, ours.keys_values(x), there[:, None, None], None).values
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_the_learning_rate_rises_in_a_line_and_falls_by_the_root() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    schedule = InverseSqrt(optimizer, 4)
    rates = []
    for _ in range(16):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert rates[4:] == pytest.approx([0.4 * math.sqrt(4 / n) for n in range(5, 17)])
