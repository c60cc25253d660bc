"""What Hydra finds by itself: launchers and sweepers whose points are command lines.

Hydra imports this module at every start, so what does the work is imported when it is used.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class _Points(Launcher):
    """Hands a sweep's points to a place; never calls the task function."""

    def __init__(self, reuse: bool = True, **settings: Any) -> None:
        self.reuse = reuse
        self.settings = settings
        self.composed = DictConfig({})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep the composed config."""
        self.composed = config

    @abstractmethod
    def place(self) -> Any:
        """Build the place where points run."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the points of a foreign sweeper; a JobReturn's value is the point's objective."""
        from reprise.launch.foreign import launch

        return launch(self, job_overrides, initial_job_idx)


class Local(_Points):
    """A pool over this machine's GPUs or cores."""

    def place(self) -> Any:
        """Build the pool."""
        from reprise.launch.local import LocalPool

        return LocalPool(**self.settings)


class Ray(_Points):
    """Tasks of a Ray cluster."""

    def place(self) -> Any:
        """Connect to the cluster, or start one."""
        from reprise.launch.ray_place import RayPlace

        return RayPlace(**self.settings)


class Slurm(_Points):
    """Jobs of a SLURM cluster."""

    def place(self) -> Any:
        """Find submitit and SLURM's commands."""
        from omegaconf import OmegaConf

        from reprise.launch.slurm import SlurmPlace

        return SlurmPlace(
            **{k: OmegaConf.to_object(v) if OmegaConf.is_config(v) else v for k, v in self.settings.items()}
        )


class _OurSweeper(Sweeper):
    """Keeps what Hydra hands over."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over and build the launcher."""
        self.loader = hydra_context.config_loader
        self.composed = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )


class Grid(_OurSweeper):
    """Every combination of the values given."""

    def __init__(self, params: Any = None, **others: Any) -> None:
        self.params = dict(params or {})
        self.others = others

    def sweep(self, arguments: list[str]) -> Any:
        """Run all points."""
        from reprise.config.errors import ConfigError
        from reprise.launch.grid import sweep

        if self.others:  # a search space was merged into our settings
            raise ConfigError(
                f"hydra/sweeper=grid has no {', '.join(sorted(self.others))}. A sweep file with a space is a search: "
                "leave hydra/sweeper out, or use hydra/sweeper=optuna."
            )
        return sweep(self.composed, self.launcher, self.params, arguments)


class Optuna(_OurSweeper):
    """A search by a study that processes may share."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def sweep(self, arguments: list[str]) -> Any:
        """Run, continue or join the search."""
        from reprise.launch.search import sweep

        return sweep(self.composed, self.loader, self.launcher, self.settings, arguments)
