"""Maps of attention show what it is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reprise.nn.attention.decomposition import dot_product
from reprise.samples.attention import COLUMNS, AttentionMaps


def maps(**settings: object) -> AttentionMaps:
    q, k = torch.randn(2, 1, 3, 6, 4, generator=torch.Generator().manual_seed(0))
    found = dot_product(q, k)
    one = found._replace(**{name: value[0] for name, value in found._asdict().items()})
    return AttentionMaps(name="deep/maps", caption="as made", decomposition=one, **settings)  # type: ignore[arg-type]


def test_similarity_times_magnitude_gives_the_weights() -> None:
    similarity, magnitude, weights = maps().maps()
    product = similarity * magnitude
    torch.testing.assert_close(product / product.sum(-1, keepdim=True), weights)
    assert similarity.max() <= 1.0 and magnitude.amax(-1).eq(1.0).all()
    assert all(len(shown) == 2 for shown in maps(heads=(0, 2)).maps())
    torch.testing.assert_close(maps(heads=(2,)).maps()[2][0], weights[2])


def test_the_picture_is_written_and_shown(tmp_path: Path) -> None:
    (shown,) = maps(heads=(0,)).write(tmp_path)
    assert (shown.key, shown.kind, shown.caption) == ("deep/maps", "image", "as made")
    image = np.asarray(Image.open(shown.path))
    maps(heads=(0,)).write(tmp_path / "again")
    assert (image == np.asarray(Image.open(tmp_path / "again" / "deep" / "maps.png"))).all()
    maps(heads=(1,)).write(tmp_path / "other")
    assert (image != np.asarray(Image.open(tmp_path / "other" / "deep" / "maps.png"))).any()


def test_columns_and_heads_are_named() -> None:
    axes = maps(heads=(1, 2)).figure().axes
    assert [a.get_title() for a in axes if a.get_title()] == list(COLUMNS)
    assert [a.get_ylabel() for a in axes if a.get_ylabel()] == ["head 1, query", "head 2, query"]


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(ValueError, match="no head 3"):
        maps(heads=(3,))
    q = torch.zeros(1, 3, 6, 4)
    with pytest.raises(ValueError, match="of one example"):
        AttentionMaps(name="a", caption="", decomposition=dot_product(q, q))
