"""Boxes, masks and the way between a frame and a face's crop; pure numpy.

Pixel (x, y) covers the unit square from (x, y) to (x + 1, y + 1), so its centre is (x + 0.5, y + 0.5), and a box
(x1, y1, x2, y2) covers what lies between its edges. Affine maps are float64 (2, 3) from frame points to crop points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness.errors import InputError
from facewitness.types import Box, Landmarks, Mask

Affine = NDArray[np.float64]

# Face Mesh: the corners of the subject's right and left eye, whose line gives the roll
_RIGHT_EYE, _LEFT_EYE = (33, 133), (362, 263)


# ---------------------------------------------------------------------------------------------------------- boxes


def intersection(a: Box, b: Box) -> float:
    """The area that two boxes share; 0 where they do not touch.

    Args:
        a: A box.
        b: Another box.
    """
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes; 0 where they do not touch.

    Args:
        a: A box.
        b: Another box.
    """
    shared = intersection(a, b)
    if shared <= 0:
        return 0.0
    return float(shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared))


_MEANT = 0.25  # IoU from which a box that was found is the one that is meant


def meant(boxes: Sequence[Box], box: Box) -> int | None:
    """Which of several boxes stands for another one: that with the largest IoU; None where it is below a quarter.

    Args:
        boxes: Of what was found.
        box: What is meant.
    """
    best = max(range(len(boxes)), key=lambda i: iou(boxes[i], box), default=None)
    return best if best is not None and iou(boxes[best], box) >= _MEANT else None


def clip(box: Box, width: int, height: int) -> Box | None:
    """The part of a box that lies on a frame; None where nothing does.

    Args:
        box: (x1, y1, x2, y2), pixels.
        width: Pixels.
        height: Pixels.
    """
    x1, y1 = max(0.0, float(box[0])), max(0.0, float(box[1]))
    x2, y2 = min(float(width), float(box[2])), min(float(height), float(box[3]))
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def bounds(points: NDArray[np.floating]) -> Box:
    """The smallest box around points (n, 2+).

    Args:
        points: (n, 2+), pixels.
    """
    (x1, y1), (x2, y2) = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    return (float(x1), float(y1), float(x2), float(y2))


# --------------------------------------------------------------------------------------------------- affine maps


def align(face: Landmarks | Box, size: int, margin: float) -> Affine:
    """The map from a frame to an upright square crop of `size` pixels around a face.

    With landmarks (468, 2+) the eye line becomes level and the mesh's longer side fills `1 / margin` of the crop.
    With a box the crop is level with the frame and the box's longer side fills `1 / margin` of it.

    Args:
        face: Landmarks (468, 2+) or a box, pixels.
        size: Side of the crop, pixels.
        margin: Side of the crop over the longer side of the face.

    Returns:
        (2, 3), float64.
    """
    if isinstance(face, np.ndarray):
        points = face[:, :2].astype(np.float64)
        along = points[list(_LEFT_EYE)].mean(axis=0) - points[list(_RIGHT_EYE)].mean(axis=0)
        length = float(np.hypot(*along))
        cos, sin = along / length if length > 0 else (1.0, 0.0)
        rotation = np.array([[cos, sin], [-sin, cos]])
        turned = points @ rotation.T
        low, high = turned.min(axis=0), turned.max(axis=0)
    else:
        rotation = np.eye(2)
        low, high = np.array(face[:2], np.float64), np.array(face[2:], np.float64)
    side = float((high - low).max()) * margin
    if side <= 0:
        raise InputError(f"align: expected a face with an extent, got landmarks or a box of size {side}")
    scale = size / side
    return np.column_stack([rotation * scale, size / 2 - (low + high) / 2 * scale])


def invert(affine: Affine) -> Affine:
    """The map back.

    Args:
        affine: From frame points to crop points, (2, 3).

    Returns:
        (2, 3).
    """
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])


def compose(second: Affine, first: Affine) -> Affine:
    """One map that does `first`, then `second`.

    Args:
        second: Done second.
        first: Done first.

    Returns:
        (2, 3).
    """
    return np.column_stack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]])


def transform(affine: Affine, points: NDArray[np.floating]) -> NDArray[np.float32]:
    """Points (n, 2) through an affine map.

    Args:
        affine: From frame points to crop points, (2, 3).
        points: (n, 2+), pixels.

    Returns:
        float32 (n, 2).
    """
    return (points[:, :2] @ affine[:, :2].T + affine[:, 2]).astype(np.float32)


