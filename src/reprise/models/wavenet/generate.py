"""Drawing waveforms from a WaveNet: utterances of any lengths and conditions, in chunks, by the fastest engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from reprise.config.errors import ConfigError, DataError, RunError
from reprise.models.wavenet.cached import CachedSampler, Sampler
from reprise.models.wavenet.fast.library import library
from reprise.models.wavenet.fast.sampler import CompiledSampler, can_compile
from reprise.models.wavenet.network import WaveNetNetwork
from reprise.models.wavenet.past import Past, follow, nothing
from reprise.models.wavenet.terms import Conditions, More
from reprise.nn.randomness import example_rng

Engine = Literal["auto", "compiled", "torch"]
OnChunk = Callable[[int, list[Tensor]], None]
"""Called after each chunk with the number of samples drawn so far of the longest utterance, and with what the chunk
added to each waveform, (n_i,); n_i is 0 where an utterance is complete."""

_ROOM = 2**25  # bytes that the condition terms of a chunk may take
_CHUNK = 1024


@torch.no_grad()
def generate(
    network: WaveNetNetwork,
    lengths: Sequence[int],
    h: Tensor | None = None,
    y: Sequence[Tensor] | None = None,
    *,
    hop: int = 1,
    before: Tensor | None = None,
    given: Sequence[Tensor] | None = None,
    more: More | None = None,
    seed: int = 0,
    keys: Sequence[int] | None = None,
    stream: str = "generate",
    temperature: float = 1.0,
    engine: Engine = "auto",
    chunk: int | None = None,
    on_chunk: OnChunk | None = None,
) -> list[Tensor]:
    """Draw waveforms, each sample from the distribution given all before it.

    A waveform depends on the seed, the stream, its key and its conditions, not on the batch, the chunks or the engine:
    compiled to the bit. Compiled and torch add up in another order, and so does torch in another batch or on another
    device; then a uniform number within about 1e-6 of a step of the distribution function (float32) may fall on the
    other side of it, after which waveforms part.

    Args:
        network: the model.
        lengths: samples T_i of each of B waveforms.
        h: global conditions (B, G).
        y: local conditions of each waveform, (F_i, Y) with F_i hop >= T_i.
        hop: samples that a row of y stands for.
        before: local condition (B, Y) of what lies before the waveforms; None for zeros.
        given: samples (P_i,) in [-1, 1] that each waveform begins with, as they are to be continued; P_i may be 0.
        more: further local conditions that depend on what was drawn; appended to y. Needs `chunk`.
        seed, keys, stream: which uniform numbers are drawn; keys default to 0 ... B - 1.
        temperature: below 1 for likelier samples.
        engine: compiled (C, on CPUs), torch, or the first of them that there is.
        chunk: samples that are drawn between two calls of `on_chunk`; None for about a thousand, fewer where their
            local conditions would take much memory.
        on_chunk: see `OnChunk`.

    Returns:
        waveforms (T_i,), float32, on the CPU.

    Raises:
        ConfigError: arguments do not fit the network.
        DataError: a condition is not finite.
        RunError: weights, or what the network makes of the conditions, are not finite.
    """
    lengths = list(lengths)
    if not lengths:
        return []
    keys = list(range(len(lengths))) if keys is None else list(keys)
    device = network.first.weight.device
    like = network.first.weight
    given = [torch.zeros(0)] * len(lengths) if given is None else list(given)
    _check(network, lengths, h, y, hop, before, given, more, keys, temperature, engine, chunk)
    h = None if h is None else h.to(like)
    y = None if y is None else [rows.to(like) for rows in y]
    if before is None and network.local_channels:
        before = like.new_zeros(len(lengths), network.local_channels)
    _check_finite(network, h, y)
    sampler = make_sampler(network, engine)
    begins = [len(start) for start in given]
    heard = [network.head.inputs(start.to(device)[None])[0] for start in given]
    past = _past(network, heard, h, y, hop, None if before is None else before.to(like), more, chunk)
    sampler.begin(past, temperature, [n - b for n, b in zip(lengths, begins, strict=True)])
    conditions = Conditions(sampler.terms, sampler.terms.constant(h, len(lengths)), y, hop, begins)
    generators = [example_rng(seed, stream, key) for key in keys]
    waves = [network.head.audio(start).float().cpu() for start in heard]
    return _draw(sampler, network, conditions, generators, waves, lengths, more, chunk or _chunk(conditions), on_chunk)


def _draw(
    sampler: Sampler,
    network: WaveNetNetwork,
    conditions: Conditions,
    generators: list[np.random.Generator],
    waves: list[Tensor],
    lengths: list[int],
    more: More | None,
    chunk: int,
    on_chunk: OnChunk | None,
) -> list[Tensor]:
    begins = conditions.begins
    total = max(length - begin for length, begin in zip(lengths, begins, strict=True))
    parts = [[wave] for wave in waves]
    device = network.first.weight.device
    heard = torch.stack(waves) if more is not None else torch.zeros(0)
    for first in range(0, total, chunk):
        count = min(chunk, total - first)
        further = None if more is None else more(heard.to(device), begins[0] + first)
        rows, index = conditions.rows(first, count, further)
        uniform = np.stack([g.random((count, network.head.uniforms)) for g in generators])
        audio = network.head.audio(sampler.draw(rows, index, torch.from_numpy(uniform))).float().cpu()
        heard = torch.cat([heard, audio], 1) if more is not None else heard
        new = [a[: max(0, n - b - first)] for a, n, b in zip(audio, lengths, begins, strict=True)]
        for of, part in zip(parts, new, strict=True):
            of.append(part)
        if on_chunk is not None:
            on_chunk(first + count, new)
    return [torch.cat(of)[:length] for of, length in zip(parts, lengths, strict=True)]


def _check_finite(network: WaveNetNetwork, h: Tensor | None, y: list[Tensor] | None) -> None:
    """Refuse before anything is drawn what no distribution follows from."""
    if not all(bool(weight.isfinite().all()) for weight in network.parameters()):
        raise RunError(
            "the network's weights are not finite: training diverged. Take another checkpoint, or train with a lower "
            "rate."
        )
    if not all(bool(rows.isfinite().all()) for rows in ([] if h is None else [h]) + (y or [])):
        raise DataError("the conditions are not finite. Expected finite features.")


def make_sampler(network: WaveNetNetwork, engine: Engine = "auto") -> Sampler:
    """The sampler of an engine.

    Raises:
        ConfigError: `compiled` was asked for and cannot be had.
    """
    if engine == "torch":
        return CachedSampler(network)
    loaded = library() if can_compile(network) else None
    if loaded is not None:
        return CompiledSampler(network, loaded)
    if engine == "compiled":
        raise ConfigError(
            "engine=compiled needs a C compiler (cc, gcc or clang), and a network of float32 weights on a CPU with a "
            "softmax or a mixture of logistics. Expected engine=auto or engine=torch here."
        )
    return CachedSampler(network)


def _past(
    network: WaveNetNetwork,
    heard: list[Tensor],
    h: Tensor | None,
    y: list[Tensor] | None,
    hop: int,
    before: Tensor | None,
    more: More | None,
    chunk: int | None,
) -> Past:
    """The memory after the samples that are given; of each waveform by itself, so that its bits are its own."""
    parts = []
    if more is not None and chunk is not None and any(map(len, heard)):
        audio = torch.stack([network.head.audio(codes) for codes in heard])
        parts = [more(audio[:, :t], t)[:, :chunk] for t in range(0, len(heard[0]), chunk)]
    further = torch.cat(parts, 1).to(network.first.weight) if parts else None
    made = []
    for i, codes in enumerate(heard):
        of_h, quiet = (None if of is None else of[i : i + 1] for of in (h, before))
        one = nothing(network, of_h, quiet, 1)
        if len(codes):
            rows = torch.arange(len(codes), device=codes.device) // hop
            own = [] if y is None else [y[i][rows]]
            own += [] if further is None else [further[i]]
            one = follow(network, one, codes[None], of_h, torch.cat(own, -1)[None] if own else None)
        made.append(one)
    return Past.stack(made)


def _chunk(conditions: Conditions) -> int:
    """Samples of a chunk whose terms fit the room."""
    if conditions.y is None:
        return _CHUNK
    per_row = conditions.constant.numel() * conditions.constant.element_size()
    return max(16, min(_CHUNK, _ROOM // per_row * conditions.hop))


def _check(
    network: WaveNetNetwork,
    lengths: list[int],
    h: Tensor | None,
    y: Sequence[Tensor] | None,
    hop: int,
    before: Tensor | None,
    given: list[Tensor],
    more: More | None,
    keys: list[int],
    temperature: float,
    engine: str,
    chunk: int | None,
) -> None:
    batch = len(lengths)
    if engine not in get_args(Engine):
        raise ConfigError(f"engine={engine!r} is unknown. Expected one of {', '.join(get_args(Engine))}.")
    if temperature <= 0 or hop < 1 or (chunk is not None and chunk < 1) or min(lengths) < 1:
        raise ConfigError(
            f"temperature={temperature}, hop={hop}, chunk={chunk}, shortest length {min(lengths)}. Expected a "
            "temperature above 0 and the others 1 or more."
        )
    for name, of in (("h", h), ("y", y), ("before", before), ("given", given), ("keys", keys)):
        if of is not None and len(of) != batch:
            raise ConfigError(f"{name} is of {len(of)} waveforms. Expected {batch}, one for each length.")
    if (h is not None and h.shape[1:] != (network.global_channels,)) or (h is None) != (network.global_channels == 0):
        shape = None if h is None else tuple(h.shape)
        raise ConfigError(f"h is {shape}. Expected a global condition of {network.global_channels} numbers a waveform.")
    if network.local_channels == 0 and (y is not None or more is not None):
        raise ConfigError("a local condition was given to a network that takes none.")
    if network.local_channels > 0 and y is None and more is None:
        raise ConfigError(f"y is missing. Expected local conditions of {network.local_channels} channels.")
    for i, rows in enumerate(y or []):
        if rows.ndim != 2 or len(rows) * hop < lengths[i] or (more is None and rows.shape[1] != network.local_channels):
            need = -(-lengths[i] // hop)
            raise ConfigError(f"y[{i}] is {tuple(rows.shape)}. Expected ({need} or more, {network.local_channels}).")
    for i, start in enumerate(given):
        if start.ndim != 1 or len(start) >= lengths[i]:
            raise ConfigError(
                f"given[{i}] is {tuple(start.shape)}. Expected fewer samples than {lengths[i]}, the length."
            )
    if more is not None and (chunk is None or len({len(start) % chunk for start in given} | {0}) > 1):
        raise ConfigError("more needs a chunk, of which the samples that are given are a multiple.")
    if more is not None and len({len(start) for start in given}) > 1:
        raise ConfigError("more needs as many given samples of each waveform.")
