"""Where a forgery differs from its pristine counterpart: the mask most datasets leave out.

Both pictures must line up pixel for pixel. Compression changes every pixel a little, so the difference is smoothed, and
a soft threshold above what compression does lets it rise from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facewitness.errors import InputError
from facewitness.types import Pixels

MISALIGNED = 1.0  # pixels at 224 px of width: further apart, and what differs is mostly the shift


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """A mask by difference, with what decides whether it can be believed."""

    mask: NDArray[np.float32]  # (H, W) in [0, 1]
    shift: tuple[float, float]  # pixels (x, y) by which the border of the fake is displaced; small where they line up
    border: float  # grey levels: mean difference along the border, which a forgery of the face leaves alone
    low: float  # the soft threshold, grey levels
    high: float
    sigma: float  # smoothing, as a share of the picture's width

    @property
    def aligned(self) -> bool:
        """Whether the two pictures line up well enough for their difference to be a mask."""
        return float(np.hypot(*self.shift)) <= MISALIGNED * self.mask.shape[1] / 224 and self.border < self.high


def compare(fake: Pixels, pristine: Pixels, low: float = 4.0, high: float = 12.0, sigma: float = 0.025) -> Difference:
    """Where `fake` differs from `pristine`, both RGB uint8 (H, W, 3), and whether they line up.

    `low` and `high` are grey levels of the smoothed largest channel difference; `sigma` is the smoothing as a share of
    the picture's width. Alignment is measured on the outer tenth on each side (phase correlation, Kuglin and Hines
    1975), where face forgeries change nothing.

    Args:
        fake: The forgery, RGB uint8 (H, W, 3).
        pristine: What it was made of, of the same size.
        low: Grey levels of difference that count as none.
        high: Grey levels of difference that count as all.
        sigma: The smoothing as a share of the picture's width.

    Raises:
        InputError: Where the sizes differ.
    """
    soft = mask(fake, pristine, low, high, sigma)
    difference = cv2.absdiff(fake, pristine).max(axis=2).astype(np.float32)
    height, width = difference.shape
    rim = np.ones((height, width), np.float32)
    rim[height // 10 : height - height // 10, width // 10 : width - width // 10] = 0
    a, b = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float32) for p in (pristine, fake))
    a, b = (rim * (p - float(p[rim > 0].mean())) for p in (a, b))
    shift = (0.0, 0.0)
    if min(height, width) >= 16 and a.any() and b.any():  # on a flat rim nothing can be shifted
        (dx, dy), _ = cv2.phaseCorrelate(a, b)
        shift = (float(dx), float(dy))
    return Difference(soft, shift, float(difference[rim > 0].mean()), low, high, sigma)


def mask(
    fake: Pixels, pristine: Pixels, low: float = 4.0, high: float = 12.0, sigma: float = 0.025
) -> NDArray[np.float32]:
    """The soft mask of `compare` alone, float32 (H, W).

    Args:
        fake: The forgery, RGB uint8 (H, W, 3).
        pristine: What it was made of, of the same size.
        low: Grey levels of difference that count as none.
        high: Grey levels of difference that count as all.
        sigma: The smoothing as a share of the picture's width.

    Returns:
        float32 (H, W) in [0, 1].

    Raises:
        InputError: Where the sizes differ.
    """
    if fake.shape != pristine.shape:
        raise InputError(f"difference mask: expected two pictures of one size, got {fake.shape} and {pristine.shape}")
    difference = cv2.absdiff(fake, pristine).max(axis=2).astype(np.float32)
    smooth = cv2.GaussianBlur(difference, (0, 0), max(0.8, sigma * fake.shape[1]))
    return np.clip((smooth - low) / (high - low), 0.0, 1.0)


def amount(fake: Pixels, pristine: Pixels, sigma: float = 1.0) -> NDArray[np.float32]:
    """By how many grey levels two pictures differ, float32 (H, W): the largest channel's, smoothed by `sigma` pixels.

    Args:
        fake: The forgery, RGB uint8 (H, W, 3).
        pristine: What it was made of, of the same size.
        sigma: The smoothing, pixels.

    Returns:
        float32 (H, W) in grey levels, 0 to 255.

    Raises:
        InputError: Where the sizes differ.
    """
    if fake.shape != pristine.shape:
        raise InputError(f"difference: expected two pictures of one size, got {fake.shape} and {pristine.shape}")
    return np.asarray(cv2.GaussianBlur(cv2.absdiff(fake, pristine).max(axis=2).astype(np.float32), (0, 0), sigma))
