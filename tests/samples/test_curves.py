"""Curves: a table with every number, and a picture of them that is the same each time."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reprise.samples.curves import Curve

RATES, ERRORS = [0.1, 0.125, 1 / 3], [60.0, 30.5, 1e-7]


def curve(**settings: Any) -> Curve:
    default: dict[str, Any] = {"name": "made", "caption": "as it was made", "x": ("rate [bits/dim]", RATES)}
    return Curve(**default | {"series": {"RMSE [0, 255]": ERRORS}} | settings)


def picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_a_table_holds_every_number_as_it_is(tmp_path: Path) -> None:
    curve(series={"RMSE [0, 255]": ERRORS, "of 1,000": [1, 2, 3]}).write(tmp_path)
    text = (tmp_path / "made.csv").read_text(encoding="utf-8")
    assert text == (
        'rate [bits/dim],"RMSE [0, 255]","of 1,000"\n0.1,60.0,1\n0.125,30.5,2\n0.3333333333333333,1e-07,3\n'
    )
    rows = list(csv.reader(text.splitlines()))
    assert [float(row[0]) for row in rows[1:]] == RATES and [float(row[1]) for row in rows[1:]] == ERRORS


def test_the_picture_is_shown_and_the_table_lies_beside_it(tmp_path: Path) -> None:
    (shown,) = curve(name="deep/made").write(tmp_path / "new")
    assert (shown.key, shown.kind, shown.caption) == ("deep/made", "image", "as it was made")
    assert shown.path == tmp_path / "new" / "deep" / "made.png"
    assert sorted(p.name for p in shown.path.parent.iterdir()) == ["made.csv", "made.png"]
    seen = picture(shown.path)
    assert seen.shape == (480, 768, 3)
    assert (seen[0] == 255).all() and (seen.min(2) < 100).any()  # something is drawn, on white


def test_the_same_curve_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        curve(log_x=True).write(tmp_path / name)
    for name in ("made.png", "made.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert b"matplotlib" not in (tmp_path / "a" / "made.png").read_bytes()  # nor its version


@pytest.mark.parametrize(
    "settings",
    [
        {"log_x": True},
        {"log_y": True},
        {"log_x": True, "log_y": True},
        {"x": ("distortion", RATES)},
        {"series": {"distortion": ERRORS}},
        {"series": {"RMSE [0, 255]": ERRORS, "another": ERRORS[::-1]}},
        {"series": {"RMSE [0, 255]": [60.0, 30.5, 10.0]}},
    ],
)
def test_what_is_set_can_be_seen(settings: dict[str, Any], tmp_path: Path) -> None:
    curve().write(tmp_path / "plain")
    curve(**settings).write(tmp_path / "other")
    first, second = (picture(tmp_path / name / "made.png") for name in ("plain", "other"))
    assert (first != second).any()


def test_zeros_on_a_logarithmic_axis_are_left_out(tmp_path: Path) -> None:
    curve(series={"KL": [1.0, 0.0, 0.5]}, log_y=True).write(tmp_path)  # without a warning
    assert "0.125,0.0" in (tmp_path / "made.csv").read_text()


def test_curves_without_points_on_the_axis_are_refused() -> None:
    with pytest.raises(ValueError, match=r"series 'b' has 2 values\. Expected 3, one a point"):
        curve(series={"a": ERRORS, "b": [1.0, 2.0]})
    with pytest.raises(ValueError, match="no series is given"):
        curve(series={})
