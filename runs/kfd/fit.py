"""Fits what stands beside a trained detector's weights: its calibration, and how strong a finding is.

    python runs/kfd/fit.py --cache DIR --weights OUT/kfd.safetensors

On the groups of the training data that were held out (`calibrate`, one in sixteen), never on `val`. Every genuine
picture stands beside a forgery made of it, each as it is, at JPEG 50, at half its size, and blurred. The sources' own
forgeries are left out: the detector has seen none, tells some of them badly (`results.md`), and a probability that
was fitted to all of them would say nothing anywhere. So it is the probability of a *blended* forgery.

Writes `calibration` and `strength` into kfd.json, beside the weights, and prints both; with --around they are of looks
from around (`witnesses/kfd.AROUND`), which the witness then takes wherever it is not told otherwise.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from facewitness import plugins
from facewitness.apps.script import script
from facewitness.bench.conditions import CONDITIONS, examined
from facewitness.builders.pack import Pack
from facewitness.calibration import Calibration
from facewitness.files import write_whole

MANY = ("dfdc", "utkface", "celebamask_hq")  # the others have too few genuine rows to show a rate of 5 % by themselves


class Genuine:
    """A pack without its sources' own forgeries, which nothing here is fitted to."""

    def __init__(self, data: Pack):
        self.pixels, self.landmarks = data.pixels, data.landmarks
        self.rows = [row if row["label"] == "real" else row | {"split": "left_out"} for row in data.rows]


def main(arguments: Sequence[str] | None = None) -> None:
    """Examine held-out pictures, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True, help="the pack: facewitness build pack")
    parser.add_argument("--weights", type=Path, required=True, help="kfd.safetensors of a run")
    parser.add_argument("--most", type=int, help="rows of each source and label")
    parser.add_argument("--around", action="store_true", help="look at each face from around, twice the time")
    given = parser.parse_args(arguments)
    witness = plugins.get("witnesses", "kfd").load(weights=str(given.weights), around=given.around)
    witness.strength = {"slope": 1.0, "offset": 0.0}  # how far the map covers a region, as it is
    rows = examined([witness], Genuine(Pack(given.cache)), "calibrate", list(CONDITIONS), limit=given.most)
    card = given.weights.with_suffix(".json")
    facts = json.loads(card.read_text(encoding="utf-8"))
    facts |= {"calibration": calibration(rows), "strength": strength(rows), "around": given.around}
    write_whole(card, json.dumps(facts, indent=2).encode())
    print(json.dumps({name: facts[name] for name in ("calibration", "strength")}, indent=1))


def calibration(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """From score to probability, and the thresholds, as `calibration.Calibration` has them."""
    fitted = [row for row in rows if row["made"] or row["label"] == "real"]
    return Calibration.fit(
        [row["score"] for row in fitted],
        [row["label"] == "fake" for row in fitted],
        groups=[f"{row['source']}/{row['group']}" for row in fitted],
        sources=[row["source"] if row["source"] in MANY else "ffpp_c40 and stylegan2_photos" for row in fitted],
        confidence=0.5,  # the rate measured here keeps the bound; to show it with more confidence takes more rows
        fakes_called_real=0.1,
    ).to_json()


def strength(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How often a finding is right, as a logistic over how far the map covers its region."""
    found = [
        (covered, region in row["touched"])
        for row in rows
        if row["touched"] is not None
        for region, covered in row["strengths"].items()
    ]
    covered, right = np.array([c for c, _ in found]), np.array([r for _, r in found])
    p = np.clip(covered, 1e-6, 1 - 1e-6)
    model = LogisticRegression(C=1e6).fit((np.log(p) - np.log1p(-p))[:, None], right)
    return {
        "slope": float(model.coef_[0, 0]),
        "offset": float(model.intercept_[0]),
        "findings": len(found),
        "right": float(right.mean()),
    }


if __name__ == "__main__":
    script(main)
