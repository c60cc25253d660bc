"""Spot values of the paper files of Gated PixelCNN, PixelCNN++ and CausalGAN, typed independently of them."""

from __future__ import annotations

import pytest

from reprise.reproduction.papers import read_paper

SPOTS = {
    "gated_pixelcnn": {
        "cifar10/gated_pixelcnn/test_bpd": "3.03",
        "cifar10/gated_pixelcnn/train_bpd": "2.90",
        "cifar10/pixelrnn/test_bpd": "3.00",
        "cifar10/pixelcnn/train_bpd": "3.08",
        "cifar10/deep_diffusion/test_bpd": "4.20",
        "imagenet/gated_pixelcnn_32/val_bpd": "3.83",
        "imagenet/gated_pixelcnn_32/train_bpd": "3.77",
        "imagenet/pixelrnn_64/train_bpd": "3.57",
        "imagenet/gated_pixelcnn_64/train_bpd": "3.48",
        "blind_spot/one_stack/hidden": "≤ 25%",
        "training_time/gated_pixelcnn/hours": "≈ 60 h",
    },
    "pixelcnn_pp": {
        "table1/pixelcnn_pp/test_bpd": "2.92",
        "table1/deep_diffusion/test_bpd": "5.40",
        "table1/vae_iaf/test_bpd": "3.11",
        "table1/real_nvp/test_bpd": "3.49",
        "class_conditional/pixelcnn_pp/test_bpd": "2.94",
        "table2/plain_11x5/test_bpd": "3.11",
        "table2/nin_11x5/test_bpd": "3.09",
        "table2/nin_15x8/test_bpd": "3.04",
        "table2/channel_15x8/test_bpd": "3.03",
        "training_time/bpd_2_92/hours": "≈ 120 h",
    },
    "causalgan": {
        "controller/step_1/rcg1": "0.892",
        "controller/step_2001/cg1": "0.481",
        "controller/step_18001/g1": "0.138",
        "controller/step_19001/g1": "0.144",
        "controller/step_29001/cg1": "0.037",
        "reference_points/g1_fit/reference_tvd": "0.1517",
        "probabilities/smiling_given_narrow_eyes/probability": "0.59",
        "synthetic/linear_20k/gen_linear": "0.380",
        "synthetic/collider_end/fc3": "0.203",
        "synthetic/complete_5k/gen_collider": "0.940",
        "synthetic/complete_end/fc10": "0.336",
        "discreteness/controller/discrete": "≈ 96%",
        "marginals/eyeglasses/marginal_g1": "0.06180",
        "marginals/male/marginal_cg1": "0.41938",
        "pairwise/young_male/joint_g1": "not recovered",
        "speed/cg1/seconds": "20487 s",
    },
}
COUNTS = {
    "gated_pixelcnn": {"cifar10": 15, "imagenet": 12, "blind_spot": 1, "training_time": 1},
    "pixelcnn_pp": {"table1": 11, "class_conditional": 1, "table2": 6, "training_time": 2},
    "causalgan": {
        "controller": 33,
        "reference_points": 7,
        "probabilities": 4,
        "queries": 41,
        "marginals_counted": 18,
        "synthetic": 54,
        "synthetic_intended": 12,
        "discreteness": 2,
        "marginals": 27,
        "pairwise": 6,
        "speed": 3,
    },
}


@pytest.mark.parametrize("name", SPOTS)
def test_figures_read_as_the_paper_prints_them(name: str) -> None:
    printed = {target.id: target.printed for target in read_paper(name).targets}
    wanted = {f"{name}/{place}": text for place, text in SPOTS[name].items()}
    assert {place: printed.get(place) for place in wanted} == wanted


@pytest.mark.parametrize("name", COUNTS)
def test_tables_are_whole(name: str) -> None:
    tables = read_paper(name).tables
    assert {table.id: sum(len(row.targets) for row in table.rows) for table in tables} == COUNTS[name]


@pytest.mark.parametrize("name", COUNTS)
def test_a_figure_that_can_be_reproduced_says_how_it_will_be_judged(name: str) -> None:
    own = [t for t in read_paper(name).targets if not t.baseline and not t.why and t.value is not None]
    assert own
    unclear = [t.id for t in own if not (t.tolerance and t.tolerance.reason and t.measure and t.version == 1)]
    assert unclear == []


@pytest.mark.parametrize("name", COUNTS)
def test_what_cannot_be_run_yet_says_why(name: str) -> None:
    paper = read_paper(name)
    assert [t.id for t in paper.targets if not (t.baseline or t.recipe or t.pending or t.why)] == []
    assert [c.id for c in paper.claims if not (c.runnable or c.pending or c.why)] == []


def test_recalled_figures_are_marked() -> None:
    sure = {t.id: t.sure for name in SPOTS for t in read_paper(name).targets}
    assert sure["gated_pixelcnn/cifar10/ride/test_bpd"] == "memory"
    assert sure["gated_pixelcnn/imagenet/gated_pixelcnn_32/train_bpd"] == "memory"
    assert sure["gated_pixelcnn/imagenet/gated_pixelcnn_64/val_bpd"] == "reference"
    assert sure["pixelcnn_pp/table1/pixelcnn_pp/test_bpd"] == "paper"
    assert sure["causalgan/reference_points/g1_fit/reference_tvd"] == "derived"
    assert {s for place, s in sure.items() if place.startswith("causalgan/marginals/")} == {"memory"}
