"""Modules of text classification and of translation, on the data made for them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError
from reprise.data.text.base import pad
from reprise.data.text.embedded import TinySentences
from reprise.data.text.made_up import TinyTranslation
from reprise.data.text.pairs import together
from reprise.models.text_transformer.module import TextClassifier
from reprise.models.text_transformer.network import TextTransformer
from reprise.models.translation_transformer.module import Translator
from reprise.models.translation_transformer.network import TranslationTransformer
from reprise.nn.attention.base import fixed_draw
from reprise.nn.attention.dot import DotProduct
from reprise.nn.attention.generated import GeneratedPoints
from reprise.nn.attention.implicit import ImplicitKernel
from reprise.nn.transformer.special import END, START
from reprise.samples.attention import AttentionMaps
from reprise.samples.sentences import sentence_attention
from reprise.samples.texts import TextSample

ADAM = functools.partial(torch.optim.Adam, lr=1e-2)
MIKAN = functools.partial(ImplicitKernel, points=functools.partial(GeneratedPoints, count=8))


def sentences() -> TinySentences:
    data = TinySentences(2, 40, 16, 0)
    data.setup("fit")
    return data


def pairs(**settings: Any) -> TinyTranslation:
    data = TinyTranslation(40, **{"batch_size": 1, "seed": 0, **settings})
    data.setup("fit")
    return data


def classifier(attention: Any = DotProduct, **settings: Any) -> TextClassifier:
    torch.manual_seed(0)
    network = TextTransformer(40, 2, attention, width=16, heads=2, hidden=16, dropout=0.0)
    return TextClassifier(network, ADAM, **{"seed": 0, **settings})


def translator(**settings: Any) -> Translator:
    torch.manual_seed(0)
    network = TranslationTransformer(
        40, DotProduct, DotProduct, DotProduct, width=16, layers=1, heads=2, hidden=16, dropout=0.0, max_length=40
    )
    return Translator(network, ADAM, **{"seed": 0, "label_smoothing": 0.0, **settings})


def train(module: Any, data: Any, steps: int) -> list[float]:
    module._examples = data.training_examples()
    optimizer = module.configure_optimizers()
    losses = []
    for _, batch in zip(range(steps), data.train_dataloader(), strict=False):
        optimizer.zero_grad()
        loss = module.training_step(batch, 0)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("attention", [DotProduct, MIKAN])
def test_a_classifier_learns_the_same_from_the_same_seed(attention: Any) -> None:
    first = train(classifier(attention), sentences(), 160)
    assert first[:40] == train(classifier(attention), sentences(), 40)
    assert attention is MIKAN or sum(first[-20:]) < 0.5 * sum(first[:20])
    other = train(classifier(attention, seed=1), sentences(), 3)
    assert (other == first[:3]) == (attention is DotProduct)  # the seed decides what random attention draws


def test_random_attention_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """By smaller steps: new noise in each of them makes large ones stray."""
    monkeypatch.setattr(f"{__name__}.ADAM", functools.partial(torch.optim.Adam, lr=1e-3))
    losses = train(classifier(MIKAN), sentences(), 480)
    assert sum(losses[-40:]) < 0.85 * sum(losses[:40])


def test_the_penalty_is_divided_by_the_number_of_sentences() -> None:
    module, batch = classifier(MIKAN), next(iter(sentences().train_dataloader()))
    found = {}
    for examples in (1, 420):
        module._examples = examples
        found[examples] = module.training_step(batch, 0).item()
    torch.manual_seed(0)
    draws = module.network.eval()(batch["tokens"], batch["lengths"], fixed_draw(0)).penalty.item()
    assert found[1] - found[420] > 0.5 * draws * (1 - 1 / 420) > 0


def test_accuracy_is_exact_in_any_division() -> None:
    data = sentences()
    items = [data.eval_set("test")[i] for i in range(50)]
    alone, divided = classifier(), classifier()
    for module, size in ((alone, 50), (divided, 7)):
        module.eval()
        for i in range(0, 50, size):
            batch = pad(items[i : i + size])
            module.test_accuracy.update(module(batch["tokens"], batch["lengths"]).logits, batch["labels"])
    assert alone.test_accuracy.compute() == divided.test_accuracy.compute()
    assert 0 < float(alone.test_accuracy.compute()) < 1


def test_the_loss_of_a_translation_counts_each_word_once() -> None:
    module, data = translator(), pairs()
    items = [data.eval_set("val")[i] for i in range(6)]
    batch = together(items)
    loss = module.eval().training_step(batch, 0)
    total, words = torch.zeros(()), 0
    for item in items:
        one = together([item])
        logits = module(one["source"], one["source_lengths"], one["target"][:, :-1]).logits[0]
        log_p = logits.log_softmax(-1).gather(1, one["target"][0, 1:, None])
        total, words = total - log_p.sum(), words + len(log_p)
    torch.testing.assert_close(loss, total / words, atol=1e-5, rtol=1e-5)


def test_smoothing_spreads_a_share_over_all_words() -> None:
    module, plain = translator(label_smoothing=0.1), translator()
    batch = next(iter(pairs().train_dataloader()))
    target = batch["target"]
    logits = plain.eval()(batch["source"], batch["source_lengths"], target[:, :-1]).logits
    there = target[:, 1:] != 0
    uniform = -logits.log_softmax(-1).mean(-1)[there].mean()
    expected = 0.9 * plain.training_step(batch, 0) + 0.1 * uniform
    torch.testing.assert_close(module.eval().training_step(batch, 0), expected, atol=1e-5, rtol=1e-5)


def literal_greedy(network: TranslationTransformer, source: Tensor, limit: int) -> list[int]:
    """The likeliest word each time, all computed anew for each word."""
    written = [START]
    lengths = torch.tensor([source.shape[1]])
    while len(written) < limit:
        logits = network(source, lengths, torch.tensor([written])).logits[0, -1].detach()
        logits[[0, START]] = -torch.inf
        if (word := int(logits.argmax())) == END:
            break
        written.append(word)
    return written[1:]


def test_translations_depend_on_nothing_but_the_source() -> None:
    module, data = translator(extra_length=6), pairs()
    train(module, data, 60)
    module.eval()
    items = [data.eval_set("test")[i] for i in range(8)]
    greedy = [numbers.tolist() for numbers in module.generate(items, beams=1)]
    for item, numbers in zip(items, greedy, strict=True):
        source = item["tokens"][None]
        assert numbers == literal_greedy(module.network, source, source.shape[1] + 6)
        assert [numbers] == [n.tolist() for n in module.generate([item], beams=1)]
    assert len({tuple(numbers) for numbers in greedy}) > 1
    with pytest.raises(ConfigError, match="beams=0"):
        module.generate(items, beams=0)


def test_a_translation_of_the_greatest_length_fits() -> None:
    module, data = translator(extra_length=1000), pairs()
    (numbers,) = module.eval().generate([data.eval_set("test")[0]], beams=3)
    assert len(numbers) < module.network.max_length


def test_texts_are_written_with_their_titles(tmp_path: Path) -> None:
    sample = TextSample(name="a/b", caption="c", texts={"source": "x $1 $2", "hypothesis": "y " * 60})
    (shown,) = sample.write(tmp_path)
    assert shown.path == tmp_path / "a" / "b.png" and shown.path.stat().st_size > 1000
    assert (tmp_path / "a" / "b.txt").read_text(encoding="utf-8").startswith("source: x $1 $2\nhypothesis: y")
    with pytest.raises(ValueError, match="no text"):
        TextSample(name="a", caption="", texts={})


def test_numbers_out_of_range_are_named() -> None:
    for settings in ({"beams": 0}, {"extra_length": 0}, {"label_smoothing": 1.0}):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            translator(**settings)
    assert isinstance(translator().network, nn.Module)


def test_attention_within_a_sentence_is_shown_without_padding() -> None:
    network = classifier(MIKAN).network.eval()
    batch = pad([sentences().eval_set("test")[i] for i in range(4)])
    layers = network.decompose(batch["tokens"], batch["lengths"], fixed_draw(0))
    words = ["w"] * int(batch["lengths"][0])
    (shown,) = sentence_attention("s", words, layers)
    assert isinstance(shown, AttentionMaps) and shown.group == "attention"
    weights = shown.decomposition.weights
    assert weights.shape == (2, len(words), len(words))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, len(words)))
