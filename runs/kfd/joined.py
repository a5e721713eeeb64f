"""Whether KFD's words, map and score are joined as well as they can be in questions about a region.

    python runs/kfd/joined.py --pack PACK --weights runs/kfd/kfd.safetensors --model runs/kfd/model \\
        --fitted DIR --out DIR2 [--pictures 48]

DIR is --out of `words.py fit`, of which no question is asked again. Each way to join them is judged on eighths of the
groups of `calibrate` that it was not fitted to; the best is then measured on `val`, where the language model's log-odds
are asked anew, beside the way of words.py. "Usual" is a region's mean coverage on `calibrate`: a map covers
a mouth more than a chin, whoever is looked at. Writes joined.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.files import write_whole
from facewitness.train.measuring import three
from facewitness.witnesses import _chosen

_BESIDE = importlib.util.spec_from_file_location("kfd_words", Path(__file__).with_name("words.py"))
assert _BESIDE is not None and _BESIDE.loader is not None
of_words: Any = importlib.util.module_from_spec(_BESIDE)
sys.modules[_BESIDE.name] = of_words
_BESIDE.loader.exec_module(of_words)

FLOORS = (-np.inf, -2.0, -1.5, -1.0, -0.5, 0.0)  # log-odds of a forged face, under which no region is accused
Row = dict[str, Any]  # group, region, words, covered (logits by region), face, forged


def features(row: Row, usual: Mapping[str, float], way: str) -> list[float]:
    """What one way looks at."""
    covered, name = row["covered"], row["region"]
    own, others = covered[name], sorted((v for k, v in covered.items() if k != name), reverse=True)
    plain = [row["words"], own, others[0], row["face"]]
    less = {k: v - usual[k] for k, v in covered.items()}
    rivals = sorted((v for k, v in less.items() if k != name), reverse=True)
    unusual = [less[name], *rivals[:2], float(np.mean(list(less.values()))), float(sum(v > less[name] for v in rivals))]
    named = [float(name == k) for k in _chosen.NAMED]
    return {
        "as words.py joins": plain, "without words": plain[1:], "squares and products": plain,
        "trees": plain, "an offset a region": [*plain, *named],
        "less the usual": [row["words"], less[name], rivals[0], row["face"]],
        "less the usual, with rank and mean": [row["words"], row["face"], *unusual],
        "all of it": [*plain, *unusual, *named],
    }[way]  # fmt: skip


def learner(way: str) -> Any:
    """What is fitted."""
    line = LogisticRegression(C=0.3, max_iter=5000)
    if way == "trees":
        return GradientBoostingClassifier(n_estimators=60, max_depth=2, subsample=0.7, random_state=0)
    if way == "squares and products":
        return make_pipeline(StandardScaler(), PolynomialFeatures(2), line)
    return make_pipeline(StandardScaler(), line)


WAYS = ("as words.py joins", "without words", "squares and products", "trees", "an offset a region", "less the usual",
        "less the usual, with rank and mean", "all of it")  # fmt: skip


def fitted(rows: Sequence[Row], way: str, floor: float) -> Callable[[Sequence[Row]], NDArray[np.bool_]]:
    """What says yes or no to other rows."""
    usual = {name: float(np.mean([row["covered"][name] for row in rows if name in row["covered"]]))
             for name in _chosen.NAMED}  # fmt: skip
    model = learner(way).fit([features(row, usual, way) for row in rows], [row["forged"] for row in rows])

    def says(others: Sequence[Row]) -> NDArray[np.bool_]:
        face = np.array([row["face"] for row in others])
        return np.asarray(model.predict([features(row, usual, way) for row in others]), bool) & (face > floor)

    return says


def elsewhere(rows: Sequence[Row], way: str, floor: float, parts: int = 8) -> float:
    """The share of questions answered rightly, fitted on other groups."""
    part = np.array([zlib.crc32(row["group"].encode()) % parts for row in rows])
    right = []
    for p in set(part.tolist()):
        says = fitted([row for row, at in zip(rows, part, strict=True) if at != p], way, floor)
        these = [row for row, at in zip(rows, part, strict=True) if at == p]
        right += [s == row["forged"] for s, row in zip(says(these).tolist(), these, strict=True)]
    return float(np.mean(right))


def asked(given: argparse.Namespace, split: str, pictures: int, folder: Path) -> list[Row]:
    """Rows of the questions about regions; what a log has is not asked again."""
    held = {(line["file"], line["question"]): line["words"] for line in of_words._lines(folder / "weighed.jsonl")}
    model, rows = of_words.gathered(argparse.Namespace(**{**vars(given), "pictures": pictures, "out": folder}), split)
    out = []
    for item, seen in rows:
        if not item.asked or item.asked not in seen.covered:
            continue
        words = held.get((item.file, item.question))
        if words is None:
            prompt = of_words.asked_of(model, item, seen)
            yes, no = model.likelihoods(seen.crop, prompt, (_chosen.YES, _chosen.NO), ended=False)
            words = yes - no
            line = {"file": item.file, "question": item.question, "words": words, "sets": [], "values": []}
            of_words._note(folder / "weighed.jsonl", line)
        covered = {name: _chosen.log_odds(value) for name, value in seen.covered.items()}
        out.append({"group": item.group, "region": item.asked, "words": words, "covered": covered,
                    "face": _chosen.log_odds(seen.score), "forged": item.asked in item.regions})  # fmt: skip
    return out


def share(right: Sequence[float], rows: Sequence[Row]) -> str:
    """A mean with its interval by groups."""
    codes = np.unique([row["group"] for row in rows], return_inverse=True)[1]
    value = measures.ratios({"": (np.asarray(right, np.float64), np.ones(len(rows)))}, codes)[""]
    return three((value.value, value.low, value.high))


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit each way, choose one, measure it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--fitted", type=Path, required=True, help="--out of words.py fit")
    parser.add_argument("--fit-pictures", type=int, default=150, help="--pictures of words.py fit")
    parser.add_argument("--pictures", type=int, default=48, help="genuine pictures of val, each with a forgery of it")
    parser.add_argument("--sources", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    rows = asked(given, "calibrate", given.fit_pictures, given.fitted)
    lines = ["| joined by | right on groups that the fit had not seen | floor |", "|---|---|---|"]
    best: dict[str, tuple[float, float]] = {}
    for way in WAYS:
        best[way] = max((elsewhere(rows, way, floor), floor) for floor in FLOORS)
        lines.append(f"| {way} | {best[way][0]:.3f} | {best[way][1]:g} |")
    chosen = max(WAYS, key=lambda way: best[way][0])
    val = asked(given, "val", given.pictures, given.out)
    truth = np.array([row["forged"] for row in val])
    right = {way: (fitted(rows, way, best[way][1])(val) == truth).astype(float) for way in (WAYS[0], chosen)}
    alone = (np.array([row["words"] for row in val]) > 0) == truth
    lines += ["", f"| on `val`, {len(val)} questions | right |", "|---|---|"]
    lines.append(f"| the model alone | {share(alone.astype(float).tolist(), val)} |")
    lines += [f"| {way} | {share(values.tolist(), val)} |" for way, values in right.items()]
    if chosen != WAYS[0]:
        lines.append(f"| … less that as words.py joins | {share((right[chosen] - right[WAYS[0]]).tolist(), val)} |")
    lines += ["", f"Fitted on {len(rows)} questions of {len({row['group'] for row in rows})} groups of `calibrate`."]
    write_whole(given.out / "joined.md", ("\n".join(lines) + "\n").encode())
    print("\n".join(lines))


if __name__ == "__main__":
    script(main)
