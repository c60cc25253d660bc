"""DBLP and Amazon Photo, as archives of NumPy with sparse matrices inside."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from scipy.sparse import csr_matrix

from reprise.config.errors import ConfigError, DataError
from reprise.data.download import fetch
from reprise.data.graphs.drawn import DrawnSplit
from reprise.data.graphs.pickles import read_graph_pickle
from reprise.data.sources import Source

Name = Literal["dblp", "amazon_photo"]
_PLACE = "EdisonLeeeee/GraphData"
_COMMIT = "f8022c26b917346f2a461ffec0ec5ae24b36de68"
_SIZES = {
    "dblp": (727093, "e1c460c864735b88158e230e715715b08a8f7bb7c94f7f6c3b5efc412558877d"),
    "amazon_photo": (1772672, "bdb98b54cd3125bfa69b23ba0aae84fabcb770c6727175b8f6eb1d64f3be4b2b"),
}
SOURCES = {
    name: Source(
        name=f"{name}.npz",
        url=f"https://raw.githubusercontent.com/{_PLACE}/{_COMMIT}/datasets/{name}.npz",
        size=size,
        sha256=sha256,
        licence="MIT for the repository, none stated for the data (Pan et al. 2016; McAuley et al. 2015)",
        mirrors=(f"https://github.com/{_PLACE}/raw/{_COMMIT}/datasets/{name}.npz",),
    )
    for name, (size, sha256) in _SIZES.items()
}
_MEMBERS = ("adj_matrix", "node_attr", "node_label")


class NpzGraph(DrawnSplit):
    """A graph of one file NAME.npz with adj_matrix, node_attr and node_label.

    Args:
        name: dblp, citations among papers (Pan et al. 2016), or amazon_photo, goods bought together (McAuley et al.
            2015; Shchur et al. 2018).
        features, classes, seed, batch_size, normalise, self_loops, undirected, train_per_class, val_per_class,
            split_seed, limit_val, limit_test: see DrawnSplit.
        cache: folder for downloads.
        root: folder of a copy of the file; null downloads it.
        sizes: features and classes of each graph, from which a config fills in those of the one chosen.

    Raises:
        ConfigError: no such graph.
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
        train_per_class: int = 20,
        val_per_class: int = 30,
        split_seed: int | None = 0,
        limit_val: int | None = None,
        limit_test: int | None = None,
        sizes: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            features,
            classes,
            seed,
            batch_size,
            normalise,
            self_loops,
            undirected,
            train_per_class,
            val_per_class,
            split_seed,
            limit_val,
            limit_test,
        )
        if name not in get_args(Name):
            raise ConfigError(f"data.name is {name!r}. Expected one of {', '.join(get_args(Name))}.")
        self.graph: str = name
        self.cache = Path(cache).expanduser()
        self.root = Path(root).expanduser() if root else None

    def content(self) -> tuple[str, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Read the file, fetching it where there is no copy."""
        folder = self.cache / "downloads" / "graphs"
        path = fetch(SOURCES[self.graph], folder) if self.root is None else self.root / f"{self.graph}.npz"
        x, y, edges, sha256 = read_npz_graph(path)
        return self.graph, x, y, edges, {"files": {path.name: sha256}}


def read_npz_graph(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Read adj_matrix and node_attr, both sparse, and node_label.

    Returns:
        features (N, F) in float32, classes (N,), edges (2, E) and the file's SHA-256.

    Raises:
        DataError: the file is missing, corrupt or not what its format says.
    """
    try:
        content = path.read_bytes()
    except OSError:
        raise DataError(f"{path} is missing. Expected the file there; data.root=null downloads it.") from None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = {name: _array(archive.read(f"{name}.npy"), path) for name in _MEMBERS}
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}. Is it truncated, or another file?") from None
    adjacency, attributes, labels = (parts[name] for name in _MEMBERS)
    if not isinstance(adjacency, csr_matrix) or not isinstance(attributes, csr_matrix):
        raise DataError(f"{path} holds no sparse adj_matrix and node_attr.")
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataError(f"{path} holds no node_label of whole numbers.")
    edges = adjacency.tocoo()
    index = np.stack([edges.row, edges.col]).astype(np.int64)
    x = attributes.toarray().astype(np.float32)
    return x, labels.astype(np.int64), index, hashlib.sha256(content).hexdigest()


def _array(content: bytes, path: Path) -> Any:
    """An array of an archive; one that holds an object is unpickled as graphs are."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    _, _, dtype = reader(stream)
    if dtype.hasobject:
        return read_graph_pickle(stream.read(), path)
    return np.load(io.BytesIO(content), allow_pickle=False)
