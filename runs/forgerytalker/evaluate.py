"""Measures a small ForgeryTalker on edits of held-out faces, with controls.

    python runs/forgerytalker/evaluate.py runs/forgerytalker/small.toml --pack PACK --weights FILE --out DIR

The edits are the recipe's own draws of the split `val`, made of people that training never saw, and of one family that
it never saw, either. Masks count from one half on. Writes results.json and results.md: IoU, precision and recall of the
masks (means over forged pictures), PLM of the FPN, texts against the report of what was done, each beside one constant
that sees no picture and the system's own texts dealt out to other pictures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from facewitness.apps.script import script
from facewitness.bench.sheets import sheet
from facewitness.files import write_whole
from facewitness.models.forgerytalker import ForgeryTalker
from facewitness.train import edits, reports
from facewitness.train.forgerytalker import Drawn, Recipe
from facewitness.train.measuring import (
    HALF,
    calibration,
    carded,
    constant,
    detection,
    half,
    jaccard,
    means,
    overlap,
    three,
    wording,
)

UNSEEN = {"self_blend": 1.0}  # of which neither the encoder's run nor this one has a mask; its beginning had
BATCH = 16


def examined(network: ForgeryTalker, data: Drawn, recipe: Recipe, oracle: bool = True) -> list[dict[str, Any]]:
    """One row a picture; `oracle` lets it speak a second time, of the true areas."""
    rows = []
    for begin in range(0, len(data), BATCH):
        span = slice(begin, begin + BATCH)
        pixels, truths, told = data.images(span), data.truth(span).numpy(), data.reports(span)
        areas = [reports.areas(text) for text in told]
        with torch.inference_mode():
            features = network.encoder(pixels)
            first = network.encoder.map(features)
            if first is not None and network.mirror:
                first = (first + network.encoder.map(network.encoder(pixels.flip(3))).flip(3)) / 2
        alone = None if first is None else first[:, 0].sigmoid().numpy()
        spoken = network.speak_of(pixels, features, recipe.max_tokens)
        named = network.speak_of(pixels, features, recipe.max_tokens, named=areas) if oracle else spoken
        for k, text in enumerate(told):
            row, one = data.edits.rows[begin + k], spoken[k]
            truth = np.kron(truths[k], np.ones((edits.GRID, edits.GRID)))
            iou, precision, recall = overlap(one.mask, truth) if row["fake"] else (np.nan,) * 3
            own = overlap(enlarged(alone[k], truth), truth) if alone is not None and row["fake"] else (np.nan,) * 3
            areas_said = reports.areas(one.text)
            rows.append({
                "at": begin + k, "group": f"{row['source']}/{row['group']}", "fake": row["fake"],
                "family": row.get("family", "genuine"), "iou": iou, "precision": precision, "recall": recall,
                "score": max(one.areas.values()), "mask_only_iou": own[0], "mask_only_precision": own[1],
                "mask_only_recall": own[2], "iou_oracle": overlap(named[k].mask, truth)[0] if row["fake"] else np.nan,
                "plm": jaccard([n for n, p in one.areas.items() if p >= 0.5], areas[k]),
                "words_plm": jaccard(areas_said, areas[k]), "area": float((truth >= 0.5).mean()), "true": text,
                "text": one.text, "oracle": named[k].text, "labels": list(areas[k]),
                "hallucinated": float(np.mean([n not in areas[k] for n in areas_said])) if areas_said else np.nan,
            })  # fmt: skip
        print(f"{min(begin + BATCH, len(data))} of {len(data)}", flush=True)
    return rows


def enlarged(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """A map at a mask's resolution."""
    return cv2.resize(values, like.shape[::-1], interpolation=cv2.INTER_LINEAR)


def results(rows: Sequence[dict[str, Any]], blind: str) -> dict[str, Any]:
    """All numbers of one set."""
    forged, genuine = [r for r in rows if r["fake"]], [r for r in rows if not r["fake"]]
    found: dict[str, Any] = {
        "pictures": len(rows), "forged": len(forged),
        "masks and areas": means(forged, (
            "iou", "precision", "recall", "iou_oracle", "mask_only_iou", "mask_only_precision", "mask_only_recall",
            "plm", "words_plm", "hallucinated",
        )),
        "by family": {name: means([r for r in forged if r["family"] == name], ("iou", "precision", "plm"))
                      for name in sorted({r["family"] for r in forged})},
        "wording": wording(forged, blind, {"oracle areas": [r["oracle"] for r in forged]}),
    }  # fmt: skip
    if genuine:
        found["auc"] = detection(rows)
        found["genuine without an area"] = float(np.mean([not reports.areas(r["text"]) for r in genuine]))
    return found


