"""Searches whose trainings are pretended, for the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna

from reprise.tracking.study import open_storage

DRIVER = Path(__file__).with_name("fake_sweep.py")
ONE = ["sweep=wavegrad_lr", "hydra.launcher.n_jobs=1"]


def start(outputs: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(DRIVER), *words, f"paths.outputs={outputs}"],
        env={**os.environ, "FAKE_LOG": str(outputs / "log.txt"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def search(outputs: Path, *words: str, code: int = 0, **environment: str) -> str:
    outputs.mkdir(exist_ok=True)
    process = start(outputs, *words, **environment)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == code, out
    return out


def sweep_folder(outputs: Path) -> Path:
    (found,) = (outputs / "sweeps").iterdir()
    return found


def load(outputs: Path, url: str | None = None) -> optuna.Study:
    folder = sweep_folder(outputs)
    storage = open_storage(url or f"sqlite:///{folder / 'study.db'}", create=False)
    return optuna.load_study(study_name=folder.name, storage=storage)


def states(study: optuna.Study) -> list[str]:
    return [t.state.name for t in study.trials]


def ends(outputs: Path) -> list[str]:
    lines = (outputs / "log.txt").read_text(encoding="utf-8").splitlines()
    return [line.split()[1] for line in lines if line.startswith("end ")]


def book(outputs: Path) -> dict[str, Any]:
    return dict(json.loads((sweep_folder(outputs) / "sweep.json").read_text(encoding="utf-8")))
