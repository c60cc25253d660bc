"""The judge: what it learns, what it refuses, what it remembers."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from reprise.config.errors import ConfigError, DataError
from reprise.metrics.labels import judge as judges
from reprise.metrics.labels.judge import Judge, JudgeSettings, train_judge
from reprise.metrics.labels.judge_weights import open_weights
from tests.metrics.labels.drawn import NAMES, pictures, scaled

QUICK = JudgeSettings(steps=60, width=8)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return train_judge(*pictures(400, 0), NAMES, QUICK)


def test_it_judges_images_it_never_saw(judge: Judge) -> None:
    images, labels = pictures(200, 1)
    answers = judge.answers(scaled(images))
    assert float((answers[:, :2] == torch.from_numpy(labels)[:, :2]).double().mean()) > 0.97
    probabilities = judge.probabilities(scaled(images))[:, :2]
    assert bool(((probabilities >= 0) & (probabilities <= 1)).all())


def test_it_says_how_well_it_judges(judge: Judge) -> None:
    found = judge.measures()
    assert set(found) == {f"judge/{m}/{n}" for m in ("accuracy", "balanced_accuracy") for n in ("bright", "barred")}
    assert min(found.values()) > 0.95


def test_a_label_with_too_few_examples_is_refused_in_words(judge: Judge) -> None:
    rare = judge.reports[judge.index("Rare")]
    assert not rare.judged and rare.trained[1] < 20 and math.isnan(rare.accuracy)
    assert rare.words == f"Rare: not judged: {rare.trained[1]} examples of value 1 to train on, 20 are needed"
    assert rare.words in judge.words()
    images, _ = pictures(10, 2)
    assert bool(judge.answers(scaled(images))[:, 2].isnan().all())
    assert bool(judge.probabilities(scaled(images))[:, 2].isnan().all())


def test_a_common_label_is_refused_for_lack_of_its_absence() -> None:
    images, labels = pictures(60, 0)
    labels[:, 1] = 1
    report = train_judge(images, labels, NAMES, JudgeSettings(steps=1, width=4)).reports[1]
    assert "not judged: 0 examples of value 0" in report.words


def test_a_rare_label_is_found_where_it_is_set() -> None:
    judge = train_judge(*pictures(400, 0, rare=0.1), NAMES, JudgeSettings(steps=120, width=8, least=10))
    images, labels = pictures(100, 3, rare=0.5)
    assert float((judge.answers(scaled(images))[:, 2] == torch.from_numpy(labels)[:, 2]).double().mean()) > 0.9


def test_open_weights_leave_nothing_but_the_label_to_tell_values_apart() -> None:
    rng = np.random.default_rng(0)
    a = rng.random(500) < 0.4
    b = rng.random(500) < np.where(a, 0.8, 0.2)
    c = a & (rng.random(500) < 0.1)  # only with a
    labels = torch.from_numpy(np.stack([a, b, c], 1).astype(np.uint8))
    weights = open_weights(labels)
    assert bool(((weights >= 0) & (weights < 1)).all())
    for i in range(3):
        of_value = [labels[:, i] == value for value in (0, 1)]
        assert float(weights[of_value[0], i].sum()) == pytest.approx(float(weights[of_value[1], i].sum()))
        for k in {0, 1, 2} - {i}:
            shares = [np.average(labels[chosen, k], weights=weights[chosen, i]) for chosen in of_value]
            assert shares[0] == pytest.approx(shares[1])
    assert bool((weights[labels[:, 2] == 1, 0] == 0).all())  # c says that a holds, so such images say nothing of a
    assert bool((weights[labels[:, 0] == 0, 2] == 0).all())
    alone = open_weights(labels[:, :1])[labels[:, 0] == 1, 0]
    assert torch.allclose(alone, 1.0 - labels[:, 0].double().mean())


def test_a_label_that_never_comes_apart_from_another_is_refused() -> None:
    images, labels = pictures(100, 0)
    labels[:, 1] = labels[:, 0]
    reports = train_judge(images, labels, NAMES, JudgeSettings(steps=1, width=4)).reports
    assert [report.trained for report in reports[:2]] == [(0, 0), (0, 0)]
    reports = train_judge(images, labels, NAMES, JudgeSettings(steps=1, width=4, independent=False)).reports
    assert reports[0].judged and reports[1].judged and not reports[2].judged


def test_accuracy_is_of_images_that_were_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(judges, "_train", lambda network, x, y, rows, *rest: seen.append(rows))
    images, labels = pictures(50, 0)
    judge = train_judge(images, labels, NAMES, QUICK)
    (rows,) = seen
    assert len(rows.unique()) == len(rows) == 35
    for i, report in enumerate(judge.reports):
        used = open_weights(torch.from_numpy(labels[rows.numpy()]))[:, i].numpy() > 0
        assert sum(report.tested) == 15 and sum(report.trained) == used.sum()
        assert labels[rows.numpy(), i].sum() + report.tested[1] == labels[:, i].sum()


def test_the_same_seed_gives_the_same_judge_and_touches_no_global_state() -> None:
    settings = JudgeSettings(steps=5, width=4)
    state = torch.get_rng_state()
    first, second, other = (
        train_judge(*pictures(60, 0), NAMES, s, folder=None).network.state_dict()
        for s in (settings, settings, JudgeSettings(seed=1, steps=5, width=4))
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["last.weight"], other["last.weight"])


def test_it_can_be_trained_in_inference_mode() -> None:
    with torch.inference_mode():
        judge = train_judge(*pictures(60, 0), NAMES, JudgeSettings(steps=2, width=4))
        judge.answers(scaled(pictures(3, 1)[0]))


def test_a_judge_is_kept_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = JudgeSettings(steps=5, width=4)
    images, labels = pictures(60, 0)
    first = train_judge(images, labels, NAMES, settings, folder=tmp_path)
    (file,) = tmp_path.glob("judge-*.pt")
    trained: list[int] = []
    monkeypatch.setattr(judges, "_train", lambda *_: trained.append(1))
    second = train_judge(images, labels, NAMES, settings, folder=tmp_path)
    assert not trained and second.words() == first.words()
    weights = first.network.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in second.network.state_dict().items())
    for other in (
        (images, labels, NAMES, JudgeSettings(steps=6, width=4)),
        (images[::-1].copy(), labels, NAMES, settings),
        (images, 1 - labels, NAMES, settings),
        (images, labels, ("A", "B", "C"), settings),
    ):
        train_judge(*other, folder=tmp_path)
    assert len(trained) == 4 and len(list(tmp_path.glob("judge-*.pt"))) == 5
    assert file.exists() and not [f for f in tmp_path.iterdir() if f.suffix not in (".pt", ".lock")]


def test_a_damaged_file_is_warned_of_and_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = JudgeSettings(steps=2, width=4)
    first = train_judge(*pictures(60, 0), NAMES, settings, folder=tmp_path)
    (file,) = tmp_path.glob("judge-*.pt")
    file.write_bytes(file.read_bytes()[:100])
    with caplog.at_level(logging.WARNING):
        again = train_judge(*pictures(60, 0), NAMES, settings, folder=tmp_path)
    assert "The judge is trained again" in caplog.text
    assert torch.equal(first.network.state_dict()["last.bias"], again.network.state_dict()["last.bias"])
    caplog.clear()
    train_judge(*pictures(60, 0), NAMES, settings, folder=tmp_path)
    assert not caplog.text


def test_a_folder_that_is_none_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    train_judge(*pictures(60, 0), NAMES, JudgeSettings(steps=1, width=4), folder=tmp_path / "file")
    assert "cannot be locked" in caplog.text and "cannot be written" in caplog.text


@pytest.mark.parametrize("side, maps", [(8, 4), (12, 3), (32, 4), (64, 4), (96, 3)])
def test_every_side_has_its_network(side: int, maps: int) -> None:
    images = np.zeros((12, 3, side, side), np.uint8)
    judge = train_judge(images, np.zeros((12, 1), np.uint8), ["A"], JudgeSettings(steps=1, width=4))
    assert judge.probabilities(torch.zeros(2, 3, side, side)).shape == (2, 1)
    assert judge.network.last.in_features % maps**2 == 0  # type: ignore[union-attr,operator]


@pytest.mark.parametrize("images, labels, words", [
    (np.zeros((20, 3, 8, 8), np.float32), np.zeros((20, 3)), "Expected whole numbers"),
    (np.zeros((20, 3, 8, 9), np.uint8), np.zeros((20, 3)), "Expected whole numbers"),
    (np.zeros((20, 3, 8, 8), np.uint8), np.zeros((20, 2)), r"Expected \(20, 3\)"),
    (np.zeros((20, 3, 8, 8), np.uint8), np.full((20, 3), 2), "from 2 to 2. Expected 0 and 1"),
    (np.zeros((5, 3, 8, 8), np.uint8), np.zeros((5, 3)), "Expected 10 or more"),
])  # fmt: skip
def test_what_is_no_set_of_labelled_images_is_refused(images: np.ndarray, labels: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        train_judge(images, labels, NAMES, QUICK)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"width": 0}, {"held_back": 1.0}, {"lr": 0.0}, {"least": 0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}"):
        JudgeSettings(**wrong)  # type: ignore[arg-type]


def test_an_unknown_label_is_refused_by_name(judge: Judge) -> None:
    with pytest.raises(ConfigError, match=r"no label 'Bared'.*'Barred'"):
        judge.index("Bared")


def test_a_label_that_is_judged_no_better_than_by_a_guess_is_refused() -> None:
    images, labels = pictures(200, 0)
    labels[:, 1] = np.random.default_rng(5).random(200) < 0.5  # nothing in the pictures tells it
    judge = train_judge(images, labels, NAMES, JudgeSettings(steps=40, width=8, floor=0.75))
    bright, barred = judge.reports[:2]
    assert bright.judged and bright.balanced_accuracy > 0.9
    assert barred.enough and not barred.judged
    assert barred.words == (
        f"Barred: not judged: accuracy {barred.accuracy:.3f}, balanced {barred.balanced_accuracy:.3f}, 0.750 is needed"
    )
    answers = judge.answers(scaled(images))
    assert bool(answers[:, 1].isnan().all()) and not bool(answers[:, 0].isnan().any())
    assert "judge/balanced_accuracy/barred" in judge.measures()  # how bad it is may be known


def test_settings_out_of_range_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"judge\.floor is 1\.5"):
        JudgeSettings(floor=1.5)
    with pytest.raises(ConfigError, match=r"judge\.held_out is 'train'"):
        JudgeSettings(held_out="train")  # type: ignore[arg-type]
