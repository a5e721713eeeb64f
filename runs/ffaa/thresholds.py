"""The quantiles of genuine faces by which `facewitness.portrait` gives words to numbers.

python runs/ffaa/thresholds.py PACK [--count 600]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from facewitness import portrait
from facewitness.apps.script import script
from facewitness.builders.pack import Pack

NAMES = ("light", "side", "contrast", "colour", "sharpness", "noise", "blocks", "turn", "mouth", "pixels", "seam")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("--count", type=int, default=600)
    given = parser.parse_args()
    pack = Pack(given.pack)
    rows = [
        i
        for i, row in enumerate(pack.rows)
        if row["split"] == "train" and row["label"] == "real" and pack.landmarks(i) is not None
    ]
    drawn = np.random.default_rng(0).permutation(rows)[: given.count]
    seen = [portrait.measure(pack.pixels(i), pack.landmarks(i)) for i in drawn]
    for name in NAMES:
        values = np.quantile([getattr(one, name) for one in seen], (0.02, 0.1, 0.5, 0.9, 0.98))
        print(f"{name:<10}", " ".join(f"{value:8.3f}" for value in values))


if __name__ == "__main__":
    script(main)
