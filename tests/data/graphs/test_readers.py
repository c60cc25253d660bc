"""Released files of graphs: miniatures in their formats, damaged ones, and ones that would run something."""

from __future__ import annotations

import collections
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix, lil_matrix

from reprise.config.errors import ConfigError, DataError
from reprise.data.graphs.npz import SOURCES as NPZ_SOURCES
from reprise.data.graphs.npz import NpzGraph, read_npz_graph
from reprise.data.graphs.pickles import read_graph_pickle
from reprise.data.graphs.planetoid import SOURCES, Planetoid, read_planetoid

CLASSES, TRAIN, REST = 3, 3, 9
TEST = [4, 0, 5, 2, 1]  # test nodes, in an order of their own, after REST others; number 3 is missing


def write_planetoid(folder: Path, rest: int = REST) -> tuple[np.ndarray, np.ndarray]:
    """A graph of rest + 6 nodes in Planetoid's files; its features (N, 6) and classes (N,)."""
    rng = np.random.default_rng(0)
    rows = [rest + node for node in TEST]
    x = (rng.random((rest + 6, 6)) < 0.5).astype(np.float32)
    x[:, 5] = 1.0
    y = np.arange(rest + 6) % CLASSES
    x[rest + 3], y[rest + 3] = 0.0, -1
    one_hot = np.eye(CLASSES, dtype=np.int32)
    neighbours = collections.defaultdict(list, {i: [] for i in range(rest + 6)})
    neighbours |= {0: [1, 2, 2], 1: [0], 2: [0], rest + 4: [3], 3: [rest + 4]}
    parts: dict[str, Any] = {
        "x": csr_matrix(x[:TRAIN]),
        "y": one_hot[y[:TRAIN]],
        "allx": csr_matrix(x[:rest]),
        "ally": one_hot[y[:rest]],
        "tx": csr_matrix(x[rows]),
        "ty": one_hot[y[rows]],
        "graph": neighbours,
    }
    for part, value in parts.items():
        (folder / f"ind.citeseer.{part}").write_bytes(pickle.dumps(value, protocol=2))
    (folder / "ind.citeseer.test.index").write_text("".join(f"{node}\n" for node in rows))
    return x, y


def data(root: Path | None, **settings: Any) -> Planetoid:
    given = {"features": 6, "classes": CLASSES, "val_nodes": 4, "cache": "unused", **settings}
    return Planetoid("citeseer", seed=0, root=str(root) if root else None, **given)


def test_a_miniature_with_a_missing_test_node(tmp_path: Path) -> None:
    x, y = write_planetoid(tmp_path)
    found = data(tmp_path)
    found.setup("fit")
    problem = found.problem()
    expected = x / np.where(x.sum(1, keepdims=True) == 0, 1, x.sum(1, keepdims=True))
    assert torch.equal(problem["x"], torch.from_numpy(expected))
    assert (problem["x"][12] == 0.0).all()
    assert problem["y"].tolist() == y.tolist()
    assert torch.nonzero(problem["train"])[:, 0].tolist() == [0, 1, 2]
    assert torch.nonzero(problem["val"])[:, 0].tolist() == [3, 4, 5, 6]
    assert torch.nonzero(problem["test"])[:, 0].tolist() == [9, 10, 11, 13, 14]
    links = {(0, 1), (1, 0), (0, 2), (2, 0), (3, 13), (13, 3)} | {(i, i) for i in range(15)}
    assert set(map(tuple, problem["edge_index"].T.tolist())) == links
    assert problem["edge_index"].shape[1] == len(links)
    assert found.held_out() == 5 and found.data_digests()["files"].keys() == {
        f"ind.citeseer.{part}" for part in ("x", "y", "tx", "ty", "allx", "ally", "graph", "test.index")
    }


@pytest.mark.filterwarnings("ignore")
def test_pytorch_geometric_reads_the_same(tmp_path: Path) -> None:
    datasets = pytest.importorskip("torch_geometric.datasets")
    raw = tmp_path / "CiteSeer" / "raw"
    raw.mkdir(parents=True)
    write_planetoid(raw, rest=600)
    theirs = datasets.Planetoid(str(tmp_path), "CiteSeer")[0]
    found = read_planetoid(raw, "citeseer", 500)
    assert torch.equal(theirs.x, torch.from_numpy(found.x))
    measured = torch.from_numpy(np.concatenate([found.train, found.val, found.test]))
    assert torch.equal(theirs.y[measured], torch.from_numpy(found.y)[measured])
    assert torch.nonzero(theirs.train_mask)[:, 0].tolist() == found.train.tolist()
    assert torch.nonzero(theirs.val_mask)[:, 0].tolist() == found.val.tolist()
    assert torch.nonzero(theirs.test_mask)[:, 0].tolist() == found.test.tolist()
    assert set(map(tuple, theirs.edge_index.T.tolist())) == set(map(tuple, found.edges.T.tolist()))


class Attack:
    def __reduce__(self) -> Any:
        return os.system, ("touch hacked",)


