"""Samplers by name. What trial k draws follows from the seed, k and the trials before, in whichever process it is."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from reprise.config.errors import ConfigError
from reprise.tracking.pruners import construct, named
from reprise.tracking.study import import_optuna

SAMPLERS = {
    "tpe": "TPESampler",
    "random": "RandomSampler",
    "qmc": "QMCSampler",
    "cmaes": "CmaEsSampler",
    "gp": "GPSampler",
    "nsga2": "NSGAIISampler",
    "brute": "BruteForceSampler",
}
_HIDDEN = ("seed", "independent_sampler", "warn_independent_sampling", "warn_asynchronous_seeding")
_ONE_OBJECTIVE = ("cmaes",)
# These keep a sequence or a distribution in the study, which is theirs only as long as the seed is the same.
_STATEFUL = ("qmc", "cmaes")
_NUMBERS_ONLY = ("qmc", "cmaes")  # other parameters, and conditional ones, are drawn at random


class Samplers:
    """Builds the sampler of each draw.

    A process that was killed must not begin its random numbers again: it would repeat its first trials. So every draw
    has a sampler of its own, whose seed says which draw it is.

    Args:
        setting: `NAME` or `{name: NAME, option: value}`.
        seed: of the search; None for another one at every start.
        conditional: some parameters exist only under a condition.
        objectives: how many there are.

    Raises:
        ConfigError: the name or an option is wrong, or the sampler cannot serve several objectives.
    """

    def __init__(self, setting: Any, seed: int | None, conditional: bool = False, objectives: int = 1) -> None:
        if seed is None:  # other draws at every start
            seed = secrets.randbelow(2**32)
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
            raise ConfigError(
                f"hydra.sweeper.seed is {seed!r}. Expected a whole number of 0 or more, below 2^32, or null for none."
            )
        self.name, self.options = named(setting, "hydra.sweeper.sampler", SAMPLERS)
        if objectives > 1 and self.name in _ONE_OBJECTIVE:
            raise ConfigError(f"sampler {self.name} serves one objective, not {objectives}. Use tpe, nsga2 or random.")
        if self.name == "tpe" and conditional and objectives == 1 and "multivariate" not in self.options:
            # parameters that exist together are drawn together, each group for itself
            self.options = {"multivariate": True, "group": True, **self.options}
        if self.name == "qmc":  # a sequence that is not scrambled begins in a corner, whatever the seed
            self.options = {"scramble": True, **self.options}
        self.seed = seed
        self.draw(0)  # finds what is wrong with the options

    def draw(self, trial: int, parameter: str = "") -> Any:
        """Build the sampler for a trial's joint draw, or for the draw of one parameter of it."""
        optuna = import_optuna()
        kind = getattr(optuna.samplers, SAMPLERS[self.name])
        own = _derive(self.seed, trial, parameter)
        options = {**self.options, "seed": self.seed if self.name in _STATEFUL else own}
        if self.name in _STATEFUL:
            options["independent_sampler"] = optuna.samplers.RandomSampler(seed=own)
            options["warn_independent_sampling"] = False
        if unknown := [o for o in self.options if o in _HIDDEN]:
            raise ConfigError(f"hydra.sweeper.sampler.{unknown[0]} cannot be set. Use hydra.sweeper.seed.")
        return construct(kind, options, "hydra.sweeper.sampler")

    def note(self, others: list[str]) -> str | None:
        """Say which parameters this sampler cannot model.

        Args:
            others: parameters that are categorical or conditional.
        """
        if self.name not in _NUMBERS_ONLY or not others:
            return None
        return f"sampler {self.name} draws {', '.join(others)} at random: it models unconditional numbers only"


def _derive(*parts: Any) -> int:
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big")
