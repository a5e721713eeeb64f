"""A plane cut into square blocks and each block into cosines: what codecs quantise and autoencoders throw away."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]


@cache
def _cosines(n: int) -> Plane:
    """The orthonormal DCT-II of n samples, float32 (n, n), one frequency a row."""
    k = np.arange(n)[:, None]
    rows = np.cos(np.pi * k * (2 * np.arange(n) + 1) / (2 * n)) * np.sqrt(2 / n)
    rows[0] /= np.sqrt(2)
    rows = rows.astype(np.float32)
    rows.flags.writeable = False
    return np.asarray(rows)


def to_cosines(plane: Plane, n: int, offset: tuple[int, int] = (0, 0)) -> Plane:
    """Coefficients (rows, n, columns, n) of float32 (H, W); [:, i, :, j] holds vertical frequency i, horizontal j.

    Blocks start `offset` (y, x) pixels before the plane; what they lack beyond its edges repeats the edge.
    """
    top, left = offset[0] % n, offset[1] % n
    height, width = plane.shape
    below, right = -(height + top) % n, -(width + left) % n
    padded = cv2.copyMakeBorder(plane, top, below, left, right, cv2.BORDER_REPLICATE)
    cosines = _cosines(n)
    vertical = cosines @ padded.reshape(padded.shape[0] // n, n, padded.shape[1])
    return np.asarray(vertical.reshape(padded.shape[0] // n, n, -1, n) @ cosines.T)


def to_plane(coefficients: Plane, height: int, width: int, offset: tuple[int, int] = (0, 0)) -> Plane:
    """The inverse of `to_cosines`: float32 (height, width), without the border that completed the blocks."""
    rows, n, columns, _ = coefficients.shape
    cosines = _cosines(n)
    horizontal = (coefficients @ cosines).reshape(rows, n, columns * n)
    padded = (cosines.T @ horizontal).reshape(rows * n, columns * n)
    top, left = offset[0] % n, offset[1] % n
    return np.ascontiguousarray(padded[top : top + height, left : left + width])
