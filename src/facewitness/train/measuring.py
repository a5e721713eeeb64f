"""What the small grounding systems are measured by, on edits whose truth is known: masks, words, and their controls.

overlap(found, truth)        IoU, precision and recall of one mask, from one half on
means(rows, names)           means over pictures with 95 % intervals by a bootstrap over people
wording(rows, blind)         CIDEr, ROUGE-L and BLEU, and CIDEr's margin over speakers that did not look
detection(rows)              AUC of the scores, with its interval
three(value)                 "0.512 (0.47–0.55)", as tables have it
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facewitness.bench import measures
from facewitness.bench.wording import Corpus, tokenize
from facewitness.calibration import Calibration
from facewitness.files import write_whole

HALF = 0.5  # of a mask, from which on a sample is forged


def overlap(predicted: NDArray[Any], truth: NDArray[Any]) -> tuple[float, float, float]:
    """IoU, precision and recall of two masks in [0, 1], at the truth's resolution; no precision (NaN) of nothing.

    Args:
        predicted: (H, W), brought to the truth's size by the mean.
        truth: (h, w).

    Returns:
        IoU, precision and recall, each in [0, 1].
    """
    if predicted.shape != truth.shape:
        predicted = cv2.resize(np.asarray(predicted, np.float32), truth.shape[::-1], interpolation=cv2.INTER_AREA)
    a, b = predicted >= HALF, truth >= HALF
    both = float((a & b).sum())
    iou = both / max(float((a | b).sum()), 1.0)
    return iou, both / float(a.sum()) if a.any() else float("nan"), both / max(float(b.sum()), 1.0)


def jaccard(a: Sequence[str], b: Sequence[str]) -> float:
    """Equation 12 of one picture; two empty sets agree.

    Args:
        a: Names.
        b: Names.
    """
    return len(set(a) & set(b)) / len(set(a) | set(b)) if set(a) | set(b) else 1.0


def means(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, list[float | None]]:
    """Mean, low and high of each column; a row says its `group`, NaN is left out.

    Args:
        rows: One mapping a picture.
        names: Of the columns.

    Returns:
        Column → value, low and high.
    """
    values = {name: np.array([row[name] for row in rows], np.float64) for name in names}
    values_of = measures.ratios({k: (v, np.where(np.isnan(v), np.nan, 1.0)) for k, v in values.items()},
                            [row["group"] for row in rows])  # fmt: skip
    return {k: [v.value, v.low, v.high] for k, v in values_of.items()}


def detection(rows: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """AUC of `score` against `fake`, low and high.

    Args:
        rows: One mapping a picture.
    """
    auc = measures.detection([r["fake"] for r in rows], [r["score"] for r in rows], [r["group"] for r in rows])["auc"]
    return [auc.value, auc.low, auc.high]


def constant(texts: Sequence[str]) -> str:
    """The one report that is nearest to all of a training set's, by CIDEr on a few: its speaker is blind.

    Args:
        texts: The training set's reports.
    """
    some = list(dict.fromkeys(texts))[:60]
    others = tokenize(list(texts[:150]), "plain")
    values = [float(Corpus([t] * len(others), [[o] for o in others]).cider().mean()) for t in tokenize(some, "plain")]
    return some[int(np.argmax(values))]


def dealt(count: int, seed: int = 0) -> NDArray[np.intp]:
    """Whose text each picture is given by the control: nobody gets their own.

    Args:
        count: How many pictures there are.
        seed: Of the order and of whatever is drawn.

    Returns:
        (pictures,) indices.
    """
    order = np.random.default_rng(seed).permutation(count)
    other = np.empty(count, np.intp)
    other[order] = np.roll(order, 1)
    return other


def wording(
    rows: Sequence[Mapping[str, Any]], blind: str, more: Mapping[str, Sequence[str]] | None = None, seed: int = 0
) -> dict[str, Any]:
    """Each text's measures against `true`, and CIDEr's margin over the controls with intervals.

    Args:
        rows: `text` and `true` of each picture, and its `group`.
        blind: The constant report.
        more: Other texts about the same pictures, by name.
        seed: Of whose text is whose in the shuffled control.

    Returns:
        Texts' scores by name, and the margins.
    """
    texts: dict[str, Sequence[str]] = {"own": [r["text"] for r in rows], **(more or {})}
    texts["shuffled"] = [rows[i]["text"] for i in dealt(len(rows), seed)]
    texts["image-blind"] = [blind] * len(rows)
    references = [[t] for t in tokenize([r["true"] for r in rows], "plain")]
    ciders, scores = {}, {}
    for name, replies in texts.items():
        corpus = Corpus(tokenize(list(replies), "plain"), references)
        ciders[name] = corpus.cider()
        scores[name] = {"CIDEr": float(ciders[name].mean()), "ROUGE-L": float(corpus.rouge_l().mean()),
                       **{f"BLEU-{n}": value for n, value in enumerate(corpus.bleu(), start=1)}}  # fmt: skip
    ones = np.ones(len(rows))
    margins = measures.ratios({f"CIDEr over {other}": (ciders["own"] - ciders[other], ones)
                               for other in ("shuffled", "image-blind")}, [r["group"] for r in rows])  # fmt: skip
    return {"texts": scores, "margins": {k: [v.value, v.low, v.high] for k, v in margins.items()}}


def half(group: str) -> int:
    """0 for people on whom a card's numbers are chosen, 1 for those on whom they are measured.

    Args:
        group: Who is shown.
    """
    return zlib.crc32(group.encode()) % 2


def calibration(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of `score` against `fake`, as a card has it.

    Args:
        rows: One mapping a picture.

    Returns:
        JSON-ready.

    Raises:
        InputError: There are not both genuine and forged pictures of at least two people.
    """
    fit = Calibration.fit(
        [r["score"] for r in rows], [r["fake"] for r in rows], [r["group"] for r in rows],
        genuine_called_fake=0.1, fakes_called_real=0.1, confidence=0.5,
    )  # fmt: skip
    return fit.to_json()


def carded(weights: Path, facts: Mapping[str, Any]) -> None:
    """Puts what was measured on the card beside a network's weights; what it says of the weights stays.

    Args:
        weights: Path of the weights.
        facts: Further keys of the card beside the weights.
    """
    card = weights.with_suffix(".json")
    write_whole(card, json.dumps({**json.loads(card.read_text(encoding="utf-8")), **facts}, indent=2).encode())


def three(value: Sequence[float | None]) -> str:
    """A value with its interval, as tables have it.

    Args:
        value: Value, low and high.
    """
    middle, low, high = value
    if middle is None:
        return "not measured"
    return f"{middle:.3f}" if low is None or high is None else f"{middle:.3f} ({low:.3f}–{high:.3f})"
