"""What the report's page is made of: escaped text, addresses, ids, numbers, axes, curves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reprise.reproduction.report.axis import Scale, fit, tick_texts
from reprise.reproduction.report.curves import downsample
from reprise.reproduction.report.markup import Ids, is_https, link, text
from reprise.reproduction.report.words import duration, interval, p_value, share
from reprise.tracking.metrics_csv import read_metrics, read_series
from tests.reproduction.runs import entry, ours


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://example.org/a?b=c#d", True),
        ("http://example.org", False),
        ("javascript:alert(1)", False),
        ("https://user@example.org", False),
        ("https://example.org/\u202egpj", False),
        ("https://exa mple.org", False),
        ('https://example.org/"onload=', False),
        ("https:///path", False),
        ("https://[", False),
        ("HTTPS://example.org", True),
    ],
)
def test_addresses(url: str, fine: bool) -> None:
    assert is_https(url) is fine
    assert ("<a " in link(url, "label")) is fine


def test_ids_tell_alike_names_apart() -> None:
    ids = Ids()
    first, second = ids.of("run", "a b"), ids.of("run", "a/b")
    assert first == "run-a-b" and second == "run-a-b-2" and ids.of("run", "a b") == first
    assert re.fullmatch(r"[a-z0-9-]+", ids.of("<>", "é")) is not None
    assert text("a\ud800b\x00<") == "a\ufffdb\ufffd&lt;"


def test_numbers_as_text(tmp_path: Path) -> None:
    runs = [entry(tmp_path, "x/y", seed) for seed in range(3)]
    assert interval(ours([1.0, 2.0, 3.0], runs), 2) == "2.00 ± 2.48"
    assert interval(ours([1.0, 2.0, 3.0], runs), None) == "2.0 ± 2.5"
    assert interval(ours([-3.14159], runs[:1]), None, " dB") == "\u22123.142 dB"
    assert (duration(59), duration(3600), duration(9000), duration(4e6)) == ("59 s", "60 min", "2.5 h", "46 d")
    assert (p_value(0.0004), p_value(0.04), p_value(None)) == ("p < 0.001", "p = 0.040", "")
    assert (share(-0.5, 10), share(1, 0), share(1, None)) == ("\u22125.0 %", "", "")


def test_axes_have_round_marks() -> None:
    assert [said for _, said in tick_texts(Scale(0.0, 1.0, 0, 100).ticks(5))] == [
        "0.0",
        "0.2",
        "0.4",
        "0.6",
        "0.8",
        "1.0",
    ]
    assert [said for _, said in tick_texts(Scale(0, 40000, 0, 100).ticks(4))] == ["0", "10k", "20k", "30k", "40k"]
    assert Scale(1, 1000, 0, 3, True).at(100) == pytest.approx(2)
    assert set(Scale(1, 1000, 0, 3, True).ticks(4)) >= {1, 10, 100, 1000}
    same = fit([5.0, 5.0], 0, 10)
    assert same.low < 5 < same.high and same.ticks(3)
    assert fit([0.0], 0, 10).ticks(3) and fit([2.0], 0, 10, log=True).ticks(3)


def test_long_curves_keep_their_ends_and_peaks() -> None:
    points = [(float(i), 1.0) for i in range(5000)]
    points[2345] = (2345.0, 50.0)
    kept = downsample(points)
    assert len(kept) == 200 and kept[0] == points[0] and kept[-1] == points[-1] and points[2345] in kept
    assert kept == sorted(kept) and downsample(points[:200]) == points[:200]


def test_series_are_the_rows_of_their_names(tmp_path: Path) -> None:
    rows = (
        "10,train/loss,0.5\n10,train/loss_2,9.0\n20,train/loss,nan\n20,val/a.b,1e-3\n20,val/aXb,7.0\n30,train/loss,0."
    )
    (tmp_path / "metrics.csv").write_text(f"step,name,value\n{rows}", encoding="utf-8")
    found = read_series(tmp_path, ["train/loss", "val/a.b", "absent"])
    assert [step for step, _ in found["train/loss"]] == [10, 20], "the row that was cut off is left out"
    assert found["val/a.b"] == [(20, 0.001)] and "absent" not in found
    assert [(s, n) for s, n, _ in read_metrics(tmp_path) if n == "train/loss"] == [
        (10, "train/loss"),
        (20, "train/loss"),
    ]
    assert read_series(tmp_path / "none", ["a"]) == {}
