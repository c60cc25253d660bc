"""Under an agent of W&B a run has the id that the agent registered, also when it is resumed by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reprise.cli.main import main
from reprise.tracking.record import read_record


def test_a_run_of_an_agent_has_its_id(
    tmp_path: Path, small: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = small(tmp_path, "trainer.max_steps=2", "trainer.val_check_interval=1", "~callbacks.samples")
    with monkeypatch.context() as agent:
        agent.setenv("WANDB_SWEEP_ID", "sweep1")
        agent.setenv("WANDB_RUN_ID", "agents1d")
        assert main(["train", *words]) == 0
    (path,) = tmp_path.rglob("run.json")
    record = read_record(path.parent)
    assert record.wandb is not None
    assert (record.wandb["id"], record.wandb["sweep"]) == ("agents1d", "sweep1")
    assert record.id != "agents1d"
    (folder,) = (path.parent / "wandb").glob("offline-run-*")
    assert folder.name.endswith("-agents1d")
    assert main(["train", f"resume={path.parent}", "trainer.max_steps=3"]) == 0
    after = read_record(path.parent)
    assert after.wandb is not None
    assert (after.wandb["id"], after.wandb["sweep"]) == ("agents1d", "sweep1")


def test_a_run_without_an_agent_has_its_own_id(
    tmp_path: Path, small: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "left-over")  # of another program
    words = small(tmp_path, "trainer.max_steps=1", "trainer.val_check_interval=1", "~callbacks.samples")
    assert main(["train", *words]) == 0
    (path,) = tmp_path.rglob("run.json")
    record = read_record(path.parent)
    assert record.wandb is not None
    assert record.wandb["id"] == record.id
    assert record.wandb["sweep"] is None


def test_the_service_of_another_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    from reprise.tracking.wandb import leave_foreign_service

    own, foreign = f"3-{os.getpid()}-unix-/tmp/a", f"3-{os.getpid() + 1}-unix-/tmp/b"
    for token, left in ((own, own), (foreign, None)):
        monkeypatch.setenv("WANDB_SERVICE", token)
        leave_foreign_service()
        assert os.environ.get("WANDB_SERVICE") == left
