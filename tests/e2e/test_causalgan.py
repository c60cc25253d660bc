"""CausalGAN and CausalBEGAN from the command line: two processes, killed and resumed, verified, asked for images."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests import commands
from tests.conftest import ROOT

from reprise.config.compose import compose_config
from reprise.tracking.metrics_log import read_metrics
from reprise.tracking.record import own_evaluation, read_record
from reprise.training import checkpoints

MODELS = ["causalgan", "causalbegan"]
DDP = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]


def settings(model: str, outputs: Path, cache: Path) -> list[str]:
    paths = [f"paths.outputs={outputs}", f"paths.cache={cache}"]
    few = ["data.images=300", "data.val_examples=20", "data.test_examples=20", "callbacks.checkpoint.every_n_steps=2"]
    return [f"model={model}", "budget=smoke", "logger=csv", "trainer.enable_progress_bar=false", *few, *paths]


def run(*words: str) -> str:
    done = commands.run([sys.executable, *words])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def directory_of(outputs: Path) -> Path:
    (path,) = outputs.rglob("run.json")
    return path.parent


def rows(directory: Path) -> list[tuple[int, str, float]]:
    return [row for row in read_metrics(directory) if not row[1].startswith("perf/")]


@pytest.mark.parametrize("model", MODELS)
def test_every_experiment_and_budget_is_whole(model: str) -> None:
    for words in ([], ["budget=smoke"], [f"arch={model}/tiny"], [f"arch={model}/released", "data.shape.side=64"]):
        assert compose_config([f"model={model}", *words]).values["model"]["network"]["_partial_"] is True


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_two_processes_train_as_one(model: str, tmp_path: Path) -> None:
    run("train.py", *settings(model, tmp_path / "one", tmp_path), "trainer=cpu", "evaluate=true")
    run("train.py", *settings(model, tmp_path / "two", tmp_path), *DDP, "evaluate=true")
    one, two = directory_of(tmp_path / "one"), directory_of(tmp_path / "two")
    assert [row[:2] for row in rows(one)] == [row[:2] for row in rows(two)]
    trained = [(a, b) for (_, name, a), (_, _, b) in zip(rows(one), rows(two), strict=True) if "train/" in name]
    assert [a for a, _ in trained] == pytest.approx([b for _, b in trained], rel=1e-4, abs=1e-7)
    seen = [(name, a, b) for (_, name, a), (_, _, b) in zip(rows(one), rows(two), strict=True) if "val/" in name]
    assert {name for name, _, _ in seen} >= {"val/labeler_loss", "val/labeler_agreement", "val/intra_label_distance"}
    for name, a, b in seen:  # a share of answers may hang on the last digit of one
        assert a == pytest.approx(b, rel=1e-4, abs=0.01 if name.endswith(("accuracy", "agreement")) else 1e-7), name
    found, other = (own_evaluation(read_record(directory)) for directory in (one, two))
    assert found is not None and other is not None
    named = {"labeler_agreement", "labeler_loss", "images_p_round/do_ringed", "tvd_all", "intra_label_distance/step_1"}
    assert {f"test/{name}" for name in named} <= set(found["metrics"]) == set(other["metrics"])
    for name in ("test/labeler_loss", "test/tvd_all", "test/intra_label_distance/step_1", "test/intra_label_distance"):
        assert found["metrics"][name] == pytest.approx(other["metrics"][name], rel=1e-3, abs=1e-3), name

    made = tmp_path / "made"
    run("-m", "reprise.cli.main", "generate", str(one), "do={Ringed:1}", "count=3", f"out={made}")
    assert np.asarray(Image.open(made / "sample-002.png")).shape == (32, 32, 3)
    run("-m", "reprise.cli.main", "generate", str(one), "sweep=Red", "sweep_steps=4", "count=2", f"out={made}")
    assert (made / "grid.png").is_file()
    assert "equal" in run("-m", "reprise.cli.main", "verify", str(one))


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_killed_and_resumed_it_ends_as_an_uninterrupted_one(model: str, tmp_path: Path) -> None:
    longer = ["trainer.max_steps=20", "trainer=cpu"]
    run("train.py", *settings(model, tmp_path / "whole", tmp_path), *longer)
    process = subprocess.Popen(
        [sys.executable, "train.py", *settings(model, tmp_path / "killed", tmp_path), *longer],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed").rglob("step-*06.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    killed, whole = directory_of(tmp_path / "killed"), directory_of(tmp_path / "whole")
    assert read_record(killed).state == "running"
    run("train.py", f"resume={killed}")
    states = [checkpoints.load(checkpoints.find(directory)[0]) for directory in (killed, whole)]
    assert states[0]["state_dict"].keys() == states[1]["state_dict"].keys()
    for name, value in states[0]["state_dict"].items():
        assert torch.equal(value, states[1]["state_dict"][name]), name
    assert str(states[0]["optimizer_states"]) == str(states[1]["optimizer_states"])
    assert rows(killed) == rows(whole)


@pytest.mark.slow
def test_sharded_weights_are_refused(tmp_path: Path) -> None:
    words = ["trainer=fsdp", "trainer.accelerator=cpu", "trainer.devices=2"]
    done = commands.run([sys.executable, "train.py", *settings("causalgan", tmp_path / "runs", tmp_path), *words])
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Use trainer=ddp in place of trainer=fsdp" in done.stdout + done.stderr
