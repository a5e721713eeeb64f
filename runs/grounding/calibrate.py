"""Fits what a grounding system's score means on half genuine and half forged faces of the people that chose.

    python runs/grounding/calibrate.py fifa runs/fifa/fifa.safetensors --pack PACK --draws DRAWS

`evaluate.py` of each system fits it on its own pictures, of which an eighth is genuine: nine faces for FiFa. This draws
as many genuine ones as forged, from the same half of the held-out people, and puts the fit on the weights' card.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facewitness.apps.script import script
from facewitness.calibration import Calibration
from facewitness.models.fifa import FiFa
from facewitness.models.forgerytalker import ForgeryTalker
from facewitness.train import edits
from facewitness.train.fifa import Asked, Recipe
from facewitness.train.measuring import carded, detection, half

RUNS = Path(__file__).parent.parent


def main() -> None:
    """Fit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("system", choices=("fifa", "forgerytalker"))
    parser.add_argument("weights", type=Path)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--draws", type=Path, required=True, help="where edits are kept")
    parser.add_argument("--count", type=int, default=300, help="pictures drawn; about half are of the half that chose")
    given = parser.parse_args()
    recipe = Recipe.read(RUNS / "fifa" / "small.toml")
    assert recipe.draws is not None
    draws = replace(recipe.draws, genuine=0.5, measured=given.count)
    made = edits.drawn(draws, given.pack, given.draws, "val")
    groups = [f"{row['source']}/{row['group']}" for row in made.rows]
    rows = [i for i, group in enumerate(groups) if half(group) == 0]
    network: Any = (FiFa if given.system == "fifa" else ForgeryTalker).load(given.weights)
    data = Asked(made, recipe.seed) if given.system == "fifa" else None
    facts = []
    for i in rows:
        image = made.images([i])
        with torch.inference_mode():
            features = network.encoder(image)
            if data is not None:
                score = float(network.seen(features, data.given(np.array([i]))).fake[0].sigmoid())
            else:
                score = float(network.prompt(image, features).logits[0].sigmoid().max())
        facts.append({"score": score, "fake": made.rows[i]["fake"], "group": groups[i]})
    fit = Calibration.fit(
        [f["score"] for f in facts], [f["fake"] for f in facts], [f["group"] for f in facts], fakes_called_real=0.1
    ).to_json()  # of genuine faces at most 5 % called fake, with nine chances in ten
    carded(given.weights, {"calibration": fit})
    thresholds = {k: fit.get(k) for k in ("real_below", "fake_above")}
    print(f"{len(facts)} faces, {sum(f['fake'] for f in facts)} forged; AUC {detection(facts)}; {thresholds}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    script(main)
