"""The committed runs of Implicit Kernel Attention's regression beside the figures measured with the authors' code."""

from __future__ import annotations

import math

import pytest

from reprise.reproduction.assess import assess
from reprise.reproduction.evidence import Evidence
from reprise.reproduction.ledger import read_ledger
from reprise.reproduction.papers import read_paper
from tests.conftest import ROOT

AIRLINE = ("airline_transformer", "airline_ikan_direct", "airline_mikan", "airline_gp_rbf", "airline_gp_sm5")
CO2 = ("co2_transformer", "co2_ikan_direct", "co2_gp_rbf", "co2_gp_sm5")
# Three splits were measured there, ten here, of a rebuilt file: docs/papers/implicit_kernel_attention.md says so.
DIFFER = {(row, column) for row in ("co2_gp_sm5", "co2_ikan_direct") for column in ("rmse_best", "rmse_last")}


@pytest.fixture(scope="module")
def standings() -> dict[str, object]:
    paper = read_paper("implicit_kernel_attention")
    return assess([paper], Evidence(read_ledger(ROOT / "outputs" / "reproduction"), [paper]))[0].targets  # type: ignore[return-value]


@pytest.mark.parametrize("row", AIRLINE + CO2)
@pytest.mark.parametrize("column", ["rmse_best", "rmse_last"])
def test_means_agree_within_two_standard_errors_but_for_four(row: str, column: str, standings: dict) -> None:
    standing = standings[f"implicit_kernel_attention/released_code/{row}/{column}"]
    ours, target = standing.ours, standing.target
    assert ours is not None and len(ours.samples) >= 10
    values = [sample.value for sample in ours.samples]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    error = math.sqrt(variance / len(values) + target.spread.value**2 / target.spread.n)
    assert (abs(mean - target.value) < 2.0 * error) == ((row, column) not in DIFFER)
