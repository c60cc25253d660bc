"""Sweeps of W&B: the definition has the form that W&B knows, and its command line is one of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from reprise.cli.common import compose_checked
from reprise.cli.main import main


def definition(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["wandb-sweep", *words]) == 0
    return dict(yaml.safe_load(capsys.readouterr().out))


def test_a_space_becomes_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    found = definition(
        capsys,
        "sweep=wavegrad_lr",
        "budget=smoke",
        "hydra.sweeper.n_trials=30",
        "data.batch_size=int(interval(2,8))",
        "data.crop_frames=range(8,33,8)",
        "trainer.gradient_clip_val=interval(0.5,5)",
        "data.val_seconds=range(0.5,2.1,0.5)",
        "seed=tag(int,log,interval(1,1000))",
        "compile=false,true",
    )
    assert found["method"] == "bayes"
    assert found["metric"] == {"name": "val/ls_mse", "goal": "minimize"}
    assert found["run_cap"] == 30
    assert found["program"] == "train.py"
    assert found["command"] == [
        "${env}",
        "${interpreter}",
        "${program}",
        "model=wavegrad",
        "budget=smoke",
        "${args_no_hyphens}",
    ]
    assert found["parameters"] == {
        "model.optimizer.lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-2},
        "trainer.gradient_clip_val": {"distribution": "uniform", "min": 0.5, "max": 5.0},
        "data.batch_size": {"distribution": "int_uniform", "min": 2, "max": 8},
        "data.crop_frames": {"values": [8, 16, 24, 32]},
        "data.val_seconds": {"distribution": "q_uniform", "min": 0.5, "max": 2.0, "q": 0.5},
        "seed": {"distribution": "q_log_uniform_values", "min": 1, "max": 1000, "q": 1},
        "compile": {"values": ["false", "true"]},
    }


def test_the_agents_command_line_is_one_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    found = definition(capsys, "sweep=wavegrad_lr", "budget=smoke")
    args = {"model.optimizer.lr": {"value": 0.003}, "trainer.gradient_clip_val": {"value": "null"}}
    words = create_sweep_command_args({"args": args})["args_no_hyphens"]
    command = create_sweep_command(found["command"])
    ours = [w for w in command if "=" in w and not w.startswith("$")]
    values = compose_checked([*ours, *words]).values
    assert values["model"]["optimizer"]["lr"] == 0.003
    assert values["trainer"]["gradient_clip_val"] is None
    assert values["trainer"]["max_steps"] == 6


@pytest.mark.parametrize(
    ("words", "method", "early"),
    [
        (["hydra.sweeper.sampler=random"], "random", None),
        (["hydra.sweeper.sampler=brute", "model.optimizer.lr=1e-3,1e-4"], "grid", None),
        (["hydra.sweeper.pruner=hyperband"], "bayes", {"type": "hyperband", "eta": 3, "min_iter": 3}),
        (
            ["hydra.sweeper.pruner={name: asha, min_resource: 10000, reduction_factor: 2}"],
            "bayes",
            {"type": "hyperband", "eta": 2, "min_iter": 2},
        ),
        (
            ["hydra.sweeper.pruner={name: hyperband, max_resource: 100000}"],
            "bayes",
            {"type": "hyperband", "eta": 3, "max_iter": 20, "s": 2},
        ),
    ],
)
def test_method_and_early_end(
    capsys: pytest.CaptureFixture[str], words: list[str], method: str, early: dict[str, Any] | None
) -> None:
    found = definition(capsys, "sweep=wavegrad_lr", *words)
    assert found["method"] == method
    assert found.get("early_terminate") == early


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sweep=wavegrad_ema"], "callbacks.ema.decay exists only under a condition, which a W&B sweep cannot say"),
        (["sweep=wavegrad_lr", "hydra.sweeper.pruner=median"], "by hyperband only, not by median"),
        (["sweep=wavegrad_lr", "hydra.sweeper.sampler=brute"], "more than 256. Set a step"),
        (["sweep=wavegrad_lr", "+model.optimizer.maximize=true,false"], "added by a plus"),
        (["sweep=wavegrad_lrr"], "Did you mean 'wavegrad_lr'"),
        (["model=wavegrad"], "there is nothing to search"),
        (
            [
                "sweep=wavegrad_lr",
                "hydra.sweeper.objectives=[{metric: val/ls_mse},{metric: train/loss, direction: min}]",
            ],
            "has one metric, not 2",
        ),
    ],
)
def test_what_wandb_cannot_say_is_said(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert main(["wandb-sweep", *words]) == 2
    assert said in capsys.readouterr().err


def test_fixing_a_condition_makes_it_a_wandb_sweep(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    assert main(["wandb-sweep", "sweep=wavegrad_ema", "callbacks=ema", f"file={path}"]) == 0
    assert f"wandb sweep {path}" in capsys.readouterr().out
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert found["parameters"]["callbacks.ema.decay"] == {"values": [0.99, 0.999, 0.9999]}
    assert "callbacks=ema" in found["command"]
