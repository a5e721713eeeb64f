"""Faces painted by our own code, genuine and forged, with exact masks: the benchmark runs anywhere, without a download.

Paper, licence: none; the pictures are made here and nobody is shown. How to obtain: nothing to obtain; `root` is not
used.

    train/identity-00/{1,2}.png        pristine, in two poses
    train/identity-00/1-swap.png       the inner face of another painted person over 1.png
    train/identity-00/2-edit.png       one or two regions of another painted person over 2.png
    train/nobody-00/1.png              painted as a whole the way forgeries are
    val/…  test/…                      other identities

24 pristine and 30 forged portraits of 256 px, the same bytes every time. What gives a forgery away here is what often
gives one away in photographs: the camera's grain is missing where something was pasted. Outside its mask a forgery
equals its pristine counterpart, pixel by pixel. A group is an identity, and the people whose features are pasted appear
nowhere else. These are drawings: a score on them says that a system runs, and nothing of how it does on photographs.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from facewitness import regions
from facewitness.errors import UnknownName
from facewitness.types import Box, Landmarks, Pixels, Sample, Truth

SPLITS = ("train", "val", "test")
NAME = "painted"

_SIZE = 256  # pixels
_IDENTITIES, _NOBODIES = 4, 2  # of each split
_GRAIN = 3.0  # grey levels, standard deviation
_EDITABLE = ("nose", "mouth", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "chin")
_COVERED = 1 / 3  # a region is forged where the mask's mean inside it is at least this, as the forgers have it

Weights = NDArray[np.float32]


def samples(root: str | Path | None = None, split: str | None = None) -> Iterator[Sample]:
    """All pictures, painted as they are asked for; `split` keeps one split.

    Args:
        root: Not needed: nothing is read.
        split: "train", "val" or "test"; None for all.

    Raises:
        UnknownName: For another split.
    """
    if split is not None and split not in SPLITS:
        raise UnknownName(f"split of {NAME}", split, SPLITS)
    return _samples(SPLITS if split is None else (split,))


def _samples(splits: tuple[str, ...]) -> Iterator[Sample]:
    for each in splits:
        first = SPLITS.index(each) * _IDENTITIES
        for number in range(first, first + _IDENTITIES):
            yield from _identity(each, number)
        for number in range(_NOBODIES):
            yield _nobody(each, SPLITS.index(each) * _NOBODIES + number)


def _identity(split: str, number: int) -> Iterator[Sample]:
    rng = np.random.default_rng((1, number))
    look, group = _Look.drawn(rng), f"identity-{number:02}"
    for pose in (1, 2):
        points = _posed(look, rng)
        pixels = _grainy(_portrait(look, points), rng)
        file = f"{split}/{group}/{pose}.png"
        yield _sample(split, group, file, pixels, _pristine())
        other = _Look.drawn(np.random.default_rng((2, number, pose)))  # painted into this face, shown nowhere else
        chosen = ("face",) if pose == 1 else tuple(rng.choice(_EDITABLE, size=int(rng.integers(1, 3)), replace=False))
        mask = _mask(chosen, points)
        forged = _blended(pixels, _portrait(other, points), mask)
        method, kind = ("swap", "identity_exchange") if pose == 1 else ("edit", "attribute_manipulation")
        truth = _forged(method, kind, partial(_mask, chosen, points), mask, points)
        yield _sample(split, group, f"{split}/{group}/{pose}-{method}.png", forged, truth, original=file)


def _nobody(split: str, number: int) -> Sample:
    rng = np.random.default_rng((3, number))
    look, group = _Look.drawn(rng), f"nobody-{number:02}"
    points = _posed(look, rng)
    truth = _forged("synthesis", "entire_synthesis", partial(_everywhere, 1.0), _everywhere(1.0), points)
    return _sample(split, group, f"{split}/{group}/1.png", np.rint(_portrait(look, points)).astype(np.uint8), truth)


def _sample(split: str, group: str, file: str, pixels: Pixels, truth: Truth, original: str | None = None) -> Sample:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return Sample(file, truth, split, group, NAME, original=original, image=out.getvalue())


# ---------------------------------------------------------------------------------------------------- the truth


def _pristine() -> Truth:
    answer = "The face looks real. Its grain is the same everywhere."
    return Truth(
        label="real", method="pristine", kind="pristine", regions=frozenset(), boxes={}, texts=(answer,),
        mask=partial(_everywhere, 0.0), questions={"Does the face look real or fake?": (answer,)},
    )  # fmt: skip


def _forged(method: str, kind: str, load: partial[Weights], mask: Weights, points: Landmarks) -> Truth:
    touched = {name: box for name in regions.MARE if (box := _touched(name, mask, points)) is not None}
    places = " and the ".join(regions.title(name) for name in touched)
    what = "whole picture" if kind == "entire_synthesis" else "inner face" if kind == "identity_exchange" else places
    answer = f"The face looks fake. The {what} lacks the grain of a camera."
    questions = {"Does the face look real or fake?": (answer,)}
    for name in touched:
        title = regions.title(name)
        questions[f"Does the {title} look real or fake?"] = (
            f"The {title} looks fake. It lacks the grain of a camera.",
        )
    return Truth(
        label="fake", method=method, kind=kind, mask=load, regions=frozenset(touched), boxes=touched, texts=(answer,),
        questions=questions,
    )  # fmt: skip


def _everywhere(value: float) -> Weights:
    return np.full((_SIZE, _SIZE), value, np.float32)


def _touched(name: str, mask: Weights, points: Landmarks) -> Box | None:
    """The box of a region in the frame where the mask forges it, else None."""
    inside = _cover(regions.polygons(name, points))
    if inside.sum() < 4 or (inside * mask).sum() / inside.sum() < _COVERED:
        return None
    rows, columns = np.nonzero(inside.max(axis=1) >= 0.5)[0], np.nonzero(inside.max(axis=0) >= 0.5)[0]
    if not len(rows) or not len(columns):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _mask(chosen: tuple[str, ...], points: Landmarks) -> Weights:
    """Float32 (256, 256): how much of each pixel is foreign where the regions `chosen` are pasted, soft at the seam."""
    hard = np.max([_cover(regions.polygons(name, points)) for name in chosen], axis=0)
    image = Image.fromarray(np.rint(hard * 255).astype(np.uint8))
    if chosen != ("face",):  # a little more than the region, so that its outline is pasted too
        image = image.filter(ImageFilter.MaxFilter(9))
    return np.asarray(image.filter(ImageFilter.BoxBlur(3)), np.float32) / np.float32(255)


def _blended(pristine: Pixels, other: Weights, mask: Weights) -> Pixels:
    weight = mask[..., None]
    return np.rint(weight * other + (1 - weight) * pristine).astype(np.uint8)


# --------------------------------------------------------------------------------------------------- the painter


@dataclass(frozen=True, slots=True)
class _Look:
    """What makes a painted person: colours (RGB, 0 … 255) and proportions."""

    skin: Weights
    hair: Weights
    iris: Weights
    lips: Weights
    back: Weights
    shirt: Weights
    wide: float  # of the face
    brows: float  # thickness

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> _Look:
        light = rng.uniform(0.45, 1.0)
        skin = _colour(238, 196, 168) * light + rng.normal(0, 5, 3)
        return cls(
            skin=skin.astype(np.float32),
            hair=(_colour(92, 62, 40) * rng.uniform(0.25, 1.5) + rng.normal(0, 6, 3)).astype(np.float32),
            iris=rng.choice([[70, 100, 140], [86, 60, 36], [80, 110, 70], [52, 38, 28]]).astype(np.float32),
            lips=(skin * [0.84, 0.56, 0.56] + rng.normal(0, 6, 3)).astype(np.float32),
            back=rng.uniform(90, 210, 3).astype(np.float32),
            shirt=rng.uniform(30, 200, 3).astype(np.float32),
            wide=float(rng.uniform(0.92, 1.06)),
            brows=float(rng.uniform(0.6, 1.6)),
        )


def _colour(*rgb: float) -> Weights:
    return np.array(rgb, np.float32)


def _posed(look: _Look, rng: np.random.Generator) -> Landmarks:
    """The average face of this person's width, turned and shifted a little: float32 (468, 2) in pixels."""
    points = (regions.average_landmarks()[:, :2] - 0.5) * (look.wide, 1.1)
    angle = np.deg2rad(rng.uniform(-8, 8))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    centre = _SIZE * np.array([0.5, 0.52]) + rng.uniform(-8, 8, 2)
    return np.asarray(points @ turn * _SIZE * rng.uniform(0.46, 0.54) + centre, np.float32)


