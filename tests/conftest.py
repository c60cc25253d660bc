"""Shared fixtures: a cache of synthetic speech, small configs, runs made once per session."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.commands import ROOT as ROOT
from tests.commands import reprise as reprise

# Everything stays on this machine, W&B offline without asking, one thread for networks as small as these.
os.environ |= {"OMP_NUM_THREADS": "1"}
os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
os.environ.pop("WANDB_API_KEY", None)

# A network of a few thousand weights and steps of milliseconds, with every kind of layer Base has.
SMALL = [
    "model=wavegrad",
    "arch=wavegrad/tiny",
    "model.network.mel_channels=16",
    "model.network.up_channels=[16,16,8,8,8]",
    "model.network.wave_channels=4",
    "model.network.down_channels=[8,8,8,16]",
    "model.evaluation_schedules=[manual6]",
    "data.batch_size=4",
    "data.crop_frames=4",
    "data.limit_val=3",
    "data.limit_test=3",
    "data.val_seconds=0.3",
    "data.eval_batch_size=2",
    "trainer.max_steps=6",
    "trainer.val_check_interval=3",
    "trainer.log_every_n_steps=1",
    "trainer.enable_progress_bar=false",
    "callbacks.checkpoint.every_n_steps=2",
]


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of eight short recordings: harmonic sounds with a moving pitch, at 22,050 Hz."""
    import soundfile

    folder = tmp_path_factory.mktemp("recordings")
    for i in range(8):
        rng = np.random.default_rng(i)
        t = np.arange(int(22050 * (0.5 + 0.05 * i))) / 22050
        phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(2 * np.pi * (1 + i) * t)) / 22050
        sound = sum(np.sin(k * phase) / k for k in range(1, 8)) * 0.1 + 0.003 * rng.standard_normal(len(t))
        soundfile.write(folder / f"clip{i}.wav", sound, 22050, subtype="PCM_16")
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for this session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def small(recordings: Path, cache: Path) -> Callable[..., list[str]]:
    """Overrides of a small run on the recordings; further ones can be added."""

    def build(outputs: Path, *more: str) -> list[str]:
        return [
            *SMALL,
            "data=speech_folder",
            f"data.root={recordings}",
            "data.val_clips=3",
            "data.test_clips=3",
            f"paths.cache={cache}",
            f"paths.outputs={outputs}",
            *more,
        ]

    return build


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, small: Callable[..., list[str]]) -> Path:
    """A finished run of six steps on one process, with W&B offline."""
    from reprise.cli.main import main

    outputs = tmp_path_factory.mktemp("outputs")
    assert main(["train", *small(outputs)]) == 0
    return next((outputs / "runs" / "wavegrad").iterdir())


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `reprise` in a process of its own."""
    return reprise
