"""`python -m benchmarks` finds its parts by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.__main__ import main, parts


def test_parts_are_the_modules_with_a_run_function(tmp_path: Path) -> None:
    assert {"wavegrad", "loop", "start", "rtf", "sweep", "ledger", "report"} <= set(parts())
    assert not {"timing", "trivial_point", "__main__", "__init__"} & set(parts())
    assert not [name for name in parts() if name.startswith("bench")]  # `python -m benchmarks` says that already
    (tmp_path / "new.py").write_text("def run() -> None:\n    print('ran')\n")
    (tmp_path / "helpers.py").write_text(
        "raise RuntimeError\n\ndef walk() -> None: ...\n\nclass A:\n    def run(self): ...\n"
    )
    assert parts(tmp_path) == {"new": ""}


def test_an_unknown_part_is_answered_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nosuch"]) == 2
    assert capsys.readouterr().err.strip() == f"no benchmark is called nosuch; there are {', '.join(parts())}"


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_says_what_each_part_measures_and_runs_none(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["loop", word]) == 0
    said = capsys.readouterr().out
    assert said.startswith("usage: python -m benchmarks [NAME ...]\n")
    listed = [line for line in said.splitlines() if line.startswith("  ")]
    assert [line.split()[0] for line in listed] == list(parts())
    assert all(len(line.split()) > 3 for line in listed)  # each with its words
    assert any("Causal Controller" in line for line in listed)


@pytest.mark.slow
def test_an_epoch_of_graph_attention_takes_less_than_that_of_pytorch_geometric() -> None:
    pytest.importorskip("torch_geometric")
    from benchmarks.gat import compare

    seconds = compare(rounds=2)
    assert seconds["reprise"] < seconds["PyTorch Geometric"]
