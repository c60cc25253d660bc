"""Clouds of points and curves as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reprise.samples.points import Curve, PointPanels


def test_points_are_drawn_where_they_are(tmp_path: Path) -> None:
    def ink(cloud: torch.Tensor) -> np.ndarray:
        panels = PointPanels(name="p", caption="", clouds=[cloud], titles=[""], columns=1, row_titles=[""])
        (shown,) = panels.write(tmp_path)
        return np.asarray(Image.open(shown.path).convert("L")).astype(int)

    empty, right = ink(torch.zeros(0, 2)), ink(torch.tensor([[2.0, 0.0], [float("nan"), 0.0]]).repeat(50, 1))
    columns = np.nonzero((empty - right).max(0) > 50)[0]
    assert len(columns) and columns.min() > empty.shape[1] / 2


def test_a_curve_is_also_a_table(tmp_path: Path) -> None:
    curve = Curve(
        name="c", caption="", x=torch.tensor([2, 3]), y=torch.tensor([0.5, 1.25]), x_title="t", y_title="bits"
    )
    (shown,) = curve.write(tmp_path / "new")
    assert shown.path.is_file()
    assert (tmp_path / "new" / "c.csv").read_text() == "t,bits\n2,0.5\n3,1.25\n"


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected \(N, 2\)"):
        PointPanels(name="p", caption="", clouds=[torch.zeros(3, 3)], titles=[""], columns=1, row_titles=[""])
    with pytest.raises(ValueError, match="a title for each cloud"):
        PointPanels(name="p", caption="", clouds=[torch.zeros(3, 2)], titles=[], columns=1, row_titles=[""])
    with pytest.raises(ValueError, match=r"Expected \(N,\)"):
        Curve(name="c", caption="", x=torch.zeros(2), y=torch.zeros(3), x_title="", y_title="")
