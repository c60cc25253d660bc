"""Checkpoint files: found, damaged, missing; loading trusts nothing but tensors and plain values."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from reprise.config.errors import ConfigError, RunError
from reprise.tracking.directory import read_config
from reprise.training import checkpoints
from reprise.training.restore import restore


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "run", symlinks=True))


def test_roles_and_links(run: Path) -> None:
    entries = checkpoints.read_index(run)
    assert [e.step for e in entries][:2] == [6, 4]
    assert "last" in entries[0].roles
    assert entries[1].roles[0] == "previous"
    assert any("best" in e.roles for e in entries)
    assert (run / "checkpoints" / "last.ckpt").resolve().name == "step-00000006.ckpt"
    files = {p.name for p in (run / "checkpoints").glob("step-*.ckpt")}
    assert files == {Path(e.file).name for e in entries}


def test_truncated_last_falls_back_with_a_warning_naming_both(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    last = (run / "checkpoints" / "last.ckpt").resolve()
    os.truncate(last, last.stat().st_size // 2)
    path, entry = checkpoints.find(run)
    assert entry.step == 4
    assert path.name == "step-00000004.ckpt"
    assert "step-00000006.ckpt" in caplog.text
    assert "step-00000004.ckpt" in caplog.text


def test_a_flipped_byte_is_noticed(run: Path) -> None:
    last = (run / "checkpoints" / "last.ckpt").resolve()
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(bytes(content))
    assert checkpoints.find(run)[1].step == 4


def test_all_damaged_is_an_error(run: Path) -> None:
    for path in (run / "checkpoints").glob("step-*.ckpt"):
        path.write_bytes(b"x")
    with pytest.raises(RunError, match="all are damaged"):
        checkpoints.find(run)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(RunError, match="none was written yet"):
        checkpoints.find(run)


def test_an_unlisted_file_is_never_used(run: Path) -> None:
    (run / "checkpoints" / "step-99999999.ckpt").write_bytes(b"half")
    assert checkpoints.find(run)[1].step == 6


def test_the_checkpoint_carries_the_features(run: Path) -> None:
    content = checkpoints.load(checkpoints.find(run)[0])
    assert content["reprise_config"]["data"]["features"]["n_mels"] == 128
    assert not any("_orig_mod" in key for key in content["state_dict"])


def test_pickled_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.system, ("touch /tmp/reprise-evil",))

    torch.save({"x": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(RunError, match="cannot be loaded"):
        checkpoints.load(tmp_path / "evil.ckpt")
    assert not Path("/tmp/reprise-evil").exists()


def test_restored_weights(run: Path) -> None:
    values = read_config(run)
    restored = restore(run, values, "last", "auto")
    saved = checkpoints.load(checkpoints.find(run)[0])["state_dict"]
    assert restored.weights == "raw"
    assert all(torch.equal(v, saved[k]) for k, v in restored.module.state_dict().items())
    with pytest.raises(ConfigError, match="has no averaged weights"):
        restore(run, values, "last", "ema")
    with pytest.raises(ConfigError, match="Expected best or last"):
        restore(run, values, "first")
    values["model"]["network"]["mel_channels"] = 20
    with pytest.raises(RunError, match="does not fit"):
        restore(run, values)
    values["model"]["_target_"] = "os.system"
    with pytest.raises(ConfigError, match="may not be built"):
        restore(run, values)


def test_full_disk_names_the_last_good_checkpoint(run: Path) -> None:
    error = checkpoints.explain_write_error(OSError(28, "No space left on device"), run)
    assert "disk is full" in str(error)
    assert "step-00000006.ckpt (step 6) is intact" in str(error)
    assert f"resume={run}" in str(error)
