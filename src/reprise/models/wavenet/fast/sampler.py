"""The sampler that computes in C, a chunk of samples a call, with a thread for each group of utterances."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from reprise.models.wavenet.cached import check_finite
from reprise.models.wavenet.fast.library import library
from reprise.models.wavenet.fast.packed import MOST_LANES, MULTIPLE, PackedNetwork, PackedState
from reprise.models.wavenet.heads import LogisticMixture, Softmax
from reprise.models.wavenet.network import WaveNetNetwork
from reprise.models.wavenet.past import Past
from reprise.models.wavenet.terms import Terms


def can_compile(network: WaveNetNetwork) -> bool:
    """Whether this network can be computed in C here: on a CPU, in float32, with a head that is known there."""
    weight = network.first.weight
    known = type(network.head) in (Softmax, LogisticMixture)
    return known and weight.device.type == "cpu" and weight.dtype == torch.float32 and library() is not None


class CompiledSampler:
    """See `cached.Sampler`. One utterance is computed by one core; a batch is shared among torch's threads.

    Args:
        network: the model; its weights are copied.
        loaded: the compiled step.
    """

    def __init__(self, network: WaveNetNetwork, loaded: ctypes.CDLL) -> None:
        self.loaded = loaded
        self.packed = PackedNetwork(network)
        self.terms = Terms.of(network, MULTIPLE)
        self.codes = bool(network.head.classes)
        self.groups: list[tuple[int, PackedState]] = []

    def begin(self, past: Past, temperature: float, counts: Sequence[int]) -> None:
        """See `cached.Sampler.begin`. Utterances of like lengths are computed together."""
        self.temperature = temperature
        order = sorted(range(len(counts)), key=lambda i: -counts[i])
        threads = torch.get_num_threads()
        size = min(MOST_LANES, -(-len(order) // threads))
        parts = [order[i : i + size] for i in range(0, len(order), size)]
        self.groups = [(counts[part[0]], PackedState(self.packed, past, part)) for part in parts]
        self.threads = min(threads, len(parts))

    def draw(self, rows: Tensor, index: Tensor, uniform: Tensor) -> Tensor:
        """See `cached.Sampler.draw`."""
        drawn = self.predict(rows, index, uniform)[0]
        return drawn.long() if self.codes else drawn

    def predict(
        self, rows: Tensor, index: Tensor, uniform: Tensor, parameters: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Draw, and give the parameters of the distributions too where asked.

        Returns:
            samples (B, n) and parameters (B, n, P) or None, float32.

        Raises:
            RunError: a distribution is not finite.
        """
        batch, count = index.shape
        rows, index, uniform = rows.float().contiguous(), index.contiguous(), uniform.contiguous()
        drawn = torch.zeros(batch, count)
        found = torch.zeros(batch, count, self.packed.struct.outputs) if parameters else None

        def run(state: PackedState) -> None:
            done = self.loaded.reprise_wavenet_draw(
                ctypes.byref(self.packed.struct),
                ctypes.byref(state.struct),
                state.members.data_ptr(),
                count,
                rows.data_ptr(),
                rows.shape[1],
                index.data_ptr(),
                uniform.data_ptr(),
                self.temperature,
                drawn.data_ptr(),
                None if found is None else found.data_ptr(),
            )
            check_finite(done == count)

        # groups whose utterances are complete are left out
        states = [state for samples, state in self.groups if state.struct.time < samples]
        if self.threads > 1:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(run, states))
        else:
            for state in states:
                run(state)
        return drawn, found
