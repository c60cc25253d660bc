"""What every image data module does: items, the stream, binarisation, splits, groups, pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reprise.config.errors import ConfigError, DataError
from reprise.data.images.arrays import ImageFiles, Images, Values
from reprise.data.images.base import ImageDataModule
from reprise.data.images.digits import Digits
from reprise.nn.images import ImageShape

SHAPE = ImageShape(1, 8, 17, 10)
BITS = ImageShape(1, 8, 2, 10)
SPLIT: dict[str, Any] = {"val_examples": 197, "test_examples": 300}


def digits(cache: Path, shape: ImageShape = SHAPE, **settings: Any) -> Digits:
    data = Digits(shape, 4, **{"seed": 0, **SPLIT, **settings}, cache=str(cache))
    data.setup("fit")
    return data


class Ramp(ImageDataModule):
    """Images with values 0 to 255, whose mean under binarisation is known."""

    def load(self) -> ImageFiles:
        pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16).repeat(64, axis=0)
        return ImageFiles(Images("train", pixels), test=Images("test", pixels))


def ramp(cache: Path, levels: int = 2, **settings: Any) -> Ramp:
    data = Ramp(ImageShape(1, 16, levels), 4, **{"seed": 0, **settings}, cache=str(cache))
    data.setup("fit")
    return data


def test_items_of_the_embedded_digits(cache: Path) -> None:
    from sklearn.datasets import load_digits

    data, official = digits(cache), load_digits()
    assert data.epoch_size() == 1300
    item = data.train_set()[5]
    row = int(item["id"].removeprefix("digits-"))
    assert item["image"].dtype == torch.uint8 and item["image"].shape == (1, 8, 8)
    np.testing.assert_array_equal(item["image"][0].numpy(), official.images[row])
    assert (item["label"], item["position"], item["group"]) == (official.target[row], 5, 0)


def test_splits_are_disjoint_whole_and_by_split_seed(cache: Path) -> None:
    def ids(data: Digits) -> dict[str, set[str]]:
        train = {data.train_set()[p]["id"] for p in range(data.epoch_size())}
        return {"train": train, **{s: {i["id"] for i in data.eval_set(s)} for s in ("val", "test")}}

    found = ids(digits(cache))
    assert {name: len(split) for name, split in found.items()} == {"train": 1300, "val": 197, "test": 300}
    assert len(set().union(*found.values())) == 1797
    assert found == ids(digits(cache, seed=7))
    assert found["test"] != ids(digits(cache, split_seed=1))["test"]


def test_batches_collate_and_two_processes_read_what_one_does(cache: Path) -> None:
    from torch.utils.data import DataLoader

    from reprise.data.stream import StreamSampler

    data = digits(cache, BITS, binarize="dynamic", flip=True)
    one = next(iter(data.train_dataloader()))
    assert one["image"].shape == (4, 1, 8, 8) and one["position"].tolist() == [0, 1, 2, 3] and len(one["id"]) == 4
    halves = [next(iter(DataLoader(data.train_set(), batch_sampler=StreamSampler(4, rank, 2, 1)))) for rank in range(2)]
    assert torch.equal(torch.cat([h["image"] for h in halves]), one["image"])
    held_out = next(iter(data.test_dataloader()))
    assert held_out["image"].shape[0] == 64


def test_the_stream_is_a_function_of_seed_and_position(cache: Path) -> None:
    a, b, c = (digits(cache, BITS, binarize="dynamic", flip=True, seed=s).train_set() for s in (0, 0, 1))
    assert all(torch.equal(a[p]["image"], b[p]["image"]) for p in (0, 7, 5000))
    assert not all(torch.equal(a[p]["image"], c[p]["image"]) for p in range(5))


def test_workers_and_resuming_change_nothing(cache: Path) -> None:
    data, workers = (digits(cache, BITS, binarize="dynamic", num_workers=n) for n in (0, 1))
    loader = iter(data.train_dataloader())
    batches = [next(loader) for _ in range(3)]
    workers.load_state_dict({"iteration": 2})
    assert torch.equal(next(iter(workers.train_dataloader()))["image"], batches[2]["image"])


def test_fixed_binarisation_is_the_same_always_and_dynamic_differs_by_position(cache: Path) -> None:
    fixed, again = ramp(cache, binarize="fixed"), ramp(cache, binarize="fixed", seed=5)
    dynamic = ramp(cache, binarize="dynamic")

    def of_image(data: Ramp, name: str) -> list[torch.Tensor]:
        return [i["image"] for i in map(data.train_set().__getitem__, range(64 * 4)) if i["id"] == name]

    assert len(of_image(fixed, "train-00003")) == 4
    for image in (*of_image(fixed, "train-00003"), *of_image(again, "train-00003")):
        assert torch.equal(image, of_image(fixed, "train-00003")[0])
    drawn = of_image(dynamic, "train-00003")
    assert not any(torch.equal(drawn[0], other) for other in drawn[1:])
    other_seed = ramp(cache, binarize="fixed", split_seed=1)
    assert not torch.equal(of_image(fixed, "train-00003")[0], of_image(other_seed, "train-00003")[0])
    for held_out in (fixed, again, dynamic):
        assert torch.equal(held_out.eval_set("test")[9]["image"], fixed.eval_set("test")[9]["image"])


@pytest.mark.parametrize("kind", ["fixed", "dynamic"])
def test_binarisation_follows_the_grey_values(cache: Path, kind: str) -> None:
    data = ramp(cache, binarize=kind)
    images = torch.stack([data.train_set()[p]["image"] for p in range(640)]).double()
    assert set(images.unique().tolist()) == {0.0, 1.0}
    probability = torch.arange(256).reshape(1, 16, 16) / 255
    assert (images[:, 0, 0, 0] == 0).all() and (images[:, 0, -1, -1] == 1).all()
    # 64 images drawn once each, or 640 draws: five standard errors, largest at probability 1/2
    draws = 64 if kind == "fixed" else 640
    assert (images.mean(0) - probability).abs().max() < 5 * 0.5 / draws**0.5
    assert (images.mean((1, 2, 3)).mean() - 0.5).abs() < 5 * 0.41 / (draws * 256) ** 0.5


@pytest.mark.parametrize(("levels", "stored", "value"), [(2, 127, 0), (2, 128, 1), (32, 7, 0), (32, 8, 1), (8, 255, 7)])
def test_fewer_levels_are_floors(cache: Path, levels: int, stored: int, value: int) -> None:
    assert int(ramp(cache, levels).eval_set("test")[0]["image"].flatten()[stored]) == value


def test_flips_mirror_half_of_the_training_images_and_no_others(cache: Path) -> None:
    plain, flipped = ramp(cache, 256), ramp(cache, 256, flip=True)
    image = plain.eval_set("test")[0]["image"]
    assert torch.equal(flipped.eval_set("test")[0]["image"], image)
    mirrored = 0
    for position in range(400):
        found = flipped.train_set()[position]["image"]
        mirrored += torch.equal(found, image.flip(-1))
        assert torch.equal(found, image) or torch.equal(found, image.flip(-1))
    assert 150 < mirrored < 250


def test_training_images_follow_the_test_images_as_a_group(cache: Path) -> None:
    data = ramp(cache, 256, train_images=10)
    test = [data.eval_set("test")[i] for i in range(len(data.eval_set("test")))]
    assert [i["group"] for i in test] == [0] * 64 + [1] * 10
    assert [i["position"] for i in test] == list(range(74))
    assert all(i["id"].startswith("train-") for i in test[64:]) and len({i["id"] for i in test}) == 74
    assert len(data.eval_set("val")) == 64  # validation has test images alone
    limited = ramp(cache, 256, train_images=10, limit_test=3).eval_set("test")
    assert [limited[i]["group"] for i in range(len(limited))] == [0, 0, 0, 1, 1, 1]
    with pytest.raises(ConfigError, match=r"data\.train_images is 65\. There are 64"):
        ramp(cache, 256, train_images=65)


def test_test_images_can_be_left_out(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("3\n60\n\n7\n", encoding="utf-8")
    (tmp_path / "rows.csv").write_text("member,row_0based,label\nx.bin,3,8\nx.bin,60,8\nx.bin,7,1\n", encoding="utf-8")
    found = []
    for rows in ([3, 60, 7], str(tmp_path / "rows.txt"), str(tmp_path / "rows.csv")):
        data = ramp(cache, 256, exclude_test=rows)
        ids = [i["id"] for i in map(data.eval_set("test").__getitem__, range(61))]
        assert len(data.eval_set("test")) == 61
        assert not {"test-00003", "test-00060", "test-00007"} & set(ids)
        found.append(data.data_digests())
    assert found[0] == found[1] == found[2]
    assert found[0]["excluded_test"] == 3
    assert found[0] != ramp(cache, 256, exclude_test=[3, 60, 8]).data_digests()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([64], "names row 64. Expected rows 0 to 63"),
        ([-1], "names row -1"),
        ([5, 9, 5], "names row 5 twice"),
        (list(range(64)), "leaves out all 64"),
    ],
)
def test_wrong_rows_to_leave_out(cache: Path, rows: list[int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ramp(cache, 256, exclude_test=rows)


def test_wrong_files_of_rows_are_named(cache: Path, tmp_path: Path) -> None:
    for content, message in (("a,b\n1,2\n", "a header with a column `row`"), ("row\nx\n", "line 2: .*'x'")):
        (tmp_path / "rows").write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            ramp(cache, 256, exclude_test=str(tmp_path / "rows"))
    with pytest.raises(DataError, match="cannot be read"):
        ramp(cache, 256, exclude_test=str(tmp_path / "none"))


def test_validation_by_test_images_is_said(cache: Path) -> None:
    data = ramp(cache, 256)
    assert data.data_digests()["validation"] == "the test images"
    assert [i["id"] for i in data.eval_set("val")] == [i["id"] for i in data.eval_set("test")]
    held_out = ramp(cache, 256, val_examples=6)
    assert {i["id"][:5] for i in held_out.eval_set("val")} == {"train"} and held_out.epoch_size() == 58


def test_digests_follow_content_and_options(cache: Path) -> None:
    plain = digits(cache).data_digests()
    assert plain == digits(cache, seed=3, limit_test=5).data_digests()
    for change in ({"flip": True}, {"split_seed": 1}, {"val_examples": 90}, {"train_images": 3}):
        assert digits(cache, **change).data_digests() != plain
    fixed, dynamic = (digits(cache, BITS, binarize=b).data_digests() for b in ("fixed", "dynamic"))
    assert fixed != dynamic and fixed["images_sha256"] == plain["images_sha256"]


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        (ImageShape(3, 8, 17, 10), {}, r"data\.shape\.channels is 3.*Set data\.shape\.channels=1"),
        (ImageShape(1, 28, 17, 10), {}, r"data\.shape\.side is 28.*1 x 8 x 8.*Set data\.shape\.side=8"),
        (ImageShape(1, 8, 256, 10), {}, r"has 17 levels\. Set data\.shape\.levels=17, or fewer"),
        (ImageShape(1, 8, 17, 7), {}, r"has 10 classes\. Set data\.shape\.classes=10, or 0"),
        (ImageShape(2, 8, 17, 7), {}, r"Expected 1 \(grey\) or 3"),
        (SHAPE, {"binarize": "fixed"}, r"data\.shape\.levels is 17\. Set it to 2"),
        (BITS, {"binarize": "sometimes"}, r"Expected 'fixed', 'dynamic' or null"),
        (SHAPE, {"root": "/somewhere"}, r"data\.root=/somewhere is not read"),
        (SHAPE, {"val_examples": 1500}, r"leave any for training\. Lower data\.val_examples"),
        (SHAPE, {"limit_test": 0}, r"data\.limit_test is 0\. Expected 1 or more, or null"),
        (SHAPE, {"val_examples": -1}, r"data\.val_examples is -1"),
        (SHAPE, {"test_examples": 0}, r"no test images of its own\. Set data\.test_examples=N"),
    ],
)
def test_what_does_not_fit_is_named_with_its_key(
    cache: Path, shape: ImageShape, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        digits(cache, shape, **settings)


def test_a_reference_is_every_image_of_a_split_as_it_is(cache: Path) -> None:
    data = ramp(cache, 256, flip=True, limit_test=2, limit_val=1, train_images=3, exclude_test=[5])
    image = data.eval_set("test")[0]["image"]
    for split, count in (("train", 64), ("test", 63)):
        found = data.reference_set(split)
        items = [found[i] for i in range(len(found))]
        assert len(items) == count and [i["position"] for i in items] == list(range(count))
        assert all(torch.equal(i["image"], image) and i["group"] == 0 for i in items)
        assert [i["id"] for i in items] == [f"{split}-{n:05d}" for n in range(64) if split == "train" or n != 5]
    held_out = ramp(cache, 256, val_examples=6).reference_set("train")
    assert len(held_out) == 58
    assert [held_out[i]["position"] for i in range(58)] == list(range(58))


def test_a_reference_digest_follows_what_the_images_are_and_nothing_else(cache: Path) -> None:
    def digest(levels: int = 256, split: Any = "train", **settings: Any) -> str:
        return ramp(cache, levels, **settings).reference_digest(split)

    same = digest()
    assert same == digest(seed=5, flip=True, split_seed=3, limit_test=2, train_images=4, exclude_test=[3])
    bits = digest(2, binarize="fixed")
    assert bits == digest(2, binarize="dynamic", seed=7)
    different = [same, bits, digest(2), digest(2, binarize="fixed", split_seed=1), digest(16), digest(split="test")]
    different += [digest(split="test", exclude_test=[3]), digest(val_examples=6), digest(val_examples=6, split_seed=1)]
    assert len(set(different)) == len(different)


def test_attributes_are_handed_out_and_digested_where_there_are_any() -> None:
    pixels = np.zeros((3, 1, 4, 4), np.uint8)
    plain, labelled = Images("a", pixels), Images("a", pixels, attributes=np.eye(3, 2, dtype=np.uint8))
    values = Values(256, 256, None, 0, labels=False)
    assert "attributes" not in values.item(pixels[1], plain, 1, 0, 0)
    assert values.item(pixels[1], labelled, 1, 0, 0)["attributes"].tolist() == [0, 1]
    assert ImageFiles(plain).content_sha256() != ImageFiles(labelled).content_sha256()


def test_labels_can_be_left_out(cache: Path) -> None:
    assert {i["label"] for i in digits(cache, ImageShape(1, 8, 17, 0)).eval_set("val")} == {-1}


@pytest.mark.parametrize("levels", [2, 5, 17, 100, 128, 255, 256])
def test_written_samples_are_read_back_exactly(cache: Path, tmp_path: Path, levels: int) -> None:
    data = ramp(cache, levels)
    sample = torch.randint(levels, (1, 16, 16), generator=torch.Generator().manual_seed(0))
    sample[0, 0, :2] = torch.tensor([0, levels - 1])
    path = data.write_sample("a", sample, tmp_path / "new")
    assert path == data.sample_path("a", tmp_path / "new")
    with Image.open(path) as picture:
        grey = np.asarray(picture)
        assert (picture.format, picture.mode, grey[0, 0], grey[0, 1]) == ("PNG", "L", 0, 255)
    ((name, item),) = data.read_inputs(path)
    assert (name, item["id"], item["label"], item["group"]) == ("a", "a", -1, 0)
    assert torch.equal(item["image"], sample.to(torch.uint8))


def test_wrong_samples_are_refused(cache: Path, tmp_path: Path) -> None:
    data = digits(cache)
    for sample in (torch.zeros(8, 8, dtype=torch.long), torch.zeros(1, 8, 8), torch.full((1, 8, 8), 17)):
        with pytest.raises(DataError, match="sample a"):
            data.write_sample("a", sample, tmp_path)


def test_examples_to_generate_from(cache: Path) -> None:
    data = Ramp(ImageShape(1, 16), 4, 0, str(cache), exclude_test=[1])
    examples = dict(data.example_inputs(3))
    assert list(examples) == ["test-00000", "test-00002", "test-00003"]
    assert examples["test-00002"]["image"].shape == (1, 16, 16)
    assert len(dict(data.example_inputs(100))) == 63
