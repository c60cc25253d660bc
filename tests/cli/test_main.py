"""Verbs answer fast and plainly."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import ROOT

from reprise.cli.list import GROUPS, USAGE
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


def test_every_group_of_choices_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    folders = {p.name for p in (ROOT / "conf").iterdir() if p.is_dir()} - {"hydra", "paper"}
    assert folders <= set(GROUPS.values())
    assert set(GROUPS) <= set(re.findall(r"[a-z]+", USAGE.partition("\n\n")[0]))
    assert main(["list", "graphs"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0] == "graphs:" and len(listed) == 1 + len(list((ROOT / "conf" / "graph").glob("*.yaml")))
    assert "  g1                                     Causal Graph 1 of the paper, nine labels of CelebA" in listed
    assert main(["list", "graph"]) == 0  # the group's own name, as it is typed on the command line


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


@pytest.mark.slow  # `make lint` calls the command itself
def test_check_all_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--all"]) == 0
    first, _, total = capsys.readouterr().out.split()[:3]
    assert first == total


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ("model.graph.nodes.Round=[Large]", "a cycle: Round -> Large -> Round"),
        ("+model.graph.nodes.Dotted=[Larger]", "'Larger' as a parent of 'Dotted', .* Did you mean 'Large'"),
    ],
)
def test_check_refuses_graphs_that_are_none(nodes: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "model=causal_controller"]) == 0
    assert main(["check", "model=causal_controller", nodes]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_help_of_generate_adds_the_options_of_a_runs_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml

    from reprise.config.compose import compose_config

    assert main(["generate", "--help"]) == 0
    general = capsys.readouterr().out
    for word in ("RUN_DIR", "input=PATH", "count=16", "RUN_DIR --help` adds"):
        assert word in general
    assert "schedule" not in general and "sound" not in general
    values = compose_config(["model=wavegrad"]).values
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    code = f"import sys; from reprise.cli.main import main; main(['generate', {str(tmp_path)!r}, '-h']); "
    code += "print([m for m in ('torch', 'pytorch_lightning', 'wandb', 'numpy') if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.strip() == "[]", "nothing heavy is loaded"
    assert "Options of the model of this run, WaveGrad:" in done.stdout and "count=16" in done.stdout
    assert "  schedule=fibonacci25      linear1000, linear50" in done.stdout
    monkeypatch.setenv("REPRISE_ALLOW", "tests")
    values["model"] = {"_target_": "tests.training.painters.Painter"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    assert main(["generate", str(tmp_path), "--help"]) == 0
    out = capsys.readouterr().out
    assert "  shade=VALUE               the colour of all pixels, from 0 to 255\n" in out
    assert "  lines=null                what every image begins with\n" in out
    assert max(map(len, out.splitlines())) <= 120
    assert main(["generate", str(tmp_path / "nowhere"), "--help"]) == 1
    assert "nowhere/config.yaml cannot be read" in capsys.readouterr().err
