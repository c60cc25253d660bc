"""Bars and rows as files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from reprise.samples.bars import Bars
from reprise.samples.rows import Rows


def test_bars_are_a_picture_and_a_table_in_which_a_missing_number_is_empty(tmp_path: Path) -> None:
    bars = Bars(
        name="asked/p", caption="what", rows=["P(a)", "P(b)"], axis="probability",
        series={"data": [0.25, math.nan], "model": [0.3, 1.0]},
    )  # fmt: skip
    (shown,) = bars.write(tmp_path)
    assert (shown.kind, shown.caption) == ("image", "what") and shown.path.stat().st_size > 5000
    assert (tmp_path / "asked" / "p.csv").read_text() == ",data,model\nP(a),0.25,0.3\nP(b),,1\n"
    with pytest.raises(ValueError, match=r"series .data. has 1 values\. Expected 2"):
        Bars(name="p", caption="", rows=["a", "b"], axis="", series={"data": [0.1]})


def test_a_missing_number_is_said_in_the_picture_not_drawn_as_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.axes import Axes

    said: list[str] = []
    text = Axes.text

    def listening(self: Axes, x: float, y: float, s: str, **settings: Any) -> Any:
        said.append(s)
        return text(self, x, y, s, **settings)

    monkeypatch.setattr(Axes, "text", listening)
    Bars(name="p", caption="", rows=["P(a)", "P(b)"], axis="", series={"data": [0.0, math.nan]}).write(tmp_path)
    assert said == ["0.000", "not known"]


def test_rows_are_a_table_with_names(tmp_path: Path) -> None:
    rows = Rows(name="drawn", caption="", columns=["a", "b"], values=torch.tensor([[1, 0], [0, 1]], dtype=torch.uint8))
    assert rows.write(tmp_path) == []
    assert rows.path(tmp_path).read_text() == "a,b\n1,0\n0,1\n"
    with pytest.raises(ValueError, match=r"Expected \(N, 1\)"):
        Rows(name="drawn", caption="", columns=["a"], values=torch.zeros(2, 2))
