"""The record is whole at every moment and says what is wrong with a bad one."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from reprise.config.errors import RunError
from reprise.tracking import provenance
from reprise.tracking.cost import CostMeter
from reprise.tracking.directory import claim
from reprise.tracking.files import write_atomic, write_json
from reprise.tracking.record import FILE, RunRecord, read_record
from reprise.tracking.run import Run
from reprise.tracking.wandb import decide_mode


def record() -> RunRecord:
    return RunRecord("id", "name", 0, "python train.py", {"a": 1}, "d" * 64)


def test_round_trip(tmp_path: Path) -> None:
    made = record()
    made.add_metrics({"val/x": 2.0}, 5, {"val/x": 3}, "val/x", "min")
    made.write(tmp_path)
    assert read_record(tmp_path) == made


def test_best_follows_the_mode() -> None:
    made = record()
    for step, value in enumerate([3.0, 1.0, float("nan"), 2.0]):
        made.add_metrics({"val/x": value}, step, {}, "val/x", "min")
        made.add_metrics({"val/y": value}, step, {}, "val/y", "max")
    assert (made.metrics["val/x"]["best"], made.metrics["val/x"]["best_step"]) == (1.0, 1)
    assert (made.metrics["val/y"]["best"], made.metrics["val/y"]["best_step"]) == (3.0, 0)
    assert made.metrics["val/x"]["value"] == 2.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 99}, "schema 99"),
        ({"surprise": 1}, "unknown fields: surprise"),
        ({"config": []}, "config is a list"),
        ({"state": "dreaming"}, "state is 'dreaming'"),
        ({"id": None}, "id is a NoneType"),
    ],
)
def test_bad_records_are_refused_by_name(tmp_path: Path, change: dict[str, object], message: str) -> None:
    record().write(tmp_path)
    raw = json.loads((tmp_path / FILE).read_text(encoding="utf-8"))
    (tmp_path / FILE).write_text(json.dumps({**raw, **change}), encoding="utf-8")
    with pytest.raises(RunError, match=message):
        read_record(tmp_path)


def test_missing_and_broken_records(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no run directory"):
        read_record(tmp_path)
    (tmp_path / FILE).write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match="not valid JSON"):
        read_record(tmp_path)


def test_json_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": float("nan"), "y": [float("inf")]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"x": "nan", "y": ["inf"]}


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomic(tmp_path / "a", "old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_degrades_to_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path, {}, record(), CostMeter({}, 1))
    run.save()

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    run.save()
    assert "could not be updated" in caplog.text
    read_record(tmp_path)


def _claim(outputs: Path) -> str:
    return claim(outputs, "m", 0, "abcdef1234").name


def test_no_two_runs_share_a_directory(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        names = pool.map(_claim, [tmp_path] * 12)
    assert len(set(names)) == 12
    assert sorted(names, key=len)[0] == "s0-abcdef12"
    assert "s0-abcdef12-2" in names


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(RunError, match=r"paths\.outputs"):
        claim(tmp_path / "file", "m", 0, "abcdef1234")


def test_cost_adds_up_over_sessions() -> None:
    before = {"wall_seconds": 100.0, "device_seconds": 200.0, "peak_memory_bytes": 10**15}
    now = CostMeter(before, 2).now()
    assert now["wall_seconds"] >= 100.0
    assert now["device_seconds"] >= 200.0
    assert now["peak_memory_bytes"] == 10**15


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python train.py api_key=abc123 seed=1", "python train.py api_key=*** seed=1"),
        ("WANDB_API_KEY=0123456789 python", "WANDB_API_KEY=*** python"),
        ("+my.token: xyz", "+my.token: ***"),
        ("password=hunter2", "password=***"),
        ('WANDB_API_KEY = "abc123"', 'WANDB_API_KEY = "***"'),
        ('{"api_key": "abc123"}', '{"api_key": "***"}'),
        ("wandb login --token abc", "wandb login --token ***"),
        ("Authorization: Bearer abc", "Authorization: Bearer ***"),
        ("model.seed=1", "model.seed=1"),
    ],
)
def test_secrets_are_redacted(text: str, expected: str) -> None:
    assert provenance.redact(text) == expected


def test_patches_keep_harmless_code() -> None:
    assert (
        provenance.redact("for token in tokens:\n    x: token = y", code=True)
        == "for token in tokens:\n    x: token = y"
    )
    assert provenance.redact('API_KEY = "abc123"', code=True) == 'API_KEY = "***"'


def test_source_digests_cover_what_was_imported() -> None:
    import reprise.diffusion.schedules

    digests = provenance.source_digests()
    assert reprise.diffusion.schedules.__name__ in digests
    assert not any(name.startswith(("reprise.cli", "reprise.launch", "reprise.reproduction")) for name in digests)


def test_wandb_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert decide_mode(None) == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    assert decide_mode(None) == "online"
    assert decide_mode("disabled") == "disabled"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert decide_mode("online") == "offline"


def test_changed_sources_are_named() -> None:
    import reprise.nn.randomness  # noqa: F401

    digests = provenance.source_digests()
    assert provenance.changed_sources({"sources": digests}) == []
    changed = {**digests, "reprise.nn.randomness": "0" * 16, "reprise.models.gone.network": "1" * 16}
    assert provenance.changed_sources({"sources": changed}) == ["reprise.nn.randomness", "reprise.models.gone.network"]


def test_shipped_code_knows_where_it_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = provenance.code_state(None)
    provenance.ship_code_state(tmp_path)
    monkeypatch.setattr(provenance, "checkout", lambda: tmp_path)
    there = provenance.code_state(None)
    assert {k: v for k, v in there.items() if k != "patch_sha256"} == here
    assert there["commit"]
