"""FID and Inception Score on two processes are those of one, and references come back from files."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reprise.config.errors import RunError
from reprise.metrics.images.metric import ImageQuality
from reprise.metrics.images.quality import Quality
from reprise.metrics.images.random_features import RandomFeatures
from reprise.metrics.images.reference import ReferenceFile

N = 41
QUALITY = Quality(RandomFeatures(), N, ["train", "test"], splits=4)
WHICH = "digest 12ab, 3 x 8 x 8, train"


def images(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 8, 8), generator=generator, dtype=torch.uint8)


REAL, FAKE = images(70, 0), images(N, 1)


def give(metric: ImageQuality, real: slice, keys: list[int], references: tuple[Any, ...] = ("train", "test")) -> None:
    for split in references:
        metric.update_reference(REAL[real], 256, split)
    for start in range(0, len(keys), 5):
        part = keys[start : start + 5]
        metric.update_generated(FAKE[part], 256, part)


def values(metric: ImageQuality) -> dict[str, float]:
    return {name: float(value) for name, value in metric.compute().items()}


def alone() -> dict[str, float]:
    metric = QUALITY.metric()
    give(metric, slice(None), list(range(N)))
    return values(metric)


# two processes


def _rank(rank: int, folder: Path) -> None:
    """What one of two processes finds, written to a file."""
    store = f"file://{folder}/store"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    metric, found = QUALITY.metric(), {}
    give(metric, slice(0, 50) if rank == 0 else slice(50, None), list(range(rank, N, 2)))
    found["shares"] = values(metric)
    metric.reset()
    give(metric, slice(0), list(range(N)) if rank == 1 else [])
    found["all generated on one"] = values(metric)
    metric.reset()
    give(metric, slice(0), list(range(N)) if rank == 1 else [3])
    found["an image on both"] = _error(metric.compute)

    metric = QUALITY.metric()
    give(metric, slice(None) if rank == 1 else slice(0), list(range(N)) if rank == 1 else [])
    found["a process without images"] = values(metric)

    metric, cache = QUALITY.metric(), folder / "cache"
    found["recalled first"] = [metric.recall(split, cache, WHICH + split, len(REAL)) for split in ("train", "test")]
    give(metric, slice(50, None) if rank == 0 else slice(0, 50), list(range(rank, N, 2)))
    found["written"] = values(metric)
    metric.reset()
    found["recalled again"] = metric.recall("train", cache, WHICH + "train", len(REAL))
    metric = QUALITY.metric()
    torch.distributed.barrier()
    found["recalled"] = [metric.recall(split, cache, WHICH + split, len(REAL)) for split in ("train", "test")]
    give(metric, slice(0), list(range(rank, N, 2)), ())
    found["from files"] = values(metric)
    (folder / f"rank{rank}").write_bytes(pickle.dumps(found))
    torch.distributed.destroy_process_group()


def _error(call: Callable[[], Any]) -> str:
    try:
        call()
    except RunError as error:
        return str(error)
    return "no error"


def test_two_processes_measure_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_rank, args=(rank, tmp_path)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    one, both = alone(), [pickle.loads((tmp_path / f"rank{rank}").read_bytes()) for rank in range(2)]
    for found in both:
        for case in ("shares", "all generated on one", "a process without images", "written", "from files"):
            assert found[case] == pytest.approx(one, rel=1e-9, abs=1e-9), case
        assert found["an image on both"].startswith("1 generated images were measured by more than one process")
        assert found["recalled first"] == [False, False]
        assert found["recalled again"] is True
        assert found["recalled"] == [True, True]
    assert both[0]["shares"] == both[1]["shares"]


# files of references


def recalled(
    folder: Path, which: str = WHICH, count: int = len(REAL), quality: Quality = QUALITY
) -> ImageQuality | None:
    metric = quality.metric()
    return metric if metric.recall("train", folder, which, count) else None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the statistics of the training images."""
    metric = QUALITY.metric()
    assert not metric.recall("train", tmp_path, WHICH, len(REAL))
    give(metric, slice(None), list(range(N)))
    metric.compute()
    return tmp_path


def test_a_reference_comes_back_from_its_file(folder: Path) -> None:
    (file,) = folder.iterdir()
    assert file.name.startswith("random-v1-s0-70-") and file.suffix == ".pt"
    metric = recalled(folder)
    assert metric is not None and metric.knows("train") and not metric.knows("test")
    give(metric, slice(None), list(range(N)), ("test",))
    assert values(metric) == alone()
    metric.reset()
    give(metric, slice(0), list(range(N)), ())
    assert values(metric) == alone(), "the reference stays"


def test_another_reference_has_another_file(folder: Path) -> None:
    class Newer(RandomFeatures):
        version = 2

    assert recalled(folder, WHICH + " flipped") is None
    assert recalled(folder, count=71) is None
    assert recalled(folder, quality=Quality(Newer(), N)) is None
    assert recalled(folder, quality=Quality(RandomFeatures(), 5, splits=1)) is not None, "generated images matter not"


def test_a_reference_of_another_count_than_announced_is_refused(tmp_path: Path) -> None:
    metric = QUALITY.metric()
    metric.recall("train", tmp_path, WHICH, 69)
    give(metric, slice(None), list(range(N)))
    with pytest.raises(RunError, match="70 train images were given as reference"):
        metric.compute()
    assert list(tmp_path.iterdir()) == []


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _swap(path: Path) -> None:
    torch.save({**torch.load(path), "key": "others"}, path)


def _spoil(path: Path) -> None:
    found = torch.load(path)
    found["outer"][0, 0] = torch.nan
    torch.save(found, path)


def _shrink(path: Path) -> None:
    found = torch.load(path)
    torch.save({**found, "total": found["total"][:3]}, path)


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Path("x"), protocol=2))


@pytest.mark.parametrize("damage", [_truncate, _swap, _spoil, _shrink, _pickle, lambda p: p.write_bytes(b"")])
def test_a_damaged_file_is_measured_anew_with_a_warning(
    folder: Path, damage: Callable[[Path], Any], caplog: pytest.LogCaptureFixture
) -> None:
    (file,) = folder.iterdir()
    damage(file)
    metric = QUALITY.metric()
    with caplog.at_level(logging.WARNING):
        assert not metric.recall("train", folder, WHICH, len(REAL))
    assert f"{file} cannot be used" in caplog.text
    give(metric, slice(None), list(range(N)))
    assert values(metric) == alone()
    assert recalled(folder) is not None, "it was mended"
    assert [p.name for p in folder.iterdir()] == [file.name]


def test_a_folder_that_cannot_be_written_to_costs_a_warning_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    metric = QUALITY.metric()
    assert not metric.recall("train", tmp_path / "file" / "below", WHICH, len(REAL))
    give(metric, slice(None), list(range(N)))
    with caplog.at_level(logging.WARNING):
        assert values(metric) == alone()
    assert "cannot be written" in caplog.text


def test_what_a_file_is_of_decides_its_name() -> None:
    file = ReferenceFile(Path("cache"), "random-v1", 16, "digest", 70)
    others = [("inception-v1", "digest", 70), ("random-v1", "other", 70), ("random-v1", "digest", 71)]
    assert len({file.path, *(ReferenceFile(Path("cache"), f, 16, d, n).path for f, d, n in others)}) == 4
