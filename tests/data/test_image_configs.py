"""Every image data config is complete, of the right types, and builds what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reprise.cli.common import compose_checked
from reprise.config.compose import group_choices
from reprise.config.errors import ConfigError
from reprise.config.instantiate import instantiate
from reprise.data.images.base import ImageDataModule
from reprise.data.images.digits import Digits
from reprise.nn.images import ImageShape
from tests.conftest import ROOT

# what a speech model reads of its data, which images have not
MODEL = [
    "model=wavegrad",
    "model.features={_target_:reprise.nn.spectrogram.LogMel,sample_rate:22050,f_max:11025}",
    "model.network.n_mels=128",
]
EXPECTED = {
    "digits": ("digits.Digits", (1, 8, 17, 10)),
    "mnist": ("mnist.MNIST", (1, 28, 256, 10)),
    "mnist_dynamic": ("mnist.MNIST", (1, 28, 2, 10)),
    "binarized_mnist": ("binarized_mnist.BinarizedMNIST", (1, 28, 2, 0)),
    "cifar10": ("cifar10.CIFAR10", (3, 32, 256, 10)),
    "imagenet32": ("imagenet.DownsampledImageNet", (3, 32, 256, 1000)),
    "imagenet64": ("imagenet.DownsampledImageNet", (3, 64, 256, 1000)),
    "celeba": ("celeba.CelebA", (3, 64, 256, 0)),
    "image_folder": ("folder.ImageFolder", (3, 64, 256, 0)),
    "dead_leaves": ("dead_leaves.DeadLeaves", (1, 32, 256, 0)),
    "shapes": ("shapes.Shapes", (3, 32, 256, 0)),
    "bark": ("patches.ImagePatches", (1, 32, 256, 0)),
    "celebahq256": ("folder.ImageFolder", (3, 256, 256, 0)),
    "lsun_bedroom": ("folder.ImageFolder", (3, 256, 256, 0)),
    "lsun_cat": ("folder.ImageFolder", (3, 256, 256, 0)),
    "lsun_church": ("folder.ImageFolder", (3, 256, 256, 0)),
}
NEEDED = {
    "imagenet32": ["data.root=FOLDER"],
    "imagenet64": ["data.root=FOLDER"],
    **{name: ["data.root=FOLDER"] for name in ("celeba", "celebahq256", "lsun_bedroom", "lsun_cat", "lsun_church")},
    "image_folder": ["data.root=FOLDER", "data.shape.side=64"],
    "bark": ["data.root=FOLDER"],
}


def data_of(name: str, *more: str) -> dict[str, Any]:
    values: dict[str, Any] = compose_checked([*MODEL, f"data={name}", *NEEDED.get(name, []), *more]).values["data"]
    return values


@pytest.mark.parametrize("name", EXPECTED)
def test_every_config_is_right_and_builds_its_data_set(name: str) -> None:
    target, shape = EXPECTED[name]
    values = data_of(name)
    assert values["_target_"] == f"reprise.data.images.{target}"
    built = instantiate(values)
    assert isinstance(built, ImageDataModule)
    assert built.shape == ImageShape(*shape)
    assert built.binarize == ("dynamic" if name == "mnist_dynamic" else None)


def test_every_config_is_looked_at() -> None:
    images = [name for name in group_choices("data") if ".images." in (ROOT / f"conf/data/{name}.yaml").read_text()]
    derived = ["imagenet64", "mnist_dynamic", "celebahq256", "lsun_bedroom", "lsun_cat", "lsun_church"]
    assert sorted({*images, *derived}) == sorted(EXPECTED)


@pytest.mark.parametrize("name", ["celebahq256", "lsun_bedroom", "lsun_cat", "lsun_church"])
def test_presets_crop_and_train_on_all(name: str) -> None:
    values = data_of(name)
    assert values["crop_resize"] and values["train_on_all"] and values["test_examples"] == 1000
    assert values["decode"] == ("always" if name in ("lsun_bedroom", "lsun_cat") else "once")


@pytest.mark.parametrize("name", EXPECTED)
def test_budgets_cut_every_data_set(name: str) -> None:
    built = instantiate(data_of(name, "budget=quick"))
    assert (built.batch_size, built.limits) == (16, {"val": 2, "test": 2})


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_what_only_its_user_can_say_is_asked_for(name: str) -> None:
    with pytest.raises(ConfigError, match=r"data\.(root|shape\.side) is missing"):
        compose_checked([*MODEL, f"data={name}"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.shape.sides=8"], "sides"),
        (["data.binarize=sometimes"], "one of 'fixed', 'dynamic' or null"),
        (["data.exclude_test=[a]"], "data.exclude_test"),
        (["+data.crop_resize=true"], "crop_resize"),
        (["data=celeba", "data.root=FOLDER", "data.attributes=Male"], "data.attributes"),
        (["data=celeba", "data.root=FOLDER", "data.resize=cubic"], "one of 'bilinear', 'area'"),
    ],
)
def test_typing_errors_are_answered_before_anything_is_built(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose_checked([*MODEL, "data=digits", *words])


def test_the_default_trains_without_a_network(tmp_path: Path) -> None:
    data = instantiate(data_of("digits", f"paths.cache={tmp_path}"))
    data.prepare_data()
    data.setup("fit")
    assert isinstance(data, Digits)
    assert next(iter(data.train_dataloader()))["image"].shape == (128, 1, 8, 8)
    assert [len(data.eval_set(s)) for s in ("val", "test")] == [197, 300]
