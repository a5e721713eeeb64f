"""The face as a forger sees it: a checked mesh, the hull to cut along, ways to paste, and the regions a paste covers.

Not a leaf but the ground under all of them (plugins skips names that start with an underscore). Nothing here draws
from a random generator: what happens is decided, and recorded, in the leaves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facewitness import regions
from facewitness.errors import InputError
from facewitness.types import Landmarks, Pixels

Weights = NDArray[np.float32]

# A region counts as forged when the foreign weight inside it averages this share of the mask's peak. Relative to the
# peak, because a forgery pasted at a quarter of its weight is forged in the same places; a third, because a region's
# soft border or a neighbour's dilation stays below it while a region half of which was replaced is above it.
COVERED = 1 / 3

_SMALLEST = 12  # pixels: a hull with less than this inside the frame is no face to forge
_FLATTEST = 0.05  # a mesh whose hull has less area than this share of its length squared is a line, no face
_EMPTY = 1 / 510  # a blending weight below it changes no 8-bit pixel: the mask says 0 there


def mesh(pixels: Pixels, landmarks: Landmarks, whose: str = "") -> Landmarks:
    """The landmarks as float32 (468, 2), after a check of both inputs. Points outside the frame are kept.

    `whose` goes before "pixels" and "landmarks" in the sentence of an InputError.
    """
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        came = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise InputError(f"{whose}pixels: expected RGB uint8 (H, W, 3), got {came}")
    points = np.asarray(landmarks, np.float32)
    if points.ndim != 2 or points.shape[0] < 468 or points.shape[1] < 2:
        raise InputError(
            f"{whose}landmarks: expected (468, 2) or (468, 3) Face Mesh points in pixels, got {points.shape}"
        )
    if not np.isfinite(points).all():
        raise InputError(f"{whose}landmarks: expected finite numbers, got NaN or infinity; find the face again")
    points = np.ascontiguousarray(points[:468, :2])
    outline = cv2.convexHull(points)
    flat = cv2.contourArea(outline) < _FLATTEST * size(points) ** 2
    if flat or fill([outline], *pixels.shape[:2]).sum() < _SMALLEST:
        (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
        raise InputError(
            f"{whose}landmarks: expected a face that covers at least {_SMALLEST} pixels of the {pixels.shape[1]} x "
            f"{pixels.shape[0]} frame, got a mesh from ({x1:.0f}, {y1:.0f}) to ({x2:.0f}, {y2:.0f}); "
            "the mesh is degenerate or lies outside the frame"
        )
    return points


def size(points: Landmarks) -> float:
    """How large a mesh is, in pixels: the longer side of its bounding box."""
    return float(np.ptp(points, axis=0).max())


def fill(polygons: Iterable[NDArray[np.floating]], height: int, width: int) -> Weights:
    """1 inside the polygons (n, 2) by the even-odd rule, 0 outside, edges antialiased. Corners may lie outside."""
    canvas = np.zeros((height, width), np.uint8)
    reach = 4 * max(height, width)
    # four fractional bits; landmarks count from the corner of a pixel, OpenCV from its centre
    rings = [np.rint((np.clip(p, -reach, reach).reshape(-1, 2) - 0.5) * 16).astype(np.int32) for p in polygons]
    cv2.fillPoly(canvas, rings, 255, cv2.LINE_AA, shift=4)
    return canvas * np.float32(1 / 255)


def hull(points: Landmarks, height: int, width: int) -> Weights:
    """1 inside the convex hull of points (n, 2), 0 outside."""
    return fill([cv2.convexHull(np.ascontiguousarray(points, np.float32))], height, width)


def settle(mask: Weights) -> Weights:
    """A mask clipped to [0, 1] whose weights too small to change an 8-bit pixel are exactly 0."""
    mask = np.clip(mask, 0, 1)
    mask[mask < _EMPTY] = 0
    return mask


def blend(foreign: Pixels, pristine: Pixels, mask: Weights) -> Pixels:
    """`mask * foreign + (1 - mask) * pristine`, rounded; exactly `pristine` where the mask is 0."""
    return np.asarray(cv2.blendLinear(foreign, pristine, mask, 1 - mask), np.uint8)


def rounded(values: Any) -> Pixels:
    """Levels as a picture stores them: whole numbers from 0 to 255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def box(mask: Weights, room: int = 0) -> tuple[slice, slice]:
    """Rows and columns where a mask is not zero, with some room around, inside the frame."""
    x, y, w, h = cv2.boundingRect((mask > 0).view(np.uint8))
    rows = slice(max(0, y - room), min(mask.shape[0], y + h + room))
    return rows, slice(max(0, x - room), min(mask.shape[1], x + w + room))