def crop(picture: NDArray[Any], affine: Affine, size: int | tuple[int, int]) -> NDArray[Any]:
    """What an affine map shows of a picture (H, W) or (H, W, C), as `size` = side or (height, width) pixels.

    Bilinear; where the map shrinks, blocks of the picture are averaged first, so that fine texture is not aliased.
    Beyond the picture its border pixels go on. Keeps the dtype (uint8 is rounded).

    Args:
        picture: (H, W) or (H, W, C), any type.
        affine: From frame points to crop points, (2, 3).
        size: Side, or (height, width), pixels.

    Returns:
        (height, width) or (height, width, C), of the picture's type.
    """
    height, width = (size, size) if isinstance(size, int) else size
    back = invert(affine)
    corners = transform(back, np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64))
    shrink = max(1, int(np.sqrt(abs(np.linalg.det(back[:, :2])))))
    # only the part that is shown is averaged: a face of 300 px in a photo of 40 Mpx costs no more than elsewhere
    x0, y0 = (max(0, int(v) - shrink) for v in corners.min(axis=0))
    x1, y1 = (int(v) + 2 * shrink + 1 for v in corners.max(axis=0))
    x0, y0 = min(x0, picture.shape[1] - 1), min(y0, picture.shape[0] - 1)
    part = picture[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    if shrink > 1:
        part = _block_mean(part, shrink)
    scale = 1.0 / shrink
    # crop pixel centres in the part's pixel indices
    linear = back[:, :2] * scale
    offset = (back[:, 2] - (x0, y0)) * scale + linear @ (0.5, 0.5) - 0.5
    xs, ys = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    u = (linear[0, 0] * xs)[None, :] + (linear[0, 1] * ys + offset[0])[:, None]
    v = (linear[1, 0] * xs)[None, :] + (linear[1, 1] * ys + offset[1])[:, None]
    return _bilinear(part, u.astype(np.float32), v.astype(np.float32), picture.dtype)


def _block_mean(picture: NDArray[Any], k: int) -> NDArray[np.float32]:
    h, w = picture.shape[:2]
    pad = [(0, -h % k), (0, -w % k)] + [(0, 0)] * (picture.ndim - 2)
    if any(p != (0, 0) for p in pad):
        picture = np.pad(picture, pad, mode="edge")
    total = picture[::k, ::k].astype(np.float32)
    for i in range(1, k * k):  # strided sums are several times faster than one reduction over blocks
        total += picture[i // k :: k, i % k :: k]
    total /= k * k
    return total


_AT_ONCE = 1 << 14  # pixels that are interpolated at once: what lies between stays in a core's cache


def _bilinear(part: NDArray[Any], u: NDArray[np.float32], v: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    h, w = part.shape[:2]
    flat = part.reshape(h * w, -1)

    def at(row: NDArray[np.int32], column: NDArray[np.int32]) -> NDArray[np.float32]:
        return flat.take(row * w + column, axis=0).astype(np.float32)

    shown = np.empty((u.size, flat.shape[1]), dtype)
    us, vs = np.clip(u, 0, w - 1).ravel(), np.clip(v, 0, h - 1).ravel()
    for few in (slice(start, start + _AT_ONCE) for start in range(0, u.size, _AT_ONCE)):
        x, y = us[few].astype(np.int32), vs[few].astype(np.int32)
        fx, fy = (us[few] - x)[:, None], (vs[few] - y)[:, None]
        right, down = np.minimum(x + 1, w - 1), np.minimum(y + 1, h - 1)
        top = at(y, x)
        top += fx * (at(y, right) - top)
        bottom = at(down, x)
        bottom += fx * (at(down, right) - bottom)
        top += fy * (bottom - top)
        shown[few] = np.rint(top) if np.issubdtype(dtype, np.integer) else top
    return shown.reshape(u.shape + part.shape[2:])


# ----------------------------------------------------------------------------------------------------------- masks


def fill(polygons: Sequence[NDArray[np.floating]], height: int, width: int) -> NDArray[np.bool_]:
    """The pixels whose centres lie inside polygons [(n, 2), …], by the even-odd rule over all of them together.

    So a ring inside a ring is a hole.

    Args:
        polygons: Closed rings, (n, 2) each.
        height: Pixels.
        width: Pixels.

    Returns:
        Bool (height, width).
    """
    return fills([polygons], height, width)[0]


def fills(shapes: Sequence[Sequence[NDArray[np.floating]]], height: int, width: int) -> NDArray[np.bool_]:
    """`fill` of several shapes, each by itself, at the cost of little more than one.

    Args:
        shapes: Of each its closed rings, (n, 2) each.
        height: Pixels.
        width: Pixels.

    Returns:
        Bool (shapes, height, width).
    """
    inside = np.zeros((len(shapes), height, width), bool)
    rings = [np.asarray(polygon, np.float64)[:, :2] for polygons in shapes for polygon in polygons]
    if height == 0 or width == 0 or not rings:
        return inside
    xa, ya = np.concatenate(rings).T
    xb, yb = np.concatenate([part for ring in rings for part in (ring[1:], ring[:1])]).T
    # one scan line through the pixel centres of each row: where the edges cross it, parity flips
    first = np.clip(np.ceil(np.minimum(ya, yb) - 0.5), 0, height).astype(np.int64)
    count = np.clip(np.ceil(np.maximum(ya, yb) - 0.5), first, height).astype(np.int64) - first  # of rows it crosses
    edge = np.repeat(np.arange(len(count)), count)
    rows = np.arange(len(edge)) + (first - np.cumsum(count) + count)[edge]
    if not len(rows):
        return inside
    with np.errstate(divide="ignore", invalid="ignore"):  # level edges cross no row
        slope = (xb - xa) / (yb - ya)
    starts = np.ceil(xa[edge] + (rows + 0.5 - ya[edge]) * slope[edge] - 0.5)
    starts = np.clip(starts, 0, width).astype(np.int64)
    top, bottom, left, right = rows.min(), rows.max() + 1, starts.min(), starts.max()
    # marks are toggled, then accumulated along the row below; what ends beyond the last column needs no mark
    marks = np.zeros((len(shapes), bottom - top, right - left + 1), np.uint8)
    lengths = [sum(len(polygon) for polygon in polygons) for polygons in shapes]
    shape = np.repeat(np.arange(len(shapes)), lengths)[edge]
    np.bitwise_xor.at(marks, (shape, rows - top, starts - left), np.uint8(1))
    inside[:, top:bottom, left:right] = np.bitwise_xor.accumulate(marks, axis=2)[:, :, :-1]
    return inside


def place(mask: Mask, height: int, width: int) -> NDArray[np.float32]:
    """A mask on its whole frame, float32 (height, width).

    Args:
        mask: A mask in its box.
        height: Pixels.
        width: Pixels.

    Returns:
        float32 (height, width).
    """
    frame = np.zeros((height, width), np.float32)
    x1, y1, x2, y2 = mask.box
    left, top = max(0, int(np.floor(x1))), max(0, int(np.floor(y1)))
    right, bottom = min(width, int(np.ceil(x2))), min(height, int(np.ceil(y2)))
    if right <= left or bottom <= top:
        return frame
    rows, columns = mask.values.shape
    sx, sy = (x2 - x1) / columns, (y2 - y1) / rows  # frame pixels per sample
    to_part = np.array([[sx, 0, x1 - left], [0, sy, y1 - top]], np.float64)
    frame[top:bottom, left:right] = crop(mask.values, to_part, (bottom - top, right - left))
    return frame


def check_fits(mask: NDArray[np.floating], height: int, width: int) -> None:
    """Refuses a mask of other proportions than its frame: stretched to it, it would mark other places.

    Pictures are turned upright as their EXIF orientation says; a mask that was stored as the camera stored the picture,
    and does not say so itself, was not. A mask that is smaller or larger has its proportions, but for a pixel of
    rounding and two in a hundred.

    Args:
        mask: (h, w), of any size.
        height: Pixels.
        width: Pixels.

    Raises:
        InputError: The proportions are others, or those of the frame on its side.
    """
    if mask.ndim != 2 or 0 in mask.shape or not height or not width:
        return
    tall, wide = mask.shape
    frame = float(np.log(width / height))
    if abs(frame) > 0.04 and abs(float(np.log(wide / tall)) + frame) < 0.02:
        raise InputError(
            f"mask: expected one of the upright picture, {width} × {height}, got {wide} × {tall}, which lies on its "
            "side. Turn it as the picture's EXIF orientation says, or store both upright."
        )
    rounding = np.log1p(1 / tall) + np.log1p(1 / wide)
    if abs(float(np.log(wide / tall)) - frame) > 0.02 + rounding:
        raise InputError(
            f"mask: expected one of the picture's proportions, {width} × {height}, got {wide} × {tall}. It would mark "
            "other places: make it of the same picture, uncut."
        )
