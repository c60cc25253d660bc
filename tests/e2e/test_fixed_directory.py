"""A run whose directory was decided beforehand: started there, continued there, never mixed with another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from reprise.cli.main import main
from reprise.tracking.record import read_record
from reprise.training import checkpoints

Small = Callable[..., list[str]]


def test_another_run_does_not_get_in(
    finished_run: Path, tmp_path: Path, small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*small(tmp_path), f"paths.run={finished_run}"]
    before = (finished_run / "run.json").read_bytes()
    for word in ("trainer.max_steps=7", "seed=1"):
        assert main(["train", *words, word]) == 1
        assert f"paths.run={finished_run} holds another run (seed 0, config" in capsys.readouterr().err
    assert (finished_run / "run.json").read_bytes() == before


def test_an_interrupted_run_goes_on_to_the_same_weights(finished_run: Path, tmp_path: Path, small: Small) -> None:
    directory = tmp_path / "here"
    words = small(tmp_path, "logger=csv", f"paths.run={directory}")
    assert main(["train", *words]) == 0
    # back to step 2, as if killed there
    record = read_record(directory)
    record.state, record.iteration = "running", 2
    record.write(directory)
    entries = checkpoints.read_index(directory)
    kept = entries[-1]
    assert kept.step < 6
    for entry in entries[:-1]:
        (directory / entry.file).unlink()
    kept.roles = ["last"]
    checkpoints.write_index(directory, [kept])
    assert main(["train", *words]) == 0
    record = read_record(directory)
    assert (record.state, record.iteration, len(record.sessions)) == ("finished", 6, 2)
    ours, theirs = (checkpoints.load(checkpoints.find(d)[0])["state_dict"] for d in (directory, finished_run))
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


def test_a_finished_run_is_left_alone(
    tmp_path: Path, small: Small, caplog: pytest.LogCaptureFixture, finished_run: Path
) -> None:
    words = [w for w in small(finished_run.parents[2]) if not w.startswith("paths.run")]
    before = (finished_run / "run.json").read_bytes()
    assert main(["train", *words, f"paths.run={finished_run}"]) == 0
    assert "is finished: nothing to do" in caplog.text
    assert (finished_run / "run.json").read_bytes() == before


def test_somebody_elses_folder_is_refused(tmp_path: Path, small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "thesis.tex").write_text("precious")
    assert main(["train", *small(tmp_path, f"paths.run={tmp_path}/here")]) == 1
    assert "holds thesis.tex, but no run. Expected an empty or new folder" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "here").iterdir()] == ["thesis.tex"]


def test_what_a_run_left_before_it_had_a_record_is_moved_aside(
    finished_run: Path, tmp_path: Path, small: Small
) -> None:
    directory = tmp_path / "here"
    (directory / "logs").mkdir(parents=True)
    (directory / "config.yaml").write_bytes((finished_run / "config.yaml").read_bytes())
    (directory / "metrics.csv").write_text("step,name,value\n1,train/loss,99.0\n")
    assert main(["train", *small(tmp_path, "logger=csv", f"paths.run={directory}")]) == 0
    assert "99.0" not in (directory / "metrics.csv").read_text()
    assert "99.0" in (directory / "unrecorded" / "1" / "metrics.csv").read_text()
    assert read_record(directory).state == "finished"


def test_a_real_sweep_logs_each_point_to_one_group(tmp_path: Path, small: Small) -> None:
    from tests.launch.conftest import book_of
    from tests.wandb_log import read_log

    assert main(["train", "-m", *small(tmp_path, "seed=0,1", "trainer.max_steps=2")]) == 0
    book = book_of(tmp_path)
    groups, ids = set(), set()
    for point in book["points"]:
        record = read_record(Path(point["directory"]))
        assert record.state == "finished"
        (folder,) = Path(point["directory"]).glob("wandb/offline-run-*")
        log = read_log(folder)
        groups.add(log.group)
        ids.add(json.dumps(record.wandb))
    assert groups == {book["group"]}
    assert len(ids) == 2
