"""The measurement of WaveNet's samplers runs, and caching is worth it."""

from __future__ import annotations

import pytest
import torch
from benchmarks import wavenet


def test_samplers_are_compared(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(wavenet, "SAMPLES", {"torch": 4, "compiled": 20})
    monkeypatch.setattr(wavenet, "engines", lambda: ["torch"])
    (speed,) = wavenet.compare((20,), rounds=1)
    assert set(speed) == {"naive", "torch"}
    wavenet.real_time((2,), rounds=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split()[:2] == ["20", "2048"]
    assert lines[-1].split()[:2] == ["torch", "2"]


def test_the_public_size() -> None:
    of = wavenet.public()
    assert sum(p.numel() for p in of.parameters()) == 1_514_944
    assert torch.isfinite(wavenet.naive(of, 1)()).all()
