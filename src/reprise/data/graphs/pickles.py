"""Read pickled graphs: arrays, sparse matrices and adjacency lists, and nothing that could run."""

from __future__ import annotations

import io
import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from reprise.config.errors import DataError
from reprise.data.images.pickles import _ALLOWED, _CORRUPT


class _Rows:
    """Stands in for scipy's csr_matrix: it takes the attributes of the pickle, which are checked afterwards."""


_GRAPHS: dict[tuple[str, str], Any] = {
    **_ALLOWED,
    **{(f"scipy.sparse.{module}", "csr_matrix"): _Rows for module in ("csr", "_csr")},
    **{(module, kind.__name__): kind for module in ("__builtin__", "builtins") for kind in (list, dict)},
    ("collections", "defaultdict"): defaultdict,
}


class _GraphObjects(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return what graphs are rebuilt with; anything else could run code of the file's choice."""
        try:
            return _GRAPHS[module, name]
        except KeyError:
            admitted = "arrays, csr_matrix, list, dict and defaultdict are admitted"
            raise pickle.UnpicklingError(f"it names {module}.{name}, and only {admitted}") from None


def read_graph_pickle(content: bytes, path: Path) -> Any:
    """Unpickle arrays, a csr_matrix, or lists and dictionaries; strings of Python 2 are read as latin1.

    Raises:
        DataError: corrupt, or it holds anything else.
    """
    try:
        found = _GraphObjects(io.BytesIO(content), encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, MemoryError, ArithmeticError, *_CORRUPT) as error:
        raise DataError(f"{path} cannot be unpickled: {error}. Is it truncated, or another file?") from None
    while isinstance(found, np.ndarray) and found.dtype == object and found.ndim == 0:
        found = found.item()  # an object that NumPy saved
    return _matrix(found, path) if isinstance(found, _Rows) else found


def _matrix(found: _Rows, path: Path) -> csr_matrix:
    """A sparse matrix from the attributes of the pickled one.

    Raises:
        DataError: they fit no matrix.
    """
    parts = vars(found)
    shape = parts.get("_shape", parts.get("shape"))
    try:
        arrays = [np.asarray(parts[name]) for name in ("data", "indices", "indptr")]
        if arrays[0].dtype.kind not in "fiub" or any(array.dtype.kind not in "iu" for array in arrays[1:]):
            raise TypeError("its parts are no numbers")
        rows, columns = (int(size) for size in shape)  # type: ignore[union-attr]
        matrix = csr_matrix((arrays[0], arrays[1], arrays[2]), shape=(rows, columns))
        matrix.check_format(full_check=True)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no sparse matrix: {error}. Is it another file?") from None
    return matrix