def table(found: dict[str, Any]) -> str:
    """The page."""
    lines = []
    for name, values in found.items():
        if not isinstance(values, dict) or "masks and areas" not in values:
            continue
        lines += [f"## {name}", "", f"{values['pictures']} pictures, {values['forged']} of them forged.", ""]
        lines += ["| measure | value (95 %) |", "|---|---|"]
        lines += [f"| {k} | {three(v)} |" for k, v in values["masks and areas"].items()]
        if "auc" in values:
            lines.append(f"| AUC of the score | {three(values['auc'])} |")
            lines.append(f"| genuine pictures of which no area is said | {values['genuine without an area']:.3f} |")
        lines += [f"| {k} | {three(v)} |" for k, v in values["wording"]["margins"].items()]
        lines += ["", "| family | IoU | precision | PLM |", "|---|---|---|---|"]
        lines += [f"| {k} | {three(v['iou'])} | {three(v['precision'])} | {three(v['plm'])} |"
                  for k, v in values["by family"].items()]  # fmt: skip
        columns = ("CIDEr", "ROUGE-L", "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4")
        lines += ["", f"| text | {' | '.join(columns)} |", "|---" * 7 + "|"]
        lines += [f"| {k} | " + " | ".join(f"{v[c]:.3f}" for c in columns) + " |"
                  for k, v in values["wording"]["texts"].items()]  # fmt: skip
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--draws", type=Path, help="where edits are kept (in --out)")
    parser.add_argument("--limit", type=int, help="pictures of each set at most")
    parser.add_argument("--one-view", action="store_true", help="masks without the mirror images' share in them")
    parser.add_argument("--card", action="store_true", help="put strength and calibration on the weights' card")
    parser.add_argument("--sheet", type=Path, help="PNG of 12 pictures: claimed green, true red, both texts")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    recipe = Recipe.read(given.recipe)
    assert recipe.draws is not None
    network = ForgeryTalker.load(given.weights)
    network.mirror = network.mirror and not given.one_view
    place = given.draws or given.out / "edits"
    training = Drawn(edits.drawn(recipe.draws, given.pack, place, "train"), recipe.seed)
    blind = constant([t for t in training.reports(slice(0, 400)) if t != reports.NOTHING])
    found: dict[str, Any] = {"weights": network.sha256, "image-blind": blind}
    for name, families in (("seen families", None), ("a family never trained on: self-blends", UNSEEN)):
        data = Drawn(edits.drawn(recipe.draws, given.pack, place, "val", families), recipe.seed)
        rows = examined(network, _first(data, given.limit), recipe)
        chosen, held = ([r for r in rows if half(r["group"]) == side] for side in (0, 1))
        if families is None:
            right = [r["iou"] >= HALF for r in chosen if r["fake"]]
            found["card"] = {"strength": round(float(np.mean(right)), 3), "calibration": calibration(chosen)}
            if given.card:
                carded(given.weights, found["card"])
        found[name] = results(held, blind)
        found[name]["examples"] = [{k: r[k] for k in ("family", "true", "text", "iou", "plm")} for r in held[:8]]
        if families is None and given.sheet:
            shown(network, held, data, given.sheet)
    given.out.mkdir(parents=True, exist_ok=True)
    write_whole(given.out / "results.json", json.dumps(found, indent=1).encode())
    write_whole(given.out / "results.md", table(found).encode())
    print(table(found))


def shown(network: ForgeryTalker, rows: Sequence[dict[str, Any]], data: Drawn, path: Path) -> None:
    """A sheet of forged pictures."""
    items = []
    for row in [r for r in rows if r["fake"]][:12]:
        _, mask = network.look(data.images([row["at"]]))
        big = np.kron(np.asarray(data.edits.masks[row["at"]]) >= 128, np.ones((edits.GRID, edits.GRID))) > 0
        items.append((np.array(data.edits.pixels[row["at"]]), mask >= HALF, big, row["text"], row["true"]))
    sheet(items, path)


def _first(data: Drawn, count: int | None) -> Drawn:
    if count is not None:
        data.edits.rows, data.sentences = data.edits.rows[:count], data.sentences[:count]
    return data


if __name__ == "__main__":
    script(main)
