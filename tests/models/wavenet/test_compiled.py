"""The compiled step computes what torch computes; without a compiler torch goes on; damaged files are built again."""

from __future__ import annotations

import hashlib
import logging
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from reprise.config.errors import ConfigError, RunError
from reprise.models.wavenet import generate as of_generate
from reprise.models.wavenet.fast import library as of_library
from reprise.models.wavenet.fast.sampler import CompiledSampler
from reprise.models.wavenet.generate import generate, make_sampler
from reprise.models.wavenet.heads import Head, Softmax
from reprise.models.wavenet.network import WaveNetNetwork
from reprise.models.wavenet.past import nothing
from reprise.models.wavenet.terms import Conditions
from reprise.nn.randomness import example_rng
from tests.models.wavenet.naive import mixture, naive, network

needs_compiler = pytest.mark.skipif(of_library.compiler() is None, reason="no C compiler")


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of compiled files of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPRISE_CACHE", str(tmp_path_factory.mktemp("compiled")))
        of_library.library.cache_clear()
        yield of_library.cache_folder()
    of_library.library.cache_clear()


@needs_compiler
@pytest.mark.parametrize("head", [lambda: Softmax(256), mixture], ids=["softmax", "mixture"])
@pytest.mark.parametrize("padding", ["silence", "zeros"])
@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"kernel": 3, "first_kernel": 1, "dilations": [1, 3, 5], "residual": 32, "skip": 70},
        {"kernel": 3, "dilations": [4, 7], "residual": 16, "skip": 144, "skips": False},
        {"kernel": 1, "unit": "relu", "bias": False, "residual": 33},
    ],
)
def test_parameters_are_those_of_the_network(head: Callable[[], Head], padding: str, sizes: dict) -> None:
    model = network(**sizes, head=head(), padding=padding, global_channels=2, local_channels=3)
    h, y, length = torch.tensor([[0.3, -1.0]]), torch.rand(1, 40, 3) - 0.5, 40
    sampler = make_sampler(model, "compiled")
    assert isinstance(sampler, CompiledSampler)
    sampler.begin(nothing(model, h, torch.zeros(1, 3), 1), 1.0, [length])
    assert sampler.terms.of_y is not None
    rows = sampler.terms.constant(h, 1)[:, None] + y @ sampler.terms.of_y.T
    uniform = torch.from_numpy(example_rng(0, "generate", 0).random((1, length, model.head.uniforms)))
    drawn, found = sampler.predict(rows, torch.arange(length, dtype=torch.int32)[None], uniform, parameters=True)
    expected, parameters = naive(model, length, h[0], y[0])
    torch.testing.assert_close(found[0], parameters, atol=1e-5, rtol=1e-5)
    samples = drawn.long() if model.head.classes else drawn
    torch.testing.assert_close(model.head.audio(samples)[0], expected, atol=4e-5, rtol=0)


