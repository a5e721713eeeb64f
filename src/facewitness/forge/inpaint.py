"""A part of the face removed, and the hole filled from what is around it or from elsewhere on the picture.

Three ways to fill. OpenCV's two (Telea 2004 marches inwards; Navier-Stokes, after Bertalmio et al. 2001, continues
lines of equal brightness) leave a smooth patch. "exemplar" copies one whole piece from elsewhere on the picture or on
its mirror image, a cheek for a mouth or the other eye for an eye: the place whose surroundings differ least from the
hole's own, found by one masked search over all places, its colours fitted by Poisson blending. (Tiling a hole with many
small exemplars was tried first: it took thirty times as long and looked like a quilt.) Each may be grained again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from facewitness import regions
from facewitness.errors import InputError, UnknownName
from facewitness.forge import Forged, _face
from facewitness.types import Landmarks, Pixels

FILLS = ("telea", "navier_stokes", "exemplar")
# Regions of the tree small enough to be taken away and leave a face: what retouching removes. "blob" is a random
# rounded shape anywhere on the face.
REMOVABLE = (
    "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "left_under_eye", "right_under_eye", "glabella",
    "nose_tip", "left_nostril", "right_nostril", "left_nasolabial_fold", "right_nasolabial_fold", "philtrum",
    "mouth", "upper_lip", "lower_lip",
)  # fmt: skip
_FEATURES = ("eyes", "eyebrows", "nostrils", "mouth")
_TRIES = 5
_VISIBLE = 1.5  # grey levels inside the mask: smooth skin may be filled so well that nothing happened
_SEARCH = 16  # pixels: the hole's size when places are compared; a finer search finds the same ones later


def forge(
    pixels: Pixels,
    landmarks: Landmarks,
    rng: np.random.Generator,
    *,
    choices: Sequence[str] = (*REMOVABLE, *("blob",) * 5),
    fills: Sequence[str] = ("telea", "navier_stokes", "exemplar", "exemplar"),
    max_holes: int = 2,
) -> Forged:
    """Remove one to `max_holes` of the regions (or blobs) named in `choices` and fill each hole.

    Regions and fills are drawn evenly from the options. A draw that changed almost nothing is drawn again.

    Args:
        pixels: The genuine picture, RGB uint8 (H, W, 3).
        landmarks: The face's mesh, (468, 2+), in pixels of the picture.
        rng: What everything is drawn from; the same state gives the same result.
        choices: Regions of the tree, and "blob".
        fills: Ways to fill a hole, drawn evenly.
        max_holes: Holes at most.

    Raises:
        InputError: For a degenerate mesh and when none of the choices lies in the frame.
        UnknownName: For a region or fill that does not exist.
    """
    points = _face.mesh(pixels, landmarks)
    for name in fills:
        if name not in FILLS:
            raise UnknownName("fill", name, FILLS)
    height, width = pixels.shape[:2]
    holes = {name: [] if name == "blob" else _outline(name, points, height, width) for name in dict.fromkeys(choices)}
    usable = [name for name in choices if name == "blob" or holes[name]]
    if not usable:
        raise InputError(f"inpaint: expected at least one of {', '.join(choices)} inside the frame, got none")

    for attempt in range(1, _TRIES + 1):
        drawn = [usable[i] for i in rng.permutation(len(usable))[: rng.integers(1, max_holes + 1)]]
        forged, mask, record = pixels, np.zeros((height, width), np.float32), []
        for name in sorted(set(drawn)):
            rings, how = (_blob(points, rng, height, width)) if name == "blob" else (holes[name], {})
            fill = str(rng.choice(list(fills)))
            forged, weight, filled = _remove(forged, rings, points, fill, rng)
            mask = 1 - (1 - mask) * (1 - weight)  # one removal over another
            record.append({"operation": "remove", "region": name, **how, "fill": fill, **filled, "attempt": attempt})
        if mask.any() and _face.visible(forged, pixels, mask) >= _VISIBLE:
            break
    named = {mare for entry in record if entry["region"] != "blob" for mare in regions.REGIONS[entry["region"]].mare}
    return Forged(forged, mask, _face.covered(mask, points) | named, "attribute_manipulation", tuple(record))


def _outline(name: str, points: Landmarks, height: int, width: int) -> list[Any]:
    """A region's rings, or nothing where less than half of it lies in the frame."""
    rings = list(regions.polygons(name, points))
    area = sum(cv2.contourArea(ring) for ring in rings)
    return rings if _face.fill(rings, height, width).sum() >= max(9.0, area / 2) else []


def _blob(points: Landmarks, rng: np.random.Generator, height: int, width: int) -> tuple[list[Any], dict[str, Any]]:
    """A rounded shape around a landmark that lies in the frame."""
    inside = np.flatnonzero(((points >= 0) & (points < (width, height))).all(axis=1))
    size = _face.size(points)
    # a face may be so large that none of its points is in the picture
    at = points[rng.choice(inside)] if inside.size else rng.uniform(0, (width, height)).astype(np.float32)
    # in a cut face the blob must not be larger than the picture
    radius = _face.number(rng.uniform(0.04, 0.12) * min(size, 2 * min(height, width)), 2)
    angles = np.arange(24) * (2 * np.pi / 24)
    wave = 1 + sum(rng.uniform(0, 0.25) / k * np.cos(k * angles + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4))
    stretch, turn = rng.uniform(0.6, 1.6), rng.uniform(0, np.pi)
    x, y = radius * wave * np.cos(angles) * np.sqrt(stretch), radius * wave * np.sin(angles) / np.sqrt(stretch)
    ring = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1) + at
    centre = [_face.number(v, 1) for v in at]
    how = {"centre": centre, "radius": radius, "stretch": _face.number(stretch, 3), "turn": _face.number(turn, 3)}
    return [ring.astype(np.float32)], how


