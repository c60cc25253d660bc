"""Sets of labelled sentences from small files in their published formats."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
import torch

from reprise.config.errors import ConfigError, DataError
from reprise.data.text.base import SentenceDataModule, folds
from reprise.data.text.embedded import TinySentences
from reprise.data.text.sentences import Sentences
from reprise.data.text.trees import phrases
from reprise.data.text.words import SPECIAL, Vocabulary, cleaned


def write_mr(root: Path, count: int = 30, packed: bool = False) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for kind in ("neg", "pos"):
        content = "".join(f"cr\xe8me {kind}{i} , it's n{i}\x85 . \n" for i in range(count)).encode("latin-1")
        if packed:
            (root / f"rt-polarity.{kind}.gz").write_bytes(gzip.compress(content))
        else:
            (root / f"rt-polarity.{kind}").write_bytes(content)


def write_trec(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 40), ("test", 6)):
        lines = [f"{i % 6} What is {part}{i} ?" for i in range(count)]
        (root / f"TREC.{part}.all").write_text("\n".join(lines) + "\n", encoding="latin-1")


def write_sst(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for part in ("train", "dev", "test"):
        (root / f"stsa.binary.{part}").write_text(f"1 a crème {part}\n0 not {part}\n", encoding="utf-8")
    (root / "trees").mkdir()
    trees = "(3 (2 (2 a) (2 -LRB-)) (4 (4 crème) (0 train)))\n(1 (1 not) (2 train))\n"
    (root / "trees" / "train.txt").write_text(trees, encoding="utf-8")


def read(name: str, root: Path, classes: int = 2, **settings: Any) -> Sentences:
    data = Sentences(name, classes, 500, 4, 0, str(root / "cache"), root=str(root), **settings)  # type: ignore[arg-type]
    data.setup("fit")
    return data


def names(data: SentenceDataModule, part: str) -> list[str]:
    return [s.name for s in data._parts()[part]]


def test_mr_is_read_from_two_latin_1_files(tmp_path: Path) -> None:
    write_mr(tmp_path / "plain")
    write_mr(tmp_path / "packed" / "rt-polaritydata", packed=True)
    plain, packed = read("mr", tmp_path / "plain", cleaning="none"), read("mr", tmp_path / "packed", cleaning="none")
    assert plain.data_digests() == packed.data_digests()
    every = {s.name: s for part in plain._parts().values() for s in part}
    assert len(every) == 60  # a line that holds the control character 0x85 is one line
    assert every["rt-polarity.pos-00007"].words[:2] == ("crème", "pos7")
    assert {n: s.label for n, s in every.items()} == {n: int(".pos" in n) for n in every}


def test_ten_folds_partition_the_set(tmp_path: Path) -> None:
    write_mr(tmp_path)
    tested: list[str] = []
    for fold in range(10):
        data = read("mr", tmp_path, fold=fold)
        parts = [names(data, part) for part in ("train", "val", "test")]
        assert [len(p) for p in parts] == [48, 6, 6]
        assert len({n for part in parts for n in part}) == 60
        tested += parts[2]
    assert len(tested) == 60 and len(set(tested)) == 60
    assert names(read("mr", tmp_path, fold=3, split_seed=1), "test") != names(read("mr", tmp_path, fold=3), "test")
    sizes = [len(part) for part in folds(107, 10, 0)]
    assert sum(sizes) == 107 and max(sizes) - min(sizes) == 1


def test_trec_and_sst_have_splits_of_their_own(tmp_path: Path) -> None:
    write_trec(tmp_path / "trec")
    trec = read("trec", tmp_path / "trec", classes=6)
    assert names(trec, "test") == [f"TREC.test.all-{i:05d}" for i in range(6)]
    assert (len(names(trec, "train")), len(names(trec, "val"))) == (36, 4)
    assert trec._parts()["test"][1].words == ("What", "is", "test1", "?")  # not in small letters
    write_sst(tmp_path / "sst")
    sst = read("sst2", tmp_path / "sst", cleaning="none")
    assert [names(sst, part)[0] for part in ("train", "val", "test")] == [
        "stsa.binary.train-00000",
        "stsa.binary.dev-00000",
        "stsa.binary.test-00000",
    ]


def test_phrases_of_the_training_trees(tmp_path: Path) -> None:
    write_sst(tmp_path)
    data = read("sst2", tmp_path, cleaning="none", phrases=True)
    found = {(" ".join(s.words), s.label) for s in data._parts()["train"]}
    # neutral phrases are left out, 3 and 4 are positive
    assert found == {
        ("a ( crème train", 1),
        ("crème train", 1),
        ("crème", 1),
        ("train", 0),
        ("not train", 0),
        ("not", 0),
    }
    for wrong in ("(3 good", "good", "(3 (good))", "(3 good) )"):
        with pytest.raises(DataError):
            phrases(wrong)


def test_words_are_those_of_the_training_part(tmp_path: Path) -> None:
    write_mr(tmp_path)
    data = read("mr", tmp_path)
    trained = {word for s in data._parts()["train"] for word in s.words}
    assert set(data.words.words) == trained | set(SPECIAL)
    held_out = data.eval_set("test")[0]
    shown = data.texts_of(held_out["tokens"])
    words = data._parts()["test"][0].words
    assert shown == [w if w in trained else "<unk>" for w in words] and "<unk>" in shown
    frequent = read("mr", tmp_path, min_count=20)
    assert set(frequent.words.words) == {*SPECIAL, "cr", "me", ",", "it", "'s"}


def test_cleaning() -> None:
    text = "It's  GOOD-natured, isn't it? (we'll see) \xbd"
    assert cleaned(text) == ["it", "'s", "good", "natured", ",", "is", "n't", "it", "?", "(", "we", "'ll", "see", ")"]
    assert cleaned("What is AI?", lower=False) == ["What", "is", "AI", "?"]
    assert Vocabulary.of([["b", "a", "b"], ["c"]]).words == (*SPECIAL, "b", "a", "c")


def test_batches_are_padded_and_follow_the_position(tmp_path: Path) -> None:
    data = TinySentences(2, 40, 8, 3)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    items = [data.train_set()[p] for p in range(8)]
    assert batch["position"].tolist() == list(range(8)) and batch["id"] == [item["id"] for item in items]
    for row, length, label, item in zip(batch["tokens"], batch["lengths"], batch["labels"], items, strict=True):
        assert (row[:length] == item["tokens"]).all() and (row[length:] == 0).all() and int(label) == item["label"]
    epoch = sorted(data.train_set()[p]["id"] for p in range(data.epoch_size()))
    assert epoch == sorted(names(data, "train"))


def test_tiny_sentences_are_labelled_by_adjective_and_negation() -> None:
    data = TinySentences(2, 40, 8, 0)
    data.setup("fit")
    good = {"good", "moving", "funny", "clever", "superb"}
    for sentence in [s for part in data._parts().values() for s in part]:
        assert sentence.label == (sentence.words[-2] in good) ^ bool({"not", "never"} & set(sentence.words))
    assert len({s.words for part in data._parts().values() for s in part}) == 600
    assert data.data_digests() == _again().data_digests()


def _again() -> TinySentences:
    data = TinySentences(2, 40, 8, 1)  # another run
    data.setup("fit")
    return data


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    write_mr(tmp_path)
    write_trec(tmp_path)
    for settings, words in (
        ({"name": "mr", "fold": 10}, "0 to 9"),
        ({"name": "trec", "fold": 1}, "test set of its own"),
        ({"name": "mr", "phrases": True}, "sst1 or sst2"),
        ({"name": "trec", "classes": 2}, "data.classes"),
        ({"name": "cr"}, "data.name"),
    ):
        with pytest.raises(ConfigError, match=words):
            read(root=tmp_path, **{"name": "mr", **settings})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"data\.vocabulary is 10"):
        Sentences("mr", 2, 10, 4, 0, str(tmp_path), root=str(tmp_path)).setup("fit")
    with pytest.raises(DataError, match=r"subj\.all"):
        read("subj", tmp_path)
    (tmp_path / "subj.all").write_text("no label here\n", encoding="latin-1")
    with pytest.raises(DataError, match="begins with 'no'"):
        read("subj", tmp_path)


def test_a_batch_of_torch_types() -> None:
    data = TinySentences(2, 40, 8, 0)
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    assert batch["tokens"].dtype == batch["lengths"].dtype == batch["labels"].dtype == torch.long
    assert len(batch["id"]) == 100
