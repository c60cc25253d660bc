from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from reprise.config.errors import ConfigError
from reprise.reproduction.assess import assess
from reprise.reproduction.estimate import Estimator
from reprise.reproduction.evidence import Evidence
from reprise.reproduction.paper import Paper, Recipe
from reprise.reproduction.papers import parse_paper
from reprise.reproduction.planning import decided_recipes, make_plan, select
from reprise.reproduction.standing import Deviation, PaperStanding
from tests.reproduction.records import BASE, DISCRETE, LARGE, HandMade, entry

PAPER = """
title: A paper
authors: [A. Author]
venue: Venue 2020
year: 2020
arxiv: null
defaults: {dataset: D, split: test, public: true, sure: paper, source: Table 1, version: 1, direction: lower,
  measure: "test/{at}/ls_mse", tolerance: {value: 2.0, reason: seeds differ by as much}}
columns:
  mse: {label: MSE}
  mos: {label: MOS, direction: higher, measure: null, why: listeners give it}
tables:
  one:
    title: First
    printed: Table 1
    columns: [mse, mos]
    rows:
      base: {label: Base, experiment: wavegrad/ljspeech_base_continuous, at: linear50, values: {mse: 100, mos: 4.5}}
      fast: {label: Fast, experiment: wavegrad/ljspeech_base_continuous, at: manual6, values: {mse: 120}}
      small_lr:
        label: Small lr
        experiment: wavegrad/ljspeech_base_continuous
        overrides: [model.optimizer.lr=1e-5]
        at: linear50
        values: {mse: 110}
      later: {label: Later, pending: no model of it yet, values: {mse: 3.0}}
      lost:
        label: Lost
        experiment: wavegrad/ljspeech_base_continuous
        at: linear50
        values: {mse: {value: null, note: unreadable}}
      secret:
        label: Secret
        experiment: wavegrad/base_continuous
        public: false
        why: the speech is private
        standin: wavegrad/ljspeech_large_continuous
        at: linear50
        values: {mse: 90}
      other: {label: Other, baseline: true, values: {mse: 150}}
      fast_device:
        label: Speed
        experiment: wavegrad/ljspeech_base_continuous
        at: linear1000
        hardware: V100
        values: {mse: 100}
claims:
  more_steps:
    text: more steps help
    kind: ordering
    relation: falls
    measure: test/{at}/ls_mse
    version: 1
    terms:
      - {label: few, experiment: wavegrad/ljspeech_base_continuous, at: manual6}
      - {label: many, experiment: wavegrad/ljspeech_base_continuous, at: linear50}
  levels:
    text: continuous beats discrete
    kind: ordering
    relation: rises
    measure: test/{at}/ls_mse
    version: 1
    terms:
      - {label: continuous, experiment: wavegrad/ljspeech_base_continuous, at: fibonacci25}
      - {label: discrete, experiment: wavegrad/ljspeech_base_discrete_25, at: train}
  taste: {text: it sounds good, kind: threshold, why: taste}
"""


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    path = tmp_path_factory.mktemp("paper") / "made.yaml"
    path.write_text(PAPER, encoding="utf-8")
    return parse_paper(path)


def standing(paper: Paper, ledger: HandMade) -> PaperStanding:
    return assess([paper], Evidence(ledger, [paper]), Estimator(ledger))[0]


def of(paper: Paper, ledger: HandMade, row: str, column: str = "mse"):
    return standing(paper, ledger).targets[f"made/one/{row}/{column}"]


def runs(values, at="linear50", first=0, **more):
    return [entry(seed=first + i, metrics={f"test/{at}/ls_mse": v}, **more) for i, v in enumerate(values)]


