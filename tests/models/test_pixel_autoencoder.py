"""Auto-encoders: a Gated PixelCNN decoder given the code, and the baseline trained on the squared error."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.models.gated_pixelcnn.autoencoder import DeconvolutionAutoencoder, Encoder, PixelAutoencoder
from reprise.models.gated_pixelcnn.conditioning import Deconvolution
from reprise.models.gated_pixelcnn.module import MSEAutoencoder
from reprise.nn.images import ImageShape
from reprise.nn.pixels.categorical import Categorical
from reprise.samples.images import ImageGrid
from tests.models.pixels import (
    check_cached_sampling,
    check_gradients,
    dependence,
    earlier,
    fixed_storage,
    random_image,
    randomised,
)

RGB = ImageShape(3, 5, 4)
GREY = ImageShape(1, 8, 17)


def make(shape: ImageShape = RGB, **switches: object) -> PixelAutoencoder:
    sizes = {"bottleneck": 2, "encoder_width": 3, "hidden": 12, "layers": 2, "head_width": 30, "map_width": 3}
    return PixelAutoencoder(Categorical(shape), **(sizes | switches))  # type: ignore[arg-type]


@pytest.mark.parametrize("side", [1, 4, 5, 8, 28, 31])
def test_a_code_depends_on_every_pixel_and_makes_an_image_of_its_size(side: int) -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 3, side, side, dtype=torch.float64, requires_grad=True)
    code = Encoder(ImageShape(3, side), 8, 10).double()(x)
    assert code.shape == (2, 10)
    (gradient,) = torch.autograd.grad(code[0].sum(), x)
    assert (gradient[0] != 0).all() and not gradient[1].any()
    maps = Deconvolution(10, 8, 4, side).double()(code)
    assert maps.shape == (2, 4, side, side)
    assert (maps[0] != maps[1]).any(0).all()


@pytest.mark.parametrize("conditioning", ["embedding", "spatial"])
def test_the_decoder_is_causal_given_the_code(conditioning: str) -> None:
    network = randomised(make(conditioning=conditioning, hidden=36, head_width=60), spread=0.1)
    condition = network.condition(random_image(network), None)
    assert torch.equal(dependence(network, condition), earlier(network))


@pytest.mark.parametrize("conditioning", ["embedding", "spatial"])
def test_draws_from_codes_are_those_of_full_passes(conditioning: str) -> None:
    network = make(conditioning=conditioning)
    randomised(network)
    image = random_image(network, 3)
    check_cached_sampling(network, network.condition(image, None))
    assert fixed_storage(network, network.condition(image[:2], None))
    # codes may be given in place of images
    codes = network.encode(image)
    assert codes.shape == (3, 2)
    x = torch.zeros(3, 3, 5, 5, dtype=torch.float64)
    assert torch.equal(network(x, codes), network(x, network.condition(image, None)))


@pytest.mark.parametrize("conditioning", ["embedding", "spatial"])
def test_encoder_and_decoder_are_trained_together(conditioning: str) -> None:
    network = randomised(make(conditioning=conditioning), spread=0.1)
    check_gradients(network)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert network.conditions_on == "image"


def test_the_code_is_as_large_as_asked() -> None:
    for m in (10, 100):
        network = make(GREY, bottleneck=m)
        assert network.encode(random_image(network, 2)).shape == (2, m)
    with pytest.raises(ConfigError, match=r"bottleneck is 0\. Expected 1 or more"):
        make(bottleneck=0)


def baseline() -> MSEAutoencoder:
    torch.manual_seed(0)
    return MSEAutoencoder(DeconvolutionAutoencoder(GREY, 10, 8, 8), partial(torch.optim.Adam, lr=3e-3), samples=2)


def test_the_baselines_error_is_that_of_values_between_0_and_1() -> None:
    module = baseline()
    image = torch.full((2, 1, 8, 8), 16)
    for parameter in module.network.decoder.last.parameters():
        parameter.data.zero_()
    # scaled output 0 is grey, 0.5; white is 1
    assert torch.allclose(module.squared_errors(image), torch.full((2,), 0.25))
    assert torch.equal(module.reconstruct(image), torch.full((2, 1, 8, 8), 8, dtype=torch.uint8))
    torch.nn.init.constant_(module.network.decoder.last.get_parameter("bias"), 1.5)
    assert torch.allclose(module.squared_errors(image), torch.full((2,), 0.0625))
    assert torch.equal(module.reconstruct(image), image.to(torch.uint8))


def test_the_baseline_learns_to_reconstruct_two_images() -> None:
    module = baseline()
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(17, (2, 1, 8, 8), generator=generator)
    optimizer = module.configure_optimizers()
    first = float(module.squared_errors(image).mean().detach())
    for _ in range(150):
        optimizer.zero_grad()
        module.training_step({"image": image}, 0).backward()
        optimizer.step()
    assert float(module.squared_errors(image).mean().detach()) < first / 20


def test_the_baseline_shows_and_generates_reconstructions() -> None:
    module = baseline()
    image = torch.randint(17, (3, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    batch = {"image": image, "group": torch.tensor([0, 1, 0])}
    module.test_step(batch, 0)
    expected = module.squared_errors(image)[[0, 2]].mean()
    assert torch.allclose(module.test_mse[0].compute().float(), expected)  # images seen in training are left out
    (grid,) = module.samples
    assert isinstance(grid, ImageGrid) and grid.images.shape == (4, 1, 8, 8)
    assert torch.equal(grid.images[0], image[0].to(torch.uint8))
    made = module.generate([{"image": one} for one in image])
    assert torch.equal(made[0], grid.images[1]) and len(made) == 3
    with pytest.raises(ConfigError, match="samples is -1"):
        MSEAutoencoder(module.network, module.optimizer, samples=-1)