@needs_compiler
@pytest.mark.parametrize("padding", ["silence", "zeros"])
def test_compiled_draws_what_torch_draws(padding: str) -> None:
    model = network(padding=padding, head=Softmax(256), local_channels=2, global_channels=2, dilations=[1, 2, 4, 8])
    lengths = [90, 20, 64, 64, 31, 1, 77, 12, 50, 90]
    h = torch.randn(10, 2, generator=torch.Generator().manual_seed(1))
    y = [torch.rand(-(-n // 8), 2, generator=torch.Generator().manual_seed(n)) for n in lengths]
    given = [torch.linspace(-1, 1, n // 3) for n in lengths]
    settings = {"hop": 8, "given": given, "seed": 2, "temperature": 0.9}
    a = generate(model, lengths, h, y, engine="torch", **settings)
    b = generate(model, lengths, h, y, engine="compiled", **settings)
    for one, other, length in zip(a, b, lengths, strict=True):
        assert len(one) == length
        assert torch.equal(one, other)


@needs_compiler
@pytest.mark.parametrize("head", [lambda: Softmax(256), mixture], ids=["softmax", "mixture"])
def test_neither_batch_nor_chunks_nor_threads_change_a_bit(head: Callable[[], Head]) -> None:
    model = network(head=head(), residual=32, skip=80, local_channels=2)
    lengths = [60, 33, 41, 58, 60, 7, 60, 60, 60, 60, 60]
    y = [torch.rand(n, 2, generator=torch.Generator().manual_seed(n)) for n in lengths]
    alone = [
        generate(model, [n], None, [rows], keys=[k], engine="compiled")[0]
        for k, (n, rows) in enumerate(zip(lengths, y, strict=True))
    ]
    before = torch.get_num_threads()
    try:
        for threads, chunk in ((1, None), (3, 7), (16, 50)):
            torch.set_num_threads(threads)
            together = generate(model, lengths, None, y, engine="compiled", chunk=chunk)
            assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
def predicted(model: WaveNetNetwork, members: list[int], chunk: int, length: int = 24, hop: int = 5) -> Tensor:
    """Parameters (B, T, P) of all distributions of some of many waveforms, which differ in all that they are given."""
    g = [torch.Generator().manual_seed(i) for i in members]
    h = torch.cat([torch.randn(1, model.global_channels, generator=of) for of in g])
    before = torch.cat([torch.randn(1, model.local_channels, generator=of) for of in g])
    y = [torch.randn(-(-length // hop), model.local_channels, generator=of) for of in g]
    sampler = make_sampler(model, "compiled")
    assert isinstance(sampler, CompiledSampler)
    past = of_generate._past(model, [model.head.inputs(torch.zeros(0))] * len(g), h, y, hop, before, None, None)
    sampler.begin(past, 1.0, [length] * len(g))
    conditions = Conditions(sampler.terms, sampler.terms.constant(h, len(g)), y, hop, [0] * len(g))
    uniform = np.stack([example_rng(0, "generate", i).random((length, model.head.uniforms)) for i in members])
    found = []
    for first in range(0, length, chunk):
        count = min(chunk, length - first)
        part = torch.from_numpy(uniform[:, first : first + count])
        found.append(sampler.predict(*conditions.rows(first, count), part, parameters=True)[1])
    return torch.cat(found, 1)  # type: ignore[arg-type]


@needs_compiler
@pytest.mark.parametrize("local", [3, 32, 33])
@pytest.mark.parametrize(("residual", "skip", "kernel"), [(16, 16, 2), (18, 64, 3), (40, 144, 2)])
def test_lanes_and_chunks_do_not_change_a_bit_of_a_parameter(
    local: int, residual: int, skip: int, kernel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread, so that up to eight waveforms are computed as lanes of one product, in every number of them."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    sizes = {"residual": residual, "skip": skip, "kernel": kernel, "dilations": [1, 3, 8]}
    model = network(head=Softmax(256), local_channels=local, global_channels=40, **sizes)
    alone = torch.cat([predicted(model, [i], 24) for i in range(11)])
    assert (alone[0] - alone[1]).abs().max() > 0.1
    for batch, chunk in ((1, 1), (2, 24), (3, 7), (4, 24), (5, 5), (6, 24), (7, 24), (8, 1), (11, 24)):
        found = predicted(model, list(range(batch)), chunk)
        assert torch.equal(found, alone[:batch]), (batch, chunk)


@needs_compiler
def test_the_unit_is_exact_to_a_millionth() -> None:
    loaded = of_library.library()
    assert loaded is not None
    values = torch.cat([torch.linspace(-30, 30, 400), torch.tensor([0.0, -0.0, 1e-6, 200.0, -200.0, 3e38, -3e38])])
    f, g = torch.meshgrid(values, values, indexing="ij")
    f, g = f.flatten(), g.flatten()
    f, g = f[: len(f) // 64 * 64].contiguous(), g[: len(g) // 64 * 64].contiguous()
    z = torch.zeros_like(f)
    for i in range(0, len(f), 64):
        loaded.reprise_wavenet_unit(f[i:].data_ptr(), g[i:].data_ptr(), z[i:].data_ptr())
    error = (z.double() - torch.tanh(f.double()) * torch.sigmoid(g.double())).abs().max()
    assert error < 5e-7


@needs_compiler
@pytest.mark.parametrize("bits", [0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FC00001, 0xFFFFFFFF], ids=hex)
def test_a_unit_of_what_is_not_a_number_is_none(bits: int) -> None:
    loaded = of_library.library()
    assert loaded is not None
    nan = torch.from_numpy(np.array([bits], np.uint32).view(np.float32))
    f, g, z = torch.linspace(-3, 3, 64), torch.linspace(2, -2, 64), torch.zeros(64)
    f[5], g[17] = nan[0], nan[0]
    loaded.reprise_wavenet_unit(f.data_ptr(), g.data_ptr(), z.data_ptr())
    assert z.isnan().nonzero()[:, 0].tolist() == [5, 17]


@pytest.mark.parametrize("engine", ["torch", pytest.param("compiled", marks=needs_compiler)])
@pytest.mark.parametrize("unit", ["gated", "relu"])
@pytest.mark.parametrize("head", [lambda: Softmax(16), mixture], ids=["softmax", "mixture"])
def test_what_is_not_a_number_is_not_drawn_from(head: Callable[[], Head], unit: str, engine: str) -> None:
    """It may arise of finite weights and conditions, in a layer, after the skips, or at the output of some lanes."""
    model = network(head=head(), unit=unit, local_channels=1)
    y = [torch.zeros(20, 1), torch.zeros(20, 1), torch.zeros(20, 1)]
    sampler = make_sampler(model, engine)

    def drawn() -> Tensor:
        conditions = Conditions(sampler.terms, sampler.terms.constant(None, 3), y, 1, [0, 0, 0])
        sampler.begin(nothing(model, None, torch.zeros(3, 1), 3), 1.0, [20] * 3)
        return sampler.draw(*conditions.rows(0, 20), torch.full((3, 20, model.head.uniforms), 0.5, dtype=torch.double))

    assert drawn().shape == (3, 20)
    y[1][15] = float("nan")
    with pytest.raises(RunError, match="distribution of a sample is not finite"):
        drawn()
    y[1][15] = 0.0
    model.post.weight.data[:] = 3e38
    model.post.bias.data[:] = 3e38
    sampler = make_sampler(model, engine)
    with pytest.raises(RunError, match="not finite"):
        drawn()


@needs_compiler
def test_a_damaged_file_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_library, "FLAGS", (("-O0",),))  # soon done
    compiler = of_library.compiler()
    assert compiler is not None
    of_library.load(compiler, tmp_path)
    (built,) = tmp_path.iterdir()
    good = built.read_bytes()
    for bad in (good[: len(good) // 2], b"", good[:1000] + bytes([good[1000] ^ 1]) + good[1001:]):
        built.unlink()  # a loaded file must not change under the process
        built.write_bytes(bad)
        of_library.load(compiler, tmp_path)
        assert len(built.read_bytes()) == len(good)
        assert list(tmp_path.iterdir()) == [built]
    changed = built.stat().st_mtime_ns
    of_library.load(compiler, tmp_path)
    assert built.stat().st_mtime_ns == changed


@needs_compiler
@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="flags of x86 processors")
@pytest.mark.parametrize("flags", [("-O2",), ("-O2", "-mavx2", "-mfma")], ids=["sse", "avx2"])
def test_shorter_registers_compute_the_same(
    flags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = of_library.compiler()
    assert compiler is not None
    model = network(head=Softmax(256), residual=32, skip=144, kernel=3)
    expected = generate(model, [60] * 11, engine="compiled")
    monkeypatch.setattr(of_library, "FLAGS", (flags,))
    loaded = of_library.load(compiler, tmp_path)
    monkeypatch.setattr(of_generate, "library", lambda: loaded)
    made = generate(model, [60] * 11, engine="compiled")
    assert all(torch.equal(a, b) for a, b in zip(expected, made, strict=True))


@needs_compiler
def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_library, "FLAGS", (("-O0",),))
    (tmp_path / "file").write_text("no folder")
    compiler = of_library.compiler()
    assert compiler is not None
    assert of_library.load(compiler, tmp_path / "file" / "compiled").reprise_wavenet_draw is not None


def test_without_a_compiler_torch_draws_and_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(of_library, "compiler", lambda: None)
    of_library.library.cache_clear()
    model = network()
    with caplog.at_level(logging.WARNING):
        a, b = (generate(model, [20])[0] for _ in range(2))
    assert torch.equal(a, b)
    assert torch.equal(a, generate(model, [20], engine="torch")[0])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "no C compiler" in caplog.text
    with pytest.raises(ConfigError, match="needs a C compiler"):
        generate(model, [20], engine="compiled")
    of_library.library.cache_clear()


def test_a_compiler_that_fails_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho the reason >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    of_library.library.cache_clear()
    assert of_library.library() is None
    assert "the reason" in caplog.text
    of_library.library.cache_clear()


def test_other_numbers_are_drawn_in_torch() -> None:
    model = network().double()
    assert not isinstance(make_sampler(model), CompiledSampler)
    with pytest.raises(ConfigError, match="float32"):
        make_sampler(model, "compiled")


def test_the_digest_of_the_source_is_that_of_the_source() -> None:
    found = hashlib.sha256(of_library.SOURCE.read_bytes()).hexdigest()
    assert found == of_library.SOURCE_SHA256, f"wavenet.c has changed: set SOURCE_SHA256 in fast/library.py to {found}"
