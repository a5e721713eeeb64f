"""What can be measured of a face without a network: light, sharpness, noise, pose, and how its parts compare.

    seen = portrait.measure(pixels, landmarks)      numbers
    portrait.described(seen)                        "A face seen from the front, evenly lit, sharp, …" for those numbers

Every number is of the upright crop of SIZE pixels around the mesh, so that a face fills the same part of it however
large the photograph is; what depends on the photograph's own resolution (`pixels`) stands beside. Words are given to a
number by thresholds that are quantiles of genuine faces of the training pool (`runs/ffaa/thresholds.py`): "soft"
is softer than nine of ten. Left and right are the subject's. Nothing here says whether a face is forged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, regions
from facewitness.types import Landmarks, Pixels

SIZE = 192
MARGIN = 1.25  # as the default witness crops
PARTS = ("left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "nose", "mouth", "chin", "forehead", "left_cheek",
         "right_cheek")  # fmt: skip
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_EDGES, _NOSE, _LIPS, _CORNERS = (234, 454), 1, (13, 14), (61, 291)


@dataclass(frozen=True, slots=True)
class Portrait:
    """Numbers of one face.

    Attributes:
        light: Mean brightness of the face, 0 black to 1 white.
        side: How much brighter the subject's left half is than the right one, −1 to 1.
        contrast: Standard deviation of the face's brightness.
        colour: Mean saturation; near 0 for a grey picture.
        sharpness: Mean absolute Laplacian of the crop's face, grey levels.
        noise: Median absolute of what a small blur takes away from smooth places, grey levels.
        blocks: How much stronger steps are on the eight-pixel grid of JPEG than off it, in the frame; 1 is none.
        turn: Yaw, −1 to 1: the nose's place between the face's edges; positive where the face is turned to its left.
        mouth: Gap between the lips over the mouth's width.
        pixels: Longer side of the mesh on the frame.
        seam: How much the rim of the face differs in noise from the inside, log ratio.
        parts: Each part's sharpness over the face's, log ratio; parts outside the crop are left out.
    """

    light: float
    side: float
    contrast: float
    colour: float
    sharpness: float
    noise: float
    blocks: float
    turn: float
    mouth: float
    pixels: float
    seam: float
    parts: Mapping[str, float]


def measure(frame: Pixels, landmarks: Landmarks) -> Portrait:
    """The numbers of one face.

    Args:
        frame: RGB uint8 (H, W, 3).
        landmarks: The face's mesh (468, 2+) on it, in pixels.
    """
    affine = geometry.align(landmarks, SIZE, MARGIN)
    crop = geometry.crop(frame, affine, SIZE).astype(np.float32)
    points = geometry.transform(affine, np.asarray(landmarks))
    face = _inside("face", points)
    if not face.any():
        face[SIZE // 4 : -SIZE // 4, SIZE // 4 : -SIZE // 4] = True
    luma = crop @ _LUMA
    laplacian = np.abs(4 * luma[1:-1, 1:-1] - luma[:-2, 1:-1] - luma[2:, 1:-1] - luma[1:-1, :-2] - luma[1:-1, 2:])
    edges = np.pad(laplacian, 1)
    fine = np.abs(luma - _blurred(luma))
    middle = (points[_EDGES[0], 0] + points[_EDGES[1], 0]) / 2
    left = face & (np.arange(SIZE)[None, :] + 0.5 > middle)  # the subject's left lies on the picture's right
    right = face & ~left
    bright = float(luma[face].mean())
    halves = [float(luma[half].mean()) if half.any() else bright for half in (left, right)]
    width = float(points[_EDGES[1], 0] - points[_EDGES[0], 0])
    turn = (2 * float(points[_NOSE, 0] - points[_EDGES[0], 0]) / width - 1) if width > 1 else 0.0
    gap = float(np.hypot(*(points[_LIPS[1]] - points[_LIPS[0]])))
    wide = float(np.hypot(*(points[_CORNERS[1]] - points[_CORNERS[0]])))
    high, low = crop.max(axis=2), crop.min(axis=2)
    sharp = float(edges[face].mean())
    rim = _rim(face)
    mesh = np.asarray(landmarks)[:, :2]
    return Portrait(
        light=bright / 255,
        side=(halves[0] - halves[1]) / 255,
        contrast=float(luma[face].std()) / 255,
        colour=float(((high - low)[face] / np.maximum(high[face], 1)).mean()),
        sharpness=sharp,
        noise=float(np.median(fine[face])),
        blocks=_blocks(frame, mesh),
        turn=float(np.clip(turn, -1, 1)),
        mouth=gap / wide if wide > 1 else 0.0,
        pixels=float((mesh.max(axis=0) - mesh.min(axis=0)).max()),
        seam=float(np.log((fine[rim].mean() + 0.5) / (fine[face].mean() + 0.5))) if rim.any() else 0.0,
        parts={
            name: float(np.log((edges[inside].mean() + 0.5) / (sharp + 0.5)))
            for name in PARTS
            if (inside := _inside(name, points)).sum() >= 12
        },
    )


def described(seen: Portrait) -> tuple[str, ...]:
    """What the numbers say in words, each of them true of its number: pose, mouth, light, colour, sharpness, noise.

    Args:
        seen: The measurements.
    """
    pose = "seen from the front"
    if abs(seen.turn) > TURNED:
        pose = f"turned to the subject's {'left' if seen.turn > 0 else 'right'}"
    light = "darkly lit" if seen.light < DARK else "brightly lit" if seen.light > BRIGHT else "evenly lit"
    if abs(seen.side) > SIDE:
        light = f"lit from the subject's {'left' if seen.side > 0 else 'right'}"
    words = [pose]
    if not CLOSED <= seen.mouth <= OPEN:  # between the two, lips are apart a little
        words.append("with the mouth open" if seen.mouth > OPEN else "with the mouth closed")
    words.append(light)
    if seen.colour < GREY:
        words.append("without colour")
    words.append("soft" if seen.sharpness < SOFT else "sharp" if seen.sharpness > SHARP else "of ordinary sharpness")
    if seen.noise > NOISY:
        words.append("with visible noise")
    elif seen.noise < SMOOTH:
        words.append("with very smooth skin")
    if seen.blocks > BLOCKY:
        words.append("with the blocks of a JPEG")
    if seen.pixels < SMALL:
        words.append("only a few pixels large")
    return tuple(words)


# quantiles of genuine faces of the training pool (`runs/ffaa/thresholds.py`): the tenth and the ninetieth
TURNED, SIDE, OPEN, CLOSED = 0.45, 0.12, 0.20, 0.06
DARK, BRIGHT, GREY = 0.30, 0.68, 0.06
SOFT, SHARP, SMOOTH, NOISY = 2.6, 9.2, 0.45, 1.4
BLOCKY, SMALL = 1.39, 115.0
SEAM = 0.24


def _inside(name: str, points: NDArray[np.float32]) -> NDArray[np.bool_]:
    return geometry.fill(regions.polygons(name, points), SIZE, SIZE)


def _blurred(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of 3 × 3 pixels."""
    wide = np.pad(luma, 1, mode="edge")
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / np.float32(9)


