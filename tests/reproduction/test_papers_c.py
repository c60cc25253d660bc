"""conf/paper/implicit_kernel_attention and spectral_mixture: figures as printed, and what each file says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from reprise.config.errors import ConfigError
from reprise.reproduction.paper import Paper, Target
from reprise.reproduction.papers import parse_paper, read_paper

IKA = "implicit_kernel_attention"
SM = "spectral_mixture"

# Typed from the sources, not from the files.
PRINTED = {
    f"{IKA}/regression/mikan/rmse_co2": "not recovered",
    f"{IKA}/translation/ika/bleu": "not recovered",
    f"{IKA}/released_code/airline_ikan_direct/rmse_best": "0.129 ± 0.054",
    f"{IKA}/released_code/airline_transformer/rmse_last": "0.174 ± 0.045",
    f"{IKA}/released_code/airline_mikan/wall": "326 s",
    f"{IKA}/released_code/airline_gp_sm5_data/rmse_last": "0.053 ± 0.015",
    f"{IKA}/released_code/co2_ikan_direct/rmse_last": "0.0610 ± 0.0002",
    f"{IKA}/released_code/co2_gp_sm5/rmse_best": "0.0590 ± 0.0017",
    f"{IKA}/released_code_repetitions/airline_mikan/split_8": "0.191",
    f"{IKA}/released_code_repetitions/co2_transformer/split_3": "0.0606",
    f"{IKA}/released_code_size/ikan_direct/parameters": "41794",
    f"{IKA}/gat/gat/citeseer": "72.5 ± 0.7%",
    f"{IKA}/gat/lp/pubmed": "63.0%",
    f"{IKA}/gat_reruns/official_100_runs/pubmed": "77.61 ± 0.78%",
    f"{IKA}/long_texts/ikan_direct/imdb_f1": "86.04%",
    f"{SM}/printed_uci/svss_wsng/series_mnll": "not recovered",
    f"{SM}/co2_files/svss_wsng_q50/co2_rmse": "2.069 ± 0.631 ppm",
    f"{SM}/co2_files/vfe_q40_2000/co2_rmse": "1.296 ± 0.015 ppm",
    f"{SM}/co2_files/svss_wsng_q20/co2_ms": "39.4 ms",
    f"{SM}/co2_files_runs/ss_q5/run_3_rmse": "1644 ppm",
    f"{SM}/airline_notebook_repetitions/rep_4/sm_rmse": "270.37",
    f"{SM}/airline_notebook_repetitions/rep_8/ws_mnll": "5.37",
    f"{SM}/allocation_error/ws_02/error_70": "205.9 ± 75.2",
    f"{SM}/allocation_error/equal/error_100": "192.8 ± 75.4",
    f"{SM}/allocation_gap/nws/gap_40": "≥ 3",
    f"{SM}/skillcraft_figure/ss_rp/skillcraft_12": "0.343",
    f"{SM}/ct_figure/svss_wsng/ct_rmse_exact": "0.53",
    f"{SM}/wilson_table1/sm/sinc_mse": "0.000045",
    f"{SM}/wilson_table1/pe/co2_l": "-1800",
    f"{SM}/wilson_table1/rq/airline_mse": "4200",
    f"{SM}/wilson_matern/sm/marginal": "-133",
    f"{SM}/alacarte_table1/ct_slice/ssgpr": "0.59 ± 0.07",
    f"{SM}/alacarte_table1/3d_road/gm": "10.34 ± 0.19",
    f"{SM}/alacarte_table1/skillcraft/rbf": "1.26 ± 3.14",
    f"{SM}/alacarte_table1/hardware/ssgpr": "0.44 ± 0.1",
    f"{SM}/alacarte_table1/wine/pwl": "0.48 ± 0.03",
    f"{SM}/vssgp_solar/vssgp/solar_test": "0.41",
    f"{SM}/vssgp_audio_1k/vssgp/audio_train": "0.0062 ± 0.00048",
    f"{SM}/vssgp_audio_16k/sfvssgp/audio_minutes": "48 min",
}
COUNTS = {
    IKA: {
        "regression": 25,
        "text_classification": 4,
        "translation": 2,
        "node_classification": 2,
        "released_code": 32,
        "released_code_repetitions": 42,
        "released_code_size": 9,
        "gat": 35,
        "gat_reruns": 8,
        "iwslt_baseline": 2,
        "kim_cnn": 5,
        "long_texts": 20,
        "long_texts_cost": 6,
    },
    SM: {
        "printed_series": 14,
        "printed_ablation": 27,
        "printed_uci": 16,
        "co2_files": 56,
        "co2_files_runs": 96,
        "airline_notebook": 13,
        "airline_notebook_repetitions": 60,
        "allocation_error": 15,
        "allocation_gap": 15,
        "skillcraft_figure": 18,
        "ct_figure": 21,
        "pol_figure": 2,
        "wilson_table1": 40,
        "wilson_matern": 3,
        "wilson_components": 6,
        "wilson_peaks": 11,
        "alacarte_table1": 238,
        "vssgp_solar": 12,
        "vssgp_audio_1k": 16,
        "vssgp_audio_16k": 6,
    },
}


@pytest.fixture(params=[IKA, SM])
def paper(request: pytest.FixtureRequest) -> Paper:
    return read_paper(request.param)


@pytest.mark.parametrize("id_", PRINTED)
def test_figures_are_those_of_the_sources(id_: str) -> None:
    targets = {t.id: t for t in read_paper(id_.split("/")[0]).targets}

    assert targets[id_].printed == PRINTED[id_]


def test_no_table_lost_a_figure(paper: Paper) -> None:
    assert {t.id: sum(len(row.targets) for row in t.rows) for t in paper.tables} == COUNTS[paper.name]


def _gaps(target: Target) -> list[str]:
    needed = {"tolerance": target.tolerance, "measure": target.measure, "version": target.version}
    return [name for name, value in needed.items() if value is None]


def test_own_figures_could_get_a_verdict(paper: Paper) -> None:
    own = [t for t in paper.targets if not t.baseline and t.value is not None and t.why is None]

    assert own
    assert {t.id: gaps for t in own if (gaps := _gaps(t))} == {}
    assert [t.id for t in own if t.tolerance is not None and t.tolerance.value <= 0] == []


def test_nothing_claims_to_be_seen_in_the_unseen_tables(paper: Paper) -> None:
    unseen = [t for t in paper.targets if t.value is None]

    assert {t.table for t in unseen} == {
        IKA: {"regression", "text_classification", "translation", "node_classification"},
        SM: {"printed_series", "printed_ablation", "printed_uci"},
    }[paper.name]
    assert all("not seen" in t.source and t.sure != "paper" and "could not be read" in t.note for t in unseen)


def test_only_publications_that_were_read_count_as_seen() -> None:
    ika, sm = read_paper(IKA), read_paper(SM)

    assert {t.table for t in ika.targets if t.sure == "paper"} == set()
    assert {t.table.split("_")[0] for t in sm.targets if t.sure == "paper"} == {"wilson", "alacarte", "vssgp"}


def test_means_agree_with_their_single_runs() -> None:
    targets = {t.id: t.value or 0.0 for t in read_paper(SM).targets}
    for row in ("svss_wsng_q5", "svss_wsng_q100", "ss_q40", "vfe_q20"):
        for metric, mean, within in (("rmse", "co2_rmse", 0.06), ("mnll", "co2_mnll", 0.1)):
            runs = [targets[f"{SM}/co2_files_runs/{row}/run_{i}_{metric}"] for i in (1, 2, 3)]
            assert sum(runs) / 3 == pytest.approx(targets[f"{SM}/co2_files/{row}/{mean}"], abs=within)
    for column, row in (("sm", "exact_sm"), ("ws", "svss_ws"), ("es", "svss")):
        runs = [targets[f"{SM}/airline_notebook_repetitions/rep_{i}/{column}_rmse"] for i in range(10)]
        assert sum(runs) / 10 == pytest.approx(targets[f"{SM}/airline_notebook/{row}/airline_rmse"], abs=0.05)


def test_a_column_can_hold_a_rival() -> None:
    rows = {row.id: row.targets for row in next(t for t in read_paper(SM).tables if t.id == "alacarte_table1").rows}

    assert rows["yacht"]["ard"].baseline and rows["yacht"]["ard"].quoted
    assert not rows["yacht"]["gm"].baseline


def test_a_column_says_true_or_false_of_a_rival(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        "title: T\nauthors: [A]\nyear: 2020\n"
        "columns: {c: {label: C, direction: lower, baseline: maybe}}\n"
        "tables: {t: {title: T, printed: T, columns: [c], rows: {r: {label: R, values: {c: 1}}}}}\n"
    )

    with pytest.raises(ConfigError, match=r"columns\.c\.baseline: is 'maybe'\. Expected true or false\."):
        parse_paper(file)


def test_claims_name_what_they_compare(paper: Paper) -> None:
    assert len(paper.claims) == {IKA: 17, SM: 37}[paper.name]
    assert all(c.terms and (c.pending or all(t.recipe for t in c.terms)) for c in paper.claims)
    assert all(term.measure for c in paper.claims for term in c.terms)
