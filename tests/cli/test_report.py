"""`reprise report`, `show PAPER`, `list papers`, `check --papers`, `card`, as a user types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.conftest import ROOT

from reprise.cli.main import main
from reprise.config.compose import group_choices
from reprise.reproduction.markdown import BEGIN, END

RUN = next((ROOT / "outputs" / "reproduction" / "wavegrad").rglob("run.json")).parent


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(RUN, tmp_path / "runs" / RUN.name)
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "run.json").write_text("{", encoding="utf-8")
    return tmp_path


def test_three_files_are_written_and_the_same_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--root", str(root), "--paper", "wavegrad,ddpm"]) == 0
    out = capsys.readouterr().out
    assert "2 records; 2 papers: 1 scaled" in out and "not read: runs/broken/run.json" in out
    files = [root / name for name in ("index.html", "REPORT.md", "report.json")]
    before = [(f.read_bytes(), f.stat().st_mtime_ns) for f in files]
    data = json.loads(files[2].read_text(encoding="utf-8"))
    assert [p["paper"]["name"] for p in data["papers"]] == ["wavegrad", "ddpm"]
    assert next(iter(data["runs"].values()))["directory"] == f"runs/{RUN.name}"
    assert main(["report", "--root", str(root), "--paper", "wavegrad,ddpm"]) == 0
    assert [(f.read_bytes(), f.stat().st_mtime_ns) for f in files] == before  # left alone


def test_another_folder_and_no_media(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere"
    assert main(["report", "--root", str(root), "--out", str(out), "--paper", "wavegrad", "--media", "none"]) == 0
    assert "data:audio" not in (out / "index.html").read_text(encoding="utf-8")
    assert not (root / "index.html").exists()


def test_a_readme_is_written_and_its_drift_found(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = root / "README.md"
    readme.write_text(f"# Mine\n\n{BEGIN}\n{END}\n", encoding="utf-8")
    words = ["report", "--root", str(root), "--paper", "wavegrad", "--readme", str(readme)]
    assert main([*words, "--check"]) == 1
    assert "Run `make report`" in capsys.readouterr().err
    assert not (root / "index.html").exists()
    assert main(words) == 0
    assert main([*words, "--check"]) == 0
    readme.write_text(readme.read_text(encoding="utf-8").replace("193.9", "106.0"), encoding="utf-8")
    assert main([*words, "--check"]) == 1


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["report", "--root", "/nowhere"], 1, "/nowhere is no folder"),
        (["report", "--rot", "x"], 2, "Did you mean '--root'"),
        (["report", "rot=x"], 2, "there is no setting 'rot'"),
        (["report", "--paper", "wavegrd"], 2, "Did you mean 'wavegrad'"),
        (["report", "--media", "all"], 2, "media is 'all'"),
        (["report", "root=null"], 2, "root is null"),
        (["check", "--paper"], 2, "Did you mean '--papers'"),
        (["report", "--check"], 2, "--check lacks --readme FILE"),
        (["report", "--readme", "nothing.md"], 1, "nothing.md"),
        (["report", "--wandb", "nowhere"], 2, "Expected ENTITY/PROJECT"),
        (["show", "wavegrad", "--root", "/nowhere"], 1, "/nowhere is no folder"),
        (["show", "wavegrd"], 2, "wavegrad"),
        (["show", "--root"], 2, "--root lacks its value"),
        (["card"], 2, "RUN_DIR is missing"),
        (["card", "/nowhere"], 1, "is no run directory"),
    ],
)
def test_mistakes_are_one_paragraph(
    words: list[str], code: int, message: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--root", str(root), "--out", str(root)] if words[0] == "report" and "root" not in " ".join(words) else []
    assert main([*words, *more]) == code
    assert message in capsys.readouterr().err


def test_show_judges_by_the_root_given(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "wavegrad", "--root", str(root)]) == 0
    assert "scaled: ours 0.23 (n = 1)" in capsys.readouterr().out
    assert main(["show", "wavegrad", "--root", str(root / "runs" / "broken")]) == 0
    assert "scaled" not in capsys.readouterr().out


def test_every_paper_is_listed_checked_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    names = group_choices("paper")
    assert len(names) >= 9
    assert main(["list", "papers"]) == 0
    listed = capsys.readouterr().out
    assert main(["check", "--papers"]) == 0
    assert f"{len(names)} of {len(names)} papers are right" in capsys.readouterr().out
    for name in names:
        assert f"  {name} " in listed
        assert main(["show", name]) == 0
        assert "Claims" in capsys.readouterr().out


def test_a_card_of_a_run(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = root / "runs" / RUN.name
    assert main(["card", str(directory)]) == 0
    assert capsys.readouterr().out.strip() == str(directory / "README.md")
    text = (directory / "README.md").read_text(encoding="utf-8")
    # this one was measured on three clips: said, and kept out of what model hubs read
    assert "Measured on 3 examples, " in text and "data.limit_test=3" in text and "model-index" not in text