def poisson(foreign: Pixels, pristine: Pixels, mask: Weights) -> Pixels:
    """The foreign picture's gradients on the pristine picture's colours, blended in by `mask`.

    Poisson image editing (Pérez, Gangnet & Blake 2003) in its equivalent form: the pasted picture is the foreign one
    plus the smooth membrane that solves Laplace's equation inside the mask and equals `pristine − foreign` around it.
    Solved by our own multigrid: `cv2.seamlessClone` takes several times as long, changes pixels outside its mask,
    and goes wrong where the mask touches the frame.
    """
    if not mask.any():
        return pristine.copy()
    near = box(mask, 2)
    inside = (mask[near] > 0).view(np.uint8)
    solved = foreign[near] + _membrane(cv2.subtract(pristine[near], foreign[near], dtype=cv2.CV_32F), inside)
    result = pristine.copy()
    result[near] = blend(rounded(solved), pristine[near], mask[near])
    return result


_NEIGHBOURS = np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]], np.float32)


def _membrane(known: Any, inside: NDArray[np.uint8]) -> Any:
    """`known` (h, w, 3) float32 where `inside` is 0, continued harmonically where it is 1: coarse first, then fine."""
    height, width = inside.shape
    outside = 1 - inside.astype(np.float32)
    sweeps = 6
    if max(height, width) > 12:
        half = ((width + 1) // 2, (height + 1) // 2)
        share = cv2.resize(outside, half, interpolation=cv2.INTER_AREA)
        sums = cv2.resize(known * outside[..., None], half, interpolation=cv2.INTER_AREA)
        coarse = _membrane(sums / np.maximum(share, 1e-3)[..., None], (share < 0.4).view(np.uint8))
        guess = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        sweeps = 40
        guess = np.broadcast_to((known * outside[..., None]).sum((0, 1)) / max(1.0, outside.sum()), known.shape)
    membrane = np.where(inside[..., None], guess, known).astype(np.float32)
    for _ in range(sweeps):
        cv2.copyTo(cv2.filter2D(membrane, -1, _NEIGHBOURS, borderType=cv2.BORDER_REPLICATE), inside, membrane)
    return membrane


def visible(forged: Pixels, pristine: Pixels, mask: Weights) -> float:
    """How much a forgery changed: mean absolute difference in grey levels where its mask is at least half its peak."""
    near = box(mask)
    inside = (mask[near] >= 0.5 * mask.max()).view(np.uint8)
    return float(sum(cv2.mean(cv2.absdiff(forged[near], pristine[near]), inside)[:3]) / 3) if inside.any() else 0.0


def covered(mask: Weights, points: Landmarks) -> frozenset[str]:
    """MARE's regions inside which the mask averages at least COVERED of its peak, on the part that lies in the frame.

    A forgery smaller than that everywhere is filed under the one region that holds most of its weight; one that lies
    on none of them touches none.
    """
    peak = float(mask.max())
    if peak <= 0:
        return frozenset()
    # 96 pixels resolve an eyebrow of a face that fills the frame; larger masks are only slower
    scale = min(1.0, 96 / max(mask[box(mask)].shape))
    small = mask if scale == 1 else cv2.resize(mask, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    factor = np.array([small.shape[1] / mask.shape[1], small.shape[0] / mask.shape[0]], np.float32)
    shares, weights = {}, {}
    for name in regions.MARE:
        inside = fill([p * factor for p in regions.polygons(name, points)], *small.shape)
        weights[name] = float((small * inside).sum())
        shares[name] = weights[name] / max(float(inside.sum()), 1e-6)
    touched = frozenset(name for name in shares if shares[name] >= COVERED * peak)
    heaviest = max(weights, key=lambda name: weights[name])
    return touched or (frozenset([heaviest]) if weights[heaviest] > 0 else touched)


def move(points: Landmarks, *, degrees: float, scale: float | tuple[float, float], shift: tuple[float, float]) -> Any:
    """The affine map, float32 (2, 3), that turns and scales about the points' centre, then shifts by pixels."""
    cx, cy = points.mean(axis=0) - 0.5  # OpenCV counts from pixel centres
    sx, sy = scale if isinstance(scale, tuple) else (scale, scale)
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn) * sx, -np.sin(turn) * sy], [np.sin(turn) * sx, np.cos(turn) * sy]], np.float32)
    offset = np.array([cx + shift[0], cy + shift[1]], np.float32) - matrix @ np.array([cx, cy], np.float32)
    return np.hstack([matrix, offset[:, None]]).astype(np.float32)


def warp(
    image: NDArray[Any], matrix: Any, interpolation: int = cv2.INTER_LINEAR, border: int = cv2.BORDER_REPLICATE
) -> Any:
    """An image of the same size, moved by an affine map (2, 3); what comes from outside the frame repeats its edge."""
    return cv2.warpAffine(image, matrix, image.shape[1::-1], flags=interpolation, borderMode=border)


def number(value: float, digits: int = 4) -> float:
    """A drawn value as it goes into the record: a plain rounded float, and what is used is what is written."""
    return round(float(value), digits)
