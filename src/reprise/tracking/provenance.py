"""Where a result came from: commit, source files, packages, hardware."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from reprise import __version__
from reprise.config.paths import PACKAGE, checkout
from reprise.tracking.files import write_json

PATCH = "code.patch"
SHIPPED = "code.json"
_NAME = r"[\w.-]*(?:api[_-]?key|token|secret|passw(?:or)?d|authorization)[\w.-]*"
_ASSIGNED = re.compile(rf"(?i)({_NAME}[\"']?\s*[=:]\s*[\"']?(?:bearer\s+)?)([^\s\"',]+)")
_URL = re.compile(r"(\w://[^:/@\s]*:)([^/\s]+)(@)")
_OPTION = re.compile(rf"(?i)(--{_NAME}\s+)(\S+)")


def redact(text: str, code: bool = False) -> str:
    """Replace what looks like a secret by stars: api_key=..., "token": "...", --token ..., Bearer ..., user:...@host.

    Args:
        text: a command line, an error message, a patch.
        code: it is source code, where `token: Tensor` is harmless; only quoted or long values are replaced.
    """

    def stars(match: re.Match[str]) -> str:
        quoted = match.group(1).rstrip()[-1:] in "\"'"
        return match.group(0) if code and not quoted and len(match.group(2)) < 16 else match.group(1) + "***"

    text = _URL.sub(r"\1***\3", _ASSIGNED.sub(stars, text))
    return text if code else _OPTION.sub(r"\1***", text)


def _git(*arguments: str) -> str | None:
    top = checkout()
    if top is None:
        return None
    try:
        done = subprocess.run(["git", "-C", str(top), *arguments], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def code_state(directory: Path | None) -> dict[str, Any]:
    """Commit and dirtiness of the checkout; a dirty tree's patch goes to `directory`/code.patch.

    Outside a checkout only the package version is known. A copy that `ship_code_state` was called for knows what its
    original knew.
    """
    top = checkout()
    if top is not None and (top / SHIPPED).is_file():
        shipped: dict[str, Any] = json.loads((top / SHIPPED).read_text(encoding="utf-8"))
        if directory is not None and (top / PATCH).is_file():
            (directory / PATCH).write_bytes((top / PATCH).read_bytes())
        return shipped
    commit = _git("rev-parse", "HEAD")
    state: dict[str, Any] = {"version": __version__, "commit": commit.strip() if commit else None, "dirty": None}
    if commit is None:
        return state
    patch = _git("diff", "HEAD", "--", "src", "conf", "train.py") or ""
    untracked = (_git("ls-files", "--others", "--exclude-standard", "--", "src", "conf") or "").split()
    state |= {"dirty": bool(patch or untracked), "untracked": untracked}
    if patch and directory is not None:
        patch = redact(patch, code=True)
        (directory / PATCH).write_text(patch, encoding="utf-8")
        state["patch_sha256"] = hashlib.sha256(patch.encode()).hexdigest()
    return state


def ship_code_state(folder: Path) -> None:
    """Leave the state of this code in a copy of it that goes to another machine without its history."""
    write_json(folder / SHIPPED, code_state(folder))


def source_digest(path: Path) -> str:
    """Digest of what a Python file says: without comments, docstrings and formatting.

    It is taken over the syntax tree, written down by ourselves: what `ast.dump` prints, and how f-strings are cut into
    tokens, differs between versions of Python. A file that is no Python, as in the middle of an edit, counts as it is.
    """
    text = path.read_text(encoding="utf-8")
    parts: list[str] = []
    try:
        _write_down(ast.parse(text), parts)
    except (SyntaxError, ValueError):
        parts = [text]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


# Fields that say nothing, or that some versions of Python have and others have not.
_SILENT = {"ctx", "kind", "type_comment", "type_ignores"}


def _write_down(node: Any, parts: list[str]) -> None:
    """Append a syntax tree to a list of words; empty fields are left out."""
    if isinstance(node, ast.AST):
        parts.append(type(node).__name__)
        body = getattr(node, "body", None)
        documented = _may_document(node) and _is_text(body)
        for name, value in ast.iter_fields(node):
            if isinstance(node, ast.JoinedStr):
                value = _joined(value)
            if name in _SILENT or value is None or value == []:
                continue
            parts.append(name)
            _write_down(value[1:] if name == "body" and documented else value, parts)
        parts.append(")")
    elif isinstance(node, list):
        for item in node:
            _write_down(item, parts)
    else:
        parts.append(f"{type(node).__name__} {node!a}")  # what `repr` escapes differs between versions too


def _joined(pieces: list[ast.expr]) -> list[ast.expr]:
    """Pieces of an f-string with neighbouring texts made one; where it is cut differs between versions of Python."""
    found: list[ast.expr] = []
    for piece in pieces:
        last = found[-1] if found else None
        if not isinstance(piece, ast.Constant):
            found.append(piece)
        elif isinstance(last, ast.Constant):
            found[-1] = ast.Constant(str(last.value) + str(piece.value))
        elif piece.value != "":
            found.append(piece)
    return found


def _may_document(node: ast.AST) -> bool:
    return isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))


def _is_text(body: Any) -> bool:
    """Whether a body begins with a docstring."""
    first = body[0] if isinstance(body, list) and body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


_WITHOUT_INFLUENCE = ("reprise.cli", "reprise.launch", "reprise.reproduction", "reprise.samples")


def source_digests() -> dict[str, str]:
    """Digest of every reprise module imported so far, the files a result depends on.

    The command line, the launchers, the reports and what draws samples are none of them.
    """
    found = {}
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.startswith("reprise.") and not name.startswith(_WITHOUT_INFLUENCE) and file:
            path = Path(file)
            if path.suffix == ".py" and path.is_relative_to(PACKAGE):
                found[name] = source_digest(path)
    return found


def changed_sources(code: dict[str, Any]) -> list[str]:
    """Name the modules a record depends on whose source is no longer what it was.

    Args:
        code: the record's `code`.
    """
    return [name for name, digest in code.get("sources", {}).items() if _digest_now(name) != digest]


def _digest_now(module: str) -> str | None:
    """Digest of a module of this package as it is; None where there is none of this name."""
    package, *parts = module.split(".")
    if package != "reprise" or not all(part.isidentifier() for part in parts):
        return None
    stem = PACKAGE.joinpath(*parts)
    try:
        file = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
        return _cached_digest(file, file.stat().st_mtime_ns)
    except OSError:
        return None


@functools.lru_cache(maxsize=1024)
def _cached_digest(path: Path, changed_at: int) -> str:
    return source_digest(path)


def package_digest() -> str:
    """Digest of every Python file of the installed package, to compare processes of one run."""
    found = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        found.update(str(path.relative_to(PACKAGE)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def packages() -> dict[str, str]:
    """Installed distributions and their versions."""
    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions() if d.metadata["Name"]}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def hardware() -> dict[str, Any]:
    """Processor, memory and GPUs of this machine."""
    import torch

    try:
        memory: int | None = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        memory = None
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"cpu": _cpu_name(), "cores": os.cpu_count(), "memory_bytes": memory, "gpus": gpus}


def environment() -> dict[str, Any]:
    """Python, platform, packages and hardware."""
    import torch

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages(),
        "hardware": hardware(),
        "torch_cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
    }
