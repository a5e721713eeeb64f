"""What a question points at: places on a picture, the faces they are on, and the regions there.

    regions_at(face, Place(at, None, (40, 80, 70, 95)))  →  ("mouth",)

A place is a region, a click, a box or a mask (`types.Place`). `dialogue` keeps whose face is meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, regions
from facewitness.errors import expect
from facewitness.types import Box, PersonReport, Place

_FEW = 0.25  # of a place: a region that holds a smaller share of it is not what is pointed at …
_MOST, _LITTLE = 0.75, 0.03  # … but one that lies in it with most of its own, and is more than a speck of it, is


def regions_at(face: PersonReport, place: Place) -> tuple[str, ...]:
    """The regions of a face that a place points at: the one it names, else the smallest that hold most of it.

    A click is a place of a pixel; of a larger one each region counts that holds a quarter of it, unless a part of that
    region does, too, and each of MARE's but the skin that lies in it, as a mouth does in a box around mouth and chin;
    they come first. A place around most of the face is about the face. Without landmarks it is the face as a whole.

    Args:
        face: One person of the report.
        place: Where the question points.
    """
    if place.region is not None:
        return (place.region,)
    landmarks = face.face.landmarks
    if landmarks is None:
        return ("face",)
    left, top, right, bottom = place.box
    side = 24
    weights = np.ones((side, side), np.float32)
    if place.mask is not None:
        x1, y1, x2, y2 = place.mask.box
        left, top, right, bottom = x1, y1, x2, y2
        rows = np.arange(side) * place.mask.values.shape[0] // side
        columns = np.arange(side) * place.mask.values.shape[1] // side
        weights = place.mask.values[np.ix_(rows, columns)]
    if not weights.any():
        return ()
    corner = np.array([left, top], np.float32)
    scale = np.array([side / (right - left), side / (bottom - top)], np.float32)
    held: dict[str, float] = {}
    inside: dict[str, float] = {}
    for name in regions.REGIONS:
        if regions.within(name, "beard"):
            continue  # whoever points there means chin, cheek or lip
        rings = [(ring[:, :2] - corner) * scale for ring in regions.polygons(name, landmarks)]
        if rings:
            held[name] = float(weights[geometry.fill(rings, side, side)].sum() / weights.sum())
            area = sum(_area(ring) for ring in rings)
            inside[name] = held[name] * float(weights.sum()) / area if area > 0 else 0.0
    if inside.get("face", 0.0) < 0.5:
        whole = [n for n in regions.MARE if n not in ("skin", "beard", "hairline", "ear")
                 and inside.get(n, 0.0) >= _MOST and held[n] >= _LITTLE]  # fmt: skip
        whole = [n for n in whole if not any(n != o and regions.within(n, o) for o in whole)]  # a mouth, not its teeth
        if whole:
            return tuple(sorted(whole, key=lambda name: -held[name]))[:3]
    there = [name for name, share in held.items() if share >= _FEW]
    finest = [name for name in there if not any(name != other and regions.within(other, name) for other in there)]
    return tuple(sorted(finest, key=lambda name: -held[name]))[:3]


def _area(ring: NDArray[Any]) -> float:
    """Of a polygon (n, 2), in its own unit squared."""
    x, y = ring[:, 0], ring[:, 1]
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def shared(face: Box, place: Box) -> float:
    """The share of a place that lies on a face's box, in [0, 1].

    Args:
        face: The face's box, pixels.
        place: The place's box, pixels of the same frame.
    """
    return geometry.intersection(face, place) / ((place[2] - place[0]) * (place[3] - place[1]))


def from_to(box: Box) -> str:
    """A box in words: its upper left and lower right corner.

    Args:
        box: Pixels.
    """
    return f"{box[0]:.0f}, {box[1]:.0f} to {box[2]:.0f}, {box[3]:.0f}"


def distinct(places: Sequence[Place]) -> tuple[Place, ...]:
    """Places without those that were pointed at before, in their order.

    Args:
        places: Of a question.

    Raises:
        InputError: They are no list of Places.
    """
    distinct: dict[tuple[Any, ...], Place] = {}
    expect("Question.places", places, Sequence, "a list of Places")
    for place in places:
        expect("Question.places", place, Place, "Places", "facewitness.Place makes one.")
        marks = None if place.mask is None else id(place.mask)
        distinct.setdefault((place.at, place.region, place.box, marks), place)
    return tuple(distinct.values())


def in_pixels(place: Place) -> str:
    """What was pointed at, in the picture's pixels; a region by its name.

    Args:
        place: Of a question.
    """
    x1, y1, x2, y2 = place.box
    if place.region is not None:
        return f"the {regions.title(place.region)}"
    if place.mask is not None:
        return f"the mask around {from_to(place.box)}"
    if x2 - x1 <= 1 and y2 - y1 <= 1:
        return f"the point {(x1 + x2) // 2:.0f}, {(y1 + y2) // 2:.0f}"
    return f"the box {from_to(place.box)}"


def placed(face: PersonReport, names: Sequence[str]) -> tuple[Place, ...]:
    """Regions as places on the face's frame, as far as they can be placed; none without a mesh.

    Args:
        face: One person of the report.
        names: Of regions of the tree.
    """
    landmarks, at = face.face.landmarks, face.face.at
    if landmarks is None:
        return ()
    boxes = [
        (
            name,
            geometry.clip(
                geometry.bounds(np.concatenate(list(regions.polygons(name, landmarks)))), at.width, at.height
            ),
        )
        for name in names
    ]
    return tuple(Place(at, name, box) for name, box in boxes if box is not None)