def _cover(rings: tuple[NDArray[np.float32], ...]) -> Weights:
    """1 inside the rings, 0 outside, float32 (256, 256), with smooth edges."""
    covered = np.zeros((_SIZE, _SIZE), np.float32)
    if not rings:
        return covered
    every = np.concatenate(rings)
    left, top = np.clip(np.floor(every.min(axis=0)).astype(int) - 1, 0, _SIZE - 1)
    right, bottom = np.clip(np.ceil(every.max(axis=0)).astype(int) + 2, 1, _SIZE)
    canvas = Image.new("L", (int(4 * (right - left)), int(4 * (bottom - top))))
    for ring in rings:
        ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in 4 * (ring - (left, top))], fill=255)
    covered[top:bottom, left:right] = np.asarray(canvas.reduce(4), np.float32) / np.float32(255)
    return covered


def _soft(weight: Weights, radius: float) -> Weights:
    image = Image.fromarray(np.rint(weight * 255).astype(np.uint8))
    blurred = np.zeros((_SIZE, _SIZE), np.float32)
    if (box := image.getbbox()) is not None:
        reach = math.ceil(4 * radius) + 4  # of a blur: farther away it is 0, as it was
        left, top, right, bottom = max(0, box[0] - reach), max(0, box[1] - reach), box[2] + reach, box[3] + reach
        part = image.crop((left, top, min(right, _SIZE), min(bottom, _SIZE))).filter(ImageFilter.GaussianBlur(radius))
        blurred[top : top + part.height, left : left + part.width] = np.asarray(part, np.float32)
    return blurred / np.float32(255)


