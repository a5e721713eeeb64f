"""Table 3 at small size: MIDS with and without masked results, frozen and unfrozen, beside the anchor alone.

    python runs/ffaa/table3.py CALIBRATE.parquet VAL.parquet --init-from runs/compact/last.safetensors --out OUT

The tables are those of mine.py. Every row of the table and seed is trained by runs/ffaa/mids-small.toml with `masked`
and `unfreeze` changed, on features that are computed once. Writes runs/ffaa/table3.json after each run: accuracy, AUC,
average precision, sACC over the sources, easy and hard, and the difference to the anchor, with 95 % intervals over
groups drawn anew; what a decision takes in ONNX on one core; and OUT/mids.onnx of the best row.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
from sklearn.metrics import average_precision_score, roc_auc_score

from facewitness.bench.measures import sacc
from facewitness.files import write_whole
from facewitness.grammars import ffa_cot
from facewitness.models import mids as model
from facewitness.models import minilm
from facewitness.train import mids

HERE = Path(__file__).parent
ROWS = {1: (False, 0), 2: (False, 2), 3: (True, 0), 4: (True, 2)}  # Table 3's ID -> masked, unfrozen
DRAWS = 1000


def measured(fake: np.ndarray, rows: Sequence[mids.Mined], anchor: np.ndarray | None = None) -> dict:
    """All numbers of one system; with the anchor's scores the differences to it, too."""
    truth = np.array([row.label == "fake" for row in rows])
    easy = np.array([row.easy for row in rows])
    groups = np.array([f"{row.dataset}/{row.group}" for row in rows])
    sources = np.array([row.dataset for row in rows])
    members = {name: np.flatnonzero(groups == name) for name in np.unique(groups)}
    rng, names = np.random.default_rng(0), np.array(sorted(members))
    drawn = [np.concatenate([members[n] for n in rng.choice(names, len(names))]) for _ in range(DRAWS)]

    def of(score: np.ndarray, at: np.ndarray) -> dict[str, float | None]:
        right = (score >= 0.5) == truth
        both = truth[at].any() and not truth[at].all()
        big = [s for s in np.unique(sources) if (sources == s).sum() >= 5]
        hard, simple = at[~easy[at]], at[easy[at]]
        return {
            "acc": float(right[at].mean()),
            "auc": float(roc_auc_score(truth[at], score[at])) if both else None,
            "ap": float(average_precision_score(truth[at], score[at])) if both else None,
            "sacc": sacc([right[at[sources[at] == s]].mean() if (sources[at] == s).any() else None for s in big]),
            "acc_easy": float(right[simple].mean()) if len(simple) else None,
            "acc_hard": float(right[hard].mean()) if len(hard) else None,
        }

    here = of(fake, np.arange(len(rows)))
    spread = [of(fake, at) for at in drawn]
    found = {name: [_rounded(value), *_interval([s[name] for s in spread])] for name, value in here.items()}
    if anchor is not None:
        other = [of(anchor, at) for at in drawn]
        first = of(anchor, np.arange(len(rows)))
        for name in ("acc", "auc", "acc_hard", "acc_easy"):
            gains = [a[name] - b[name] for a, b in zip(spread, other, strict=True) if None not in (a[name], b[name])]
            value = None if None in (here[name], first[name]) else here[name] - first[name]
            found[f"{name} less anchor"] = [_rounded(value), *_interval(gains)]
    return found


def _interval(values: Sequence[float | None]) -> list[float | None]:
    kept = [value for value in values if value is not None]
    return [_rounded(float(v)) for v in np.quantile(kept, [0.025, 0.975])] if kept else [None, None]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def anchors(rows: Sequence[mids.Mined]) -> np.ndarray:
    """What the anchor alone says, as a forgery score."""
    fake = [ffa_cot.parse(row.answers[0]).fake for row in rows]
    return np.array([0.5 if value is None else value for value in fake])


