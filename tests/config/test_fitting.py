"""What is chosen goes together, or is refused by its name."""

from __future__ import annotations

import pytest

from reprise.cli.common import compose_checked
from reprise.config.errors import ConfigError
from reprise.launch.plan import Planner


@pytest.mark.parametrize(
    ("words", "said"),
    [
        # trained implicit kernels under the name of the Transformer
        (["model=transformer", "arch=ika_transformer/mikan"], r"model=transformer\. Expected one of transformer/"),
        (["model=causalbegan", "arch=causalgan/small"], r"Expected one of causalbegan/.*causalbegan/small"),
        # without a check, an interpolation that nobody asked for is said to be missing
        (["model=sm_gp", "arch=gat/cora"], r"arch=gat/cora does not fit model=sm_gp\. Expected one of sm_gp/"),
        (["model=svss", "arch=sm_gp/q10"], r"model=svss, which has no choice of arch"),
    ],
)
def test_an_arch_of_another_model_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        compose_checked(words)


@pytest.mark.parametrize(
    "words", [["model=wavenet_labels", "arch=wavenet/tiny"], ["model=transformer", "arch=transformer/others"]]
)
def test_an_arch_of_its_own_or_of_the_model_it_builds_on_fits(words: list[str]) -> None:
    assert compose_checked(words).choices["arch"] == words[1].removeprefix("arch=")


def test_a_typo_in_arch_is_still_said_to_be_one() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'wavenet/small'"):
        compose_checked(["model=wavenet", "arch=wavenet/smallest"])


def test_points_of_a_sweep_are_checked_too() -> None:
    with pytest.raises(ConfigError, match="does not fit model=transformer"):
        Planner().compose(["model=transformer", "arch=ika_transformer/mikan"])


def test_an_unknown_name_of_data_is_said_beside_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"data\.name=coraa is not known\. .*cora"):
        compose_checked(["model=ika_gat", "data=planetoid", "data.name=coraa"])
