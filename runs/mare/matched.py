"""How well two models place the same boxes: of regions that both box and that people boxed, too.

    python runs/mare/matched.py BEFORE/predictions AFTER/predictions

Both runs are of `evaluate.py`, about the same questions. The boxes score of a reply falls with every region that is
named in vain and rises with every one that is left out rightly; here only where a box lies counts, which is what a
model that sees the picture should know. Prints mean overlaps and their paired difference with 95 % intervals over
groups, and each region's.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from facewitness import geometry
from facewitness.apps.script import script
from facewitness.bench import measures, predictions, speakers
from facewitness.errors import InputError
from facewitness.grammars import mare
from facewitness.train.measuring import three
from facewitness.types import Box


def boxes_of(table: pa.Table) -> dict[tuple[str, str], dict[str, Box]]:
    """(file, question) → the boxes of a reply by region."""
    out = {}
    for row in table.select(["file", "question", "raw"]).to_pylist():
        found = mare.parse(row["raw"] or "").findings
        out[row["file"], row["question"]] = {f.region: f.box for f in found if f.box is not None and f.region}
    return out


def pairs(before: pa.Table, after: pa.Table) -> list[tuple[str, str, float, float]]:
    """Group, region and both overlaps of each region that people and both replies box.

    Raises:
        InputError: The runs are not about the same questions.
    """
    first, second = boxes_of(before), boxes_of(after)
    if set(first) != set(second):
        raise InputError(f"matched: expected runs about the same questions, got {len(set(first) ^ set(second))} others")
    out = []
    rows = before.select(["file", "question", "group"]).to_pylist()
    for row, truth in zip(rows, speakers.truths(before), strict=True):
        key = (row["file"], row["question"])
        for name, box in (truth.boxes or {}).items():
            if name in first[key] and name in second[key]:
                out.append(
                    (row["group"], name, geometry.iou(first[key][name], box), geometry.iou(second[key][name], box))
                )
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    given = parser.parse_args(arguments)
    found = pairs(*(predictions.read(run)[0] for run in (given.before, given.after)))
    if not found:
        raise InputError("matched: expected boxes that both runs and people have, got none")
    a, b = (np.array([each[i] for each in found]) for i in (2, 3))
    ones = np.ones(len(found))
    values = measures.ratios({"before": (a, ones), "after": (b, ones), "difference": (b - a, ones)},
                             [each[0] for each in found])  # fmt: skip
    print(f"{len(found)} boxes: "
          + ", ".join(f"{name} {three((v.value, v.low, v.high))}" for name, v in values.items()))  # fmt: skip
    regions: dict[str, list[Any]] = defaultdict(list)
    for _, name, *both in found:
        regions[name].append(both)
    for name, both in sorted(regions.items()):
        print(f"  {name:14s} {len(both):4d}  {np.mean([x for x, _ in both]):.3f}  {np.mean([y for _, y in both]):.3f}")


if __name__ == "__main__":
    script(main)