def test_without_runs_every_row_says_what_is_lacking(paper):
    found = standing(paper, HandMade())
    kinds = {s.target.row: s.kind for s in found.targets.values() if s.target.column == "mse"}
    assert kinds == {
        "base": "missing",
        "fast": "missing",
        "small_lr": "missing",
        "later": "missing",
        "lost": "not testable",
        "secret": "not testable",
        "other": "quoted",
        "fast_device": "missing",
    }
    assert found.targets["made/one/base/mse"].command == "reprise reproduce made/one/base --seeds 3"
    assert found.targets["made/one/later/mse"].reason == "no model of it yet"
    assert "unreadable" in found.targets["made/one/lost/mse"].reason
    assert found.targets["made/one/base/mos"].kind == "not testable"
    assert found.counts["missing"] == 5 and sum(found.counts.values()) == 8
    assert [c.outcome for c in found.claims] == ["missing", "missing", "not testable"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((100.1, 99.9, 100.0), "reproduced"),
        ((90.0, 90.1, 89.9), "better"),
        ((110.0, 110.1, 109.9), "not reproduced"),
        ((100.0, 106.0, 94.0), "inconclusive"),
        ((100.0, 100.1), "inconclusive"),
    ],
)
def test_runs_of_the_exact_protocol_are_judged(paper, values, kind):
    found = of(paper, HandMade().add(*runs(values)), "base")
    assert found.kind == kind
    assert found.ours.n == len(values)
    assert found.ours.mean == pytest.approx(sum(values) / len(values))
    assert found.difference == pytest.approx(found.ours.mean - 100)
    assert [s.seed for s in found.ours.samples] == list(range(len(values)))
    assert (found.seeds_needed is not None and found.command != "") == (kind == "inconclusive")


def test_a_diverged_seed_is_not_dropped(paper):
    found = of(paper, HandMade().add(*runs((100.0, 100.1, 99.9, math.nan))), "base")
    assert found.kind != "reproduced" and found.ours.n == 4


def test_deviations_are_computed_with_both_values(paper):
    ledger = HandMade().add(*runs((100.0, 100.1, 99.9), changes=("data.batch_size=8", "trainer.max_steps=10")))
    found = of(paper, ledger, "base")
    assert found.kind == "scaled"
    assert found.deviations == (Deviation("data.batch_size", 256, 8), Deviation("trainer.max_steps", 1000000, 10))


def test_an_option_that_a_run_did_not_know_yet_is_off(paper):
    ledger = HandMade().add(*runs((100.0, 100.1, 99.9)))
    digest = ledger.entries[0].digest
    ledger.protocols[digest] = {k: v for k, v in ledger.protocols[digest].items() if k != "data.peak"}
    assert of(paper, ledger, "base").kind == "reproduced"
    ledger.protocols[digest] = {k: v for k, v in ledger.protocols[digest].items() if k != "data.batch_size"}
    assert of(paper, ledger, "base").deviations == (Deviation("data.batch_size", 256, "(absent)"),)


def test_of_several_budgets_the_nearest_to_the_protocol_is_shown(paper):
    far = runs((5.0, 6.0), changes=("data.batch_size=8", "trainer.max_steps=10"))
    near = runs((50.0,), changes=("data.batch_size=16",))
    found = of(paper, HandMade().add(*far, *near), "base")
    assert found.ours.mean == 50.0 and "2 runs with other deviations" in found.reason


def test_what_a_measurement_changes_is_a_deviation_too(paper):
    ledger = HandMade().add(*runs((100.0, 100.1, 99.9), evaluated_with={"data.limit_test": 3}))
    found = of(paper, ledger, "base")
    assert found.kind == "scaled" and found.deviations == (Deviation("evaluation: data.limit_test", None, 3),)


def test_a_run_that_did_not_finish_deviates_by_that(paper):
    found = of(paper, HandMade().add(*runs((100.0,), state="interrupted", iteration=7)), "base")
    assert found.deviations == (Deviation("state", "finished", "interrupted after 7 iterations"),)


def test_changed_code_makes_rows_stale_and_names_the_files(paper):
    old = runs((100.0, 100.1, 99.9), changed=("reprise.models.wavegrad.network",))
    found = of(paper, HandMade().add(*old), "base")
    assert found.kind == "stale" and found.changed == ("reprise.models.wavegrad.network",)
    mixed = of(paper, HandMade().add(*old, *runs((100.0, 100.2, 99.8), first=3)), "base")
    assert mixed.kind == "reproduced" and mixed.ours.n == 3 and "3 runs of older code left out" in mixed.reason


def test_another_version_of_the_metric_does_not_compare(paper):
    found = of(paper, HandMade().add(*runs((100.0, 100.1, 99.9), version=2)), "base")
    assert found.kind == "stale" and "version 2" in found.reason and found.ours is None


def test_rows_that_share_an_experiment_are_told_apart_by_their_overrides(paper):
    ledger = HandMade().add(
        *runs((100.0, 100.1, 99.9)), *runs((110.0, 110.1, 109.9), changes=("model.optimizer.lr=1e-5",))
    )
    assert of(paper, ledger, "base").kind == of(paper, ledger, "small_lr").kind == "reproduced"
    assert of(paper, ledger, "small_lr").ours.mean == pytest.approx(110)


