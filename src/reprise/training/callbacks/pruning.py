"""Ends a run early when a search sees that it falls behind the others."""

from __future__ import annotations

import logging
import os
from typing import Any

import pytorch_lightning as pl

from reprise.config.errors import Pruned
from reprise.tracking.pruners import build_pruner
from reprise.tracking.run import Run
from reprise.tracking.study import STORAGE, first_line, import_optuna, open_storage, shown
from reprise.training.callbacks.control import Control

log = logging.getLogger(__name__)


class Pruning(pl.Callback):
    """Reports a metric to the study after each validation, and ends the run where the pruner says so.

    Where the storage is, the environment says (REPRISE_STUDY_STORAGE), since it may hold a password. Without it, or
    while it does not answer, training goes on unpruned.

    Args:
        study: name of the study.
        trial: number of this run's trial.
        metric: what is reported.
        pruner: as in hydra.sweeper.pruner.
    """

    def __init__(self, study: str, trial: int, metric: str, pruner: dict[str, Any] | str) -> None:
        self.study = study
        self.trial = trial
        self.metric = metric
        self.pruner = build_pruner(pruner, "callbacks.pruning.pruner")
        self._handle: Any = None
        self._warned = False
        self._pruned = False

    def bind(self, run: Run, control: Control) -> None:
        """Learn who counts the iterations."""
        self.control = control

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report, and let all ranks know what was decided."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        value = trainer.callback_metrics.get(self.metric)
        decided = trainer.is_global_zero and value is not None and self._decide(float(value))
        # after its last iteration a run is whole, and no pruner makes it less
        self._pruned = bool(trainer.strategy.broadcast(decided)) and not self.control.is_last()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """End the run, now that the validation is in the record.

        Raises:
            Pruned: the search has decided it.
        """
        if self._pruned:
            raise Pruned(f"pruned by the search after step {self.control.iteration}")

    def _decide(self, value: float) -> bool:
        try:
            trial = self._find()
            step = self.control.iteration
            # a resumed run does the validation again that its checkpoint was saved before
            if step not in self._handle.get_trials(deepcopy=False)[self.trial].intermediate_values:
                trial.report(value, step)
            return bool(trial.should_prune())
        except Exception as error:  # whatever is wrong with the study, the run itself is in order
            if not self._warned:
                where = shown(os.environ[STORAGE]) if STORAGE in os.environ else f"no {STORAGE} is set"
                log.warning("the run goes on unpruned: study %s (%s): %s", self.study, where, first_line(error))
            self._warned = True
            return False

    def _find(self) -> Any:
        optuna = import_optuna()
        if self._handle is None:
            url = os.environ.get(STORAGE)
            if not url:
                raise LookupError("nothing to report to")
            storage = open_storage(url, create=False)
            sampler = optuna.samplers.RandomSampler(seed=0)  # draws nothing here
            self._handle = optuna.load_study(
                study_name=self.study, storage=storage, sampler=sampler, pruner=self.pruner
            )
        identifier = self._handle.get_trials(deepcopy=False)[self.trial]._trial_id
        return optuna.trial.Trial(self._handle, identifier)
