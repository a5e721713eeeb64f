"""Fits how MARE's replies are drawn and chosen (`witnesses/_drawn`), on pictures that its module was not shown.

    python runs/mare/draws.py dma.parquet --unseen PACK --model MODEL --out DIR        writes MODEL/draws.json

dma.parquet is of the split `train`; of it the pictures count that PACK, from which the module learned, holds out
(`calibrate`). To each question a number of replies is drawn at one temperature. Their majority is the verdict, unless
the module's score, or a logistic regression of both, is right more often on groups that its fit did not see: by an
interval over groups, paired. The language model did learn from these pictures, so that its share is flattered; what
it is worth is for `evaluate.py` to say, on `val`, of which nothing is looked at here.

DIR/drawn.jsonl keeps what was drawn, a line a question; a stopped run (`--minutes`) goes on when it is given again.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.builders import chats
from facewitness.builders.pack import Pack
from facewitness.calibration import logit
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.grammars import mare
from facewitness.train import paired
from facewitness.witnesses import _drawn
from facewitness.witnesses.mare import Prompted

_HERE = importlib.util.spec_from_file_location("mare_evaluate", Path(__file__).with_name("evaluate.py"))
assert _HERE is not None and _HERE.loader is not None
evaluate: Any = importlib.util.module_from_spec(_HERE)
sys.modules[_HERE.name] = evaluate
_HERE.loader.exec_module(evaluate)

Row = tuple[str, float, float, bool]  # group, log-odds of the words, of the score, whether it is fake


def unseen(items: Sequence[Any], pack: Path) -> list[Any]:
    """The items about pictures that a pack holds out. Raises InputError where there are none."""
    held = {Path(row["file"]).stem for row in Pack(pack).rows if row["split"] == "calibrate"}
    kept = [item for item in items if Path(item.row["file"]).stem in held]
    if not kept:
        raise InputError(f"'{pack}': expected a pack that holds out some of the pictures asked about, got none")
    return kept


def drawn(talker: Any, asked: Sequence[Any], given: argparse.Namespace) -> list[dict[str, Any]]:
    """What is drawn to each question, with the score; kept a line each. Raises InputError when the time is over."""
    file = given.out / "drawn.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = file.read_text(encoding="utf-8").split("\n") if file.is_file() else []
    held = {(line["file"], line["question"]): line for line in map(json.loads, (x for x in lines if x.endswith("}")))}
    score = dict(zip([i.row["file"] for i in asked], evaluate.traces_of(talker.model, asked), strict=True))
    until = time.monotonic() + 60 * given.minutes
    with file.open("a", encoding="utf-8") as out:
        for n, item in enumerate(asked):
            key = item.row["file"], item.row["question"]
            if key in held:
                continue
            if time.monotonic() > until:
                raise InputError(f"Drew for {n} of {len(asked)} questions, and the time is over. Run the same again.")
            crop, prompt = np.array(paired.picture(item.row)), item.row["prompt"]
            seed = _drawn.seed(crop, prompt)
            texts = talker.draws(crop, prompt, given.draws, given.temperature, seed, _drawn.WORDS)
            held[key] = {"file": key[0], "question": key[1], "group": item.row["group"], "label": item.truth.label,
                         "score": score[key[0]], "texts": texts}  # fmt: skip
            out.write(json.dumps(held[key], ensure_ascii=False) + "\n")
            out.flush()
    return [held[item.row["file"], item.row["question"]] for item in asked]


def odds(line: dict[str, Any]) -> Row:
    """What the words and the score say of one question's picture."""
    said = [mare.parse(text).label for text in line["texts"]]
    words = _drawn.voted(said.count("fake"), said.count("real"))
    return line["group"], words, float(logit(line["score"], _drawn.EDGE)), line["label"] == "fake"


def fitted(rows: Sequence[Row], which: str) -> tuple[float, float, float]:
    """Weights of words and of the score, and the offset: of both, or of the score alone."""
    columns = {"score": (0, 1), "together": (1, 1)}[which]
    x = np.array([(w * columns[0], e * columns[1]) for _, w, e, _ in rows])
    model = LogisticRegression(C=1.0, max_iter=1000).fit(x, [fake for *_, fake in rows])
    return float(model.coef_[0, 0]), float(model.coef_[0, 1]), float(model.intercept_[0])


