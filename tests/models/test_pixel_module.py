"""The Lightning module of pixel models: likelihood, samples, completions, labels, data-dependent initial weights."""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from reprise.config.errors import ConfigError, DataError
from reprise.models.pixelrnn.network import PixelRNNCache
from reprise.models.pixelrnn.pixelcnn import PixelCNN
from reprise.models.pixels.bayes import log_joint
from reprise.models.pixels.module import PixelModel
from reprise.nn.images import ImageShape
from reprise.nn.occlusion import known_pixels
from reprise.nn.pixels.categorical import Categorical
from reprise.samples.images import ImageGrid
from tests.models.pixels import naive_sample

SHAPE = ImageShape(1, 6, 4, classes=3)
ADAM = functools.partial(torch.optim.Adam, lr=1e-3)


class ByClass(PixelCNN):
    """A PixelCNN whose every layer is biased by an image-sized map of the class."""

    conditions_on = "label"

    def __init__(self) -> None:
        super().__init__(Categorical(SHAPE), hidden=4, layers=2, head_width=4, condition_maps=SHAPE.classes)
        self.seen: Tensor | None = None

    def condition(self, image: Tensor, label: Tensor | None) -> Tensor:
        if label is None:
            raise ConfigError("no label")
        one_hot = torch.nn.functional.one_hot(label, SHAPE.classes).to(next(self.parameters()))
        return one_hot[:, :, None, None].expand(-1, -1, SHAPE.side, SHAPE.side)

    def initialise(self, image: Tensor, label: Tensor | None = None) -> None:
        self.seen = image


def plain(seed: int = 0, **settings: Any) -> PixelModel:
    torch.manual_seed(seed)
    network = PixelCNN(Categorical(SHAPE), hidden=4, layers=2, head_width=4)
    return PixelModel(network, ADAM, seed=0, **settings)


def by_class(**settings: Any) -> PixelModel:
    torch.manual_seed(0)
    network = ByClass()
    for parameter in network.parameters():
        parameter.data.mul_(1.5)
    return PixelModel(network, ADAM, seed=0, **settings)


def batch_of(count: int, group: int = 0) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    return {
        "image": torch.randint(4, (count, 1, 6, 6), generator=generator, dtype=torch.uint8),
        "label": torch.arange(count) % 3,
        "position": torch.arange(count),
        "group": torch.full((count,), group),
        "id": [f"digit-{i}" for i in range(count)],
    }


def logged(module: PixelModel) -> dict[str, float]:
    found: dict[str, float] = {}
    module.log = lambda name, value, **_: found.__setitem__(name, value)  # type: ignore[method-assign,assignment]
    return found


def test_loss_is_nats_a_dimension() -> None:
    module = plain()
    batch = batch_of(5)
    expected = -module.network.log_prob(batch["image"]).mean() / 36
    assert float(module.training_step(batch, 0).detach()) == pytest.approx(float(expected.detach()))
    assert module.shape.bits_per_dim(36 * math.log(4)) == pytest.approx(2.0)


def test_test_measures_held_out_and_training_images_apart() -> None:
    module = plain(test_samples=0, completions=0)
    found = logged(module)
    held_out, trained = batch_of(5), batch_of(3, group=1)
    trained["image"] = trained["image"].flip(3)
    both = {k: held_out[k] + trained[k] if k == "id" else torch.cat([held_out[k], trained[k]]) for k in held_out}
    module.test_step({k: v[:6] for k, v in both.items()}, 0)
    module.test_step({k: v[6:] for k, v in both.items()}, 1)
    module.on_test_epoch_end()
    for prefix, batch in (("test", held_out), ("test/train_images", trained)):
        nats = -float(module.network.log_prob(batch["image"]).detach().double().mean())
        assert found[f"{prefix}/nll"] == pytest.approx(nats, rel=1e-6)
        assert found[f"{prefix}/bpd"] == pytest.approx(nats / (36 * math.log(2)), rel=1e-6)
    assert set(found) <= set(module.metric_versions())


