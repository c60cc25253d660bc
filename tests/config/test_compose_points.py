"""Many points composed from one base are what Hydra composes for each of them alone."""

from __future__ import annotations

import pytest

from reprise.config.compose import PointComposer, compose_config, hydra_on_conf
from reprise.config.errors import ConfigError


@pytest.mark.parametrize(
    "words",
    [
        ["model=wavegrad", "seed=3"],
        ["seed=3", "model=wavegrad", "trainer.max_steps=5", "budget=smoke"],
        ["model=wavegrad", "budget=smoke", "arch=wavegrad/tiny", "model.network.up_channels=[16,16,8,8,8]"],
        ["experiment=wavegrad/ljspeech_base_continuous", "model.optimizer.lr=1e-5", "callbacks=ema"],
        ["model=wavegrad", "+model.optimizer.weight_decay=0.1", "~callbacks.samples", "++tags=[a,b]"],
        ["model=wavegrad", "model.validation_schedule='linear50'", "data.root=null"],
        ["model=wavegrad", "trainer=ddp", "paths.run='/a b/c'", "hydra.launcher.n_jobs=1"],
    ],
)
def test_equal_to_hydra(words: list[str]) -> None:
    composer = PointComposer()
    for seed in (1, 2):
        every = [*words, f"paths.outputs=out{seed}"]
        ours, theirs = composer.compose(every), compose_config(every)
        assert ours.values == theirs.values
        assert ours.choices == theirs.choices
    assert len(composer._bases) == 1


@pytest.mark.parametrize("word", ["model.optimizer.rl=1", "arch=wavegrad/tyni", "model.optimizer.lr=[1", "~nothing"])
def test_errors_are_those_of_a_single_run(word: str) -> None:
    with pytest.raises(ConfigError) as ours:
        PointComposer().compose(["model=wavegrad", word])
    with pytest.raises(ConfigError) as theirs:
        compose_config(["model=wavegrad", word])
    assert str(ours.value) == str(theirs.value)


def test_within_hydra() -> None:
    from hydra.core.global_hydra import GlobalHydra

    with hydra_on_conf("train"):
        outer = GlobalHydra.instance().hydra
        assert compose_config(["model=wavegrad"]).values["seed"] == 0
        assert GlobalHydra.instance().hydra is outer
    assert not GlobalHydra.instance().is_initialized()
