"""How a shape is drawn from its labels and from noise: the structural equation of the picture.

Lengths are in sides of the picture, measured from its middle. How much of a pixel is covered follows from how far the
edge lies from its middle, which is antialiasing for edges that are nearly straight within a pixel.
"""

from __future__ import annotations

import numpy as np

EXOGENOUS = 13  # uniform numbers that a picture takes beside its labels
_ARM, _THIN, _THICK = 1.2, 0.25, 0.4  # a cross: half along an arm, half across thin and thick ones; a circle's is 1
_STRIPES = 0.145  # from one stripe to the next
_RING, _RING_WIDTH = 1.48, 0.075  # radius in radii of the shape; width


def draw_shape(labels: np.ndarray, exogenous: np.ndarray, side: int = 32) -> np.ndarray:
    """Draw one shape.

    Args:
        labels: (6,) of 0 and 1: Round, Red, Large, Ringed, Striped, Night.
        exogenous: (EXOGENOUS,) of [0, 1).
        side: height and width in pixels.

    Returns:
        (3, side, side) uint8.
    """
    return draw_shapes(np.asarray(labels)[None], np.asarray(exogenous)[None], side)[0]


def draw_shapes(labels: np.ndarray, exogenous: np.ndarray, side: int = 32) -> np.ndarray:
    """Draw shapes, each a function of its labels and its noise.

    The noise decides place, size within small or large, shape within round (circle to ellipse) or not (cross of thin to
    thick arms), how it is turned, hue within red or not, brightness, hue and slope of the background, and where stripes
    lie. With the same noise and other labels, it is the same scene with these labels changed.

    Args:
        labels: (B, 6) of 0 and 1: Round, Red, Large, Ringed, Striped, Night.
        exogenous: (B, EXOGENOUS) of [0, 1).
        side: height and width in pixels.

    Returns:
        (B, 3, side, side) uint8.
    """
    round_, red, large, ringed, striped, night = (column[:, None, None] for column in np.asarray(labels, bool).T)
    u = [column[:, None, None].astype(np.float32) for column in np.asarray(exogenous).T]

    # 1. place and size: a shape stays inside the picture, a ring nearly
    radius = np.where(large, 0.265 + 0.03 * u[2], 0.175 + 0.02 * u[2]).astype(np.float32)
    reach = np.where(large, 0.07, 0.2).astype(np.float32)
    axis = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / side - np.float32(0.5)
    x, y = axis[None, None, :] - (2 * u[0] - 1) * reach, axis[None, :, None] - (2 * u[1] - 1) * reach

    # 2. the body, turned
    angle = np.pi / 5 * (u[3] - 0.5)
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    body = _inside(np.where(round_, _ellipse(along, across, radius, u[4]), _cross(along, across, radius, u[4])), side)

    # 3. colours: ink is what rings and stripes are drawn with, light by night and dark by day
    hue = np.where(red, 0.06 * u[5] - 0.03, 0.2 + 0.44 * u[5])
    paint = _rgb(hue, 0.75 + 0.25 * u[6], 0.8 + 0.2 * u[7])
    slope = 0.12 * (x * np.cos(2 * np.pi * u[8]) + y * np.sin(2 * np.pi * u[8]))
    ground = _rgb(u[9], 0.05 + 0.25 * u[10], np.where(night, 0.08 + 0.12 * u[11], 0.8 + 0.14 * u[11]) + slope)
    ink = np.where(night, np.float32(0.97), np.float32(0.08))[:, None]

    # 4. from the back to the front: ground, body, stripes on it, ring
    image = _over(ground, paint, body)
    phase = (along / _STRIPES + u[12]) % 1
    stripes = _inside((np.abs(phase - 0.5) - 0.22) * _STRIPES, side)
    image = _over(image, ink, body * stripes * striped)
    ring = _inside(np.abs(np.hypot(x, y) - _RING * radius) - _RING_WIDTH / 2, side)
    image = _over(image, ink, ring * ringed)
    return np.floor(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _ellipse(along: np.ndarray, across: np.ndarray, radius: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """About the signed distance to an ellipse near its edge, positive outside; from a circle to axes of 16 : 25."""
    shorter = 1 - 0.2 * kind
    return (np.hypot(along * shorter, across / shorter) - radius).astype(np.float32)


def _cross(along: np.ndarray, across: np.ndarray, radius: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Signed distance to the lines of a cross, positive outside."""
    a, b = np.abs(along), np.abs(across)
    end, width = _ARM * radius, (_THIN + (_THICK - _THIN) * kind) * radius
    return np.minimum(np.maximum(a - end, b - width), np.maximum(b - end, a - width)).astype(np.float32)


def _inside(distance: np.ndarray, side: int) -> np.ndarray:
    """How much of a pixel is covered, by the signed distance of its middle to the edge."""
    return np.clip(0.5 - distance * side, 0, 1)


def _over(below: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> np.ndarray:
    return below + (colour - below) * cover[:, None]


def _rgb(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Colours (B, 3, ...) of a hue in turns, red at 0; saturation and value from 0 to 1 (HSV)."""
    sector = (np.asarray((5, 3, 1), np.float32).reshape(1, 3, 1, 1) + 6 * hue[:, None]) % 6
    fall = np.clip(np.minimum(sector, 4 - sector), 0, 1)
    return (value[:, None] * (1 - saturation[:, None] * fall)).astype(np.float32)
