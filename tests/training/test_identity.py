"""Processes of a run compare what they hold, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reprise.training.identity import disagreement, identity

VALUES: dict[str, Any] = {"seed": 0, "allow": ["mine"], "model": {"optimizer": {"lr": 2e-4}}}


def test_equal_processes_agree_whatever_the_user_allows_the_first_one(tmp_path: Path) -> None:
    ours = identity(VALUES, tmp_path, ["train", "0"])
    assert (
        disagreement([ours, identity({**VALUES, "allow": []}, tmp_path / ".." / tmp_path.name, ["train", "0"])]) is None
    )


def test_the_message_names_rank_key_and_values(tmp_path: Path) -> None:
    ours = identity(VALUES, tmp_path, ["train", "0"])
    other = identity({**VALUES, "model": {"optimizer": {"lr": 0.5}}}, tmp_path, ["train", "0", "step-2.ckpt"])
    message = disagreement([ours, ours, other])
    assert message is not None
    assert "rank 2 differs from rank 0 in model.optimizer.lr (0.5, not 0.0002), task (train 0 step-2.ckpt" in message
    assert "rank 1" not in message
    assert "seed" not in message


def test_source_and_folder_are_compared(tmp_path: Path) -> None:
    ours = identity(VALUES, tmp_path, ["train"])
    message = disagreement([ours, {**ours, "source": "0" * 16}, identity(VALUES, tmp_path / "x", ["train"])])
    assert message is not None
    assert "rank 1 differs from rank 0 in source" in message
    assert "rank 2 differs from rank 0 in run directory" in message


def test_many_differences_are_counted(tmp_path: Path) -> None:
    ours = identity({f"k{i}": 0 for i in range(9)}, tmp_path, [])
    message = disagreement([ours, identity({f"k{i}": 1 for i in range(9)}, tmp_path, [])])
    assert message is not None
    assert "and 5 more" in message
