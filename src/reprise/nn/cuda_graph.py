"""Calls that are repeated many times with equal shapes: recorded once as a CUDA graph, then replayed.

A replay starts all kernels of a call at once, so that the time between them, which is most of the time where they are
small, is gone. Sampling consists of such calls.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from reprise.config.errors import RunError


class RecordedCall:
    """A function of tensors, called without gradients; on a GPU it is recorded in its second call and then replayed.

    The first call runs as it is, since recording wants everything lazy to be done before: compiling, choosing kernels,
    workspaces. Every call computes once, so the function may also change tensors in place, such as a cache. Elsewhere
    than on a CUDA device each call is a plain one.

    Args:
        function: takes tensors whose shapes stay the same, or none; gives a tensor, a tuple of tensors or None. What
            else it reads or changes must stay where it is in memory: weights may be changed in place, not replaced. It
            may neither wait for the GPU (`item`, `cpu`) nor draw from a generator of its own, and Python code in it
            runs in the first two calls only.
        device: where it computes.
    """

    def __init__(self, function: Callable[..., Any], device: torch.device) -> None:
        self.function = function
        self.device = device
        self._inputs: list[Tensor] | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: Any = None

    @torch.no_grad()
    def __call__(self, *inputs: Tensor) -> Any:
        """Compute, from inputs of the first call's shapes.

        Args:
            *inputs: as the function takes them; they are copied.

        Returns:
            As of the function; a tensor of its own, which no later call changes.

        Raises:
            RunError: an input has another shape or type than in the first call.
        """
        if self.device.type != "cuda":
            return self.function(*inputs)
        with torch.cuda.device(self.device):
            if self._inputs is None:
                with torch.inference_mode(False):  # these may be written in inference mode and out of it
                    self._inputs = [torch.empty_like(value) for value in inputs]
                self._fill(self._inputs, inputs)
                return self._run_aside(self._inputs)
            self._fill(self._inputs, inputs)
            if self._graph is None:
                self._graph = self._record(self._inputs)
            self._graph.replay()
            return _copied(self._result)

    def _fill(self, places: list[Tensor], inputs: tuple[Tensor, ...]) -> None:
        first, now = ([(tuple(v.shape), v.dtype) for v in values] for values in (places, inputs))
        if first != now:
            raise RunError(
                f"a recorded call takes inputs of {first}, as in its first call, and was given {now}. Expected equal "
                "shapes and types; use another RecordedCall for other ones."
            )
        for place, value in zip(places, inputs, strict=True):
            place.copy_(value)

    def _run_aside(self, inputs: list[Tensor]) -> Any:
        """Run as it is, on another stream than the default one, which cannot be recorded."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side), _without_cast_cache(self.device):
            result = self.function(*inputs)
        torch.cuda.current_stream().wait_stream(side)
        return _copied(result)

    def _record(self, inputs: list[Tensor]) -> torch.cuda.CUDAGraph:
        """Record the kernels of a call; computes nothing."""
        graph = torch.cuda.CUDAGraph()
        # other threads, such as a loader's, may use the GPU meanwhile
        with torch.cuda.graph(graph, capture_error_mode="thread_local"), _without_cast_cache(self.device):
            self._result = self.function(*inputs)
        return graph


def _copied(result: Any) -> Any:
    if isinstance(result, Tensor):
        return result.clone()
    return tuple(map(_copied, result)) if isinstance(result, tuple) else result


def _without_cast_cache(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Autocast as it is, without the copies of weights it keeps: they end with it, and a graph would go on reading."""
    if not torch.is_autocast_enabled(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.get_autocast_dtype(device.type), cache_enabled=False)
