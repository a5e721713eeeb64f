"""What makes the small ForgeryTalker's masks better without training it: thresholds, the mirror image, the map.

    python runs/forgerytalker/levers.py runs/forgerytalker/small.toml --pack PACK --weights FILE --out DIR

Masks of the recipe's draws of the split `val` and of self-blends, one view each and the mirror image's, are kept in DIR
(masks-*.npz). A threshold is chosen on one half of the people, for the best IoU, and measured on the other half beside
one half (0.5); intervals are by people. *The largest expected IoU* is a threshold of each picture's own: of all masks
that are its likeliest samples, the one whose expected intersection over expected union is the largest, as if samples
were independent (Nowozin, "Optimal Decisions from Probabilistic Models: the Intersection-over-Union Case", CVPR 2014).
Its chances are the mask's, scaled by a logistic fitted on the half that chooses. Writes levers.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from facewitness.apps.script import script
from facewitness.files import write_whole
from facewitness.models.forgerytalker import ForgeryTalker
from facewitness.train import edits
from facewitness.train.forgerytalker import Recipe
from facewitness.train.measuring import half, means, overlap, three

SETS: Mapping[str, Mapping[str, float] | None] = {"seen": None, "self-blends": {"self_blend": 1.0}}
THRESHOLDS = (0.27, 0.32, 0.38, 0.44, 0.5, 0.56, 0.62, 0.68, 0.73)
BATCH = 16


def looked(network: ForgeryTalker, made: edits.Edits) -> dict[str, NDArray[np.float32]]:
    """Logits of every picture, mask and encoder's own map, of it and of its mirror image, turned back."""
    found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in ("dec", "map", "dec_m", "map_m")}
    for begin in range(0, len(made), BATCH):
        pixels = made.images(slice(begin, begin + BATCH))
        for end, view in (("", pixels), ("_m", pixels.flip(3))):
            with torch.inference_mode():
                mask, own = network.one_view(view), network.encoder.map(network.encoder(view))
            for name, logits in (("dec", mask), ("map", own)):
                found[name + end].append((logits.flip(3) if end else logits)[:, 0].numpy())
        print(f"{min(begin + BATCH, len(made))} of {len(made)}", flush=True)
    return {name: np.concatenate(values) for name, values in found.items()}


