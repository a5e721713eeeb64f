"""Draws docs/concepts.png, every level of the tree of facial concepts on the average face: python docs/draw_concepts.py

Each panel holds the concepts of one depth of the tree, the last one all 112 atomic concepts. Both sides of a concept
have one colour. Nobody's photograph is needed: the face is `regions.average_landmarks`.
"""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from facewitness import regions
from facewitness.types import Landmarks

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


def face() -> Landmarks:
    """The average face on a panel, with room for hair and neck around it: (468, 2) in pixels."""
    points = regions.average_landmarks()[:, :2]
    return ((points - (0.5, 0.5)) * SIDE / 1.7 + (SIDE / 2, SIDE / 2 + 20)).astype(np.float32)


def drawn(landmarks: Landmarks, heading: str, names: list[str]) -> Image.Image:
    """One panel: the concepts as areas over the lines of the face, larger ones below."""
    sides = [n.removeprefix("left_").removeprefix("right_") for n in names]
    order = list(dict.fromkeys(sides))
    image = Image.new("RGB", (SIDE, SIDE), (246, 245, 241))
    over = ImageDraw.Draw(image, "RGBA")
    for name in ("face", "left_eyebrow", "right_eyebrow", "left_eye", "right_eye", "nose", "mouth"):
        for ring in regions.polygons(name, landmarks):
            over.polygon([tuple(p) for p in ring.tolist()], outline=(120, 120, 120, 255))

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
    landmarks = face()
    each = panels()
    columns = 3
    rows = -(-len(each) // columns)
    sheet = Image.new("RGB", (columns * SIDE, rows * SIDE), "white")
    for number, (heading, names) in enumerate(each):
        sheet.paste(drawn(landmarks, heading, names), (number % columns * SIDE, number // columns * SIDE))
    sheet.quantize(128).save(Path(__file__).parent / "concepts.png", optimize=True)


if __name__ == "__main__":
    main()
