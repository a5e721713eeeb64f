"""What formats draw of a face: the face cut out of its frame, and closed lines around what a mask marks."""

from __future__ import annotations

import numpy as np
from PIL import Image

from facewitness.types import Clip, Mask, PersonReport, Pixels

SAMPLES = 96  # an outline is traced on a mask of this many samples along its longer side

Sample = tuple[int, int]  # row, column
Ring = list[tuple[float, float]]  # x, y in pixels of the picture; the last joins the first


def close_up(person: PersonReport, clip: Clip) -> tuple[Pixels, tuple[int, int, int, int]] | None:
    """The face with a quarter of its size around it, and where that lies, in whole pixels; None outside the picture."""
    frame = clip.at(person.face.at)
    x1, y1, x2, y2 = person.face.box
    margin = 0.25 * max(x2 - x1, y2 - y1)
    left, top = max(0, int(x1 - margin)), max(0, int(y1 - margin))
    right, bottom = min(frame.width, int(x2 + margin) + 1), min(frame.height, int(y2 + margin) + 1)
    if left >= right or top >= bottom:
        return None
    return np.ascontiguousarray(frame.pixels[top:bottom, left:right]), (left, top, right, bottom)


def rings(mask: Mask) -> list[Ring]:
    """The lines at half of a mask's highest value, closed, in the picture's coordinates; none for an empty mask.

    Marching squares (Lorensen and Cline's marching cubes in two dimensions): the line crosses the sides of the squares
    between samples, where linear interpolation puts it. Walked clockwise, a square's border leaves the inside at some
    sides and enters it at others; each leaving side is joined to the entering side before it. What leaves one square
    enters its neighbour, so the joints close into rings.
    """
    highest = float(mask.values.max())
    if highest <= 0.0:
        return []
    height, width = mask.values.shape
    grow = SAMPLES / max(height, width)
    size = (max(1, round(width * grow)), max(1, round(height * grow)))
    fine = np.asarray(Image.fromarray(mask.values).resize(size, Image.Resampling.BICUBIC))
    # The border of zeros closes a line that runs along the mask's edge.
    values = np.pad(np.clip(fine / highest, 0.0, 1.0), 1) - 0.5
    inside = values >= 0.0
    corners = inside[:-1, :-1], inside[:-1, 1:], inside[1:, 1:], inside[1:, :-1]  # clockwise from the upper left
    mixed = np.logical_or.reduce(corners) & ~np.logical_and.reduce(corners)

    joined: dict[tuple[Sample, Sample], tuple[Sample, Sample]] = {}  # a side is (its inner sample, its outer sample)
    for y, x in np.argwhere(mixed).tolist():
        square = [(y, x), (y, x + 1), (y + 1, x + 1), (y + 1, x)]
        sides = [(a, b) for a, b in zip(square, [*square[1:], square[0]], strict=True) if inside[a] != inside[b]]
        for index, (a, b) in enumerate(sides):
            if inside[a]:
                outer, inner = sides[index - 1]
                joined[a, b] = (inner, outer)

    x1, y1, x2, y2 = mask.box
    outlines = []
    while joined:
        ring: Ring = []
        side, following = joined.popitem()
        while True:
            a, b = side
            share = values[a] / (values[a] - values[b])
            row, column = (a[i] + share * (b[i] - a[i]) - 0.5 for i in (0, 1))  # minus the border, plus half a sample
            ring.append((x1 + column * (x2 - x1) / size[0], y1 + row * (y2 - y1) / size[1]))
            if following not in joined:
                break
            side, following = following, joined.pop(following)
        if len(ring) >= 8:  # fewer is a speck
            outlines.append(ring)
    return outlines
