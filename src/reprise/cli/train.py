"""`reprise train`, `python train.py`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

OWN_SWEEPERS = ("grid", "optuna")
USAGE = """
usage: python train.py model=NAME [key=value ...]
       python train.py experiment=PAPER/ROW [key=value ...]
       python train.py resume=RUN_DIR [key=value ...]
       python train.py -m key=a,b,c [key=value ...]

Trains a model and keeps the evidence in a run directory below outputs/runs.

  model=wavegrad            a model brings a fitting arch and data that need no download
  arch=wavegrad/small       network sizes
  data=speech_folder        dataset; data.root=PATH uses files that are there
  trainer=auto|cpu|gpu|ddp  hardware; ddp: all GPUs, or two CPU processes where there is none; fsdp: the same, sharded
  trainer=slurm             the tasks that srun started, on one node or many
  budget=smoke              an optional cut of the cost
  experiment=PAPER/ROW      one row of a paper's table, exactly as the paper describes it
  callbacks=ema             add an exponential moving average of the weights
  logger=wandb|csv|none     W&B is offline by itself when there is no key
  evaluate=true             then measure the best checkpoint on its test data, as `reprise evaluate RUN_DIR` does
  seed=0                    seed of every random draw
  any.key=value             any value of the composed config

  -m                        a sweep: every combination of key=a,b  key='range(3)'  key='choice(a,b)'  group='glob(*)'
  hydra/launcher=local|ray|slurm   where its points run; local: a pool over the GPUs or cores of this machine
  hydra.launcher.n_jobs=1   points at a time
  hydra/sweeper=optuna sweep=NAME  a search of a space in conf/sweep

See what a command means before it runs:
  reprise check KEY=VALUE ...       python train.py ... --cfg job --resolve       reprise explain KEY ...

Exit codes: 0 done, 1 failed, 2 wrong input, 75 interrupted with a checkpoint (requeue), 130 Ctrl-C.
"""


def run(arguments: list[str]) -> int:
    """Train, resume, or hand Hydra its own flags."""
    from reprise.config.errors import ConfigError
    from reprise.launch.parent import follow_parent
    from reprise.training.slurm import Step, follow

    follow_parent()
    if (step := Step.here()) is not None and step.tasks > 1:
        directory = _meeting_place(arguments)
        if step.rank > 0:
            return follow(step, directory)
    rest = [a for a in arguments if a not in ("-m", "--multirun")]
    if (rest != arguments or "hydra.mode=MULTIRUN" in arguments) and not any(a.startswith("-") for a in rest):
        return _multirun([a for a in rest if not a.startswith("hydra.mode=")])
    if any(a.startswith("-") for a in arguments):
        return _hydra(arguments)
    if given := [a for a in arguments if a.startswith("resume=") and a != "resume=null"]:
        if given[-1] == "resume=":
            raise ConfigError("resume= names no run. Expected resume=RUN_DIR.")
        return _resume(Path(given[-1].partition("=")[2]), [a for a in arguments if not a.startswith("resume=")])
    return _train(arguments)


def _meeting_place(words: list[str]) -> Path:
    """The run directory that the tasks of a SLURM step know beforehand."""
    from reprise.cli.common import key_values
    from reprise.config.errors import ConfigError

    given = key_values([w for w in words if w.startswith(("paths.run=", "resume="))])
    directory = given.get("resume") or given.get("paths.run")
    if not directory:
        raise ConfigError(
            "srun started several tasks of this command, and they would not find each other: the run directory is not "
            "fixed. Add paths.run=DIR, a new folder or that of the run to continue."
        )
    return Path(str(directory)).expanduser()


def _train(overrides: list[str]) -> int:
    from reprise.cli.common import compose_checked, protocol_deviations
    from reprise.config.errors import ConfigError

    if given := [o for o in overrides if o.startswith(("sweep=", "+sweep=")) and not o.endswith("=null")]:
        raise ConfigError(f"{given[0]} is a sweep. Expected -m before it: python train.py -m {given[0]} ...")
    composed = compose_checked(overrides)
    deviations = protocol_deviations(composed)
    from reprise.training.fit import start

    directory = start(composed.values, composed.choices, list(overrides), deviations, _announce)
    return _complete(directory, composed.values)


def _resume(directory: Path, words: list[str]) -> int:
    from reprise.cli.common import apply_to, key_values
    from reprise.tracking.directory import read_config
    from reprise.tracking.record import read_record

    read_record(directory)
    values = read_config(directory)
    if changes := key_values(words):
        values = apply_to(values, changes, f"the config of {directory}")
    from reprise.training.fit import resume

    return _complete(resume(directory, values, _announce), values)


def _complete(directory: Path, values: dict[str, Any]) -> int:
    """Say how a run ended, and evaluate it where its config asks for that."""
    _report(directory)
    if not values["evaluate"]:
        return 0
    from reprise.launch.evaluation import evaluate_after

    return evaluate_after(directory)


def _multirun(words: list[str]) -> int:
    """Run a sweep; its points are processes of their own."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from reprise.config.compose import explain_error, hydra_on_conf
    from reprise.config.errors import ConfigError
    from reprise.launch.outcome import Outcome
    from reprise.launch.plan import fingerprint, sweep_words

    def task(config: object) -> None:
        raise ConfigError(
            "this launcher trains all points in one process, where data parallel ranks mix them up. Use "
            "hydra/launcher=local, ray or slurm."
        )

    words = with_sweep_file(words)
    sweeper = [w.partition("=")[2] for w in words if w.startswith("hydra/sweeper=")]
    if sweeper and sweeper[-1] not in OWN_SWEEPERS and not any(w.startswith("hydra.sweep.dir=") for w in words):
        words = [*words, f"hydra.sweep.dir=${{paths.outputs}}/sweeps/{sweeper[-1]}-{fingerprint(sweep_words(words))}"]
    try:
        with hydra_on_conf("train"):
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            outcome = hydra.multirun("train", task, words, with_log_configuration=False)
    except (HydraException, OmegaConfBaseException) as error:
        raise explain_error(error, words, "train") from None
    return outcome.exit_code if isinstance(outcome, Outcome) else 0


