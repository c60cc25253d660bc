"""Tables of the UCI collections, from miniatures in the official layouts."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from reprise.config.errors import ConfigError, DataError
from reprise.data.sources import Source
from reprise.data.tabular import uci, uci_sources
from reprise.data.tabular.diabetes import Diabetes
from reprise.data.tabular.train_test_csv import TrainTestCsv
from reprise.data.tabular.uci import UCI

ROWS = np.arange(30.0).reshape(10, 3) ** 1.5  # columns 0 and 2 are inputs, 1 is the target


def standard_files() -> dict[str, bytes]:
    files = {
        "data.txt": "\n".join("  ".join(f"{v:.6f}" for v in row) for row in ROWS).encode(),
        "index_features.txt": b"0.000000\n2.000000\n",
        "index_target.txt": b"1\n",
        "n_splits.txt": b"2\n",
        "results.txt": b"not read",
    }
    for k, test in enumerate(([1, 4], [0, 9])):
        train = [i for i in range(10) if i not in test]
        files[f"index_train_{k}.txt"] = "\n".join(map(str, train)).encode()
        files[f"index_test_{k}.txt"] = "\n".join(map(str, test)).encode()
    return files


def write_folder(root: Path, files: dict[str, bytes]) -> None:
    folder = root / "yacht" / "data"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def write_archive(root: Path, files: dict[str, bytes], *extra: tarfile.TarInfo) -> Path:
    path = root / "mine.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"mine/data/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in extra:
            tar.addfile(member)
    return path


def data(root: Path, name: str = "mine", inputs: int = 2, **settings) -> UCI:
    return UCI(name, inputs, 0, str(root / "cache"), root=str(root), scale_x="none", scale_y="none", **settings)


def test_folder_and_archive_hold_the_same(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b" / "UCI_Datasets").mkdir(parents=True)
    write_archive(tmp_path / "a", standard_files())
    write_folder(tmp_path / "b" / "UCI_Datasets", standard_files())
    (tmp_path / "b" / "UCI_Datasets" / "yacht").rename(tmp_path / "b" / "UCI_Datasets" / "mine")
    one, two = data(tmp_path / "a", fold=1), data(tmp_path / "b", fold=1)
    assert one.data_digests() == two.data_digests()
    problem = one.problem()
    assert np.allclose(problem["x_test"], ROWS[[0, 9]][:, [0, 2]], atol=1e-5)
    assert np.allclose(problem["y_test"], ROWS[[0, 9], 1], atol=1e-5)
    assert (problem["x"] == two.problem()["x"]).all() and len(problem["y"]) == 8
    with pytest.raises(ConfigError, match="fold is 3"):
        data(tmp_path / "a", fold=3).problem()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"index_test_1.txt": b"0\n8\n"}, "split 1"),
        ({"index_test_1.txt": b"0\n99\n"}, "0 to 9"),
        ({"index_test_1.txt": b""}, "is empty"),
        ({"data.txt": b"1 2 3\n4 5\n"}, "cannot be read as numbers"),
        ({"index_target.txt": b"1\n2\n"}, "2 columns"),
        ({"index_train_1.txt": None}, "index_train_1.txt is missing"),
        ({"n_splits.txt": None}, "n_splits.txt is missing"),
    ],
)
def test_what_is_wrong_in_a_folder_is_named(tmp_path, change, match) -> None:
    files = {k: v for k, v in (standard_files() | change).items() if v is not None}
    write_archive(tmp_path, files)
    with pytest.raises(DataError, match=match):
        data(tmp_path).problem()


def test_splits_are_read_only_where_they_are_asked_for(tmp_path) -> None:
    files = standard_files()
    del files["n_splits.txt"]
    write_archive(tmp_path, files)
    assert len(data(tmp_path, split="random", test_share=0.3).problem()["y_test"]) == 3


@pytest.mark.parametrize("kind", ["outside", "absolute", "link", "device"])
def test_malicious_members_are_refused(tmp_path, kind) -> None:
    member = tarfile.TarInfo(
        {"outside": "mine/../../evil.txt", "absolute": "/evil.txt"}.get(kind, "mine/data/data.txt")
    )
    if kind == "link":
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    elif kind == "device":
        member.type = tarfile.CHRTYPE
    write_archive(tmp_path, standard_files(), member)
    with pytest.raises(DataError, match=r"points outside|no plain file"):
        data(tmp_path).problem()
    assert not (tmp_path.parent / "evil.txt").exists()


def test_truncated_archive(tmp_path) -> None:
    path = write_archive(tmp_path, standard_files())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"mine.tar.gz cannot be read"):
        data(tmp_path).problem()


def test_official_table_that_is_too_short(tmp_path) -> None:
    write_folder(tmp_path, standard_files())
    with pytest.raises(DataError, match=r"truncated: .* of 11487 bytes"):
        data(tmp_path, "yacht").problem()


def write_masked(root: Path, mask: np.ndarray) -> None:
    folder = root / "uci_datasets" / "mine"
    folder.mkdir(parents=True)
    for name, rows in (("data.csv.gz", ROWS), ("test_mask.csv.gz", mask)):
        text = "\n".join(",".join(f"{v:g}" for v in row) for row in rows)
        (folder / name).write_bytes(gzip.compress(text.encode()))


def test_masks(tmp_path) -> None:
    write_masked(tmp_path, np.eye(10)[:, :5] + np.eye(10)[:, 5:])
    found = data(tmp_path, fold=2).problem()
    assert np.allclose(found["x_test"], ROWS[[2, 7], :2], rtol=1e-5)
    assert np.allclose(found["y_test"], ROWS[[2, 7], 2], rtol=1e-5)
    path = tmp_path / "uci_datasets" / "mine" / "test_mask.csv.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"test_mask.csv.gz cannot be read"):
        data(tmp_path).problem()
    path.write_bytes(gzip.compress(b"1,0\n0,2\n"))
    with pytest.raises(DataError, match="zeros and ones for 10 rows"):
        data(tmp_path).problem()


def test_nothing_there(tmp_path) -> None:
    with pytest.raises(DataError, match=r"holds no table 'concrete'.*data.root=null"):
        data(tmp_path, "concrete").problem()
    with pytest.raises(ConfigError, match=r"data.name is 'concrte'"):
        UCI("concrte", 8, 0, str(tmp_path)).prepare_data()


def test_download_takes_what_is_needed(tmp_path, monkeypatch) -> None:
    fetched = []

    def fetch(source: Source, folder: Path) -> Path:
        fetched.append(source.url)
        path = folder / source.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(standard_files()[source.name])
        return path

    monkeypatch.setattr(uci, "fetch", fetch)
    monkeypatch.setattr(uci, "check_size", lambda *_: None)
    found = UCI("housing", 2, 0, str(tmp_path), split="random", test_share=0.3).problem()
    assert len(found["y_test"]) == 3
    assert [url.rpartition("/")[2] for url in fetched] == ["data.txt", "index_features.txt", "index_target.txt"]
    assert all("yaringal" in url and "/bostonHousing/data/" in url for url in fetched)


def test_sources_are_whole() -> None:
    assert len(uci_sources.sources()) == 7 * 44 + 14 + 16
    assert len(uci_sources.names()) == 16
    assert set(uci_sources.ALIASES.values()) < set(uci_sources.names())
    assert all(len(s.sha256) == 64 and s.size > 0 for s in uci_sources.sources().values())


def test_train_and_test_csv(tmp_path) -> None:
    (tmp_path / "co2").mkdir()
    np.savetxt(tmp_path / "co2" / "train.csv", ROWS[:6, :2], delimiter=",")
    settings = {"root": str(tmp_path), "inputs": 1, "seed": 0}
    with pytest.raises(DataError, match=r"test.csv is missing"):
        TrainTestCsv("co2", **settings).problem()
    np.savetxt(tmp_path / "co2" / "test.csv", ROWS[6:, :2], delimiter=",")
    found = TrainTestCsv("co2", **settings, y_label="CO2").problem()
    assert (len(found["y"]), found["y_label"]) == (6, "CO2")
    assert np.allclose(found["y_test"], ROWS[6:, 1])


def test_diabetes_comes_with_scikit_learn() -> None:
    found = Diabetes(10, 0, scale_x="standard", scale_y="standard").problem()
    assert found["x"].shape == (398, 10) and found["x_test"].shape == (44, 10)
    assert float(found["y_scale"]) == pytest.approx(77, abs=3)
