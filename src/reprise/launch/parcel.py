"""A run directory on its way between machines: the files that are new, as one archive."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

# What names other files comes last, so that a run directory never names a file that is not there yet.
_LAST = ("index.json", "run.json")
_SKIPPED = (".lock",)
Listing = dict[str, tuple[int, int]]  # relative path -> size, time of change in ns


def pack(directory: Path, sent: Listing) -> tuple[bytes | None, Listing]:
    """Pack the files of a run directory that are not as they were when last sent.

    Args:
        directory: of the run.
        sent: what was sent before.

    Returns:
        the archive, None when nothing is new; and the files there are now.
    """
    listing = _list(directory)
    new = sorted((n for n in listing if sent.get(n) != listing[n]), key=lambda n: (Path(n).name in _LAST, n))
    if not new:
        return None, listing
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in new:
            try:
                archive.add(directory / name, arcname=name, recursive=False)
            except FileNotFoundError:  # an older checkpoint was deleted meanwhile
                listing.pop(name)
    return buffer.getvalue(), listing


def unpack(parcel: bytes, directory: Path) -> None:
    """Unpack below a run directory, each file in one step, never outside of it.

    Raises:
        tarfile.FilterError: the archive names a place outside of the directory.
        OSError: a file cannot be written.
    """
    with tarfile.open(fileobj=io.BytesIO(parcel)) as archive:
        for member in archive:
            safe = tarfile.data_filter(member, str(directory))
            target = directory / safe.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if safe.issym():
                scratch = target.with_name(f".{target.name}.link")
                scratch.unlink(missing_ok=True)
                scratch.symlink_to(safe.linkname)
                os.replace(scratch, target)
            elif safe.isreg():
                source = archive.extractfile(member)
                assert source is not None
                scratch = target.with_name(f".{target.name}.part")
                scratch.write_bytes(source.read())
                os.replace(scratch, target)


def _list(directory: Path) -> Listing:
    found: Listing = {}
    for path in directory.rglob("*"):
        name = path.name
        if name in _SKIPPED or name.startswith(".shared-") or name.endswith((".tmp", ".part")):
            continue
        try:
            state = path.lstat()
        except FileNotFoundError:
            continue
        if path.is_symlink() and Path(os.readlink(path)).is_absolute():
            continue  # it means nothing elsewhere
        if path.is_symlink() or path.is_file():
            found[str(path.relative_to(directory))] = (state.st_size, state.st_mtime_ns)
    return found
