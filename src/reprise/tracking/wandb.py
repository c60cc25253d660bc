"""Weights & Biases: a mirror of the record, never the only copy."""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from reprise.samples.base import Shown
from reprise.tracking.record import FILE, read_record
from reprise.tracking.run import Run
from reprise.tracking.wandb_key import RECORD, has_key

log = logging.getLogger(__name__)
Mode = Literal["online", "offline", "disabled"]
_ANSWER_SECONDS = 20


def decide_mode(wanted: str | None) -> Mode:
    """WANDB_MODE wins, then the config, then: online with a key, else offline."""
    given = os.environ.get("WANDB_MODE", "").replace("dryrun", "offline") or wanted
    if given in ("online", "offline", "disabled"):
        return given  # type: ignore[return-value]
    return "online" if has_key() else "offline"


def leave_foreign_service() -> None:
    """Forget a W&B service that belongs to another process, e.g. the notebook or the session that started this run.

    It would end with that process, and after a kill it would hold the run's id for somebody who is gone.
    """
    owner = re.match(r"\d+-(\d+)-", os.environ.get("WANDB_SERVICE", ""))
    if owner is not None and int(owner.group(1)) != os.getpid():
        del os.environ["WANDB_SERVICE"]


class RunLogger(WandbLogger):
    """Lightning's WandbLogger with Reprise's conventions: stable id, group, job type, name and tags.

    Args:
        project: W&B project.
        entity: W&B entity; None for the user's default.
        mode: online, offline or disabled; None decides by whether a key is there.
        group: what belongs together, e.g. the points of a sweep; None for the experiment or model.
    """

    def __init__(
        self,
        project: str = "reprise",
        entity: str | None = None,
        mode: Literal["online", "offline", "disabled"] | None = None,
        group: str | None = None,
    ) -> None:
        super().__init__(project=project, log_model=False, resume="allow")
        self._entity = entity
        self._wanted = mode
        self._group = group

    def bind(self, run: Run, clock: Callable[[], int]) -> None:
        """Learn the run and its count of iterations. Only rank 0 has a record and opens W&B."""
        self._clock = clock
        record = run.record
        if record is None:
            return
        mode = decide_mode(self._wanted)
        os.environ.setdefault("WANDB_SILENT", "true")
        if mode == "offline":
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        before = record.wandb or {}
        sweep = os.environ.get("WANDB_SWEEP_ID") or before.get("sweep")
        # an agent of W&B has registered the run already; a resumed run keeps the id it had
        agent = os.environ.get("WANDB_RUN_ID") if os.environ.get("WANDB_SWEEP_ID") else None
        self._id = identifier = agent or before.get("id") or record.id
        tags = [*record.config.get("tags", []), *([record.experiment] if record.experiment else [])]
        if record.experiment:
            tags.append(record.experiment.partition("/")[0])
        self._wandb_init.pop("anonymous", None)
        self._wandb_init |= {
            "dir": str(run.directory),
            "id": identifier,
            "name": f"{record.name}-s{record.seed}",
            "group": self._group or record.name,
            "job_type": "train",
            "tags": sorted(set(tags)),
            "entity": self._entity,
            "mode": mode,
            "config": {**record.config, "config_digest": record.config_digest},
        }
        self._save_dir = str(run.directory)
        record.wandb = {"id": identifier, "mode": mode, "project": self._project, "url": None, "sweep": sweep}
        self._record = record

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The wandb run, opened at first use; falls back to offline when the network does not answer."""
        if self._experiment is None:
            import wandb

            leave_foreign_service()
            try:
                self._experiment = wandb.init(**self._wandb_init, settings=wandb.Settings(init_timeout=30))
            except (wandb.errors.CommError, wandb.errors.UsageError) as error:
                if self._wandb_init["mode"] != "online":
                    raise
                log.warning("W&B does not answer (%s): logging offline; `wandb sync` sends it later", error)
                self._wandb_init["mode"] = "offline"
                self._experiment = wandb.init(**self._wandb_init)
            self._experiment.define_metric("trainer/global_step")
            self._experiment.define_metric("*", step_metric="trainer/global_step", step_sync=True)
            if self._record.wandb is not None:
                self._record.wandb |= {"mode": self._wandb_init["mode"], "url": self._experiment.url or None}
        return self._experiment

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the resolved config went up once, at the start."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log at the run's own count of iterations; Lightning's is one behind at a validation."""
        with self._surviving():
            super().log_metrics({k: v for k, v in metrics.items() if k != "epoch"}, self._clock())

    @rank_zero_only
    def log_samples(self, shown: list[Shown], step: int) -> None:
        """Log written sounds and pictures under samples/."""
        import wandb

        kinds: dict[str, Callable[..., Any]] = {"audio": wandb.Audio, "image": wandb.Image}
        media: dict[str, Any] = {"trainer/global_step": step}
        for item in shown:
            media[f"samples/{item.key}"] = kinds[item.kind](str(item.path), caption=item.caption)
        with self._surviving():
            self.experiment.log(media)

    @contextlib.contextmanager
    def _surviving(self) -> Iterator[None]:
        """Go on without W&B when its process dies: a scheduler that preempts a job sends SIGTERM to that one too."""
        try:
            yield
        except ConnectionError as error:
            log.warning("W&B's process is gone (%s): the run goes on without it; metrics.csv has everything", error)
            self._experiment: Any = _Nothing()


class _Nothing:
    """Stands in for a wandb run whose process died."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


def close(record: Path | None = None) -> None:
    """Finish the open W&B run, if there is one; the next run of this process starts a new one.

    Args:
        record: run record that goes up with it as it is by then, or by the time `wandb sync` sends it.
    """
    import sys

    if "wandb" in sys.modules and sys.modules["wandb"].run is not None:
        with contextlib.suppress(ConnectionError):  # its process died, and has said so
            if record is not None and record.is_file() and not getattr(sys.modules["wandb"].run, "disabled", False):
                _attach(sys.modules["wandb"].run, record)
            sys.modules["wandb"].finish()


def _attach(run: Any, record: Path) -> None:
    """Add the record to the files of a W&B run; the link is relative, so that it survives a move of the folder."""
    link = Path(run.dir) / RECORD
    try:
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(record.resolve(), link.parent.resolve()))
        run.save(glob.escape(str(link)), base_path=run.dir, policy="end")
    except OSError as error:
        log.warning("the run record does not go to W&B: %s", error)


def send_record(directory: Path) -> None:
    """Bring the record of a run up to date that W&B has, e.g. after an evaluation; says so where W&B does not answer.

    Runs that were logged offline need nothing: `wandb sync` sends the record as it is by then.
    """
    record = read_record(directory)
    place = re.search(r"/([^/]+)/([^/]+)/runs/([^/?#]+)$", (record.wandb or {}).get("url") or "")
    if place is None or decide_mode((record.wandb or {}).get("mode")) != "online" or not has_key():
        return
    import wandb

    leave_foreign_service()
    try:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(directory / FILE, Path(folder, RECORD))
            run = wandb.Api(timeout=_ANSWER_SECONDS).run("/".join(map(unquote, place.groups())))
            run.upload_file(str(Path(folder, RECORD)), root=folder)
    except Exception as error:  # the client raises its own kinds for keys, networks and permissions
        log.warning("W&B keeps the record as it was before this (%s: %s)", type(error).__name__, error)
