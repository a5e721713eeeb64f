"""What `facewitness.drawn` says of photographs in bad light, of screens, after hard edits: its fit saw none of them.

    python runs/photograph/hard.py DATA --drawings FOLDER … [--limit 15]

DATA and FOLDER are those of `fit.py`; at most `--limit` genuine pictures of a source are taken, of any split. Writes
hard.md: of how many it is said that they look drawn, have few colours, are covered by noise or a pattern, or have lost
their shades, and of how many nothing. `drawn.LEAST_FLAT` and `drawn.MUCH_LOST` were set on the first 30 genuine
pictures of four of the tables (celebamask_hq, ffpp_c23, real_photos, utkface) under such edits, and on the drawings.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fit import _found, _jpeg
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from facewitness import drawn
from facewitness.types import Pixels

ANSWERS = {drawn.OUTLINES: "drawn", drawn.FEW_COLOURS: "few colours", drawn.NOISE: "noise", drawn.LOST: "lost"}


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
    "JPEG 10": lambda p: _jpeg(p, 10),
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
    given = parser.parse_args()
    given.apart = []
    faces = _found(given)
    photos = [np.ascontiguousarray(crop) for kind, _, _, crop in faces if kind == "photo"]
    drawings = [crop for kind, _, _, crop in faces if kind == "drawing"]
    rows = [("drawings", Counter(map(drawn.doubt_of, drawings)))]
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
    main()