def _disc(centre: NDArray[np.floating], wide: float, high: float, soft: float) -> Weights:
    """1 in an ellipse, falling to 0 over `soft` of its radius."""
    x = np.arange(_SIZE, dtype=np.float32) + np.float32(0.5)
    radius = np.sqrt(((x - centre[0]) / wide) ** 2 + ((x[:, None] - centre[1]) / high) ** 2)
    return np.asarray(np.clip((1 + soft - radius) / soft, 0, 1), np.float32)


def _portrait(look: _Look, points: Landmarks) -> Weights:
    """A person without a camera's grain, float32 (256, 256, 3) in 0 … 255."""
    unit = float(np.ptp(points[:, 1])) / 100  # a hundredth of the face's height
    region: Mapping[str, Weights] = {
        name: _cover(regions.polygons(name, points))
        for name in ("hair", "face", "neck", "left_ear", "right_ear", "nose", "upper_lip", "lower_lip", "mouth",
                     "left_eyebrow", "right_eyebrow", "left_eye", "right_eye", "chin")
    }  # fmt: skip
    ramp = np.linspace(1.1, 0.8, _SIZE, dtype=np.float32)[:, None, None]
    canvas = np.broadcast_to(look.back, (_SIZE, _SIZE, 3)) * ramp

    def paint(weight: Weights, colour: NDArray[np.floating], strength: float = 1.0) -> None:
        rows, columns = np.nonzero(weight.any(axis=1))[0], np.nonzero(weight.any(axis=0))[0]
        if not len(rows):
            return
        here = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)  # elsewhere nothing is laid on
        part = canvas[here]
        part += (strength * weight[here][..., None]) * (np.asarray(colour, np.float32) - part)

    chin, brow, tip = points[152], points[10], points[4]
    paint(_disc(chin + np.array([0, 62 * unit]), 95 * unit, 42 * unit, 0.06), look.shirt)
    paint(_soft(region["neck"], 2 * unit), look.skin * 0.72)
    paint(_soft(region["hair"], 2 * unit), look.hair)
    for ear in ("left_ear", "right_ear"):
        paint(_soft(region[ear], unit), look.skin * 0.82)
    paint(region["face"], look.skin * 0.94)
    inside = region["face"]
    paint(inside * _disc((brow + tip) / 2 - (0, 6 * unit), 20 * unit, 30 * unit, 1.2), look.skin * 1.08, 0.7)  # light
    for corner, inner in ((234, 50), (454, 280)):
        paint(inside * _disc(points[corner], 14 * unit, 44 * unit, 0.9), look.skin * 0.66, 0.6)  # the face turns away
        cheeks = look.skin * np.array([1.06, 0.9, 0.9])
        paint(inside * _disc(points[inner], 8 * unit, 7 * unit, 1.0), cheeks, 0.5)
    paint(inside * _disc(chin + np.array([0, 3 * unit]), 30 * unit, 8 * unit, 1.0), look.skin * 0.7, 0.7)
    paint(inside * _disc(brow, 44 * unit, 9 * unit, 1.0), look.skin * 0.74, 0.5)
    for eye, iris in (("right_eye", (33, 133)), ("left_eye", (263, 362))):
        centre = (points[iris[0]] + points[iris[1]]) / 2
        paint(_disc(centre - (0, unit), 12 * unit, 7 * unit, 0.8), look.skin * 0.66, 0.6)
        white, wide = region[eye], float(np.linalg.norm(points[iris[0]] - points[iris[1]]))
        paint(white, _colour(232, 228, 224))
        paint(white * _disc(centre, 0.26 * wide, 0.26 * wide, 0.15), look.iris)
        paint(white * _disc(centre, 0.12 * wide, 0.12 * wide, 0.2), _colour(14, 12, 12))
        paint(_disc(centre - (unit, unit), 0.9 * unit, 0.9 * unit, 0.5), _colour(250, 250, 250))
        lid = np.clip(_soft(white, 0.8 * unit) * 4 * (1 - white), 0, 1) * (np.mgrid[0:_SIZE, 0:_SIZE][0] < centre[1])
        paint(lid.astype(np.float32), look.hair * 0.5, 0.9)
    for name in ("left_eyebrow", "right_eyebrow"):
        paint(np.clip(_soft(region[name], 0.8 * unit) * look.brows, 0, 1), look.hair * 0.8, 0.9)
    nose = _soft(region["nose"], 2.5 * unit)
    paint(nose * (1 - _soft(region["nose"], 5 * unit)), look.skin * 0.7, 0.9)
    paint(_disc((points[6] + points[4]) / 2, 2.4 * unit, 14 * unit, 1.0), look.skin * 1.14, 0.6)
    paint(_disc(points[4] + (0, 4 * unit), 9 * unit, 3 * unit, 0.9), look.skin * 0.62, 0.6)  # the shadow under it
    for nostril in (79, 309):
        paint(_disc(points[nostril] + (0, 0.6 * unit), 2.2 * unit, 1.2 * unit, 0.6), look.skin * 0.25, 0.9)
    paint(_soft(region["mouth"], 0.7 * unit), look.lips * 0.92)
    paint(_soft(region["lower_lip"], 0.7 * unit), look.lips * 1.12)
    middle, wide = (points[13] + points[14]) / 2, float(np.linalg.norm(points[61] - points[291]))
    paint(_disc(middle, 0.44 * wide, 0.9 * unit, 0.5), look.lips * 0.35, 0.9)  # between the lips
    paint(_disc(points[17] + (0, 3 * unit), 9 * unit, 2.4 * unit, 0.9), look.skin * 0.72, 0.6)
    return np.clip(canvas, 0, 255).astype(np.float32)


def _grainy(picture: Weights, rng: np.random.Generator) -> Pixels:
    """As a camera gives it: with grain in every pixel."""
    grain = rng.normal(0, _GRAIN, picture.shape[:2])[..., None] + rng.normal(0, _GRAIN / 2, picture.shape)
    return np.clip(np.rint(picture + grain), 0, 255).astype(np.uint8)
