"""What of a config is protocol and what is hardware; the digest and the deviations follow from it."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from typing import Any

# Keys that say where and how fast a run goes, not what it computes. They are listed one by one: `trainer` also holds
# max_steps and precision, and those do change results.
HARDWARE_KEYS = (
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.plugins",
    "trainer.enable_progress_bar",
    "trainer.log_every_n_steps",
    "logger",
    "paths",
    "callbacks.progress",
    "callbacks.checkpoint",
    "callbacks.pruning",
    "callbacks.trace",
    "data.root",
    "data.cache",
    "data.decode",
    "data.num_workers",
    "data.max_device_batch",
    "data.eval_batch_size",
    "model.tile_frames",
    "model.tile_batch",
    "model.sampling_batch",
    "model.quality.features.weights",
    "model.val_quality.features.weights",
    "compile",
    "evaluate",
    "tags",
    "allow",
    "resume",
)


def flatten(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, leaf); lists are leaves, so that a changed list is one deviation. An empty dict is a leaf."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node


@functools.lru_cache(maxsize=4096)
def is_hardware(key: str) -> bool:
    """Whether a dotted key has no influence on results."""
    return any(key == h or key.startswith(h + ".") for h in HARDWARE_KEYS)


def protocol_values(values: dict[str, Any]) -> dict[str, Any]:
    """Return the leaves that are protocol, by dotted key, without the seed and what only repeats it."""
    seed = values.get("seed")
    return {
        k: v
        for k, v in flatten(values)
        if not is_hardware(k) and k != "seed" and not (k.endswith(".seed") and v == seed)
    }


def digest(values: dict[str, Any]) -> str:
    """SHA-256 (hex) of the protocol part of a config; equal for two seeds of one protocol."""
    return digest_of(protocol_values(values))


def digest_of(leaves: dict[str, Any]) -> str:
    """SHA-256 (hex) of protocol values by dotted key."""
    text = json.dumps(leaves, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


ABSENT = "(absent)"


def difference(a: dict[str, Any], b: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (key, value in a, value in b) for each leaf that differs; ABSENT marks a missing one."""
    return _differing(dict(flatten(a)), dict(flatten(b)))


def _differing(left: dict[str, Any], right: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    keys = sorted(left.keys() | right.keys())
    pairs = ((k, left.get(k, ABSENT), right.get(k, ABSENT)) for k in keys)
    return [(k, a, b) for k, a, b in pairs if not _same(a, b)]


def _same(a: Any, b: Any) -> bool:
    """Whether two leaves are equal to the digest too: 1, 1.0 and true are three values, and may mean three things."""
    if type(a) is not type(b) or a != b:
        return False
    return not isinstance(a, list) or json.dumps(a) == json.dumps(b)


def deviations(protocol: dict[str, Any], run: dict[str, Any]) -> list[dict[str, Any]]:
    """List what a run changes of an experiment's protocol; hardware-only keys and the seed are left out."""
    before, after = protocol_values(protocol), protocol_values(run)
    return [{"key": key, "protocol": was, "run": now} for key, was, now in _differing(before, after)]
