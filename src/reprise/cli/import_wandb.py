"""`reprise import-wandb`."""

from __future__ import annotations

from pathlib import Path

USAGE = """
usage: reprise import-wandb ENTITY/PROJECT [--root outputs]

Writes the records of a W&B project's runs to ROOT/imported/ENTITY/PROJECT/ID, where every other verb reads them. A run
of Reprise sends its record to W&B when it ends and when it is evaluated. For a run that has not, config and last values
are taken from W&B; as its source is not known, no verdict rests on it. What has not changed since the last import is
skipped; what cannot be a record is named.

  --root outputs         where the records go
"""


def run(arguments: list[str]) -> int:
    """Import, and say what was and what could not be."""
    from reprise.cli.common import key_values, settings_for, without_dashes
    from reprise.config.errors import ConfigError, suggest
    from reprise.reproduction.wandb_import import import_runs

    words = without_dashes(arguments, "import_wandb")
    places = [w for w in words if "=" not in w]
    if len(places) != 1:
        raise ConfigError("one place is needed: reprise import-wandb ENTITY/PROJECT [--root outputs]")
    settings, others = settings_for("import_wandb", key_values([w for w in words if w not in places]))
    if others:
        raise ConfigError(f"there is no setting {next(iter(others))!r}. {suggest(next(iter(others)), settings)}")
    found = import_runs(places[0], Path(settings["root"]).expanduser(), say=lambda line: print(f"  {line}", flush=True))
    rebuilt = f" ({len(found.rebuilt)} from config and summary)" if found.rebuilt else ""
    print(
        f"{len(found.written)} imported{rebuilt}, {len(found.unchanged)} unchanged, {len(found.refused)} not imported: "
        f"{found.folder}"
    )
    return 1 if found.refused and not found.written and not found.unchanged else 0
