"""Verbs answer fast and plainly."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.conftest import ROOT

from reprise.cli.main import VERBS, main


def test_help_of_every_verb_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom reprise.cli.main import VERBS, main\n"
        "codes = [main([v, '--help']) for v in VERBS] + [main(['--help'])]\n"
        "heavy = [m for m in ('torch', 'pytorch_lightning', 'hydra', 'wandb', 'numpy') if m in sys.modules]\n"
        "print(codes, heavy, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.strip() == f"{[0] * (len(VERBS) + 1)} []"
    assert done.stdout.count("usage: ") == len(VERBS) + 1


def test_train_py_is_reprise_train() -> None:
    one = subprocess.run([sys.executable, "train.py", "--help"], capture_output=True, text=True, cwd=ROOT)
    assert "usage: python train.py" in one.stdout


def test_unknown_verbs_and_missing_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert "'train'" in capsys.readouterr().err
    assert main([]) == 2
    for verb in ("evaluate", "generate", "verify", "explain", "tune-schedule"):
        assert main([verb]) == 2
        assert "Expected: reprise " in capsys.readouterr().err
    assert main(["diff", "one"]) == 2
    assert main(["list", "modles"]) == 2
    assert "'models'" in capsys.readouterr().err
    assert main(["evaluate", "/nowhere"]) == 1
    assert "is no run directory" in capsys.readouterr().err


def test_hydras_own_flags_work() -> None:
    words = ["model=wavegrad", "seed=4", "--cfg", "job", "--resolve"]
    done = subprocess.run([sys.executable, "train.py", *words], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "seed: 4" in done.stdout
    info = subprocess.run(
        [sys.executable, "train.py", "model=wavegrad", "--info", "defaults"], capture_output=True, text=True, cwd=ROOT
    )
    assert "arch/wavegrad/base" in info.stdout
    assert not info.stderr


def test_check_all_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--all"]) == 0
    first, _, total = capsys.readouterr().out.split()[:3]
    assert first == total
