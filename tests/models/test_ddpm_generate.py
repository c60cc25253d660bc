"""`reprise generate` of DDPM: every option, what is refused, the progress bar and the picture of all that was made."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.diffusion.steps import Sampling
from reprise.models.ddpm.showing import Watch, together
from reprise.samples.images import ImageGrid
from tests.models.ddpm import formula, images, known

OPTIONS: list[dict[str, Any]] = [
    {},
    {"steps": 5},
    {"steps": 1},
    {"variance": "small", "steps": 3},
    {"method": "ddim"},
    {"method": "ddim", "eta": 0.5, "steps": 4},
    {"interpolate": 6},
    {"interpolate": 6, "steps": 3},
    {"interpolate": 3, "steps": 5},
    {"interpolate": 12, "method": "ddim", "mix": 0.2},
    {"progressive": True},
    {"progressive": True, "steps": 4},
]


@pytest.mark.parametrize("own", [Sampling(), Sampling(steps=7), Sampling(method="ddim", steps=6, eta=0.3)])
@pytest.mark.parametrize("options", OPTIONS)
def test_the_progress_bar_is_as_long_as_the_way(options: dict[str, Any], own: Sampling) -> None:
    module = formula(sampling=own)
    given = [{"image": image} for image in images(3)] if "interpolate" in options else [None] * 3
    assert module.inputs_for(**options) == ("examples" if "interpolate" in options else "none")
    done: list[int] = []
    module.generate(given, on_step=done.append, **options)
    chosen = {k: v for k, v in options.items() if k not in ("mix", "progressive")}
    assert module.generate_steps(**chosen) == len(done) == len(known(module).seen)
    assert done == sorted(set(done), reverse=True)


def test_options_change_the_models_own_way() -> None:
    own = Sampling(steps=6, method="ddim", eta=0.4, clip=False)
    module = formula(sampling=own)
    assert module._way(None, None, None, None) == own
    assert module._way(3, None, None, None) == Sampling(3, None, "ddim", 0.4, False)
    assert module._way(None, None, "ddim", 0.0) == Sampling(6, None, "ddim", 0.0, False)
    assert module._way(None, "small", None, None) == Sampling(6, "small", "ancestral", 0.0, False)
    assert module._way(None, None, "ancestral", None) == Sampling(6, None, "ancestral", 0.0, False)
    assert formula(sampling=Sampling(variance="small"))._way(4, None, None, None) == Sampling(4, "small")


def test_generate_draws_what_sample_draws() -> None:
    module = formula(sampling=Sampling(steps=6))
    free = module.generate([None] * 3, seed=4)
    assert torch.equal(torch.stack(free), module.sample([0, 1, 2], 4))
    chosen = module.generate([None] * 2, keys=[9, 8], steps=3, method="ddim")
    assert torch.equal(torch.stack(chosen), module.sample([9, 8], sampling=Sampling(3, method="ddim")))
    shown = module.generate([None] * 3, seed=4, progressive=True)
    assert torch.equal(torch.stack(shown), torch.stack(free))


def test_each_image_is_mixed_with_the_next() -> None:
    module, given = formula(), images(3)
    made = module.generate([{"image": i} for i in given], interpolate=6, mix=0.3, seed=2, keys=[5, 6, 7])
    assert torch.equal(torch.stack(made), module.interpolate(given, given[[1, 2, 0]], 6, 0.3, [5, 6, 7], 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "0 steps of 12; expected 1 to 12"),
        ({"steps": 13}, "13 steps of 12; expected 1 to 12"),
        ({"steps": -1}, "-1 steps of 12"),
        ({"variance": "medium"}, "variance is 'medium'; expected large, small, learned or null"),
        ({"variance": "learned"}, "variance=learned, but it was not learned; expected large"),
        ({"method": "euler"}, "method is 'euler'; expected ancestral or ddim"),
        ({"method": "ddim", "variance": "large"}, "method=ddim has a variance of its own"),
        ({"eta": 0.5}, "eta is 0.5, which ancestral sampling has none of; expected method=ddim"),
        ({"method": "ddim", "eta": 1.5}, "eta is 1.5; expected 0 to 1"),
        ({"interpolate": 0}, "interpolate=0. Expected a step from 1 to 12"),
        ({"interpolate": 13}, "interpolate=13. Expected a step from 1 to 12"),
        ({"interpolate": 5, "steps": 13}, "13 steps of 5"),
        ({"interpolate": 5, "steps": 0}, "0 steps of 5"),
        ({"interpolate": 5, "mix": 1.1}, "mix=1.1. Expected 0 to 1"),
        ({"interpolate": 5, "mix": -0.1}, "mix=-0.1. Expected 0 to 1"),
        ({"interpolate": 5, "progressive": True}, "progressive=true shows samples, not interpolations"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_drawn(options: dict[str, Any], message: str) -> None:
    module = formula()
    given = [{"image": i} for i in images(2)] if "interpolate" in options else [None, None]
    with pytest.raises(ConfigError) as error:
        module.generate(given, **options)
    assert message in str(error.value)
    assert not known(module).seen
    if not {"mix", "progressive"} & options.keys():  # asked for before, and answers no worse
        with pytest.raises(ConfigError) as error:
            module.generate_steps(**options)
        assert message in str(error.value)


def test_images_are_not_taken_where_none_are_used() -> None:
    with pytest.raises(ConfigError, match="Add interpolate=STEP, or leave out input"):
        formula().generate([{"image": images(1)[0]}])


def test_a_learned_variance_takes_every_step() -> None:
    module = formula(loss="bound", variance="learned")
    with pytest.raises(ConfigError, match="expected steps=null, or variance=large or small"):
        module.generate([None], steps=5)
    module.generate([None], steps=5, variance="small")
    with pytest.raises(ConfigError, match="a learned variance is that of single steps"):
        module.generate([{"image": i} for i in images(2)], interpolate=8, steps=3)


def test_samples_are_shown_in_one_grid() -> None:
    module = formula()
    made = module.generate([None] * 3)
    grid = module.overview([None] * 3, made, steps=5)
    assert isinstance(grid, ImageGrid) and grid.name == "grid" and grid.caption == "3 samples"
    assert torch.equal(grid.images, torch.stack(made))


def test_interpolations_are_shown_between_what_they_are_made_of() -> None:
    module, given = formula(sampling_batch=3), images(5)
    conditions = [{"image": i} for i in given]
    made = []
    for part in (conditions[:3], conditions[3:]):  # as they come where there are more than fit at once
        made += module.generate(part, interpolate=6, mix=0.25)
    grid = module.overview(conditions, made, interpolate=6, mix=0.25)
    assert isinstance(grid, ImageGrid) and grid.column_titles == ["first", "0.25", "second"]
    rows = grid.images.unflatten(0, (5, 3))
    assert torch.equal(rows[:, 0], given) and torch.equal(rows[:, 1], torch.stack(made))
    assert torch.equal(rows[:, 2], given[[1, 2, 0, 4, 3]])
    assert grid.caption == "interpolated at t = 6"


def test_progressive_samples_are_shown_from_left_to_right() -> None:
    module = formula(sampling_batch=3)
    made = []
    for keys in ([0, 1, 2], [3, 4]):
        made += module.generate([None] * len(keys), keys=keys, progressive=True)
    grid = module.overview([None] * 5, made, progressive=True)
    assert isinstance(grid, ImageGrid) and grid.columns == 10
    assert grid.column_titles == [f"t = {t}" for t in (11, 10, 9, 8, 7, 5, 4, 3, 2, 1)]
    rows = grid.images.unflatten(0, (5, 10))
    assert torch.equal(rows[:, -1], torch.stack(made))  # the last prediction is the sample
    assert not torch.equal(rows[:, 0], rows[:, -1])
    plain = module.overview([None] * 5, made)  # nothing is left of it
    assert isinstance(plain, ImageGrid) and len(plain.images) == 5


def test_pictures_of_other_draws_do_not_get_into_the_overview() -> None:
    module = formula()
    module.generate([None] * 2, progressive=True, steps=4)
    module.generate([None] * 2, progressive=True, seed=8)
    made = module.generate([None] * 3, progressive=True, seed=9)
    grid = module.overview([None] * 3, made, progressive=True)
    assert isinstance(grid, ImageGrid)
    assert torch.equal(grid.images.unflatten(0, (3, 10))[:, -1], torch.stack(made))


@pytest.mark.parametrize(
    ("steps", "count", "expected"),
    [
        (list(range(1000, 0, -1)), 10, [901, 801, 701, 601, 501, 401, 301, 201, 101, 1]),
        (list(range(50, 0, -1)), 10, [46, 41, 36, 31, 26, 21, 16, 11, 6, 1]),
        ([1000, 778, 556, 334, 1], 10, [1000, 778, 556, 334, 1]),
        ([9, 7, 4, 1], 1, [1]),
        (list(range(7, 0, -1)), 3, [5, 3, 1]),
        ([5], 10, [5]),
    ],
)
def test_steps_that_are_watched(steps: list[int], count: int, expected: list[int]) -> None:
    watch = Watch(steps, 5, count)
    for t in steps:
        watch(t, torch.full((2, 1, 1, 1), 1.0 - t / 1000))
    assert [t for t, _ in watch.seen] == expected
    assert len(watch.seen) == min(count, len(steps)) and watch.seen[-1][0] == steps[-1]
    assert all(images.dtype == torch.uint8 and images.shape == (2, 1, 1, 1) for _, images in watch.seen)


def test_portions_are_put_together() -> None:
    parts = [
        [(2, torch.zeros(1)), (1, torch.ones(1))],
        [(9, torch.ones(3))],
        [(2, torch.full((2,), 5)), (1, torch.arange(2))],
    ]
    found = together(parts, 3)
    assert [t for t, _ in found] == [2, 1] and [v.tolist() for _, v in found] == [[0, 5, 5], [1, 0, 1]]
    assert [v.tolist() for _, v in together(parts, 1)] == [[5], [1]]
