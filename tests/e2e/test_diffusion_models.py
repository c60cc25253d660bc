"""DDPM from the command line, on the embedded digits: one process and two, evaluation, samples, interpolations."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import commands

from reprise.cli.main import main
from reprise.config.compose import compose_config
from reprise.tracking.metrics_log import read_metrics
from reprise.tracking.record import RunRecord, own_evaluation, read_record
from reprise.training import checkpoints
from reprise.training.trainer import build_datamodule

DDP = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
# as few steps as have ten different tenths, and an odd number of images, of which two processes have unequal parts
SHORT = [
    "model=ddpm",
    "model.schedule.steps=10",
    "model.network.dropout=0.0",  # of which each process has draws of its own
    "model.test_terms=null",
    "+model.few_steps.ddim={_target_:reprise.diffusion.steps.Sampling,steps:4,method:ddim}",
    "data.limit_test=5",
    "data.limit_val=5",
    "data.train_images=3",
    "callbacks.ema.decay=0.5",
]
DRAWN = [
    f"{name}.png" for name in ("interpolations", "progressive", "samples", "samples_ddim", "rate_distortion", "terms")
]


def run(*words: str) -> None:
    done = commands.run([sys.executable, *words])
    assert done.returncode == 0, done.stdout + done.stderr


def settings(folder: Path) -> list[str]:
    paths = [f"paths.outputs={folder / 'outputs'}", f"paths.cache={folder / 'cache'}"]
    return ["budget=smoke", "logger=csv", "trainer.enable_progress_bar=false", *paths]


def trained(folder: Path, *words: str) -> tuple[Path, RunRecord]:
    run("train.py", *settings(folder), *words)
    (path,) = (folder / "outputs").rglob("run.json")
    return path.parent, read_record(path.parent)


def evaluation(record: RunRecord) -> dict[str, Any]:
    found = own_evaluation(record)
    assert found is not None
    return found


def logged(directory: Path, name: str) -> list[float]:
    return [value for _, key, value in read_metrics(directory) if key == name]


def picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished and evaluated run."""
    return trained(tmp_path_factory.mktemp("digits"), *SHORT, "trainer=cpu", "evaluate=true")[0]


def test_a_run_measures_the_bound_and_the_samples(digits: Path) -> None:
    record = read_record(digits)
    assert record.state == "finished" and record.metrics["val/loss"]["value"] == pytest.approx(1.0, abs=0.3)
    found = evaluation(record)
    values = {name: entry["value"] for name, entry in found["metrics"].items()}
    assert all(entry["version"] == 1 for entry in found["metrics"].values())
    assert {
        f"test/{x}{name}/{time}" for x in ("", "train_images/") for name in ("rate", "rmse") for time in range(1, 11)
    } | {
        "test/bpd",
        "test/train_images/bpd",
        "test/bpd_gap",
        "test/fid_random_2_test_images",
        "test/ddim/fid_random_2_test_images",
        "test/parameters",
    } <= values.keys()
    assert np.isfinite(list(values.values())).all()
    assert values["test/bpd"] == pytest.approx(values["test/rate/10"] + values["test/distortion_bpd"], rel=1e-6)
    rates = [values[f"test/rate/{time}"] for time in range(1, 11)]
    assert rates == sorted(rates)


def test_a_run_shows_what_it_draws(digits: Path) -> None:
    found = evaluation(read_record(digits))
    folder = digits / found["folder"] / "samples"
    assert sorted(p.name for p in folder.iterdir()) == sorted([*DRAWN, "rate_distortion.csv", "terms.csv"])
    assert all(picture(folder / name).size > 1000 for name in DRAWN)
    rows = list(csv.reader((folder / "rate_distortion.csv").read_text().splitlines()))
    assert rows[0] == ["rate [bits/dim]", "RMSE [0, 255]"]
    rates = [found["metrics"][f"test/rate/{time}"]["value"] for time in range(1, 11)]
    assert [float(row[0]) for row in rows[1:]] == pytest.approx(rates, rel=1e-6)
    assert [p.name for p in sorted((digits / "samples").iterdir())] == ["step-00000003", "step-00000006"]


def same_numbers(one: Path, other: Path) -> None:
    ours, theirs = evaluation(read_record(one)), evaluation(read_record(other))
    assert ours["examples"] == theirs["examples"] == 5 and ours["step"] == theirs["step"]
    assert ours["metrics"].keys() == theirs["metrics"].keys()
    for name, entry in theirs["metrics"].items():
        assert ours["metrics"][name]["value"] == pytest.approx(entry["value"], rel=1e-4, abs=1e-6), name
    for name in ("train/loss", "val/loss", "val/bpd", "val/fid_random_2_test_images"):
        assert logged(one, name) == pytest.approx(logged(other, name), rel=1e-4), name
    for name in ("terms.csv", "rate_distortion.csv"):
        tables = [
            (d / e["folder"] / "samples" / name).read_text().splitlines()[1:] for d, e in ((one, ours), (other, theirs))
        ]
        numbers = [[float(x) for line in table for x in line.split(",")] for table in tables]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-4), name


