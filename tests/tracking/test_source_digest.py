"""A digest of source sees every change of code, and nothing of its dress."""

from __future__ import annotations

from pathlib import Path

import pytest

from reprise.tracking import provenance

PLAIN = """
@d(1)
def f(x, y=(1, 'a')):
    return f'{x!r:>{y}} + {{}}' + g(x, y)
"""
DRESSED = '''
"""Module."""
# why


@d(1)
def f(x,  y = (1, "a",)):  # what

        """Does it.

        Twice.
        """
        return (f"{x!r:>{y}} + {{}}"
            + g(
                x,
                y,
            ))
'''


@pytest.fixture
def digest(tmp_path: Path):
    def of(text: str) -> str:
        (tmp_path / "a.py").write_text(text, encoding="utf-8")
        return provenance.source_digest(tmp_path / "a.py")

    return of


def test_comments_docstrings_and_formatting_do_not_count(digest) -> None:
    assert digest(DRESSED) == digest(PLAIN)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("d(1)", "d(2)"),
        ("@d(1)\n", ""),
        ("'a'", "'b'"),
        ("(1, 'a')", "((1, 'a'),)"),
        ("(1, 'a')", "(1.0, 'a')"),
        ("(1, 'a')", "(True, 'a')"),
        ("x, y=", "x, *, y="),
        ("(x, y)", "(y, x)"),
        ("' + g", "' - g"),
        ("!r:>", "!s:>"),
        ("{{}}", "{{ }}"),
        ("return ", ""),
        ("    return", "    pass\n    return"),
        ("g(x, y)\n", "g(x, y)\n'text'\n"),
    ],
)
def test_every_change_of_code_counts(digest, old: str, new: str) -> None:
    assert old in PLAIN
    assert digest(PLAIN.replace(old, new, 1)) != digest(PLAIN)


def test_the_digest_is_the_same_on_every_python(digest) -> None:
    assert digest(PLAIN) == "9507155a22022079"
