"""Read the signature of a `_target_` from source, without importing it.

Importing torch and lightning takes seconds, and a typo deserves an answer before that. Sources are parsed with
`ast`; re-exports (`from .trainer import Trainer`), aliases and inherited `__init__` are followed. Nothing is executed.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


class Unresolvable(Exception):
    """The dotted name does not lead to a class or function in readable source."""


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        name: its name.
        annotation: an expression to be read in `module`, or None where there is none.
        required: it has no default.
        module: where it is defined.
        default: the expression of its default; None where there is none, or where it is not read.
        keyword_only: it stands behind a `*`.
    """

    name: str
    annotation: ast.expr | None
    required: bool
    module: str
    default: ast.expr | None = None
    keyword_only: bool = False


@dataclass(frozen=True)
class Signature:
    """What a class or function accepts.

    Attributes:
        target: dotted name of the definition that was found, after following re-exports.
        parameters: by name, `self` left out.
        open: it takes **kwargs, so names cannot be checked.
        is_class: it is a class, not a function.
        doc: its docstring, "" without one.
    """

    target: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    open: bool = False
    is_class: bool = True
    doc: str = ""


@functools.cache
def _package_dir(top: str) -> Path | None:
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


@functools.cache
def module_file(module: str) -> Path | None:
    """Return the source file of a dotted module name without importing it, or None."""
    top, *rest = module.split(".")
    base = _package_dir(top)
    if base is None:
        return None
    path = base.joinpath(*rest)
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


@functools.cache
def _definitions(module: str) -> dict[str, ast.stmt]:
    """Map the names bound at the top level of a module (also inside if/try) to the binding statement."""
    path = module_file(module)
    if path is None:
        raise Unresolvable(module)
    found: dict[str, ast.stmt] = {}

    def visit(body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                found[node.name] = node
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                for alias in node.names:
                    found[alias.asname or alias.name.split(".")[0]] = node
            elif isinstance(node, ast.Assign):
                for name in node.targets:
                    if isinstance(name, ast.Name):
                        found[name.id] = node
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found[node.target.id] = node
            elif isinstance(node, ast.If):
                visit(node.body)
                visit(node.orelse)
            elif isinstance(node, ast.Try):
                visit(node.body)
                for handler in node.handlers:
                    visit(handler.body)
                visit(node.orelse)

    visit(ast.parse(path.read_text(encoding="utf-8")).body)
    return found


def _absolute(module: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    path = module_file(module)
    parts = module.split(".")
    keep = len(parts) - node.level + (1 if path is not None and path.name == "__init__.py" else 0)
    return ".".join(parts[:keep] + ([node.module] if node.module else []))


def locate(module: str, name: str, depth: int = 0) -> tuple[str, ast.stmt]:
    """Find where `name` of `module` is really defined: the module and the class, function or assignment there."""
    if depth > 20:
        raise Unresolvable(f"{module}.{name}")
    node = _definitions(module).get(name)
    if isinstance(node, ast.ImportFrom):
        source = _absolute(module, node)
        original = next((a.name for a in node.names if (a.asname or a.name) == name), name)
        return locate(source, original, depth + 1)
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
        return locate(module, node.value.id, depth + 1)
    if node is None:
        for source in _star_imports(module):
            try:
                return locate(source, name, depth + 1)
            except Unresolvable:
                continue
    if node is None or isinstance(node, ast.Import):
        raise Unresolvable(f"{module}.{name}")
    return module, node


def _star_imports(module: str) -> list[str]:
    """Modules that `module` imports everything of."""
    star = _definitions(module).get("*")
    return [_absolute(module, star)] if isinstance(star, ast.ImportFrom) else []


def _resolve(target: str) -> tuple[str, ast.stmt]:
    parts = target.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:cut])
        if module_file(module) is None:
            continue
        where, node = locate(module, parts[cut])
        for attribute in parts[cut + 1 :]:
            where, node = _method(where, node, attribute)
        return where, node
    raise Unresolvable(target)


