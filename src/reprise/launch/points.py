"""A list of points as a sweep, for code that plans runs itself: `reprise reproduce` and the like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reprise.config.errors import ConfigError
from reprise.launch.grid import plan_points, run_batch
from reprise.launch.outcome import Outcome
from reprise.launch.plan import Planner, fingerprint, sweep_words
from reprise.launch.point import Point
from reprise.launch.sweep import placed

_LAUNCHER = "hydra.launcher."


def plan_batch(batch: Sequence[Sequence[str]]) -> list[Point]:
    """Compose and check points without making anything; they have no directories yet.

    Args:
        batch: words of `train.py` for each point, which may differ in anything. The same words twice are one point.

    Raises:
        ConfigError: there is no point, the config of one is wrong, or a word is about sweeps.
    """
    different = list(dict.fromkeys(tuple(words) for words in batch))
    if not different:
        raise ConfigError("there is no point to run.")
    for words in different:
        if about_sweeps := [w for w in words if w not in sweep_words(words)]:
            raise ConfigError(f"{about_sweeps[0]} cannot be part of a point: it says how a sweep goes.")
    return plan_points(Planner(), different)


def run_points(
    name: str, batch: Sequence[Sequence[str]], launcher: str, launcher_words: Sequence[str] = (), identity: Any = None
) -> Outcome:
    """Run points as a sweep, in `outputs/sweeps/NAME-<digest of the identity>`, and wait for them.

    The same name and identity go on with the same sweep, whatever is in the batch by then: what is done is left alone,
    a point that has begun goes on. One that is no longer in the batch stays among the points if it is done, else it is
    kept aside until a batch has it again.

    Args:
        name: of the sweep.
        batch: as for `plan_batch`.
        launcher: local, ray, slurm or another choice of hydra/launcher.
        launcher_words: its settings, hydra.launcher.KEY=VALUE.
        identity: what makes it this sweep; anything that JSON can hold. None for the batch itself.

    Returns:
        how it ended, earlier points of the sweep included.

    Raises:
        ConfigError: a point or the launcher is wrong; nothing was made or started.
        RunError: another process runs the sweep.
        Interrupted: Ctrl-C or SIGTERM; the points were asked to save and end first.
    """
    planned = plan_batch(batch)
    built = _build(launcher, launcher_words, planned[0].overrides)
    outputs = sorted({str(p.outputs) for p in planned})
    if len(outputs) > 1:
        raise ConfigError(f"the points have several paths.outputs: {', '.join(outputs)}. Expected one for all.")
    place, planner = placed(built)
    part = fingerprint([p.overrides for p in planned] if identity is None else identity)
    directory = planned[0].outputs / "sweeps" / f"{name.replace('/', '-')}-{part}"
    return run_batch(place, planner, planned, directory, "points", keep=True)


def _build(name: str, words: Sequence[str], point: Sequence[str]) -> Any:
    """Build a launcher as `train.py -m hydra/launcher=NAME` does; the words of a point make its config complete."""
    from hydra._internal.callbacks import Callbacks
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins
    from hydra.errors import HydraException
    from hydra.types import HydraContext, RunMode
    from omegaconf.errors import OmegaConfBaseException

    from reprise.config.compose import explain_error, hydra_on_conf

    if wrong := [w for w in words if not w.lstrip("+~").startswith(_LAUNCHER)]:
        raise ConfigError(f"{wrong[0]} is no setting of a launcher. Expected {_LAUNCHER}KEY=VALUE.")
    every = [*point, f"hydra/launcher={name}", *words]

    def task(config: object) -> None:
        raise ConfigError("points are processes of their own")

    try:
        with hydra_on_conf("train"):
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            config = hydra.compose_config("train", every, RunMode.MULTIRUN, with_log_configuration=False)
            context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(config))
            return Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)
    except (HydraException, OmegaConfBaseException) as error:
        raise explain_error(error, every, "train") from None
