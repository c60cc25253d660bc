"""The attributes of all 202,599 pictures of CelebA (Liu, Luo, Wang and Tang 2015), without the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from reprise.config.errors import ConfigError, suggest
from reprise.data.images.celeba_files import ATTRIBUTE_LIST, CelebAFiles
from reprise.data.images.celeba_texts import ATTRIBUTES, read_attributes
from reprise.data.labels.base import LabelData


class CelebALabels(LabelData):
    """Attributes of every picture that the official list names, in its order, with 0 in place of -1.

    `root` holds list_attr_celeba.txt, in itself or one folder down, gzipped or not. No picture is needed.

    Args:
        seed, batch_size, limit_val, limit_test: see LabelData.
        root: the folder.
        attributes: names of the labels, in this order; "all" for the 40 of them.

    Raises:
        ConfigError: a name is none of the attributes, or stands twice.
    """

    def __init__(
        self,
        seed: int,
        root: str | None = None,
        attributes: list[str] | Literal["all"] = "all",
        batch_size: int = 1,
        limit_val: int | None = None,
        limit_test: int | None = None,
    ) -> None:
        super().__init__(seed, batch_size, limit_val, limit_test)
        self.root = Path(root).expanduser() if root else None
        self.label_names = _chosen(attributes)
        self._files: dict[str, str] = {}

    def read(self) -> tuple[str, np.ndarray]:
        """Read the official text."""
        files = CelebAFiles(self.root, None)
        content, text = files.text(ATTRIBUTE_LIST)
        _, rows = read_attributes(content, text)
        self._files = files.digests
        return "celeba", rows[:, [ATTRIBUTES.index(name) for name in self.label_names]]

    def sources(self) -> dict[str, Any]:
        """SHA-256 of the text."""
        return {"files": self._files}


def _chosen(names: list[str] | Literal["all"]) -> list[str]:
    if names == "all":
        return list(ATTRIBUTES)
    if isinstance(names, str) or not names:
        raise ConfigError(f"data.attributes is {names!r}. Expected names such as [Male, Smiling], or 'all'.")
    for i, name in enumerate(names):
        if name not in ATTRIBUTES:
            raise ConfigError(f"data.attributes names {name!r}. {suggest(name, ATTRIBUTES)}")
        if name in names[:i]:
            raise ConfigError(f"data.attributes names {name!r} twice.")
    return list(names)
