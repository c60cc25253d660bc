"""Labelled phrases of parsed sentences (Socher et al. 2013), one bracketed tree a line."""

from __future__ import annotations

import re

from reprise.config.errors import DataError

_TOKEN = re.compile(r"\(|\)|[^\s()]+")
_BRACKETS = {"-LRB-": "(", "-RRB-": ")"}


def phrases(line: str) -> list[tuple[list[str], int]]:
    """Every phrase of a tree such as `(3 (2 good) (2 film))` with its label, the whole sentence first.

    Raises:
        DataError: brackets do not fit, or a phrase has no label.
    """
    parts = _TOKEN.findall(line)
    found: list[tuple[list[str], int]] = []
    open_phrases: list[list[str]] = []
    i = 0
    while i < len(parts):
        if parts[i] == "(":
            if i + 1 == len(parts) or not parts[i + 1].isdigit():
                raise DataError(f"a phrase without a label stands in the tree {line[:60]!r}. Expected (LABEL WORDS).")
            words: list[str] = []
            found.append((words, int(parts[i + 1])))
            open_phrases.append(words)
            i += 2
            continue
        if not open_phrases:
            raise DataError(f"the tree {line[:60]!r} has a word or a bracket outside of it. Expected one tree a line.")
        if parts[i] == ")":
            open_phrases.pop()
        else:
            for words in open_phrases:
                words.append(_BRACKETS.get(parts[i], parts[i]))
        i += 1
    if open_phrases or not found:
        raise DataError(f"the tree {line[:60]!r} is cut off. Expected as many closing brackets as opening ones.")
    return found
