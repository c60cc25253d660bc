"""Diffusion (2015) of images from the command line: one process and two, every experiment on miniatures, inpainting."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests import commands
from tests.data.image_files import cifar_arrays, cifar_binary, write_mnist

from reprise.tracking.record import RunRecord, own_evaluation, read_record

DDP = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
SMOKE = ["budget=smoke", "logger=csv", "trainer.enable_progress_bar=false", "evaluate=true"]


def run(*words: str) -> str:
    done = commands.run([sys.executable, *words])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def trained(outputs: Path, *words: str) -> tuple[Path, RunRecord]:
    run("train.py", *SMOKE, f"paths.outputs={outputs}", *words)
    (path,) = outputs.rglob("run.json")
    return path.parent, read_record(path.parent)


def measured(record: RunRecord) -> dict[str, float]:
    evaluation = own_evaluation(record)
    assert evaluation is not None
    return {name: entry["value"] for name, entry in evaluation["metrics"].items()}


@pytest.mark.slow
def test_two_processes_find_what_one_does_and_digits_are_completed(tmp_path: Path) -> None:
    words = ["model=diffusion_2015_images", "data.limit_test=7", "data.limit_val=7", "model.parzen_samples=30"]
    alone, record = trained(tmp_path / "one", *words, "trainer=cpu")
    _, other = trained(tmp_path / "two", *words, *DDP)
    ours, theirs = measured(record), measured(other)
    assert {"test/bound_bits", "test/bound_gain_bits", "test/bpd", "test/parzen_nats", "test/parzen_bits"} <= set(ours)
    assert ours == pytest.approx(theirs, rel=1e-4)
    said = run("-m", "reprise.cli.main", "generate", str(alone), "complete=centre", "count=3", f"out={tmp_path / 'c'}")
    assert "3 samples from step 6" in said
    run("-m", "reprise.cli.main", "generate", str(alone), "denoise=0.5", "count=3", f"out={tmp_path / 'd'}")
    assert len(list((tmp_path / "c").glob("*.png"))) == len(list((tmp_path / "d").glob("*.png"))) == 4
    run("-m", "reprise.cli.main", "verify", str(alone))


def miniature(name: str, root: Path) -> list[str]:
    """Write a few images in the format that an experiment reads, and return what else it has to be told."""
    root.mkdir()
    if name == "mnist":
        write_mnist(root)
        return [f"data.root={root}", "data.val_examples=5"]
    if name == "cifar10":
        for batch, (pixels, labels) in cifar_arrays().items():
            (root / f"{batch}.bin").write_bytes(cifar_binary(pixels, labels))
        return [f"data.root={root}", "data.val_examples=5"]
    if name == "bark":
        for i in range(4):
            pixels = np.random.default_rng(i).integers(0, 256, (70, 100)).astype(np.uint8)
            Image.fromarray(pixels).save(root / f"{i}.png")
        return [f"data.root={root}", "data.val_pictures=1", "data.test_pictures=1"]
    return ["data.images=40", "data.val_examples=5", "data.test_examples=5"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "cifar10", "dead_leaves", "bark"])
def test_every_experiment_trains_measures_and_draws(name: str, tmp_path: Path) -> None:
    words = [f"experiment=diffusion_2015/{name}", f"paths.cache={tmp_path / 'cache'}", "trainer=cpu"]
    directory, record = trained(tmp_path / "outputs", *words, *miniature(name, tmp_path / "root"))
    assert record.state == "finished"
    values = measured(record)
    # a network that has learned nothing is about as good as the null model: nothing has diverged
    assert -1 < values["test/bound_gain_bits"] < 1 and values["test/bpd"] < 12
    assert ("test/parzen_bits" in values) == (name == "mnist")
    evaluation = own_evaluation(record)
    assert evaluation is not None
    pictures = sorted(path.stem for path in (directory / evaluation["folder"] / "samples").glob("*.png"))
    assert pictures == ["completed", "denoised", "samples", "terms"]