def test_a_run_that_never_measured_the_value_leaves_the_row_missing(paper):
    found = of(paper, HandMade().add(*runs((1.0,), at="linear1000")), "base")
    assert found.kind == "missing" and "1 run (finished), none of which has measured it" in found.reason


def test_a_speed_on_other_hardware_is_scaled(paper):
    ledger = HandMade().add(*runs((100.0, 100.1, 99.9), at="linear1000"))
    assert of(paper, ledger, "fast_device").deviations == (Deviation("hardware", "V100", "Plain CPU"),)
    right = [
        replace(e, environment={"accelerator": "cuda", "hardware": {"cpu": "x", "gpus": ["Tesla V100-SXM2"]}})
        for e in ledger.entries
    ]
    assert of(paper, HandMade().add(*right), "fast_device").kind == "reproduced"


@pytest.mark.parametrize(
    ("more", "state"),
    [({}, "measured"), ({"changes": ("data.batch_size=8",)}, "scaled"), ({"changed": ("reprise.x",)}, "stale")],
)
def test_a_stand_in_is_shown_and_never_judged(paper, more, state):
    ledger = HandMade().add(*runs((90.0, 90.0, 90.0), experiment=LARGE, **more))
    found = of(paper, ledger, "secret")
    assert found.kind == "not testable" and found.ours is None
    assert found.standin.state == state and found.standin.ours.mean == 90.0


def test_a_claim_is_tested_on_pairs_of_equal_budget(paper):
    small = ("data.batch_size=8",)
    ledger = HandMade()
    for seed, level in enumerate((10.0, 20.0, 30.0)):
        both = {"test/manual6/ls_mse": level + 5 + 0.1 * seed, "test/linear50/ls_mse": level}
        ledger.add(entry(seed=seed, metrics={**both, "test/fibonacci25/ls_mse": 1.0}, changes=small))
        ledger.add(entry(DISCRETE, seed, {"test/train/ls_mse": 2.0 + 0.1 * seed}, ("data.batch_size=16",)))
    more_steps, levels, _ = standing(paper, ledger).claims
    assert more_steps.outcome == "holds" and more_steps.n == 3
    assert more_steps.deviations == (Deviation("data.batch_size", 256, 8),)
    assert [t.ours.mean for t in more_steps.terms] == [pytest.approx(25.1), pytest.approx(20.0)]
    assert levels.outcome == "missing" and "at one budget" in levels.reason
    for seed in range(3):
        ledger.add(entry(DISCRETE, seed, {"test/train/ls_mse": 2.0 + 0.1 * seed}, small))
    assert standing(paper, ledger).claims[1].outcome == "holds"


def test_a_claim_on_changed_code_is_stale(paper):
    ledger = HandMade()
    for seed in range(3):
        values = {"test/manual6/ls_mse": 3.0 + seed, "test/linear50/ls_mse": 1.0}
        ledger.add(entry(seed=seed, metrics=values, changed=("reprise.nn",)))
    assert standing(paper, ledger).claims[0].outcome == "stale"


def test_the_plan_names_what_is_missing(paper):
    ledger = HandMade().add(*runs((100.0, 100.1), first=1))
    plan = make_plan(standing(paper, ledger), None, 3, [], ledger, Estimator(ledger))
    jobs = {job.recipe.label: job for job in plan.jobs}
    assert set(jobs) == {BASE, f"{BASE} model.optimizer.lr=1e-5", LARGE, DISCRETE}
    assert jobs[BASE].seeds == (0,) and jobs[BASE].have == (1, 2)
    assert jobs[BASE].batch == [[f"experiment={BASE}", "seed=0", "evaluate=true"]]
    assert "claim more_steps" in jobs[BASE].wanted_by
    assert plan.runs == 1 + 3 + 3 + 3
    assert ("one/later", "no model of it yet") in plan.skipped
    assert jobs[BASE].estimate.basis == "from 2 runs of the same config"
    assert jobs[LARGE].estimate is None


def test_a_run_with_changed_code_or_without_a_measurement_is_made_again(paper):
    ledger = HandMade().add(
        *runs((1.0,), changed=("reprise.x",)), entry(seed=1, metrics=None), *runs((1.0,), first=2, state="failed")
    )
    plan = make_plan(standing(paper, ledger), "base", 3, [], ledger, Estimator(ledger))
    assert plan.jobs[0].seeds == (0, 1, 2)


