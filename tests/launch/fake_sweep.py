"""`python train.py -m ...` whose points run fake_point.py instead of train.py."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import reprise.launch.local
import reprise.launch.report
from reprise.cli.main import main
from reprise.launch.plan import Planner
from reprise.launch.point import Point

_plan = Planner.plan


def plan(self: Planner, index: int, overrides: Sequence[str], params: dict[str, str]) -> Point:
    point = _plan(self, index, overrides, params)
    point.environment["FAKE_DIGEST"] = point.digest
    return point


if __name__ == "__main__":
    Planner.plan = plan  # type: ignore[method-assign]
    if "FAKE_PAGE" not in os.environ:  # drawing takes longer than everything else
        reprise.launch.report.write_page = lambda results, directory: directory / "none"
    fake = str(Path(__file__).with_name("fake_point.py"))
    reprise.launch.local.program = lambda: [sys.executable, fake]  # type: ignore[attr-defined]
    sys.exit(main(["train", "-m", *sys.argv[1:]]))
