"""Whether a score rests on a place: the place is painted over in the crop, and so is another one of its shape.

A network's answer about a region may be right about the region and still say nothing of why the face is called forged.
What carries the score can be found out: painted over, it lowers the score. Painting changes a picture by itself, so
what counts is how much further the score falls than where the same outline, moved elsewhere on the face, is painted
over. That is the deletion test of `bench/deletion` at the moment of the claim, on the crop, with another paint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from facewitness.types import Pixels

_SOFT = 1.0  # pixels of a painted place's edge
_STEPS = 5  # positions to each side that are tried for the other place
_LEAST = 16  # pixels of a place that is worth painting
_OVERLAP = 0.25  # of the place that the other one may share
_INSIDE = 0.9  # of the other place that has to lie on the face


def falls(
    crop: Pixels,
    places: Sequence[NDArray[np.bool_]],
    face: NDArray[np.bool_],
    logits: Callable[[NDArray[np.uint8]], NDArray[np.float64]],
) -> list[float | None]:
    """How much further the log-odds fall where each place is painted over than where its outline elsewhere is.

    Args:
        crop: RGB uint8 (S, S, 3).
        places: Each bool (S, S).
        face: The face's outline on the crop, bool (S, S).
        logits: Crops uint8 (n, S, S, 3) -> log-odds of a forgery (n,).

    Returns:
        A number a place, above 0 where the score rests on it more than on the other one. None where the place is too
        small, or no other of its shape is left on the face.
    """
    pairs = [(place, elsewhere(place, face)) for place in places]
    painted, owners = [], []
    for i, (place, other) in enumerate(pairs):
        if place.sum() >= _LEAST and other is not None:
            painted += [paint(crop, place), paint(crop, other)]
            owners.append(i)
    result: list[float | None] = [None] * len(pairs)
    if painted:
        answers = logits(np.stack(painted)).reshape(-1, 2)
        for i, (there, other_place) in zip(owners, answers, strict=True):
            result[i] = float(other_place - there)
    return result


def paint(crop: Pixels, place: NDArray[np.bool_]) -> Pixels:
    """The crop with a place filled from what surrounds it, blurred as wide as the place is: smooth, without a seam."""
    hole = np.where(place, 0, 255).astype(np.uint8)[..., None]
    soft = Image.fromarray(255 - hole[..., 0]).filter(ImageFilter.GaussianBlur(_SOFT))
    box = soft.getbbox()  # what lies beyond stays as it is
    if box is None:
        return crop.copy()
    known = Image.fromarray(np.concatenate([np.minimum(crop, hole), hole], axis=2))  # the fourth channel: what is known
    left, top, right, bottom = box
    filled = np.zeros((bottom - top, right - left, 3), np.float32)
    total = np.zeros(filled.shape[:2], np.float32)
    width = max(2.0, float(np.sqrt(place.sum())) / 8)
    for _ in range(4):  # from narrow to wide: near the edge the nearest colours count, inside what is left
        blurred = np.asarray(known.filter(ImageFilter.GaussianBlur(width)).crop(box), np.float32)
        mass = blurred[..., 3] / 255
        share = np.clip(1.0 - total, 0, 1) * np.minimum(1.0, mass * 4)
        filled += (share / np.maximum(mass, 1 / 255))[..., None] * blurred[..., :3]
        total += share
        width *= 2
    filled /= np.maximum(total, 1e-3)[..., None]
    edge = np.asarray(soft.crop(box), np.float32)[..., None] / 255
    painted = crop.copy()
    inside = painted[top:bottom, left:right]
    inside[:] = np.clip(np.rint(inside * (1 - edge) + filled * edge), 0, 255)
    return painted


def elsewhere(place: NDArray[np.bool_], face: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The same outline moved to where it overlaps the place least and then lies nearest; None where no room is left."""
    size = place.shape[0]
    area = int(place.sum())
    reach = np.argwhere(face)
    if not len(reach) or not area:
        return None
    best, least = None, np.inf
    step = max(1, int(np.ptp(reach, axis=0).max()) // (2 * _STEPS))
    for dy in range(-_STEPS * step, _STEPS * step + 1, step):
        for dx in range(-_STEPS * step, _STEPS * step + 1, step):
            there = np.s_[max(0, dy) : size + min(0, dy), max(0, dx) : size + min(0, dx)]
            moved = place[max(0, -dy) : size - max(0, dy), max(0, -dx) : size - max(0, dx)]
            if np.count_nonzero(moved & face[there]) < _INSIDE * area:
                continue
            shared = np.count_nonzero(moved & place[there])
            cost = shared + 1e-3 * float(np.hypot(dx, dy))
            if cost < least:
                best, least = (there, moved, shared), cost
    if best is None or best[2] > _OVERLAP * area:
        return None
    other = np.zeros_like(place)
    other[best[0]] = best[1]
    return other
