"""Draws docs/concepts.jpg, every level of the tree of facial concepts on a photograph: python docs/draw_concepts.py

The photograph is scikit-image's astronaut; the face is found by the default finder. Each panel holds the concepts of
one depth of the tree, the last one all 112 atomic concepts. Both sides of a concept have one colour.
"""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from skimage.data import astronaut

from facewitness import plugins, regions
from facewitness.geometry import align, crop, transform
from facewitness.types import Frame, Landmarks, Pixels

SIDE = 560  # pixels of a panel


def depth(name: str) -> int:
    """How many areas a concept is part of; 0 for the face."""
    parent = regions.REGIONS[name].parent
    return 0 if parent is None else 1 + depth(parent)


def panels() -> list[tuple[str, list[str]]]:
    """Heading and concepts of each panel."""
    deepest = max(map(depth, regions.REGIONS))
    levels = [[name for name in regions.REGIONS if depth(name) == level] for level in range(1, deepest + 1)]
    named = [(f"level {number}: {len(names)} concepts", names) for number, names in enumerate(levels, 1)]
    return [*named, (f"the {len(regions.ATOMIC)} atomic concepts", list(regions.ATOMIC))]


def face() -> tuple[Pixels, Landmarks]:
    """The photograph's face, cropped, and its mesh."""
    pixels = astronaut()
    found = plugins.get("finders", "facemesh").load().find(Frame(pixels))[0]
    affine = align(found.landmarks, SIDE, 1.7)
    return crop(pixels, affine, SIDE), transform(affine, found.landmarks[:, :2])


def drawn(pixels: Pixels, landmarks: Landmarks, heading: str, names: list[str]) -> Image.Image:
    """One panel: outlines over the photograph, larger ones below."""
    sides = [n.removeprefix("left_").removeprefix("right_") for n in names]
    order = list(dict.fromkeys(sides))
    image = Image.fromarray((pixels * 0.6 + 100).astype(np.uint8))
    over = ImageDraw.Draw(image, "RGBA")

    def size(name: str) -> float:
        return float(np.prod(np.ptp(np.concatenate(regions.polygons(name, landmarks)), axis=0)))

    for name in sorted(names, key=size, reverse=True):
        hue = order.index(name.removeprefix("left_").removeprefix("right_")) * 0.618 % 1
        rgb = tuple(round(255 * v) for v in colorsys.hls_to_rgb(hue, 0.45, 0.9))
        for ring in regions.polygons(name, landmarks):
            over.polygon([tuple(p) for p in ring.tolist()], fill=(*rgb, 90), outline=(*rgb, 255))
    over.rectangle((0, 0, SIDE, 22), fill=(255, 255, 255, 220))
    over.text((8, 5), heading, fill=(20, 20, 20, 255))
    return image


def main() -> None:
    """Draws all panels into one picture."""
    pixels, landmarks = face()
    each = panels()
    columns = 3
    rows = -(-len(each) // columns)
    sheet = Image.new("RGB", (columns * SIDE, rows * SIDE), "white")
    for number, (heading, names) in enumerate(each):
        sheet.paste(drawn(pixels, landmarks, heading, names), (number % columns * SIDE, number // columns * SIDE))
    sheet.save(Path(__file__).parent / "concepts.jpg", quality=82)


if __name__ == "__main__":
    main()
