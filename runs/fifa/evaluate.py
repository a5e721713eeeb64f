"""Measures a small FiFa on edits of held-out faces: explanations with masks, questions that point, and controls.

    python runs/fifa/evaluate.py runs/fifa/small.toml --pack PACK --weights FILE --out DIR

The edits are the recipe's own draws of the split `val`, made of people that training never saw, and of a family of
edits that it never saw, either. The truth about a mention is the known mask within the concept's polygon. AGE is the
mean IoU over all mentions, a mention of an untouched region counting 0. The control deals explanations and their masks
out to other pictures. From which chance on a region may be named is chosen on one half of the people, so that at most
4 % of those named are untouched; all tables are of the other half. Writes results.json and results.md.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from facewitness import geometry, plugins
from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.bench.sheets import sheet
from facewitness.files import write_whole
from facewitness.models import fifa
from facewitness.models.fifa import QUESTIONS, FiFa
from facewitness.train import edits, reports
from facewitness.train.fifa import Asked, Recipe
from facewitness.train.measuring import (
    HALF,
    calibration,
    carded,
    constant,
    dealt,
    detection,
    half,
    means,
    overlap,
    three,
    wording,
)
from facewitness.types import Clip, Face, Frame, Quality, Track

TOUCHED = 0.1  # of a region in the mask, from which on a mention of it is true
UNSEEN = {"self_blend": 1.0}
BATCH = 12
_MENTION = re.compile(r"<p>\s*([^<]*?)\s*</p>(\s*\[SEG\])?")


def mentions(answer: fifa.Answered, concepts: Sequence[str]) -> list[tuple[str | None, np.ndarray | None]]:
    """(concept, its mask) of every place in an answer; None for words that are no concept, and without a mask."""
    found, masks = [], iter(answer.masks)
    for match in _MENTION.finditer(answer.text):
        found.append((fifa.named(match[1], concepts), next(masks, None) if match[2] else None))
    return found


def examined(
    network: FiFa, data: Asked, rows: Sequence[int], recipe: Recipe, least: float, mesh: bool = True
) -> list[dict[str, Any]]:
    """One row a picture.

    Args:
        network: Measured.
        data: Edits with their questions; rows   of them.
        recipe: Says how long an answer may be.
        least: Chance of a region from which on an explanation may name it.
        mesh: Whether the mesh says where regions are, as it does for the witness.
    """
    out = []
    for begin in range(0, len(rows), BATCH):
        some = np.array(rows[begin : begin + BATCH])
        with torch.inference_mode():
            features = network.encoder(data.edits.images(some))
            given = data.given(some) if mesh and network.prior else None
            seen = network.seen(features, given)
            first = network.encoder.map(features)
        each = range(len(some))
        age = network.answer(seen, [(k, QUESTIONS["grounded_explanation"], ()) for k in each], recipe.max_tokens, least)
        where = enlarged(seen.where)
        alone = None if first is None else enlarged(first[:, 0])
        asked, truth = [], []
        for k, i in enumerate(some.tolist()):
            rng = np.random.default_rng([7, i])
            forged = [name for name, _ in data.sentences[i]]
            calm = [n for c, n in enumerate(data.concepts) if data.shares[i, c] <= TOUCHED]
            for names, yes in ((forged, True), (calm, False)):
                if names:
                    name = str(rng.choice(names))
                    for how in fifa.POINTS:
                        query = data.query(i, name, how)
                        if query is not None:
                            words = QUESTIONS["region_question"].format(name=fifa.title(name))
                            asked.append((k, words if how == "name" else QUESTIONS["box_question"], (query,)))
                            truth.append((k, how, yes))
        replies = network.answer(seen, asked, 4) if asked else []
        right: dict[int, dict[str, list[float]]] = {k: {how: [] for how in fifa.POINTS} for k in each}
        for (k, how, yes), answer in zip(truth, replies, strict=True):
            right[k][how].append(float((answer.text == fifa.YES) == yes))
        for k, i in enumerate(some.tolist()):
            fact = data.edits.rows[i]
            places = mentions(age[k], network.concepts)
            cut = [
                (c, None if c is None else (where[k] * data.polygon(i, c, 112)).astype(np.float32)) for c, _ in places
            ]
            mask = np.asarray(data.edits.masks[i], np.float32) / 255
            nothing = (np.nan,) * 3
            out.append({
                "at": i, "group": f"{fact['source']}/{fact['group']}", "fake": fact["fake"],
                "family": fact.get("family", "genuine"), "mentions": places, "cut": cut,
                "segs": age[k].text.count(fifa.SEG), "text": plain(age[k].text), "answer": age[k].text,
                "true": reports.text(data.sentences[i]),
                "where": overlap(where[k], mask)[0] if fact["fake"] else np.nan,
                "mask_only": (overlap(alone[k], mask) if alone is not None and fact["fake"] else nothing)[0],
                "score": float(seen.fake[k].sigmoid()), "silent": float(not places),
                **{f"asked by {how}": float(np.mean(v)) if v else np.nan for how, v in right[k].items()},
            })  # fmt: skip
        print(f"{min(begin + BATCH, len(rows))} of {len(rows)}", flush=True)
    return out


def enlarged(logits: torch.Tensor) -> np.ndarray:
    """Maps (n, 112, 112) in [0, 1] of logits (n, h, w)."""
    whole = torch.nn.functional.interpolate(logits[:, None], (112, 112), mode="bilinear")[:, 0]
    return whole.sigmoid().float().numpy()


def plain(text: str) -> str:
    """An explanation without its tags."""
    return re.sub(r" ?(</?p>|\[SEG\]) ?", lambda m: " " if m[1] == "</p>" else m[0].replace(m[1], ""), text)


def touched_share(data: Asked, i: int, name: str) -> float:
    """How much of any region of the tree lies in picture i's mask; NaN where it is not on the crop."""
    if name in data.concepts:
        return float(data.shares[i, data.concepts.index(name)])
    there = data.polygon(i, name, 112)
    return float((np.asarray(data.edits.masks[i])[there] >= 128).mean()) if there.sum() >= 8 else float("nan")


