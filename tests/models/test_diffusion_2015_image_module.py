"""Diffusion (2015) on images as a Lightning module: whitening, bits/dim, what is known, Parzen windows, pictures."""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reprise.config.errors import ConfigError, DataError
from reprise.metrics.parzen import choose_sigma, default_sigmas, parzen_log_prob
from reprise.models.diffusion_2015 import image_module
from reprise.models.diffusion_2015.gaussian import GaussianChain
from reprise.models.diffusion_2015.image_conditions import corrupted, kept, noisy
from reprise.models.diffusion_2015.image_module import ImageDiffusion2015
from reprise.models.diffusion_2015.image_network import ImageNetwork
from reprise.models.diffusion_2015.schedule import DiffusionRates
from reprise.models.diffusion_2015.whitening import Whitening
from reprise.nn.images import ImageShape
from reprise.samples.images import ImageGrid

SHAPE = ImageShape(1, 4, 8)


class Nothing(nn.Module):
    """Outputs of zero: reverse steps are the forward kernel."""

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(x), torch.zeros_like(x)


class Examples:
    """Images by number; all of them a validation and a test split, those from `held_out` on training images."""

    def __init__(self, image: Tensor, held_out: int | None = None) -> None:
        self.image = image
        self.count = len(image) if held_out is None else held_out

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return {"image": self.image[i], "id": f"test-{i}", "group": int(i >= self.count), "position": i}

    def train_set(self) -> Examples:
        return self

    def eval_set(self, split: str) -> Examples:
        return self

    def epoch_size(self) -> int:
        return len(self.image)

    def held_out(self) -> int:
        return self.count

    def batch(self, *rows: int) -> dict[str, Any]:
        items = [self[i] for i in rows or range(len(self))]
        return {
            "image": torch.stack([item["image"] for item in items]),
            "id": [item["id"] for item in items],
            "group": torch.tensor([item["group"] for item in items]),
            "position": torch.tensor([item["position"] for item in items]),
        }