def measured(logits: NDArray[np.float32], made: edits.Edits, threshold: float, side: int) -> list[dict[str, Any]]:
    """IoU, precision and recall of each forged picture of one half of the people."""
    rows = []
    for i, row in enumerate(made.rows):
        group = f"{row['source']}/{row['group']}"
        if not row["fake"] or half(group) != side:
            continue
        truth = np.asarray(made.masks[i]) / 255
        mask = cv2.resize(logits[i], truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
        values = overlap((mask >= np.log(threshold / (1 - threshold))).astype(np.float32), truth)
        rows.append({"group": group, **dict(zip(("iou", "precision", "recall"), values, strict=True))})
    return rows


def scaled(logits: NDArray[np.float32], made: edits.Edits, side: int) -> tuple[float, float]:
    """Slope and offset of a logistic from a mask's logits to truth, on forged pictures of one half of the people."""
    rows = [i for i, row in enumerate(made.rows) if row["fake"] and half(f"{row['source']}/{row['group']}") == side]
    x = np.stack([cv2.resize(logits[i], (56, 56), interpolation=cv2.INTER_AREA) for i in rows]).astype(np.float64)
    y = np.stack([cv2.resize(np.asarray(made.masks[i]), (56, 56), interpolation=cv2.INTER_AREA) for i in rows]) >= 128

    def loss(line: NDArray[np.float64]) -> float:
        z = line[0] * x + line[1]
        return float(np.mean(np.logaddexp(0, z) - y * z))

    slope, offset = minimize(loss, [1.0, 0.0], method="Nelder-Mead").x
    return float(slope), float(offset)


def likeliest(chances: NDArray[np.float64]) -> float:
    """The chance from which on a mask has the largest expected IoU.

    Args:
        chances: Of each sample, in [0, 1].
    """
    ordered = np.sort(chances, axis=None)[::-1]
    both, count = np.cumsum(ordered), np.arange(1, ordered.size + 1)
    return float(ordered[np.argmax(both / (count + ordered.sum() - both))])


def own_thresholds(logits: NDArray[np.float32], line: tuple[float, float]) -> NDArray[np.float32]:
    """Logits whose zero is each picture's own threshold."""
    z = line[0] * logits.astype(np.float64) + line[1]
    least = np.array([likeliest(1 / (1 + np.exp(-each))) for each in z])
    return np.asarray(z - np.log(least / (1 - least))[:, None, None] + 1e-6, np.float32)


def table(found: Mapping[str, tuple[Mapping[str, NDArray[np.float32]], edits.Edits]]) -> str:
    """The page."""
    lines = ["| edits | masks of | from | IoU | precision | recall | pictures |", "|---|---|---|---|---|---|---|"]
    for name, (kept, made) in found.items():
        large = {k: np.stack([cv2.resize(v, (112, 112)) for v in values]) for k, values in kept.items()}
        ways: dict[str, NDArray[np.float32]] = {
            "one view": large["dec"], "both views": (large["dec"] + large["dec_m"]) / 2,
            "the encoder's map": large["map"], "the map, both views": (large["map"] + large["map_m"]) / 2,
            "mask and map, both views": (large["dec"] + large["dec_m"] + large["map"] + large["map_m"]) / 4,
        }  # fmt: skip
        for way, logits in ways.items():
            scored = {t: np.nanmean([r["iou"] for r in measured(logits, made, t, 0)]) for t in THRESHOLDS}
            for threshold in dict.fromkeys((0.5, max(scored, key=lambda t: scored[t]))):
                rows = measured(logits, made, threshold, 1)
                values = means(rows, ("iou", "precision", "recall"))
                cells = " | ".join(three(values[k]) for k in ("iou", "precision", "recall"))
                lines.append(f"| {name} | {way} | {threshold:g} | {cells} | {len(rows)} |")
        for way in ("both views", "mask and map, both views"):
            logits = own_thresholds(ways[way], scaled(ways[way], made, 0))
            rows = measured(logits, made, 0.5, 1)
            values = means(rows, ("iou", "precision", "recall"))
            cells = " | ".join(three(values[k]) for k in ("iou", "precision", "recall"))
            lines.append(f"| {name} | {way} | the largest expected IoU | {cells} | {len(rows)} |")
        pairs = zip(measured(ways["both views"], made, 0.5, 1), measured(ways["one view"], made, 0.5, 1), strict=True)
        keys = ("iou", "precision", "recall")
        gained = means([{"group": a["group"], **{k: a[k] - b[k] for k in keys}} for a, b in pairs], keys)
        cells = " | ".join(three(gained[k]) for k in keys)
        lines.append(f"| {name} | both views less one | 0.5 | {cells} | {len(rows)} |")
    return "\n".join(lines) + "\n"


def main(given: Sequence[str] | None = None) -> None:
    """Look, or take what is kept; measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--draws", type=Path, help="where edits are kept (in --out)")
    parser.add_argument("--out", type=Path, required=True)
    words = parser.parse_args(given)
    recipe = Recipe.read(words.recipe)
    assert recipe.draws is not None
    network = ForgeryTalker.load(words.weights)
    words.out.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, families in SETS.items():
        made = edits.drawn(recipe.draws, words.pack, words.draws or words.out / "edits", "val", families)
        file = words.out / f"masks-{name}-{str(network.sha256)[:8]}.npz"
        if not file.exists():
            np.savez(file, **looked(network, made))  # type: ignore[arg-type]
        with np.load(file, allow_pickle=False) as kept:
            found[name] = (dict(kept), made)
    page = table(found)
    write_whole(words.out / "levers.md", page.encode())
    print(page)


if __name__ == "__main__":
    script(main)
