"""Measures a small FiFa on edits of held-out faces: explanations with masks, questions that point, and controls.

    python runs/fifa/evaluate.py runs/fifa/small.toml --pack PACK --weights FILE --out DIR

The edits are the recipe's own draws of the split `val`, made of people that training never saw, and of a family of
edits that it never saw, either. The truth about a mention is the known mask within the concept's polygon. AGE is the
mean IoU over all mentions, a mention of an untouched region counting 0. The control deals explanations and their masks
out to other pictures. Writes results.json and results.md.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facewitness.bench import measures
from facewitness.bench.wording import Corpus, tokenize
from facewitness.files import write_whole
from facewitness.models import fifa
from facewitness.models.fifa import QUESTIONS, FiFa
from facewitness.train import edits, reports
from facewitness.train.fifa import Asked, Recipe

UNSEEN = {"self_blend": 1.0}
BATCH = 12
_MENTION = re.compile(r"<p>\s*([^<]*?)\s*</p>(\s*\[SEG\])?")


def mentions(answer: fifa.Answered, concepts: Sequence[str]) -> list[tuple[str | None, np.ndarray | None]]:
    """(concept, its mask) of every place in an answer; None for words that are no concept, and without a mask."""
    found, masks = [], iter(answer.masks)
    for match in _MENTION.finditer(answer.text):
        found.append((fifa.named(match[1], concepts), next(masks, None) if match[2] else None))
    return found


def iou(found: np.ndarray, truth: np.ndarray) -> float:
    """Of two masks from one half on, at the smaller one's resolution."""
    side = truth.shape[0]
    small = torch.nn.functional.interpolate(torch.from_numpy(found)[None, None], (side, side), mode="area")[
        0, 0
    ].numpy()
    a, b = small >= 0.5, truth >= 0.5
    return float((a & b).sum() / max((a | b).sum(), 1))


def examined(network: FiFa, data: Asked, rows: Sequence[int], recipe: Recipe) -> list[dict[str, Any]]:
    """One row a picture."""
    out = []
    for begin in range(0, len(rows), BATCH):
        some = np.array(rows[begin : begin + BATCH])
        with torch.inference_mode():
            seen = network.seen(network.encoder(data.edits.images(some)))
        age = network.answer(
            seen, [(k, QUESTIONS["grounded_explanation"], ()) for k in range(len(some))], recipe.max_tokens
        )
        toe = network.answer(
            seen, [(k, QUESTIONS["text_explanation"], ()) for k in range(len(some))], recipe.max_tokens
        )
        where = (
            torch.nn.functional.interpolate(seen.where[:, None], (112, 112), mode="bilinear")[:, 0].sigmoid().numpy()
        )
        asked, truth = [], []
        for k, i in enumerate(some.tolist()):
            rng = np.random.default_rng([7, i])
            forged = [name for name, _ in data.told[i]]
            calm = [n for c, n in enumerate(data.concepts) if data.shares[i, c] <= 0.1]
            for names, yes in ((forged, True), (calm, False)):
                if names:
                    name = str(rng.choice(names))
                    for how in fifa.POINTS:
                        query = data.query(i, name, how)
                        if query is not None:
                            words = QUESTIONS["region_question"].format(name=fifa.title(name))
                            asked.append((k, words if how == "name" else QUESTIONS["box_question"], (query,)))
                            truth.append((k, how, yes))
        said = network.answer(seen, asked, 4) if asked else []
        right: dict[int, dict[str, list[float]]] = {k: {how: [] for how in fifa.POINTS} for k in range(len(some))}
        for (k, how, yes), answer in zip(truth, said, strict=True):
            right[k][how].append(float((answer.text == fifa.YES) == yes))
        for k, i in enumerate(some.tolist()):
            fact = data.edits.rows[i]
            places = mentions(age[k], network.concepts)
            cut = [
                (c, None if c is None else (where[k] * data.polygon(i, c, 112)).astype(np.float32)) for c, _ in places
            ]
            mask = np.asarray(data.edits.masks[i], np.float32) / 255
            out.append({
                "at": i, "group": f"{fact['source']}/{fact['group']}", "fake": fact["fake"],
                "family": fact.get("family", "genuine"), "mentions": places, "cut": cut,
                "segs": age[k].text.count(fifa.SEG), "text": age[k].text, "toe": toe[k].text,
                "true": f"{fifa.FAKE if fact['fake'] else fifa.REAL} {reports.text(data.told[i])}",
                "where": iou(where[k], mask) if fact["fake"] else np.nan, "score": float(seen.fake[k].sigmoid()),
                **{f"asked by {how}": float(np.mean(v)) if v else np.nan for how, v in right[k].items()},
            })  # fmt: skip
        print(f"{min(begin + BATCH, len(rows))} of {len(rows)}", flush=True)
    return out