def timed(trained: model.MIDS, rows: Sequence[mids.Mined], recipe: mids.Recipe, out: Path) -> dict:
    """Milliseconds of processor time a face for three answers, on one core."""
    texts = [ffa_cot.masked(text) for text in rows[0].answers]
    since = time.process_time()
    for _ in range(3):
        states, seen = minilm.states(texts)
    read = (time.process_time() - since) / 3
    states, seen = states[:, : recipe.read_tokens], seen[:, : recipe.read_tokens]
    places = (recipe.size // 32) ** 2 + 1
    facts = {"masked": recipe.masked, "read_tokens": recipe.read_tokens, "size": recipe.size}
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    found = {"read three answers with MiniLM in numpy": read}
    rng = np.random.default_rng(0)
    images = {f"image{k}": rng.normal(size=(3, places, c)).astype(np.float32) for k, c in ((1, 320), (2, 160))}
    crop = {"crop": rng.integers(0, 255, (1, recipe.size, recipe.size, 3), dtype=np.uint8)}
    for name, module, inputs in (
        ("fusion and classification", trained.fusion, images), ("with the image's encoder", trained, crop),
    ):  # fmt: skip
        file = out / ("mids.onnx" if module is trained else "fusion.onnx")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.export(module, file, facts, (places, places))
        session = onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
        given = {**inputs, "text": states, "seen": seen}
        session.run(None, given)
        since = time.process_time()
        for _ in range(20):
            session.run(None, given)
        found[name] = (time.process_time() - since) / 20
    return {name: round(1000 * value, 2) for name, value in found.items()} | {"tokens": int(states.shape[1])}


def main() -> None:
    """Trains, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("mined", type=Path)
    parser.add_argument("tested", type=Path)
    parser.add_argument("--init-from", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    recipe = mids.Recipe.read(HERE / "mids-small.toml")
    rows, tested = mids.kept(recipe, mids.read_mined(given.mined)), mids.read_mined(given.tested)
    mids.disjoint(mined=[(row.dataset, row.group) for row in rows], tested=[(row.dataset, row.group) for row in tested])
    anchor = anchors(tested)
    results = {
        "mined": len(rows), "mined_easy": round(float(np.mean([row.easy for row in rows])), 4),
        "tested": len(tested), "easy": round(float(np.mean([row.easy for row in tested])), 4),
        "anchor": measured(anchor, tested), "runs": [],
    }  # fmt: skip
    began = time.process_time()
    prepared: dict[bool, tuple[mids.Features, mids.Features]] = {}
    base = mids.make(recipe, given.init_from)
    plain = (
        mids.features(recipe, base, rows, minilm.states, recipe.copies),
        mids.features(recipe, base, tested, minilm.states, 0),
    )
    for masked in (True, False):
        if masked == recipe.masked:
            prepared[masked] = plain
        else:
            other = replace(recipe, masked=masked)
            prepared[masked] = tuple(
                replace(f, text=t[0], seen=t[1])
                for f, t in zip(plain, (mids.texts(other, r, minilm.states) for r in (rows, tested)), strict=True)
            )
    for seed in range(given.seeds):
        for number in (4, 3, 2, 1):
            masked, unfreeze = ROWS[number]
            one = replace(recipe, masked=masked, unfreeze=unfreeze, seed=seed)
            folder = given.out / f"row{number}-{seed}"
            trained = mids.train(
                one, given.mined, folder, init_from=given.init_from, prepared=prepared[masked][0], save_every=10_000
            )
            found = mids.decisions(tested, mids.logits(trained, prepared[masked][1]))
            fake = np.array([0.5 if decision is None else decision.fake for decision in found])
            results["runs"].append({"row": number, "seed": seed, **measured(fake, tested, anchor)})
            if number == 4 and seed == 0:
                results["milliseconds a face"] = timed(trained, tested, one, given.out)
                results["parameters"] = sum(p.numel() for p in trained.parameters())
            results["seconds of processor time"] = round(time.process_time() - began)
            write_whole(HERE / "table3.json", json.dumps(results, indent=1).encode())
            print(json.dumps(results["runs"][-1]), flush=True)


if __name__ == "__main__":
    main()
