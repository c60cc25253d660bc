"""The texts of CelebA (Liu et al. 2015): partition, attributes and persons of 202,599 pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reprise.config.errors import DataError

# fmt: off
ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes",
    "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns", "Smiling",
    "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace",
    "Wearing_Necktie", "Young",
)
# fmt: on
PERSONS = 10_177


@dataclass(frozen=True)
class Rows:
    """What a text says of pictures: the row of `values` by a picture's id, and where the text is, for errors."""

    text: Path
    row_of: dict[str, int]
    values: np.ndarray

    def of(self, ids: Sequence[str]) -> np.ndarray:
        """Values of some pictures, in their order.

        Raises:
            DataError: the text has no line for one of them.
        """
        try:
            found: np.ndarray = self.values[[self.row_of[i] for i in ids]]
            return found
        except KeyError as error:
            raise DataError(f"{self.text} has no line for the picture {error.args[0]}. Is it truncated?") from None


@dataclass(frozen=True)
class Labels:
    """What is asked for beside the pictures: persons, attributes, or neither."""

    persons: Rows | None
    attributes: Rows | None

    def of(self, ids: Sequence[str]) -> dict[str, np.ndarray | None]:
        """The arrays `labels` (N,) and `attributes` (N, A) of some pictures."""
        return {
            "labels": self.persons.of(ids) if self.persons else None,
            "attributes": self.attributes.of(ids) if self.attributes else None,
        }


def read_numbers(content: bytes, path: Path, what: str, low: int, high: int) -> dict[str, int]:
    """Read lines of a picture's name and a whole number.

    Args:
        content: the text.
        path: where it is from, for errors.
        what: what the number means, for errors.
        low, high: smallest and largest number that is allowed.

    Returns:
        the number by the picture's name without its ending, e.g. "000001", in the order of the text.

    Raises:
        DataError: a line is not of this form or names a picture again; it is named by its number. Or there is none.
    """
    found: dict[str, int] = {}
    for number, line in enumerate(content.rstrip().splitlines(), 1):
        cells = line.split()
        value = _whole(cells[1]) if len(cells) == 2 else None
        if value is None or not low <= value <= high:
            raise DataError(
                f"{path}, line {number}: found {_shown(line)}. Expected the name of a picture and {what} ({low} to "
                f"{high}), e.g. '000001.jpg {low}'."
            )
        _add(found, cells[0], value, path, number)
    if not found:
        raise DataError(f"{path} is empty. Expected lines such as '000001.jpg {low}'.")
    return found


def read_attributes(content: bytes, path: Path) -> tuple[dict[str, int], np.ndarray]:
    """Read the attributes: a line with their count, one with 40 names, then a name and 40 times 1 or -1 a line.

    Returns:
        the row of each picture by its name without the ending, and the rows (N, 40) uint8 with 0 in place of -1.

    Raises:
        DataError: a line is not of this form (it is named by its number), or there are not as many as the first says.
    """
    lines = content.rstrip().splitlines()
    count = _whole(lines[0].strip()) if lines else None
    if count is None:
        raise DataError(f"{path}, line 1: found {_shown(lines[0] if lines else b'')}. Expected the number of pictures.")
    names = tuple(name.decode(errors="replace") for name in lines[1].split()) if len(lines) > 1 else ()
    if names != ATTRIBUTES:
        wrong = next((n for n in names if n not in ATTRIBUTES), None)
        said = f"{wrong!r} is none of them" if wrong else f"found {len(names)}, or in another order"
        raise DataError(f"{path}, line 2: expected the 40 names {ATTRIBUTES[0]} ... {ATTRIBUTES[-1]}; {said}.")
    if len(lines) - 2 != count:
        raise DataError(
            f"{path}: line 1 says {count} pictures, {len(lines) - 2} follow. Is it truncated? Fetch it again."
        )
    found: dict[str, int] = {}
    rows: list[bytes] = []
    value_of = {b"1": 1, b"-1": 0}.__getitem__
    for number, line in enumerate(lines[2:], 3):
        name, *cells = line.split() or [b""]
        try:
            row = bytes(map(value_of, cells))
        except KeyError as error:
            raise DataError(f"{path}, line {number}: value {_shown(error.args[0])}. Expected 1 or -1.") from None
        if len(row) != len(ATTRIBUTES):
            raise DataError(f"{path}, line {number}: {len(row)} values. Expected {len(ATTRIBUTES)}; is it truncated?")
        _add(found, name, len(rows), path, number)
        rows.append(row)
    return found, np.frombuffer(b"".join(rows), np.uint8).reshape(-1, len(ATTRIBUTES))


def _whole(text: bytes) -> int | None:
    return int(text) if text.isdigit() and len(text) < 10 else None


def _add(found: dict[str, int], name: bytes, value: int, path: Path, number: int) -> None:
    stem = name.decode(errors="replace").rpartition(".")[0]
    if not stem or stem in found:
        raise DataError(
            f"{path}, line {number}: {_shown(name)} "
            + ("stands in an earlier line too." if stem else "is no name of a picture, e.g. '000001.jpg'.")
        )
    found[stem] = value


def _shown(text: bytes) -> str:
    shown = text[:60].decode(errors="replace")
    return repr(shown + "..." if len(text) > 60 else shown)
