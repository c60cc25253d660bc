"""Fully sharded data parallel training: parameters, gradients and optimiser state are split over the processes.

It is torch's `fully_shard`, which runs on CPU processes as well. Checkpoints hold whole tensors under the usual names,
so they are read like any others. Weights are whole, on every process, while a validation or a test runs: shards of the
data may be uneven there, and a process that has finished its own must not be needed by the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils._pytree import tree_map

from reprise.training.strategy import WorkerDDP


def whole(tensor: Tensor) -> Tensor:
    """Gather a sharded tensor on the CPU; every process has to call this. Another tensor is returned as it is."""
    return tensor.full_tensor().cpu() if isinstance(tensor, DTensor) else tensor


def placed_like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """Bring a whole tensor to the device of a parameter, split as the parameter is."""
    if not isinstance(parameter, DTensor):
        return tensor.to(parameter.device)
    mesh = parameter.device_mesh
    return distribute_tensor(tensor.to(mesh.device_type), mesh, parameter.placements, src_data_rank=None)


def units(network: nn.Module) -> Iterator[nn.Module]:
    """Parts of a network that are gathered one at a time: the members of its lists of modules."""
    for child in network.children():
        if isinstance(child, nn.ModuleList):
            for member in child:
                yield from units(nn.ModuleList([member])) if isinstance(member, nn.ModuleList) else [member]


class WorkerFSDP(WorkerDDP):
    """Shards each part of the module that is trained; see WorkerDDP for how its processes start and end.

    Evaluation alone (`trainer.test`) shards nothing: a process has no gradients and no optimiser state there.
    """

    def configure_ddp(self) -> None:
        """Shard the module in place, once its weights are those of rank 0 on every process."""
        module = self.lightning_module
        assert module is not None
        for tensor in (*module.parameters(), *module.buffers()):
            dist.broadcast(tensor.detach(), 0)
        mesh = init_device_mesh(self.root_device.type, (self.world_size,))
        for child in module.children():
            if not any(p.requires_grad for p in child.parameters()):
                continue
            for part in [*units(child), child]:
                if any(p.requires_grad for p in part.parameters()):
                    part.register_forward_hook(_own)
                    fully_shard(part, mesh=mesh)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Whole tensors by name, on rank 0; the others take part in gathering and keep nothing."""
        assert self.lightning_module is not None
        gathered = {name: whole(t) for name, t in self.lightning_module.state_dict().items()}
        return gathered if self.is_global_zero else {}

    def optimizer_state(self, optimizer: Any) -> dict[str, Any]:
        """State of an optimiser with whole tensors, in the form it has on one process."""
        state: dict[str, Any] = getattr(optimizer, "_optimizer", optimizer).state_dict()
        gathered = {
            i: {k: whole(v) if isinstance(v, Tensor) else v for k, v in entry.items()}
            for i, entry in state["state"].items()
        }
        return {**state, "state": gathered} if self.is_global_zero else {}

    def load_optimizer_state_dict(self, checkpoint: Any) -> None:
        """Give each process its part of the state in a checkpoint."""
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            indices = [i for group in state["param_groups"] for i in group["params"]]
            entries = {
                i: {k: _like(v, p) for k, v in state["state"][i].items()}
                for i, p in zip(indices, parameters, strict=True)
                if i in state["state"]
            }
            optimizer.load_state_dict({**state, "state": entries})

    def on_validation_start(self) -> None:
        """Gather the weights; Lightning calls this after the callbacks, which may have put others in place."""
        for part in self._parts():
            part.set_reshard_after_forward(False, recurse=False)
            part.unshard()

    def end_validation(self) -> None:
        """Split the weights again; no other process is needed for it."""
        for part in self._parts():
            part.set_reshard_after_forward(True, recurse=False)  # first: else one cut off in its forward stays whole
            part.reshard()

    def _parts(self) -> list[FSDPModule]:
        assert self.lightning_module is not None
        return [m for m in self.lightning_module.modules() if isinstance(m, FSDPModule)]


def _own(part: nn.Module, inputs: Any, output: Any) -> Any:
    """Copy outputs that are views: changed in place by the caller, they would lose the hook that gathers weights."""
    return tree_map(lambda x: x.clone() if isinstance(x, Tensor) and x._is_view() else x, output)


def _like(value: Any, parameter: Tensor) -> Any:
    if isinstance(value, Tensor) and value.shape == parameter.shape and value.ndim > 0:
        return placed_like(value, parameter)
    return value


class EndValidation(pl.Callback):
    """Splits the weights again before any other callback handles them; it has to be the first one."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After a validation."""
        assert isinstance(trainer.strategy, WorkerFSDP)
        trainer.strategy.end_validation()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """After a validation that was cut off."""
        assert isinstance(trainer.strategy, WorkerFSDP)
        trainer.strategy.end_validation()
