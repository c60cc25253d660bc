"""Digest, differences and where values come from."""

from __future__ import annotations

import pytest

from reprise.config.compose import compose_config
from reprise.config.origin import chain, origin
from reprise.config.protocol import ABSENT, HARDWARE_KEYS, deviations, difference, digest, flatten, is_hardware


def test_digest_ignores_hardware_and_seed_and_nothing_else() -> None:
    base = digest(compose_config(["model=wavegrad"]).values)
    for same in ("seed=5", "trainer=ddp", "logger=none", "paths.outputs=/x", "data.root=/y", "compile=true"):
        assert digest(compose_config(["model=wavegrad", same]).values) == base, same
    for other in ("trainer.max_steps=5", "trainer.precision=bf16-mixed", "data.batch_size=8", "callbacks=ema"):
        assert digest(compose_config(["model=wavegrad", other]).values) != base, other


def test_the_seed_reaches_the_data_but_not_the_digest() -> None:
    values = compose_config(["model=wavegrad", "seed=7"]).values
    assert values["model"]["seed"] == values["data"]["seed"] == 7


def test_hardware_keys_exist() -> None:
    # keys that only some runs have: plugins with trainer=slurm, the callback that a search adds
    words = ["model=wavegrad", "+callbacks.pruning={study: s, trial: 0}", "trainer=slurm"]
    diffusion = (["experiment=ddpm/cifar10_l_simple"], ["experiment=ddpm/lsun_church", "data.root=PATH"])
    composed = [compose_config(words), *map(compose_config, diffusion)]
    keys = {key for c in composed for key, _ in flatten(c.values)}
    for hardware in HARDWARE_KEYS:
        assert any(k == hardware or k.startswith(hardware + ".") for k in keys), hardware
    assert is_hardware("trainer.devices")
    assert not is_hardware("trainer.max_steps")


def test_difference_names_absent_leaves() -> None:
    a, b = {"x": 1, "y": {"z": [1]}}, {"x": 2, "y": {"w": 0}}
    assert difference(a, b) == [("x", 1, 2), ("y.w", ABSENT, 0), ("y.z", [1], ABSENT)]
    assert deviations({"seed": 1, "a": 1}, {"seed": 2, "a": 1}) == []


def test_chain_of_settings() -> None:
    overrides = ["experiment=wavegrad/ljspeech_large_continuous", "budget=smoke", "trainer.max_steps=9"]
    settings = chain("trainer.max_steps", overrides)
    files = [s.where.rpartition(":")[0] or s.where for s in settings]
    assert files == [
        "conf/trainer/_base.yaml",
        "conf/model/wavegrad.yaml",
        "conf/experiment/wavegrad/_protocol.yaml",
        "conf/budget/smoke.yaml",
        "command line",
    ]
    assert [s.value for s in settings][-3:] == [1000000, 6, "9"]
    assert origin("data.crop_frames", overrides).startswith("conf/experiment/wavegrad/ljspeech_large_continuous.yaml:")


@pytest.mark.parametrize(
    ("key", "file"), [("model.network.mel_channels", "conf/arch/wavegrad/small.yaml"), ("seed", "conf/train.yaml")]
)
def test_origin(key: str, file: str) -> None:
    assert origin(key, ["model=wavegrad", "arch=wavegrad/small"]).startswith(file + ":")


@pytest.mark.parametrize(("a", "b"), [(1, 1.0), (1, True), ([1, 2], [1.0, 2.0]), (0, False)])
def test_equal_numbers_of_another_type_are_another_protocol(a: object, b: object) -> None:
    """They give another digest, and 1 may mean one batch where 1.0 means all."""
    one, other = {"trainer": {"limit_val_batches": a}}, {"trainer": {"limit_val_batches": b}}
    assert digest(one) != digest(other)
    assert [d["key"] for d in deviations(one, other)] == ["trainer.limit_val_batches"]
