"""Fits what stands beside a forgery disentanglement module's weights: its calibration, for `witnesses/mare`.

    python runs/fdm/fit.py --cache DIR --weights OUT/fdm.safetensors

On the groups of the training data that were held out (`calibrate`, one in sixteen), never on `val`: genuine faces
beside forgeries of the sources that it was trained on, each as it is, at JPEG 50, at half its size, and blurred. So it
is the probability of forgeries like those.

Writes `calibration` into fdm.json, beside the weights, and prints it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facewitness import plugins
from facewitness.apps.script import script
from facewitness.bench.conditions import CONDITIONS, examined
from facewitness.builders.pack import Pack
from facewitness.calibration import Calibration
from facewitness.files import write_whole

SOURCES = ("dfdc", "ffpp_c40")


def main(arguments: Sequence[str] | None = None) -> None:
    """Examine held-out pictures, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True, help="a pack with landmarks: facewitness.train.kfd pack")
    parser.add_argument("--weights", type=Path, required=True, help="fdm.safetensors of a run")
    parser.add_argument("--most", type=int, help="rows of each source and label")
    given = parser.parse_args(arguments)
    witness = plugins.get("witnesses", "mare").load(weights=str(given.weights))
    rows = examined(
        [witness], Pack(given.cache), "calibrate", list(CONDITIONS), limit=given.most, sources=SOURCES, forgers=()
    )
    card = given.weights.with_suffix(".json")
    facts = json.loads(card.read_text(encoding="utf-8")) | {"calibration": calibration(rows)}
    write_whole(card, json.dumps(facts, indent=2).encode())
    print(json.dumps(facts["calibration"], indent=1))


def calibration(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """From score to probability, and the thresholds, as `calibration.Calibration` has them.

    The sources bound the thresholds together: FaceForensics++ has some 25 genuine faces here, too few by themselves.
    """
    return Calibration.fit(
        [row["score"] for row in rows],
        [row["label"] == "fake" for row in rows],
        groups=[f"{row['source']}/{row['group']}" for row in rows],
        confidence=0.5,  # the rate measured here keeps the bound; to show it with more confidence takes more rows
        fakes_called_real=0.1,
    ).to_json()


if __name__ == "__main__":
    script(main)