@pytest.mark.parametrize("part", ["x", "graph", "ally"])
def test_a_pickle_that_would_run_something_is_refused(part: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    write_planetoid(tmp_path)
    (tmp_path / f"ind.citeseer.{part}").write_bytes(pickle.dumps({"a": Attack()}, protocol=2))
    with pytest.raises(DataError, match=r"system, and only arrays, csr_matrix, list, dict and defaultdict"):
        data(tmp_path).prepare_data()
    assert not (tmp_path / "hacked").exists()


def test_a_pickled_matrix_is_checked(tmp_path: Path) -> None:
    good = csr_matrix(np.eye(3))
    assert (read_graph_pickle(pickle.dumps(good), tmp_path).toarray() == np.eye(3)).all()
    good.indices[0] = 7  # beyond the columns: a product would read foreign memory
    with pytest.raises(DataError, match="no sparse matrix"):
        read_graph_pickle(pickle.dumps(good), tmp_path)
    with pytest.raises(DataError, match="only arrays"):
        read_graph_pickle(pickle.dumps(lil_matrix(np.eye(3))), tmp_path)


@pytest.mark.parametrize(
    ("part", "content", "words"),
    [
        ("tx", None, "is missing"),
        ("tx", b"\x80\x02", "cannot be unpickled"),
        ("tx", pickle.dumps(np.eye(5)), "Expected a sparse matrix"),
        ("ty", pickle.dumps(np.eye(4, 3)), "do not fit"),
        ("ty", pickle.dumps([1]), "no table"),
        ("graph", pickle.dumps([1]), "Expected a dict"),
        ("graph", pickle.dumps({0: [99]}), "nodes that are none"),
        ("test.index", b"9\nten\n", "number of a node"),
        ("test.index", b"9\n9\n10\n11\n13\n", "each once"),
        ("test.index", b"1\n9\n10\n11\n13\n", "from 9 on"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(part: str, content: bytes | None, words: str, tmp_path: Path) -> None:
    write_planetoid(tmp_path)
    path = tmp_path / f"ind.citeseer.{part}"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        data(tmp_path).prepare_data()


def test_sizes_are_compared_with_the_files(tmp_path: Path) -> None:
    write_planetoid(tmp_path)
    with pytest.raises(ConfigError, match=r"Set data\.features=6"):
        data(tmp_path, features=5).prepare_data()
    with pytest.raises(ConfigError, match=r"Set data\.classes=3"):
        data(tmp_path, classes=7).prepare_data()
    with pytest.raises(ConfigError, match=r"data.root is missing.*ind.citeseer.x"):
        data(None).prepare_data()
    with pytest.raises(DataError, match="overlap"):
        data(tmp_path, val_nodes=7).prepare_data()


def test_downloads_are_pinned() -> None:
    assert {s.name.removeprefix("ind.cora.") for s in SOURCES["cora"]} == {
        "x", "y", "tx", "ty", "allx", "ally", "graph", "test.index"
    }  # fmt: skip
    for source in (*SOURCES["cora"], *NPZ_SOURCES.values()):
        assert len(source.sha256) == 64 and source.size > 0 and source.mirrors


def write_npz(path: Path, **changes: Any) -> None:
    adjacency = csr_matrix((np.ones(3), ([0, 1, 4], [1, 2, 0])), shape=(12, 12))
    words = csr_matrix(np.eye(12, 5, dtype=np.float32))
    parts = {"adj_matrix": adjacency, "node_attr": words, "node_label": np.arange(12) % 2, **changes}
    np.savez_compressed(path, **parts)  # type: ignore[arg-type]


def test_an_archive_of_numpy(tmp_path: Path) -> None:
    write_npz(tmp_path / "dblp.npz", metadata=np.array({"a": 1}, dtype=object))
    found = NpzGraph(
        "dblp", features=5, classes=2, seed=0, cache="unused", root=str(tmp_path), train_per_class=2, val_per_class=1
    )
    found.setup("fit")
    problem = found.problem()
    assert [int(problem[part].sum()) for part in ("train", "val", "test")] == [4, 2, 6]
    assert problem["y"][problem["train"]].bincount().tolist() == [2, 2]
    assert problem["edge_index"].shape[1] == 2 * 3 + 12
    other = NpzGraph("dblp", 5, 2, 0, "unused", str(tmp_path), train_per_class=2, val_per_class=1, split_seed=1)
    assert other.data_digests() == found.data_digests()  # another split of the same data
    assert other.problem()["train"].tolist() != problem["train"].tolist()
    with pytest.raises(ConfigError, match="class 0 has 6 nodes, too few"):
        NpzGraph("dblp", 5, 2, 0, "unused", str(tmp_path)).prepare_data()


def test_archives_that_are_none(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.npz"
    with pytest.raises(DataError, match="is missing"):
        read_npz_graph(path)
    path.write_bytes(b"PK")
    with pytest.raises(DataError, match="cannot be read"):
        read_npz_graph(path)
    write_npz(path, adj_matrix=np.array(Attack(), dtype=object))
    with pytest.raises(DataError, match="only arrays"):
        read_npz_graph(path)
    write_npz(path, node_label=np.ones((12, 2)))
    with pytest.raises(DataError, match="whole numbers"):
        read_npz_graph(path)
    assert not (tmp_path / "hacked").exists()
    shutil.rmtree(tmp_path)
