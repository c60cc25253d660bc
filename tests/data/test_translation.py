"""Sentence pairs: published files, subwords, buckets of tokens, and the made-up language."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reprise.config.errors import ConfigError, DataError
from reprise.data.text.buckets import Buckets
from reprise.data.text.coding import SPECIAL, SubwordCoder, WordCoder, learn_subwords
from reprise.data.text.made_up import TinyTranslation
from reprise.data.text.translation import Translation
from reprise.nn.transformer.special import END, START

LINES = ["Zwei junge Männer, im Freien.", "Ein Hund läuft (schnell)!", "Männer sind im Freien, in der Nähe."]


def write_multi30k(root: Path, packed: bool) -> None:
    root.mkdir(parents=True)
    for part, count in (("train", 30), ("val", 3), ("test_2016_flickr", 4)):
        for language in ("de", "en"):
            text = "".join(f"{LINES[i % 3]} {language}{i}\n" for i in range(count)).encode()
            if packed:
                (root / f"{part}.{language}.gz").write_bytes(gzip.compress(text))
            else:
                (root / f"{part}.{language}").write_bytes(text)


def read(root: Path, name: str = "multi30k", **settings: Any) -> Translation:
    values = {"root": str(root), "tokenized": name == "iwslt14", "operations": 40, "max_length": 60, **settings}
    data = Translation(name, 400, 1, 0, str(root.parent / "cache"), **values)  # type: ignore[arg-type]
    data.setup("fit")
    return data


def tiny(**settings: Any) -> TinyTranslation:
    data = TinyTranslation(40, **{"batch_size": 1, "seed": 0, **settings})
    data.setup("fit")
    return data


def test_multi30k_is_read_packed_and_plain(tmp_path: Path) -> None:
    write_multi30k(tmp_path / "packed", packed=True)
    write_multi30k(tmp_path / "plain", packed=False)
    packed, plain = read(tmp_path / "packed"), read(tmp_path / "plain")
    assert packed.data_digests() == plain.data_digests()
    assert (packed.training_examples(), len(packed.eval_set("val")), packed.held_out()) == (30, 3, 4)  # type: ignore[arg-type]
    item = packed.eval_set("test")[1]
    assert item["reference"] == f"{LINES[1]} en1" and item["source"] == f"{LINES[1]} de1"
    assert packed.coder.decode(item["pairs"][0][1]) == item["reference"]
    other_way = read(tmp_path / "plain", source="en")
    assert other_way.eval_set("test")[1]["reference"] == f"{LINES[1]} de1"
    assert list((tmp_path / "cache" / "subwords").glob("*/subwords.json"))


def test_iwslt14_and_files_that_are_wrong(tmp_path: Path) -> None:
    root = tmp_path / "iwslt14"
    (root / "tmp").mkdir(parents=True)
    for part in ("train", "valid", "test"):
        for language in ("de", "en"):
            text = f"er kam zu uns . {language}\ndurch die muttermilch &apos;s .\n"
            (root / "tmp" / f"{part}.{language}").write_text(text, encoding="utf-8")
    data = read(root, "iwslt14")
    assert data.training_examples() == 2
    (root / "tmp" / "test.de").write_text("eine zeile\n", encoding="utf-8")
    with pytest.raises(DataError, match="1 de and 2 en lines"):
        read(root, "iwslt14")
    (root / "tmp" / "train.de").write_text("ka@@ men\nzwei\n", encoding="utf-8")
    with pytest.raises(DataError, match="before that step"):
        read(root, "iwslt14")
    with pytest.raises(DataError, match=r"val\.de"):
        (root / "train.de").write_text("a\n", encoding="utf-8")
        (root / "train.en").write_text("a\n", encoding="utf-8")
        read(root)
    with pytest.raises(ConfigError, match=r"prepare-iwslt14\.sh"):
        Translation("iwslt14", 400, 1, 0, str(tmp_path)).load()
    with pytest.raises(ConfigError, match=r"data\.tokenized=true"):
        read(root, "iwslt14", tokenized=False)


def test_subwords_are_learnt_alike_and_give_texts_back() -> None:
    saved = learn_subwords(LINES * 4, 30, punctuation=True)
    assert saved == learn_subwords(LINES * 4, 30, punctuation=True)
    coder = SubwordCoder(saved)
    assert len(coder) == len(SPECIAL) + len({"▁", *"".join(LINES)} - {" "}) + 30
    coded = coder.encode(LINES)
    assert [coder.decode([START, *numbers, END, 0]) for numbers in coded] == LINES
    assert min(n for numbers in coded for n in numbers) >= len(SPECIAL)
    assert all("," not in p or p == "," for p in coder.pieces(range(len(coder))))
    assert coder.decode(coder.encode(["Zwei Ω"])[0]) == "Zwei <unk>"


def test_words_of_the_training_part_alone() -> None:
    coder = WordCoder(["b a", "c a"])
    assert coder.words == (*SPECIAL, "a", "b", "c")
    assert coder.encode(["c d"]) == [[6, 1]] and coder.decode([START, 6, 1, 99, END]) == "c <unk> <unk>"


def test_buckets_hold_every_sentence_once_an_epoch() -> None:
    lengths = np.random.default_rng(0).integers(1, 30, 500).tolist()
    buckets, again = Buckets(lengths, 64), Buckets(lengths, 64)
    epochs = []
    for epoch in range(2):
        positions = range(epoch * len(buckets), (epoch + 1) * len(buckets))
        found = [buckets(p, 3) for p in positions]
        assert sorted(i for b in found for i in b) == list(range(500))
        assert max(max(lengths[i] for i in b) * len(b) for b in found) <= 64
        assert [again(p, 3) for p in reversed(positions)] == found[::-1]  # of the position alone
        epochs.append(found)
    assert epochs[0] != epochs[1] and [again(p, 4) for p in range(len(buckets))] != epochs[0]
    assert len(Buckets([5, 5, 5], 10)) == 2  # as full as they can be


def test_a_batch_of_buckets() -> None:
    data = tiny(batch_size=2, tokens_per_batch=128)
    batch = next(iter(data.train_dataloader()))
    pairs = [pair for p in range(2) for pair in data.bucket(p)["pairs"]]
    assert batch["position"].tolist() == [0, 1] and len(batch["source"]) == len(pairs)
    assert (
        max(batch["source"].shape[1], batch["target"].shape[1] - 1)
        * max(len(data.bucket(p)["pairs"]) for p in range(2))
        <= 128
    )
    for row, length, (source, _) in zip(batch["source"], batch["source_lengths"], pairs, strict=True):
        assert row[:length].tolist() == [*source, END] and not row[length:].any()
    for row, length, (_, target) in zip(batch["target"], batch["target_lengths"], pairs, strict=True):
        assert row[:length].tolist() == [START, *target, END] and not row[length:].any()
    assert batch["source"].dtype == torch.long


def test_the_made_up_language_ends_in_its_verb() -> None:
    data = tiny()
    files = data._read()
    assert (len(files.train), len(files.val), len(files.test)) == (800, 100, 100)
    everything = [*files.train, *files.val, *files.test]
    assert len({s for s, _ in everything}) == 1000
    verbs = {"kest": "sees", "vola": "hears", "brun": "follows", "hasp": "helps"}
    assert all(verbs[s.split()[-1]] in t.split() and t.split()[0] == "the" for s, t in everything)
    assert data.data_digests() == tiny(seed=7).data_digests()


def test_lines_to_translate(tmp_path: Path) -> None:
    data = TinyTranslation(40, 1, 0)
    (tmp_path / "in.txt").write_text("daro mipa kest\noru welu tibo vola\n", encoding="utf-8")
    inputs = list(data.read_inputs(tmp_path / "in.txt"))
    assert [name for name, _ in inputs] == ["line-00000", "line-00001"]
    numbers = inputs[0][1]["tokens"]
    assert numbers[-1] == END
    written = data.write_sample("line-00000", numbers, tmp_path / "out")
    assert written.read_text(encoding="utf-8") == "daro mipa kest\n"


def test_settings_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="17 or more"):
        tiny(tokens_per_batch=16)
    with pytest.raises(ConfigError, match=r"data\.vocabulary is 10"):
        TinyTranslation(10, 1, 0).setup("fit")
    with pytest.raises(DataError, match=r"data\.max_length=2"):
        tiny(max_length=2)