def test_overrides_are_part_of_what_is_looked_for(paper):
    ledger = HandMade().add(*runs((1.0, 2.0, 3.0)))
    plan = make_plan(standing(paper, ledger), "base", 2, ["data.batch_size=8"], ledger, Estimator(ledger))
    assert plan.jobs[0].seeds == (0, 1)
    assert plan.jobs[0].words == (f"experiment={BASE}", "data.batch_size=8")


def test_rows_that_have_their_verdict_are_left_alone(paper):
    ledger = HandMade().add(*runs((110.0, 110.1, 109.9), changes=("model.optimizer.lr=1e-5",)))
    found = standing(paper, ledger)
    recipe = Recipe(BASE, ("model.optimizer.lr=1e-5",))
    assert decided_recipes(found) == {recipe}
    plan = make_plan(found, None, 5, [], ledger, Estimator(ledger))
    assert recipe not in {job.recipe for job in plan.jobs}
    assert (recipe.label, "all that needs it has its verdict") in plan.skipped
    assert make_plan(found, "small_lr", 5, [], ledger, Estimator(ledger)).jobs[0].seeds == (3, 4)


def test_a_row_can_be_named_by_experiment_table_row_or_claim(paper):
    assert set(select(paper, "ljspeech_large_continuous")) == {Recipe(LARGE)}
    assert Recipe(BASE, ("model.optimizer.lr=1e-5",)) in select(paper, "one")
    assert set(select(paper, "levels")) == {Recipe(BASE), Recipe(DISCRETE)}
    with pytest.raises(ConfigError, match="cannot be run: no model of it yet"):
        select(paper, "later")
    with pytest.raises(ConfigError, match="Did you mean 'levels'"):
        select(paper, "level")


@pytest.mark.parametrize(
    ("seeds", "overrides", "message"),
    [(0, [], "Expected 1 or more"), (3, ["seed=4"], "the plan decides seed"), (3, ["data.batch=1"], "data.batch")],
)
def test_a_plan_refuses_what_it_cannot_do(paper, seeds, overrides, message):
    ledger = HandMade()
    with pytest.raises(ConfigError, match=message):
        make_plan(standing(paper, ledger), None, seeds, overrides, ledger, Estimator(ledger))


def test_costs_of_the_same_network_are_scaled_by_examples(paper):
    def measured(seed: int = 0, **cost: float):
        return entry(seed=seed, metrics={"test/linear50/ls_mse": 1.0}, changes=("trainer.max_steps=1000",), cost=cost)

    plain = measured(device_seconds=100.0, peak_memory_bytes=2**30)
    estimate = Estimator(HandMade().add(plain)).of_words([f"experiment={BASE}"])
    assert estimate.device_seconds == pytest.approx(100.0 * 1000)
    runs = "1 run on Plain CPU of the same model with examples of the same size"
    basis = f"training only, from {runs}, scaled by their number"
    assert estimate.times(3).text == f"83.3 device-hours, 1.0 GiB ({basis})"
    # the throughput leaves the start out; another device's figures are not mixed in
    fast = replace(
        measured(1, device_seconds=100.0, samples_per_second=2560.0),
        environment={"accelerator": "cuda", "world_size": 2, "hardware": {"gpus": ["H100", "H100"]}},
        begun="2026-02-01",
    )
    estimate = Estimator(HandMade().add(plain, fast)).of_words([f"experiment={BASE}"])
    assert estimate.device_seconds == pytest.approx(1e6 * 256 / 2560 * 2) and "on H100" in estimate.basis
    other = Estimator(HandMade().add(plain)).of_words([f"experiment={BASE}", "data.crop_frames=60"])
    assert other is None


CONCRETE = "spectral_mixture/alacarte_gm"
MNIST = "pixelrnn/mnist_pixelcnn"


def estimated(run, *words: str):
    return Estimator(HandMade().add(run)).of_words(words)


@pytest.mark.parametrize(
    "words",
    [
        [f"experiment={CONCRETE}", "data.name=pol", "data.inputs=26"],
        [f"experiment={CONCRETE}", "data.train_stride=2"],
        [f"experiment={CONCRETE}", "model.components=3"],
        ["experiment=spectral_mixture/co2_vfe", "data.root=somewhere"],  # another model, which has no network either
    ],
)
def test_a_step_on_a_whole_data_set_says_nothing_of_other_data_or_another_model(words):
    run = entry(CONCRETE, cost={"device_seconds": 73.0, "samples_per_second": 27.0}, iteration=2000)
    assert estimated(run, *words) is None
    twice = estimated(run, f"experiment={CONCRETE}", "trainer.max_steps=4000", "model.optimizer.lr=0.02")
    assert twice.device_seconds == pytest.approx(4000 / 27.0)


