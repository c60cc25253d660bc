"""What data and models both know of the labels of a clip."""

from __future__ import annotations

TAG = "tag"
"""Kind of names of which several hold at once; it has no column in labels (B, K), but numbers of its own."""
