"""Films composed of portraits that move over backgrounds, with the truth of who is where in every frame.

People walk across each other, turn away and come back; cuts change the place and the size of everybody, and who is
there. A portrait is cut out along its face and hair, so what moves is no person but a picture of one: that is enough to
measure who is followed, and too little to say how lifelike anything is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from facewitness.geometry import Affine, crop, invert, iou, transform
from facewitness.types import Box, Landmarks, Pixels

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A picture with one face, and the face's landmarks (468, 2+)."""

    pixels: Pixels
    landmarks: Landmarks

    def cut_out(self) -> tuple[Floats, Floats]:
        """The picture with a soft outline around face and hair: colours (H, W, 3) and weights (H, W).

        Returns:
            Colours (H, W, 3), and weights (H, W) in [0, 1].
        """
        height, width = self.pixels.shape[:2]
        low, high = self.landmarks[:, :2].min(axis=0), self.landmarks[:, :2].max(axis=0)
        centre, half = (low + high) / 2, (high - low) / 2
        y, x = np.mgrid[0:height, 0:width] + 0.5
        up = np.where(y < centre[1], 1.5, 1.15) * half[1]  # hair above, a chin below
        radius = np.sqrt(((x - centre[0]) / (1.3 * half[0])) ** 2 + ((y - centre[1]) / up) ** 2)
        weights = np.clip((1.05 - radius) / 0.1, 0, 1)
        edge = np.minimum(np.minimum(x, width - x), np.minimum(y, height - y))
        return self.pixels.astype(np.float32), (weights * np.clip(edge / 4, 0, 1)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Where:
    """One person in one frame: the face's box, and whether a face can be seen there."""

    person: int
    box: Box
    visible: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Walk:
    """How a person moves through one shot."""

    person: int
    size: float  # pixels, the face's height
    start: tuple[float, float]  # of the face's centre, in shares of the frame
    end: tuple[float, float]
    sway: float
    phase: float
    turn: tuple[float, float] | None  # seconds from which and to which the face is turned away


def compose(
    people: Sequence[Sequence[Portrait]],
    rng: np.random.Generator,
    *,
    seconds: float = 12.0,
    fps: int = 25,
    width: int = 960,
    height: int = 540,
    shots: int = 3,
) -> Iterator[tuple[Pixels, tuple[Where, ...], bool]]:
    """A film's frames, RGB uint8 (height, width, 3), with who is where, and whether a shot begins.

    Args:
        people: for each person one or more portraits, shown one after another with soft changes.
        rng: everything is drawn from it.
        seconds: Length of the film.
        fps: Frames a second.
        width: Of a frame, pixels.
        height: Of a frame, pixels.
        shots: the film has so many, with a cut between two.

    Returns:
        For each frame its pixels, who is where, and whether a shot begins.
    """
    count = round(seconds * fps)
    cuts = [
        0,
        *sorted(int(c) for c in (np.arange(1, shots) + rng.uniform(-0.2, 0.2, shots - 1)) * count / shots),
        count,
    ]
    cut_outs = [[portrait.cut_out() for portrait in portraits] for portraits in people]
    for shot, (first, last) in enumerate(pairwise(cuts)):
        wall = _background(rng, width, height)
        here = list(range(len(people)))
        if shot and len(people) > 2:  # one is not there in this shot
            here.remove(int(rng.integers(len(people))))
        walks = _walks(here, rng, (last - first) / fps, height, crossing=shot % 2 == 0)
        light = float(rng.uniform(0.9, 1.08))
        for index in range(first, last):
            moment = (index - first) / fps
            yield (*_frame(people, cut_outs, walks, wall, moment, (last - first) / fps, light, rng), index == first)


def _walks(here: list[int], rng: np.random.Generator, seconds: float, height: int, crossing: bool) -> list[_Walk]:
    columns = (np.arange(len(here)) + 0.5) / len(here)
    ends = columns.copy()
    if crossing and len(here) > 1:  # two change places
        i = int(rng.integers(len(here) - 1))
        ends[[i, i + 1]] = ends[[i + 1, i]]
    order = rng.permutation(len(here))
    walks = []
    for place, who in enumerate(order):
        away = None
        if rng.random() < 0.4 and seconds > 3:
            begin = float(rng.uniform(0.8, seconds - 2))
            away = (begin, begin + float(rng.uniform(0.8, 1.4)))
        size = height * float(rng.uniform(0.2, 0.34)) * min(1.0, 3.2 / len(here))
        level = (float(rng.uniform(0.35, 0.6)), float(rng.uniform(0.35, 0.6)))
        walks.append(
            _Walk(here[who], size, (columns[place], level[0]), (ends[place], level[1]), float(rng.uniform(0.5, 2)),
                  float(rng.uniform(0, 6)), away)
        )  # fmt: skip
    return walks


def _frame(
    people: Sequence[Sequence[Portrait]],
    cut_outs: Sequence[Sequence[tuple[Floats, Floats]]],
    walks: list[_Walk],
    wall: Floats,
    moment: float,
    length: float,
    light: float,
    rng: np.random.Generator,
) -> tuple[Pixels, tuple[Where, ...]]:
    canvas = wall.copy()
    height, width = canvas.shape[:2]
    places: list[Where] = []
    for walk in walks:  # the later ones are in front
        done = moment / length
        x = width * (walk.start[0] + done * (walk.end[0] - walk.start[0])) + 3 * np.sin(walk.sway * moment + walk.phase)
        y = height * (walk.start[1] + done * (walk.end[1] - walk.start[1])) + 4 * np.cos(1.3 * walk.sway * moment)
        roll = np.radians(5 * np.sin(walk.sway * moment + walk.phase))
        squeeze = _squeeze(walk.turn, moment)
        portraits = people[walk.person]
        at = moment / 2.0 % len(portraits)
        number, blend = int(at), float(np.clip((at % 1 - 0.85) / 0.15, 0, 1))
        face = portraits[number].landmarks
        colours, weights = cut_outs[walk.person][number]
        if blend > 0 and len(portraits) > 1:
            following = (number + 1) % len(portraits)
            if cut_outs[walk.person][following][0].shape == colours.shape:
                colours = (1 - blend) * colours + blend * cut_outs[walk.person][following][0]
        low, high = face[:, :2].min(axis=0), face[:, :2].max(axis=0)
        scale = walk.size / float(high[1] - low[1])
        cos, sin = np.cos(roll) * scale, np.sin(roll) * scale
        linear = np.array([[cos * max(squeeze, 0.25), -sin], [sin * max(squeeze, 0.25), cos]])
        to_frame: Affine = np.column_stack([linear, np.array([x, y]) - linear @ ((low + high) / 2)])
        box = _pasted(canvas, colours, weights, to_frame, face, squeeze, light)
        if box is None:
            continue
        places = [_covered(place, box) for place in places]
        inside = box[0] > 0 and box[1] > 0 and box[2] < width and box[3] < height
        places.append(Where(walk.person, box, squeeze > 0.8 and inside and min(box[2] - box[0], box[3] - box[1]) >= 48))
    grain = rng.normal(0, 2.5, (height, width, 1)).astype(np.float32)
    return np.clip(canvas + grain, 0, 255).astype(np.uint8), tuple(places)


def _covered(place: Where, by: Box) -> Where:
    """Somebody of whom less can be seen: whoever is in front hides a face from an overlap of 0.12 on."""
    return Where(place.person, place.box, place.visible and iou(place.box, by) < 0.12)


def _squeeze(turn: tuple[float, float] | None, moment: float) -> float:
    """How wide a face is against its own width: 1 ahead, 0 turned away."""
    if turn is None:
        return 1.0
    before, after = turn[0] - moment, moment - turn[1]
    return float(np.clip(max(before, after) / 0.4, 0, 1)) if max(before, after) < 0.4 else 1.0


def _pasted(
    canvas: Floats, colours: Floats, weights: Floats, to_frame: Affine, face: Landmarks, squeeze: float, light: float
) -> Box | None:
    """Paint a portrait into a frame; the face's box there, None outside. Turned away it is a head of hair."""
    height, width = canvas.shape[:2]
    h, w = weights.shape
    corners = transform(to_frame, np.array([[0, 0], [w, 0], [0, h], [w, h]], np.float64))
    x0, y0 = (max(0, int(v)) for v in corners.min(axis=0))
    x1, y1 = min(width, int(corners[:, 0].max()) + 1), min(height, int(corners[:, 1].max()) + 1)
    points = transform(to_frame, face[:, :2])
    (bx1, by1), (bx2, by2) = points.min(axis=0), points.max(axis=0)
    if x1 - x0 < 2 or y1 - y0 < 2 or bx2 < 0 or by2 < 0 or bx1 > width or by1 > height:
        return None
    shift = to_frame.copy()
    shift[:, 2] -= (x0, y0)
    size = (y1 - y0, x1 - x0)
    mask = crop(weights, shift, size)[:, :, None] * _inside(shift, w, h, size)[:, :, None]
    shown = crop(colours, shift, size) * light
    if squeeze < 0.6:
        hair = np.array([62, 46, 36], np.float32)
        shown = shown * squeeze / 0.6 + hair * (1 - squeeze / 0.6)
    part = canvas[y0:y1, x0:x1]
    part += mask * (shown - part)
    return (float(bx1), float(by1), float(bx2), float(by2))


def _inside(to_part: Affine, width: int, height: int, size: tuple[int, int]) -> Floats:
    """1 where a pixel shows the portrait, 0 beyond its edges, where `crop` repeats them."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]] + 0.5
    back = transform(invert(to_part), np.column_stack([x.ravel(), y.ravel()])).reshape(*size, 2)
    inside = (back[..., 0] > 0) & (back[..., 0] < width) & (back[..., 1] > 0) & (back[..., 1] < height)
    return inside.astype(np.float32)


def _background(rng: np.random.Generator, width: int, height: int) -> Floats:
    """A wall with furniture: blocks of colour, softened."""
    picture = Image.new("RGB", (width, height), tuple(int(v) for v in rng.integers(40, 210, 3)))
    for _ in range(24):
        x, y = int(rng.integers(-50, width)), int(rng.integers(-50, height))
        wide, high, *colour = (int(v) for v in (*rng.integers(30, 260, 2), *rng.integers(20, 235, 3)))
        block = Image.new("RGB", (wide, high), tuple(colour))
        picture.paste(block, (x, y))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(4)), np.float32).copy()
