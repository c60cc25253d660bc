"""Read pickles that hold arrays and plain objects, and nothing that could run."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from reprise.config.errors import DataError


def _encode(text: str, encoding: str) -> bytes:
    """Stand in for `_codecs.encode`, by which Python 3 writes bytes in old pickles; always latin1 there."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"the encoding {encoding!r} is not expected")
    return text.encode("latin1")


# what the unpickler raises when bytes are damaged, apart from its own error
_CORRUPT = (ValueError, TypeError, LookupError, AttributeError)
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_FROM_BUFFER = np.empty(0).__reduce_ex__(5)[0]
# numpy.core became numpy._core in NumPy 2; pickles name either
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _RECONSTRUCT for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _FROM_BUFFER for core in ("core", "_core")},
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return what arrays are rebuilt with; anything else could run code of the file's choice."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, and only arrays are admitted") from None


def read_pickle(content: bytes, path: Path) -> Any:
    """Unpickle numbers, text, lists, dicts and NumPy arrays; strings of Python 2 are read as latin1.

    Raises:
        DataError: corrupt, or it holds anything else.
    """
    try:
        return _ArraysOnly(io.BytesIO(content), encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, MemoryError, ArithmeticError, *_CORRUPT) as error:
        raise DataError(f"{path} cannot be unpickled: {error}. Is it truncated, or another file?") from None
