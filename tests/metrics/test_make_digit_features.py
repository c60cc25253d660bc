"""The script that made the weights of the digit features still makes such weights."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from reprise.metrics.images.digits import WEIGHTS, DigitNetwork
from tests.conftest import ROOT
from tests.data.image_files import write_mnist


@pytest.fixture
def script() -> Iterator[dict[str, Any]]:
    """Its functions; torch is left as it was."""
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    yield runpy.run_path(str(ROOT / "scripts" / "make_digit_features.py"))
    torch.set_num_threads(threads)
    torch.set_rng_state(state)
    torch.use_deterministic_algorithms(False)


def made(script: dict[str, Any], folder: Path, name: str, bar: float) -> tuple[int, Path]:
    main, out = script["main"], folder / name
    main.__globals__["BAR"] = bar
    return main(["--root", str(folder / "mnist"), "--out", str(out)]), out


def test_the_same_data_give_the_same_file(
    script: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_mnist(tmp_path / "mnist", train=64, test=20)
    (code, first), (_, again) = (made(script, tmp_path, name, 0.0) for name in ("first.pt", "again.pt"))
    assert code == 0 and first.read_bytes() == again.read_bytes() != WEIGHTS.read_bytes()
    DigitNetwork().load_state_dict(torch.load(first, weights_only=True))
    printed = capsys.readouterr().out
    assert "parameters 47290" in printed and "noise alone" in printed


def test_weights_that_know_too_little_are_not_written(
    script: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_mnist(tmp_path / "mnist", train=64, test=20)
    code, out = made(script, tmp_path, "weights.pt", 0.985)
    assert code == 1 and not out.exists()
    assert "below 0.985: not written" in capsys.readouterr().err
