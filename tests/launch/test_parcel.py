"""A run directory that is sent in pieces arrives as it was, and nothing lands outside of it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from reprise.launch.parcel import pack, unpack


def _tree(folder: Path) -> dict[str, bytes | str]:
    return {
        str(p.relative_to(folder)): os.readlink(p) if p.is_symlink() else p.read_bytes()
        for p in folder.rglob("*")
        if p.is_symlink() or p.is_file()
    }


def test_only_what_is_new_is_sent(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "checkpoints").mkdir(parents=True)
    (here / "config.yaml").write_text("seed: 0")
    (here / "checkpoints" / "step-1.ckpt").write_bytes(b"1" * 1000)
    (here / "checkpoints" / "last.ckpt").symlink_to("step-1.ckpt")
    (here / "run.json").write_text("{}")
    (here / ".lock").touch()
    (here / "debug.log").symlink_to("/nowhere/debug.log")
    first, sent = pack(here, {})
    assert first is not None
    unpack(first, there)
    assert pack(here, sent)[0] is None
    (here / "run.json").write_text('{"a": 1}')
    (here / "checkpoints" / "step-2.ckpt").write_bytes(b"2" * 1000)
    second, _ = pack(here, sent)
    assert second is not None
    with tarfile.open(fileobj=io.BytesIO(second)) as archive:
        names = archive.getnames()
    assert names == ["checkpoints/step-2.ckpt", "run.json"]  # what names other files comes last
    unpack(second, there)
    expected = {k: v for k, v in _tree(here).items() if k not in (".lock", "debug.log")}
    assert _tree(there) == expected


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside"])
def test_nothing_lands_outside(tmp_path: Path, name: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = 4
        archive.addfile(member, io.BytesIO(b"evil"))
    if name.startswith("/"):  # a leading slash is dropped
        unpack(buffer.getvalue(), tmp_path / "run")
        assert (tmp_path / "run" / "tmp" / "outside").read_bytes() == b"evil"
    else:
        with pytest.raises(tarfile.FilterError):
            unpack(buffer.getvalue(), tmp_path / "run")
        assert not (tmp_path / "outside").exists()
    assert not Path("/tmp/outside").exists()


def test_a_link_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = tarfile.SYMTYPE, "../../etc"
        archive.addfile(member)
    with pytest.raises(tarfile.FilterError):
        unpack(buffer.getvalue(), tmp_path / "run")
