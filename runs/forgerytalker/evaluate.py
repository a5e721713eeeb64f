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

import numpy as np
import torch

from facewitness.bench import measures
from facewitness.bench.wording import Corpus, tokenize
from facewitness.files import write_whole
from facewitness.models.forgerytalker import ForgeryTalker
from facewitness.train import edits, reports
from facewitness.train.forgerytalker import Drawn, Recipe

UNSEEN = {"self_blend": 1.0}
BATCH = 16


def masks(
    network: ForgeryTalker, pixels: torch.Tensor, enriched: bool = True
) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Masks (n, S, S) and areas of a batch; without enrichment the Q-Former asks alone."""
    with torch.inference_mode():
        features = network.encoder(pixels)
        prompt = network.prompt(pixels, features)
        ids, seen = network.reader.read([network.instruction(n) for n in network.named(prompt)])
        queries, text = network._qformer(features, ids, seen)
        logits = network._masks(network._ask(features, queries, text, seen), prompt if enriched else None)
        whole = torch.nn.functional.interpolate(logits, (network.size, network.size), mode="bilinear")[:, 0]
    chances = prompt.logits.sigmoid().tolist()
    return whole.sigmoid().numpy(), [dict(zip(network.labels, row, strict=True)) for row in chances]


def overlap(found: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """IoU, precision and recall of two masks (h, w); precision is NaN where nothing was found."""
    a, b = found >= 0.5, truth >= 0.5
    both = float((a & b).sum())
    return both / max(float((a | b).sum()), 1.0), both / a.sum() if a.any() else np.nan, both / max(float(b.sum()), 1.0)


def examined(network: ForgeryTalker, data: Drawn, recipe: Recipe) -> list[dict[str, Any]]:
    """One row a picture."""
    rows = []
    for begin in range(0, len(data), BATCH):
        span = slice(begin, begin + BATCH)
        pixels, truths, told = data.images(span), data.truth(span).numpy(), data.reports(span)
        areas = [reports.areas(text) for text in told]
        found, chances = masks(network, pixels)
        alone, _ = masks(network, pixels, enriched=False)
        spoken = network.speak(pixels, recipe.max_tokens)
        oracle = network.speak(pixels, recipe.max_tokens, named=areas)
        for k, text in enumerate(told):
            row = data.edits.rows[begin + k]
            truth = np.kron(truths[k], np.ones((edits.GRID, edits.GRID)))
            named = tuple(label for label, p in chances[k].items() if p >= 0.5)
            iou, precision, recall = overlap(found[k], truth) if row["fake"] else (np.nan,) * 3
            rows.append({
                "group": f"{row['source']}/{row['group']}", "fake": row["fake"], "family": row.get("family", "genuine"),
                "iou": iou, "precision": precision, "recall": recall, "score": max(chances[k].values()),
                "iou_alone": overlap(alone[k], truth)[0] if row["fake"] else np.nan,
                "iou_oracle": overlap(oracle[k].mask, truth)[0] if row["fake"] else np.nan,
                "plm": _jaccard(named, areas[k]), "area": float((truth >= 0.5).mean()),
                "words_plm": _jaccard(reports.areas(spoken[k].text), areas[k]), "true": text,
                "text": spoken[k].text, "oracle": oracle[k].text, "labels": list(areas[k]),
            })  # fmt: skip
        print(f"{min(begin + BATCH, len(data))} of {len(data)}", flush=True)
    return rows


def _jaccard(a: Sequence[str], b: Sequence[str]) -> float:
    return len(set(a) & set(b)) / len(set(a) | set(b)) if set(a) | set(b) else 1.0


def constant(texts: Sequence[str]) -> str:
    """The one report that is nearest to all of a training set's, by CIDEr on a few of them."""
    some = list(dict.fromkeys(texts))[:60]
    others = tokenize(list(texts[:150]), "plain")
    means = [float(Corpus([t] * len(others), [[o] for o in others]).cider().mean()) for t in tokenize(some, "plain")]
    return some[int(np.argmax(means))]


