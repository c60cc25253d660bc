"""FID and Inception Score against closed forms, other code, and themselves on several processes."""

from __future__ import annotations

import copy
import logging
import math
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore

from reprise.config.errors import ConfigError, DataError, RunError
from reprise.metrics.images.features import FeatureNetwork, to_bytes
from reprise.metrics.images.metric import ImageQuality
from reprise.metrics.images.quality import Quality
from reprise.metrics.images.random_features import RandomFeatures
from reprise.metrics.images.score import SplitScore


def images(count: int, seed: int = 0, high: int = 256, channels: int = 3, side: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, high, (count, channels, side, side), generator=generator, dtype=torch.uint8)


class Colours(FeatureNetwork):
    """Means of the three colours: features whose Gaussians are known."""

    name, version, dims, classes = "colours", 3, 3, None

    def check(self, fetch: bool = True) -> None:
        """Nothing can be missing."""

    def build(self) -> nn.Module:
        return _Means()


class _Means(nn.Module):
    def forward(self, values: Tensor) -> tuple[Tensor, None]:
        return values.double().mean((2, 3)), None


class Wide(RandomFeatures):
    """Under the name and with the sizes of the network of published figures, which these tests do not have."""

    name, dims, classes = "inception", 4, 5


def measured(quality: Quality, reference: Tensor, generated: Tensor, levels: int = 256) -> dict[str, float]:
    metric = quality.metric()
    for split in quality.references:
        metric.update_reference(reference, levels, split)
    metric.update_generated(generated, levels, list(range(len(generated))))
    return {name: float(value) for name, value in metric.compute().items()}


# values


def gaussian_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)), by scipy's matrix root."""
    c, d = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(c @ d).real
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c + d - 2 * root))


@pytest.mark.parametrize("seed", [0, 1])
def test_fid_is_the_closed_form_of_two_gaussians(seed: int) -> None:
    quality = Quality(RandomFeatures(seed=seed), 60)
    real, fake = images(90, seed), images(60, seed + 10, high=200)
    a, b = (quality.features(to_bytes(x, 256))[0].numpy() for x in (real, fake))
    assert measured(quality, real, fake)["fid_random_60"] == pytest.approx(gaussian_distance(a, b), rel=1e-8)


def test_fid_of_a_shift_is_its_square() -> None:
    real = images(40, high=100)
    found = measured(Quality(Colours(), 40), real, real + torch.tensor([3, 4, 12], dtype=torch.uint8)[:, None, None])
    assert found == {"fid_colours_40": pytest.approx(3**2 + 4**2 + 12**2, abs=1e-6)}


def test_fid_of_commuting_covariances_is_that_of_their_deviations() -> None:
    """Features doubled about zero: |m|^2 + sum of variances, since (2s - s)^2 = s^2 for each deviation s."""
    real = images(50, high=128)
    values = real.double().mean((2, 3))
    expected = float(values.mean(0).square().sum() + values.var(0).sum())
    assert measured(Quality(Colours(), 50), real, real * 2)["fid_colours_50"] == pytest.approx(expected, rel=1e-9)


def test_fid_is_torchmetrics_own() -> None:
    network = RandomFeatures()
    theirs = FrechetInceptionDistance(_Only(network, 0, network.dims))
    real, fake = images(50), images(40, 1)
    for part in real.split(13):
        theirs.update(part, real=True)
    theirs.update(fake, real=False)
    ours = measured(Quality(network, 40), real, fake)["fid_random_40"]
    assert ours == pytest.approx(float(theirs.compute()), rel=1e-9)


