"""Feature networks: what the digits' weights know, and what is said when Inception's are missing."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from reprise.config.errors import ConfigError, DataError
from reprise.metrics.images import digits, inception
from reprise.metrics.images.digits import DigitFeatures, DigitNetwork
from reprise.metrics.images.features import to_bytes
from reprise.metrics.images.inception import Inception
from reprise.metrics.images.quality import Quality
from reprise.metrics.images.random_features import RandomFeatures

# the digits that ship with the package


@pytest.fixture(scope="module")
def written() -> tuple[Tensor, Tensor]:
    """1,797 digits of other people than MNIST's, of 17 levels, brought from 8 x 8 into the middle of 28 x 28.

    Strokes that fill a pixel of 8 x 8 are thick beside MNIST's: more contrast thins them.
    """
    found = load_digits()
    small = torch.from_numpy(found.images)[:, None].float()
    large = nn.functional.interpolate(small, (20, 20), mode="bicubic")
    thin = (2 * (large - 4)).clamp(0, 16)
    return nn.functional.pad(thin, (4, 4, 4, 4)).round().to(torch.uint8), torch.from_numpy(found.target)


def test_digits_of_other_people_are_told_apart(written: tuple[Tensor, Tensor]) -> None:
    images, labels = written
    _, logits = DigitFeatures()(to_bytes(images, 17))
    assert logits is not None and logits.shape == (1797, 10)
    assert float((logits.argmax(1) == labels).double().mean()) > 0.8


def test_features_of_digits_are_64_lively_numbers(written: tuple[Tensor, Tensor]) -> None:
    features, _ = DigitFeatures()(to_bytes(written[0], 17))
    assert features.shape == (1797, 64) and features.isfinite().all()
    assert features.std(0).min() > 0.5
    assert torch.linalg.matrix_rank(features.T.cov()) == 64
    assert sum(p.numel() for p in DigitNetwork().parameters()) == 47_290


def test_other_sizes_and_colours_are_brought_to_what_the_network_knows(written: tuple[Tensor, Tensor]) -> None:
    images, labels = written[0][:300], written[1][:300]
    network = DigitFeatures()
    large = nn.functional.interpolate(images.float(), (56, 56), mode="nearest").to(torch.uint8)
    _, logits = network(to_bytes(large, 17))
    assert logits is not None and float((logits.argmax(1) == labels).double().mean()) > 0.8
    values = to_bytes(images, 17)
    colours = torch.stack([values[:, 0], torch.zeros_like(values[:, 0]), values[:, 0]], 1)
    paler = (values.double() * 2 / 3).round().to(torch.uint8)  # their mean, to a byte
    assert torch.allclose(network(colours)[0], network(paler)[0], atol=0.1)


def test_digit_distances_grow_with_what_was_done_to_the_images(written: tuple[Tensor, Tensor]) -> None:
    images = written[0]
    reference, rest = images[::2], images[1::2]
    metric = Quality(DigitFeatures(), len(rest)).metric()
    metric.update_reference(reference, 17, "train")
    generator = torch.Generator().manual_seed(0)
    found = []
    for sigma in (0.0, 1.0, 4.0):
        noise = sigma * torch.randn(rest.shape, generator=generator)
        metric.update_generated((rest + noise).round().clamp(0, 16).to(torch.uint8), 17, list(range(len(rest))))
        found.append(float(metric.compute()["fid_digits_898"]))
        metric.reset()
    assert 0 < found[0] < 0.2 * found[1] < 0.2 * found[2]


def test_weights_of_digits_that_were_changed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert DigitFeatures().available()
    other = tmp_path / "digits.pt"
    other.write_bytes(digits.WEIGHTS.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(digits, "WEIGHTS", other)
    with pytest.raises(DataError, match="was changed: SHA-256 is"):
        DigitFeatures()(torch.zeros(1, 3, 28, 28, dtype=torch.uint8))
    other.unlink()
    with pytest.raises(DataError, match="is missing"):
        Quality(DigitFeatures()).check()
    assert not Quality(DigitFeatures()).available()


# random features


def test_random_features_follow_their_seed_alone() -> None:
    values = to_bytes(torch.arange(192).view(1, 3, 8, 8), 256)
    first, again, other = (RandomFeatures(seed=seed)(values)[0] for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    for side in (1, 5, 64):
        assert RandomFeatures()(torch.zeros(2, 3, side, side, dtype=torch.uint8))[0].shape == (2, 16)


# Inception


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if torch-fidelity and torchvision were installed."""
    find = importlib.util.find_spec
    there = ("torch_fidelity", "torchvision")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in there else find(name))


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of weights whose digest is the expected one."""
    path = tmp_path / "weights.pth"
    torch.save({"scale": torch.tensor([2.0])}, path)
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_missing_packages_are_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as error:
        Quality(Inception()).check()
    for words in ("torch-fidelity and torchvision", "pip install 'reprise[fid]'", "model.quality=null"):
        assert words in str(error.value)
    assert not Inception().available()


@pytest.mark.usefixtures("packages")
def test_missing_weights_are_named_with_address_and_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    with pytest.raises(DataError) as error:
        Inception(str(path)).check()
    for words in (str(path), inception.URL, "model.quality.features.weights=FILE", "model.quality=null"):
        assert words in str(error.value)


@pytest.mark.usefixtures("packages")
def test_other_weights_are_refused(weights: Path) -> None:
    Inception(str(weights)).check()
    weights.write_bytes(weights.read_bytes() + b"x")
    with pytest.raises(DataError, match="holds other weights"):
        Inception(str(weights)).check()


@pytest.mark.usefixtures("packages")
def test_weights_are_fetched_into_torchs_cache(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        return io.BytesIO(weights.read_bytes())

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr("urllib.request.urlopen", answer)
    features = Inception()
    assert not features.available() and asked == []
    features.check()
    assert features.path.read_bytes() == weights.read_bytes()
    assert features.available() and asked == [inception.URL]
    Inception().check()
    assert len(asked) == 1, "it was there"


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("cut", [True, False], ids=["truncated", "no network"])
def test_a_download_that_fails_leaves_nothing_and_says_what_to_do(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: bool
) -> None:
    def answer(url: str, timeout: float) -> io.BytesIO:
        if not cut:
            raise OSError("no route")
        return io.BytesIO(weights.read_bytes()[:-5])

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr("urllib.request.urlopen", answer)
    with pytest.raises(DataError, match=r"could not be downloaded: .*Fetch https"):
        Inception().check()
    assert [p.name for p in (tmp_path / "hub" / "checkpoints").iterdir() if p.suffix != ".lock"] == []


@pytest.mark.usefixtures("packages")
def test_the_extractor_gets_tensors_only_and_is_asked_for_both_outputs(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Extractor(nn.Module):
        def __init__(self, name: str, features_list: list[str], feature_extractor_weights_path: Any) -> None:
            super().__init__()
            assert features_list == ["2048", "logits_unbiased"]
            # it unpickles whatever it is given
            self.scale = torch.load(feature_extractor_weights_path, weights_only=False)["scale"]

        def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
            mean = self.scale * values.float().mean((1, 2, 3))[:, None]
            return mean.expand(-1, 2048), mean.expand(-1, 1008)

    module: Any = types.ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = Extractor
    monkeypatch.setitem(sys.modules, "torch_fidelity", types.ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", module)
    features, logits = Inception(str(weights))(torch.full((2, 3, 4, 4), 7, dtype=torch.uint8))
    assert features.shape == (2, 2048) and logits is not None and logits.shape == (2, 1008)
    assert features.unique().tolist() == [14.0]


@pytest.mark.usefixtures("packages")
def test_weights_that_hold_more_than_tensors_are_not_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"scale": _Evil()}, path)
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(Exception, match="Weights only load failed"):
        Inception(str(path)).build()


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise AssertionError('unpickled')",))
