"""What Lightning has to know where srun has started the processes of a run."""

from __future__ import annotations

import os

from pytorch_lightning.plugins.environments import ClusterEnvironment

from reprise.training.slurm import Step


class SlurmTasks(ClusterEnvironment):
    """One process for each task of this job step.

    Lightning's own SLURMEnvironment counts the tasks of the job rather than of the step, refuses --ntasks, derives the
    port from the job id, which two jobs on a node may share, and requeues; here the launcher does.
    """

    def __init__(self) -> None:
        super().__init__()
        step = Step.here()
        assert step is not None  # plan_world has looked
        self.step = step

    @property
    def creates_processes_externally(self) -> bool:
        """Srun has."""
        return True

    @property
    def main_address(self) -> str:
        """As rank 0 chose it."""
        return os.environ["MASTER_ADDR"]

    @property
    def main_port(self) -> int:
        """As rank 0 chose it."""
        return int(os.environ["MASTER_PORT"])

    @staticmethod
    def detect() -> bool:
        """Whether this process is a task of a job step."""
        return Step.here() is not None

    def world_size(self) -> int:
        """Tasks of the step."""
        return self.step.tasks

    def set_world_size(self, size: int) -> None:
        """Srun has decided."""

    def global_rank(self) -> int:
        """Of this task."""
        return self.step.rank

    def set_global_rank(self, rank: int) -> None:
        """Srun has decided."""

    def local_rank(self) -> int:
        """Of this task on its node."""
        return self.step.local_rank

    def node_rank(self) -> int:
        """Of its node."""
        return self.step.node_rank
