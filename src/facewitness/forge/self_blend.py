"""A face blended with a changed copy of itself: the traces of a face swap, without a second face.

Self-blended images (Shiohara & Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022): one of two copies
of a picture is changed in colour and sharpness, the source copy is shifted and scaled a little, and the source is
blended into the target,

    I = M ⊙ I_source + (1 − M) ⊙ I_target,

inside a mask made from the hull of the landmarks: deformed elastically, blurred, shrunk or grown, blurred again, and
weighed by a ratio. What a detector can learn from it is the seam and the two statistics, not any one generator.

One choice is ours. In the paper either copy may be the changed one. Here it is the source by default, so that every
pixel outside the mask is the pristine one and "the background was processed" cannot give the label away; make up for
it by degrading real and forged pictures alike. `change="either"` is the paper's way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from facewitness import regions
from facewitness.errors import UnknownName
from facewitness.forge import Forged, _change, _face
from facewitness.types import Landmarks, Pixels

# What the hull is drawn around; the tree's names for the parts of the last three.
HULLS: dict[str, tuple[str, ...]] = {
    "face": (),  # all landmarks
    "below_forehead": (),  # all landmarks from the brows down
    "inner": ("eyebrows", "eyes", "nose", "mouth"),
    "lower": ("nose_tip", "mouth", "chin", "jaw"),
    "some": ("left_eye", "right_eye", "nose", "mouth", "chin"),  # two or three of these
}
RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)  # SBI's ratios: half of the pastes are opaque
_CHANGES = ("source", "target", "either")
_TRIES = 4
_VISIBLE = 0.8  # grey levels inside the mask: below it nothing was forged that 8 bits can show


def forge(
    pixels: Pixels,
    landmarks: Landmarks,
    rng: np.random.Generator,
    *,
    change: str = "source",
    hulls: Sequence[str] = ("face", "face", "below_forehead", "inner", "lower", "some"),
    ratios: Sequence[float] = RATIOS,
) -> Forged:
    """Blend a face with a changed copy of itself.

    `change` says which copy gets the colour and sharpness changes: "source" (pasted), "target" (background; then pixels
    outside the mask differ from the pristine ones) or "either". A hull and a blending ratio are drawn evenly from
    `hulls` and `ratios`. A draw that left the face practically as it was is drawn again.

    Args:
        pixels: The genuine picture, RGB uint8 (H, W, 3).
        landmarks: The face's mesh, (468, 2+), in pixels of the picture.
        rng: What everything is drawn from; the same state gives the same result.
        change: Which copy gets the colour and sharpness changes: "source" (pasted), "target" (background; then pixels
            outside the mask differ from the pristine ones) or "either".
        hulls: Outlines of the pasted part, drawn evenly.
        ratios: Of blending, in [0, 1], drawn evenly.

    Raises:
        InputError: For a degenerate mesh.
        UnknownName: For an unknown option.
    """
    points = _face.mesh(pixels, landmarks)
    if change not in _CHANGES:
        raise UnknownName("copy to change", change, _CHANGES)
    for name in hulls:
        if name not in HULLS:
            raise UnknownName("hull", name, HULLS)

    for attempt in range(1, _TRIES + 1):  # noqa: B007 (the last one goes into the record)
        changed = change if change != "either" else ("source", "target")[rng.integers(2)]
        copy, how = _change.change(pixels, _face.size(points), rng)
        source, target = (copy, pixels) if changed == "source" else (pixels, copy)
        source, mask, moved = _paste(source, points, str(rng.choice(list(hulls))), float(rng.choice(ratios)), rng)
        forged = _face.blend(source, target, mask)
        if _face.visible(forged, target, mask) >= _VISIBLE:
            break
    record = ({"operation": "change", "copy": changed, **how}, {"operation": "blend", **moved, "attempt": attempt})
    return Forged(forged, mask, _face.covered(mask, points), "identity_exchange", record)


def _paste(
    source: Pixels, points: Landmarks, hull: str, ratio: float, rng: np.random.Generator
) -> tuple[Pixels, Any, dict[str, Any]]:
    """The source shifted and scaled, and the soft mask to blend it by."""
    height, width = source.shape[:2]
    size = _face.size(points)
    scale = (_face.number(rng.uniform(0.955, 1.05)), _face.number(rng.uniform(0.955, 1.05)))
    shift = (_face.number(rng.uniform(-0.03, 0.03) * size, 2), _face.number(rng.uniform(-0.02, 0.02) * size, 2))
    matrix = _face.move(points, degrees=0, scale=scale, shift=shift)
    how: dict[str, Any] = {"scale": list(scale), "shift": list(shift), "hull": hull, "ratio": ratio}

    parts = HULLS[hull]
    if hull == "some":
        how["parts"] = [parts[i] for i in sorted(rng.permutation(len(parts))[: rng.integers(2, 4)])]
        parts = tuple(how["parts"])
    corners = np.concatenate([p for name in parts for p in regions.polygons(name, points)]) if parts else points
    if hull == "below_forehead":
        corners = _below_brows(points)
    mask = _face.hull(corners @ matrix[:, :2].T + matrix[:, 2], height, width)

    # elastic deformation: a coarse grid of random shifts, made smooth by cubic interpolation
    cells = int(rng.integers(4, 8))
    reach = _face.number(rng.uniform(0, 0.08) * size, 2)
    how |= {"cells": cells, "reach": reach}
    field = cv2.resize(rng.uniform(-reach, reach, (cells, cells, 2)).astype(np.float32), (width, height), None, 0, 0, 2)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    mask = cv2.remap(mask, field[..., 0] + x, field[..., 1] + y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    # two blurs; between them a threshold ramp whose level shrinks (above one half) or grows (below) the blurred shape
    first, last = (_face.number(rng.uniform(low, 0.05) * size, 2) for low in (0.012, 0.006))
    level = _face.number(rng.uniform(0.15, 0.85))
    how |= {"blur": [first, last], "level": level}
    mask = cv2.GaussianBlur(mask, (0, 0), max(first, 0.5), borderType=cv2.BORDER_REPLICATE)
    mask = np.clip((mask - level) * 4 + 0.5, 0, 1)
    mask = cv2.GaussianBlur(mask, (0, 0), max(last, 0.5), borderType=cv2.BORDER_REPLICATE)
    return _face.warp(source, matrix), _face.settle(mask * ratio), how


def _below_brows(points: Landmarks) -> Landmarks:
    """The landmarks from the brows' upper edge to the chin, whichever way the face is turned."""
    down = points[152] - points[10]
    brows = np.concatenate([p for name in ("left_eyebrow", "right_eyebrow") for p in regions.polygons(name, points)])
    return points[points @ down >= float((brows @ down).min())]