def grounding(rows: Sequence[dict[str, Any]], data: Asked, dealt: Sequence[int] | None = None) -> dict[str, list[Any]]:
    """What the mentions are worth; `dealt` gives each picture another one's explanation."""
    names = ("AGE mIoU per mention", "mentions with a right mask", "hallucinated regions", "mentions without a mask",
             "masks without a mention", "edited regions that are named")  # fmt: skip
    parts: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for k, row in enumerate(rows):
        source = row if dealt is None else rows[dealt[k]]
        i = row["at"]
        values = []
        halluc = 0
        for concept, mask in source["mentions"]:
            share = np.nan if concept is None else data.shares[i, data.concepts.index(concept)]
            touched = bool(np.isfinite(share) and share >= 0.1)
            halluc += not touched
            values.append(iou(mask, data.masked(i, concept)) if touched and mask is not None else 0.0)
        count = len(values)
        told = {name for name, _ in data.told[i]}
        spoken = {concept for concept, _ in source["mentions"]}
        parts[names[0]].append((sum(values), count))
        parts[names[1]].append((sum(v >= 0.5 for v in values), count))
        parts[names[2]].append((halluc, count))
        parts[names[3]].append((sum(mask is None for _, mask in source["mentions"]), count))
        with_mask = sum(mask is not None for _, mask in source["mentions"])
        parts[names[4]].append((source["segs"] - with_mask, max(source["segs"], 0)))
        parts[names[5]].append((len(told & spoken), len(told)))
    groups = [row["group"] for row in rows]
    found = measures.ratios({k: tuple(np.array(v, np.float64).T) for k, v in parts.items()}, groups)
    return {k: [v.value, v.low, v.high] for k, v in found.items()}


def results(rows: Sequence[dict[str, Any]], data: Asked) -> dict[str, Any]:
    """All numbers of one set."""
    forged = [r for r in rows if r["fake"]]
    groups = [r["group"] for r in forged]
    dealt = np.roll(np.arange(len(forged)), 1).tolist()
    names = ("where", *(f"asked by {how}" for how in fifa.POINTS))
    arrays = {n: np.array([r[n] for r in forged], np.float64) for n in names}
    plain = measures.ratios({n: (v, np.where(np.isnan(v), np.nan, 1.0)) for n, v in arrays.items()}, groups)
    found: dict[str, Any] = {
        "pictures": len(rows), "forged": len(forged), "explanations": grounding(forged, data),
        "explanations, shuffled": grounding(forged, data, dealt),
        "explanations, masks cut from the map": grounding([{**r, "mentions": r["cut"]} for r in forged], data),
        "others": {("localisation IoU" if k == "where" else k): [v.value, v.low, v.high] for k, v in plain.items()},
    }  # fmt: skip
    if len(forged) < len(rows):
        ranking = measures.detection([r["fake"] for r in rows], [r["score"] for r in rows], [r["group"] for r in rows])
        found["others"]["detection AUC"] = [ranking["auc"].value, ranking["auc"].low, ranking["auc"].high]
    references = [[t] for t in tokenize([r["true"] for r in forged], "plain")]
    own = Corpus(tokenize([r["toe"] for r in forged], "plain"), references)
    other = Corpus(tokenize([forged[i]["toe"] for i in dealt], "plain"), references)
    margin = measures.ratios({"m": (own.cider() - other.cider(), np.ones(len(forged)))}, groups)["m"]
    words = {"CIDEr": float(own.cider().mean()), "ROUGE-L": float(own.rouge_l().mean()), "BLEU-4": own.bleu()[3]}
    found["text-only"] = {**words, "CIDEr over shuffled": [margin.value, margin.low, margin.high]}
    return found


def table(found: dict[str, Any]) -> str:
    """The page."""
    lines = []
    for name, values in found.items():
        if not isinstance(values, dict):
            continue
        lines += [f"## {name}", "", f"{values['pictures']} pictures, {values['forged']} of them forged.", ""]
        lines += ["| explanations | own (95 %) | shuffled | masks cut from the map |", "|---|---|---|---|"]
        others = [values["explanations, shuffled"], values["explanations, masks cut from the map"]]
        lines += [f"| {k} | {' | '.join(map(_three, (v, *(other[k] for other in others))))} |"
                  for k, v in values["explanations"].items()]  # fmt: skip
        lines += ["", "| others | value (95 %) |", "|---|---|"]
        lines += [f"| {k} | {_three(v)} |" for k, v in values["others"].items()]
        lines += [f"| text-only: {k} | {_three(v) if isinstance(v, list) else f'{v:.3f}'} |"
                  for k, v in values["text-only"].items()]  # fmt: skip
        lines.append("")
    return "\n".join(lines)


def _three(value: Sequence[float | None]) -> str:
    middle, low, high = value
    if middle is None:
        return "not measured"
    return f"{middle:.3f}" if low is None or high is None else f"{middle:.3f} ({low:.3f}–{high:.3f})"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--draws", type=Path, help="where edits are kept (in --out)")
    parser.add_argument("--limit", type=int, default=400, help="pictures of each set at most (400)")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    recipe = Recipe.read(given.recipe)
    assert recipe.draws is not None
    network = FiFa.load(given.weights)
    found: dict[str, Any] = {"weights": network.sha256}
    for name, families in (("seen families", None), ("a family never trained on: self-blends", UNSEEN)):
        data = Asked(
            edits.drawn(recipe.draws, given.pack, given.draws or given.out / "edits", "val", families), recipe.seed
        )
        rows = examined(network, data, range(min(given.limit, len(data))), recipe)
        found[name] = results(rows, data)
        found[name]["examples"] = [{k: r[k] for k in ("family", "true", "text", "toe")} for r in rows[:8]]
    given.out.mkdir(parents=True, exist_ok=True)
    write_whole(given.out / "results.json", json.dumps(found, indent=1).encode())
    write_whole(given.out / "results.md", table(found).encode())
    print(table(found))


if __name__ == "__main__":
    main()
