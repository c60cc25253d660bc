"""CelebA in its official layout, in small: places, crops, parts, attributes, samples, and files that are wrong."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reprise.config.errors import ConfigError, DataError
from reprise.data.images import celeba, celeba_files, pictures
from reprise.data.images.area import resize_area
from reprise.data.images.celeba import CelebA
from reprise.data.images.celeba_texts import ATTRIBUTES, read_attributes, read_numbers
from reprise.nn.images import ImageShape
from tests.data.image_files import CelebAFixture

SMALL = CelebAFixture()
TEXT = Path("some/text")


def read(root: Path | None, cache: Path, side: int = 64, **settings: Any) -> CelebA:
    data = CelebA(
        settings.pop("shape", ImageShape(3, side)), 2, 0, str(cache), root=str(root) if root else None, **settings
    )
    data.setup("fit")
    return data


def everything(data: CelebA) -> dict[str, dict[str, Any]]:
    items = [data.train_set()[p] for p in range(data.epoch_size())]
    items += [item for split in ("val", "test") for item in map(data.eval_set(split).__getitem__, range(2))]
    return {item["id"]: item for item in items}


def write_pngs(root: Path, array: np.ndarray | None = None) -> None:
    """Texts and five pictures, without loss."""
    SMALL.write_texts(root)
    (root / "img_align_celeba").mkdir()
    for stem in SMALL.stems[:5]:
        picture = Image.fromarray(SMALL.picture(stem) if array is None else array)
        picture.save(root / "img_align_celeba" / f"{stem}.png")


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip file and the three texts in one folder."""
    root = tmp_path_factory.mktemp("celeba")
    SMALL.write_zip(root / "img_align_celeba.zip")
    SMALL.write_texts(root)
    return root


def test_zip_folder_and_layouts_give_the_same(official: Path, tmp_path: Path) -> None:
    plain, drive, nested = tmp_path / "plain", tmp_path / "drive", tmp_path / "nested"
    SMALL.write_folder(plain / "img_align_celeba")
    SMALL.write_texts(plain, packed=True)
    SMALL.write_zip(drive / "Img" / "img_align_celeba.zip", inner="")  # as on Google Drive
    SMALL.write_texts(drive / "Anno", "list_attr_celeba.txt", "identity_CelebA.txt")
    SMALL.write_texts(drive / "Eval", "list_eval_partition.txt")
    SMALL.write_folder(nested / "img_align_celeba" / "img_align_celeba")  # as unpacked twice
    SMALL.write_texts(nested)
    found = [
        read(root, tmp_path / f"cache{i}", attributes="all") for i, root in enumerate((official, plain, drive, nested))
    ]
    assert [d.data_digests() for d in found[1:]] == [found[0].data_digests()] * 3
    for data in found:
        items = everything(data)
        assert sorted(items) == SMALL.stems
        for stem, item in items.items():
            assert torch.equal(item["image"], everything(found[0])[stem]["image"])
            assert abs(int(item["image"][2].float().mean()) - 10 * int(stem)) <= 2


def test_parts_are_the_official_ones(official: Path, tmp_path: Path) -> None:
    data = read(official, tmp_path)
    train = {data.train_set()[p]["id"] for p in range(data.epoch_size())}
    assert train == {s for s, part in zip(SMALL.stems, SMALL.parts, strict=True) if part == 0}
    for split, part in (("val", 1), ("test", 2)):
        ids = [data.eval_set(split)[i]["id"] for i in range(len(data.eval_set(split)))]
        assert ids == [s for s, p in zip(SMALL.stems, SMALL.parts, strict=True) if p == part]
    digests = data.data_digests()
    assert digests["images"] == {"train": 6, "val": 2, "test": 2} and digests["validation"] == "official"
    assert digests["facts"] == {
        "listed": {"train": 6, "val": 2, "test": 2},
        "taken_as_they_are": 0,
        "attributes": None,
    }
    assert sorted(digests["files"]) == ["10 pictures", "list_eval_partition.txt"]