def test_images_of_another_size_are_another_example():
    cost = {"device_seconds": 600.0, "samples_per_second": 100.0}
    run = entry(MNIST, changes=("budget=cpu_hour", "model.completions=0"), cost=cost)
    assert estimated(run, f"experiment={MNIST}").device_seconds == pytest.approx(200_000 * 16 / 100.0)
    assert estimated(run, f"experiment={MNIST}", "data.shape.side=32") is None


def test_crops_cost_the_same_from_any_recordings():
    run = entry(changes=("trainer.max_steps=1000",), cost={"device_seconds": 100.0, "samples_per_second": 25.6})
    assert estimated(run, f"experiment={BASE}", "data=synthetic_speech").device_seconds == pytest.approx(1e7)


def test_a_smoke_run_tells_no_speed():
    cost = {"device_seconds": 9.0, "samples_per_second": 8.0}
    short = entry(changes=("trainer.max_steps=6",), cost=cost, iteration=6)
    assert estimated(short, f"experiment={BASE}") is None
    # where little is asked for, little tells: an iteration may take minutes
    assert estimated(short, f"experiment={BASE}", "trainer.max_steps=60").device_seconds == pytest.approx(60 * 256 / 8)
    assert estimated(short, f"experiment={BASE}", "trainer.max_steps=61") is None
    longer = entry(changes=("trainer.max_steps=100",), cost=cost, iteration=100)
    assert estimated(longer, f"experiment={BASE}").device_seconds == pytest.approx(1e6 * 256 / 8)


def test_runs_that_read_other_data_are_not_pooled(paper):
    same = [replace(e, data={"recordings_sha256": "a"}) for e in runs((100.0, 100.1, 99.9))]
    other = [replace(e, data={"recordings_sha256": "b"}) for e in runs((150.0, 150.1), first=3)]
    found = of(paper, HandMade().add(*same, *other), "base")
    assert found.kind == "reproduced" and found.ours.n == 3 and "2 runs left out that read other data" in found.reason


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ({"recordings": 450, "of": 3000, "split": {"train": 405, "test": 45}}, "without 450 of 3000"),
        ({"test": 24, "train": 1}, "without 24 of test, 1 of train"),
        ({"recordings": 0, "of": 3000}, None),
        ({}, None),
    ],
)
def test_a_data_set_with_missing_examples_is_a_deviation(paper, missing, said):
    found = of(paper, HandMade().add(*(replace(e, data={"missing": missing}) for e in runs((100.0,)))), "base")
    assert found.deviations == ((Deviation("data", "the whole data set", said),) if said else ())
    assert (found.kind == "scaled") == (said is not None)


def test_a_seed_counts_once(paper):
    ledger = HandMade().add(*runs((100.0, 100.1)))
    again = runs((99.9,), begun="2026-03-01T00:00:00+00:00")[0]
    twin = replace(again, digest="older", id="twin")
    ledger.add(again).entries.append(twin)
    ledger.protocols["older"] = {k: v for k, v in ledger.protocols[again.digest].items() if k != "data.peak"}
    found = of(paper, ledger, "base")
    assert found.kind == "inconclusive" and [s.seed for s in found.ours.samples] == [0, 1]


def test_a_run_between_two_rows_is_shown_with_the_nearest(paper):
    found = standing(paper, HandMade().add(*runs((100.0,), changes=("model.optimizer.lr=3e-4",))))
    shown = [s for s in found.targets.values() if s.kind == "scaled"]
    assert [s.target.row for s in shown] == ["base"]
    assert shown[0].deviations == (Deviation("model.optimizer.lr", 2e-4, 3e-4),)


def test_a_measurement_by_code_that_changed_is_stale(paper):
    made = [
        replace(e, evaluations=(replace(e.evaluations[0], changed=("reprise.metrics.spectral",)),))
        for e in runs((1.0,))
    ]
    found = of(paper, HandMade().add(*made), "base")
    assert found.kind == "stale" and found.changed == ("reprise.metrics.spectral",)


def test_files_of_a_paper_are_read_from_any_place(paper, tmp_path: Path):
    assert paper.name == "made" and len(paper.targets) == 9
