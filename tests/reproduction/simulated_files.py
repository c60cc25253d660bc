"""Small files of a simulated run: sound, pictures, learning curves."""

from __future__ import annotations

import math
import struct
import wave
import zlib
from pathlib import Path


def write_wav(path: Path, pitch: float, rate: int = 8000, seconds: float = 0.25) -> None:
    """Write a short tone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = int(rate * seconds)
    tone = (int(9000 * math.sin(2 * math.pi * pitch * i / rate)) for i in range(count))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", v) for v in tone))


def write_png(path: Path, shade: int, width: int = 48, height: int = 24) -> None:
    """Write a small grey picture with a gradient."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    path.parent.mkdir(parents=True, exist_ok=True)
    rows = b"".join(b"\0" + bytes((shade + 3 * x + 5 * y) % 256 for x in range(width)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def write_curves(path: Path, best: float, steps: int, seed: int, points: int = 60) -> None:
    """Write metrics.csv: a loss that falls, and a validation metric that has its best before the end."""
    lines = ["step,name,value"]
    for i in range(1, points + 1):
        step, wiggle = i * steps // points, 0.02 * math.sin(12.9898 * (i + 7 * seed))
        lines.append(f"{step},train/loss,{0.06 + 0.9 * math.exp(-i / 8) + wiggle}")
        if i % 5 == 0:
            lines.append(f"{step},val/ls_mse,{best + 3 * abs(i - 50) / 5 + 2 * (i != 50)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_samples(folder: Path, rows: list[str], seed: int) -> None:
    """Write what an evaluation leaves: generated and true sound with a picture, for each row."""
    for i, row in enumerate(rows):
        write_wav(folder / f"{row}_clip0.wav", 220 + 20 * i + seed)
        write_wav(folder / f"{row}_clip0_truth.wav", 220)
        write_png(folder / f"{row}_clip0.png", 40 * i + seed)