def elsewhere(rows: Sequence[Row], parts: int = 8) -> dict[str, NDArray[np.bool_]]:
    """Which questions the draws' majority, the score and both answer rightly, fitted on other groups.

    Args:
        rows: of questions; a part of the groups is judged by what the others were fitted to.
        parts: how many.
    """
    part = [zlib.crc32(group.encode()) % parts for group, *_ in rows]
    truth = np.array([fake for *_, fake in rows])
    right = {"words": (np.array([words for _, words, *_ in rows]) > 0) == truth}
    for name in ("score", "together"):
        right[name] = np.zeros(len(rows), bool)
        for p in set(part):
            others = [row for row, at in zip(rows, part, strict=True) if at != p]
            words, evidence, offset = fitted(others, name)
            for i in (i for i, at in enumerate(part) if at == p):
                right[name][i] = (words * rows[i][1] + evidence * rows[i][2] + offset > 0) == truth[i]
    return right


def better(right: dict[str, NDArray[np.bool_]], groups: Sequence[str], seed: int = 0) -> str:
    """The name of what is right most often: "words" unless another one is by an interval over groups, paired."""
    codes = np.unique(groups, return_inverse=True)[1]
    ones = np.ones(len(groups))
    less = {name: (right[name] * 1.0 - right["words"], ones) for name in ("score", "together")}
    found = measures.ratios(less, codes, seed=seed)
    sure = [name for name, value in found.items() if value.low is not None and value.low > 0]
    return max(sure, key=lambda name: right[name].mean(), default="words")


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw, fit and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("table", type=Path, help="dma.parquet of the split train")
    parser.add_argument("--unseen", type=Path, required=True, help="the pack that the module learned from")
    parser.add_argument("--model", type=Path, required=True, help="folder of the language model")
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--most", type=int, help="so many questions, in an order drawn with --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=np.inf)
    parser.add_argument("--tokens", type=int, default=384)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    items = unseen(evaluate.items(chats.read_dma(given.table)), given.unseen)
    order = np.random.default_rng(given.seed).permutation(len(items))[: given.most]
    lines = drawn(Prompted(str(given.model), "cpu", given.tokens), [items[i] for i in order], given)
    found = written(lines, given)
    print(json.dumps(found, indent=1))


def written(lines: Sequence[dict[str, Any]], given: argparse.Namespace) -> dict[str, Any]:
    """Fit, write draws.json, and what stands in it."""
    rows = [odds(line) for line in lines]
    right = elsewhere(rows)
    best = better(right, [group for group, *_ in rows], given.seed)
    words, evidence, offset = (1.0, 0.0, 0.0) if best == "words" else fitted(rows, best)
    drawing = _drawn.Drawing(given.draws, given.temperature, words, evidence, offset)
    chosen = [_drawn.chosen(line["texts"], line["score"], drawing) for line in lines]
    first = [line["texts"][0] for line in lines]
    about: dict[str, Any] = {
        "split": "calibrate", "questions": len(rows), "groups": len({group for group, *_ in rows}), "seed": given.seed,
        "verdict": best, "right_elsewhere": {name: round(float(value.mean()), 4) for name, value in right.items()},
        "fakes": round(float(np.mean([fake for *_, fake in rows])), 4),
        "texts": {"chosen": _different(chosen), "first_drawn": _different(first)},
        "form": {"chosen": _form(chosen), "first_drawn": _form(first)},
    }  # fmt: skip
    found = {**drawing.to_json(), "fitted": about}
    write_whole(given.model / _drawn.FILE, (json.dumps(found, indent=1) + "\n").encode())
    return found


def _different(texts: Sequence[str]) -> int:
    return len({mare.parse(text).text for text in texts})


def _form(texts: Sequence[str]) -> float:
    return round(float(np.mean([not mare.refusals(text) for text in texts])), 4)


if __name__ == "__main__":
    script(main)