class _Only(nn.Module):
    """One of the outputs of a feature network, as torchmetrics wants it."""

    def __init__(self, network: FeatureNetwork, index: int, num_features: int) -> None:
        super().__init__()
        self.network, self.index, self.num_features = network, index, num_features

    def forward(self, values: Tensor) -> Tensor:
        return self.network(values)[self.index]  # type: ignore[return-value]


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore` will save")
def test_the_score_of_one_part_is_torchmetrics_own() -> None:
    network = RandomFeatures()
    theirs = InceptionScore(_Only(network, 1, network.classes), splits=1)
    theirs.update(images(40))
    with pytest.warns(UserWarning, match="degrees of freedom"):  # its deviation of one part
        expected = float(theirs.compute()[0])
    found = measured(Quality(network, 40, splits=1), images(20), images(40))
    assert found["score_random_40_1splits"] == pytest.approx(expected, rel=1e-9)
    assert found["score_random_40_1splits_std"] == 0.0


@pytest.mark.parametrize(("samples", "splits"), [(50, 10), (53, 10), (7, 7), (20, 1)])
def test_the_score_is_the_formula_on_consecutive_parts(samples: int, splits: int) -> None:
    logits = 3 * torch.randn(samples, 6, generator=torch.Generator().manual_seed(samples), dtype=torch.float64)
    p = torch.softmax(logits, 1).numpy()
    scores = []
    for i in range(splits):
        part = p[i * samples // splits : (i + 1) * samples // splits]
        scores.append(math.exp(np.mean(np.sum(part * (np.log(part) - np.log(part.mean(0))), 1))))
    metric = SplitScore(samples, 6, splits)
    order = torch.randperm(samples, generator=torch.Generator().manual_seed(1))
    for keys in order.split(8):
        metric.update(logits[keys], keys)
    mean, deviation = metric.compute()
    assert (float(mean), float(deviation)) == pytest.approx((np.mean(scores), np.std(scores)), rel=1e-12)


def test_scores_of_certain_and_of_blind_classifiers_are_the_ends_of_the_scale() -> None:
    certain, blind = SplitScore(40, 4, 2), SplitScore(40, 4, 2)
    keys = torch.arange(40)
    certain.update(1e4 * torch.eye(4)[keys % 4], keys)
    blind.update(torch.ones(40, 4), keys)
    assert [float(v) for v in certain.compute()] == pytest.approx([4.0, 0.0], abs=1e-12)
    assert [float(v) for v in blind.compute()] == pytest.approx([1.0, 0.0], abs=1e-12)


def test_values_do_not_depend_on_batches_or_order_or_repetitions() -> None:
    quality = Quality(RandomFeatures(), 40, ["train", "test"], splits=4)
    real, fake = images(60), images(40, 1)
    whole = measured(quality, real, fake)
    metric = quality.metric()
    for part in real.split(7):
        metric.update_reference(part, 256, "test")
        metric.update_reference(part, 256, "train")
    for keys in torch.randperm(40, generator=torch.Generator().manual_seed(0)).split(6):
        metric.update_generated(fake[keys], 256, keys.tolist())
    metric.update_generated(images(3, 5), 256, [2, 2, 39])  # there already: not counted
    metric.update_generated(images(0), 256, [])
    assert {k: float(v) for k, v in metric.compute().items()} == pytest.approx(whole, rel=1e-9)
    assert whole == measured(quality, real, fake), "the same twice"


def test_sums_are_kept_in_double_precision() -> None:
    metric = Quality(Colours(), 300).metric()
    bright = images(300, high=3) + 250  # a spread of one beside a mean of 250, whose squares float32 cannot tell apart
    metric.update_reference(bright, 256, "train")
    metric.update_generated(bright.flip(0), 256, list(range(300)))
    (value,) = metric.compute().values()
    assert value.dtype == torch.float64 and abs(float(value)) < 1e-7


# levels


def test_levels_are_spread_to_the_nearest_byte() -> None:
    assert to_bytes(torch.tensor([0, 1, 2, 3, 4]).view(1, 1, 1, 5), 5)[0, 0, 0].tolist() == [0, 64, 128, 191, 255]
    for levels in (2, 3, 17, 128, 255, 256):
        v = torch.arange(levels)
        expected = torch.floor(255 * v.double() / (levels - 1) + 0.5)
        assert torch.equal(to_bytes(v.view(1, 1, 1, -1), levels)[0, 0, 0].double(), expected)


def test_grey_is_three_equal_colours_and_levels_do_not_matter_to_the_values() -> None:
    grey = images(30, high=2, channels=1)
    assert to_bytes(grey, 2).shape == (30, 3, 8, 8) and to_bytes(grey, 2).unique().tolist() == [0, 255]
    quality = Quality(RandomFeatures(), 30)
    assert measured(quality, grey[:20], grey, levels=2) == measured(quality, grey[:20] * 255, grey * 255)


@pytest.mark.parametrize(
    ("wrong", "levels"),
    [
        (torch.zeros(1, 3, 4, 4), 256),
        (torch.zeros(1, 2, 4, 4, dtype=torch.uint8), 256),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), 256),
        (torch.full((1, 1, 4, 4), 2), 2),
        (torch.full((1, 1, 4, 4), -1), 256),
    ],
    ids=["floats", "two channels", "no batch", "too bright", "negative"],
)
def test_what_is_no_image_is_refused(wrong: Tensor, levels: int) -> None:
    with pytest.raises(DataError, match="Expected"):
        to_bytes(wrong, levels)


# names


def test_names_say_what_was_measured() -> None:
    published = Quality(Wide(), reference=["train", "test"])
    assert published.names == ["fid_50k", "fid_50k_test_images", "inception_score", "inception_score_std"]
    assert Quality(Wide(), 5000).names == ["fid_inception_5k", "score_inception_5k", "score_inception_5k_std"]
    assert Quality(RandomFeatures(), 2500, "test").names[0] == "fid_random_2500_test_images"
    assert Quality(Colours(), 16).names == ["fid_colours_16"]
    assert Quality(Wide(), splits=5).names[:2] == ["fid_50k", "score_inception_50k_5splits"]
    assert Quality(RandomFeatures(), 50_000).names == ["fid_random_50k", "score_random_50k", "score_random_50k_std"]


def test_no_two_protocols_share_a_name() -> None:
    seen: dict[str, Any] = {}
    for features in (Wide(), RandomFeatures(), Colours()):
        for samples in (1000, 1001, 5000, 10_000, 50_000):
            for split in ("train", "test"):
                for splits in (1, 5, 10):
                    quality = Quality(features, samples, split, splits)
                    for i, name in enumerate(quality.names):
                        measured_by = (features.name, samples, split if i == 0 else splits, i)
                        assert seen.setdefault(name, measured_by) == measured_by


def test_a_version_grows_with_the_protocol_and_with_the_features() -> None:
    assert Quality(RandomFeatures(), 16).versions() == dict.fromkeys(Quality(RandomFeatures(), 16).names, 1)
    assert Quality(Colours(), 16).versions() == {"fid_colours_16": 3}


def test_what_is_computed_has_the_names_that_were_promised() -> None:
    quality = Quality(RandomFeatures(), 16, ["test", "train"])
    assert list(measured(quality, images(20), images(16))) == quality.names


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"samples": 1}, "samples is 1"),
        ({"samples": 4, "splits": 5}, "splits is 5"),
        ({"samples": 4, "splits": 0}, "splits is 0"),
        ({"reference": "val"}, "reference is 'val'"),
        ({"reference": []}, r"reference is \[\]"),
        ({"reference": ["train", "train"]}, "reference is"),
    ],
)
def test_protocols_that_cannot_be_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Quality(RandomFeatures(), **settings)


# what came


def test_missing_images_are_counted_and_nothing_is_computed_from_fewer() -> None:
    metric = Quality(RandomFeatures(), 20).metric()
    metric.update_generated(images(19), 256, list(range(19)))
    with pytest.raises(RunError, match="19 of 20 generated images"):
        metric.compute()
    metric.update_generated(images(1), 256, [19])
    with pytest.raises(RunError, match="0 train images"):
        metric.compute()


def test_keys_must_be_those_of_the_protocol() -> None:
    metric = Quality(RandomFeatures(), 20).metric()
    with pytest.raises(ValueError, match="Expected 0 to 19"):
        metric.update_generated(images(2), 256, [0, 20])
    with pytest.raises(ValueError, match="2 images have 1 keys"):
        metric.update_generated(images(2), 256, [0])
    with pytest.raises(DataError, match="test images are no reference"):
        metric.update_reference(images(2), 256, "test")


def test_few_images_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    metric = Quality(RandomFeatures(), 15, splits=3).metric()
    metric.update_reference(images(40), 256, "train")
    for _ in range(2):
        metric.update_generated(images(15, 1), 256, list(range(15)))
        with caplog.at_level(logging.WARNING):
            assert torch.stack(list(metric.compute().values())).isfinite().all()
        metric.reset()
    assert [r.message.split(" features")[0] for r in caplog.records] == ["FID of 15 generated images with 16"]


def test_a_reset_keeps_the_reference_alone() -> None:
    quality = Quality(RandomFeatures(), 20)
    metric = quality.metric()
    assert not metric.knows("train")
    metric.update_reference(images(30), 256, "train")
    metric.update_generated(images(20, 1), 256, list(range(20)))
    first = metric.compute()
    metric.reset()
    assert metric.knows("train")
    metric.update_generated(images(20, 2), 256, list(range(20)))
    second = {name: float(value) for name, value in metric.compute().items()}
    assert second == measured(quality, images(30), images(20, 2))
    assert second["fid_random_20"] != float(first["fid_random_20"])


# as a part of a model


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.quality: ImageQuality = Quality(RandomFeatures(), 20).metric()


def test_a_model_neither_counts_nor_saves_nor_copies_the_feature_network() -> None:
    model = Model()
    model.quality.update_reference(images(20), 256, "train")
    assert model.quality.quality.features._network is not None
    assert list(model.state_dict()) == ["weight"]
    assert [p.shape for p in model.parameters()] == [(1,)]
    copied = copy.deepcopy(model)
    assert copied.quality.quality.features._network is None
    assert len(pickle.dumps(model.quality.quality)) < 1000
    for one in (model, copied):  # they go on from the same sums
        one.quality.update_generated(images(20, 1), 256, list(range(20)))
    assert model.quality.compute() == copied.quality.compute()


def test_measuring_touches_no_random_state_and_no_precision() -> None:
    class Layers(RandomFeatures):
        def build(self) -> nn.Module:
            nn.Linear(4, 4)  # draws initial weights
            return super().build()

    torch.manual_seed(0)
    state, precision = torch.get_rng_state(), torch.get_float32_matmul_precision()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        inside = Layers()(images(4))[0]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_float32_matmul_precision() == precision
    assert torch.equal(inside, RandomFeatures()(images(4))[0]), "autocast reached the network"


def test_the_network_takes_images_in_portions() -> None:
    network = RandomFeatures()
    network.batch = 3
    for count in (0, 1, 3, 8):
        features, logits = network(images(count))
        assert features.shape == (count, 16) and logits is not None and logits.shape == (count, 10)
    assert torch.allclose(network(images(8))[0], RandomFeatures()(images(8))[0], atol=1e-6)
