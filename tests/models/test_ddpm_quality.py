"""What DDPM measures of its samples, and what it shows after a validation and a test, on one process and on two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reprise.config.errors import ConfigError
from reprise.diffusion.steps import Sampling
from reprise.metrics.images.quality import Quality
from reprise.metrics.images.random_features import RandomFeatures
from reprise.models.ddpm.module import DDPM
from reprise.samples.base import first_of_each_group
from reprise.samples.curves import Curve
from reprise.samples.images import ImageGrid
from tests.models.ddpm import SHAPE, batch_of, formula, images, joined, known, lively, logged, unet, with_trainer

pytestmark = pytest.mark.filterwarnings("ignore:FID of", "ignore:The ``compute`` method of metric VariationalBound")
FEW = {"few": Sampling(steps=3), "ddim": Sampling(steps=3, method="ddim")}


def quality(samples: int = 5, reference: Any = "train", features: Any = None) -> Quality:
    return Quality(features or RandomFeatures(), samples, reference, splits=2)


def by_hand(protocol: Quality, made: Tensor) -> dict[str, float]:
    metric = protocol.metric()
    for split in protocol.references:
        metric.update_reference(images(9, 5 if split == "train" else 6), SHAPE.levels, split)
    metric.update_generated(made, SHAPE.levels, list(range(len(made))))
    return {name: float(value) for name, value in metric.compute().items()}


def test_samples_are_measured_in_every_way(tmp_path: Path) -> None:
    protocol = quality(5, ["train", "test"])
    module = lively(unet(quality=protocol, few_steps=FEW, sampling=Sampling(steps=6), sampling_batch=2))
    with_trainer(module, tmp_path)
    found = logged(module)
    module.test_step(batch_of(2), 0)
    module.on_test_epoch_end()
    for prefix, way in (("test", module.sampling), ("test/few", FEW["few"]), ("test/ddim", FEW["ddim"])):
        expected = by_hand(protocol, module.sample([0, 1, 2, 3, 4], 0, "quality", way))
        assert len(expected) == 4
        for name, value in expected.items():
            assert float(found[f"{prefix}/{name}"]) == pytest.approx(value, rel=1e-5), (prefix, name)
    assert found["test/few/fid_random_5"] != found["test/fid_random_5"] != found["test/fid_random_5_test_images"]


def test_every_number_has_a_version_and_every_version_a_number(tmp_path: Path) -> None:
    class Third(RandomFeatures):
        version = 3

    module = formula(quality=quality(features=Third()), val_quality=quality(4), few_steps=FEW)
    with_trainer(module, tmp_path)
    found = logged(module)
    module.validation_step(batch_of(3), 0)
    module.on_validation_epoch_end()
    module.test_step(joined(batch_of(3), batch_of(2, group=1, first=3)), 0)
    module.on_test_epoch_end()
    versions = module.metric_versions()
    assert found.keys() - {"val/loss"} == versions.keys()
    assert {name for name, version in versions.items() if version == 3} == {
        f"test/{way}{name}"
        for way in ("", "few/", "ddim/")
        for name in ("fid_random_5", "score_random_5_2splits", "score_random_5_2splits_std")
    }
    assert {"val/fid_random_4", "val/score_random_4_2splits", "val/bpd", "test/parameters"} <= versions.keys()


def test_the_reference_is_read_once(tmp_path: Path) -> None:
    module = formula(val_quality=quality(4, ["train", "test"]), sampling_batch=4)
    data = with_trainer(module, tmp_path)
    found = []
    for _ in range(2):
        values = logged(module)
        module.on_validation_epoch_end()
        found.append({name: float(value) for name, value in values.items()})
    assert found[0] == found[1] and "val/fid_random_4_test_images" in found[0]
    assert data.read == [(split, row) for split in ("train", "test") for row in range(9)]
    later = formula(quality=quality(4), sampling_batch=4)  # another run on the same data
    data = with_trainer(later, tmp_path)
    values = logged(later)
    later.on_test_epoch_end()
    assert not data.read
    assert float(values["test/fid_random_4"]) == pytest.approx(found[0]["val/fid_random_4"], rel=1e-6)


def test_a_validation_measures_what_has_been_learned_since(tmp_path: Path) -> None:
    module = formula(val_quality=quality(4))
    with_trainer(module, tmp_path)
    values = logged(module)
    module.on_validation_epoch_end()
    first = float(values["val/fid_random_4"])
    known(module).a.data.fill_(0.9)
    module.on_validation_epoch_end()
    assert float(values["val/fid_random_4"]) != first


def test_measuring_changes_nothing_of_the_training_that_goes_on(tmp_path: Path) -> None:
    """Dropout draws from the global generator; whether an earlier run left the reference's features must not show."""
    module = unet(val_quality=quality(4), quality=quality(4, "test"), few_steps=FEW, samples=2, dropout=0.5)
    with_trainer(module, tmp_path)
    logged(module)
    before = torch.get_rng_state()
    for _ in range(2):
        module.on_validation_epoch_end()
        module.on_test_epoch_end()
    assert torch.equal(torch.get_rng_state(), before)
    assert module.network.training


