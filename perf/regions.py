"""How far the regions agree with human face parsings: python perf/regions.py celebamask_hq.parquet

The table holds portraits (`image`) with CelebAMask-HQ parsings (`parsing`, a PNG of class ids). Each face is found by
the default finder; only faces turned by less than 12° count, as an outline is meant for what can be seen. Printed are
medians over the faces that have the class: intersection over union, the share of the outline that is the class
(precision), and the share of the class that is in the outline (recall). docs/regions.md quotes them.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from facewitness import plugins, regions
from facewitness.geometry import fill
from facewitness.types import Frame, Landmarks

# our region → the classes that show it; both sides together, since some parsings exchange them
CLASSES = {
    "face": ("skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip"),
    "skin": ("skin", "nose"),
    "nose": ("nose",),
    "mouth": ("mouth", "u_lip", "l_lip"),
    "upper_lip": ("u_lip",),
    "lower_lip": ("l_lip",),
    "teeth": ("mouth",),
    "eyes": ("l_eye", "r_eye"),
    "eyebrows": ("l_brow", "r_brow"),
    "ear": ("l_ear", "r_ear"),
    "hair": ("hair",),
    "neck": ("neck",),
}
SMALLEST = {"ear": 400}  # pixels a class must have to count; of ears, only those that hair leaves free
TURNED = 12.0  # degrees


def faces(table: str, limit: int) -> Iterator[tuple[Landmarks, NDArray[np.uint8]]]:
    """Landmarks and parsing of each frontal face, at most `limit`."""
    finder = plugins.get("finders", "facemesh").load()
    rows = pq.read_table(table, columns=["image", "parsing"])
    count = 0
    for image, parsing in zip(rows["image"], rows["parsing"], strict=True):
        if count == limit or not parsing.is_valid:
            continue
        found = finder.find(Frame(np.asarray(Image.open(io.BytesIO(image.as_py())).convert("RGB"))))
        if len(found) == 1 and abs(found[0].quality.yaw or 0.0) < TURNED:
            count += 1
            yield found[0].landmarks, np.asarray(Image.open(io.BytesIO(parsing.as_py())))


def main() -> None:
    """Reads the table, prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", help="a Parquet file with the columns image and parsing")
    parser.add_argument("--limit", type=int, default=250, help="faces to look at (default: 250)")
    options = parser.parse_args()
    scores: dict[str, list[tuple[float, float, float]]] = {name: [] for name in CLASSES}
    for landmarks, parsing in faces(options.table, options.limit):
        for name, classes in CLASSES.items():
            truth = np.isin(parsing, [regions.CELEBAMASK.index(c) for c in classes])
            if truth.sum() < SMALLEST.get(name, 60):
                continue
            outline = fill(regions.polygons(name, landmarks), *truth.shape)
            shared = (truth & outline).sum()
            scores[name].append(
                (shared / (truth | outline).sum(), shared / max(1, outline.sum()), shared / truth.sum())
            )
    print(f"{'region':<10} {'faces':>5} {'IoU':>5} {'precision':>9} {'recall':>6}")
    for name, rows in scores.items():
        overlap, precision, recall = np.median(rows, axis=0) if rows else (np.nan,) * 3
        print(f"{name:<10} {len(rows):>5} {overlap:>5.2f} {precision:>9.2f} {recall:>6.2f}")


if __name__ == "__main__":
    main()
