"""Whether a threshold of the score that was fitted elsewhere puts MARE's verdict above "always fake".

    python runs/mare/threshold.py MODEL --fit dma-train.parquet --unseen PACK --on DIR/predictions --out MD

Fits a threshold (the one that is right most often) and a logistic regression of the module's score on the questions of
the split `train` whose pictures PACK held out of the module's training, as `draws.py` takes them. On DIR/predictions,
of `evaluate.py`, it counts how often the score is right from one half on and by either fit, the words, and the majority
of a picture's words over all its questions, each less "always fake", paired, by groups. With --beside compact another
witness looks at the same pictures (`facewitness analyze` as it is), and a regression of both scores is fitted likewise:
what the module lacks, and not MARE. A face that witness does not find has the score that decides nothing. Writes a
table.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from facewitness import plugins
from facewitness.apps.script import script
from facewitness.bench import measures, predictions
from facewitness.builders import chats
from facewitness.calibration import logit
from facewitness.pipeline import Analyzer
from facewitness.train import paired
from facewitness.train.measuring import three
from facewitness.witnesses.mare import Prompted

_BESIDE = importlib.util.spec_from_file_location("mare_draws", Path(__file__).with_name("draws.py"))
assert _BESIDE is not None and _BESIDE.loader is not None
draws: Any = importlib.util.module_from_spec(_BESIDE)
sys.modules[_BESIDE.name] = draws
_BESIDE.loader.exec_module(draws)

EDGE = 1e-4


def scores_of(name: str, items: Sequence[Any]) -> dict[str, float]:
    """The log-odds of another witness's score of each picture, as a user gets it; 0 where it has none."""
    analyzer = Analyzer(witnesses=[plugins.get("witnesses", name).load()])
    out: dict[str, float] = {}
    for item in items:
        file = item.row["file"]
        if file not in out:
            said = [t.fake for face in analyzer.analyze(np.asarray(paired.picture(item.row))).faces
                    for t in face.verdict.testimonies if t.fake is not None]  # fmt: skip
            out[file] = float(logit(max(said), EDGE)) if said else 0.0
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, and count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--fit", type=Path, required=True, help="dma.parquet of the split train")
    parser.add_argument("--unseen", type=Path, required=True, help="the pack that the module learned from")
    parser.add_argument("--on", type=Path, required=True, help="predictions of evaluate.py")
    parser.add_argument("--beside", metavar="WITNESS", help="another witness, whose score is joined to the module's")
    parser.add_argument("--table", type=Path, help="dma.parquet of --on, which --beside looks at")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    if given.beside and given.table is None:
        parser.error("--beside: expected --table with it, the dma.parquet of the pictures of --on")
    items = draws.unseen(draws.evaluate.items(chats.read_dma(given.fit)), given.unseen)
    traces = draws.evaluate.traces_of(Prompted(str(given.model), "cpu", 384).model, items)
    x, y = np.array([logit(t, EDGE) for t in traces]), np.array([item.truth.label == "fake" for item in items])
    threshold = max(np.unique(x), key=lambda t: float(((x > t) == y).mean()))
    line = LogisticRegression(C=1.0).fit(x[:, None], y)
    rows = predictions.read(given.on)[0].to_pylist()
    fake = np.array([row["label"] == "fake" for row in rows])
    score = np.array([logit(row["score"], EDGE) for row in rows])
    words = np.array([row["says"] == "fake" for row in rows])
    by_picture: dict[str, list[bool]] = defaultdict(list)
    for row, word in zip(rows, words.tolist(), strict=True):
        by_picture[row["file"]].append(word)
    says = {
        "always fake": np.ones(len(rows), bool), "the score, from one half on": score > 0,
        "the score, by the fitted threshold": score > threshold,
        "the score, by the fitted regression": np.asarray(line.predict(score[:, None]), bool), "the words": words,
        "the words, most of a picture's": np.array([np.mean(by_picture[row["file"]]) >= 0.5 for row in rows]),
    }  # fmt: skip
    if given.beside:
        theirs = scores_of(given.beside, items)
        both = np.array([(value, theirs[item.row["file"]]) for value, item in zip(x, items, strict=True)])
        theirs |= scores_of(given.beside, draws.evaluate.items(chats.read_dma(given.table)))
        other = np.array([theirs[row["file"]] for row in rows])
        joined = LogisticRegression(C=1.0).fit(both, y)
        alone = LogisticRegression(C=1.0).fit(both[:, 1:], y)
        says[f"{given.beside}'s score, by a fitted regression"] = np.asarray(alone.predict(other[:, None]), bool)
        says[f"the score and {given.beside}'s, by a fitted regression"] = np.asarray(
            joined.predict(np.column_stack([score, other])), bool
        )
    right = {name: (each == fake).astype(np.float64) for name, each in says.items()}
    codes, ones = np.unique([row["group"] for row in rows], return_inverse=True)[1], np.ones(len(rows))
    values = measures.ratios({name: (each, ones) for name, each in right.items()}, codes)
    less = measures.ratios({name: (each - right["always fake"], ones) for name, each in right.items()}, codes)
    lines = ["| verdict by | right | less always fake |", "|---|---|---|"]
    for name, value in values.items():
        beside = less[name]
        lines.append(f"| {name} | {three((value.value, value.low, value.high))} | "
                     f"{three((beside.value, beside.low, beside.high))} |")  # fmt: skip
    pictures, groups = len({i.row["file"] for i in items}), len({i.row["group"] for i in items})
    lines += ["", f"{len(rows)} questions about {len(by_picture)} pictures of {codes.max() + 1} groups; fitted on "
              f"{len(items)} questions about {pictures} pictures of {groups} groups: from "
              f"{1 / (1 + np.exp(-threshold)):.3f} on."]  # fmt: skip
    given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    script(main)