def _remove(
    pixels: Pixels, rings: list[Any], points: Landmarks, fill: str, rng: np.random.Generator
) -> tuple[Pixels, Any, dict[str, Any]]:
    """The picture with the hole filled, the soft mask it is blended by, and what was drawn."""
    size = _face.size(points)
    grow, soften = (_face.number(rng.uniform(low, high) * size, 2) for low, high in ((0.01, 0.045), (0.004, 0.018)))
    reach = 2 * round(grow) + 1
    shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    mask = cv2.dilate(_face.fill(rings, *pixels.shape[:2]), shape)
    mask = _face.settle(cv2.GaussianBlur(mask, (0, 0), max(0.5, soften), borderType=cv2.BORDER_REPLICATE))
    how: dict[str, Any] = {"grow": grow, "soften": soften}
    if not mask.any():
        return pixels, mask, how

    hole = (mask > 0).view(np.uint8)
    if hole.all():
        raise InputError("inpaint: expected some of the picture outside the hole, got a hole that fills the frame")
    copied = None
    if fill == "exemplar":
        copied, how["from"] = _exemplar(pixels, hole, points, rng)
    if copied is None:
        how["radius"] = radius = int(rng.integers(2, 6))
        near = _face.box(mask, 2 * radius)
        copied = pixels.copy()
        flag = cv2.INPAINT_NS if fill == "navier_stokes" else cv2.INPAINT_TELEA
        copied[near] = cv2.inpaint(np.ascontiguousarray(pixels[near]), np.ascontiguousarray(hole[near]), radius, flag)
    how["grain"] = grain = _face.number(rng.uniform(0.5, 4) if rng.random() < 0.5 else 0, 2)
    if grain:
        near = _face.box(mask)
        noise = cv2.GaussianBlur(rng.standard_normal(copied[near].shape, np.float32), (0, 0), 0.6)
        noise *= grain / max(float(noise.std()), 1e-3)
        copied[near] = _face.rounded(copied[near] + noise)
    paste = _face.poisson if "radius" not in how else _face.blend
    return paste(copied, pixels, mask), mask, how


def _exemplar(
    pixels: Pixels, hole: Any, points: Landmarks, rng: np.random.Generator
) -> tuple[Pixels | None, dict[str, Any] | None]:
    """The picture, or its mirror image, shifted so that a fitting piece lies over the hole; None if none is."""
    height, width = hole.shape
    rows, columns = _face.box(hole)
    scale = min(1.0, _SEARCH / max(rows.stop - rows.start, columns.stop - columns.start))
    small = (max(4, round(width * scale)), max(4, round(height * scale)))
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    few = cv2.resize(grey, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    gap: Any = (cv2.resize(hole.astype(np.float32), small, interpolation=cv2.INTER_AREA) > 0).astype(np.float32)
    rows, columns = _face.box(gap, 3)  # the surroundings that are compared
    piece, missing = few[rows, columns], gap[rows, columns]
    # An eye may stand in for the other eye, never for a cheek: the picture itself gives skin and hair only, and its
    # mirror image the place opposite on the face.
    factor = np.array(small, np.float32) / np.array([width, height], np.float32)
    features = [
        _face.fill([np.asarray(p * factor, np.float32) for p in regions.polygons(n, points)], *gap.shape)
        for n in _FEATURES
    ]
    middle = np.array([columns.start + columns.stop, rows.start + rows.stop]) / 2 / factor
    x, y = _opposite(points, middle)
    u0, v0 = np.array([width - x, y]) * factor - np.array(piece.shape[::-1]) / 2
    reach = 0.08 * _face.size(points) * scale + 2

    candidates: list[tuple[float, bool, int, int]] = []
    sources = ((few, np.maximum.reduce([gap, *features])), (few[:, ::-1].copy(), gap[:, ::-1].copy()))
    for mirrored, (there, torn) in enumerate(sources):
        cost = cv2.matchTemplate(there, piece, cv2.TM_SQDIFF, mask=1 - missing)
        cost[cv2.matchTemplate(torn, missing, cv2.TM_CCORR) > 0.5] = np.inf  # what would be copied is itself removed
        if mirrored:
            ys, xs = np.ogrid[: cost.shape[0], : cost.shape[1]]
            cost[(xs - u0) ** 2 + (ys - v0) ** 2 > reach**2] = np.inf
        for _ in range(1 if mirrored else 3):  # the best places, a neighbourhood apart
            v, u = np.unravel_index(int(np.argmin(cost)), cost.shape)
            if np.isfinite(cost[v, u]):
                candidates.append((float(cost[v, u]), bool(mirrored), int(u), int(v)))
            cost[max(0, v - 4) : v + 5, max(0, u - 4) : u + 5] = np.inf
    if not candidates:
        return None, None
    candidates = [place for place in sorted(candidates) if place[0] <= 2 * min(candidates)[0]]  # others do not fit
    _, mirrored, left, top = candidates[int(rng.integers(len(candidates)))]
    shift = [round((columns.start - left) * width / small[0]), round((rows.start - top) * height / small[1])]
    source = np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    return _face.warp(source, matrix, cv2.INTER_NEAREST), {"mirrored": mirrored, "shift": shift}


def _opposite(points: Landmarks, at: Any) -> Any:
    """The point reflected on the line from the forehead's middle to the chin's tip."""
    start, along = points[10].astype(np.float64), (points[152] - points[10]).astype(np.float64)
    foot = start + along * ((at - start) @ along / max(float(along @ along), 1e-6))
    return 2 * foot - at