def images(count: int, shape: ImageShape = SHAPE, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = (count, shape.channels, shape.side, shape.side)
    return torch.randint(0, shape.levels, size, generator=generator, dtype=torch.uint8)


def module(
    shape: ImageShape = SHAPE, network: nn.Module | None = None, steps: int = 6, data: Any = None, **changes: Any
) -> ImageDiffusion2015:
    torch.manual_seed(0)
    if network is None:
        network = ImageNetwork(shape, steps, 3, dense_hidden=8, filters=4)
    settings: dict[str, Any] = {"samples": 0, "test_samples": 0, "completed": 0, "denoised": 0}
    chain = GaussianChain(DiffusionRates(steps, "erase_half", first=1e-3))
    optimizer = functools.partial(torch.optim.RMSprop, lr=1e-3)
    found = ImageDiffusion2015(network, chain, shape, optimizer, 3, **(settings | changes))  # type: ignore[arg-type]
    found._trainer = SimpleNamespace(datamodule=data, global_rank=0, world_size=1)  # type: ignore[assignment]
    return found


def logged(found: ImageDiffusion2015) -> dict[str, float]:
    values: dict[str, float] = {}
    found.log = lambda name, value, **_: values.__setitem__(name, float(value))  # type: ignore[method-assign,assignment]
    return values


def test_whitened_images_have_mean_0_and_variance_1_and_come_back() -> None:
    image = images(4000) // 2  # 0 to 3
    whitening = Whitening(SHAPE)
    values = image.double()
    whitening.fit(values.mean().item(), values.var(correction=0).item())
    uniform = torch.rand(image.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = whitening(image, uniform)
    assert x.dtype == torch.float32
    assert abs(x.mean().item()) < 0.01 and x.var().item() == pytest.approx(1, abs=0.01)
    torch.testing.assert_close(whitening.levels(x), image + uniform - 0.5, rtol=0, atol=1e-5)
    for found in (whitening(image), x):  # any place within a level is that level
        assert torch.equal(whitening.whole_numbers(found), image)
    assert torch.equal(whitening.whole_numbers(torch.tensor([-99.0, 99.0])), torch.tensor([0, 7], dtype=torch.uint8))
    assert whitening.log_scale().item() == pytest.approx(16 * math.log(math.sqrt(values.var(correction=0) + 1 / 12)))


def test_setup_finds_mean_and_variance_of_all_training_images() -> None:
    image = images(2300) // 3
    found = module(data=Examples(image))
    before = found.whitening.state_dict()
    found.setup("test")
    assert found.whitening.state_dict() == before
    found.setup("fit")
    values = image.double()
    assert found.whitening.mean.item() == pytest.approx(values.mean().item(), rel=1e-12)
    assert found.whitening.std.item() ** 2 == pytest.approx(values.var(correction=0).item() + 1 / 12, rel=1e-12)
    assert {"whitening.mean", "whitening.std"} <= found.state_dict().keys()
    with pytest.raises(ConfigError, match="all training images are of one value"):
        module(data=Examples(torch.full((5, 1, 4, 4), 3, dtype=torch.uint8))).setup("fit")


def test_noise_of_an_image_follows_its_id_when_measured_and_its_position_when_trained_on() -> None:
    data = Examples(images(6))
    found = module(data=data)
    together, alone = found.measure(data.batch()), found.measure(data.batch(4))
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[4:5], b, rtol=1e-5, atol=1e-5)
    batch = data.batch()
    assert torch.equal(found.training_step(batch, 0), found.training_step(batch, 0))
    moved = batch | {"position": batch["position"] + 6}
    assert not torch.equal(found.training_step(batch, 0), found.training_step(moved, 0))


def test_outputs_of_zero_on_the_prior_gain_nothing_and_bits_are_counted_a_pixel() -> None:
    """Colour images: a pixel is three values, each of log2(2 pi e) / 2 = 2.047 bits under a unit Gaussian."""
    shape = ImageShape(3, 8, 256)
    noise = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    data = Examples((128 + 40 * noise).round().clamp(0, 255).to(torch.uint8))
    found = module(shape, Nothing(), steps=40, data=data)
    found.setup("fit")
    values = logged(found)
    found.test_step(data.batch(), 0)
    found.on_test_epoch_end()
    assert values["test/bound_gain_bits"] == pytest.approx(0, abs=0.02)
    assert values["test/bound_bits"] == pytest.approx(-3 * math.log2(2 * math.pi * math.e) / 2, abs=0.03)
    assert values["test/bpd"] == pytest.approx(math.log2(40 * math.sqrt(2 * math.pi * math.e)), abs=0.03)
    assert {"test/bound_bits", "test/bound_gain_bits", "test/bpd", "val/bound_bits"} <= found.metric_versions().keys()


def test_bits_per_dim_are_the_bound_on_another_scale_and_of_held_out_images_alone() -> None:
    data = Examples(images(8), held_out=5)
    found = module(data=data)
    found.setup("fit")
    values = logged(found)
    for rows in ((0, 1, 2), (3, 4, 5), (6, 7)):
        found.test_step(data.batch(*rows), 0)
    found.on_test_epoch_end()
    assert values["test/bpd"] == pytest.approx(-values["test/bound_bits"] + math.log2(found.whitening.std), rel=1e-5)
    assert values["test/train_images/bound_bits"] != values["test/bound_bits"]
    assert "test/parzen_nats" not in values and "test/parzen_nats" not in found.metric_versions()


def test_bits_per_dim_are_those_of_a_distribution_over_all_images() -> None:
    """The bound, averaged over noise, is below the log-probability of an image; those of all 16 images sum to 1."""
    shape = ImageShape(1, 2, 2)
    every = torch.tensor([[[[i & 1, i >> 1 & 1], [i >> 2 & 1, i >> 3 & 1]]] for i in range(16)], dtype=torch.uint8)
    found = module(shape, Nothing(), steps=20, trajectories=3)
    found.whitening.fit(0.5, 0.25)
    bounds = []
    for repeat in range(60):
        batch = Examples(every).batch() | {"id": [f"{repeat}-{i}" for i in range(16)], "group": torch.zeros(16)}
        bounds.append(found.measure(batch)[0] - found.whitening.log_scale())
    total = torch.stack(bounds).mean(0).exp().sum().item()
    assert 0.2 < total < 1.0


@pytest.mark.parametrize("region", ["lower_half", "centre"])
def test_kept_pixels_stay_and_the_others_are_drawn(region: Any) -> None:
    image = images(3)
    found = module()
    known = kept(found.whitening, image, region)
    drawn = [found.draw([0, 1, 2], seed, "complete", known) for seed in (0, 1)]
    assert 0 < known.mask.sum() < known.mask.numel()
    for made in drawn:
        assert torch.equal(made[known.mask], image[known.mask])
    assert not torch.equal(*drawn)


def test_noise_that_is_added_has_its_size_and_follows_the_id() -> None:
    image = images(200)
    whitening = Whitening(SHAPE)
    ids = [f"test-{i}" for i in range(200)]
    known = corrupted(whitening, image, 0.5, ids, 0)
    added = known.value - whitening(image)
    assert added.std().item() == pytest.approx(0.5, rel=0.03) and known.mask.all() and known.noise == 0.5
    alone = corrupted(whitening, image[7:8], 0.5, ids[7:8], 0)
    assert torch.equal(alone.value[0], known.value[7])
    assert not torch.equal(corrupted(whitening, image, 0.5, ids, 1).value, known.value)
    assert torch.equal(noisy(whitening, image, 0.5).value, whitening(image))


def test_denoised_images_lie_between_the_noisy_ones_and_the_prior() -> None:
    """The less noise an image is said to have, the closer to it the drawn one is."""
    image = images(50)
    found = module(network=Nothing(), steps=50)
    found.whitening.fit(image.double().mean().item(), image.double().var().item())
    distances = []
    for noise in (0.05, 0.5, 5.0):
        known = noisy(found.whitening, image, noise)
        x = found.sample(list(range(50)), 0, "denoise", known)
        distances.append((x - known.value).square().mean().item())
    assert distances[0] < 0.02 < distances[1] < 1 < distances[2]


def test_parzen_windows_are_put_around_samples_on_the_scale_of_0_to_1() -> None:
    data = Examples(images(30), held_out=25)
    found = module(data=data, parzen_samples=12, parzen_validation=7)
    found.setup("fit")
    values = logged(found)
    found.on_test_start()
    for rows in (range(0, 20), range(20, 30)):
        found.test_step(data.batch(*rows), 0)
    found.on_test_epoch_end()
    samples = found.whitening.levels(found.sample(list(range(12)), 0, "parzen")) / 7
    unit = data.image.double() / 7
    sigma = choose_sigma(samples, unit[:7], default_sigmas())
    each = parzen_log_prob(unit[:25], samples, sigma)
    assert values["test/parzen_sigma"] == pytest.approx(sigma, rel=1e-6)
    assert values["test/parzen_nats"] == pytest.approx(each.mean().item(), rel=1e-4)
    assert values["test/parzen_bits"] == pytest.approx(values["test/parzen_nats"] / math.log(2), rel=1e-6)
    assert values["test/parzen_nats_stderr"] == pytest.approx(each.std(correction=0).item() / 5, rel=1e-3)
    assert {name for name in values if "parzen" in name} <= found.metric_versions().keys()


@pytest.mark.parametrize("world", [2, 3])
def test_any_number_of_processes_draws_the_same_images_for_parzen_windows(
    world: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_module, "_BLOCK", 4)
    alone = module()._spread(10)
    assert alone.shape == (10, 1, 4, 4)
    found = module()
    pieces: list[list[Tensor]] = []  # what each process draws, round by round

    def remember(x: Tensor) -> Tensor:
        pieces[-1].append(x)
        return x[None]

    found.all_gather = remember  # type: ignore[method-assign,assignment]
    for rank in range(world):
        pieces.append([])
        found._trainer = SimpleNamespace(global_rank=rank, world_size=world)  # type: ignore[assignment]
        found._spread(10)
    rounds = [torch.stack(each) for each in zip(*pieces, strict=True)]

    def gather(_: Tensor) -> Tensor:
        return rounds.pop(0)

    found.all_gather = gather  # type: ignore[method-assign,assignment]
    assert torch.equal(found._spread(10), alone)
    assert not rounds


def test_pictures_are_samples_completed_and_denoised_test_images() -> None:
    data = Examples(images(5), held_out=3)
    found = module(data=data, samples=2, test_samples=6, completed=2, denoised=9)
    logged(found)
    found.on_validation_epoch_end()
    (grid,) = found.samples
    assert isinstance(grid, ImageGrid) and len(grid.images) == 2
    found.test_step(data.batch(), 0)
    found.on_test_epoch_end()
    samples, completed, denoised, _ = found.samples
    assert [s.name for s in found.samples] == ["samples", "completed", "denoised", "terms"]
    assert isinstance(samples, ImageGrid) and len(samples.images) == 6
    assert isinstance(completed, ImageGrid) and isinstance(denoised, ImageGrid)
    assert len(completed.images) == 2 * 5 and len(denoised.images) == 3 * 5  # held-out images, five of each
    assert torch.equal(completed.images[0], data.image[0]) and torch.equal(denoised.images[5], data.image[1])
    assert (completed.images[1][:, 2:] == 0).all()
    for way in (2, 3, 4):
        assert torch.equal(completed.images[way][:, :2], data.image[0][:, :2])
    assert not torch.equal(completed.images[2], completed.images[3])


def test_generating_from_nothing_completing_and_denoising() -> None:
    data = Examples(images(3))
    found = module(data=data)
    steps: list[int] = []
    made = found.generate([None] * 4, seed=1, on_step=steps.append)
    assert len(made) == 4 and made[0].dtype == torch.uint8 and len(steps) == found.generate_steps() == 6
    assert torch.equal(torch.stack(found.generate([None], seed=1, keys=[2])), made[2][None])
    assert not torch.equal(found.generate([None], seed=2, keys=[2])[0], made[2])
    given = [data[i] for i in range(3)]
    assert found.inputs_for() == "none"
    assert found.inputs_for(complete="centre") == found.inputs_for(denoise=0.5) == "examples"
    completed = found.generate(given, complete="right_half")
    assert torch.equal(torch.stack(completed)[..., :2], data.image[..., :2])
    for options, columns in (
        ({"complete": "right_half"}, 3),
        ({"denoise": 0.5}, 3),
        ({"denoise": 0.5, "add_noise": False}, 2),
    ):
        grid = found.overview(given, found.generate(given, **options), **options)  # type: ignore[arg-type]
        assert isinstance(grid, ImageGrid) and grid.columns == columns and len(grid.images) == 3 * columns
    assert isinstance(found.overview([None] * 4, made), ImageGrid)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"complete": "centre", "denoise": 1.0}, "Expected one of them"),
        ({"denoise": 0.0}, "denoise=0"),
        ({"denoise": math.nan}, "denoise=nan"),
        ({"complete": "middle"}, "Expected one of lower_half"),
    ],
)
def test_impossible_requests_are_refused(options: dict[str, Any], words: str) -> None:
    data = Examples(images(2))
    with pytest.raises(ConfigError, match=words):
        module(data=data).generate([data[0]], **options)


