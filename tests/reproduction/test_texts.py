"""What is printed: the terminal, Markdown, the README's table, model cards."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from reprise.config.errors import RunError
from reprise.reproduction.assess import assess
from reprise.reproduction.card import render_card, write_card
from reprise.reproduction.evidence import Evidence
from reprise.reproduction.markdown import (
    BEGIN,
    END,
    cell,
    paper_markdown,
    readme_block,
    render_markdown,
    with_block,
)
from reprise.reproduction.papers import read_paper
from reprise.reproduction.publish import to_json
from reprise.reproduction.standing import ClaimStanding, Ours, Report, TermStanding
from reprise.reproduction.terminal import counts_line, print_paper
from reprise.tracking.record import RunRecord
from tests.reproduction.records import BASE, HandMade, entry

HOSTILE = "<script>alert(1)</script> | `x` \\ [a](javascript:b)\n## head"


def standing(*entries):
    paper = read_paper("wavegrad")
    ledger = HandMade().add(*entries)
    return assess([paper], Evidence(ledger, [paper]))[0]


def report(*entries):
    return Report("outputs", "0.1.0", (standing(*entries),), len(entries), (("a.json", HOSTILE),))


def runs(values, changes=("data.batch_size=8",)):
    names = ("manual6", "linear50")
    return [
        entry(
            seed=s, metrics={f"test/{n}/{m}": v for n in names for m in ("ls_mse", "rtf")}, changes=changes, version=1
        )
        for s, v in enumerate(values)
    ]


def test_a_paper_is_printed_as_it_prints_its_tables(capsys):
    print_paper(standing(*runs((200.0, 210.0, 220.0))))
    out = capsys.readouterr().out
    lines = out.splitlines()
    row = next(line for line in lines if "6" in line and "Manual" in line)
    assert "217ᵐ" in row and "3.38 dBᵐ" in row and "2.8%ᵐ" in row and "4.41 ± 0.04ᵐ" in row and "not testable" in row
    flat = " ".join(out.split())
    assert "stand-in wavegrad/ljspeech_base_continuous, scaled: LS-MSE 210.0 ± 24.8 (n = 3)" in flat
    assert "scaled: ours 210.00 ± 24.84 (n = 3)" in flat
    assert "continuous level, one model for all" in out and "ᵐ recalled, not seen" in out


def test_a_diverged_seed_is_said(capsys):
    print_paper(standing(*runs((200.0, math.nan))))
    assert "1 of 2 diverged" in capsys.readouterr().out


def test_counts_name_what_can_be_run():
    assert counts_line(standing()) == ("52 targets (1 runnable, 16 quoted): 1 missing, 51 not testable; 6 claims")


def test_markdown_cannot_be_broken_out_of():
    assert cell(HOSTILE) == ("&lt;script&gt;alert(1)&lt;/script&gt; \\| \\`x\\` \\\\ \\[a\\](javascript:b) ## head")
    text = render_markdown(report(*runs((200.0, 210.0, 220.0))))
    assert "<script>" not in text
    for table in text.split("\n\n"):
        if table.startswith("| "):
            unescaped = [line.replace("\\|", "") for line in table.splitlines()]
            assert len({line.count("|") for line in unescaped}) == 1
    assert "data.batch_size: 256 → 8" in text


def test_rows_of_one_name_are_told_apart_by_their_group():
    text = render_markdown(report())
    assert "| discrete index, one model for each schedule | Base | 25 | Fibonacci | LS-MSE | 283 (recalled) |" in text
    assert "| continuous level, one model for all | Base | 25 | Fibonacci | LS-MSE | 185 (recalled) |" in text
    assert "| WaveGrad | 6 | LS-MSE | none |" in text  # no paper prints it, so it has no source either
    block = readme_block(report(*runs((200.0, 210.0, 220.0))))
    assert "Table 2: continuous level, one model for all, Base (6, Manual)" in block


def test_reproduced_figures_that_nobody_printed_are_told_apart():
    before = standing()
    kinds = dict(zip(before.targets, ("derived", "derived", "paper"), strict=False))
    reproduced = {
        place: replace(s, kind="reproduced", target=replace(s.target, sure=kinds[place])) if place in kinds else s
        for place, s in before.targets.items()
    }
    found = Report("outputs", "0.1.0", (replace(before, targets=reproduced),), 0)
    assert (found.counts["reproduced"], found.derived, report().derived) == (3, 2, 0)
    said = "Of the reproduced figures 2 are derived ones, which were computed and not printed."
    assert said in render_markdown(found) and "derived ones, which" not in render_markdown(report())


def test_a_claim_shows_what_was_measured_of_its_terms():
    before = standing()
    claim = next(c.claim for c in before.claims if c.claim.id == "more_iterations")
    terms = tuple(TermStanding(t, Ours((), 10.0 * i, None, None)) for i, t in enumerate(claim.terms))
    held = ClaimStanding(claim, "holds", "shown", terms, 3, 0.01, 0.02)
    text = paper_markdown(replace(before, claims=(held,)))
    measured = "6 iterations 0; 25 iterations 10; 50 iterations 20; 1000 iterations 30"
    assert f"| holds | {measured} | 3 | 0.02 | shown |" in text


def test_the_readme_holds_what_runs_bear_on_and_nothing_else():
    block = readme_block(report(*runs((200.0, 210.0, 220.0))))
    assert "not testable; stand-in scaled (1 deviation)" in block
    assert "WaveRNN" not in block  # no run bears on it
    text = with_block(f"# Title\n\n{BEGIN}\nold\n{END}\nrest\n", block, "README.md")
    assert text == f"# Title\n\n{BEGIN}\n\n{block}\n\n{END}\nrest\n"
    assert with_block(text, block, "README.md") == text
    with pytest.raises(RunError, match="no place for the table"):
        with_block("# Title\n", block, "README.md")


def test_the_report_as_data_lists_each_run_once_and_holds_no_nan():
    data = to_json(report(*runs((200.0, math.nan, 220.0))))
    text = json.dumps(data, allow_nan=False)
    assert json.loads(text) == data and len(data["runs"]) == 3
    target = data["papers"][0]["targets"]["wavegrad/table2/continuous_6/ls_mse"]
    assert target["kind"] == "not testable" and target["target"]["value"] == 217
    assert target["standin"]["ours"]["mean"] == "nan"
    assert set(target["standin"]["runs"]) == set(data["runs"])
    assert data["counts"]["scaled"] == 1 and data["counts"]["not testable"] == 51


def record(**changes) -> RunRecord:
    fields = {
        "id": "x",
        "name": BASE,
        "experiment": BASE,
        "seed": 3,
        "command": f"train.py {HOSTILE}",
        "config": {"data": {"_target_": "reprise.data.audio.speech.LJSpeech"}, "tags": ["table2"]},
        "config_digest": "d" * 64,
        "state": "finished",
        "iteration": 10,
        "deviations": [{"key": "data.batch_size", "protocol": 256, "run": HOSTILE}],
        "evaluations": [
            {"time": "2", "metrics": {"test/a/ls_mse": {"value": 1.5, "version": 1}, "test/b": {"value": math.inf}}},
            {"time": "1", "metrics": {"test/a/ls_mse": {"value": 9.0, "version": 1}}},
        ],
    }
    return RunRecord(**fields | changes)


def test_a_card_holds_metadata_that_model_hubs_read(tmp_path: Path):
    hub = pytest.importorskip("huggingface_hub")
    path = write_card(tmp_path, record(), read_paper("wavegrad"))
    found = hub.ModelCard.load(path).data
    assert found.library_name == "pytorch" and found.tags == ["reprise", "wavegrad", "table2"]
    (result,) = found.eval_results  # the newest evaluation, finite values only
    assert (result.metric_name, result.metric_value) == ("test/a/ls_mse", 1.5)
    assert (result.dataset_name, result.dataset_split, result.task_type) == ("LJSpeech", "test", "audio-to-audio")
    assert found.model_name == f"{BASE}-s3"


def test_a_card_says_what_deviates_and_escapes_it():
    text = render_card(record(), read_paper("wavegrad"))
    assert "It deviates from the protocol in 1 values" in text and "One seed is no verdict." in text
    assert "<script>" not in text
    assert "without deviations" in render_card(record(deviations=[]), None)
    head = yaml.safe_load(text.split("---")[1])
    assert "verified" in head["model-index"][0]["results"][0]["metrics"][0]


def test_a_card_is_of_a_finished_run_and_overwrites_only_cards(tmp_path: Path):
    with pytest.raises(RunError, match="A card is of a finished run"):
        write_card(tmp_path, record(state="interrupted"), None)
    write_card(tmp_path, record(), None)
    write_card(tmp_path, record(), None)
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(RunError, match="was not written by this command"):
        write_card(tmp_path, record(), None)
    assert (tmp_path / "README.md").read_text() == "mine"
