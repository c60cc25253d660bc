"""The one place where a config becomes an object."""

from __future__ import annotations

from typing import Any

from reprise.config.check import find_target
from reprise.config.errors import ConfigError
from reprise.config.signatures import Unresolvable


def _targets(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [str(node["_target_"])] if "_target_" in node else []
        return own + [t for v in node.values() for t in _targets(v)]
    if isinstance(node, list):
        return [t for v in node for t in _targets(v)]
    return []


def instantiate(node: dict[str, Any], **extra: Any) -> Any:
    """Build the object that `node` describes (`_target_`, parameters, nested objects).

    Args:
        node: plain dict, interpolations resolved.
        extra: parameters that code passes.

    Raises:
        ConfigError: a target may not be built, or its constructor refused a value.
    """
    import hydra.utils
    from hydra.errors import InstantiationException

    for target in _targets(node):
        try:
            find_target(target)
        except (PermissionError, Unresolvable):
            raise ConfigError(
                f"{target} may not be built from a config. List its package in REPRISE_ALLOW to trust it."
            ) from None
    try:
        return hydra.utils.instantiate(node, _convert_="all", **extra)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, (ConfigError, ValueError, TypeError)):
            raise ConfigError(f"{node['_target_'].rsplit('.', 1)[-1]}: {cause}") from cause
        raise