@pytest.mark.parametrize(("crop", "left", "top"), [(108, 35, 55), (140, 19, 39), (148, 15, 35), (178, 0, 20)])
def test_crops_are_cut_from_the_middle_pixel_by_pixel(tmp_path: Path, crop: int, left: int, top: int) -> None:
    write_pngs(tmp_path)
    item = read(tmp_path, tmp_path / "cache", side=crop, crop=crop).train_set()[0]
    expected = SMALL.picture(item["id"])[top : top + crop, left : left + crop]
    np.testing.assert_array_equal(item["image"].numpy(), expected.transpose(2, 0, 1))


@pytest.mark.parametrize("resize", ["bilinear", "area"])
def test_a_resized_ramp_has_its_value_in_the_middle_of_each_new_pixel(tmp_path: Path, resize: str) -> None:
    write_pngs(tmp_path)
    image = read(tmp_path, tmp_path / "cache", resize=resize).train_set()[0]["image"].double()
    middles = (torch.arange(64) + 0.5) * 108 / 64 - 0.5
    inner = slice(1, -1)  # at the edges the filter sees one side only
    assert (image[0] - (35 + middles)[None, :]).abs()[inner, inner].max() <= 0.75  # half for rounding
    assert (image[1] - (55 + middles)[:, None]).abs()[inner, inner].max() <= 0.75


@pytest.mark.parametrize("side", [32, 18, 25, 54, 65])
def test_areas_are_exact_means(side: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 54, 54)).astype(np.uint8)
    fine = pixels.repeat(side, axis=1).repeat(side, axis=2).reshape(1, side, 54, side, 54)
    sums = fine.sum((2, 4), dtype=np.int64)
    np.testing.assert_array_equal(resize_area(pixels, side), np.floor(sums / 54**2 + 0.5))


def test_bilinear_is_antialiased(tmp_path: Path) -> None:
    stripes = np.zeros((218, 178, 3), np.uint8)
    stripes[:, ::2] = 255
    write_pngs(tmp_path, stripes)
    image = read(tmp_path, tmp_path / "cache", side=32).train_set()[0]["image"]
    assert image.min() >= 120 and image.max() <= 136


def test_pictures_of_the_right_size_are_taken_as_they_are(tmp_path: Path) -> None:
    SMALL.write_texts(tmp_path, packed=True)
    SMALL.write_zip(tmp_path / "cut.zip", *SMALL.stems[:4], inner="", width=64, height=64)
    SMALL.write_zip(tmp_path / "other.zip", inner="", width=60, height=64)
    with pytest.raises(DataError, match=r"has no img_align_celeba\.zip.*Is it cut\.zip\? Then set data\.images=cut\.z"):
        read(tmp_path, tmp_path / "cache")
    data = read(tmp_path, tmp_path / "cache", images="cut.zip", test_examples=1)
    assert data.data_digests()["facts"]["taken_as_they_are"] == 4
    item = data.train_set()[0]
    stored = np.asarray(Image.open(io.BytesIO(SMALL.jpeg(item["id"], 64, 64)))).transpose(2, 0, 1)
    np.testing.assert_array_equal(item["image"].numpy(), stored)
    with pytest.raises(DataError, match=r"000001\.jpg has 60 x 64 pixels\. Expected 178 x 218 .* or 64 x 64"):
        read(tmp_path, tmp_path / "cache", images=str(tmp_path / "other.zip"))
    with pytest.raises(DataError, match=r"data\.images=none\.zip: there is no .*none\.zip"):
        read(tmp_path, tmp_path / "cache", images="none.zip")


def test_grey_faces(official: Path, tmp_path: Path) -> None:
    item = read(official, tmp_path, shape=ImageShape(1, 64)).train_set()[0]
    assert item["image"].shape == (1, 64, 64)


