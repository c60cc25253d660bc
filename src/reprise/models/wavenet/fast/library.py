"""Compiling wavenet.c for this machine, once, and loading it.

The compiled file is kept in a cache folder. Its name is a digest of everything that it depends on: source, compiler,
flags and processor, since it is built for this very processor. Its last 32 bytes are the digest of the others (a loader
reads past the end of no section), so that a truncated or damaged file is known before it is loaded, and built again.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

log = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("wavenet.c")
# a run's record digests the Python that it depends on; by this line it depends on the C too
SOURCE_SHA256 = "b6b71ec25c31a4aad1bb6ff2e29522588a1460c1046c8463116be2ee844feda5"
FLAGS = (("-O3", "-march=native"), ("-O3", "-mcpu=native"), ("-O3",))
_DIGEST = hashlib.sha256().digest_size


def compiler() -> str | None:
    """The C compiler: what CC names, else cc, gcc or clang; None where there is none."""
    names = [os.environ["CC"]] if os.environ.get("CC") else ["cc", "gcc", "clang"]
    return next((found for name in names if (found := shutil.which(name))), None)


def cache_folder() -> Path:
    """Where compiled files are kept: `compiled` in the folder that holds everything Reprise keeps."""
    return Path(os.environ.get("REPRISE_CACHE") or Path.home() / ".cache" / "reprise") / "compiled"


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled step; None where it cannot be had, and the log says why, once."""
    path = compiler()
    if path is None:
        log.warning("There is no C compiler (cc, gcc or clang): WaveNet samples are drawn in torch, more slowly.")
        return None
    try:
        return load(path, cache_folder())
    except OSError as error:
        log.warning("WaveNet's sampling step could not be compiled; it is done in torch, more slowly: %s", error)
        return None


def load(path: str, folder: Path) -> ctypes.CDLL:
    """Load the compiled step, building it where it is missing or damaged.

    Args:
        path: of the compiler.
        folder: of compiled files.

    Raises:
        OSError: it cannot be compiled, written or loaded.
    """
    built = folder / f"wavenet-{_digest(path)}.so"
    if not _whole(built):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            build(path, built)
        except OSError as error:
            if isinstance(error, CompileError):
                raise
            # a home that is read-only: for this process alone
            with tempfile.TemporaryDirectory(prefix="reprise-") as own:
                build(path, Path(own) / built.name)
                return _declared(ctypes.CDLL(str(Path(own) / built.name)))
    return _declared(ctypes.CDLL(str(built)))


class CompileError(OSError):
    """The compiler refuses the source."""


def build(path: str, built: Path) -> None:
    """Compile into a file, which appears whole or not at all.

    Raises:
        CompileError: the compiler refuses the source with every choice of flags.
        OSError: nothing can be written there.
    """
    handle, name = tempfile.mkstemp(prefix=f".{built.name}.", dir=built.parent)
    os.close(handle)
    scratch = Path(name)
    try:
        for flags in FLAGS:
            command = [path, *flags, "-shared", "-fPIC", "-o", name, str(SOURCE), "-lm"]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode == 0:
                break
        else:
            raise CompileError(f"{path}: {done.stderr.strip()[-400:] or 'no message'}")
        code = scratch.read_bytes()
        scratch.write_bytes(code + hashlib.sha256(code).digest())
        os.replace(scratch, built)
    finally:
        scratch.unlink(missing_ok=True)


def _whole(built: Path) -> bool:
    try:
        content = built.read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content[:-_DIGEST]).digest() == content[-_DIGEST:]


def _digest(path: str) -> str:
    """Of what the compiled file depends on."""
    real = Path(path).resolve()
    state = real.stat()
    parts = [SOURCE.read_bytes(), repr((str(real), state.st_size, state.st_mtime_ns, FLAGS)).encode()]
    return hashlib.sha256(b"\0".join([*parts, _processor()])).hexdigest()[:16]


def _processor() -> bytes:
    """What tells one processor from another whose instructions may differ."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        lines = []
    known = (b"flags", b"Features", b"model name", b"CPU part")
    told = sorted({line for line in lines if line.startswith(known)})
    return b"\n".join([" ".join((platform.system(), platform.machine(), platform.processor())).encode(), *told])


def _declared(loaded: ctypes.CDLL) -> ctypes.CDLL:
    whole, pointer = ctypes.c_int64, ctypes.c_void_p
    draw = loaded.reprise_wavenet_draw
    draw.restype = whole
    draw.argtypes = [
        pointer,
        pointer,
        pointer,
        whole,
        pointer,
        whole,
        pointer,
        pointer,
        ctypes.c_double,
        pointer,
        pointer,
    ]
    loaded.reprise_wavenet_unit.restype = None
    loaded.reprise_wavenet_unit.argtypes = [pointer] * 3
    return loaded