def test_given_images_of_another_form_are_refused() -> None:
    with pytest.raises(DataError, match="whole numbers"):
        module().generate([{"image": torch.zeros(1, 5, 5, dtype=torch.uint8), "id": "a"}], complete="centre")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"completed": -1}, "model.completed is -1"),
        ({"parzen_samples": -1}, "model.parzen_samples is -1"),
        ({"parzen_validation": 0}, "model.parzen_validation is 0"),
        ({"rows": 0}, "model.rows is 0"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        module(**changes)


def test_both_forms_of_a_reverse_step() -> None:
    """Outputs of zero keep the forward kernel's variance; `decay` goes towards raw_mean by the variance's share."""
    rates = DiffusionRates(6, "erase_half", first=1e-3)
    x, t = torch.randn(5, 1, 4, 4), torch.tensor([2, 3, 4, 5, 6])
    raw = torch.randn(5, 1, 4, 4), torch.randn(5, 1, 4, 4)
    network = lambda x, t: raw  # noqa: E731
    beta = rates()[t - 1].float()[:, None, None, None]
    for form in ("step", "decay"):
        chain = GaussianChain(rates, form)  # type: ignore[arg-type]
        table = chain.table()
        _, variance = chain.reverse(Nothing(), table, x, t)
        torch.testing.assert_close(variance, beta.expand_as(x))
        mean, variance = chain.reverse(network, table, x, t)  # type: ignore[arg-type]
        scale = 1.0 if form == "decay" else math.sqrt(6)
        torch.testing.assert_close(variance, torch.sigmoid(raw[1] / scale + torch.logit(beta)))
        expected = x * (1 - beta).sqrt() + raw[0] * beta.sqrt()
        if form == "decay":
            expected = (x - raw[0]) * (1 - variance) + raw[0]
        torch.testing.assert_close(mean, expected)
    with pytest.raises(ConfigError, match="Expected 'step', 'signal' or 'decay'"):
        GaussianChain(rates, "other")  # type: ignore[arg-type]
