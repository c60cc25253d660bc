"""`reprise wandb-sweep`."""

from __future__ import annotations

from pathlib import Path

USAGE = """
usage: reprise wandb-sweep sweep=NAME [key=value ...] [file=PATH]

Writes a search space of conf/sweep as a sweep definition of W&B: YAML, to the screen or to a file. Then

  wandb sweep PATH          makes the sweep and prints the command that starts an agent
  wandb agent ID            asks W&B for values and calls train.py with them, wherever it is started

  key=value                 what all runs share; key=interval(0,1) and the like add to the space
  hydra.sweeper.pruner=hyperband      ends runs early
  hydra.sweeper.sampler=random        draws without a model; brute: every combination
"""


def run(arguments: list[str]) -> int:
    """Write the definition."""
    import yaml
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from reprise.cli.train import with_sweep_file
    from reprise.config.compose import explain_error, hydra_on_conf
    from reprise.launch.plan import sweep_words
    from reprise.launch.settings import read_settings
    from reprise.launch.wandb_sweep import definition
    from reprise.tracking.files import write_atomic

    files = [a.partition("=")[2] for a in arguments if a.startswith("file=")]
    words = with_sweep_file([a for a in arguments if not a.startswith("file=")])
    if not any(w.startswith("hydra/sweeper=") for w in words):
        words = ["hydra/sweeper=optuna", *words]
    try:
        with hydra_on_conf("train"):
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            composed = hydra.config_loader.load_configuration("train", words, run_mode=RunMode.MULTIRUN)
            raw = OmegaConf.to_container(composed.hydra.sweeper, resolve=True)
            assert isinstance(raw, dict)
            settings = read_settings({k: v for k, v in raw.items() if k != "_target_"})
            found = definition(settings, sweep_words(words), hydra.config_loader)
    except (HydraException, OmegaConfBaseException) as error:
        raise explain_error(error, words, "train") from None
    content = yaml.safe_dump(found, sort_keys=False)
    if files:
        write_atomic(Path(files[-1]).expanduser(), content)
        print(f"written: {files[-1]}. Next: wandb sweep {files[-1]}")
    else:
        print(content, end="")
    return 0
