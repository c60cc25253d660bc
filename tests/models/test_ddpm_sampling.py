"""What DDPM draws: every sampler against its formula, what a draw depends on, interpolations, options and pictures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reprise.diffusion.reverse import ReverseProcess
from reprise.diffusion.schedules import linear
from reprise.diffusion.steps import Sampling
from reprise.models.ddpm.module import DDPM
from reprise.nn.images import ImageShape
from reprise.nn.randomness import ExampleDraws
from tests.models.ddpm import Literal, formula, images, known, lively, unet

FINE = ImageShape(1, 8, 256)  # levels that tell small differences apart
VARIANCES = ("large", "small", "learned")


def by_hand(module: DDPM, draws: ExampleDraws, visited: list[int], way: Sampling, x: Tensor | None = None) -> Tensor:
    """One image: Algorithm 2 over the visited steps (rising), or DDIM's equation 12."""
    model = Literal(module)
    x = draws.normal(*model.size)[0].double() if x is None else x
    for t, before in zip(reversed(visited), reversed([0, *visited[:-1]]), strict=True):
        x_0 = model.x_0(x, t, way.clip)
        bar, bar_before = model.bar[t], model.bar[before]
        beta = 1 - bar / bar_before
        small = (1 - bar_before) / (1 - bar) * beta
        if way.method == "ddim":
            noise = (x - bar**0.5 * x_0) / (1 - bar) ** 0.5
            square = torch.full_like(x, way.eta**2 * small)
            mean = bar_before**0.5 * x_0 + (1 - bar_before - square).clamp_min(0) ** 0.5 * noise
        else:
            mean = (bar_before**0.5 * beta * x_0 + (1 - beta) ** 0.5 * (1 - bar_before) * x) / (1 - bar)
            if model.predicts == "mean" and t - before == 1:
                mean = model.output(x, t)  # what was trained, as it is
            kind = way.variance or model.variance
            square = model.sigma_squared(x, t, "learned") if kind == "learned" else torch.full_like(x, small)
            if kind == "large":
                square = torch.full_like(x, beta)
        x = mean
        if before and float(square.max()) > 0:
            x = x + square**0.5 * draws.normal(*model.size)[0].double()
    return model.pixels(x)


def same(found: Tensor, expected: Tensor) -> bool:
    """But for values at the edge between two levels, which single precision may round the other way."""
    difference = (found.double() - expected).abs()
    return float(difference.max()) <= 1 and int((difference > 0).sum()) <= 1 and len(found.unique()) > 5


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("predicts", ["epsilon", "mean", "x_0"])
def test_ancestral_sampling_is_algorithm_2(predicts: str, variance: str) -> None:
    module = formula(predicts=predicts, loss="bound", variance=variance, shape=FINE)
    made = module.sample([4, 9], seed=5)
    assert made.dtype == torch.uint8 and made.shape == (2, 1, 8, 8)
    for image, key in zip(made, (4, 9), strict=True):
        draws = ExampleDraws(5, "generate", [key])
        assert same(image, by_hand(module, draws, list(range(1, 13)), Sampling()))


@pytest.mark.parametrize(
    ("way", "visited"),
    [
        (Sampling(steps=4), [1, 5, 8, 12]),
        (Sampling(steps=4, variance="small"), [1, 5, 8, 12]),
        (Sampling(steps=1), [12]),
        (Sampling(variance="small"), list(range(1, 13))),
        (Sampling(clip=False), list(range(1, 13))),
        (Sampling(method="ddim"), list(range(1, 13))),
        (Sampling(method="ddim", steps=3), [1, 7, 12]),
        (Sampling(method="ddim", steps=3, eta=0.7), [1, 7, 12]),
        (Sampling(method="ddim", eta=1.0), list(range(1, 13))),
    ],
)
@pytest.mark.parametrize("predicts", ["epsilon", "mean", "x_0"])
def test_other_ways_follow_their_formulas(predicts: str, way: Sampling, visited: list[int]) -> None:
    module = formula(predicts=predicts, shape=FINE, sampling=way)
    made = module.sample([7])[0]
    assert same(made, by_hand(module, ExampleDraws(0, "generate", [7]), visited, way))
    assert [t for t, _ in known(module).seen] == [t - 1 for t in reversed(visited)]


def test_a_learned_variance_can_be_replaced_by_a_fixed_one() -> None:
    module = formula(loss="bound", variance="learned", shape=FINE)
    for way in (Sampling(variance="small", steps=4), Sampling(variance="large"), Sampling(method="ddim", steps=5)):
        visited = [step.index for step in reversed(module._plan(way, "sampling"))]
        expected = by_hand(module, ExampleDraws(0, "generate", [1]), visited, way)
        assert same(module.sample([1], sampling=way)[0], expected)


