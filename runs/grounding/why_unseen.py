"""Is the unseen forger missed because a threshold is wrong, or because the weights do not see it?

    python runs/grounding/why_unseen.py --pack PACK --draws DRAWS --bump FOLDER --out why_unseen.json

FOLDER holds the faces that `unseen.py --draws FOLDER` made. Of them, and of as many edits of the recipe's own families
(people who chose nothing), FiFa's chances and map are looked at without any threshold: how well they rank a changed
region above an unchanged one and a changed pixel above an unchanged one of the same face (AUC, 0.5 is chance), and what
the best threshold could give, chosen on the truth itself. What is near chance no calibration mends.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from facewitness.apps.script import script
from facewitness.files import write_whole
from facewitness.models.fifa import FiFa
from facewitness.train import edits
from facewitness.train.fifa import Asked, Recipe
from facewitness.train.measuring import HALF, half, means

RUNS = Path(__file__).parent.parent
BATCH = 12
TOUCHED = 0.1  # of a region in the mask: with less nothing was changed in it
LEVELS = np.linspace(0.02, 0.98, 49)


def looked(network: FiFa, data: Asked, rows: list[int], least: float) -> list[dict[str, Any]]:
    """One row a forged picture: what its numbers rank, and what the best threshold of its own would give."""
    found = []
    for begin in range(0, len(rows), BATCH):
        some = np.array(rows[begin : begin + BATCH])
        with torch.inference_mode():
            features = network.encoder(data.edits.images(some))
            seen = network.seen(features, data.given(some) if network.prior else None)
            chances, maps = seen.forged.sigmoid().numpy(), seen.where.sigmoid().numpy()
        for k, i in enumerate(some.tolist()):
            fact = data.edits.rows[i]
            shares = data.shares[i]
            changed, calm = shares >= HALF, shares <= TOUCHED
            known = changed | calm
            where = np.asarray(maps[k].squeeze())
            truth = np.asarray(data.edits.masks[i]) >= 128
            found.append({
                "group": f"{fact['source']}/{fact['group']}",
                "regions": _auc(changed[known], chances[k][known]), "pixels": _auc(truth.ravel(), where.ravel()),
                "largest chance": float(chances[k].max()), "over the threshold": float((chances[k] >= least).any()),
                "largest of the map": float(where.max()), "IoU": _iou(where >= HALF, truth),
                "IoU, best threshold": max(_iou(where >= level, truth) for level in LEVELS),
            })  # fmt: skip
    return found


def _auc(truth: NDArray[Any], values: NDArray[Any]) -> float:
    return float(roc_auc_score(truth, values)) if 0 < truth.sum() < truth.size else float("nan")


def _iou(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float((a & b).sum()) / max(1.0, float((a | b).sum()))


def main() -> None:
    """Look."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--draws", type=Path, required=True, help="where edits are kept")
    parser.add_argument("--bump", type=Path, required=True, help="the folder of unseen.py's faces")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    recipe = Recipe.read(RUNS / "fifa" / "small.toml")
    assert recipe.draws is not None
    network = FiFa.load(RUNS / "fifa" / "fifa.safetensors")
    least = json.loads((RUNS / "fifa" / "fifa.json").read_text())["least"]
    bumps = Asked(edits.Edits(given.bump), recipe.seed)
    own = Asked(edits.drawn(recipe.draws, given.pack, given.draws, "val"), recipe.seed)
    unseen = [i for i, row in enumerate(bumps.edits.rows) if row["fake"]]
    held = [i for i, row in enumerate(own.edits.rows)
            if row["fake"] and half(f"{row['source']}/{row['group']}") == 1][: 2 * len(unseen)]  # fmt: skip
    sets = {
        "unseen": looked(network, bumps, unseen, least),
        "families that it learned": looked(network, own, held, least),
    }
    names = [name for name in sets["unseen"][0] if name != "group"]
    page = {name: {"pictures": len(rows), **means(rows, names)} for name, rows in sets.items()}
    page["least"] = least
    write_whole(given.out, json.dumps(page, indent=1).encode())
    for name in names:
        print(name, *(f"{key}: {page[key][name]}" for key in sets), sep="\n  ")


if __name__ == "__main__":
    script(main)
