"""Finders: a frame goes in, its faces come out.

Each leaf's `load(**options)` gives an object with `find(frame) -> tuple[Face, ...]`.

What every finder has to say about a face's worth as evidence is said the same way, by `rate`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facewitness.types import Quality

SHARPNESS_SIDE = 128  # sharpness is measured on the face shrunk to at most this many pixels
_BLUR = 9  # pixels, the width of the second blur


def sharpness(grey: NDArray[np.generic]) -> float | None:
    """How much of a picture's fine variation a blur takes away: 0 it was blurred already … 1 sharp.

    The no-reference measure of Crete et al. 2007 ("The blur effect", Eq. 1-6) turned around: with V the absolute
    differences of neighbours and V' those after a box blur of 9 px, sum(max(0, V - V')) / sum(V), along rows and along
    columns, the smaller of the two. It does not depend on contrast. `grey`: (h, w), any number type; None where there
    is nothing to measure (a flat picture, or fewer than 12 px a side).

    Args:
        grey: Levels 0 … 255, (h, w).
    """
    picture = grey.astype(np.float32)
    if min(picture.shape) < 12:
        return None
    along = []
    for image in (picture, picture.T):
        sums = np.cumsum(np.pad(image, ((0, 0), (_BLUR // 2 + 1, _BLUR // 2)), mode="edge"), axis=1, dtype=np.float64)
        blurred = (sums[:, _BLUR:] - sums[:, :-_BLUR]) / _BLUR
        before, after = np.abs(np.diff(image, axis=1)), np.abs(np.diff(blurred, axis=1))
        total = float(before.sum())
        if total < 0.05 * before.size:  # less than a twentieth of a grey level between neighbours: flat
            return None
        along.append(float(np.maximum(0.0, before - after).sum()) / total)
    return min(1.0, min(along))


def blank(grey: NDArray[np.generic]) -> float | None:
    """The share of a face that shows nothing: squares of 1/16 of its size whose grey levels deviate by less than 1.

    `grey`: the face upright and filling the picture (side, side), levels 0 … 255; the ellipse inside it counts. So seen
    are black bars, patches of one colour, and light or shadow beyond what the camera could hold. None below 64 px.

    Args:
        grey: Levels 0 … 255, (h, w).
    """
    step = min(grey.shape) // 16
    if step < 4:
        return None
    squares = grey[: 16 * step, : 16 * step].astype(np.float32).reshape(16, step, 16, step)
    line = (np.arange(16) + 0.5) / 8 - 1
    ellipse = (line[:, None] ** 2 + (line[None, :] / 0.8) ** 2) < 1  # a mesh is about 0.8 as wide as it is high
    return float((squares.std(axis=(1, 3)) < 1.0)[ellipse].mean())


@dataclass(frozen=True, slots=True)
class _Gate:
    """A measurement is worth 0 at `useless`, 1 at `good`; what it lacks is said where it is worth less than NOTED.

    `slight` says it in milder words where it is still worth a half.
    """

    useless: float
    good: float
    reason: str
    slight: str = ""

    def worth(self, value: float) -> float:
        return float(np.clip((abs(value) - self.useless) / (self.good - self.useless), 0.0, 1.0))


NOTED = 0.97  # from here on the judge has no doubts (`judge.Limits`)
_MESH = _Gate(
    0.2,
    1.0,
    "its features could not be followed well: it may be covered in part",
    "its features could be followed only roughly",
)
_GATES = (  # one for each measurement, in the order of `rate`
    _Gate(16, 80, "the face is only {:.0f} px wide"),
    _Gate(0.15, 0.45, "strong blur", "some blur"),
    _Gate(80, 35, "side pose ({:.0f}° to the side)"),
    _Gate(70, 30, "the face is tilted {:.0f}° up or down"),
    _MESH,
    _Gate(0.5, 0.95, "only {:.0%} of the face lies inside the picture"),
    _Gate(0.35, 0.1, "{:.0%} of the face is covered, or too dark or too bright to show anything"),
)
NO_MESH = "what was found does not have the features of a face"


def rate(
    *,
    size: float,
    sharpness: float | None = None,
    roll: float | None = None,
    yaw: float | None = None,
    pitch: float | None = None,
    mesh: float | None = None,
    inside: float | None = None,
    blank: float | None = None,
) -> Quality:
    """The quality of a face from its measurements; `score` is the product of what each is worth.

    Units as in `Quality`; `inside` is the share of the face on the picture, `blank` that of it which shows
    nothing. What is None is not held against the face. `mesh` = 0 says that there is no mesh one could believe.

    Args:
        size: Of the face, pixels.
        sharpness: As `sharpness` measures it.
        roll: Degrees.
        yaw: Degrees.
        pitch: Degrees.
        mesh: How far the mesh can be believed; 0 where there is none that one could.
        inside: Share of the face on the picture.
        blank: Share of the face that shows nothing.

    Returns:
        With every measurement in it.
    """
    score, reasons = 1.0, []
    for gate, value in zip(_GATES, (size, sharpness, yaw, pitch, mesh, inside, blank), strict=True):
        if value is None:
            continue
        worth = gate.worth(value)
        score *= worth
        if worth < NOTED:
            words = gate.slight if gate.slight and worth >= 0.5 else gate.reason
            worded = words.format(abs(value)).replace("%", " %")  # as everywhere
            reasons.append(NO_MESH if gate is _MESH and value == 0 else worded)
    return Quality(score, size, sharpness, roll, yaw, pitch, mesh, tuple(reasons))
