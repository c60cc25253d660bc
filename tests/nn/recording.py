"""CUDA graphs without CUDA: what is recorded is each operation with its very tensors, and a replay repeats these."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


class Graph:
    """Operations on tensors that stay where they are."""

    def __init__(self) -> None:
        self.replays = 0
        self.operations: list[tuple[Callable[..., Any], Any, Any, Any]] = []

    @torch.inference_mode()  # a graph knows nothing of modes
    def replay(self) -> None:
        self.replays += 1
        for function, args, kwargs, result in self.operations:
            owned = {value.untyped_storage().data_ptr() for value in tensors((args, kwargs))}
            for place, value in zip(tensors(result), tensors(function(*args, **kwargs)), strict=True):
                if place.untyped_storage().data_ptr() not in owned:  # else it is a view, or was changed in place
                    place.copy_(value)


class Recording(TorchDispatchMode):
    """Writes operations down and undoes what they change, as recording computes nothing."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for storage in (value.untyped_storage() for value in tensors((args, kwargs))):
            self.before.setdefault(storage.data_ptr(), (storage, storage.clone()))
        result = function(*args, **kwargs)
        self.graph.operations.append((function, args, kwargs, result))
        return result


class Stream:
    def wait_stream(self, other: Stream) -> None:
        pass


def pretend_cuda(monkeypatch: pytest.MonkeyPatch) -> list[Graph]:
    """Let `torch.cuda` record tensors that lie on the CPU; returns the graphs, as they are made."""
    graphs: list[Graph] = []

    def new_graph() -> Graph:
        graphs.append(Graph())
        return graphs[-1]

    @contextlib.contextmanager
    def record(graph: Graph, **_: Any) -> Iterator[None]:
        with Recording(graph) as recording:
            yield
        for storage, value in recording.before.values():
            storage.copy_(value)

    monkeypatch.setattr(torch.cuda, "CUDAGraph", new_graph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    return graphs
