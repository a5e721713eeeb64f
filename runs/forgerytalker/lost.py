"""What the small ForgeryTalker's IoU is lost to: the kind of edit, its size, whether it is seen at all, the threshold.

    python runs/forgerytalker/lost.py runs/forgerytalker/small.toml --pack PACK --weights FILE --kept DIR --out lost.md

DIR is what `levers.py` kept. As there, everything is chosen on one half of the people and measured on the other. "Seen"
is a picture of which mask and truth share at least a tenth. "The best threshold of each picture" looks at the truth: no
choice of a threshold can do better. "Of at least 0.8 precision" is the way and threshold with the best IoU of those
that have that precision on the half where it is chosen.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facewitness.apps.script import script
from facewitness.files import write_whole
from facewitness.models.forgerytalker import ForgeryTalker
from facewitness.train import edits
from facewitness.train.forgerytalker import Recipe
from facewitness.train.measuring import half, means, three

_BESIDE = importlib.util.spec_from_file_location("levers", Path(__file__).with_name("levers.py"))
assert _BESIDE is not None and _BESIDE.loader is not None
levers: Any = importlib.util.module_from_spec(_BESIDE)
sys.modules[_BESIDE.name] = levers
_BESIDE.loader.exec_module(levers)

KEYS = ("iou", "precision", "recall")
PRECISE = 0.8
SEEN = 0.1


def rows_of(logits: np.ndarray, made: edits.Edits, threshold: float, side: int) -> list[dict[str, Any]]:
    """`levers.measured`, with each edit's family and size."""
    rows = levers.measured(logits, made, threshold, side)
    facts = [(i, row) for i, row in enumerate(made.rows)
             if row["fake"] and half(f"{row['source']}/{row['group']}") == side]  # fmt: skip
    for row, (i, about) in zip(rows, facts, strict=True):
        row |= {"family": about["family"], "size": float((np.asarray(made.masks[i]) >= 128).mean())}
    return rows


def line(name: str, rows: Sequence[dict[str, Any]]) -> str:
    """A row of the table."""
    values = means(rows, KEYS)
    return f"| {name} | {len(rows)} | {' | '.join(three(values[k]) for k in KEYS)} |"


def page(kept: dict[str, np.ndarray], made: edits.Edits) -> str:
    """The tables."""
    large = {k: np.stack([cv2.resize(v, (112, 112)) for v in values]) for k, values in kept.items()}
    ways = {
        "mask, both views": (large["dec"] + large["dec_m"]) / 2,
        "map, both views": (large["map"] + large["map_m"]) / 2,
        "mask and map, both views": (large["dec"] + large["dec_m"] + large["map"] + large["map_m"]) / 4,
    }
    now = ways["mask, both views"]
    rows = rows_of(now, made, 0.5, 1)
    lines = ["| masks as the witness has them | pictures | IoU | precision | recall |", "|---|---|---|---|---|"]
    lines.append(line("all", rows))
    lines += [line(name, [r for r in rows if r["family"] == name]) for name in sorted({r["family"] for r in rows})]
    edges = [0.0, *np.quantile([r["size"] for r in rows], (1 / 3, 2 / 3)).tolist(), 1.0]
    for low, high in pairwise(edges):
        part = [r for r in rows if low < r["size"] <= high]
        lines.append(line(f"{100 * low:.1f} to {100 * high:.1f} % of the crop", part))
    lines.append(line("seen", [r for r in rows if r["iou"] >= SEEN]))
    lines.append(line("not seen", [r for r in rows if r["iou"] < SEEN]))
    tried = {(way, t): rows_of(logits, made, t, 1) for way, logits in ways.items() for t in levers.THRESHOLDS}
    best = [max((tried["mask, both views", t][i] for t in levers.THRESHOLDS), key=lambda r: float(r["iou"]))
            for i in range(len(rows))]  # fmt: skip
    lines.append(line("the best threshold of each picture", best))
    chosen = {key: means(rows_of(ways[key[0]], made, key[1], 0), KEYS) for key in tried}
    precise = [key for key, v in chosen.items() if (v["precision"][0] or 0) >= PRECISE]
    for name, among in (("the best IoU", list(chosen)), (f"of at least {PRECISE:g} precision", precise)):
        way, t = max(among, key=lambda key: chosen[key]["iou"][0] or 0)
        lines.append(line(f"{name}: {way}, from {t:g}", tried[way, t]))
        less = [
            {"group": a["group"], **{k: a[k] - b[k] for k in KEYS}} for a, b in zip(tried[way, t], rows, strict=True)
        ]
        lines.append(line("… less the witness's", less))
    return "\n".join(lines) + "\n"


def main(given: Sequence[str] | None = None) -> None:
    """Read what is kept; measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--draws", type=Path, help="where edits are kept (in --kept)")
    parser.add_argument("--kept", type=Path, required=True, help="--out of levers.py")
    parser.add_argument("--out", type=Path, required=True)
    words = parser.parse_args(given)
    recipe = Recipe.read(words.recipe)
    assert recipe.draws is not None
    made = edits.drawn(recipe.draws, words.pack, words.draws or words.kept / "edits", "val")
    digest = str(ForgeryTalker.load(words.weights).sha256)[:8]
    with np.load(words.kept / f"masks-seen-{digest}.npz", allow_pickle=False) as kept:
        text = page(dict(kept), made)
    write_whole(words.out, text.encode())
    print(text)


if __name__ == "__main__":
    script(main)