def test_without_training_images_nothing_is_logged_of_them() -> None:
    module = plain(test_samples=0, completions=0)
    found = logged(module)
    module.test_step(batch_of(4), 0)
    module.on_test_epoch_end()
    assert set(found) == {"test/nll", "test/bpd"}


def test_classifies_by_bayes_rule() -> None:
    module = by_class(classify=True, test_samples=0, completions=0)
    found = logged(module)
    batch = batch_of(6)
    module.test_step(batch, 0)
    module.on_test_epoch_end()
    columns = [module.network.log_prob(batch["image"], torch.full((6,), k)) for k in range(3)]
    joint = torch.stack(columns, 1).double() + math.log(1 / 3)
    right = (joint.argmax(1) == batch["label"]).double().mean()
    assert found["test/classifier_accuracy"] == pytest.approx(float(right.detach()))
    marginal = -float(joint.detach().exp().sum(1).log().mean()) / (36 * math.log(2))
    assert found["test/marginal_bpd"] == pytest.approx(marginal, rel=1e-5)
    assert torch.allclose(log_joint(module.network, batch["image"]).double(), joint, atol=1e-4)


def test_a_network_without_classes_cannot_classify() -> None:
    with pytest.raises(ConfigError, match=r"model\.classify=true compares"):
        plain(classify=True)


def test_an_image_depends_on_its_key_alone() -> None:
    module = plain()
    together = module.sample([3, 4, 5], seed=1)
    assert torch.equal(module.sample([4], seed=1)[0], together[1])
    assert not torch.equal(module.sample([4], seed=2)[0], together[1])
    assert not torch.equal(together[0], together[1])
    assert module.network.training  # as it was


def test_completing_keeps_what_is_known_and_draws_the_rest() -> None:
    module = plain()
    image = batch_of(4)["image"]
    known = known_pixels("lower_half", 6)
    first, second = (module.complete(image, known, seed) for seed in (0, 1))
    assert torch.equal(first[:, :, :3], image[:, :, :3]) and torch.equal(second[:, :, :3], image[:, :, :3])
    assert not torch.equal(first[:, :, 3:], second[:, :, 3:])
    ragged = torch.rand(4, 1, 6, 6) < 0.5
    assert torch.equal(module.complete(image, ragged)[ragged], image[ragged])


def test_completions_follow_the_slow_reference() -> None:
    from reprise.nn.randomness import ExampleDraws

    module = plain().double()
    image = batch_of(2)["image"]
    known = known_pixels("centre", 6).expand(image.shape)
    uniform = ExampleDraws(7, "complete", [0, 1]).uniform(6, 6, 1)
    expected = naive_sample(module.network, uniform, None, image, known)
    assert torch.equal(module.complete(image, known, 7), expected)


