"""What every autoregressive image network must satisfy: causality, normalisation, cached sampling, finite gradients."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from reprise.nn.pixels.network import PixelNetwork


def randomised(network: PixelNetwork, seed: int = 0, spread: float = 0.3) -> PixelNetwork:
    """Float64, evaluation mode, every parameter drawn anew: zeros and symmetries of an initialisation hide leaks."""
    generator = torch.Generator().manual_seed(seed)
    network = network.double().eval()
    for parameter in network.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * spread)
    return network


def random_image(network: PixelNetwork, batch: int = 1, seed: int = 0) -> Tensor:
    shape = network.shape
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(shape.levels, (batch, shape.channels, shape.side, shape.side), generator=generator)


def dependence(network: PixelNetwork, condition: Tensor | None = None, seeds: int = 3) -> Tensor:
    """Whether the maps of a stage depend on an input, in any of some random images.

    Returns:
        (H, W, stages, C, H, W) of bool: output pixel and stage, then input colour and pixel. The maps of a stage are
        the contiguous part of its colour, or all maps where there is one stage.
    """
    shape, stages = network.shape, len(network.likelihood.stages)
    part = network.likelihood.maps // stages
    found = torch.zeros(shape.side, shape.side, stages, shape.channels, shape.side, shape.side, dtype=torch.bool)
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        x = torch.rand(1, shape.channels, shape.side, shape.side, generator=generator, dtype=torch.float64) * 2 - 1
        x.requires_grad_(True)
        maps = network(x, condition)
        weights = torch.randn(maps.shape, generator=generator, dtype=torch.float64)
        for r, c, s in itertools.product(range(shape.side), range(shape.side), range(stages)):
            chosen = slice(s * part, (s + 1) * part)
            (gradient,) = torch.autograd.grad((maps * weights)[0, chosen, r, c].sum(), x, retain_graph=True)
            found[r, c, s] |= gradient[0] != 0
    return found


def earlier(network: PixelNetwork) -> Tensor:
    """What may be seen, as `dependence` has it: earlier pixels, and of the pixel itself colours of earlier stages."""
    shape, stages = network.shape, network.likelihood.stages
    n = shape.side
    allowed = torch.zeros(n, n, len(stages), shape.channels, n, n, dtype=torch.bool)
    for r, c, s in itertools.product(range(n), range(n), range(len(stages))):
        allowed[r, c, s, :, :r] = True
        allowed[r, c, s, :, r, :c] = True
        for colours in stages[:s]:
            allowed[r, c, s, list(colours), r, c] = True
    return allowed


def naive_sample(
    network: PixelNetwork,
    uniform: Tensor,
    condition: Tensor | None = None,
    given: Tensor | None = None,
    known: Tensor | None = None,
) -> Tensor:
    """The slow reference: one pass of the whole network for every stage of every pixel."""
    shape, likelihood = network.shape, network.likelihood
    image = torch.zeros(len(uniform), shape.channels, shape.side, shape.side, dtype=torch.long)
    with torch.no_grad():
        for r, c in itertools.product(range(shape.side), range(shape.side)):
            for s, colours in enumerate(likelihood.stages):
                x = likelihood.scale(image).to(next(network.parameters()))
                maps = network(x, condition)[:, :, r, c]
                drawn = likelihood.draw(maps, s, uniform[:, r, c], image[:, :, r, c])
                part = slice(colours[0], colours[-1] + 1)
                if given is not None and known is not None:
                    drawn = torch.where(known[:, part, r, c], given[:, part, r, c].long(), drawn)
                image[:, part, r, c] = drawn
    return image.to(torch.uint8)


def noise_for(network: PixelNetwork, batch: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, *network.sampling_noise(), generator=generator, dtype=torch.float64)


def check_cached_sampling(network: PixelNetwork, condition: Tensor | None = None, batch: int = 3) -> None:
    """Cached and naive sampling draw the same images, also where parts are given; images are not all alike."""
    shape = network.shape
    uniform = noise_for(network, batch)
    fast = network.sample(uniform, condition)
    assert torch.equal(fast, naive_sample(network, uniform, condition))
    assert len(fast.unique()) > 1
    given = random_image(network, batch, seed=5)
    known = torch.zeros(given.shape, dtype=torch.bool)
    known[:, :, : shape.side // 2] = True
    known[0, :, :, 0] = True
    completed = network.sample(uniform, condition, given, known)
    assert torch.equal(completed, naive_sample(network, uniform, condition, given, known))
    assert torch.equal(completed.long()[known], given[known])


def total_probability(network: PixelNetwork, label: Tensor | None = None) -> float:
    """Sum of p(x) over every image there is; for tiny images only."""
    shape = network.shape
    values = itertools.product(range(shape.levels), repeat=shape.dims)
    images = torch.tensor(list(values)).reshape(-1, shape.channels, shape.side, shape.side)
    with torch.no_grad():
        labels = None if label is None else label.expand(len(images))
        return float(network.log_prob(images, labels).exp().sum())


def check_gradients(network: PixelNetwork, label: Tensor | None = None) -> None:
    """A likelihood step reaches every parameter with a finite gradient."""
    image = random_image(network, 2)
    uniform = torch.full(image.shape, 0.5) if network.likelihood.dequantises else None
    network.log_prob(image, label, uniform).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def fixed_storage(network: PixelNetwork, condition: Tensor | None = None) -> bool:
    """Whether a cache keeps the storage of all of its tensors from row to row, so that a GPU can replay its program."""
    cache = network.cache(2, condition)
    stages = range(len(network.likelihood.stages))

    def row(phase: int) -> None:
        cache.next_row(phase)
        for column, stage in itertools.product(range(network.shape.side), stages):
            cache.predict(phase, column, stage)

    with torch.no_grad():
        row(0)
        before = _addresses(cache, set())
        for k in range(1, network.shape.side):
            row(k % cache.period)
        return before == _addresses(cache, set())


def _addresses(thing: object, seen: set[int]) -> list[int]:
    """Addresses of all tensors that an object holds, however deep."""
    if id(thing) in seen or isinstance(thing, torch.nn.Module):
        return []
    seen.add(id(thing))
    if isinstance(thing, Tensor):
        return [thing.data_ptr()]
    parts = thing if isinstance(thing, list | tuple) else getattr(thing, "__dict__", {}).values()
    parts = thing.values() if isinstance(thing, dict) else parts
    return [address for part in parts for address in _addresses(part, seen)]
