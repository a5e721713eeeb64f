"""How often ForgeryTalker accuses areas of genuine people, and what is left of that where its own score says no sign.

    python runs/forgerytalker/gate.py runs/forgerytalker/small.toml --pack PACK --weights FILE --out DIR

Half the pictures are genuine; people of the half that chose the card's calibration are left out. A report is written as
the network writes it, and again with no area in its instruction where the card's calibration calls the score no sign,
as the witness does. Writes gate.json and gate.md; DIR/said.jsonl keeps what was said, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from facewitness.apps.script import script
from facewitness.calibration import decided
from facewitness.files import write_whole
from facewitness.models.forgerytalker import ForgeryTalker
from facewitness.train import edits, reports
from facewitness.train.forgerytalker import Drawn, Recipe
from facewitness.train.measuring import half, jaccard, means, three, wording

BATCH = 8


def said(network: ForgeryTalker, data: Drawn, calibration: Any, tokens: int, log: Path) -> list[dict[str, Any]]:
    """A row a picture of the half that is measured on: what is said, and what with the gate."""
    held = [json.loads(x) for x in log.read_text().splitlines() if x.endswith("}")] if log.exists() else []
    done = {row["at"] for row in held}
    facts = [(i, f"{row['source']}/{row['group']}") for i, row in enumerate(data.edits.rows)]
    wanted = [(i, group) for i, group in facts if half(group) == 1 and i not in done]
    with log.open("a", encoding="utf-8") as out:
        for begin in range(0, len(wanted), BATCH):
            part = wanted[begin : begin + BATCH]
            pixels = data.images([i for i, _ in part])
            with torch.inference_mode():
                features = network.encoder(pixels)
                spoken = network.speak_of(pixels, features, tokens)
                shut = [decided(max(one.areas.values()), calibration) == "real" for one in spoken]
                again = [one.text for one in spoken]
                for k, one in enumerate(spoken):
                    if shut[k] and one.named:
                        again[k] = network.speak(pixels[k : k + 1], tokens, named=[()])[0].text
            for (i, group), one, gated, closed in zip(part, spoken, again, shut, strict=True):
                row = {"at": i, "group": group, "fake": data.edits.rows[i]["fake"], "text": one.text, "gated": gated,
                       "closed": closed, "true": data.reports([i])[0]}  # fmt: skip
                out.write(json.dumps(row) + "\n")
                held.append(row)
            out.flush()
            print(f"{begin + len(part)} of {len(wanted)}", flush=True)
    return held


def measured(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Both ways, beside each other."""
    found: dict[str, Any] = {}
    for name, key in (("as written", "text"), ("with the gate", "gated")):
        per = []
        for row in rows:
            areas, true = reports.areas(row[key]), reports.areas(row["true"])
            per.append({
                "group": row["group"],
                "genuine faces of which an area is said": float("nan") if row["fake"] else float(bool(areas)),
                "forged faces of which an area is said": float(bool(areas)) if row["fake"] else float("nan"),
                "PLM of the words, forged faces": jaccard(areas, true) if row["fake"] else float("nan"),
            })  # fmt: skip
        found[name] = means(per, tuple(per[0])[1:])
        forged = [{**row, "text": row[key]} for row in rows if row["fake"]]
        found[name]["CIDEr over shuffled, forged faces"] = wording(forged, reports.NOTHING)["margins"][
            "CIDEr over shuffled"
        ]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask, measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=400, help="half of them genuine; about half are measured on")
    parser.add_argument("--draws", type=Path, help="where edits are kept (in --out)")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    recipe = Recipe.read(given.recipe)
    assert recipe.draws is not None
    network = ForgeryTalker.load(given.weights)
    network.mirror = False  # a mask is not looked at
    calibration = json.loads(given.weights.with_suffix(".json").read_text(encoding="utf-8"))["calibration"]
    given.out.mkdir(parents=True, exist_ok=True)
    draws = replace(recipe.draws, genuine=0.5, measured=given.pictures)
    data = Drawn(edits.drawn(draws, given.pack, given.draws or given.out / "edits", "val"), recipe.seed)
    rows = said(network, data, calibration, recipe.max_tokens, given.out / "said.jsonl")
    found = measured(rows)
    forged = sum(row["fake"] for row in rows)
    names = list(found)
    lines = [f"| on `val` | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {key} | {' | '.join(three(found[name][key]) for name in names)} |" for key in found[names[0]]]
    lines += [
        "",
        f"{len(rows) - forged} genuine and {forged} forged pictures; the gate closed on "
        f"{sum(r['closed'] and not r['fake'] for r in rows)} and {sum(r['closed'] and r['fake'] for r in rows)}.",
    ]
    facts = {"weights": network.sha256, "pictures": len(rows), "measured": found}
    write_whole(given.out / "gate.json", json.dumps(facts, indent=1).encode())
    write_whole(given.out / "gate.md", ("\n".join(lines) + "\n").encode())
    print("\n".join(lines))


if __name__ == "__main__":
    script(main)
