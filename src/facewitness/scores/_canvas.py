"""Truth and claims on one grid of pixels: as large as both need, and no larger than 512 pixels a side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness.scores import usable
from facewitness.types import Box, Finding, Mask, Truth

Bools = NDArray[np.bool_]
THRESHOLD = 0.5  # a mask covers a pixel from here on
_SIDE = 512  # cells; a larger area is sampled, so that a photo of 12 megapixels is as quick as a face crop
_FRAME = 16_384  # pixels; where a truth in a box does not tell the size of its frame, it is no larger


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """A grid over part of the frame, and what of it is forged. Cell (i, j) looks at the frame at (xs[j], ys[i])."""

    xs: NDArray[np.float64]  # (w,) in frame pixels, rising
    ys: NDArray[np.float64]  # (h,)
    forged: Bools  # (h, w)

    def claimed(self, findings: Iterable[Finding]) -> Bools:
        """The cells (h, w) that findings cover together: their masks, or their boxes where they have no mask."""
        covered = np.zeros(self.forged.shape, bool)
        for finding in findings:
            _paint(covered, self.xs, self.ys, finding.mask if finding.mask is not None else finding.box)
        return covered


def canvas(truth: Truth, findings: Iterable[Finding]) -> Canvas | None:
    """A grid that holds what is forged and what is claimed on the frame; None where the truth has no forged pixel.

    A function as mask is called each time: resolve it before where many replies meet one truth.
    """
    mask = truth.mask() if callable(truth.mask) else truth.mask
    if mask is None:
        return None
    if isinstance(mask, Mask):
        width = height = float(_FRAME)
        if not (mask.values >= THRESHOLD).any():
            return None
        bounds = [mask.box]
    else:
        mask = np.asarray(mask) >= THRESHOLD
        height, width = map(float, mask.shape)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if rows.size == 0:
            return None
        bounds = [(float(columns[0]), float(rows[0]), columns[-1] + 1.0, rows[-1] + 1.0)]
    bounds += [box for f in findings if (box := usable(f.box if f.mask is None else f.mask.box))]
    inside = [(max(0.0, x1), max(0.0, y1), min(width, x2), min(height, y2)) for x1, y1, x2, y2 in bounds]
    inside = [box for box in inside if box[2] > box[0] and box[3] > box[1]]
    if not inside:  # a truth beyond its own frame
        return None
    low, high = np.floor(np.min(inside, axis=0)[:2]), np.ceil(np.max(inside, axis=0)[2:])
    step = max(1.0, float(np.ceil((high - low).max() / _SIDE)))  # whole, so that cells look at pixels' centres
    xs, ys = (np.floor(np.arange(a + (step - 1) / 2, b, step)) + 0.5 for a, b in zip(low, high, strict=True))
    if isinstance(mask, Mask):
        forged = np.zeros((ys.size, xs.size), bool)
        _paint(forged, xs, ys, mask)
    else:
        forged = mask[np.ix_(ys.astype(np.intp), xs.astype(np.intp))]
    return Canvas(xs, ys, forged)


def _paint(covered: Bools, xs: NDArray[np.float64], ys: NDArray[np.float64], place: Mask | Box | Any) -> None:
    """Set the cells that a mask or a box covers; a box that is no box covers none."""
    box = usable(place.box if isinstance(place, Mask) else place)
    if box is None:
        return
    x1, y1, x2, y2 = box
    (left, right), (top, bottom) = np.searchsorted(xs, (x1, x2)), np.searchsorted(ys, (y1, y2))
    if not isinstance(place, Mask):
        covered[top:bottom, left:right] = True
        return
    high, wide = place.values.shape
    rows = np.minimum((ys[top:bottom] - y1) / (y2 - y1) * high, high - 1).astype(np.intp)
    columns = np.minimum((xs[left:right] - x1) / (x2 - x1) * wide, wide - 1).astype(np.intp)
    covered[top:bottom, left:right] |= place.values[np.ix_(rows, columns)] >= THRESHOLD