def _method(module: str, node: ast.stmt, name: str, depth: int = 0) -> tuple[str, ast.FunctionDef]:
    """Find a method in a class, or in the first of its bases that has it."""
    if not isinstance(node, ast.ClassDef) or depth > 10:
        raise Unresolvable(f"{module}.{name}")
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and member.name == name:
            return module, member
    for where, base in _bases(module, node):
        try:
            return _method(where, base, name, depth + 1)
        except Unresolvable:
            continue
    raise Unresolvable(f"{module}.{name}")


def _bases(module: str, node: ast.ClassDef) -> Iterator[tuple[str, ast.stmt]]:
    """The bases of a class whose source can be read, each with the module it is defined in."""
    for base in node.bases:
        name = base.value if isinstance(base, ast.Subscript) else base
        try:
            yield (
                locate(module, name.id) if isinstance(name, ast.Name) else _resolve(_expand(module, ast.unparse(name)))
            )
        except Unresolvable:
            continue


def _from_arguments(arguments: ast.arguments, module: str, skip_first: bool) -> tuple[dict[str, Parameter], bool]:
    found: dict[str, Parameter] = {}
    positional = [*arguments.posonlyargs, *arguments.args]
    first_default = len(positional) - len(arguments.defaults)
    for i, arg in enumerate(positional):
        if i == 0 and skip_first:
            continue
        at = i - first_default
        default = arguments.defaults[at] if at >= 0 else None
        found[arg.arg] = Parameter(arg.arg, arg.annotation, default is None, module, default)
    for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found[arg.arg] = Parameter(arg.arg, arg.annotation, default is None, module, default, keyword_only=True)
    return found, arguments.kwarg is not None


def _is_dataclass(node: ast.ClassDef) -> bool:
    names = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any((isinstance(n, ast.Name) and n.id == "dataclass") for n in names) or any(
        isinstance(n, ast.Attribute) and n.attr == "dataclass" for n in names
    )


def _class_signature(module: str, node: ast.ClassDef, depth: int = 0) -> tuple[dict[str, Parameter], bool]:
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and member.name == "__init__":
            return _from_arguments(member.args, module, skip_first=True)
    inherited: dict[str, Parameter] = {}
    for where, definition in _bases(module, node):
        if isinstance(definition, ast.ClassDef) and depth < 10:
            parameters, is_open = _class_signature(where, definition, depth + 1)
            if not _is_dataclass(node):
                return parameters, is_open
            inherited |= parameters
    if _is_dataclass(node):
        for member in node.body:
            if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
                name_ = member.target.id
                inherited[name_] = Parameter(name_, member.annotation, member.value is None, module)
    return inherited, False


def _expand(module: str, dotted: str) -> str:
    """Turn `pl.LightningModule` into its full name by the imports of `module`."""
    head, _, tail = dotted.partition(".")
    node = _definitions(module).get(head)
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname == head:
                return f"{alias.name}.{tail}"
    if isinstance(node, ast.ImportFrom):
        original = next((a.name for a in node.names if (a.asname or a.name) == head), head)
        return f"{_absolute(module, node)}.{original}.{tail}"
    return dotted


@functools.cache
def signature(target: str) -> Signature:
    """Read what `target` (dotted name of a class or function) accepts.

    Raises:
        Unresolvable: no such class or function in readable source.
    """
    module, node = _resolve(target)
    if isinstance(node, ast.ClassDef):
        parameters, is_open = _class_signature(module, node)
    elif isinstance(node, ast.FunctionDef):
        is_method = "." in target.removeprefix(module + ".")
        static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
        parameters, is_open = _from_arguments(node.args, module, skip_first=is_method and not static)
    else:
        raise Unresolvable(target)
    doc = ast.get_docstring(node) or ""
    return Signature(f"{module}.{node.name}", parameters, is_open, isinstance(node, ast.ClassDef), doc)


def public_names(module: str) -> list[str]:
    """Names a module offers, for suggestions; empty when it cannot be read."""
    try:
        return [n for n in _definitions(module) if not n.startswith("_")]
    except (Unresolvable, SyntaxError):
        return []