class Shares:
    """Notes what a process gives to a metric of which it has but a part."""

    def __init__(self, module: DDPM) -> None:
        assert module.quality is not None
        self.rows: list[int] = []
        self.made: dict[int, Tensor] = {}
        metric: Any = module.quality.metric
        metric.update_generated = self.generated
        metric.compute = metric.reset = dict

    def generated(self, made: Tensor, levels: int, keys: list[int]) -> None:
        assert levels == SHAPE.levels and len(made) == len(keys) <= 2
        assert not self.made.keys() & set(keys)
        self.made |= dict(zip(keys, made, strict=True))


@pytest.mark.parametrize("world", [2, 3, 7])
def test_processes_share_the_work(world: int, tmp_path: Path) -> None:
    shares, rows = [], []
    for rank in range(world):
        module = formula(quality=quality(5), sampling_batch=2)
        data = with_trainer(module, tmp_path, rank, world)
        logged(module)
        shares.append(Shares(module))
        module.on_test_epoch_end()
        rows += data.read
    assert sorted(rows) == [("train", row) for row in range(9)]
    assert sorted(key for share in shares for key in share.made) == [0, 1, 2, 3, 4]
    assert max(len(share.made) for share in shares) - min(len(share.made) for share in shares) <= 1
    alone = formula().sample([0, 1, 2, 3, 4], 0, "quality")
    for share in shares:
        assert all(torch.equal(image, alone[key]) for key, image in share.made.items())


