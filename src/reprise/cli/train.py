"""`reprise train`, `python train.py`."""

from __future__ import annotations

import sys
from pathlib import Path

USAGE = """
usage: python train.py model=NAME [key=value ...]
       python train.py experiment=PAPER/ROW [key=value ...]
       python train.py resume=RUN_DIR [key=value ...]

Trains a model and keeps the evidence in a run directory below outputs/runs.

  model=wavegrad            a model brings a fitting arch and data that need no download
  arch=wavegrad/small       network sizes
  data=speech_folder        dataset; data.root=PATH uses files that are there
  trainer=auto|cpu|gpu|ddp  hardware; ddp: all GPUs, or two CPU processes where there is none; fsdp: the same, sharded
  budget=smoke              an optional cut of the cost
  experiment=PAPER/ROW      one row of a paper's table, exactly as the paper describes it
  callbacks=ema             add an exponential moving average of the weights
  logger=wandb|csv|none     W&B is offline by itself when there is no key
  seed=0                    seed of every random draw
  any.key=value             any value of the composed config

See what a command means before it runs:
  reprise check KEY=VALUE ...       python train.py ... --cfg job --resolve       reprise explain KEY ...

Exit codes: 0 done, 1 failed, 2 wrong input, 75 interrupted with a checkpoint (requeue), 130 Ctrl-C.
"""


def run(arguments: list[str]) -> int:
    """Train, resume, or hand Hydra its own flags."""
    from reprise.config.errors import ConfigError

    if any(a in ("-m", "--multirun") for a in arguments):
        raise ConfigError(
            "-m is not served: points of a sweep must not train in one process. Run one command per point, e.g. "
            "for s in 0 1 2; do python train.py ... seed=$s; done"
        )
    if any(a.startswith("-") for a in arguments):
        return _hydra(arguments)
    if given := [a for a in arguments if a.startswith("resume=") and a != "resume=null"]:
        if given[-1] == "resume=":
            raise ConfigError("resume= names no run. Expected resume=RUN_DIR.")
        return _resume(Path(given[-1].partition("=")[2]), [a for a in arguments if not a.startswith("resume=")])
    return _train(arguments)


def _train(overrides: list[str]) -> int:
    from reprise.cli.common import compose_checked, protocol_deviations

    composed = compose_checked(overrides)
    deviations = protocol_deviations(composed)
    from reprise.training.fit import start

    directory = start(composed.values, composed.choices, list(overrides), deviations, _announce)
    return _report(directory)


def _resume(directory: Path, words: list[str]) -> int:
    from reprise.cli.common import apply_to, key_values
    from reprise.tracking.directory import read_config
    from reprise.tracking.record import read_record

    read_record(directory)
    values = read_config(directory)
    if changes := key_values(words):
        values = apply_to(values, changes, f"the config of {directory}")
    from reprise.training.fit import resume

    return _report(resume(directory, values, _announce))


def _announce(directory: Path) -> None:
    print(f"run directory: {directory}", file=sys.stderr, flush=True)


def _report(directory: Path) -> int:
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
    return 0


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
