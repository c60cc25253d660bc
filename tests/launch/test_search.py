"""A search: the trials it runs, how it ends, and that a kill at any moment changes nothing."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import optuna
import pytest

from tests.launch.searching import ONE, book, ends, load, search, start, states, sweep_folder


def test_a_search_runs_its_trials_and_continues(tmp_path: Path) -> None:
    out = search(tmp_path, *ONE, "hydra.sweeper.n_trials=4")
    study = load(tmp_path)
    assert states(study) == ["COMPLETE"] * 4
    assert len(set(ends(tmp_path))) == len(ends(tmp_path)) == 4
    assert f"best val/ls_mse {study.best_value:.6g}" in out
    assert [p["state"] for p in book(tmp_path)["points"]] == ["finished"] * 4
    assert book(tmp_path)["points"][2]["objective"] == study.trials[2].value
    search(tmp_path, *ONE, "hydra.sweeper.n_trials=6")
    assert states(load(tmp_path)) == ["COMPLETE"] * 6
    assert len(ends(tmp_path)) == 6
    search(tmp_path, *ONE, "hydra.sweeper.n_trials=6")
    assert len(ends(tmp_path)) == 6


def _params(study: optuna.Study) -> list[dict[str, object]]:
    return [t.params for t in study.trials]


@pytest.mark.parametrize(
    ("trials", "kills"), [(6, (1, 5)), pytest.param(14, (1, 2, 5, 8, 12, 17, 22), marks=pytest.mark.slow)]
)
def test_a_killed_and_restarted_search_draws_what_an_uninterrupted_one_draws(
    tmp_path: Path, trials: int, kills: tuple[int, ...]
) -> None:
    words = ["sweep=wavegrad_ema", "hydra.launcher.n_jobs=1", f"hydra.sweeper.n_trials={trials}"]
    words.append("hydra.sweeper.sampler={name: tpe, n_startup_trials: 3}")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    search(whole, *words)
    killed.mkdir()
    log = killed / "log.txt"
    rng = random.Random(time.time_ns())
    for events in kills:  # starts and ends of trials, after which the process is killed at a random moment
        process = start(killed, *words, FAKE_SECONDS="0.1")
        deadline = time.monotonic() + 60
        while not log.is_file() or len(log.read_text(encoding="utf-8").splitlines()) < events:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, 0.3))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    search(killed, *words)
    study = load(killed)
    assert states(study) == ["COMPLETE"] * trials
    assert len(set(ends(killed))) == len(ends(killed)) == trials
    assert _params(study) == _params(load(whole))
    assert len({str(p) for p in _params(study)}) == trials
    assert sweep_folder(killed).name == sweep_folder(whole).name


def test_ctrl_c_leaves_its_trials_to_the_next_start(tmp_path: Path) -> None:
    words = ["sweep=wavegrad_lr", "hydra.launcher.n_jobs=2", "hydra.sweeper.n_trials=2"]
    process = start(tmp_path, *words, FAKE_SECONDS="60", FAKE_PAGE="1")
    deadline = time.monotonic() + 60
    while not (tmp_path / "log.txt").is_file() or (tmp_path / "log.txt").read_text().count("start") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    study = load(tmp_path)
    assert states(study) == ["RUNNING"] * 2
    assert [t.user_attrs["reprise:owner"] for t in study.trials] == [None, None]
    assert [p["state"] for p in book(tmp_path)["points"]] == ["interrupted"] * 2
    assert (sweep_folder(tmp_path) / "index.html").is_file()
    search(tmp_path, *words)
    assert states(load(tmp_path)) == ["COMPLETE"] * 2
    assert len(ends(tmp_path)) == 2
    assert len(list((tmp_path / "runs" / "wavegrad").iterdir())) == 2
