"""Image models from the command line, on the embedded digits: one process and two, evaluation, samples, completions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests import commands

from reprise.tracking.metrics_log import read_metrics
from reprise.tracking.record import RunRecord, own_evaluation, read_record

MODELS = ["pixelcnn", "row_lstm", "diagonal_bilstm", "multiscale_pixelrnn", "gated_pixelcnn", "pixelcnn_pp"]
DDP = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    done = commands.run([sys.executable, *words])
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def trained(outputs: Path, *words: str) -> tuple[Path, RunRecord]:
    settings = ["budget=smoke", "logger=csv", "trainer.enable_progress_bar=false", f"paths.outputs={outputs}"]
    run("train.py", *settings, *words)
    (path,) = outputs.rglob("run.json")
    return path.parent, read_record(path.parent)


def picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished and evaluated run of a small PixelCNN."""
    words = ["model=pixelcnn", "data.limit_test=7", "data.limit_val=7", "trainer=cpu", "evaluate=true"]
    return trained(tmp_path_factory.mktemp("digits"), *words)[0]


def test_two_processes_learn_and_measure_what_one_does(digits: Path, tmp_path: Path) -> None:
    words = ["model=pixelcnn", "data.limit_test=7", "data.limit_val=7", "evaluate=true", *DDP]
    directory, record = trained(tmp_path, *words)
    alone = read_record(digits)
    assert record.environment["world_size"] == 2
    assert record.metrics["val/nll"]["value"] == pytest.approx(alone.metrics["val/nll"]["value"], rel=1e-4)
    ours, theirs = own_evaluation(record), own_evaluation(alone)
    assert ours is not None
    assert theirs is not None
    assert ours["examples"] == theirs["examples"] == 7
    for name, entry in theirs["metrics"].items():
        assert ours["metrics"][name]["value"] == pytest.approx(entry["value"], rel=1e-4), name
        assert entry["version"] == 1
    losses = [[value for _, name, value in read_metrics(d) if name == "train/loss"] for d in (directory, digits)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    samples = Path("evaluations/e1/samples")
    for name in ("samples.png", "completions.png"):
        assert picture(directory / samples / name).shape == picture(digits / samples / name).shape


def test_completes_the_lower_half_of_test_digits(digits: Path, tmp_path: Path) -> None:
    from reprise.config.compose import compose_config
    from reprise.training.trainer import build_datamodule

    data = build_datamodule(compose_config(["model=pixelcnn"]).values)
    data.prepare_data()
    data.setup("test")
    truth = dict(data.example_inputs(5))
    for seed in ("1", "2"):
        words = ["complete=lower_half", "count=5", f"seed={seed}", f"out={tmp_path / seed}"]
        said = run("-m", "reprise.cli.main", "generate", str(digits), *words).stdout
        assert "5 samples from step 6" in said
    made = {path.stem: path for path in (tmp_path / "1").glob("*.png") if path.stem != "grid"}
    assert set(made) == set(truth)
    for name, item in truth.items():
        image = item["image"].numpy()[0]
        first, second = (picture(tmp_path / seed / f"{name}.png") for seed in ("1", "2"))
        assert np.array_equal(first[:4].astype(int) * 17 // 256, image[:4])  # as a picture is read again
        assert np.array_equal(first[:4], second[:4])
        assert not np.array_equal(first[4:], second[4:])
    assert picture(tmp_path / "1" / "grid.png").ndim == 2


def test_the_same_seed_draws_the_same_digits(digits: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run("-m", "reprise.cli.main", "generate", str(digits), "count=3", "seed=4", f"out={tmp_path / name}")
    first, second = (sorted((tmp_path / name).iterdir()) for name in ("a", "b"))
    assert [p.name for p in first] == ["grid.png", "sample-000.png", "sample-001.png", "sample-002.png"]
    assert all(p.read_bytes() == q.read_bytes() for p, q in zip(first, second, strict=True))


def test_a_resumed_run_repeats_a_validation_on_all_images(tmp_path: Path) -> None:
    """A checkpoint is saved before the validation that is due; it holds how far the one before had come."""
    words = ["model=pixelcnn", "trainer=cpu", "data.limit_val=150", "data.eval_batch_size=32"]
    directory, record = trained(tmp_path, *words)
    before = record.metrics["val/bpd"]
    run("train.py", f"resume={directory}", "trainer.max_steps=7", "trainer.enable_progress_bar=false")
    again = {step: value for step, name, value in read_metrics(directory) if name == "val/bpd"}
    assert again[6] == before["value"]
    assert len(again) == 3


@pytest.mark.slow
@pytest.mark.parametrize("trainer", [["trainer=cpu"], DDP], ids=["one", "two"])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains_measures_and_draws(model: str, trainer: list[str], tmp_path: Path) -> None:
    directory, record = trained(tmp_path, f"model={model}", "evaluate=true", *trainer)
    assert record.state == "finished"
    evaluation = own_evaluation(record)
    assert evaluation is not None
    # at most twice the bits of a uniform distribution over 17 levels: measured, not diverged
    assert 0 < evaluation["metrics"]["test/bpd"]["value"] < 2 * np.log2(17)
    assert picture(directory / evaluation["folder"] / "samples" / "samples.png").size > 0
    run("-m", "reprise.cli.main", "verify", str(directory))
