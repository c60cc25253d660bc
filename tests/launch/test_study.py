"""What a search draws, tells, counts and says, whatever runs its points."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import optuna
import pytest

from reprise.launch.owner import Owner, process_start
from reprise.launch.point import Point
from reprise.launch.study import OWNER, POINT, REASON
from tests.launch.conftest import Searches, parabola

LR = ["sweep=wavegrad_lr"]
TWO = "hydra.sweeper.objectives=[{metric: val/ls_mse},{metric: perf/samples_per_sec, direction: maximize}]"


def params(study: optuna.Study) -> list[dict[str, Any]]:
    return [t.params for t in study.trials]


def test_the_command_of_the_best_trial_trains_it_without_the_search(search: Searches) -> None:
    out = search(*LR, "budget=smoke", "hydra.sweeper.n_trials=5")
    best = search.study().best_trial
    assert f"train it anew: python train.py model=wavegrad budget=smoke paths.outputs={search.outputs} " in out
    assert f"model.optimizer.lr={best.params['model.optimizer.lr']!r}" in out
    assert "too few finished trials for importances: 5, 10 are needed" in out
    (line,) = [x for x in out.splitlines() if "anew" in x]
    assert "hydra" not in line
    assert "paths.run" not in line
    assert "sweep=" not in line


@pytest.mark.parametrize(
    "sampler", ["tpe", "random", "qmc", "cmaes", "gp", "nsga2", "{name: tpe, multivariate: false, n_startup_trials: 3}"]
)
def test_a_search_in_pieces_draws_what_it_draws_in_one(search: Searches, tmp_path: Path, sampler: str) -> None:
    words = ["model=wavegrad", "hydra/sweeper=optuna", f"hydra.sweeper.sampler={sampler}"]
    words += ["model.optimizer.lr=tag(log,interval(1e-5,1e-2))", "trainer.gradient_clip_val=interval(0.5,5)"]
    search.outputs = tmp_path / "whole"
    search(*words, "hydra.sweeper.n_trials=6")
    whole = params(search.study())
    search.outputs = tmp_path / "pieces"
    for n in (2, 6):
        search(*words, f"hydra.sweeper.n_trials={n}")
    assert params(search.study()) == whole
    assert len({str(p) for p in whole}) == 6
    search.outputs = tmp_path / "other"
    search(*words, "hydra.sweeper.n_trials=2", "hydra.sweeper.seed=1")
    assert not any(p in whole for p in params(search.study()))


def test_a_trial_whose_draw_was_cut_short_is_drawn_to_its_end(search: Searches, tmp_path: Path) -> None:
    words = ["sweep=wavegrad_ema", "hydra.sweeper.sampler={name: tpe, multivariate: false, n_startup_trials: 3}"]
    search.outputs = tmp_path / "whole"
    search(*words, "hydra.sweeper.n_trials=8")
    whole = params(search.study())
    search.outputs = tmp_path / "cut"
    search(*words, "hydra.sweeper.n_trials=7")
    study = search.study()
    trial = study.ask()  # killed after the first parameter, before it had an owner
    name, value = next(iter(whole[7].items()))
    spread = study.trials[0].distributions[name]
    study._storage.set_trial_param(trial._trial_id, name, spread.to_internal_repr(value), spread)
    search(*words, "hydra.sweeper.n_trials=8")
    assert params(search.study()) == whole


def test_grid_of_a_finite_space_by_brute_force(search: Searches) -> None:
    words = ["model=wavegrad", "hydra/sweeper=optuna", "hydra.sweeper.sampler=brute", "seed=range(3)"]
    search(*words, "trainer.gradient_clip_val=1.0,null", "hydra.sweeper.n_trials=50")
    assert len({str(p) for p in params(search.study())}) == len(search.study().trials) == 6
    assert "continuum" in search(*words, "model.optimizer.lr=interval(0.1,0.2)", code=2)


def test_failed_trials_have_their_reason_and_the_others_go_on(search: Searches) -> None:
    def train(point: Point) -> dict[str, Any]:
        if float(point.params["model.optimizer.lr"]) > 1e-3:
            return {"state": "failed", "error": "the loss is not finite"}
        return parabola(point)

    search.place.train = staticmethod(train)
    out = search(*LR, "hydra.sweeper.n_trials=6", code=1)
    states = search.states()
    assert states.count("COMPLETE") == 6
    assert states.count("FAIL") >= 1
    failed = [t for t in search.study().trials if t.state.name == "FAIL"]
    assert {t.user_attrs[REASON] for t in failed} == {"the loss is not finite"}
    assert "the loss is not finite" in out
    assert {p["error"] for p in search.book()["points"] if p["state"] == "failed"} == {"the loss is not finite"}
    assert "the loss is not finite" in (search.folder / "trials.csv").read_text(encoding="utf-8")


def test_too_many_failures_end_the_search(search: Searches) -> None:
    search.place.train = staticmethod(lambda point: {"state": "failed", "error": "no"})
    out = search(*LR, "hydra.sweeper.max_failures=3", code=1)
    assert search.states() == ["FAIL"] * 3
    assert "ended by failed trials (hydra.sweeper.max_failures)" in out
    search.place.train = staticmethod(parabola)  # mended: those that failed before do not count
    search(*LR, "hydra.sweeper.max_failures=3", "hydra.sweeper.n_trials=2", code=1)
    assert search.states() == ["FAIL"] * 3 + ["COMPLETE"] * 2


@pytest.mark.parametrize(
    ("objectives", "reason"),
    [
        ("[{metric: val/broken, direction: min}]", "val/broken is nan. Expected a finite number"),
        ("[{metric: val/ls_mes, direction: min}]", "no metric val/ls_mes. Did you mean 'val/ls_mse'"),
    ],
)
def test_an_objective_that_is_missing_or_not_finite_fails_the_trial(
    search: Searches, objectives: str, reason: str
) -> None:
    search(*LR, f"hydra.sweeper.objectives={objectives}", "hydra.sweeper.max_failures=2", code=1)
    assert search.states() == ["FAIL"] * 2
    assert reason in search.study().trials[0].user_attrs[REASON]


def test_last_value_instead_of_best(search: Searches) -> None:
    search(*LR, "hydra.sweeper.objectives=[{metric: val/ls_mse, value: last}]", "hydra.sweeper.n_trials=2")
    for trial, point in zip(search.study().trials, search.book()["points"], strict=True):
        assert trial.value == pytest.approx(parabola(Point.from_json(point))["metrics"]["val/ls_mse"]["value"])
        assert point["objective"] == trial.value


def test_several_objectives_give_a_front(search: Searches) -> None:
    out = search(*LR, TWO, "hydra.sweeper.n_trials=12")
    study = search.study()
    assert [d.name for d in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    front = {t.number for t in study.best_trials}
    for number in front:
        mine = study.trials[number].values
        assert not any(t.values[0] < mine[0] and t.values[1] > mine[1] for t in study.trials)
    assert f"Pareto front, {len(front)} trials:" in out
    assert "importances (PED-ANOVA over 12 finished trials): " in out
    assert "cannot be pruned" in search(*LR, TWO, "hydra.sweeper.pruner=median", code=2)
    assert "serves one objective" in search(*LR, TWO, "hydra.sweeper.sampler=cmaes", code=2)


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_a_named_study_in_a_storage_elsewhere(search: Searches, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "elsewhere" / "study"
    url = f"journal:{file}" if kind == "journal" else f"sqlite:///{file}"
    words = [*LR, f"hydra.sweeper.storage={url}", "hydra.sweeper.study_name=lr-1"]
    search(*words, "hydra.sweeper.n_trials=2")
    search(*words, "hydra.sweeper.n_trials=3")
    assert file.is_file()
    assert len(search.study(url, "lr-1").trials) == 3
    assert search.folder.name == "lr-1"
    # who joins must search the same; folders and devices are nobody's concern
    search(*words, "hydra.sweeper.n_trials=4", "trainer=cpu")
    assert "searches something else: it has nothing where here is budget=smoke" in search(
        *words, "budget=smoke", code=2
    )
    said = search(*words, "model.optimizer.lr=interval(0.1,0.2)", code=2)
    assert "its space has model.optimizer.lr" in said
    assert "is not in its space" in search(*words, "data.batch_size=2,4", code=2)
    assert "its objectives are" in search(*words, TWO, code=2)
    assert "searches something else" in search(*words, "seed=5", code=2)


def test_the_folder_follows_from_what_is_searched(search: Searches) -> None:
    search(*LR, "hydra.sweeper.n_trials=1")
    first = search.folder
    more = ["hydra.sweeper.seed=3", "hydra.sweeper.sampler=random", "hydra.launcher.n_jobs=2", "logger=none"]
    search(*LR, "hydra.sweeper.n_trials=2", *more)
    assert search.folder == first
    assert first.name.startswith("wavegrad_lr-")
    search(*LR, "hydra.sweeper.n_trials=1", "budget=smoke")
    assert len(list(first.parent.iterdir())) == 2


def owner_of_another_machine(age: float) -> dict[str, Any]:
    return Owner("elsewhere", "boot/pid:[1]/elsewhere", 7, "1234", time.time() - age).to_json()


def leave_running(search: Searches, owner: dict[str, Any] | None) -> None:
    """Put the last trial back to where it was under way, with somebody as its owner and its run half done."""
    study = search.study()
    trials, attributes = study.trials, study.user_attrs
    done = trials[-1]
    (search.folder / "study.db").unlink()
    storage = optuna.storages.RDBStorage(f"sqlite:///{search.folder / 'study.db'}")
    again = optuna.create_study(study_name=search.folder.name, storage=storage)
    for key, value in attributes.items():
        again.set_user_attr(key, value)
    for trial in trials[:-1]:
        again.add_trial(trial)
    state = optuna.trial.TrialState.RUNNING
    own = {**done.user_attrs, OWNER: owner}
    again.add_trial(
        optuna.trial.create_trial(state=state, params=done.params, distributions=done.distributions, user_attrs=own)
    )


@pytest.mark.parametrize("finished_meanwhile", [True, False])
def test_a_stale_trial_is_adopted_and_goes_on_where_it_was(
    search: Searches, monkeypatch: pytest.MonkeyPatch, finished_meanwhile: bool
) -> None:
    search(*LR, "hydra.sweeper.n_trials=3")
    point = search.book()["points"][-1]
    before = search.study().trials[-1]
    started: list[Path] = []

    def train(p: Point) -> dict[str, Any]:
        started.append(p.directory)
        return parabola(p)

    search.place.train = staticmethod(train)
    record = Path(point["directory"]) / "run.json"
    if not finished_meanwhile:
        record.write_text(json.dumps({**json.loads(record.read_text()), "state": "running"}), encoding="utf-8")
    leave_running(search, owner_of_another_machine(age=301))
    search(*LR, "hydra.sweeper.n_trials=3")
    assert search.states() == ["COMPLETE"] * 3
    assert search.study().trials[-1].params == before.params
    assert search.study().trials[-1].values == before.values
    assert started == ([] if finished_meanwhile else [Path(point["directory"])])
    assert Path(search.study().trials[-1].user_attrs[POINT]["directory"]) == Path(point["directory"]).absolute()


def test_whoever_adopts_a_trial_learns_of_its_job(search: Searches) -> None:
    search.place.jobs = True
    jobs: list[str] = []

    def train(point: Point) -> dict[str, Any]:
        jobs.append(point.placement["job"])
        return parabola(point)

    search.place.train = staticmethod(train)
    search(*LR, "hydra.sweeper.n_trials=2")
    point = search.book()["points"][-1]
    record = Path(point["directory"]) / "run.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "state": "running"}), encoding="utf-8")
    leave_running(search, None)
    study = search.study()
    attribute = study.trials[-1].user_attrs[POINT]
    study._storage.set_trial_user_attr(study.trials[-1]._trial_id, POINT, {**attribute, "placement": {"job": "77"}})
    (search.folder / "sweep.json").unlink()
    search(*LR, "hydra.sweeper.n_trials=2")
    assert jobs == ["j0", "j1", "77"]
    assert attribute["placement"] == {"job": "j1"}


def test_a_trial_that_runs_elsewhere_is_waited_for_and_taken_over(
    search: Searches, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(*LR, "hydra.sweeper.n_trials=2")
    leave_running(search, owner_of_another_machine(age=0))
    monkeypatch.setattr("reprise.launch.owner.STALE_SECONDS", 3.0)
    monkeypatch.setattr("reprise.launch.search._LOOK_SECONDS", 0.2)
    begun = time.monotonic()
    search(*LR, "hydra.sweeper.n_trials=2")
    assert time.monotonic() - begun > 1.0, "it was alive, and must not be run twice"
    assert search.states() == ["COMPLETE"] * 2


def test_a_dead_owner_of_this_machine_is_known_at_once(search: Searches) -> None:
    me = Owner.me()
    assert me.is_alive()
    assert me.is_me()
    assert not Owner(me.host, me.space, me.pid, "another start", me.beat).is_alive()
    assert process_start(2**22 + 5) is None
    assert socket.gethostname() == me.host
    assert Owner.read({"pid": 3}) is None
    search(*LR, "hydra.sweeper.n_trials=2")
    leave_running(search, Owner(me.host, me.space, me.pid, "another start", me.beat).to_json())
    search(*LR, "hydra.sweeper.n_trials=2")
    assert search.states() == ["COMPLETE"] * 2


@pytest.mark.parametrize("seconds", [0.05, 60.0])  # seen between two signs of life, or only at the trial's end
def test_a_trial_that_was_taken_over_is_left_to_who_has_it(
    search: Searches, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    monkeypatch.setattr("reprise.launch.study.BEAT_SECONDS", seconds)
    monkeypatch.setattr("reprise.launch.owner.STALE_SECONDS", 1.5)
    monkeypatch.setattr("reprise.launch.search._LOOK_SECONDS", 0.2)
    calls: list[int] = []

    def train(point: Point) -> dict[str, Any]:
        calls.append(point.index)
        if len(calls) == 1:  # this process slept for long, and another one took the trial
            (trial,) = search.study().trials
            storage = search.study()._storage
            storage.set_trial_user_attr(trial._trial_id, OWNER, owner_of_another_machine(age=0))
            time.sleep(0.3)
            return {"state": "failed", "error": "not its word any more"}
        return parabola(point)

    search.place.train = staticmethod(train)
    search(*LR, "hydra.sweeper.n_trials=1")  # the other one then dies too
    assert "trial 0 was taken over by another process" in caplog.text
    assert search.states() == ["COMPLETE"]
    assert calls == [0, 0]


def test_a_storage_that_is_away_for_a_while_is_waited_for(
    search: Searches, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from sqlalchemy.exc import OperationalError

    monkeypatch.setattr("reprise.launch.study._WAITS", (0.0,) * 5)
    tell = optuna.Study.tell
    away = {"times": 5}

    def sometimes(self: optuna.Study, *args: Any, **more: Any) -> Any:
        if away["times"]:
            away["times"] -= 1
            raise OperationalError("tell", {}, Exception("server closed the connection"))
        return tell(self, *args, **more)

    monkeypatch.setattr(optuna.Study, "tell", sometimes)
    search(*LR, "hydra.sweeper.n_trials=2")
    assert search.states() == ["COMPLETE"] * 2
    assert "does not answer (server closed the connection): trying again" in caplog.text
    away["times"] = 1000
    assert "does not answer: server closed the connection" in search(*LR, "hydra.sweeper.n_trials=3", code=1)
    away["times"] = 0
    search(*LR, "hydra.sweeper.n_trials=3")
    assert search.states() == ["COMPLETE"] * 3


@pytest.mark.parametrize("pruner", ["median", "hyperband", "asha", "{name: patient, patience: 2}"])
def test_trials_are_told_which_pruner_to_ask(search: Searches, pruner: str) -> None:
    seen: list[Point] = []

    def train(point: Point) -> dict[str, Any]:
        seen.append(point)
        return parabola(point)

    search.place.train = staticmethod(train)
    out = search(*LR, f"hydra.sweeper.pruner={pruner}", "hydra.sweeper.n_trials=3")
    for number, point in enumerate(seen):
        (word,) = [w for w in point.overrides if w.startswith("+callbacks.pruning=")]
        assert f"study:{search.folder.name},trial:{number},metric:val/ls_mse," in word
        assert point.environment == {"REPRISE_STUDY_STORAGE": f"sqlite:///{search.folder / 'study.db'}"}
    assert "callbacks.pruning" not in out.partition("train it anew: ")[2]
    # a run that was not pruned is the same run without the callback
    assert seen[0].digest == search.study().trials[0].user_attrs[POINT]["digest"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hydra.sweeper.n_trials=0"], "n_trials is 0. Expected a whole number of 1 or more"),
        (["hydra.sweeper.sampler=tpee"], "there is no 'tpee'. Did you mean 'tpe'"),
        (["hydra.sweeper.sampler={name: tpe, n_startup: 3}"], "n_startup is not an option of TPESampler. Did you mean"),
        (["hydra.sweeper.sampler={name: random, seed: 3}"], "sampler.seed cannot be set. Use hydra.sweeper.seed"),
        (["hydra.sweeper.pruner=medain"], "there is no 'medain'. Did you mean 'median'"),
        (["hydra.sweeper.pruner={name: asha, reduction_factor: 1}"], "SuccessiveHalvingPruner refused its options"),
        (["hydra.sweeper.seed=-1"], "seed is -1"),
        (["hydra.sweeper.study_name=a/b"], "study_name is 'a/b'"),
        (["hydra.sweeper.storage=study.db"], "is no storage. Expected sqlite:///FILE"),
        (["hydra.sweeper.storage=oracle://u@h/db"], "cannot share a study there"),
        (["hydra.sweeper.objectives=[{metric: val/x, value: best}]"], "Use value: last for val/x"),
        (["hydra.sweeper.objectives=[{metric: val/x}]"], "direction is None. Expected minimize or maximize"),
        (["model.optimizer.lrr=interval(0,1)"], "Did you mean 'model.optimizer.lr'"),
        (["trainer.gradient_clip_val=fast,1.0"], "gradient_clip_val"),
        (["paths.run=a,b"], "each point gets a run directory of its own"),
    ],
)
def test_wrong_settings_are_said_before_anything_is_made(search: Searches, words: list[str], said: str) -> None:
    assert said in search(*LR, *words, code=2)
    assert not (search.outputs / "sweeps").exists()
    assert not (search.outputs / "runs").exists()


def test_a_sweep_file_needs_a_sweep(search: Searches, capsys: pytest.CaptureFixture[str]) -> None:
    from reprise.cli.main import main

    assert main(["train", *LR]) == 2
    assert "python train.py -m sweep=wavegrad_lr" in capsys.readouterr().err
    assert "leave hydra/sweeper out" in search(*LR, "hydra/sweeper=grid", code=2)
    assert "Did you mean 'wavegrad_lr'" in search("sweep=wavegrad_lrr", code=2)


def test_an_interrupted_trial_waits_for_the_next_start(search: Searches) -> None:
    """Its process was stopped by somebody else; taken up again at once, it might go round for ever."""
    started: list[int] = []

    def stopped_once(point: Point) -> dict[str, Any]:
        started.append(point.index)
        interrupted = {"state": "interrupted", "error": "stopped by SIGTERM after step 7"}
        return interrupted if started.count(point.index) == 1 and point.index == 1 else parabola(point)

    search.place.train = staticmethod(stopped_once)
    words = ("sweep=wavegrad_lr", "hydra.sweeper.n_trials=3")
    said = search(*words, code=1)
    assert "the same command again does what is left" in said
    assert sorted(started) == [0, 1, 2]
    assert search.states() == ["COMPLETE", "RUNNING", "COMPLETE"]
    search(*words)
    assert sorted(started) == [0, 1, 1, 2]
    assert search.states() == ["COMPLETE"] * 3
