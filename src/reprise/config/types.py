"""Compare plain config values with type annotations that were read from source."""

from __future__ import annotations

import ast
from typing import Any

from reprise.config.signatures import Parameter, Unresolvable, locate

_SCALARS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "str": (str,),
    "Path": (str,),
    "PathLike": (str,),
}
_SEQUENCES = {"list", "List", "Sequence", "tuple", "Tuple", "Iterable", "set"}
_MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping"}
_WORDS = {"None": "null"}


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _members(node: ast.expr) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def _flatten(node: ast.expr, module: str, depth: int = 0) -> list[tuple[ast.expr, str]]:
    """Split unions into their alternatives and follow type aliases (`_PRECISION = Union[...]`)."""
    if depth > 12:
        return [(node, module)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return _flatten(ast.parse(node.value, mode="eval").body, module, depth + 1)
        except SyntaxError:
            return [(node, module)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _flatten(node.left, module, depth + 1) + _flatten(node.right, module, depth + 1)
    if isinstance(node, ast.Subscript):
        if _name(node.value) == "Union":
            return [x for m in _members(node.slice) for x in _flatten(m, module, depth + 1)]
        if _name(node.value) == "Optional":
            return [*_flatten(node.slice, module, depth + 1), (ast.Constant(None), module)]
        if _name(node.value) in ("Annotated", "Final"):
            return _flatten(_members(node.slice)[0], module, depth + 1)
        return [(node, module)]
    if isinstance(node, ast.Name) and node.id not in {*_SCALARS, *_SEQUENCES, *_MAPPINGS, "Any", "None"}:
        try:
            where, definition = locate(module, node.id)
        except (Unresolvable, SyntaxError):
            return [(node, module)]
        if isinstance(definition, ast.Assign):
            return _flatten(definition.value, where, depth + 1)
    return [(node, module)]


def _accepts_one(value: Any, node: ast.expr, module: str) -> bool | None:
    """True or False where this alternative can be judged, None where it cannot (a class, a callable, a TypeVar)."""
    if isinstance(node, ast.Constant) and node.value is None:
        return value is None
    if isinstance(node, ast.Subscript):
        head = _name(node.value)
        if head == "Literal":
            return any(
                isinstance(m, ast.Constant) and m.value == value and type(m.value) is type(value)
                for m in _members(node.slice)
            )
        if head in _SEQUENCES:
            if not isinstance(value, list):
                return False
            inner = [m for m in _members(node.slice) if not (isinstance(m, ast.Constant) and m.value is ...)]
            if head in ("tuple", "Tuple") and len(inner) == len(_members(node.slice)) > 1:
                return len(value) == len(inner) and all(
                    accepts(v, i, module) for v, i in zip(value, inner, strict=True)
                )
            return all(accepts(v, inner[0], module) for v in value) if inner else True
        if head in _MAPPINGS:
            if not isinstance(value, dict):
                return False
            inner = _members(node.slice)
            return all(accepts(v, inner[1], module) for v in value.values()) if len(inner) == 2 else True
        return False if head == "Callable" and not isinstance(value, (dict, list)) else None
    name = _name(node)
    if name in _SCALARS:
        if isinstance(value, bool) and name != "bool":
            return False
        return isinstance(value, _SCALARS[name])
    if name in _SEQUENCES:
        return isinstance(value, list)
    if name in _MAPPINGS:
        return isinstance(value, dict)
    return None if isinstance(value, (dict, list)) or not _is_class(node, module) else False


def _is_class(node: ast.expr, module: str) -> bool:
    """Whether an annotation names a class whose objects no plain scalar can stand for (enumerations excepted)."""
    if _name(node) == "Callable":
        return True
    if not isinstance(node, ast.Name):
        return False
    try:
        _, definition = locate(module, node.id)
    except (Unresolvable, SyntaxError):
        return False
    return isinstance(definition, ast.ClassDef) and not any("Enum" in ast.unparse(b) for b in definition.bases)


def accepts(value: Any, annotation: ast.expr | None, module: str) -> bool:
    """Whether a plain value (scalar, list, dict, None) can be passed where `annotation` stands.

    Dicts with a `_target_` are objects to be built, and annotations that name classes cannot be judged statically;
    both are accepted. A bare scalar where only classes are annotated is refused.
    """
    if annotation is None or (isinstance(value, dict) and "_target_" in value):
        return True
    verdicts = [_accepts_one(value, node, where) for node, where in _flatten(annotation, module)]
    return any(v is True or v is None for v in verdicts)


def describe(parameter: Parameter) -> str:
    """Say in words which values a parameter takes, e.g. `int or null` or `one of 'min', 'max'`."""
    if parameter.annotation is None:
        return "any value"
    words: list[str] = []
    for node, _ in _flatten(parameter.annotation, parameter.module):
        if isinstance(node, ast.Subscript) and _name(node.value) == "Literal":
            words.append("one of " + ", ".join(ast.unparse(m) for m in _members(node.slice)))
        else:
            words.append(_WORDS.get(text := ast.unparse(node), text))
    return " or ".join(dict.fromkeys(words))
