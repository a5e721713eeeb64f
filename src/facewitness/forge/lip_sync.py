"""The mouth made to say something else: the lower face moved, drawn anew at a generator's few pixels, and pasted back.

Lip-sync generators such as Wav2Lip (Prajwal et al., "A Lip Sync Expert Is All You Need for Speech to Lip Generation In
the Wild", MM 2020) redraw the lower half of a face crop of 96 × 96 pixels, which is enlarged to the face's size and
laid over the frame, as a rectangle or with a soft border. No network is asked here: lips and chin are moved by a smooth
displacement, and what a generator's decoder does to texture is imitated by the reduction to its side, by smoothing and
by a slight shift of colour. What can be learned from it is a mouth that is softer than its eyes, and the seam.
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

SHAPES = ("rectangle", "lower_face", "mouth")
_KERNELS = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}
_NOSE_BASE, _CHIN, _FOREHEAD = 2, 152, 10  # Face Mesh: below the septum, the chin's lowest point, the hairline's middle
_UPPER_LIP, _LOWER_LIP = 13, 14  # Face Mesh: where the lips meet
_TRIES = 4
_VISIBLE = 1.5  # grey levels inside the mask


def forge(
    pixels: Pixels,
    landmarks: Landmarks,
    rng: np.random.Generator,
    *,
    shapes: Sequence[str] = SHAPES,
    sides: Sequence[int] = (96, 96, 128, 256),
) -> Forged:
    """Move the lips and chin, draw the lower face at a generator's resolution, and paste it.

    The pasted shape and the generator's side in pixels for the whole face are drawn evenly from the options; a face
    that is smaller than its side loses a fifth of its pixels at least. A draw that changed almost nothing is drawn
    again.

    Args:
        pixels: The genuine picture, RGB uint8 (H, W, 3).
        landmarks: The face's mesh, (468, 2+), in pixels of the picture.
        rng: What everything is drawn from; the same state gives the same result.
        shapes: Pasted outlines, drawn evenly.
        sides: Of the generator's picture of the whole face, pixels, drawn evenly.

    Raises:
        InputError: For a degenerate mesh or where the lower face lies outside the frame.
        UnknownName: For an unknown shape.
    """
    points = _face.mesh(pixels, landmarks)
    for name in shapes:
        if name not in SHAPES:
            raise UnknownName("shape", name, SHAPES)
    size = _face.size(points)
    for attempt in range(1, _TRIES + 1):
        moved, motion = _spoken(pixels, points, size, rng, 1 + 0.4 * (attempt - 1))
        drawn, drawing = _redrawn(moved, size, int(rng.choice(list(sides))), rng)
        mask, how = _shape(points, size, str(rng.choice(list(shapes))), rng, *pixels.shape[:2])
        if mask.max() < 0.5:
            raise InputError("lip_sync: expected the lower face inside the frame, got a mesh whose mouth lies outside")
        forged = _face.blend(drawn, pixels, mask)
        if _face.visible(forged, pixels, mask) >= _VISIBLE:
            break
    record = ({"operation": "speak", **motion}, {"operation": "redraw", **drawing},
              {"operation": "paste", **how, "attempt": attempt})  # fmt: skip
    return Forged(forged, mask, _face.covered(mask, points), "attribute_manipulation", record)


def _spoken(
    pixels: Pixels, points: Landmarks, size: float, rng: np.random.Generator, more: float
) -> tuple[Pixels, dict[str, Any]]:
    """The picture with its mouth opened or closed, widened or pursed: a smooth displacement around the lips."""
    down, across = _axes(points)
    centre = (points[_UPPER_LIP] + points[_LOWER_LIP]) / 2 - 0.5
    how = {
        "open": _face.number(more * rng.choice((-1, 1)) * rng.uniform(0.008, 0.04), 4),
        "widen": _face.number(more * rng.uniform(-0.12, 0.12), 4),
        "reach": _face.number(rng.uniform(0.1, 0.17), 4),
    }
    height, width = pixels.shape[:2]
    xs = np.arange(width, dtype=np.float32)[None, :] - centre[0]
    ys = np.arange(height, dtype=np.float32)[:, None] - centre[1]
    u, v = xs * across[0] + ys * across[1], xs * down[0] + ys * down[1]
    reach = np.float32(how["reach"] * size)
    near = np.exp(-(u**2 + v**2) / (2 * reach**2))
    along = np.float32(how["open"] * size) * near * np.tanh(v / (0.25 * reach))  # lips part, or close
    aside = np.float32(how["widen"]) * u * near
    x = xs + centre[0] - along * down[0] - aside * across[0]
    y = ys + centre[1] - along * down[1] - aside * across[1]
    moved = cv2.remap(pixels, x.astype(np.float32), y.astype(np.float32), cv2.INTER_CUBIC, None, cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8), how


def _redrawn(pixels: Pixels, size: float, side: int, rng: np.random.Generator) -> tuple[Pixels, dict[str, Any]]:
    """As a decoder gives it: at `side` pixels for the face, enlarged, a little too smooth, its colours a little off."""
    factor = _face.number(min(0.8, side / (1.15 * size)), 4)
    how: dict[str, Any] = {"side": side, "factor": factor, "kernel": str(rng.choice(list(_KERNELS)))}
    how |= {
        "smooth": _face.number(rng.uniform(0, 22), 1),
        "colour": [round(v) for v in rng.uniform(-5, 5, 3)],
        "sharpen": _face.number(rng.uniform(0, 0.8) if rng.random() < 0.4 else 0.0, 3),
    }
    small = (max(2, round(pixels.shape[1] * factor)), max(2, round(pixels.shape[0] * factor)))
    few = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
    if how["smooth"] >= 4:
        few = cv2.bilateralFilter(few, 5, how["smooth"], 2)
    drawn = cv2.resize(few, pixels.shape[1::-1], interpolation=_KERNELS[how["kernel"]])
    if how["sharpen"]:  # some pipelines end in a face restorer
        drawn = cv2.addWeighted(drawn, 1 + how["sharpen"], cv2.GaussianBlur(drawn, (0, 0), 1.5), -how["sharpen"], 0)
    return np.clip(drawn.astype(np.int16) + np.int16(how["colour"]), 0, 255).astype(np.uint8), how


def _shape(
    points: Landmarks, size: float, shape: str, rng: np.random.Generator, height: int, width: int
) -> tuple[Any, dict[str, Any]]:
    """The soft mask of what is pasted, (height, width) in [0, 1]."""
    how: dict[str, Any] = {"shape": shape, "grow": _face.number(rng.uniform(1.0, 1.35), 3)}
    soft = (0.002, 0.012) if shape == "rectangle" else (0.01, 0.05)
    how["soften"] = soften = _face.number(max(0.5, rng.uniform(*soft) * size), 2)
    if shape == "mouth":
        corners = np.concatenate(list(regions.polygons("mouth", points)))
        corners = (corners - corners.mean(axis=0)) * (how["grow"] + 0.25) + corners.mean(axis=0)
    else:
        down, across = _axes(points)
        start = float(points[_NOSE_BASE] @ down) - (how["grow"] - 1) * 0.4 * size
        corners = points[points @ down >= start]
        if shape == "rectangle":
            u, v = corners @ across, corners @ down
            ends = [(a, b) for a, b in ((u.min(), start), (u.max(), start), (u.max(), v.max()), (u.min(), v.max()))]
            corners = np.array([a * across + b * down for a, b in ends], np.float32)
    mask = cv2.GaussianBlur(_face.hull(corners, height, width), (0, 0), soften, borderType=cv2.BORDER_REPLICATE)
    return _face.settle(mask), how


def _axes(points: Landmarks) -> tuple[Any, Any]:
    """The face's directions down and across, of length one."""
    down = points[_CHIN] - points[_FOREHEAD]
    down = down / np.float32(max(float(np.hypot(*down)), 1e-6))
    return down, np.array([-down[1], down[0]], np.float32)
