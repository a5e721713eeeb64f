"""Counts verdicts on photographs as they are and after edits of tone and sharpness that anybody makes.

    python runs/photograph/tone.py DATA [--limit 36] [--out FILE]

DATA holds tables of genuine and fake pictures (Parquet, as `datasets.parquet` reads them); `--limit` takes so many of
each source and label, the same ones each time. Pictures are shrunk to 512 px first. Writes tone.md: of each edit how
many are called fake, have no sign of forgery, or are undecided. Such an edit says nothing of a forgery, so what is
expected after it is what is expected without: at most 5 % of genuine pictures called fake, 10 % of fakes no sign.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from fit import _jpeg
from PIL import Image, ImageFilter

from facewitness import media
from facewitness.apps.script import script
from facewitness.forge import routine
from facewitness.pipeline import Analyzer
from facewitness.types import Pixels

SIDE = 512


def _tinted(
    pixels: Pixels, factors: tuple[float, float, float], lift: tuple[float, float, float] = (0, 0, 0)
) -> Pixels:
    grey = routine.monochrome(pixels).astype(np.float32)
    return np.clip(grey * np.array(factors) + np.array(lift), 0, 255).astype(np.uint8)


def _sharpened(pixels: Pixels, radius: float, percent: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.UnsharpMask(radius, percent, 0)))


EDITS: dict[str, Callable[[Pixels], Pixels]] = {
    "as it is": lambda p: p,
    "black and white": routine.monochrome,
    "blue toned": lambda p: _tinted(p, (0.65, 0.9, 1.15)),
    "sepia, JPEG 90": lambda p: _jpeg(_tinted(p, (1.07, 0.94, 0.75), (10, 5, 0)), 90),
    "denoised": routine.non_local_means,
    "skin smoothed": lambda p: routine.bilateral(routine.bilateral(p, 35)),
    "sharpened": lambda p: _sharpened(p, 2, 180),
    "sharpened a little": lambda p: _sharpened(p, 1, 100),
}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, default=36)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "tone.md")
    given = parser.parse_args()
    analyzer = Analyzer()
    counted: dict[tuple[str, str], Counter[str]] = {}
    for label, pixels in _pictures(given.data, given.limit):
        for name, edit in EDITS.items():
            report = analyzer.analyze(np.ascontiguousarray(edit(pixels)))
            said = report.verdict.label if report.verdict else report.status
            counted.setdefault((label, name), Counter())[said] += 1
    lines = ["# Tone and sharpness\n", f"Written by `runs/photograph/tone.py --limit {given.limit}`.\n"]
    for label in ("real", "fake"):
        what = "genuine" if label == "real" else "fake"
        lines += [
            f"| {what} pictures | number | called fake | no sign | undecided | no face |",
            "|---|---|---|---|---|---|",
        ]
        for name in EDITS:
            of = counted.get((label, name), Counter())
            shares = [f"{of[said] / max(1, of.total()):.0%}" for said in ("fake", "real", "inconclusive", "no_face")]
            lines.append(f"| {name} | {of.total()} | {' | '.join(shares)} |")
        lines.append("")
    given.out.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _pictures(data: Path, limit: int) -> Iterator[tuple[str, Pixels]]:
    dice = np.random.default_rng(0)
    for path in sorted(data.glob("*.parquet")):
        table = pq.read_table(path, columns=["image", "label", "source"])
        columns = (table[column].to_pylist() for column in ("source", "label"))
        names = np.array([" ".join(each) for each in zip(*columns, strict=True)])
        for name in sorted(set(names)):
            for index in np.sort(dice.permutation(np.flatnonzero(names == name))[:limit]):
                pixels = media.read(table["image"][int(index)].as_py()).frame.pixels
                image = Image.fromarray(pixels)
                image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=None)
                yield table["label"][int(index)].as_py(), np.asarray(image)


if __name__ == "__main__":
    script(main)
