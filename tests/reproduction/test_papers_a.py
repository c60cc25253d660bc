"""WaveNet, Fast WaveNet, DDPM, its ancestor and PixelRNN: figures typed a second time, and how many each table has."""

from __future__ import annotations

import pytest

from reprise.reproduction.paper import Paper, Spread
from reprise.reproduction.papers import read_paper

PRINTED = {
    "wavenet/mos/wavenet_lf/mos_english": "4.21 ± 0.081",
    "wavenet/mos/natural_16bit/mos_mandarin": "4.21 ± 0.071",
    "wavenet/mos/hmm/mos_english": "3.86 ± 0.137",
    "wavenet/gap/reduction/mos_mandarin": "69%",
    "wavenet/preference/en_lstm_lf/wavenet_lf": "82.0%",
    "wavenet/preference/en_concat_l/none": "26.4%",
    "wavenet/preference/zh_lstm_l/lstm": "25.0%",
    "wavenet/preference/zh_l_lf/none": "64.5%",
    "wavenet/timit/wavenet/per": "18.8%",
    "fast_wavenet/figure/l15/naive": "≈ 0.162 s",
    "fast_wavenet/figure/l12/cached": "≈ 0.0065 s",
    "fast_wavenet/figure/l5/cached": "≈ 0.003 s",
    "ddpm/table1/l_simple/inception_score": "9.46 ± 0.11",
    "ddpm/table1/l_simple/fid": "3.17",
    "ddpm/table1/l_fixed/bpd": "≤ 3.70",
    "ddpm/table1/l_simple/bpd_train": "3.72",
    "ddpm/table1/ebm_conditional/inception_score": "8.30",
    "ddpm/table1/sngan_ddls/fid": "15.42",
    "ddpm/table2/mu_l_learned/fid": "23.69",
    "ddpm/table2/mu_mse/fid": "–",
    "ddpm/table3/l_simple_large/bedroom": "4.90",
    "ddpm/table3/progressive_gan/cat": "37.52",
    "ddpm/table4/t1000/rate": "1.77581",
    "ddpm/table4/t200/rmse": "60.97170",
    "ddpm/table4/t100/rate": "0.00000",
    "ddpm/text/l_simple/fid_test": "5.24",
    "ddpm/speed/cifar10/train_hours": "10.6 h",
    "diffusion_2015/bounds/swiss_roll/gain": "6.45 bits",
    "diffusion_2015/bounds/heartbeat/bound": "-2.414 bits/seq",
    "diffusion_2015/bounds/bark/bound": "-0.55 bits/pixel",
    "diffusion_2015/bounds/cifar10/gain": "11.5 ± 0.2 bits/pixel",
    "diffusion_2015/bounds/dead_leaves/gain": "3.536 bits/pixel",
    "diffusion_2015/dead_leaves/mcgsm/log_likelihood": "1.244 bits/pixel",
    "diffusion_2015/mnist/diffusion/parzen_bits": "317 ± 2.7 bits",
    "diffusion_2015/mnist/diffusion/parzen_nats": "220 ± 1.9 nats",
    "pixelrnn/softmax/mcgsm/bpd_val": "3.22",
    "pixelrnn/connections/no_residual/skip": "3.09",
    "pixelrnn/layers/layers_1/bpd_val": "3.30",
    "pixelrnn/mnist/dbm/nll": "≈ 84.62",
    "pixelrnn/mnist/draw/nll": "≤ 80.97",
    "pixelrnn/mnist/diagonal_7/nll": "79.20",
    "pixelrnn/cifar10/uniform/bpd": "8.00",
    "pixelrnn/cifar10/diagonal/bpd_train": "2.93",
    "pixelrnn/imagenet/imagenet64/bpd_imagenet_train": "3.57",
}

# Figures of each table, and how many of them are the paper's own.
COUNTS = {
    "wavenet": {"mos": (10, 2), "gap": (6, 4), "preference": (36, 30), "timit": (1, 1), "free_speech": (1, 1)},
    "fast_wavenet": {"figure": (12, 12)},
    "ddpm": {
        "table1": (35, 8),
        "table2": (12, 12),
        "table3": (12, 4),
        "table4": (20, 20),
        "text": (5, 5),
        "size": (3, 3),
        "speed": (5, 5),
    },
    "diffusion_2015": {"bounds": (10, 10), "dead_leaves": (2, 1), "mnist": (7, 2)},
    "pixelrnn": {
        "softmax": (2, 2),
        "connections": (4, 4),
        "layers": (6, 6),
        "mnist": (14, 4),
        "cifar10": (12, 6),
        "imagenet": (4, 4),
    },
}


@pytest.fixture(scope="module")
def papers() -> dict[str, Paper]:
    return {name: read_paper(name) for name in COUNTS}


@pytest.mark.parametrize("target", PRINTED)
def test_figures_are_as_printed(papers: dict[str, Paper], target: str) -> None:
    found = {t.id: t.printed for t in papers[target.partition("/")[0]].targets}
    assert found[target] == PRINTED[target]


@pytest.mark.parametrize("name", COUNTS)
def test_tables_are_whole(papers: dict[str, Paper], name: str) -> None:
    found = {
        table.id: (
            sum(len(row.targets) for row in table.rows),
            sum(len(row.targets) for row in table.rows if not row.baseline),
        )
        for table in papers[name].tables
    }
    assert found == COUNTS[name]


@pytest.mark.parametrize("name", COUNTS)
def test_every_figure_that_can_be_run_says_what_would_compare_with_it(papers: dict[str, Paper], name: str) -> None:
    for target in papers[name].targets:
        if target.baseline or target.why:
            continue
        assert target.measure, target.id
        assert target.recipe or target.pending, target.id
        assert target.tolerance or target.value is None, target.id
        assert target.version or not target.measure.startswith(("test/", "val/")), target.id


@pytest.mark.parametrize("name", COUNTS)
def test_every_claim_that_can_be_tested_names_terms_and_measures(papers: dict[str, Paper], name: str) -> None:
    for claim in papers[name].claims:
        if claim.why:
            continue
        assert claim.terms, claim.id
        assert all(term.measure for term in claim.terms), claim.id
        assert (claim.bound is not None) == (claim.kind == "threshold"), claim.id
        assert (claim.margin is not None) == (claim.kind == "equivalence"), claim.id


def test_a_spread_keeps_its_own_decimals(papers: dict[str, Paper]) -> None:
    (table, *_) = papers["wavenet"].tables
    target = table.rows[0].targets["mos_english"]
    assert (target.digits, target.spread) == (2, Spread(0.098, "ci", "raters", None, 3))


def test_training_values_are_a_column_of_their_own(papers: dict[str, Paper]) -> None:
    for name, table in [("ddpm", "table1"), ("pixelrnn", "cifar10")]:
        splits = {t.column: t.split for t in papers[name].targets if t.table == table and t.column.startswith("bpd")}
        assert splits == {"bpd": "test", "bpd_train": "train"}


def test_what_is_recalled_says_so(papers: dict[str, Paper]) -> None:
    recalled = [t for paper in papers.values() for t in paper.targets if t.sure == "memory"]
    assert len(recalled) == 1 + 5 + 6
    assert all("recalled" in t.source for t in recalled)
