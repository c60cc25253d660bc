"""CelebA's attributes without its pictures, on a hand-made list in the official format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reprise.causal.graph import CausalGraph
from reprise.config.errors import ConfigError, DataError
from reprise.data.images.celeba_texts import ATTRIBUTES
from reprise.data.labels.celeba import CelebALabels
from tests.data.image_files import CelebAFixture

SMALL = CelebAFixture(12)
LIST = "list_attr_celeba.txt"


def read(root: Path | None, **settings: Any) -> CelebALabels:
    data = CelebALabels(0, root=str(root) if root else None, **settings)
    data.setup("fit")
    return data


def test_rows_are_those_of_the_list(tmp_path: Path) -> None:
    SMALL.write_texts(tmp_path, LIST)
    found = read(tmp_path).problem()
    assert found["labels"].dtype == torch.uint8 and found["id"] == "celeba" and int(found["position"]) == 0
    np.testing.assert_array_equal(found["labels"].numpy(), SMALL.attributes)


def test_columns_are_chosen_by_name(tmp_path: Path) -> None:
    SMALL.write_texts(tmp_path / "Anno", LIST, packed=True)
    data = read(tmp_path, attributes=["Young", "Bald", "Male"])
    assert data.label_names == ["Young", "Bald", "Male"]
    columns = [ATTRIBUTES.index(name) for name in data.label_names]
    np.testing.assert_array_equal(data.problem()["labels"].numpy(), SMALL.attributes[:, columns])


def test_the_law_is_that_of_the_rows(tmp_path: Path) -> None:
    SMALL.write_texts(tmp_path, LIST)
    data = read(tmp_path, attributes=["Young", "Bald", "Male"])
    law = data.law()
    assert law.names == ("Young", "Bald", "Male")
    for i, name in enumerate(law.names):
        assert law.marginal(name) == pytest.approx(data.problem()["labels"][:, i].float().mean())
    both = SMALL.attributes[:, ATTRIBUTES.index("Male")] & ~SMALL.attributes[:, ATTRIBUTES.index("Young")]
    assert data.law(["Male", "Young"]).probability({"Male": 1, "Young": 0}) == pytest.approx(both.mean())
    assert data.law().fit(CausalGraph({"Male": [], "Young": ["Male"]})).joint().tvd(data.law(["Young", "Male"])) < 1e-12


def test_one_batch_is_everything_in_every_iteration(tmp_path: Path) -> None:
    SMALL.write_texts(tmp_path, LIST)
    data = read(tmp_path)
    batches = iter(data.train_dataloader())
    assert all(next(batches) is data.problem() for _ in range(3))
    assert [b["labels"].shape for b in data.val_dataloader()] == [(12, 40)]


def test_what_was_read_is_recorded(tmp_path: Path) -> None:
    SMALL.write_texts(tmp_path, LIST)
    found = read(tmp_path, attributes=["Male"]).data_digests()
    assert found["rows"] == 12 and found["labels"] == ["Male"] and list(found["files"]) == [LIST]
    assert found["sha256"] != read(tmp_path, attributes=["Bald"]).data_digests()["sha256"]


def spoilt(old: str, new: str) -> bytes:
    text = "\n".join(SMALL.texts[LIST])
    assert old in text
    return text.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (spoilt("12\n", "13\n"), rf"{LIST}: line 1 says 13 pictures, 12 follow"),
        (spoilt("Male", "Mail"), rf"{LIST}, line 2: .*'Mail' is none of them"),
        (spoilt("000003.jpg ", "000003.jpg 0 "), rf"{LIST}, line 5: value '0'\. Expected 1 or -1"),
        (spoilt("000003.jpg", "000002.jpg"), rf"{LIST}, line 5: '000002\.jpg' stands in an earlier line"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / LIST).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_a_missing_list_or_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"has no {LIST}, gzipped or not"):
        read(tmp_path)
    with pytest.raises(ConfigError, match=r"data\.root is missing"):
        read(None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attributes": ["Mal"]}, "names 'Mal'. Did you mean 'Male'"),
        ({"attributes": ["Male", "Male"]}, "names 'Male' twice"),
        ({"attributes": []}, r"data.attributes is \[\]"),
        ({"attributes": "Male"}, "data.attributes is 'Male'"),
        ({"batch_size": 0}, "Expected 1 or more"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CelebALabels(0, root="somewhere", **settings)


def test_too_many_labels_for_a_table_and_unknown_ones(tmp_path: Path) -> None:
    SMALL.write_texts(tmp_path, LIST)
    with pytest.raises(ConfigError, match=r"2\^40 probabilities"):
        read(tmp_path).law()
    with pytest.raises(ConfigError, match=r"no label 'Males'\. Did you mean 'Male'"):
        read(tmp_path).law(["Males"])
