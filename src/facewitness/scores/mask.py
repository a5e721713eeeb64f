"""How well the pixels that were claimed cover the pixels that are forged: intersection over union.

    IoU = |C ∩ F| / |C ∪ F|,    C = pixels of all findings together,  F = pixels where the truth's mask is at least 0.5

A finding's pixels are its mask from 0.5 on, or its whole box where it has no mask. What lies beyond the frame is cut
off.

Example: forged are the 10 × 10 pixels of (0, 0, 10, 10), 100; claimed is the box (5, 0, 15, 10), 100; they share
5 × 10 = 50 of 150, so the score is 1/3. The same box claimed a thousand times covers the same pixels: still 1/3.

None without a truth mask, without a pixel in it, and on a pristine face: `grounding` judges false claims there. An area
of more than 512 pixels a side is sampled evenly, so that a reply is scored in milliseconds; the benchmark's tables
compare every pixel.
"""

from __future__ import annotations

import numpy as np

from facewitness.scores import placed
from facewitness.scores._canvas import canvas
from facewitness.types import Reply, Truth


def score(reply: Reply, truth: Truth) -> float | None:
    """IoU of claimed and forged pixels; 0 where nothing is claimed; None where no pixel is known to be forged.

    Args:
        reply: What the system answered.
        truth: What is known of the picture.
    """
    if truth.label == "real":
        return None
    claims = tuple(placed(reply.findings))
    grid = canvas(truth, claims)
    if grid is None:
        return None
    claimed = grid.claimed(claims)
    return int(np.count_nonzero(claimed & grid.forged)) / max(1, int(np.count_nonzero(claimed | grid.forged)))
