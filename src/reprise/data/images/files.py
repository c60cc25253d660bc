"""Read and write image files, with errors that name the file and the fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from reprise.config.errors import DataError

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
ARRAYS = (".npy",)
_MODES = {1: "L", 3: "RGB"}
_EIGHT_BITS = ("1", "L", "P", "RGB", "RGBA", "LA", "PA", "CMYK", "YCbCr")


def read_picture(path: Path, channels: int, side: int, crop_resize: bool = False) -> np.ndarray:
    """Read a picture as (C, side, side) uint8, 0 to 255.

    Args:
        path: a PNG, JPEG, WebP or BMP file, or an npy file (see `decode_array`).
        channels: 1 for grey (ITU-R 601 luma of colours), 3 for red, green and blue.
        side: height and width that are expected.
        crop_resize: take the largest square in the middle and resize it (Lanczos, with antialiasing) instead of
            refusing another size.

    Raises:
        DataError: unreadable, of another size, of more than 8 bits, or see-through.
    """
    picture = (decode_array if path.suffix.lower() in ARRAYS else decode_picture)(path, str(path), channels)
    if crop_resize:
        short = min(picture.size)
        picture = centre(picture, short)
        picture = picture if short == side else picture.resize((side, side), Image.Resampling.LANCZOS)
    if picture.size != (side, side):
        width, height = picture.size
        raise DataError(f"{path} has {height} x {width} pixels. Expected {side} x {side} (data.shape.side): resize it.")
    return as_array(picture)


def decode_picture(file: Path | BinaryIO, what: str, channels: int) -> Image.Image:
    """Decode a picture of any size to grey or colours.

    Args:
        file: a path, or an open file of bytes.
        what: how errors name it.
        channels: 1 for grey (ITU-R 601 luma of colours), 3 for red, green and blue.

    Raises:
        DataError: unreadable, of more than 8 bits, or see-through.
    """
    try:
        with Image.open(file) as opened:
            opened.load()
            picture: Image.Image = opened
            if picture.mode not in _EIGHT_BITS:
                raise DataError(f"{what} has pixels of kind {picture.mode}. Expected 8 bits per channel: convert it.")
            if picture.has_transparency_data and picture.convert("RGBA").getchannel("A").getextrema() != (255, 255):
                raise DataError(f"{what} is see-through in places. Expected an opaque picture: put it on a background.")
            return picture.convert(_MODES[channels])
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{what} cannot be read as a picture: {error}. Is it truncated?") from None


def decode_array(file: Path, what: str, channels: int) -> Image.Image:
    """Read an npy file of bytes, (3, H, W), (H, W, 3) or (H, W), with a 1 in front or not, as a picture.

    Args:
        file: the file; nothing in it is unpickled.
        what: how errors name it.
        channels: 1 for grey (ITU-R 601 luma of colours), 3 for red, green and blue.

    Raises:
        DataError: unreadable, or an array of another kind.
    """
    try:
        array = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{what} cannot be read as an array: {error}. Is it truncated?") from None
    shape = array.shape
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim == 3 and len(array) in (1, 3):
        array = array.transpose(1, 2, 0)
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3))):
        raise DataError(f"{what} holds {array.dtype} of shape {shape}. Expected bytes (uint8), (3, height, width).")
    return Image.fromarray(array[:, :, 0] if array.shape[2:] == (1,) else array).convert(_MODES[channels])


def centre(picture: Image.Image, size: int) -> Image.Image:
    """Cut out the square of `size` in the middle; what cannot be halved is left over on the right and below."""
    width, height = picture.size
    left, top = (width - size) // 2, (height - size) // 2
    return picture.crop((left, top, left + size, top + size))


def as_array(picture: Image.Image) -> np.ndarray:
    """Pixels of a grey or colour picture as (C, H, W) uint8."""
    pixels = np.asarray(picture, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def write_picture(path: Path, values: Any, channels: int, levels: int) -> Path:
    """Write an image (C, H, W) of whole numbers 0 ... levels - 1 as PNG.

    A value v becomes ceil(255 v / (levels - 1)): black and white are 0 and 255, and floor(x * levels / 256) of what
    is read back is v again.

    Raises:
        DataError: another shape, or values out of range.
    """
    array = np.asarray(values)
    if array.ndim != 3 or array.shape[0] != channels:
        raise DataError(f"sample {path.stem} has the shape {array.shape}. Expected ({channels}, height, width).")
    if not np.issubdtype(array.dtype, np.integer) or array.min(initial=0) < 0 or array.max(initial=0) >= levels:
        raise DataError(
            f"sample {path.stem} holds {array.dtype} from {array.min(initial=0)} to {array.max(initial=0)}. "
            f"Expected whole numbers from 0 to {levels - 1}."
        )
    scaled = (-(-255 * array.astype(np.int64) // (levels - 1))).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scaled[0] if channels == 1 else scaled.transpose(1, 2, 0)).save(path, format="PNG")
    return path


def input_pictures(path: Path) -> list[Path]:
    """List the pictures that a path stands for: itself, or those in a folder, sorted by name.

    Raises:
        DataError: nothing there.
    """
    if path.is_file():
        return [path]
    if path.is_dir():
        if found := sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES):
            return found
        raise DataError(f"{path} holds no file of type {', '.join(PICTURES)}.")
    raise DataError(f"{path} does not exist. Expected a picture, or a folder of them.")
