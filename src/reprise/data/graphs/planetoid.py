"""Citation graphs with the split of Yang et al. 2016 (Planetoid): Cora, Citeseer, Pubmed, from the released files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from scipy.sparse import csr_matrix, vstack

from reprise.config.errors import ConfigError, DataError
from reprise.data.download import fetch
from reprise.data.graphs.base import GraphDataModule, NodeData
from reprise.data.graphs.pickles import read_graph_pickle
from reprise.data.sources import Source

Name = Literal["cora", "citeseer", "pubmed"]
_PARTS = ("x", "y", "tx", "ty", "allx", "ally", "graph", "test.index")
_COMMIT = "af6abf468a772cc055bec88c52e4d6f51b7c37e3"
_PLACES = (
    f"https://raw.githubusercontent.com/kimiyoung/planetoid/{_COMMIT}/data",
    f"https://github.com/kimiyoung/planetoid/raw/{_COMMIT}/data",
)
_LICENCE = "MIT for the repository; the graph is of the LINQS collection (Sen et al. 2008), none stated"
_CORA = {
    "x": (22119, "23cfa55d91c6f624233f5eb7b6e3f141f1bd2b2ae39608a63cf5d084bb27baab"),
    "y": (4054, "94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1"),
    "tx": (148025, "b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a"),
    "ty": (28135, "41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad"),
    "allx": (257305, "9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543"),
    "ally": (47959, "2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71"),
    "graph": (59847, "58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d"),
    "test.index": (5000, "297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875"),
}
SOURCES: dict[str, tuple[Source, ...]] = {
    "cora": tuple(
        Source(
            name=f"ind.cora.{part}",
            url=f"{_PLACES[0]}/ind.cora.{part}",
            size=size,
            sha256=sha256,
            licence=_LICENCE,
            mirrors=(f"{_PLACES[1]}/ind.cora.{part}",),
        )
        for part, (size, sha256) in _CORA.items()
    )
}


class Planetoid(GraphDataModule):
    """A citation graph with bags of words, 20 training nodes a class, the next 500 nodes for validation, 1000 for test.

    Args:
        name: of the graph.
        features, classes, seed, batch_size, normalise, self_loops, undirected, limit_val, limit_test: see
            GraphDataModule.
        cache: folder for downloads.
        root: folder of a copy of the files ind.NAME.x, y, tx, ty, allx, ally, graph and test.index; null downloads
            them, where their digests are known (Cora).
        val_nodes: nodes for validation, those that follow the training nodes.
        sizes: features and classes of each graph, from which a config fills in those of the one chosen.

    Raises:
        ConfigError: no such graph, or a number is out of range.
    """

    def __init__(
        self,
        name: Name,
        features: int,
        classes: int,
        seed: int,
        cache: str,
        root: str | None = None,
        batch_size: int = 1,
        normalise: bool = True,
        self_loops: bool = True,
        undirected: bool = True,
        val_nodes: int = 500,
        limit_val: int | None = None,
        limit_test: int | None = None,
        sizes: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(features, classes, seed, batch_size, normalise, self_loops, undirected, limit_val, limit_test)
        if name not in get_args(Name):
            raise ConfigError(f"data.name is {name!r}. Expected one of {', '.join(get_args(Name))}.")
        if val_nodes < 1:
            raise ConfigError(f"data.val_nodes is {val_nodes}. Expected 1 or more.")
        self.graph: str = name
        self.cache = Path(cache).expanduser()
        self.root = Path(root).expanduser() if root else None
        self.val_nodes = val_nodes

    def read(self) -> NodeData:
        """Read the eight files.

        Raises:
            ConfigError: there is no copy, and no digests to check a download with.
            DataError: a file is missing, corrupt or not what its format says.
        """
        return read_planetoid(self._folder(), self.graph, self.val_nodes)

    def _folder(self) -> Path:
        if self.root is not None:
            return self.root
        if self.graph not in SOURCES:
            raise ConfigError(
                f"data.root is missing: digests of {self.graph}'s files are not known, so that a download could not be "
                f"checked. Fetch ind.{self.graph}.x ... test.index from {_PLACES[0]} and set data.root=FOLDER."
            )
        folder = self.cache / "downloads" / "planetoid"
        for source in SOURCES[self.graph]:
            fetch(source, folder)
        return folder


def read_planetoid(folder: Path, name: str, val_nodes: int) -> NodeData:
    """Read ind.NAME.x, y (training), allx, ally (all but test), tx, ty, test.index (test) and graph.

    Rows of allx are nodes 0, 1, ...; row i of tx is the node that line i of test.index names. Test nodes that no line
    names, between the lowest and the highest that one does (Citeseer has 15), get features of zero and no class.

    Raises:
        DataError: a file is missing, corrupt or does not fit the others.
    """
    found: dict[str, Any] = {}
    digests: dict[str, str] = {}
    for part in _PARTS:
        path = folder / f"ind.{name}.{part}"
        try:
            content = path.read_bytes()
        except OSError:
            raise DataError(f"{path} is missing. Expected ind.{name}.PART, PART being {', '.join(_PARTS)}.") from None
        digests[path.name] = hashlib.sha256(content).hexdigest()
        found[part] = _lines(content, path) if part == "test.index" else read_graph_pickle(content, path)
    _check_parts(found, folder, name)
    rows, first = found["test.index"], found["allx"].shape[0]
    last = int(rows.max()) + 1
    place = csr_matrix((np.ones(len(rows)), (rows - first, np.arange(len(rows)))), shape=(last - first, len(rows)))
    x = vstack([found["allx"], place @ found["tx"]]).toarray().astype(np.float32)
    y = np.full(last, -1, dtype=np.int64)
    y[:first] = _classes(found["ally"])
    y[rows] = _classes(found["ty"])
    train = np.arange(len(found["y"]))
    return NodeData(
        name=name,
        x=x,
        y=y,
        edges=_edges(found["graph"], folder / f"ind.{name}.graph", last),
        train=train,
        val=np.arange(len(train), len(train) + val_nodes),
        test=np.sort(rows),
        source={"files": digests},
    )


def _lines(content: bytes, path: Path) -> np.ndarray:
    words = content.split()
    if not words or not all(word.isdigit() for word in words):
        raise DataError(f"{path} holds something else than the number of a node in each line.")
    return np.array([int(word) for word in words], dtype=np.int64)


def _check_parts(found: dict[str, Any], folder: Path, name: str) -> None:
    where = f"{folder}/ind.{name}"
    for part in ("x", "tx", "allx"):
        if not isinstance(found[part], csr_matrix):
            raise DataError(f"{where}.{part} holds a {type(found[part]).__name__}. Expected a sparse matrix.")
    for part in ("y", "ty", "ally"):
        if not isinstance(found[part], np.ndarray) or found[part].ndim != 2 or found[part].dtype.kind not in "iufb":
            raise DataError(f"{where}.{part} holds no table of ones and zeros.")
    for x, y in (("x", "y"), ("tx", "ty"), ("allx", "ally")):
        if found[x].shape[0] != len(found[y]) or found[x].shape[1] != found["x"].shape[1]:
            raise DataError(f"{where}.{x} has the shape {found[x].shape} and .{y} {found[y].shape}, which do not fit.")
    rows, first = found["test.index"], found["allx"].shape[0]
    if len(rows) != found["tx"].shape[0] or rows.min() < first or len(np.unique(rows)) < len(rows):
        raise DataError(f"{where}.test.index does not name {found['tx'].shape[0]} nodes from {first} on, each once.")


def _classes(table: np.ndarray) -> np.ndarray:
    """(n,) classes of a table of ones and zeros (n, C); -1 where a row is zero."""
    return np.where(table.any(1), table.argmax(1), -1)


def _edges(lists: Any, path: Path, nodes: int) -> np.ndarray:
    """(2, E) from neighbours of each node."""
    if not isinstance(lists, dict):
        raise DataError(f"{path} holds a {type(lists).__name__}. Expected a dict of neighbours.")
    pairs = [(j, i) for i, neighbours in lists.items() for j in neighbours]
    edges = np.array(pairs).T if pairs else np.zeros((2, 0), dtype=np.int64)
    if edges.dtype.kind not in "iu" or (edges.size and not 0 <= edges.min() <= edges.max() < nodes):
        raise DataError(f"{path} names nodes that are none. Expected whole numbers from 0 to {nodes - 1}.")
    return edges.astype(np.int64)
