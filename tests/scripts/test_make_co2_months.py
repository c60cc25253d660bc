"""The rebuilt months of Mauna Loa: which rows, how scaled, what is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT

_spec = importlib.util.spec_from_file_location("make_co2_months", ROOT / "scripts" / "make_co2_months.py")
assert _spec is not None and _spec.loader is not None
script = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)


def noaa_file(path: Path, *, skip: tuple[int, int] | None = None, last: int = 2020) -> Path:
    lines = ["# a comment", "year,month,decimal date,average,deseasonalized,ndays,sdev,unc"]
    for year in range(1970, last):
        for month in range(1, 13):
            if (year, month) != skip:
                average = 300 + (year - 1970) * 12 + month  # grows by one a month
                lines.append(f"{year},{month},{year + (month - 0.5) / 12:.4f},{average},0,-1,-9.99,-0.99")
    path.write_text("\n".join(lines))
    return path


def test_takes_527_months_from_may_1973_and_scales_both_columns(tmp_path: Path) -> None:
    assert script.main([str(noaa_file(tmp_path / "noaa.csv")), str(tmp_path)]) == 0
    train, test = (np.loadtxt(tmp_path / "co2" / f"{name}.csv", delimiter=",") for name in ("train", "test"))
    assert train.shape == (200, 2) and test.shape == (327, 2)
    rows = np.concatenate([train, test])
    np.testing.assert_allclose(rows[:, 1], np.linspace(-1, 1, 527), atol=1e-12)
    assert rows[0, 0] == -1 and rows[-1, 0] == 1


@pytest.mark.parametrize("fault", [{"skip": (1980, 7)}, {"last": 2015}])
def test_a_missing_month_is_named(fault: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="1980-07" if "skip" in fault else "2015-01"):
        script.main([str(noaa_file(tmp_path / "noaa.csv", **fault)), str(tmp_path)])


def test_another_file_is_refused_by_its_columns(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("date,co2\n1,2\n")
    with pytest.raises(SystemExit, match="lacks the columns"):
        script.main([str(tmp_path / "other.csv"), str(tmp_path)])


def test_wrong_words_show_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main([]) == 2
    assert "co2_mm_mlo.csv FOLDER" in capsys.readouterr().out