def evidence(data: Asked, rows: Sequence[int]) -> list[dict[str, Any]]:
    """What the plain install's own evidence claims of the same pictures, as mentions with masks."""
    witness = plugins.get("witnesses", "compact").load()
    out = []
    for i in rows:
        pixels, mesh = np.array(data.edits.pixels[i]), np.array(data.edits.meshes[i], np.float32)
        frame = Frame(pixels)
        (x1, y1), (x2, y2) = mesh.min(0).tolist(), mesh.max(0).tolist()
        track = Track(0, (Face(frame.at, (x1, y1, x2, y2), mesh, quality=Quality(score=1.0)),))
        testimony = witness.examine(track, Clip("edit", (frame,)))
        mentions_ = []
        for finding in testimony.findings:
            mask = finding.places[0].mask
            if finding.region is None or finding.region == "face" or (finding.strength or 0.0) < HALF:
                continue
            whole = None if mask is None else geometry.place(mask, *pixels.shape[:2])
            small = None if whole is None else cv2.resize(whole, (112, 112), interpolation=cv2.INTER_AREA)
            mentions_.append((finding.region, small))
        fact = data.edits.rows[i]
        out.append({"at": i, "group": f"{fact['source']}/{fact['group']}", "fake": fact["fake"], "mentions": mentions_,
                    "segs": len(mentions_)})  # fmt: skip
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
            share = np.nan if concept is None else touched_share(data, i, concept)
            touched = bool(np.isfinite(share) and share >= TOUCHED)
            halluc += not touched
            values.append(overlap(mask, data.masked(i, concept))[0] if touched and mask is not None else 0.0)
        count = len(values)
        told = {name for name, _ in data.sentences[i]}
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


def results(rows: Sequence[dict[str, Any]], data: Asked, blind: str) -> dict[str, Any]:
    """All numbers of one set."""
    forged = [r for r in rows if r["fake"]]
    names = ("where", "mask_only", "silent", *(f"asked by {how}" for how in fifa.POINTS))
    called = {"where": "localisation IoU", "mask_only": "the encoder's own map, IoU", "silent": "names nothing"}
    found: dict[str, Any] = {
        "pictures": len(rows), "forged": len(forged), "explanations": grounding(forged, data),
        "explanations, shuffled": grounding(forged, data, dealt(len(forged)).tolist()),
        "explanations, masks cut from the map": grounding([{**r, "mentions": r["cut"]} for r in forged], data),
        "others": {called.get(k, k): v for k, v in means(forged, names).items()},
        "by family": {f: {**grounding([r for r in forged if r["family"] == f], data)}
                      for f in sorted({r["family"] for r in forged})},
    }  # fmt: skip
    if len(forged) < len(rows):
        found["others"]["detection AUC"] = detection(rows)
        genuine = [r for r in rows if not r["fake"]]
        found["others"]["genuine faces of which nothing is named"] = means(genuine, ("silent",))["silent"]
    words = wording(forged, blind)
    found["text-only"] = {**words["texts"]["own"], **words["margins"]}
    return found


def table(found: dict[str, Any]) -> str:
    """The page."""
    lines = []
    for name, values in found.items():
        if not isinstance(values, dict) or "pictures" not in values:
            continue
        lines += [f"## {name}", "", f"{values['pictures']} pictures, {values['forged']} of them forged.", ""]
        lines += ["| explanations | own (95 %) | shuffled | masks cut from the map |", "|---|---|---|---|"]
        others = [values["explanations, shuffled"], values["explanations, masks cut from the map"]]
        lines += [f"| {k} | {' | '.join(map(three, (v, *(other[k] for other in others))))} |"
                  for k, v in values["explanations"].items()]  # fmt: skip
        for row in ("every region may be named", "regions as the network parses them", "the plain install's evidence"):
            if row in values:
                lines += [
                    "",
                    f"{row[0].upper()}{row[1:]}: " + ", ".join(f"{k} {three(v)}" for k, v in values[row].items()) + ".",
                ]
        lines += ["", f"| family | {' | '.join(list(values['explanations'])[:3])} |", "|---|---|---|---|"]
        lines += [f"| {k} | {' | '.join(three(x) for x in list(v.values())[:3])} |"
                  for k, v in values["by family"].items()]  # fmt: skip
        lines += ["", "| others | value (95 %) |", "|---|---|"]
        lines += [f"| {k} | {three(v)} |" for k, v in values["others"].items()]
        lines += [f"| text-only: {k} | {three(v) if isinstance(v, list) else f'{v:.3f}'} |"
                  for k, v in values["text-only"].items()]  # fmt: skip
        lines.append("")
    return "\n".join(lines)


