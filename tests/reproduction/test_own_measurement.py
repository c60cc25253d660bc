"""Only a measurement that `reprise evaluate RUN_DIR` would repeat counts as the run's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reprise.reproduction.entry import Evaluation
from reprise.reproduction.ledger import UNKNOWN_SOURCES, read_ledger
from tests.conftest import ROOT

RUN = next((ROOT / "outputs" / "reproduction" / "wavegrad").rglob("run.json"))


def evaluation(folder: Path, **changes: Any) -> Evaluation:
    """The evaluation of the committed run as it would be with its own settings, and with changes."""
    raw = json.loads(RUN.read_text(encoding="utf-8"))
    raw["evaluations"][0] |= {"changes": {}, **changes}
    (folder / "run.json").write_text(json.dumps(raw), encoding="utf-8")
    (entry,) = read_ledger(folder).entries
    return entry.evaluations[0]


def test_the_own_one_departs_in_nothing(tmp_path: Path) -> None:
    assert evaluation(tmp_path).changes == {}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"sha256": "0" * 64, "step": 10}, {"checkpoint": "of step 10"}),
        ({"weights": "raw"}, {"weights": "raw"}),
        ({"data": {"recordings_sha256": "b"}}, {"data": "other recordings_sha256"}),
        ({"changes": {"data.limit_test": 3, "data.root": "/mine"}}, {"data.limit_test": 3}),
    ],
)
def test_another_checkpoint_weights_or_data_is_a_change(tmp_path: Path, changes: Any, found: Any) -> None:
    assert evaluation(tmp_path, **changes).changes == found


def test_the_code_that_measured_is_watched_too(tmp_path: Path) -> None:
    assert evaluation(tmp_path).changed == ()
    code = {"sources": {"reprise.training.evaluate": "0" * 16}}
    assert evaluation(tmp_path, code=code).changed == ("reprise.training.evaluate",)


def test_a_run_whose_code_is_not_known_is_not_of_the_code_of_now(tmp_path: Path) -> None:
    raw = json.loads(RUN.read_text(encoding="utf-8")) | {"code": {}}
    (tmp_path / "run.json").write_text(json.dumps(raw), encoding="utf-8")
    assert read_ledger(tmp_path).entries[0].changed == (UNKNOWN_SOURCES,)