def wording(rows: Sequence[dict[str, Any]], blind: str, seed: int = 0) -> dict[str, Any]:
    """CIDEr, ROUGE-L and BLEU of what is said, of the controls, and CIDEr's margin over them with intervals."""
    rng = np.random.default_rng(seed)
    order = np.roll(rng.permutation(len(rows)), 1)[np.argsort(rng.permutation(len(rows)))]
    order = np.where(order == np.arange(len(rows)), (order + 1) % len(rows), order)
    texts = {
        "own": [r["text"] for r in rows], "oracle areas": [r["oracle"] for r in rows],
        "shuffled": [rows[i]["text"] for i in order], "image-blind": [blind] * len(rows),
    }  # fmt: skip
    references = [[t] for t in tokenize([r["true"] for r in rows], "plain")]
    ciders, found = {}, {}
    for name, said in texts.items():
        corpus = Corpus(tokenize(said, "plain"), references)
        ciders[name] = corpus.cider()
        found[name] = {"CIDEr": float(ciders[name].mean()), "ROUGE-L": float(corpus.rouge_l().mean()),
                       **{f"BLEU-{n}": value for n, value in enumerate(corpus.bleu(), start=1)}}  # fmt: skip
    groups = [r["group"] for r in rows]
    ones = np.ones(len(rows))
    margins = measures.ratios({f"CIDEr over {other}": (ciders["own"] - ciders[other], ones)
                               for other in ("shuffled", "image-blind")}, groups)  # fmt: skip
    return {"texts": found, "margins": {k: [v.value, v.low, v.high] for k, v in margins.items()}}


def means(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, list[float | None]]:
    """Means with 95 % intervals over groups."""
    values = {name: np.array([row[name] for row in rows], np.float64) for name in names}
    found = measures.ratios({k: (v, np.where(np.isnan(v), np.nan, 1.0)) for k, v in values.items()},
                            [row["group"] for row in rows])  # fmt: skip
    return {k: [v.value, v.low, v.high] for k, v in found.items()}


def results(rows: Sequence[dict[str, Any]], blind: str) -> dict[str, Any]:
    """All numbers of one set."""
    forged, genuine = [r for r in rows if r["fake"]], [r for r in rows if not r["fake"]]
    found: dict[str, Any] = {
        "pictures": len(rows), "forged": len(forged),
        "masks and areas": means(forged, ("iou", "precision", "recall", "iou_alone", "iou_oracle", "plm", "words_plm")),
        "by family": {name: means([r for r in forged if r["family"] == name], ("iou", "precision", "plm"))
                      for name in sorted({r["family"] for r in forged})},
        "wording": wording(forged, blind),
    }  # fmt: skip
    if genuine:
        ranking = measures.detection([r["fake"] for r in rows], [r["score"] for r in rows], [r["group"] for r in rows])
        found["auc"] = [ranking["auc"].value, ranking["auc"].low, ranking["auc"].high]
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
        lines += [f"| {k} | {_three(v)} |" for k, v in values["masks and areas"].items()]
        if "auc" in values:
            lines.append(f"| AUC of the score | {_three(values['auc'])} |")
            lines.append(f"| genuine pictures of which no area is said | {values['genuine without an area']:.3f} |")
        lines += [f"| {k} | {_three(v)} |" for k, v in values["wording"]["margins"].items()]
        lines += ["", "| family | IoU | precision | PLM |", "|---|---|---|---|"]
        lines += [f"| {k} | {_three(v['iou'])} | {_three(v['precision'])} | {_three(v['plm'])} |"
                  for k, v in values["by family"].items()]  # fmt: skip
        columns = ("CIDEr", "ROUGE-L", "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4")
        lines += ["", f"| text | {' | '.join(columns)} |", "|---" * 7 + "|"]
        lines += [f"| {k} | " + " | ".join(f"{v[c]:.3f}" for c in columns) + " |"
                  for k, v in values["wording"]["texts"].items()]  # fmt: skip
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
    parser.add_argument("--limit", type=int, help="pictures of each set at most")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    recipe = Recipe.read(given.recipe)
    assert recipe.draws is not None
    network = ForgeryTalker.load(given.weights)
    place = given.draws or given.out / "edits"
    training = Drawn(edits.drawn(recipe.draws, given.pack, place, "train"), recipe.seed)
    blind = constant([t for t in training.reports(slice(0, 400)) if t != reports.NOTHING])
    found: dict[str, Any] = {"weights": network.sha256, "image-blind": blind}
    for name, families in (("seen families", None), ("a family never trained on: self-blends", UNSEEN)):
        data = Drawn(edits.drawn(recipe.draws, given.pack, place, "val", families), recipe.seed)
        rows = examined(network, _first(data, given.limit), recipe)
        found[name] = results(rows, blind)
        found[name]["examples"] = [{k: r[k] for k in ("family", "true", "text", "iou", "plm")} for r in rows[:8]]
    given.out.mkdir(parents=True, exist_ok=True)
    write_whole(given.out / "results.json", json.dumps(found, indent=1).encode())
    write_whole(given.out / "results.md", table(found).encode())
    print(table(found))


def _first(data: Drawn, count: int | None) -> Drawn:
    if count is not None:
        data.edits.rows, data.told = data.edits.rows[:count], data.told[:count]
    return data


if __name__ == "__main__":
    main()
