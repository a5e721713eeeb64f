"""What region prediction and the one encoder give FiFa: small networks trained apart for a few steps each, one seed.

    python runs/fifa/ablate.py runs/fifa/small.toml --pack PACK --init-from ENCODER --words-from COMPACT --out DIR

whole                  as the recipe says
no region prediction   the language model sees no token of every concept with its chance
two encoders           words are made of another encoder's features than masks (GLaMM's and LISA's way): of COMPACT's

All see the same pictures and questions in the same order. Measured on forged pictures of other people as `evaluate.py`
does, without a chance from which on a region may be named, as that is not fitted here; differences with intervals over
groups. Every run goes on from its checkpoint; what is done stands in DIR/runs.json and is not done again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.files import write_whole
from facewitness.models import fifa
from facewitness.train import edits
from facewitness.train import fifa as train
from facewitness.train.fifa import Asked, Recipe
from facewitness.train.measuring import half

sys.path.insert(0, str(Path(__file__).parent))
import evaluate

RUNS: Mapping[str, dict[str, Any]] = {
    "whole": {},
    "no region prediction": {"region_prediction": False},
    "two encoders": {"encoder": {"kind": "two", "size": 224, "maps": True}},
}
ROWS = ("AGE mIoU per mention", "mentions with a right mask", "hallucinated regions", "edited regions that are named")
ASKED = tuple(f"asked by {how}" for how in fifa.POINTS)


def measured(network: fifa.FiFa, data: Asked, rows: list[int], recipe: Recipe) -> dict[str, Any]:
    """Sums of every picture by measure: (what counts, of how many)."""
    told: dict[str, list[list[float]]] = {name: [] for name in (*ROWS, "questions")}
    for row in evaluate.examined(network, data, rows, recipe, 0.0):
        one = evaluate.grounding([row], data)
        count = len(row["mentions"])
        for name in ROWS[:3]:
            told[name].append([(one[name][0] or 0.0) * count, count])
        forged = len(data.sentences[row["at"]])
        told[ROWS[3]].append([(one[ROWS[3]][0] or 0.0) * forged, forged])
        asked = [row[name] for name in ASKED if np.isfinite(row[name])]
        told["questions"].append([float(np.sum(asked)), len(asked)])
    return told


def table(done: Mapping[str, dict[str, Any]], groups: list[str], given: argparse.Namespace, recipe: Recipe) -> str:
    """The page."""
    names = (*ROWS, "questions")
    lines = [
        f"{given.steps} steps of {recipe.batch_size} pictures with {recipe.asked} questions each, one seed; measured "
        f"on {len(groups)} forged pictures of other people; every region may be named.", "",
        f"| run | {' | '.join(names)} |", "|---|" + "---|" * len(names),
    ]  # fmt: skip
    for run, told in done.items():
        found = measures.ratios({k: tuple(np.array(told[k]).T) for k in names}, groups)
        cells = [f"{v.value:.3f} ({v.low:.3f}–{v.high:.3f})" if v.value is not None else "none"
                 for v in found.values()]  # fmt: skip
        lines.append(f"| {run} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is not done yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--init-from", type=Path, required=True)
    parser.add_argument("--words-from", type=Path, required=True)
    parser.add_argument("--draws", type=Path, help="where edits are kept (in --out)")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--pictures", type=int, default=960)
    parser.add_argument("--measured", type=int, default=32)
    parser.add_argument("--minutes", type=float, default=10**6, help="no run begins later than that")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / "runs.json"
    done: dict[str, dict[str, Any]] = json.loads(file.read_text()) if file.exists() else {}
    recipe = Recipe.read(given.recipe)
    assert recipe.draws is not None
    place = given.draws or given.out / "edits"
    data = Asked(edits.drawn(recipe.draws, given.pack, place, "val"), recipe.seed)
    named = [f"{row['source']}/{row['group']}" for row in data.edits.rows]
    rows = [i for i, row in enumerate(data.edits.rows) if row["fake"] and half(named[i]) == 1][: given.measured]
    begun = time.monotonic()
    for name, network in RUNS.items():
        if name in done or time.monotonic() - begun > 60 * given.minutes:
            continue
        changed = replace(
            recipe, steps=given.steps, warmup=given.steps // 8, network={**recipe.network, **network},
            draws=replace(recipe.draws, images=given.pictures),
        )  # fmt: skip
        trained = train.train(
            changed, given.out / name.replace(" ", "-"), pack=given.pack, init_from=given.init_from,
            words_from=given.words_from if name == "two encoders" else None, draws=place, save_every=15,
        )  # fmt: skip
        done[name] = measured(trained, data, rows, changed)
        write_whole(file, json.dumps(done).encode())
    page = table(done, [named[i] for i in rows], given, recipe)
    write_whole(given.out / "ablation.md", page.encode())
    print(page)


if __name__ == "__main__":
    torch.set_num_threads(1)
    script(main)
