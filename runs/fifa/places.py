"""How often FiFa says that a place is forged where nothing is, and what mends it: its words beside its map and score.

    python runs/fifa/places.py runs/fifa/small.toml --pack PACK --weights runs/fifa/fifa.safetensors --out DIR [--card]

Half the pictures are genuine. About each one `--asked` regions are asked, up to half of them edited ones, by name, box,
mask and click. A logistic regression over the log-odds of a yes in words, how much of the place the map marks and
the score, map and score of both views, is fitted on held-out groups of training (`calibrate`). How much a question
about a genuine face counts there is chosen on them, too, out of fold: of the weights with which at most 5 % of such
questions get a yes, the one that is right most often about forged faces. It is measured on `val`, beside the words
alone, which is what the network says by itself. Writes places.json and places.md, and with --card `yes` onto the
weights' card, by which the witness then answers. DIR/looked-*.jsonl keeps what was asked; a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from facewitness.apps.script import script
from facewitness.files import write_whole
from facewitness.models.fifa import POINTS, QUESTIONS, FiFa, title
from facewitness.train import edits
from facewitness.train.fifa import Asked, Recipe
from facewitness.train.measuring import carded, means, three

TOUCHED = 0.1  # of a region in the mask, from which on it is forged; what is touched less is not asked about
FALSE = 0.05  # of questions about genuine faces that may get a yes, out of fold, where their weight is chosen
WEIGHTS = (1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3)  # that are tried
FOLDS = 5
BATCH = 8


def looked(network: FiFa, data: Asked, asked: int, log: Path) -> list[dict[str, Any]]:
    """A row for each question: what is known, and the truth."""
    held = [json.loads(x) for x in log.read_text().splitlines() if x.endswith("}")] if log.exists() else []
    done = max((row["at"] for row in held), default=-1) + 1
    with log.open("a", encoding="utf-8") as out:
        for begin in range(done, len(data), BATCH):
            rows = list(range(begin, min(begin + BATCH, len(data))))
            new = _rows(network, data, rows, asked)
            out.write("".join(json.dumps(row) + "\n" for row in new))
            out.flush()
            held += new
            print(f"{rows[-1] + 1} of {len(data)}", flush=True)
    return held


def _rows(network: FiFa, data: Asked, rows: Sequence[int], asked: int) -> list[dict[str, Any]]:
    pixels, given = data.edits.images(rows), data.given(rows)
    with torch.inference_mode():
        seen = network.seen(network.encoder(pixels), given)
        mirrored = network.seen(network.encoder(pixels.flip(3)), given.flip(3))
    facts, questions = [], []
    for row, i in enumerate(rows):
        shares = dict(zip(data.concepts, data.shares[i].tolist(), strict=True))
        forged = [name for name, share in shares.items() if share >= TOUCHED]
        whole = [name for name, share in shares.items() if share == 0]
        rng = np.random.default_rng([data.seed, i])
        names = [*rng.permutation(forged)[: asked // 2], *rng.permutation(whole)]
        for name in map(str, names[:asked]):
            for how in POINTS:
                query = data.query(i, name, how)
                if query is None:
                    continue
                asks = QUESTIONS["region_question" if how == "name" else "box_question"].format(name=title(name))
                questions.append((row, asks, (query,)))
                about = data.edits.rows[i]
                facts.append({"at": i, "group": f"{about['source']}/{about['group']}", "fake": about["fake"],
                              "region": name, "how": how, "forged": name in forged})  # fmt: skip
    known = network.odds(seen, questions, mirrored)
    return [fact | dict(zip(("words", "map", "face"), map(float, one), strict=True))
            for fact, one in zip(facts, known, strict=True)]  # fmt: skip


def columns(rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """What is known of each question."""
    return np.array([[row["words"], row["map"], row["face"]] for row in rows])


def _model(rows: Sequence[dict[str, Any]], weight: float) -> LogisticRegression:
    counts = [1.0 if row["fake"] else weight for row in rows]
    return LogisticRegression(C=1.0, max_iter=1000).fit(columns(rows), [row["forged"] for row in rows], counts)


def tried(rows: Sequence[dict[str, Any]], weight: float) -> tuple[float, float]:
    """Out of fold: false yes about genuine faces, and how often it is right about forged ones."""
    sums, groups = np.zeros(len(rows)), [row["group"] for row in rows]
    for learn, held in GroupKFold(FOLDS).split(sums, groups=groups):
        sums[held] = _model([rows[i] for i in learn], weight).decision_function(columns([rows[i] for i in held]))
    fake, forged = (np.array([row[key] for row in rows]) for key in ("fake", "forged"))
    return float((sums > 0)[~fake].mean()), float(((sums > 0) == forged)[fake].mean())


def fitted(rows: Sequence[dict[str, Any]]) -> tuple[dict[str, float], dict[str, Any]]:
    """Weights of what is known and an offset; and how the weight of genuine faces was chosen."""
    found = {weight: tried(rows, weight) for weight in WEIGHTS}
    held = [weight for weight, (false, _) in found.items() if false <= FALSE]
    weight = max(held, key=lambda w: found[w][1]) if held else WEIGHTS[0]
    model = _model(rows, weight)
    yes = dict(
        zip(("words", "map", "face", "offset"), [*model.coef_[0].tolist(), float(model.intercept_[0])], strict=True)
    )
    return yes, {
        "genuine": weight,
        "out of fold": {f"{w:g}": [round(v, 4) for v in values] for w, values in found.items()},
    }


def results(rows: Sequence[dict[str, Any]], yes: dict[str, float]) -> dict[str, Any]:
    """How often each way to answer is right, or says yes where nothing was done."""
    fit = np.array([yes[k] for k in ("words", "map", "face")])
    said = {"words": columns(rows)[:, 0] > 0, "together": columns(rows) @ fit + yes["offset"] > 0}
    found: dict[str, Any] = {}
    for how in POINTS:
        for way, answers in said.items():
            per = []
            for row, answer in zip(rows, answers.tolist(), strict=True):
                if row["how"] == how:
                    right = float(answer == row["forged"])
                    per.append({
                        "group": row["group"],
                        "false yes, genuine faces": float(answer) if not row["fake"] else np.nan,
                        "false yes, untouched regions of forged ones":
                            float(answer) if row["fake"] and not row["forged"] else np.nan,
                        "yes to edited regions": float(answer) if row["forged"] else np.nan,
                        "right about forged faces": right if row["fake"] else np.nan, "right": right,
                    })  # fmt: skip
            found[f"{way}, by {how}"] = means(per, tuple(per[0])[1:])
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask, fit, measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=400, help="that are measured on, half of them genuine")
    parser.add_argument("--fitted", type=int, default=480, help="that are fitted on, half of them genuine")
    parser.add_argument("--asked", type=int, default=6, help="regions asked about on a picture")
    parser.add_argument("--card", action="store_true", help="put the fit on the weights' card")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    recipe = Recipe.read(given.recipe)
    assert recipe.draws is not None
    network = FiFa.load(given.weights)
    rows = {}
    for split, count in (("calibrate", given.fitted), ("val", given.pictures)):
        draws = replace(recipe.draws, genuine=0.5, measured=count)
        data = Asked(edits.drawn(draws, given.pack, given.out / "edits", split), recipe.seed)
        rows[split] = looked(network, data, given.asked, given.out / f"looked-{split}.jsonl")
    yes, chosen = fitted(rows["calibrate"])
    found = {
        "weights": network.sha256, "yes": yes, "chosen": chosen,
        "questions": {split: len(each) for split, each in rows.items()},
        "pictures": {split: len({row["at"] for row in each}) for split, each in rows.items()},
        "groups": {split: len({row["group"] for row in each}) for split, each in rows.items()},
        "measured": results(rows["val"], yes),
    }  # fmt: skip
    if given.card:
        carded(given.weights, {"yes": yes})
    names = list(found["measured"])
    lines = [f"| on `val` | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for key in found["measured"][names[0]]:
        lines.append(f"| {key} | {' | '.join(three(found['measured'][name][key]) for name in names)} |")
    lines += ["", f"{found['questions']['val']} questions about {found['pictures']['val']} pictures of "
              f"{found['groups']['val']} people; fitted on {found['questions']['calibrate']} about "
              f"{found['pictures']['calibrate']} of {found['groups']['calibrate']}."]  # fmt: skip
    write_whole(given.out / "places.json", json.dumps(found, indent=1).encode())
    write_whole(given.out / "places.md", ("\n".join(lines) + "\n").encode())
    print("\n".join(lines))


if __name__ == "__main__":
    script(main)