def test_attributes_come_when_asked_for(official: Path, tmp_path: Path) -> None:
    plain = read(official, tmp_path)
    assert "attributes" not in plain.train_set()[0] and plain.train_set()[0]["label"] == -1
    some, every = read(official, tmp_path, attributes=["Smiling", "Male"]), read(official, tmp_path, attributes="all")
    for stem, item in everything(every).items():
        assert item["attributes"].dtype == torch.uint8
        np.testing.assert_array_equal(item["attributes"].numpy(), SMALL.attributes[int(stem) - 1])
    for stem, item in everything(some).items():
        expected = SMALL.attributes[int(stem) - 1][[ATTRIBUTES.index("Smiling"), ATTRIBUTES.index("Male")]]
        np.testing.assert_array_equal(item["attributes"].numpy(), expected)
    assert next(iter(some.train_dataloader()))["attributes"].shape == (2, 2)
    assert some.data_digests()["facts"]["attributes"] == ["Smiling", "Male"]
    assert "list_attr_celeba.txt" in some.data_digests()["files"]
    shas = {d.data_digests()["images_sha256"] for d in (plain, some, every)}
    assert len(shas) == 3
    assert len(list((tmp_path / "images").glob("celeba-*/"))) == 1  # pixels are decoded once for all of them


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attributes": ["Smilling"]}, r"names 'Smilling'\. Did you mean 'Smiling'\?"),
        ({"attributes": ["male"]}, "Did you mean 'Male'"),
        ({"attributes": ["Male", "Male"]}, "'Male' twice"),
        ({"attributes": []}, r"is \[\]\. Expected names"),
        ({"attributes": "Male"}, r"is 'Male'\. Expected names such as \[Male, Smiling\], 'all' or null"),
        ({"crop": 0}, r"data\.crop is 0\. Expected 1 to 178"),
        ({"crop": 218}, r"data\.crop is 218\. Expected 1 to 178"),
        ({"resize": "cubic"}, "Expected 'bilinear' or 'area'"),
        ({"val_examples": 2}, r"has 2 validation images of its own\. Set data\.val_examples=0"),
        ({"shape": ImageShape(3, 64, 256, 10)}, r"has 10177 classes\. Set data\.shape\.classes=10177, or 0"),
        ({"root": None}, r"data\.root is missing.*fetched by hand from https://mmlab.*Anno/.*img_align_celeba\.zip"),
    ],
)
def test_wrong_settings_are_named(official: Path, tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(settings.pop("root", official), tmp_path, **settings)


def test_the_label_is_the_person_where_classes_are_asked_for(official: Path, tmp_path: Path) -> None:
    items = everything(read(official, tmp_path, shape=ImageShape(3, 64, 256, 10_177)))
    assert all(item["label"] == int(stem) + 10 - 1 for stem, item in items.items())


def test_a_sample_of_the_pictures_is_enough(official: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    SMALL.write_texts(tmp_path)
    SMALL.write_folder(tmp_path / "img_align_celeba", "000001", "000003", "000006", "000009", "000010")
    with caplog.at_level(logging.WARNING):
        data = read(tmp_path, tmp_path / "cache", attributes="all")
    assert "holds 5 of the 10 pictures that are listed: train 3 of 6, val 1 of 2, test 1 of 2" in caplog.text
    found = {data.train_set()[p]["id"]: data.train_set()[p]["attributes"] for p in range(3)}
    assert sorted(found) == ["000001", "000003", "000006"]
    np.testing.assert_array_equal(found["000006"].numpy(), SMALL.attributes[5])
    assert data.data_digests()["facts"]["listed"] == {"train": 6, "val": 2, "test": 2}
    assert data.data_digests()["images_sha256"] != read(official, tmp_path / "c").data_digests()["images_sha256"]


def test_parts_without_pictures(tmp_path: Path) -> None:
    SMALL.write_texts(tmp_path)
    SMALL.write_folder(tmp_path / "held_out", "000004", "000005")
    with pytest.raises(DataError, match=r"holds 2 pictures, and none of those that .* lists for training \(part 0\)"):
        read(tmp_path, tmp_path / "cache", images="held_out")
    SMALL.write_folder(tmp_path / "train", "000001", "000002", "000003")
    with pytest.raises(ConfigError, match=r"no test images of its own\. Set data\.test_examples=N"):
        read(tmp_path, tmp_path / "cache", images="train")
    assert len(read(tmp_path, tmp_path / "cache", images="train", test_examples=1).eval_set("test")) == 1


def test_later_starts_read_the_cache_alone(official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(official, tmp_path)
    assert isinstance(first.train_set().selection.images.pixels, np.memmap)
    monkeypatch.setattr(celeba, "decode_picture", None)
    monkeypatch.setattr(pictures.zipfile, "ZipFile", None)
    again = read(official, tmp_path)
    assert again.data_digests() == first.data_digests()
    assert torch.equal(again.train_set()[3]["image"], first.train_set()[3]["image"])
    assert again.reference_digest("train") == first.reference_digest("train")


def test_what_changes_is_read_anew(tmp_path: Path) -> None:
    SMALL.write_texts(tmp_path)
    SMALL.write_folder(tmp_path / "img_align_celeba")

    def digest(**settings: Any) -> str:
        return str(read(tmp_path, tmp_path / "cache", **settings).data_digests()["images_sha256"])

    first = digest()
    (tmp_path / "img_align_celeba" / "000001.jpg").write_bytes(SMALL.jpeg("000012"))
    second = digest()
    SMALL.write_texts(tmp_path)
    partition = tmp_path / "list_eval_partition.txt"
    partition.write_text(partition.read_text(encoding="utf-8").replace("000001.jpg 0", "000001.jpg 2"))
    assert len({first, second, digest(), digest(crop=140), digest(resize="area")}) == 5


def spoil_picture(root: Path) -> None:
    (root / "img_align_celeba" / "000002.jpg").write_bytes(SMALL.jpeg("000002")[:700])


def spoil_text(name: str, old: str, new: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        content = (root / name).read_text(encoding="utf-8")
        assert old in content
        (root / name).write_text(content.replace(old, new, 1), encoding="utf-8")

    return spoil


def add_a_picture(name: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        (root / "img_align_celeba" / name).parent.mkdir(exist_ok=True)
        (root / "img_align_celeba" / name).write_bytes(SMALL.jpeg("000001"))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_picture, r"img_align_celeba: 000002\.jpg cannot be read as a picture: .*Is it truncated\?"),
        (add_a_picture("000099.jpg"), r"holds 000099\.jpg, which .*list_eval_partition\.txt does not list"),
        (add_a_picture("more/000003.jpg"), r"has two pictures called '000003'"),
        (
            lambda root: (root / "list_attr_celeba.txt").unlink(),
            r"has no list_attr_celeba\.txt, gzipped or not",
        ),
        (
            lambda root: (root / "list_eval_partition.txt").unlink(),
            r"has no list_eval_partition\.txt.*000001\.jpg \.\.",
        ),
        (
            spoil_text("list_eval_partition.txt", "000003.jpg 0", "000003.jpg 3"),
            r"partition\.txt, line 3: .*\(0 to 2\)",
        ),
        (
            spoil_text("list_attr_celeba.txt", "000004.jpg", "000044.jpg"),
            r"list_attr_celeba\.txt has no line for the picture 000004",
        ),
        (spoil_text("list_attr_celeba.txt", "10\n", "11\n"), "line 1 says 11 pictures, 10 follow. Is it truncated"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    SMALL.write_texts(tmp_path)
    SMALL.write_folder(tmp_path / "img_align_celeba")
    spoil(tmp_path)
    with pytest.raises(DataError, match=message):
        read(tmp_path, tmp_path / "cache", attributes=["Male"])
    assert not list((tmp_path / "cache" / "images").glob("celeba-*/index.json"))


def test_wrong_zip_files_are_named(official: Path, tmp_path: Path) -> None:
    SMALL.write_texts(tmp_path)
    whole = (official / "img_align_celeba.zip").read_bytes()
    file = tmp_path / "img_align_celeba.zip"
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"img_align_celeba\.zip cannot be read: .*Is it truncated\? Fetch it again"):
        read(tmp_path, tmp_path / "cache")
    at = whole.index(SMALL.jpeg("000005")) + 300
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(DataError, match=r"img_align_celeba/000005\.jpg cannot be read: Bad CRC-32"):
        read(tmp_path, tmp_path / "cache")
    file.write_bytes(b"")
    with pytest.raises(DataError, match=r"img_align_celeba\.zip cannot be read: File is not a zip file"):
        read(tmp_path, tmp_path / "cache")


def test_nothing_of_a_zip_file_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "a" / "b"
    SMALL.write_texts(root)
    with zipfile.ZipFile(root / "img_align_celeba.zip", "w") as bundle:
        for name, stem in (("../../000001.jpg", "000001"), ("/000002.jpg", "000002"), ("./x/000005.jpg", "000005")):
            bundle.writestr(name, SMALL.jpeg(stem))
        bundle.writestr("__MACOSX/img_align_celeba/._000001.jpg", b"no picture")
        bundle.writestr("img_align_celeba/readme.txt", b"no picture")
    data = read(root, root / "cache")
    assert data.data_digests()["images"] == {"train": 2, "test": 1, "val": 1}
    assert not list(tmp_path.rglob("*.jpg"))
    monkeypatch.setattr(pictures, "_LARGEST", 100)
    with pytest.raises(DataError, match=r"000001\.jpg would have \d+ bytes\. That is no picture"):
        read(root, root / "another cache")


def test_a_text_of_the_official_size_has_to_be_the_official_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SMALL.write_texts(tmp_path)
    size = (tmp_path / "list_eval_partition.txt").stat().st_size
    monkeypatch.setitem(celeba_files._OFFICIAL, "list_eval_partition.txt", (size, "0" * 64))
    with pytest.raises(DataError, match=r"has the official size, but its SHA-256 is .* it is corrupt"):
        read(tmp_path, tmp_path / "cache")


def test_a_root_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none is not a folder\. Expected, in it or one folder down"):
        read(tmp_path / "none", tmp_path / "cache")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"000001.jpg 0\n000002.jpg\n", "line 2: found '000002.jpg'. Expected the name of a picture and its part"),
        (b"000001.jpg -1\n", "line 1: found '000001.jpg -1'"),
        (b"000001.jpg 0\n\n000002.jpg 0\n", "line 2: found ''"),
        (b"000001.jpg 0\n000001.jpg 1\n", "line 2: '000001.jpg' stands in an earlier line too"),
        (b"000001 0\n", "line 1: '000001' is no name of a picture"),
        (b"000001.jpg " + b"9" * 5000, "line 1: found '000001.jpg 9+"),
    ],
)
def test_wrong_lines_of_the_partition(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"some/text.*{message}"):
        read_numbers(content, TEXT, "its part", 0, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: found ''. Expected the number of pictures"),
        (b"x\n", "line 1: found 'x'"),
        (b"1\n", "line 2: expected the 40 names"),
        (f"0\n{' '.join(ATTRIBUTES)}".replace("Male", "Mal").encode(), "line 2: .*'Mal' is none of them"),
        (f"0\n{' '.join(ATTRIBUTES[::-1])}".encode(), "line 2: .*found 40, or in another order"),
        (f"1\n{' '.join(ATTRIBUTES)}\n1.jpg{' 1' * 39}".encode(), "line 3: 39 values. Expected 40"),
        (f"1\n{' '.join(ATTRIBUTES)}\n1.jpg{' 1' * 39} 0".encode(), "line 3: value '0'. Expected 1 or -1"),
        (f"2\n{' '.join(ATTRIBUTES)}\n1.jpg{' 1' * 40}\n1.jpg{' 1' * 40}".encode(), "line 4: '1.jpg' stands in an ear"),
    ],
)
def test_wrong_lines_of_the_attributes(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"some/text.*{message}"):
        read_attributes(content, TEXT)


@pytest.mark.slow
def test_two_processes_decode_once(official: Path, tmp_path: Path) -> None:
    program = (
        "import json, logging, os, pathlib, sys, time\n"
        "logging.basicConfig(level=logging.INFO)\n"
        "from reprise.data.images.celeba import CelebA\n"
        "from reprise.nn.images import ImageShape\n"
        "ready = pathlib.Path(sys.argv[3])\n"
        "(ready / str(os.getpid())).touch()\n"
        "while len(list(ready.iterdir())) < 2: time.sleep(0.01)\n"
        "data = CelebA(ImageShape(3, 64), 2, 0, sys.argv[2], root=sys.argv[1])\n"
        "data.setup('fit')\n"
        "print(json.dumps(data.data_digests()))\n"
    )
    (tmp_path / "ready").mkdir()
    command = [sys.executable, "-c", program, str(official), str(tmp_path / "cache"), str(tmp_path / "ready")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    assert json.loads(outputs[0][0]) == json.loads(outputs[1][0])
    assert sum("decoding 10 pictures" in err for _, err in outputs) == 1
