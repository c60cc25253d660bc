"""Clouds of points as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reprise.samples.points import PointPanels


def test_points_are_drawn_where_they_are(tmp_path: Path) -> None:
    def ink(cloud: torch.Tensor) -> np.ndarray:
        panels = PointPanels(name="p", caption="", clouds=[cloud], titles=[""], columns=1, row_titles=[""])
        (shown,) = panels.write(tmp_path)
        return np.asarray(Image.open(shown.path).convert("L")).astype(int)

    empty, right = ink(torch.zeros(0, 2)), ink(torch.tensor([[2.0, 0.0], [float("nan"), 0.0]]).repeat(50, 1))
    columns = np.nonzero((empty - right).max(0) > 50)[0]
    assert len(columns) and columns.min() > empty.shape[1] / 2


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected \(N, 2\)"):
        PointPanels(name="p", caption="", clouds=[torch.zeros(3, 3)], titles=[""], columns=1, row_titles=[""])
    with pytest.raises(ValueError, match="a title for each cloud"):
        PointPanels(name="p", caption="", clouds=[torch.zeros(3, 2)], titles=[], columns=1, row_titles=[""])