@pytest.mark.parametrize(
    ("known", "message"),
    [(torch.ones(5, 5, dtype=torch.bool), r"the mask is \(5, 5\)"), (torch.ones(6, 6), "of bool")],
)
def test_a_mask_of_another_form_is_refused(known: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plain().complete(batch_of(2)["image"], known)


def test_a_mask_that_keeps_some_colours_of_a_pixel_is_refused() -> None:
    network = PixelCNN(Categorical(ImageShape(3, 6, 4)), hidden=3, layers=1, head_width=3)
    known = torch.ones(1, 3, 6, 6, dtype=torch.bool)
    known[0, 1, 2, 2] = False
    with pytest.raises(ValueError, match="Expected whole pixels"):
        PixelModel(network, ADAM, seed=0).complete(torch.zeros(1, 3, 6, 6, dtype=torch.uint8), known)


@pytest.mark.parametrize(
    "image",
    [
        torch.full((1, 1, 6, 6), 4, dtype=torch.uint8),
        torch.zeros(1, 1, 6, 5, dtype=torch.uint8),
        torch.zeros(1, 3, 6, 6, dtype=torch.uint8),
        torch.zeros(1, 1, 6, 6),
        torch.full((1, 1, 6, 6), -1),
    ],
)
def test_what_is_no_image_of_the_shape_is_refused(image: Tensor) -> None:
    module = plain()
    with pytest.raises(DataError, match="Expected"):
        module.log_prob(image)
    with pytest.raises(DataError, match="Expected"):
        module.sample([0], image=image)


def test_nothing_is_kept_of_no_image() -> None:
    with pytest.raises(ValueError, match="no image is given"):
        plain().sample([0], known=torch.ones(1, 1, 6, 6, dtype=torch.bool))


def test_an_auto_encoder_neither_completes_nor_samples_from_nothing() -> None:
    from reprise.models.gated_pixelcnn.autoencoder import PixelAutoencoder

    torch.manual_seed(0)
    network = PixelAutoencoder(Categorical(SHAPE), bottleneck=3, encoder_width=4, hidden=3, layers=1, head_width=3)
    module = with_data(PixelModel(network, ADAM, seed=0, completions=3), 4)
    found = logged(module)
    example = {"image": batch_of(1)["image"][0], "label": -1}
    assert module.inputs_for() == "examples"
    with pytest.raises(ConfigError, match="cannot complete"):
        module.generate([example], complete="lower_half")
    with pytest.raises(ValueError, match="no image is given"):
        module.sample([0])
    module.test_step(batch_of(4), 0)
    module.on_test_epoch_end()
    (shown,) = module.samples
    assert isinstance(shown, ImageGrid) and shown.name == "reconstructions" and shown.columns == 4
    assert set(found) == {"test/reconstruction_nll", "test/reconstruction_bpd"}  # no density, and not called so
    assert set(found) <= set(module.metric_versions())
    grid = module.overview([example], module.generate([example]))
    assert isinstance(grid, ImageGrid) and grid.columns == 2


def test_images_without_labels_are_not_taken_for_some_class() -> None:
    module = by_class()
    example = {"image": batch_of(1)["image"][0], "label": -1}
    with pytest.raises(ConfigError, match="Say of which class"):
        module.generate([example], complete="lower_half")
    assert len(module.generate([example], complete="lower_half", label=2)) == 1


def test_dequantisation_belongs_to_the_image() -> None:
    from reprise.nn.pixels.mcgsm import MCGSM

    torch.manual_seed(0)
    likelihood = MCGSM(SHAPE, components=2, scales=2, features=4, quadratics=2)
    module = PixelModel(PixelCNN(likelihood, hidden=4, layers=1, head_width=4), ADAM, seed=0)
    batch = batch_of(5)
    last = {k: v[3:] for k, v in batch.items()} | {"position": torch.arange(2)}
    alone, together = module._measure_held_out(last), module._measure_held_out(batch)[3:]
    assert torch.allclose(alone, together, atol=1e-4)
    renamed = module._measure_held_out(last | {"id": ["a", "b"]})
    assert not torch.allclose(alone, renamed, atol=1e-4)


def test_draws_do_not_depend_on_autocast() -> None:
    module = plain()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = module.sample([0, 1, 2])
    assert torch.equal(mixed, module.sample([0, 1, 2]))


def test_a_network_without_initial_weights_from_data_is_told_apart() -> None:
    with pytest.raises(ConfigError, match="PixelCNN has no initial weights"):
        plain(initial_batch=16)


def test_known_pixels() -> None:
    assert known_pixels("lower_half", 5).sum() == 10
    assert known_pixels("lower_quarter", 8)[:6].all() and not known_pixels("lower_quarter", 8)[6:].any()
    assert known_pixels("right_half", 4)[:, :2].all() and not known_pixels("right_half", 4)[:, 2:].any()
    assert (~known_pixels("centre", 8)).sum() == 16 and not known_pixels("centre", 8)[2:6, 2:6].any()
    with pytest.raises(ConfigError, match="Expected one of lower_half"):
        known_pixels("upper", 8)  # type: ignore[arg-type]


def test_generate_takes_one_class_or_those_that_follow_from_the_keys() -> None:
    module = by_class()
    free = torch.stack(module.generate([None] * 4, keys=[3, 4, 5, 7]))
    assert torch.equal(free, module.sample([3, 4, 5, 7], label=torch.tensor([0, 1, 2, 1])))
    made = module.generate([None] * 3, label=1)
    assert torch.equal(torch.stack(made), module.sample([0, 1, 2], label=torch.tensor([1, 1, 1])))
    assert not torch.equal(torch.stack(made), module.sample([0, 1, 2], label=torch.tensor([0, 0, 0])))
    with pytest.raises(ConfigError, match=r"label=3\. Expected 0 to 2"):
        module.generate([None], label=3)
    with pytest.raises(ConfigError, match="not conditioned on a class"):
        plain().generate([None], label=1)


def test_overview_shows_originals_beside_completions() -> None:
    module = plain()
    batch = batch_of(3)
    examples = [{"image": image, "label": -1} for image in batch["image"]]
    assert module.inputs_for(complete="lower_half") == "examples" and module.inputs_for() == "none"
    made = module.generate(examples, complete="lower_half")
    grid = module.overview(examples, made, complete="lower_half")
    assert isinstance(grid, ImageGrid) and grid.columns == 3
    assert torch.equal(grid.images[0], batch["image"][0]) and torch.equal(grid.images[2], made[0])
    assert not grid.images[1][:, 3:].any()
    free = module.overview([None] * 2, module.generate([None] * 2))
    assert isinstance(free, ImageGrid) and len(free.images) == 2


class Data:
    """Test images, of which the last two were trained on."""

    def __init__(self, count: int) -> None:
        batch = batch_of(count)
        self.items = [{"image": batch["image"][i], "label": int(batch["label"][i])} for i in range(count)]

    def train_set(self) -> list[dict[str, Any]]:
        return self.items

    def eval_set(self, split: str) -> list[dict[str, Any]]:
        return self.items

    def held_out(self) -> int:
        return len(self.items) - 2


def with_data(module: PixelModel, count: int) -> PixelModel:
    module._trainer = SimpleNamespace(datamodule=Data(count))  # type: ignore[assignment]
    return module


def test_samples_and_completions_are_kept_after_a_test() -> None:
    module = with_data(plain(test_samples=5, completions=3), 4)
    logged(module)
    module.test_step(batch_of(4), 0)
    module.on_test_epoch_end()
    samples, completions = module.samples
    assert isinstance(samples, ImageGrid) and len(samples.images) == 5
    assert isinstance(completions, ImageGrid) and completions.images.shape[0] == 2 * 5  # held-out images only
    truth = batch_of(4)["image"]
    assert torch.equal(completions.images[5], truth[1])
    assert torch.equal(completions.images[7], module.complete(truth[:2], known_pixels("lower_half", 6), 0)[1])
    assert samples.group != completions.group  # so that an evaluation that writes one of each group writes both


def test_initial_batch_is_the_first_of_the_stream() -> None:
    module = by_class(initial_batch=3)
    batch = batch_of(8)
    with_data(module, 8).setup("test")
    assert module.network.seen is None  # type: ignore[union-attr]
    module.setup("fit")
    assert torch.equal(module.network.seen, batch["image"][:3])  # type: ignore[arg-type]


def test_numbers_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"model\.completions is -1"):
        plain(completions=-1)


def test_a_cache_is_made_anew_for_each_draw() -> None:
    network = plain().network
    first, second = network.cache(2), network.cache(2)
    assert isinstance(first, PixelRNNCache) and first.x.data_ptr() != second.x.data_ptr()


def test_properties_of_the_network_are_recorded_where_asked_for() -> None:
    from reprise.models.gated_pixelcnn.network import GatedPixelCNN

    torch.manual_seed(0)
    one = GatedPixelCNN(Categorical(SHAPE), hidden=3, layers=2, head_width=3, first_kernel=3, stacks="one")
    for wanted in (True, False):
        module = PixelModel(one, ADAM, seed=0, test_samples=0, completions=0, properties=wanted)
        found = logged(module)
        with torch.inference_mode():  # as a test runs
            module.test_step(batch_of(2), 0)
            module.on_test_epoch_end()
        assert ("test/blind_spot_percent" in found) is wanted
        assert module.metric_versions()["test/blind_spot_percent"] == 1
        if wanted:  # three layers: 3 * 2 / 2 of 2 * 3 * 4 earlier pixels
            assert found["test/blind_spot_percent"] == pytest.approx(12.5)