def test_two_processes_learn_measure_and_draw_what_one_does(digits: Path, tmp_path: Path) -> None:
    directory, record = trained(tmp_path, *SHORT, "evaluate=true", *DDP)
    assert record.environment["world_size"] == 2
    same_numbers(directory, digits)
    one, two = (d / evaluation(read_record(d))["folder"] / "samples" for d in (digits, directory))
    for name in DRAWN:
        assert picture(one / name).shape == picture(two / name).shape


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    words = [*SHORT, "model.network.dropout=0.3", "trainer=cpu"]
    whole, _ = trained(tmp_path / "whole", *words)
    parts, _ = trained(tmp_path / "parts", *words, "trainer.max_steps=3")
    run("train.py", f"resume={parts}", "trainer.max_steps=6", "trainer.enable_progress_bar=false")
    assert read_record(parts).state == "finished"
    assert logged(parts, "train/loss") == logged(whole, "train/loss")
    assert logged(parts, "val/bpd")[-1] == logged(whole, "val/bpd")[-1]
    (path, entry), (other, _) = checkpoints.find(parts), checkpoints.find(whole)
    assert entry.step == 6
    ours, theirs = (checkpoints.load(p)["state_dict"] for p in (path, other))
    assert ours.keys() == theirs.keys() and all((ours[name] == value).all() for name, value in theirs.items())


# reprise generate


def generated(digits: Path, folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[Path]:
    assert main(["generate", str(digits), "accelerator=cpu", f"out={folder}", *words]) == 0, capsys.readouterr()
    return sorted(folder.iterdir())


def test_draws_digits(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = generated(digits, tmp_path / "a", capsys, "count=3", "steps=5", "seed=4")
    assert [p.name for p in made] == ["grid.png", "sample-000.png", "sample-001.png", "sample-002.png"]
    assert picture(made[1]).shape == (8, 8)
    again = generated(digits, tmp_path / "b", capsys, "count=3", "steps=5", "seed=4")
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in made]
    alone = generated(digits, tmp_path / "c", capsys, "count=1", "steps=5", "seed=4")
    assert alone[1].read_bytes() == made[1].read_bytes()
    other = generated(digits, tmp_path / "d", capsys, "count=1", "steps=5", "seed=5")
    assert other[1].read_bytes() != made[1].read_bytes()


@pytest.mark.parametrize("words", [["variance=small"], ["method=ddim"], ["method=ddim", "steps=3", "eta=0.5"]])
def test_draws_in_other_ways(
    words: list[str], digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = generated(digits, tmp_path / "other", capsys, "count=2", "precision=bf16", *words)
    plain = generated(digits, tmp_path / "plain", capsys, "count=2")
    assert [p.name for p in made] == [p.name for p in plain]
    assert made[1].read_bytes() != plain[1].read_bytes()


def test_shows_samples_as_they_emerge(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = generated(digits, tmp_path / "made", capsys, "count=2", "progressive=true")
    plain = generated(digits, tmp_path / "plain", capsys, "count=2")
    wide, square = (picture(grids[0]).shape for grids in (made, plain))
    assert wide[1] > 4 * wide[0] and square[1] < 3 * square[0]  # ten columns, two rows
    assert [p.read_bytes() for p in made[1:]] == [p.read_bytes() for p in plain[1:]]


def test_interpolates_between_test_digits(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = build_datamodule(compose_config(["model=ddpm"]).values)
    data.prepare_data()
    truth = dict(data.example_inputs(4))
    images = [item["image"].numpy()[0] for item in truth.values()]
    for mix in (0, 1):  # after one step of noise, which is little, the ends are the images
        made = generated(digits, tmp_path / str(mix), capsys, "interpolate=1", "count=4", f"mix={mix}")
        assert [p.stem for p in made] == [*truth, "grid"]
        for i, path in enumerate(made[:-1]):
            assert np.array_equal(picture(path).astype(int) * 17 // 256, images[(i + mix) % 4])
    half = generated(digits, tmp_path / "half", capsys, "interpolate=6", "count=4")
    assert picture(half[-1]).shape == picture(made[-1]).shape
    assert all(p.read_bytes() != q.read_bytes() for p, q in zip(half, made, strict=True))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["steps=11"], "11 steps of 10; expected 1 to 10"),
        (["interpolate=11"], "interpolate=11. Expected a step from 1 to 10"),
        (["interpolate=5", "progressive=true"], "progressive=true shows samples, not interpolations"),
        (["method=ddim", "variance=large"], "method=ddim has a variance of its own"),
        (["stepz=5"], "stepz"),
        (["mix=half"], "mix"),
    ],
)
def test_wrong_options_are_answered(
    words: list[str], message: str, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", str(digits), "accelerator=cpu", f"out={tmp_path / 'made'}", *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


# every experiment, and every kind of run


@pytest.mark.slow
@pytest.mark.parametrize("trainer", [["trainer=cpu"], DDP], ids=["one", "two"])
@pytest.mark.parametrize(
    "words",
    [
        ["arch=ddpm/small"],
        ["model.predicts=mean", "model.loss=bound"],
        ["model.predicts=x_0"],
        ["model.loss=bound", "model.variance=learned", "model.network.learned_variance=true"],
        ["model.predicts=mean", "model.loss=bound", "model.variance=learned", "model.network.learned_variance=true"],
    ],
    ids=" ".join,
)
def test_every_objective_trains_measures_and_draws(words: list[str], trainer: list[str], tmp_path: Path) -> None:
    directory, record = trained(tmp_path, "model=ddpm", "evaluate=true", *trainer, *words)
    assert record.state == "finished"
    values = {name: entry["value"] for name, entry in evaluation(record)["metrics"].items()}
    assert np.isfinite(list(values.values())).all() and values["test/bpd"] > 0
    run("-m", "reprise.cli.main", "verify", str(directory))
