"""A run that its search gives up ends at once, says so, and leaves nothing behind; nothing else can end it."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from reprise.cli.main import main
from reprise.config.protocol import digest
from reprise.launch.parameter import text
from reprise.tracking.metrics_log import read_metrics
from reprise.tracking.record import RunRecord, read_record
from reprise.tracking.study import STORAGE, open_storage

Small = Callable[..., list[str]]
ALWAYS = {"name": "threshold", "upper": 0.0}  # every error is above it
LATE = {"name": "threshold", "upper": 0.0, "n_warmup_steps": 5}
PLAIN = ["logger=csv", "~callbacks.samples"]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> optuna.Study:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    monkeypatch.setenv(STORAGE, url)
    study = optuna.create_study(study_name="s", storage=open_storage(url))
    study.ask()
    return study


def pruning(pruner: dict[str, object]) -> str:
    node = {
        "_target_": "reprise.training.callbacks.pruning.Pruning",
        "study": "s",
        "trial": 0,
        "metric": "val/ls_mse",
        "pruner": pruner,
    }
    return f"+callbacks.pruning={text(node)}"


def record_of(outputs: Path) -> tuple[Path, RunRecord]:
    (path,) = outputs.rglob("run.json")
    return path.parent, read_record(path.parent)


def test_a_pruned_run_ends_at_its_validation_and_says_so(
    tmp_path: Path, small: Small, study: optuna.Study, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *small(tmp_path, *PLAIN, pruning(ALWAYS))]) == 0
    directory, record = record_of(tmp_path)
    assert (record.state, record.exit_code, record.iteration) == ("pruned", 0, 3)
    assert record.error == "pruned by the search after step 3"
    assert record.metrics["val/ls_mse"]["step"] == 3
    assert [s for s, name, _ in read_metrics(directory) if name == "val/ls_mse"] == [3]
    assert study.trials[0].intermediate_values == {3: record.metrics["val/ls_mse"]["value"]}
    assert "pruned after 3 steps" in capsys.readouterr().out
    # the search has no part in what the run computes
    assert "pruning" in record.config["callbacks"]
    plain = {**record.config, "callbacks": {k: v for k, v in record.config["callbacks"].items() if k != "pruning"}}
    assert digest(plain) == record.config_digest
    # started again in its directory, there is nothing to do
    assert main(["train", *small(tmp_path, *PLAIN, pruning(ALWAYS), f"paths.run={directory}")]) == 0
    assert read_record(directory).state == "pruned"
    assert len(read_record(directory).sessions) == 1


def test_a_run_that_keeps_up_reports_and_finishes(tmp_path: Path, small: Small, study: optuna.Study) -> None:
    study._storage.set_trial_intermediate_value(study.trials[0]._trial_id, 2, 5.0)  # before a kill and a resume
    words = small(tmp_path, *PLAIN, pruning(LATE), "trainer.val_check_interval=2")
    assert main(["train", *words]) == 0
    _, record = record_of(tmp_path)
    # after the last step there is nothing left to prune; what was reported before stays
    assert (record.state, record.iteration) == ("finished", 6)
    assert list(study.trials[0].intermediate_values) == [2, 4, 6]
    assert study.trials[0].intermediate_values[2] == 5.0


@pytest.mark.parametrize("missing", ["variable", "file", "study"])
def test_without_an_answer_training_goes_on_unpruned(
    tmp_path: Path,
    small: Small,
    study: optuna.Study,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    missing: str,
) -> None:
    if missing == "variable":
        monkeypatch.delenv(STORAGE)
    elif missing == "file":
        monkeypatch.setenv(STORAGE, f"sqlite:///{tmp_path / 'other.db'}")
    else:
        optuna.delete_study(study_name="s", storage=study._storage)
    words = small(tmp_path, *PLAIN, pruning(ALWAYS), "trainer.val_check_interval=1", "trainer.max_steps=3")
    with caplog.at_level(logging.WARNING):
        assert main(["train", *words]) == 0
    assert record_of(tmp_path)[1].state == "finished"
    assert len([r for r in caplog.records if "goes on unpruned" in r.getMessage()]) == 1
    assert not (tmp_path / "other.db").exists()


def test_two_processes_end_together(tmp_path: Path, small: Small, study: optuna.Study) -> None:
    words = small(tmp_path, *PLAIN, pruning(ALWAYS), "trainer=ddp", "trainer.accelerator=cpu")
    assert main(["train", *words]) == 0
    directory, record = record_of(tmp_path)
    assert (record.state, record.exit_code, record.iteration) == ("pruned", 0, 3)
    assert record.environment["world_size"] == 2
    assert len(study.trials[0].intermediate_values) == 1
    assert "rror" not in (directory / "logs" / "rank1.log").read_text(encoding="utf-8")
    assert not subprocess.run(["pgrep", "-f", f"reprise.training.worker {directory}"], capture_output=True).stdout


def test_a_search_prunes_its_trials(tmp_path: Path, small: Small, command: Callable[..., object]) -> None:
    words = small(tmp_path, *PLAIN)
    words += ["hydra/sweeper=optuna", "model.optimizer.lr=tag(log,interval(1e-5,1e-2))", "hydra.sweeper.n_trials=1"]
    words += ["hydra.launcher.n_jobs=1", f"hydra.sweeper.pruner={text(ALWAYS)}"]
    command("train", "-m", *words)
    directory, record = record_of(tmp_path)
    assert (record.state, record.iteration) == ("pruned", 3)
    (folder,) = (tmp_path / "sweeps").iterdir()
    storage = open_storage(f"sqlite:///{folder / 'study.db'}", create=False)
    (trial,) = optuna.load_study(study_name=folder.name, storage=storage).trials
    assert trial.state.name == "PRUNED"
    assert trial.value == record.metrics["val/ls_mse"]["value"]
    (point,) = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))["points"]
    assert point["state"] == "pruned"
    assert Path(point["directory"]) == directory
