"""The default witness's second network: of a face that is suspected it says where it does not belong to itself.

The first network (`models/compact`) was taught by forgeries of many kinds, and its score decides. The second is the map
of KFD's detector (`models/kfd`), taught by blends of genuine faces alone: it sees where a part was pasted or redrawn,
and says nothing of a face that was made as a whole. What it says of a face's score held nothing on sources that neither
had learned from (`runs/compact/README.md`), so the score is the first one's alone; a place is forged by what both say,

    mask = sigmoid(own · logit(mask of the first) + other · logit(map of the second) + offset)

with three numbers fitted on held-out forgeries (`runs/compact/places.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from facewitness import geometry
from facewitness.calibration import logit, sigmoid
from facewitness.types import Face, Pixels
from facewitness.witnesses import _places

_FLOOR = 1e-3  # of a map before its log-odds: it is driven to nothing by its loss, and nothing more is known there
KEYS = ("own", "other", "offset")


class Fit(TypedDict):
    """What stands about the second network beside the first one's weights."""

    sha256: str
    own: float
    other: float
    offset: float
    strength: Mapping[str, Any]  # of findings that rest on this mask, as `compact.Strength`


def fits(facts: Any) -> bool:
    """Whether these are the numbers of a `Fit`.

    Args:
        facts: As read from JSON.
    """
    if not isinstance(facts, Mapping) or not isinstance(facts.get("sha256"), str):
        return False
    numbers = [facts.get(key) for key in KEYS]
    return all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers)


def odds(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log-odds of a mask or a map in [0, 1].

    Args:
        values: Of any shape.
    """
    return np.asarray(logit(np.clip(np.asarray(values, np.float64), _FLOOR, 1 - _FLOOR)), np.float64)


class Pointer:
    """The second network, loaded.

    Args:
        session: Of ONNX Runtime: `crops` uint8 (N, S, S, 3) in, `map` (N, S/4, S/4) in [0, 1] out.
        size: S.
        margin: Of the crops it takes.
        fit: How both masks become one.
        flip: Look at the mirror image, too.
    """

    def __init__(self, session: Any, size: int, margin: float, fit: Fit, flip: bool):
        self._session, self.size, self.margin, self._flip = session, size, margin, flip
        self.fit = fit

    def seen(
        self, own: NDArray[np.float32], face: Face, pixels: Pixels, affine: geometry.Affine, size: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], geometry.Affine]:
        """What both networks say of places, on the second one's grid.

        Args:
            own: The first one's mask (g, g) in [0, 1].
            face: Whose crop is taken.
            pixels: The whole frame.
            affine: From the frame to the first one's crop.
            size: Of that crop.

        Returns:
            The first one's mask, the second one's map, both (S/4, S/4) in [0, 1]; from the frame to the second's crop.
        """
        there = _places.crop_map(face, self.size, self.margin)
        crop = geometry.crop(pixels, there, self.size)
        batch = np.stack([crop, crop[:, ::-1]]) if self._flip else crop[None]
        (second,) = self._session.run(["map"], {"crops": batch})
        second = (second[0] + second[1][:, ::-1]) / 2 if self._flip else second[0]
        grid = second.shape[0]
        scale, quarter = size / own.shape[0], grid / self.size
        back = geometry.compose(geometry.invert(affine), np.array([[scale, 0, 0], [0, scale, 0]]))
        way = geometry.compose(np.array([[quarter, 0, 0], [0, quarter, 0]]), geometry.compose(there, back))
        return geometry.crop(own, way, grid), np.clip(second, 0, 1).astype(np.float32), there

    def mask(self, own: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        """One mask of both.

        Args:
            own: The first one's, as `seen` gives it.
            second: The second one's map.

        Returns:
            In [0, 1], of the same shape.
        """
        fit = self.fit
        return np.asarray(sigmoid(fit["own"] * odds(own) + fit["other"] * odds(second) + fit["offset"]), np.float32)
