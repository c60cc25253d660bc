"""Weights and memory in the order in which wavenet.c reads them.

Sizes C, W, S, P are padded here to multiples of 16, by zeros that change nothing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from reprise.models.wavenet.heads import LogisticMixture
from reprise.models.wavenet.network import WaveNetNetwork
from reprise.models.wavenet.past import Past, stack_of
from reprise.models.wavenet.terms import pad_to

MULTIPLE = 16
MOST_LANES = 8
_BLOCK = 64

_SIZES = ("layers", "channels", "width", "skip", "outputs", "padded_outputs")
_KINDS = ("kernel", "first_kernel", "gated", "all_skips", "classes", "mixtures", "levels")
_WEIGHTS = ("first", "first_bias", "before", "chain", "skips", "skip_bias", "post", "post_bias", "out", "out_bias")
_ROOMS = ("queue", "recent", "exists", "a", "x", "z", "kept", "hidden", "found", "heap", "which")


class NetworkStruct(ctypes.Structure):
    """`Network` of wavenet.c."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in (*_SIZES, *_KINDS)),
        ("least_log_scale", ctypes.c_double),
        ("dilations", ctypes.c_void_p),
        *((name, ctypes.c_void_p) for name in _WEIGHTS),
    ]


class StateStruct(ctypes.Structure):
    """`State` of wavenet.c."""

    _fields_ = [("lanes", ctypes.c_int64), ("time", ctypes.c_int64), *((name, ctypes.c_void_p) for name in _ROOMS)]


def blocks(matrix: Tensor) -> Tensor:
    """A matrix (inputs, outputs) by blocks of 64 outputs, flat."""
    return torch.cat([part.flatten() for part in matrix.split(_BLOCK, 1)])


def _padded(matrix: Tensor, halves: int = 1) -> Tensor:
    """A matrix (outputs, inputs), or a bias (outputs,), padded; of two halves each."""
    matrix = matrix.detach().float().cpu()
    rows = torch.cat([pad_to(half, MULTIPLE, 0) for half in matrix.chunk(halves)])
    return pad_to(rows, MULTIPLE, 1) if matrix.ndim == 2 else rows


def _bias(of: torch.nn.Linear) -> Tensor:
    return _padded(of.weight.new_zeros(len(of.weight)) if of.bias is None else of.bias)


class PackedNetwork:
    """A copy of a network's weights as wavenet.c takes them.

    Args:
        network: the model.
    """

    def __init__(self, network: WaveNetNetwork) -> None:
        layers = stack_of(network)
        head, first = network.head, network.first
        halves = 2 if layers[0].unit == "gated" else 1
        taps = [[_padded(w, halves).t() for w in layer.conv.weight] for layer in layers]  # (C, W) of tap 0, 1, ...
        before = [blocks(tap) for of in taps for tap in of[:0:-1]]
        chain = []
        for layer, of in zip(layers, taps, strict=True):
            chain.append(blocks(of[0]))
            if (residual := layer.residual) is not None:
                chain += [_bias(residual), blocks(_padded(residual.weight).t())]
        kept = layers if network.skips else layers[-1:]
        start = first.weight.detach().float().cpu().transpose(1, 2)  # (k1, codes or 1, C)
        none = start.new_zeros(start.shape[-1])
        tensors = {
            "first": pad_to(start, MULTIPLE, 2),
            "first_bias": _padded(none if first.bias is None else first.bias),
            "before": torch.cat(before) if before else none,
            "chain": torch.cat(chain),
            "skips": blocks(torch.cat([_padded(layer.skip.weight).t() for layer in kept])),
            "skip_bias": torch.stack([_bias(layer.skip) for layer in kept]).sum(0),
            "post": blocks(_padded(network.post.weight).t()),
            "post_bias": _bias(network.post),
            "out": blocks(_padded(network.out.weight).t()),
            "out_bias": _bias(network.out),
        }
        self.kept = {name: tensor.contiguous() for name, tensor in tensors.items()}
        self.dilations = torch.tensor([layer.conv.dilation for layer in layers])
        self.kernel, self.layers = layers[0].conv.kernel, len(layers)
        channels, outputs = tensors["first"].shape[2], head.channels
        sizes = (len(layers), channels, halves * channels, len(tensors["post_bias"]), outputs, len(tensors["out_bias"]))
        mixtures, least = (head.mixtures, head.least_log_scale) if isinstance(head, LogisticMixture) else (0, 0.0)
        kinds = (self.kernel, first.kernel, halves == 2, network.skips, head.classes, mixtures, head.levels)
        pointers = [self.kept[name].data_ptr() for name in _WEIGHTS]
        self.struct = NetworkStruct(*sizes, *map(int, kinds), least, self.dilations.data_ptr(), *pointers)


class PackedState:
    """The memory of some utterances of a batch, and room to compute in.

    Args:
        packed: the network.
        past: of the whole batch.
        members: which of its utterances, 1 to 8.
    """

    def __init__(self, packed: PackedNetwork, past: Past, members: Sequence[int]) -> None:
        of, lanes = packed.struct, len(members)
        self.members = torch.tensor(list(members))

        def ring(queue: Tensor) -> Tensor:  # (B, (k-1) d, C) to the order of the struct
            return pad_to(queue.float().cpu()[self.members], MULTIPLE, 2).transpose(0, 1).flatten()

        rooms = {
            "queue": torch.cat([ring(queue) for queue in past.queues]),
            "recent": past.recent.float().cpu()[self.members],
            "exists": past.exists.int().cpu()[self.members],
            "a": torch.zeros(of.layers, lanes, of.width),
            "x": torch.zeros(lanes, of.channels),
            "z": torch.zeros(lanes, of.layers * of.channels),
            "kept": torch.zeros(lanes, of.skip),
            "hidden": torch.zeros(lanes, of.skip),
            "found": torch.zeros(lanes, of.padded_outputs),
            "heap": torch.zeros(of.padded_outputs, dtype=torch.float64),
            "which": torch.zeros(of.skip + 16, dtype=torch.int32),
        }
        self.kept = {name: tensor.contiguous() for name, tensor in rooms.items()}
        self.struct = StateStruct(lanes, 0, *(self.kept[name].data_ptr() for name in _ROOMS))
