"""One to three regions of a face replaced by slightly moved copies of themselves, with no colour seam.

The forgery of KFD (Yu et al., "Unlocking the Capabilities of Vision-Language Models for Generalizable and Explainable
Deepfake Detection", section 3.3, equation 6):

    I_M = M ⊙ I_affine + (1 − M) ⊙ I_real,                                                               (6)

with M the convex hull of the landmarks of the regions drawn, soft between 0 and 1, I_affine the same picture after a
slight affine map, and Poisson blending, which here turns I_affine's colours into those of I_real before equation 6
is applied as it stands. The seam is then where a mask says it is, and nothing outside it changes.

The paper draws "on techniques from SBI" without saying on which: I_affine is made of a copy that, as often as `changed`
says, has the colour and sharpness changes of self-blended images. It speaks of "1 to 3 regions (e.g., the nose, mouth,
or eyes)" and gives no list and no size for "slight": both are ours and stand in the signature. Skin enters as one of
its parts, whose hull does not swallow the rest of the face.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from facewitness import regions
from facewitness.errors import InputError, UnknownName
from facewitness.forge import Forged, _change, _face
from facewitness.types import Landmarks, Pixels

# Regions of the tree to draw from. A hairline is an arch around the face: it is cut along its outline, not its hull.
EDITABLE = (
    "nose", "mouth", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "chin", "teeth", "mustache", "beard",
    "forehead", "left_cheek", "right_cheek", "hairline", "left_ear", "right_ear",
)  # fmt: skip
_ARCHES = ("hairline",)
_TRIES = 5
_VISIBLE = 2.0  # grey levels inside the mask: about what a JPEG of quality 90 changes by itself


def forge(
    pixels: Pixels,
    landmarks: Landmarks,
    rng: np.random.Generator,
    *,
    choices: Sequence[str] = EDITABLE,
    max_regions: int = 3,
    blends: Sequence[str] = ("poisson", "poisson", "alpha"),
    slight: float = 1.0,
    changed: float = 0.7,
) -> Forged:
    """Replace one to `max_regions` of the regions named in `choices`.

    `blends` are drawn from evenly: "poisson" is the paper's, "alpha" is equation 6 alone and quicker. `slight` scales
    the affine map; at 1 a region turns by up to 7°, grows or shrinks by up to 12 % and shifts by up to 2.5 % of the
    face, each at least a third of that. `changed` is how often the copy is changed in colour and sharpness first. A
    draw that changed almost nothing to see is drawn again, with a larger map.

    Args:
        pixels: The genuine picture, RGB uint8 (H, W, 3).
        landmarks: The face's mesh, (468, 2+), in pixels of the picture.
        rng: What everything is drawn from; the same state gives the same result.
        choices: Regions of the tree to draw from.
        max_regions: Regions that are replaced at most.
        blends: Drawn from evenly: "poisson" is the paper's, "alpha" is equation 6 alone and quicker.
        slight: Scales the affine map; at 1 a region turns by up to 7°, grows or shrinks by up to 12 % and shifts by up
            to 2.5 % of the face, each at least a third of that.
        changed: How often the copy is changed in colour and sharpness first, in [0, 1].

    Raises:
        InputError: For a degenerate mesh and when none of the choices lies in the frame.
        UnknownName: For a region or blend that does not exist.
    """
    points = _face.mesh(pixels, landmarks)
    for blend in blends:
        if blend not in ("poisson", "alpha"):
            raise UnknownName("blend", blend, ("poisson", "alpha"))
    outlines = _in_frame(points, choices, *pixels.shape[:2])
    if not outlines:
        raise InputError(f"region_edit: expected at least one of {', '.join(choices)} inside the frame, got none")

    for attempt in range(1, _TRIES + 1):
        drawn = min(int(rng.integers(1, max_regions + 1)), len(outlines))
        names = [list(outlines)[i] for i in sorted(rng.permutation(len(outlines))[:drawn])]
        forged, mask, edits = pixels, np.zeros(pixels.shape[:2], np.float32), []
        copy = pixels
        if rng.random() < changed:
            copy, how = _change.change(pixels, _face.size(points), rng)
            edits.append({"operation": "change", **how})
        for name in names:
            # a later edit lies over an earlier one; together they hide 1 − (1 − a)(1 − b) of the pristine face
            forged, weight, how = _edit(
                forged, copy, points, outlines[name], slight * (1 + 0.3 * (attempt - 1)), rng, blends
            )
            mask = 1 - (1 - mask) * (1 - weight)
            edits.append({"operation": "replace", "region": name, **how, "attempt": attempt})
        if _face.visible(forged, pixels, mask) >= _VISIBLE:
            break
    named = {mare for name in names for mare in regions.REGIONS[name].mare}
    return Forged(forged, mask, _face.covered(mask, points) | named, "attribute_manipulation", tuple(edits))


def _in_frame(points: Landmarks, choices: Sequence[str], height: int, width: int) -> dict[str, Any]:
    """The outlines of those choices of which at least half lies inside the frame and which are not mere slivers."""
    outlines = {}
    for name in choices:
        rings = list(regions.polygons(name, points))
        if name not in _ARCHES:
            rings = [cv2.convexHull(np.concatenate(rings))]
        area = sum(cv2.contourArea(ring) for ring in rings)
        # closed lips show no teeth: their outline is a line then
        if area >= max(9.0, 1e-3 * _face.size(points) ** 2) and _face.fill(rings, height, width).sum() >= area / 2:
            outlines[name] = rings
    return outlines


def _edit(
    forged: Pixels,
    pixels: Pixels,
    points: Landmarks,
    rings: list[Any],
    slight: float,
    rng: np.random.Generator,
    blends: Sequence[str],
) -> tuple[Pixels, Any, dict[str, Any]]:
    """One region of `pixels`, moved and blended into `forged`: the picture, the weight used, and what was drawn."""
    size = _face.size(points)
    grow = _face.number(rng.uniform(0.01, 0.05) * size, 2)  # an eye is edited with its lids, a mouth with its corners
    soften = _face.number(max(0.6, rng.uniform(0.004, 0.02) * size), 2)
    drawn = rng.choice((-1.0, 1.0), 5) * rng.uniform(1 / 3, 1, 5) * slight
    degrees, scale = (
        _face.number(7 * drawn[0], 2),
        (_face.number(1 + 0.12 * drawn[1]), _face.number(1 + 0.12 * drawn[2])),
    )
    shift = (_face.number(0.025 * drawn[3] * size, 2), _face.number(0.025 * drawn[4] * size, 2))
    blend = str(rng.choice(list(blends)))

    mask = _face.fill(rings, *pixels.shape[:2])
    if not mask.any():
        return forged, mask, {"blend": blend}
    reach = 2 * round(grow) + 1
    mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    mask = _face.settle(cv2.GaussianBlur(mask, (0, 0), soften, borderType=cv2.BORDER_REPLICATE))
    moved = _face.warp(
        pixels, _face.move(np.concatenate(rings).reshape(-1, 2), degrees=degrees, scale=scale, shift=shift)
    )
    result = _face.poisson(moved, forged, mask) if blend == "poisson" else _face.blend(moved, forged, mask)
    return result, mask, {
        "blend": blend, "degrees": degrees, "scale": list(scale), "shift": list(shift), "grow": grow, "soften": soften,
    }  # fmt: skip