def with_sweep_file(words: list[str]) -> list[str]:
    """Words of a command line with those that its sweep file stands for: its sweeper and what it fixes."""
    chosen = [w.partition("=")[2] for w in words if w.startswith(("sweep=", "+sweep="))]
    if not chosen or chosen[-1] in ("", "null"):
        return words
    from reprise.config.compose import read_choice
    from reprise.launch.settings import with_fixed

    content = read_choice("sweep", chosen[-1])
    if "space" in content and not any(w.startswith("hydra/sweeper=") for w in words):
        words = ["hydra/sweeper=optuna", *words]
    return with_fixed([str(w) for w in content.get("fixed") or ()], words)


def _announce(directory: Path) -> None:
    print(f"run directory: {directory}", file=sys.stderr, flush=True)


def _report(directory: Path) -> None:
    from reprise.tracking.record import read_record

    record = read_record(directory)
    cost = record.cost
    print(f"{record.state} after {record.iteration} steps, {cost.get('wall_seconds', 0):.0f} s: {directory}")
    for name, entry in record.metrics.items():
        if name.startswith("val/"):
            best = f"  (best {entry['best']:.6g} at step {entry['best_step']})" if "best" in entry else ""
            print(f"  {name} {float(entry['value']):.6g}{best}")
    if record.deviations:
        base = record.experiment or "its first config"
        print(f"  {len(record.deviations)} deviations from {base}: reprise show {directory}")


def _hydra(arguments: list[str]) -> int:
    """--cfg, --info, tab completion and the like are Hydra's; a run with such flags composes the same config."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import DictConfig

    from reprise.config.paths import conf_dir

    @hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="train")
    def task(config: DictConfig) -> None:
        # imported again: the checks and the resolved values come from our own composition
        from reprise.cli.main import guarded

        overrides = list(HydraConfig.get().overrides.task)
        if code := guarded(_train, overrides):
            sys.exit(code)

    # Hydra's parser wants key=value words together
    sys.argv = [sys.argv[0], *(a for a in arguments if "=" in a), *(a for a in arguments if "=" not in a)]
    task()
    return 0