def test_a_start_is_gone_on_from() -> None:
    module = formula(shape=FINE)
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    made = module.sample([1, 2], start=(5, x))
    for i in range(2):
        draws = ExampleDraws(0, "generate", [i + 1])
        assert same(made[i], by_hand(module, draws, [1, 2, 3, 4, 5], Sampling(), x[i].double()))
    few = module.sample([1, 2], sampling=Sampling(steps=2), start=(5, x))
    assert same(few[0], by_hand(module, ExampleDraws(0, "generate", [1]), [1, 5], Sampling(), x[0].double()))
    assert torch.equal(module.sample([1, 2], sampling=Sampling(steps=9), start=(5, x)), made)  # no more than there are


@pytest.mark.parametrize("variance", VARIANCES)
def test_an_image_depends_on_its_key_alone(variance: str) -> None:
    module = lively(unet(variance=variance, loss="bound", dropout=0.5))
    drawn = module.sample([3, 4, 5], seed=1)
    torch.manual_seed(1)
    assert torch.equal(module.sample([4], seed=1)[0], drawn[1])
    assert torch.equal(module.sample([5, 3], seed=1), drawn[[2, 0]])
    assert not torch.equal(module.sample([4], seed=2)[0], drawn[1])
    assert not torch.equal(module.sample([4], seed=1, stream="samples")[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[1])
    assert module.network.training  # as it was


def test_ddim_draws_nothing_on_its_way() -> None:
    module = lively(unet())
    start = (12, torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    made = [
        module.sample([key], sampling=Sampling(method="ddim", eta=eta), start=start)
        for key in (1, 2)
        for eta in (0.0, 1.0)
    ]
    assert torch.equal(made[0], made[2]) and not torch.equal(made[1], made[3])


def test_no_gradient_and_no_state_is_left() -> None:
    module = lively(unet(dropout=0.5))
    before = {k: v.clone() for k, v in module.state_dict().items()}
    module.eval()
    module.sample([0])
    assert not module.network.training
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())


def test_what_is_not_finite_is_black() -> None:
    module = formula()
    known(module).a.data.fill_(float("nan"))
    assert not module.sample([0]).any()


# interpolation


def test_interpolation_mixes_what_both_images_became() -> None:
    module, (first, second) = formula(shape=FINE), images(2, shape=FINE)
    for mix in (0.0, 0.3, 1.0):
        made = module.interpolate(first[None], second[None], 6, mix, [8], seed=2)[0]
        model, draws = Literal(module), ExampleDraws(2, "interpolate", [8])
        ends = [model.diffused(model.scaled(i), 6, draws.normal(1, 8, 8)[0].double()) for i in (first, second)]
        x = (1 - mix) * ends[0] + mix * ends[1]
        draws = ExampleDraws(2, "interpolated", [8])
        assert same(made, by_hand(module, draws, [1, 2, 3, 4, 5, 6], Sampling(), x))


def test_the_ends_of_an_interpolation_forget_the_other_image() -> None:
    module = lively(unet())
    a, b, c = images(3)[:, None]
    at = lambda x, y, mix: module.interpolate(x, y, 6, mix, [0])  # noqa: E731
    assert torch.equal(at(a, b, 0.0), at(a, c, 0.0)) and torch.equal(at(b, a, 1.0), at(c, a, 1.0))
    assert not torch.equal(at(a, b, 0.5), at(a, c, 0.5))
    # each place has noise of its own
    assert not torch.equal(at(a, b, 0.0), at(b, a, 1.0))
    assert not torch.equal(at(a, b, 0.5), module.interpolate(a, b, 6, 0.5, [1]))


def test_after_one_step_of_noise_an_image_comes_back() -> None:
    """The network is told x_0 = x_1, which is the image but for little noise; T = 1000 steps are that fine."""
    module = formula(predicts="x_0")
    module.reverse = ReverseProcess(linear(1e-4, 0.02, 1000), "x_0")
    known(module).a.data.fill_(1.0)
    known(module).b.data.fill_(0.0)
    first, second = images(4), images(4, seed=2)
    keys = [0, 1, 2, 3]
    assert torch.equal(module.interpolate(first, second, 1, 0.0, keys), first)
    assert torch.equal(module.interpolate(first, second, 1, 1.0, keys), second)
