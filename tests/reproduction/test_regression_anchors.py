"""The committed runs of Implicit Kernel Attention's regression beside the figures measured with the authors' code."""

from __future__ import annotations

import math

import pytest

from reprise.reproduction.assess import assess
from reprise.reproduction.evidence import Evidence
from reprise.reproduction.ledger import read_ledger
from reprise.reproduction.papers import read_paper
from tests.conftest import ROOT

ROWS = ("airline_transformer", "airline_ikan_direct", "airline_mikan", "airline_gp_rbf", "airline_gp_sm5")


@pytest.fixture(scope="module")
def standings() -> dict[str, object]:
    paper = read_paper("implicit_kernel_attention")
    return assess([paper], Evidence(read_ledger(ROOT / "outputs" / "reproduction"), [paper]))[0].targets  # type: ignore[return-value]


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("column", ["rmse_best", "rmse_last"])
def test_means_agree_within_two_standard_errors(row: str, column: str, standings: dict) -> None:
    standing = standings[f"implicit_kernel_attention/released_code/{row}/{column}"]
    ours, target = standing.ours, standing.target
    assert ours is not None and len(ours.samples) >= 10
    values = [sample.value for sample in ours.samples]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    error = math.sqrt(variance / len(values) + target.spread.value**2 / 10)
    assert abs(mean - target.value) < 2.0 * error
