"""Points with evaluate=true are done when their run is finished and its best checkpoint was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reprise.config.compose import compose_config
from reprise.config.protocol import deviations, digest
from reprise.launch.drive import End, conclude
from reprise.launch.plan import Planner
from reprise.launch.point import Point
from reprise.tracking.record import RunRecord, is_done, own_evaluation, read_record
from tests.launch.conftest import book_of, starts
from tests.launch.test_view import _point

Sweep = Callable[..., int]


def records(outputs: Path) -> list[RunRecord]:
    return [read_record(p.parent) for p in sorted(outputs.glob("runs/*/*/run.json"))]


def a_record(**more: Any) -> RunRecord:
    record = RunRecord("id", "name", 0, "", {"callbacks": {"ema": None}}, "d" * 64, state="finished")
    record.checkpoints = [
        {"file": "a", "step": 3, "sha256": "3", "roles": ["previous", "best"]},
        {"file": "b", "step": 6, "sha256": "6", "roles": ["last"]},
    ]
    record.evaluations = [{"sha256": "3", "weights": "raw", "changes": {}, **more}]
    return record


def test_which_evaluation_is_a_runs_own() -> None:
    assert own_evaluation(a_record()) is not None
    assert own_evaluation(a_record(changes={"trainer.devices": 2})) is not None
    assert own_evaluation(a_record(changes={"data.limit_test": 2})) is None
    assert own_evaluation(a_record(sha256="6")) is None, "of the last checkpoint, not of the best"
    assert own_evaluation(a_record(weights="ema")) is None
    averaged = a_record()
    averaged.config["callbacks"]["ema"] = {"_target_": "reprise.training.callbacks.ema.EMA"}
    assert own_evaluation(averaged) is None, "of the raw weights, where the averaged ones are taken by default"
    averaged.evaluations[0]["weights"] = "ema"
    assert own_evaluation(averaged) is not None
    never_validated = a_record(sha256="6")
    never_validated.checkpoints[0]["roles"] = ["previous"]
    assert own_evaluation(never_validated) is not None


@pytest.mark.parametrize(
    ("state", "measured", "plain", "evaluate"),
    [
        ("finished", True, True, True),
        ("finished", False, True, False),
        ("pruned", False, True, True),
        ("failed", True, False, False),
        ("running", True, False, False),
    ],
)
def test_when_nothing_is_left_to_run(state: str, measured: bool, plain: bool, evaluate: bool) -> None:
    record = a_record()
    record.state = state
    record.evaluations = record.evaluations if measured else []
    assert (is_done(record, False), is_done(record, True)) == (plain, evaluate)


def test_evaluate_changes_no_result() -> None:
    plain, evaluated = (compose_config(["model=wavegrad", *w]).values for w in ([], ["evaluate=true"]))
    assert digest(plain) == digest(evaluated)
    assert deviations(plain, evaluated) == []


def test_points_are_evaluated_once(tmp_path: Path, sweep: Sweep) -> None:
    for _ in range(2):
        assert sweep("seed=0,1", "evaluate=true") == 0
    assert [len(r.evaluations) for r in records(tmp_path)] == [1, 1]
    assert len(starts(tmp_path)) == 2


def test_a_finished_run_is_evaluated_and_not_trained_again(tmp_path: Path, sweep: Sweep) -> None:
    assert sweep("seed=0,1") == 0
    assert [len(r.evaluations) for r in records(tmp_path)] == [0, 0]
    assert sweep("seed=0,1,2", "evaluate=true") == 0
    assert [len(r.evaluations) for r in records(tmp_path)] == [1, 1, 1]
    assert [len(r.sessions) for r in records(tmp_path)] == [1, 1, 1]
    book = book_of(tmp_path)
    assert [p["reused"] for p in book["points"]] == [True, True, False]
    assert [p["state"] for p in book["points"]] == ["finished"] * 3
    # what is evaluated counts for who does not ask for it, and for who asks again
    begun = len(starts(tmp_path))
    assert sweep("seed=1,2") == 0
    assert sweep("seed=1,2", "evaluate=true") == 0
    assert len(starts(tmp_path)) == begun


def test_reuse_prefers_the_run_that_is_evaluated(tmp_path: Path, sweep: Sweep) -> None:
    assert sweep("seed=0") == 0
    assert sweep("seed=0", "evaluate=true", "hydra.launcher.reuse=false") == 0
    planner = Planner()
    for words, reused in ((["evaluate=true"], "-2"), ([], "")):
        point = planner.plan(0, ["model=wavegrad", f"paths.outputs={tmp_path}", "seed=0", *words], {})
        planner.place(point)
        assert point.state == "finished"
        assert point.directory.name == f"s0-{point.digest[:8]}{reused}"


def test_a_failed_evaluation_fails_the_point_with_what_it_said(
    tmp_path: Path, sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "unmeasured-1").touch()
    (tmp_path / "stopped-2").touch()
    assert sweep("seed=0,1,2", "evaluate=true") == 1
    states = [(p["state"], p["error"]) for p in book_of(tmp_path)["points"]]
    assert states == [("finished", None), ("failed", "the held-out clips are gone"), ("interrupted", None)]
    assert "failed seed=1: the held-out clips are gone" in capsys.readouterr().out
    (tmp_path / "unmeasured-1").unlink()
    (tmp_path / "stopped-2").unlink()
    assert sweep("seed=0,1,2", "evaluate=true") == 0
    assert [len(r.evaluations) for r in records(tmp_path)] == [1, 1, 1]
    assert [len(r.sessions) for r in records(tmp_path)] == [1, 1, 1]


def test_an_end_without_an_evaluation_is_no_success(tmp_path: Path) -> None:
    record = a_record()
    record.evaluations = []
    record.write(tmp_path)

    def end(code: int | None, reason: str | None = None, stopped: bool = False) -> tuple[str, str | None]:
        point = _point(0, "running", directory=tmp_path, evaluate=True)
        conclude(point, End(code, reason), stopped)
        return point.state, point.error

    assert end(0) == ("failed", "its training is finished, but its best checkpoint was not evaluated")
    assert end(None, "the node was lost") == ("failed", "the node was lost")
    assert end(75) == ("interrupted", None)
    assert end(-15, stopped=True) == ("interrupted", None)
    assert end(-9) == ("failed", "killed by SIGKILL")


def test_a_book_of_a_version_without_evaluate_can_be_read() -> None:
    raw = _point(0, "waiting", evaluate=True).to_json()
    assert Point.from_json(json.loads(json.dumps(raw))).evaluate
    del raw["evaluate"]
    assert not Point.from_json(raw).evaluate
