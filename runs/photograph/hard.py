"""What `facewitness.drawn` says of photographs in bad light, of screens, after hard edits: its fit saw none of them.

    python runs/photograph/hard.py DATA --drawings FOLDER … [--limit 15] [--faces FILE]

DATA, FOLDER and FILE are those of `fit.py`; at most `--limit` genuine pictures of a source are taken, of any split.
Writes hard.md: of how many it is said that they look drawn, have few colours, are covered by noise or a pattern, have
lost their shades or consist of a JPEG's squares, and of how many nothing. `drawn.LEAST_FLAT` and `drawn.MUCH_LOST` were
set on the first 30 genuine pictures of four of the tables (celebamask_hq, ffpp_c23, real_photos, utkface) under such
edits, and on the drawings; `drawn.SQUARED` and `drawn.COVERED` on twelve pictures of every source, and on the drawings.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fit import _found, _jpeg, _kept
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from facewitness import drawn
from facewitness.apps.script import script
from facewitness.types import Pixels

ANSWERS = {
    drawn.OUTLINES: "drawn",
    drawn.FEW_COLOURS: "few colours",
    drawn.NOISE: "noise",
    drawn.LOST: "lost",
    drawn.BLOCKS: "squares",
}


def _by(edit: Callable[[Image.Image], Image.Image]) -> Callable[[Pixels], Pixels]:
    return lambda pixels: np.asarray(edit(Image.fromarray(pixels)))


def _night(pixels: Pixels) -> Pixels:
    """A fifth of the light, with the noise of its photons, stretched to the whole range again."""
    light = np.random.default_rng(0).poisson(pixels * 0.22) / 1.2
    return np.asarray(ImageOps.autocontrast(Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))))


def _screen(pixels: Pixels) -> Pixels:
    """The stripes that a camera sees on a screen."""
    stripes = 1 + 0.25 * np.sin(np.arange(pixels.shape[1]) * 2.2)
    return np.clip(pixels * stripes[None, :, None], 0, 255).astype(np.uint8)


def _masked(pixels: Pixels) -> Pixels:
    """The mouth and the chin under a piece of cloth of one colour."""
    image, (height, width) = Image.fromarray(pixels), pixels.shape[:2]
    corners = ((0.15, 0.52), (0.5, 0.46), (0.85, 0.52), (0.82, 0.8), (0.5, 0.95), (0.18, 0.8))
    colours = ((70, 150, 160), (20, 20, 20), (235, 235, 240), (180, 40, 40), (60, 90, 200))
    colour = colours[int(pixels[0, 0].sum()) % len(colours)]
    ImageDraw.Draw(image).polygon([(x * width, y * height) for x, y in corners], fill=colour)
    return np.asarray(image)


def _enlarged(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((2 * pixels.shape[1], 2 * pixels.shape[0])))


EDITS: dict[str, Callable[[Pixels], Pixels]] = {
    "as it is": lambda p: p,
    "night, brightened": _night,
    "night, brightened, JPEG 60": lambda p: _jpeg(_night(p), 60),
    "stripes of a screen": _screen,
    "2.2 times as bright": _by(lambda i: ImageEnhance.Brightness(i).enhance(2.2)),
    "contrast twice": _by(lambda i: ImageEnhance.Contrast(i).enhance(2)),
    "contrast three times": _by(lambda i: ImageEnhance.Contrast(i).enhance(3)),
    "equalised": _by(ImageOps.equalize),
    "sharpened hard": _by(lambda i: i.filter(ImageFilter.UnsharpMask(3, 300, 0))),
    "JPEG 20": lambda p: _jpeg(p, 20),
    "JPEG 10": lambda p: _jpeg(p, 10),
    "twice as large, JPEG 10": lambda p: _jpeg(_enlarged(p), 10),
    "JPEG 10, a third smaller": lambda p: np.asarray(ImageOps.scale(Image.fromarray(_jpeg(p, 10)), 0.67)),
    "JPEG 5": lambda p: _jpeg(p, 5),
    "mask of one colour": _masked,
    "mask of one colour, JPEG 80": lambda p: _jpeg(_masked(p), 80),
    "median of 7 pixels": _by(lambda i: i.filter(ImageFilter.MedianFilter(7))),
    "GIF of 64 colours": _by(lambda i: i.quantize(64).convert("RGB")),
    "black and white dots": _by(lambda i: i.convert("1").convert("RGB")),
}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--drawings", type=Path, nargs="+", required=True)
    parser.add_argument("--limit", type=int, default=15)
    parser.add_argument("--faces", type=Path, help="the .npz of fit.py, instead of finding the faces again")
    given = parser.parse_args()
    given.apart = []
    faces = _kept(given.faces) if given.faces else _found(given)
    taken: Counter[str] = Counter()
    photos = []
    for kind, source, _, crop in faces:
        if kind == "photo" and taken[source] < given.limit:
            taken[source] += 1
            photos.append(np.ascontiguousarray(crop))
    drawings = [np.ascontiguousarray(crop) for kind, _, _, crop in faces if kind == "drawing"]
    rows = [("drawings", Counter(map(drawn.doubt_of, drawings)))]
    for quality in (80, 10):
        rows.append((f"drawings, JPEG {quality}", Counter(drawn.doubt_of(_jpeg(crop, quality)) for crop in drawings)))
    for name, edit in EDITS.items():
        rows.append((f"photographs, {name}", Counter(drawn.doubt_of(edit(crop)) for crop in photos)))
    lines = [
        "# Photographs in bad light, of screens and after hard edits",
        "",
        "Written by `runs/photograph/hard.py`.",
        "",
    ]
    lines += [f"| | faces | {' | '.join(ANSWERS.values())} | nothing |", "|---|---|" + "---|" * (len(ANSWERS) + 1)]
    for name, counted in rows:
        shares = [f"{counted[said] / max(1, counted.total()):.0%}" for said in (*ANSWERS, "")]
        lines.append(f"| {name} | {counted.total()} | {' | '.join(shares)} |")
    (Path(__file__).parent / "hard.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    script(main)
