"""The default witness's network of places: of a face that is suspected it says where it does not belong to itself.

The witness's own weights (`models/compact`) learned from forgeries of many kinds, and their score decides. The network
of places is the map of KFD's detector (`models/kfd`), taught by blends of genuine faces alone: it sees where a part was
pasted or redrawn, and says nothing of a face that was made as a whole. What it says of a face's score held nothing on
sources that nothing had learned from (`runs/compact/README.md`), so the score is that of the weights alone; a place is
forged by what both say,

    chance = sigmoid(own · logit(mask of the weights) + other · logit(map of places) + offset)
    mask   = sigmoid(logit(chance) − logit(from))

`from` is each face's own: half of the best F1 score that its marked places can be expected to have, which is where F1
and with it the intersection over union are best (Lipton, Elkan and Narayanaswamy, "Optimal thresholding of classifiers
to maximize F1 measure", arXiv 1402.1892), and never below `least`. One value for all faces marks too much of a face of
which little is sure, and too little of one that was made anew. The four numbers are fitted on held-out forgeries
(`runs/compact/places.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from facewitness import geometry
from facewitness.calibration import logit, sigmoid
from facewitness.types import Face, Pixels
from facewitness.witnesses import _places

_FLOOR = 1e-3  # of a map before its log-odds: it is driven to nothing by its loss, and nothing more is known there
KEYS = ("own", "other", "offset", "least")


class Fit(TypedDict):
    """What stands about the network of places beside the weights of the score."""

    sha256: str
    own: float
    other: float
    offset: float
    least: float  # probability under which no place is marked, in (0, 0.5]
    strength: Mapping[str, Any]  # of findings that rest on this mask, as `compact.Strength`


def fits(facts: Any) -> bool:
    """Whether these are the numbers of a `Fit`.

    Args:
        facts: As read from JSON.
    """
    if not isinstance(facts, Mapping) or not isinstance(facts.get("sha256"), str):
        return False
    numbers = [facts.get(key) for key in KEYS]
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) <= 1e9 for n in numbers):
        return False
    return 0 < facts["least"] <= 0.5


def odds(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log-odds of a mask or a map in [0, 1].

    Args:
        values: Of any shape.
    """
    return np.asarray(logit(np.clip(np.asarray(values, np.float64), _FLOOR, 1 - _FLOOR)), np.float64)


def marked_from(chances: NDArray[np.floating]) -> float:
    """The probability from which on places are marked, so that their expected F1 score is largest: half of that score.

    Args:
        chances: Of places to be forged, in [0, 1]; of any shape, not empty.

    Returns:
        In [0, 0.5].
    """
    high = np.sort(np.asarray(chances, np.float64), axis=None)[::-1]
    hits = np.cumsum(high)  # expected among the first n, where n are marked and hits[-1] are to be found
    return float((hits / (np.arange(1, high.size + 1) + hits[-1])).max())


class Pointer:
    """The network of places, loaded.

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
        """What the weights and the network of places say of places, on the latter's grid.

        Args:
            own: The mask of the weights (g, g) in [0, 1].
            face: Whose crop is taken.
            pixels: The whole frame.
            affine: From the frame to the crop of the weights.
            size: Of that crop.

        Returns:
            That mask and the map of places, both (S/4, S/4) in [0, 1]; from the frame to the crop of the latter.
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
        both = fit["own"] * odds(own) + fit["other"] * odds(second) + fit["offset"]
        start = max(marked_from(sigmoid(both)), fit["least"])
        return np.asarray(sigmoid(both - odds(np.array(start))), np.float32)
