"""Forgers: from a pristine face, a forged one whose every change is known.

Each leaf has one function, `forge(pixels, landmarks, rng, **options) -> Forged`; the same seed gives the same bytes.
Two change no label. `degrade` is what compression and resizing do to real and fake alike; its one function is
`degrade(pixels, rng, **options) -> (pixels, record)`. `routine` is what people and phones do to photographs without
forging them; its one function is `edit(pixels, rng, **options) -> Edited`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness.errors import InputError
from facewitness.types import KINDS, Landmarks, Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Forged:
    """A forged picture and the whole truth about it."""

    pixels: Pixels  # RGB uint8 (H, W, 3), the size of the pristine picture
    mask: NDArray[np.float32]  # (H, W) in [0, 1]: the exact blending weight of foreign pixels
    regions: frozenset[str]  # MARE's 12 names of the regions that were touched
    kind: str  # one of KINDS
    record: tuple[Mapping[str, Any], ...]  # every operation in order, with its drawn parameters; JSON-ready

    def __post_init__(self) -> None:
        if self.mask.shape != self.pixels.shape[:2] or self.mask.dtype != np.float32:
            raise InputError(
                f"Forged.mask: expected float32 {self.pixels.shape[:2]}, got {self.mask.dtype} {self.mask.shape}"
            )
        if self.kind not in KINDS:
            raise InputError(f"Forged.kind: expected one of {', '.join(KINDS)}, got {self.kind!r}")


def regions_touched(mask: NDArray[np.float32], landmarks: Landmarks) -> frozenset[str]:
    """MARE's regions that a mask (H, W) forges: inside them it averages at least a third of its peak.

    A smaller one is filed under the region that holds most of it. The rule every
    forger follows, for masks that come from elsewhere. Needs OpenCV (the extra `forge`).

    Args:
        mask: Forged pixels, float (H, W) in [0, 1].
        landmarks: The face's mesh, (468, 2+), in pixels of the picture.
    """
    from facewitness.forge import _face  # OpenCV: only when asked for

    return _face.covered(mask, landmarks)
