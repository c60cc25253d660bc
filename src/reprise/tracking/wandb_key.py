"""What is known of W&B without importing it, or torch."""

from __future__ import annotations

import netrc
import os

RECORD = "reprise-run.json"  # the run record among the files of a W&B run


def has_key() -> bool:
    """Whether W&B would find an API key: in the environment or in ~/.netrc."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").partition("//")[2].partition("/")[0]
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