def _rim(face: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A band of six pixels on either side of the face's outline, where a pasted face has its seam."""
    grown, shrunk = face.copy(), face.copy()
    for _ in range(6):
        for axis in (0, 1):
            for way in (1, -1):
                grown |= np.roll(grown, way, axis)
                shrunk &= np.roll(shrunk, way, axis)
    return grown & ~shrunk


def _blocks(frame: Pixels, mesh: NDArray[np.floating]) -> float:
    """Steps on the frame's eight-pixel grid over those beside it, around the face."""
    height, width = frame.shape[:2]
    x1, y1 = (max(0, int(v) // 8 * 8) for v in mesh.min(axis=0))
    x2, y2 = (int(v) for v in mesh.max(axis=0))
    luma = frame[y1 : min(y2, height, y1 + 1024), x1 : min(x2, width, x1 + 1024)].astype(np.float32) @ _LUMA
    if luma.shape[0] < 24 or luma.shape[1] < 24:
        return 1.0
    across, down = np.abs(np.diff(luma, axis=1)).mean(axis=0), np.abs(np.diff(luma, axis=0)).mean(axis=1)
    on = float(np.concatenate([across[7::8], down[7::8]]).mean())
    off = float(np.concatenate([across[3::8], down[3::8]]).mean())
    return (on + 0.25) / (off + 0.25)
