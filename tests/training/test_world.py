"""What a trainer config means on this machine: processes, devices, threads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from reprise.config.errors import ConfigError
from reprise.training.trainer import prepare_process
from reprise.training.world import World, cores, cpu_threads, plan_world


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_parallel_strategy_means_two_processes_on_a_cpu(strategy: str) -> None:
    world = plan_world({"accelerator": "cpu", "strategy": strategy})
    assert world == World("cpu", 2, 1, strategy)
    assert world.distributed
    assert str(world) == f"2 cpu processes (strategy {strategy})"
    assert plan_world({"accelerator": "cpu", "strategy": strategy, "devices": 1}).distributed


def test_several_devices_without_a_strategy_mean_ddp() -> None:
    assert plan_world({"accelerator": "cpu", "devices": 3}) == World("cpu", 3, 1, "ddp")
    assert not plan_world({"accelerator": "cpu", "devices": 1}).distributed


@pytest.mark.parametrize("strategy", ["ddp_spawn", "deepspeed", 3])
def test_other_strategies_are_refused(strategy: object) -> None:
    with pytest.raises(ConfigError, match="auto, ddp or fsdp"):
        plan_world({"accelerator": "cpu", "devices": 1, "strategy": strategy})


def test_threads_follow_the_environment_then_the_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("cpu", 2, 1, "ddp")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert cpu_threads(world) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")  # nested levels: the first is ours
    assert cpu_threads(world) == 5
    for nothing in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", nothing)
        assert cpu_threads(world) == max(1, cores() // 2)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(12)), raising=False)
    assert cpu_threads(world) == 6
    assert cpu_threads(World("cpu", 1, 1, "auto")) == 12
    assert cpu_threads(World("cpu", 16, 1, "ddp")) == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_a_process_bound_to_one_core_counts_one() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from reprise.training.world import cores; print(cores())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"


def test_threads_are_set_also_on_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    world = World("cpu", 1, 1, "auto")
    try:
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        prepare_process(world)
        assert torch.get_num_threads() == 2
        prepare_process(world, threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
