"""Where the files of CelebA lie below a folder, and which of them are there."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from reprise.config.errors import ConfigError, DataError
from reprise.data.images.mnist import read_maybe_gzipped
from reprise.data.images.pictures import FolderPictures, Pictures, ZipPictures

log = logging.getLogger(__name__)
PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
PARTS = ("train", "val", "test")  # by their number in the partition
PARTITION, ATTRIBUTE_LIST, PERSON_LIST = "list_eval_partition.txt", "list_attr_celeba.txt", "identity_CelebA.txt"
_KINDS = (".jpg", ".jpeg", ".png")
_PICTURES = ("img_align_celeba.zip", "img_align_celeba")
_OFFICIAL = {  # bytes and SHA-256
    PARTITION: (2_836_386, "fc955bcb3ef8fbdf7d5640d9a8693a8431b5f2ee291a5c1449a1549e7e073fe7"),
    ATTRIBUTE_LIST: (26_721_026, "f0e5da289d5ccf75ffe8811132694922b60f2af59256ed362afa03fefba324d0"),
    PERSON_LIST: (3_424_458, "c6143857c3e2630ac2da9f782e9c1232e5e59be993a9d44e8a7916c78a6158c0"),
}
_LAYOUT = (
    f"Expected, in it or one folder down (Img/, Anno/, Eval/): {_PICTURES[0]} or the folder {_PICTURES[1]}/ of pictures"
    f" 000001.jpg ... 202599.jpg, 178 x 218; {PARTITION}; for attributes {ATTRIBUTE_LIST}; for persons {PERSON_LIST}."
)


class CelebAFiles:
    """The files below a folder.

    Args:
        root: the folder; None where none was given.
        images: the pictures' zip file or folder, below `root` or anywhere; None for the official names.

    Attributes:
        digests: SHA-256 of each text that was read, by its name; of the unpacked bytes.

    Raises:
        ConfigError: no folder was given.
        DataError: it is none.
    """

    def __init__(self, root: Path | None, images: str | None) -> None:
        if root is None:
            raise ConfigError(
                f"data.root is missing. CelebA has to be fetched by hand from {PAGE}, whose host limits downloads: "
                f"data.root=FOLDER. {_LAYOUT}"
            )
        if not root.is_dir():
            raise DataError(f"data.root={root} is not a folder. {_LAYOUT}")
        self.root = root
        self.images = images
        self.digests: dict[str, str] = {}

    def text(self, name: str) -> tuple[bytes, Path]:
        """Content of a text, and where it is.

        Raises:
            DataError: missing or corrupt.
        """
        path = self._find((name, f"{name}.gz"))
        if path is None:
            raise DataError(f"data.root={self.root} has no {name}, gzipped or not. {_LAYOUT}")
        content = read_maybe_gzipped(path)
        self.digests[name] = hashlib.sha256(content).hexdigest()
        size, sha256 = _OFFICIAL[name]
        if len(content) == size and self.digests[name] != sha256:
            raise DataError(
                f"{path} has the official size, but its SHA-256 is {self.digests[name]}, expected {sha256}: it is "
                "corrupt. Fetch it again."
            )
        return content, path

    def pictures(self) -> Pictures:
        """The pictures, those of the zip file where there is a folder too.

        Raises:
            DataError: there are none.
        """
        if self.images is not None:
            place = self.root / Path(self.images).expanduser()
            if not place.exists():
                raise DataError(f"data.images={self.images}: there is no {place}. Expected a zip file or a folder.")
            return self._pictures(place)
        found = self._find(_PICTURES)
        if found is None:
            others = sorted(path.name for path in self.root.glob("*.zip"))
            hint = f" Is it {others[0]}? Then set data.images={others[0]}." if others else ""
            raise DataError(f"data.root={self.root} has no {' or '.join(_PICTURES)}.{hint} {_LAYOUT}")
        return self._pictures(found)

    @staticmethod
    def _pictures(place: Path) -> Pictures:
        return FolderPictures(place, _KINDS) if place.is_dir() else ZipPictures(place, _KINDS)

    def _find(self, names: Sequence[str]) -> Path | None:
        for name in names:
            for path in (self.root / name, *sorted(self.root.glob(f"*/{name}"))):
                if path.exists():
                    return path
        return None


def picture_id(name: str) -> str:
    """Id of a picture: its file's name without folders and ending, e.g. "000001"."""
    return PurePosixPath(name).stem


def divide(pictures: Pictures, partition: dict[str, int], text: Path) -> dict[str, list[str]]:
    """Names of the pictures that are there, by part.

    Args:
        pictures: the pictures.
        partition: number of the part by a picture's id.
        text: where the partition is from, for errors.

    Raises:
        DataError: a picture is not listed, or there twice, or none is for training.
    """
    divided: dict[str, list[str]] = {part: [] for part in PARTS}
    seen: set[str] = set()
    for name in pictures.names:
        number = picture_id(name)
        if number in seen:
            raise DataError(f"{pictures.place} has two pictures called {number!r}. Remove one of them.")
        if number not in partition:
            raise DataError(f"{pictures.place} holds {name}, which {text} does not list.")
        seen.add(number)
        divided[PARTS[partition[number]]].append(name)
    if not divided["train"]:
        raise DataError(
            f"{pictures.place} holds {len(seen)} pictures, and none of those that {text} lists for training (part 0)."
        )
    return divided


def count_parts(partition: dict[str, int]) -> dict[str, int]:
    """How many pictures are listed for each part."""
    counts = dict.fromkeys(PARTS, 0)
    for number in partition.values():
        counts[PARTS[number]] += 1
    return counts


def say_what_is_missing(place: Path, here: dict[str, list[str]], listed: dict[str, int]) -> None:
    """Warn where fewer pictures are there than the partition lists."""
    found, total = sum(map(len, here.values())), sum(listed.values())
    if found < total:
        shown = ", ".join(f"{part} {len(here[part])} of {listed[part]}" for part in PARTS)
        log.warning("%s holds %d of the %d pictures that are listed: %s", place, found, total, shown)
