"""Measures forgery disentanglement modules side by side on the same held-out faces, single frames.

    python runs/fdm/evaluate.py --pack PACK --weights NEW/fdm.safetensors OLD/fdm.safetensors --out RESULTS.json

Each module sees the middle square of a picture at its own size (crop.size of its JSON), or with --cropped its face.
Measured are all `val` rows of
the pack: with a pack made by --groups, none of them shares a group with `train` (runs/compact/people.py). AUC, average
precision, accuracy and F1 at 0.5, with 95 % intervals over groups.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.builders.pack import Pack
from facewitness.files import write_whole
from facewitness.models.fdm import FDM
from facewitness.train.fdm import predict

SOURCES = ("dfdc", "ffpp_c40", "ffpp_c23", "deepfacelive", "stylegan2_photos")
MEASURES = ("auc", "ap", "acc", "f1")


def main(arguments: Sequence[str] | None = None) -> None:
    """Score, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--weights", type=Path, nargs="+", required=True, metavar="FILE", help="the first is compared")
    parser.add_argument("--sources", nargs="+", default=list(SOURCES))
    parser.add_argument("--cropped", action="store_true", help="look at faces, cropped as the module's JSON says")
    parser.add_argument("--out", type=Path, metavar="JSON")
    given = parser.parse_args(arguments)
    data, results = Pack(given.pack), {}
    scores: dict[str, dict[int, float]] = {}
    for file in given.weights:
        module, crop = FDM.load(file), json.loads(file.with_suffix(".json").read_text())["crop"]
        size, margin = crop["size"], crop.get("margin") if given.cropped else None
        scores[module.sha256] = dict(predict(module, data, given.sources, size, torch.device("cpu"), margin))
        results[module.sha256] = {"file": f"{file.parent.name}/{file.name}", "size": size}
    for sha256, found in scores.items():
        results[sha256]["sources"] = {
            source: measured(data, {i: p for i, p in found.items() if data.rows[i]["source"] == source})
            for source in given.sources
        }
        print(results[sha256]["file"], sha256[:12])
        for source, values in results[sha256]["sources"].items():
            told = "  ".join(f"{name} {v['value']:.3f} [{v['low']:.3f}, {v['high']:.3f}]" for name, v in values.items())
            print(f"  {source}  {told}")
    if given.out is not None:
        write_whole(given.out, json.dumps(results, indent=1).encode())


def measured(data: Pack, found: dict[int, float]) -> dict[str, Any]:
    """The measures of one source's rows."""
    rows = [data.rows[i] for i in found]
    values = measures.detection(
        [row["label"] == "fake" for row in rows], list(np.array(list(found.values()))),
        [row["group"] for row in rows], only=MEASURES,
    )  # fmt: skip
    return {name: asdict(value) for name, value in values.items()}


if __name__ == "__main__":
    script(main)
