"""Points of several processes each: no rank ever trains another point's hyper-parameters.

With Hydra's in-process sweeps and data parallelism, ranks enter the sweep again; under an unseeded sampler they then
train with other values than rank 0, and the sweep exits with 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from tests.launch.conftest import book_of

from reprise.cli.main import main
from reprise.tracking.record import read_record
from reprise.tracking.study import open_storage

Small = Callable[..., list[str]]
DDP = ["trainer=ddp", "trainer.accelerator=cpu", "logger=none", "hydra.launcher.n_jobs=1", "trainer.max_steps=2"]


def _agreed(point: Path) -> str:
    """Check that both ranks had one config: the run begins only after they compared them."""
    record = read_record(point)
    assert record.state == "finished"
    assert record.environment["world_size"] == 2
    assert (point / "logs" / "rank1.log").is_file()
    return record.config_digest


def test_an_unseeded_search_mixes_no_points(tmp_path: Path, small: Small) -> None:
    words = small(tmp_path, *DDP, "model.optimizer.lr=tag(log,interval(1e-6,1e-2))")
    search = [
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=2",
        "hydra.sweeper.sampler=random",
        "hydra.sweeper.seed=null",
    ]
    assert main(["train", "-m", *words, *search]) == 0
    (folder,) = (tmp_path / "sweeps").iterdir()
    study = optuna.load_study(
        study_name=folder.name, storage=open_storage(f"sqlite:///{folder / 'study.db'}", create=False)
    )
    points = book_of(tmp_path)["points"]
    assert len(points) == len(study.trials) == 2
    digests = set()
    for point, trial in zip(points, study.trials, strict=True):
        record = read_record(Path(point["directory"]))
        digests.add(_agreed(Path(point["directory"])))
        assert record.config["model"]["optimizer"]["lr"] == pytest.approx(trial.params["model.optimizer.lr"], rel=1e-12)
        assert trial.value == record.metrics["val/ls_mse"]["best"]
    assert len(digests) == 2


@pytest.mark.slow
def test_a_grid_goes_on_after_a_failed_point_without_mixing(tmp_path: Path, small: Small) -> None:
    words = small(tmp_path, *DDP, "model.optimizer.lr=1e-4,1e30,1e-3", "trainer.max_steps=4")
    assert main(["train", "-m", *words]) == 1
    points = book_of(tmp_path)["points"]
    assert [p["state"] for p in points] == ["finished", "failed", "finished"]
    assert re.search("loss is not finite", points[1]["error"])
    assert len({_agreed(Path(p["directory"])) for p in (points[0], points[2])}) == 2
