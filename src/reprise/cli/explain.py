"""`reprise explain`."""

from __future__ import annotations

USAGE = """
usage: reprise explain KEY model=NAME|experiment=PAPER/ROW [key=value ...]

Prints the effective value of a config key and every file and override that set it, the deciding one last.

  reprise explain model.objective.schedule model=wavegrad
  reprise explain trainer.max_steps experiment=wavegrad/ljspeech_base_continuous budget=smoke
"""


def run(arguments: list[str]) -> int:
    """Print a value and its chain of settings."""
    import yaml

    from reprise.config.compose import compose_config, dotted_keys
    from reprise.config.errors import ConfigError, suggest
    from reprise.config.origin import chain
    from reprise.config.unknown import explain_unknown_choice

    if not arguments or "=" in arguments[0]:
        raise ConfigError("KEY is missing. Expected: reprise explain KEY model=NAME [key=value ...]")
    key, overrides = arguments[0], arguments[1:]
    try:
        values = compose_config(overrides).values
    except ConfigError as error:
        explain_unknown_choice(error, overrides)
        raise
    node: object = values
    for name in key.split("."):
        if not isinstance(node, dict) or name not in node:
            raise ConfigError(f"{key} is not a key of the config. {suggest(key, dotted_keys(values))}")
        node = node[name]
    text = yaml.safe_dump(node, sort_keys=False, default_flow_style=False).removesuffix("...\n").rstrip()
    print(f"{key} = {text}" if not isinstance(node, (dict, list)) else f"{key}:\n" + _indent(text))
    print("\nset by (later wins):")
    for setting in chain(key, overrides):
        print(f"  {setting}")
    return 0


def _indent(text: str) -> str:
    return "\n".join("  " + line for line in text.splitlines())