def least(network: FiFa, data: Asked, rows: Sequence[int], most: float = 0.04) -> float:
    """The lowest chance of a region from which on at most `most` of those named are untouched."""
    chances, touched = [], []
    for begin in range(0, len(rows), BATCH):
        some = np.array(rows[begin : begin + BATCH])
        with torch.inference_mode():
            seen = network.seen(network.encoder(data.edits.images(some)), data.given(some) if network.prior else None)
        chances.append(seen.forged.sigmoid().numpy())
        touched.append(np.nan_to_num(data.shares[some]) >= TOUCHED)
    p, right = np.concatenate(chances).ravel(), np.concatenate(touched).ravel()
    for value in np.arange(0.3, 0.991, 0.01):
        if (p >= value).sum() < 20 or 1 - right[p >= value].mean() <= most:
            return round(float(value), 2)
    return 0.99


def told(made: edits.Edits, seed: int) -> list[str]:
    """A few hundred reports of training pictures."""
    size = int(made.pixels.shape[1])
    rows = [i for i, row in enumerate(made.rows) if row["fake"]][:300]
    return [
        reports.text(
            reports.sentences(made.rows[i], made.meshes[i], made.masks[i], size, np.random.default_rng([seed, i]))
        )
        for i in rows
    ]


def shown(rows: Sequence[dict[str, Any]], data: Asked, path: Path) -> None:
    """A sheet of forged pictures."""
    items = []
    for row in [r for r in rows if r["fake"]][:12]:
        pixels, true = data.edits.pixels[row["at"]], np.asarray(data.edits.masks[row["at"]]) >= 128
        big = np.kron(true, np.ones((edits.GRID, edits.GRID))) > 0
        masks = [np.asarray(m) >= HALF for _, m in row["mentions"] if m is not None]
        items.append((np.array(pixels), np.logical_or.reduce(masks) if masks else None, big, row["text"], row["true"]))
    sheet(items, path)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--draws", type=Path, help="where edits are kept (in --out)")
    parser.add_argument("--limit", type=int, default=400, help="pictures of each half at most (400)")
    parser.add_argument("--card", action="store_true", help="put least, strength and calibration on the weights' card")
    parser.add_argument("--sheet", type=Path, help="PNG of 12 pictures: claimed green, true red, both texts")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    recipe = Recipe.read(given.recipe)
    assert recipe.draws is not None
    network = FiFa.load(given.weights)
    place = given.draws or given.out / "edits"
    found: dict[str, Any] = {"weights": network.sha256}
    blind = constant(told(edits.drawn(recipe.draws, given.pack, place, "train"), recipe.seed))
    for name, families in (("seen families", None), ("a family never trained on: self-blends", UNSEEN)):
        data = Asked(edits.drawn(recipe.draws, given.pack, place, "val", families), recipe.seed)
        groups = [f"{row['source']}/{row['group']}" for row in data.edits.rows]
        chosen, held = ([i for i, group in enumerate(groups) if half(group) == side] for side in (0, 1))
        if families is None:
            found["least"] = least(network, data, chosen)
            facts = examined(network, data, chosen[: given.limit], recipe, found["least"])
            own = grounding([r for r in facts if r["fake"]], data)
            card = {"least": found["least"], "strength": round(own["mentions with a right mask"][0] or 0.0, 3),
                    "calibration": calibration(facts)}  # fmt: skip
            found["card"] = card
            if given.card:
                carded(given.weights, card)
        rows = examined(network, data, held[: given.limit], recipe, found["least"])
        found[name] = results(rows, data, blind)
        found[name]["examples"] = [{k: r[k] for k in ("family", "true", "answer")} for r in rows[:8]]
        if families is None:
            ways: dict[str, dict[str, Any]] = {
                "every region may be named": {"least": 0.0},
                "regions as the network parses them": {"least": found["least"], "mesh": False},
            }
            for row, options in ways.items():
                others = examined(network, data, held[: given.limit // 2], recipe, **options)
                found[name][row] = grounding([r for r in others if r["fake"]], data)
            claims = [r for r in evidence(data, held[: given.limit // 2]) if r["fake"]]
            found[name]["the plain install's evidence"] = grounding(claims, data)
            if given.sheet:
                shown(rows, data, given.sheet)
    given.out.mkdir(parents=True, exist_ok=True)
    write_whole(given.out / "results.json", json.dumps(found, indent=1).encode())
    write_whole(given.out / "results.md", table(found).encode())
    print(table(found))


if __name__ == "__main__":
    script(main)
