"""Where a forgery differs from its pristine counterpart: the mask most datasets leave out.

Both pictures must line up pixel for pixel. Compression changes every pixel a little, so the difference is smoothed, and
a soft threshold above what compression does lets it rise from 0 to 1.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facewitness.errors import InputError
from facewitness.types import Pixels


def mask(
    fake: Pixels, pristine: Pixels, low: float = 4.0, high: float = 12.0, sigma: float = 0.025
) -> NDArray[np.float32]:
    """Soft mask float32 (H, W) of where `fake` differs from `pristine`, both RGB uint8 (H, W, 3).

    `low` and `high` are grey levels of the smoothed largest channel difference; `sigma` is the smoothing as a share of
    the picture's width. Raises InputError where the sizes differ.
    """
    if fake.shape != pristine.shape:
        raise InputError(f"difference mask: expected two pictures of one size, got {fake.shape} and {pristine.shape}")
    difference = cv2.absdiff(fake, pristine).max(axis=2).astype(np.float32)
    smooth = cv2.GaussianBlur(difference, (0, 0), max(0.8, sigma * fake.shape[1]))
    return np.clip((smooth - low) / (high - low), 0.0, 1.0)