class Missing(RandomFeatures):
    """Features whose weights are not there."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word = word

    def check(self, fetch: bool = True) -> None:
        raise ConfigError(self.word)


def test_missing_features_are_named_before_they_are_needed() -> None:
    both = formula(
        quality=quality(features=Missing("the test's")), val_quality=quality(features=Missing("the other's"))
    )
    for stage, word in (("fit", "the other's"), ("validate", "the other's"), ("test", "the test's")):
        with pytest.raises(ConfigError, match=word):
            both.setup(stage)
    formula(val_quality=quality(features=Missing("not needed"))).setup("test")
    formula(quality=quality(features=Missing("not needed yet"))).setup("fit")
    formula().setup("fit")


# what is shown


def grid_of(samples: list[Any], name: str) -> ImageGrid:
    (found,) = (sample for sample in samples if sample.name == name)
    assert isinstance(found, ImageGrid)
    return found


@pytest.mark.parametrize("batch", [2, 5, 64])
def test_a_validation_shows_samples(batch: int, tmp_path: Path) -> None:
    module = lively(unet(samples=5, sampling_batch=batch, val_sampling=Sampling(steps=4, method="ddim")))
    with_trainer(module, tmp_path)
    logged(module)
    module.on_validation_epoch_end()
    (shown,) = module.samples
    expected = module.sample([0, 1, 2, 3, 4], 0, "samples", module.val_sampling)
    assert torch.equal(grid_of([shown], "samples").images, expected)
    module.counts["val"] = 0
    module.on_validation_epoch_end()
    assert module.samples == []


def test_a_test_shows_curves_samples_their_making_and_interpolations(tmp_path: Path) -> None:
    module = lively(unet(test_samples=9, interpolations=2, few_steps=FEW))
    data = with_trainer(module, tmp_path)
    found = logged(module)
    module.test_step(batch_of(6), 0)
    module.on_test_epoch_end()
    shown = {sample.name: sample for sample in module.samples}
    assert list(shown) == [
        "rate_distortion",
        "terms",
        "samples",
        "samples_few",
        "samples_ddim",
        "progressive",
        "interpolations",
    ]
    assert len(first_of_each_group(module.samples, 1)) == len(shown)  # an evaluation writes some of each group

    keys = list(range(9))
    assert torch.equal(grid_of(module.samples, "samples").images, module.sample(keys, 0, "samples"))
    few = grid_of(module.samples, "samples_few")
    assert torch.equal(few.images, module.sample(keys, 0, "samples", FEW["few"])) and few.caption == "9 samples, few"
    progressive = grid_of(module.samples, "progressive")
    assert torch.equal(progressive.images.unflatten(0, (8, 10))[:, -1], module.sample(keys[:8], 0, "samples"))

    truth = torch.stack([item["image"] for item in data.items])
    between = grid_of(module.samples, "interpolations")
    assert between.column_titles == ["source", "0", "0.2", "0.4", "0.6", "0.8", "1", "source"]
    rows = between.images.unflatten(0, (2, 8))
    first, second = truth[[0, 1]], truth[[3, 4]]  # held-out images only, of which there are six
    assert torch.equal(rows[:, 0], first) and torch.equal(rows[:, -1], second)
    for i, mix in enumerate((0.0, 0.2, 0.4, 0.6, 0.8, 1.0)):
        assert torch.equal(rows[:, i + 1], module.interpolate(first, second, 6, mix, [0, 1]))

    curve, terms = shown["rate_distortion"], shown["terms"]
    assert isinstance(curve, Curve) and isinstance(terms, Curve)
    times = sorted({12 * k // 10 for k in range(1, 11)})
    assert curve.x[1] == pytest.approx([float(found[f"test/rate/{time}"]) for time in times], rel=1e-6)
    assert curve.series["RMSE [0, 255]"] == pytest.approx(
        [float(found[f"test/rmse/{time}"]) for time in times], rel=1e-6
    )
    assert terms.x[1] == list(range(1, 13))
    values = terms.series["bits/dim"]
    assert values[0] == pytest.approx(float(found["test/distortion_bpd"]), rel=1e-6)
    assert sum(values) + float(found["test/prior_bpd"]) == pytest.approx(float(found["test/bpd"]), rel=1e-6)


def test_terms_of_a_stratum_stand_at_its_middle(tmp_path: Path) -> None:
    module = formula(30, test_terms=4)
    with_trainer(module, tmp_path)
    logged(module)
    module.test_step(batch_of(3), 0)
    module.on_test_epoch_end()
    (terms,) = (sample for sample in module.samples if sample.name == "terms")
    assert isinstance(terms, Curve)
    assert terms.x[1] == [(first + last) / 2 for first, last in module.test_strata]
    whole = sum(v * (b - a + 1) for v, (a, b) in zip(terms.series["bits/dim"], module.test_strata, strict=True))
    values = module.bounds[0].compute()  # type: ignore[operator]
    assert values == {}  # forgotten by then
    assert whole > 0


@pytest.mark.parametrize(("count", "pairs"), [(2, 0), (3, 0), (4, 1), (6, 2), (8, 3)])
def test_there_are_no_more_pairs_than_images(count: int, pairs: int, tmp_path: Path) -> None:
    module = formula(interpolations=7)
    with_trainer(module, tmp_path, count=count)
    logged(module)
    module.on_test_epoch_end()
    assert [len(s.images) for s in module.samples if isinstance(s, ImageGrid)] == ([8 * pairs] if pairs else [])


def test_without_pictures_nothing_is_drawn(tmp_path: Path) -> None:
    module = formula()
    with_trainer(module, tmp_path)
    logged(module)
    module.on_validation_epoch_end()
    module.on_test_epoch_end()
    assert module.samples == [] and known(module).seen == []
