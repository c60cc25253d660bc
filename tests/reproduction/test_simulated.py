"""A simulated ledger of known truth: every verdict and outcome is found again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reprise.reproduction.assess import assess
from reprise.reproduction.evidence import Evidence
from reprise.reproduction.ledger import Ledger, read_ledger
from reprise.reproduction.publish import make_report, to_json
from reprise.reproduction.standing import KINDS as ALL_KINDS
from reprise.reproduction.standing import OUTCOMES as ALL_OUTCOMES
from reprise.reproduction.standing import PaperStanding
from tests.reproduction.simulate import simulate
from tests.reproduction.simulated_truth import KINDS, OUTCOMES, STANDINS, Simulated


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return simulate(tmp_path_factory.mktemp("ledger"))


@pytest.fixture(scope="module")
def ledger(made: Simulated) -> Ledger:
    return read_ledger(made.folder)


@pytest.fixture(scope="module")
def standing(made: Simulated, ledger: Ledger) -> PaperStanding:
    return assess([made.paper], Evidence(ledger, [made.paper]))[0]


def test_every_verdict_is_found_again(standing: PaperStanding) -> None:
    found = {name: state.kind for name, state in standing.targets.items()}
    assert found.pop("simulated/main/pending/ls_mse") == "missing"
    assert found == KINDS
    assert set(found.values()) == set(ALL_KINDS)


def test_every_stand_in_is_found_again(standing: PaperStanding) -> None:
    found = {name: s.standin.state for name, s in standing.targets.items() if s.standin is not None}
    assert found == STANDINS


def test_every_outcome_is_found_again(standing: PaperStanding) -> None:
    found = {state.claim.id: state.outcome for state in standing.claims}
    assert found == OUTCOMES
    assert set(found.values()) == set(ALL_OUTCOMES)


def test_the_report_of_it_is_the_same_twice(made: Simulated, ledger: Ledger) -> None:
    one, two = (
        json.dumps(to_json(make_report([made.paper], read, made.folder)), allow_nan=False)
        for read in (ledger, read_ledger(made.folder))
    )
    assert one == two


def test_broken_records_are_named(made: Simulated, ledger: Ledger) -> None:
    assert {Path(path) for path, _ in ledger.rejected} == set(made.rejected)
