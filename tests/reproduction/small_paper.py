"""The smallest paper file with a figure and a claim, and files that differ from it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from reprise.reproduction.paper import Paper, Target
from reprise.reproduction.papers import parse_paper

GONE = object()
EXPERIMENT = "wavegrad/base_continuous"
PAPER: dict[str, Any] = {
    "title": "A Model",
    "authors": ["Ada Author"],
    "year": 2020,
    "columns": {
        "bpd": {
            "label": "bits/dim",
            "direction": "lower",
            "dataset": "CIFAR-10",
            "split": "test",
            "public": True,
            "sure": "paper",
            "source": "seen",
            "measure": "test/bpd",
            "version": 1,
            "pending": "no model of it yet",
            "tolerance": {"value": 0.02, "reason": "printed so"},
        }
    },
    "tables": {
        "main": {
            "title": "Likelihood",
            "printed": "Table 1",
            "columns": ["bpd"],
            "rows": {"ours": {"label": "Ours", "values": {"bpd": 3.14}}},
        }
    },
    "claims": {
        "wider": {
            "text": "Wider is better.",
            "kind": "ordering",
            "measure": "test/bpd",
            "sure": "paper",
            "source": "seen",
            "pending": "no model of it yet",
            "terms": [{"label": "narrow"}, {"label": "wide"}],
        }
    },
}
COLUMN, MAIN, ROW, CELL, CLAIM = (
    "columns.bpd",
    "tables.main",
    "tables.main.rows.ours",
    "tables.main.rows.ours.values.bpd",
    "claims.wider",
)


def write(folder: Path, changes: dict[str, Any]) -> Path:
    """A paper file that differs from PAPER at dotted places."""
    content = copy.deepcopy(PAPER)
    for place, value in changes.items():
        *parents, last = place.split(".")
        inside: Any = content
        for parent in parents:
            inside = inside.setdefault(parent, {})
        if value is GONE:
            del inside[last]
        else:
            inside[last] = value
    file = folder / "a_model.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return file


def paper(folder: Path, changes: dict[str, Any]) -> Paper:
    return parse_paper(write(folder, changes))


def target(folder: Path, changes: dict[str, Any]) -> Target:
    return paper(folder, changes).targets[0]
