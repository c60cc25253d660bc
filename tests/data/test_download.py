"""Downloads from a local server: whole, resumed, corrupt, and archives that try to escape."""

from __future__ import annotations

import io
import random
import tarfile
import wave
import zipfile
from pathlib import Path

import pytest

from reprise.config.errors import DataError
from reprise.data.audio import speech
from reprise.data.audio.speech import LJSpeech
from reprise.data.download import fetch, unpack
from reprise.data.sources import Source
from reprise.nn.spectrogram import LogMel
from tests.data.server import Server


def test_whole_download_and_no_second_one(server: Server, tmp_path: Path) -> None:
    source = server.source("a.bin", b"x" * 5000)
    assert fetch(source, tmp_path).read_bytes() == b"x" * 5000
    fetch(source, tmp_path)
    assert server.sent == [5000]


def test_interrupted_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    source = server.source("a.bin", content)
    server.limit = 3000
    with pytest.raises(DataError, match=r"a\.bin could not be downloaded"):
        fetch(source, tmp_path)
    assert not (tmp_path / "a.bin").exists()
    server.limit = None
    assert fetch(source, tmp_path).read_bytes() == content
    assert server.sent == [3000, len(content) - 3000]


def test_corrupt_download_is_named_and_deleted(server: Server, tmp_path: Path) -> None:
    source = server.source("a.bin", b"good", sha256="0" * 64)
    with pytest.raises(DataError, match="SHA-256"):
        fetch(source, tmp_path)
    assert list(tmp_path.glob("a.bin*")) == [tmp_path / "a.bin.lock"]


def test_mirror_is_used(server: Server, tmp_path: Path) -> None:
    good = server.source("a.bin", b"data")
    broken = Source(good.name, good.url + ".missing", good.size, good.sha256, good.licence, (good.url,))
    assert fetch(broken, tmp_path).read_bytes() == b"data"


def _tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:bz2") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_archives_cannot_leave_their_folder(tmp_path: Path) -> None:
    for name in ("../evil", "/tmp/evil-reprise"):
        archive = _tar(tmp_path / "a.tar.bz2", {name: b"x"})
        out = tmp_path / "out"
        try:
            unpack(archive, out)
        except DataError:
            assert not out.exists()
        assert not (tmp_path / "evil").exists()
        assert not Path("/tmp/evil-reprise").exists()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as bundle:
        bundle.writestr("../evil", "x")
    with pytest.raises(DataError, match="outside"):
        unpack(tmp_path / "a.zip", tmp_path / "zip")
    assert not (tmp_path / "zip").exists()


def test_truncated_archive_is_named(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "a.tar.bz2", {"a": b"x" * 10000})
    archive.write_bytes(archive.read_bytes()[:60])
    with pytest.raises(DataError, match=r"a\.tar\.bz2 cannot be unpacked"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_corrupt_archive_is_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("a")
        info.size = 100_000
        tar.addfile(info, io.BytesIO(random.Random(0).randbytes(info.size)))
    content = bytearray((tmp_path / "a.tar.gz").read_bytes())
    for place in (50_000, -6):  # within the stream, and in its checksum
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        damaged[place - 1] ^= 0xFF
        (tmp_path / "a.tar.gz").write_bytes(damaged)
        with pytest.raises(DataError, match=r"a\.tar\.gz cannot be unpacked"):
            unpack(tmp_path / "a.tar.gz", tmp_path / "out")
        assert not (tmp_path / "out").exists()


def _wav(seconds: float) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22050)
        file.writeframes(bytes(range(200)) * int(22050 * seconds / 100))
    return buffer.getvalue()


def test_ljspeech_from_the_official_archive(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"LJ001-{i:04d}" for i in range(1, 7)]
    rows = "".join(f'{n}|The "raw" text {n}|The normalised text {n}\n' for n in names)
    members = {"LJSpeech-1.1/metadata.csv": rows.encode(), "LJSpeech-1.1/README": b"readme"}
    members |= {f"LJSpeech-1.1/wavs/{n}.wav": _wav(0.2) for n in names}
    archive = _tar(tmp_path / "LJSpeech-1.1.tar.bz2", members).read_bytes()
    monkeypatch.setattr(speech, "LJSPEECH", server.source("LJSpeech-1.1.tar.bz2", archive))
    data = LJSpeech(LogMel(22050, f_max=11025), 4, 2, 0, str(tmp_path / "cache"), val_clips=1, test_clips=2)
    data.prepare_data()
    data.setup("fit")
    assert data.corpus is not None
    assert data.corpus.ids == names
    assert {k: len(v) for k, v in data.splits.items()} == {"test": 2, "val": 1, "train": 3}
    assert next(c.text for c in data.clips()) == "The normalised text LJ001-0001"
    # a copy in the official layout gives the same recordings without a download
    copy = LJSpeech(
        LogMel(22050, f_max=11025),
        4,
        2,
        0,
        str(tmp_path / "cache2"),
        root=str(tmp_path / "cache" / "LJSpeech-1.1" / "LJSpeech-1.1"),
        val_clips=1,
        test_clips=2,
    )
    copy.setup("fit")
    assert copy.data_digests() == data.data_digests()
    assert len(server.sent) == 1


def test_the_official_source_is_the_published_one() -> None:
    assert speech.LJSPEECH.sha256 == "be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5"
    assert speech.LJSPEECH.size == 2_748_572_632


def test_a_folder_that_is_not_ljspeech_is_named(tmp_path: Path) -> None:
    data = LJSpeech(LogMel(22050, f_max=11025), 4, 2, 0, str(tmp_path), root=str(tmp_path))
    with pytest.raises(DataError, match="is not LJ Speech"):
        data.clips()
