"""Fits what stands beside the compact witness's weights: calibration, thresholds, interval and strength of a finding.

    python runs/compact/fit.py --data DIR --model compact.onnx

Uses the training groups that were held out (`calibrate`, one in sixteen), never the `val` rows on which
`evaluate.py` measures. Every picture counts several times: as it is, at JPEG 50, at half its size, blurred, after a
routine edit, and as it travels, so that the fit does not hold for clean pictures alone. Faces that the judge doubts
(`Limits`, chosen by `limits.py`) are left out of the thresholds, of which the worst domain of genuine pictures decides
the one for fake. Some of the pictures are saved again in ten ways; the interval covers what that does to the score.
Writes `compact.json` and `SHA256SUMS` beside the model.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from evaluate import GENUINE, SAVED, Row, chosen, predictions, tasks
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from facewitness import regions
from facewitness.apps.script import script
from facewitness.calibration import Calibration
from facewitness.judge import Limits
from facewitness.witnesses.compact import region_inputs

CONDITIONS = ("plain", "jpeg50", "half", "blur", "edited", "travel:512")
# Domains whose genuine pictures are counted together: a few dozen rows show no rate of 5 % by themselves.
DOMAINS = {
    "ffpp_c40": "films", "ffpp_c23": "films", "deepfacelive": "films",
    "mask_web": "web", "celeb_web": "web", "lfw_grey": "web",
    "ffhq_140k": "portraits", "stylegan2_photos": "portraits", "amfd": "portraits",
}  # fmt: skip


def main() -> None:
    """Predict on held-out rows, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=120, help="rows of each source and label")
    parser.add_argument("--fakes-called-real", type=float, default=0.05, help="bound of the threshold for real")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--places", action="store_true", help="the strength of findings by both networks alone, after places.py"
    )
    parser.add_argument("--rows", type=Path, help="keep the predictions in this file, or read them from it")
    given = parser.parse_args()
    session = onnxruntime.InferenceSession(str(given.model), providers=["CPUExecutionProvider"])
    facts: dict[str, Any] = {
        "schema": "facewitness.weights/1",
        "file": given.model.name,
        "sha256": hashlib.sha256(given.model.read_bytes()).hexdigest(),
        "size": session.get_inputs()[0].shape[1],
        "margin": float(session.get_modelmeta().custom_metadata_map["margin"]),
        "strength": {"slope": 1.0, "offset": 0.0, "threshold": 0.5},
        "calibration": None,
    }
    beside = given.model.with_suffix(".json")
    before = json.loads(beside.read_text()) if beside.exists() else {}
    if before.get("sha256") == facts["sha256"]:  # what somebody wrote of these very weights
        facts |= {key: before[key] for key in ("card", "groups", "places") if key in before}
        if given.places:
            facts["calibration"] = before["calibration"]
    beside.write_text(json.dumps(facts, indent=1))
    listed(given.model, beside)  # other processes may load it while this one looks

    if given.rows and given.rows.exists():
        rows = json.loads(given.rows.read_text())
    else:
        samples = chosen(given.data, "calibrate", given.limit)
        todo = tasks(samples, ("plain", "edited"))
        if given.places:  # small and soft pictures tell places less well, and strengths are to hold there, too
            todo += tasks(samples, CONDITIONS[1:4])
        else:
            todo += tasks(samples, CONDITIONS[1:4] + CONDITIONS[5:], own=False)
            few = chosen(given.data, "calibrate", max(4, given.limit // 8))[:200]
            todo += tasks(few, [f"saved:{how}" for how in SAVED], own=False)
        rows = predictions(todo, str(given.model), "held out", given.jobs, raw=True)
    if given.rows:
        given.rows.write_text(json.dumps(rows))
    rows = [r for r in rows if r["score"] is not None]
    measured = [r for r in rows if r["condition"] in CONDITIONS]
    if given.places:
        facts["places"]["strength"] = strength(measured, places=True)
        facts["strength"] = before["strength"]
    else:
        facts["strength"] = strength(measured)
        # the judge asks stronger evidence of doubtful faces, so thresholds are for the others
        good = [r for r in rows if (r["quality"] or 0) >= Limits().doubtful and not r["self_made"]]
        facts["calibration"] = calibrated(good, given.fakes_called_real, saved_again(good)).to_json()
    beside.write_text(json.dumps(facts, indent=1) + "\n")
    listed(given.model, beside)
    print(json.dumps({k: facts[k] for k in ("strength", "calibration")}, indent=1))


def listed(*files: Path) -> None:
    """Put files' hashes into the list beside them, where other witnesses' files stand, too."""
    sums = files[0].with_name("SHA256SUMS")
    lines = [line.split() for line in sums.read_text().splitlines()] if sums.exists() else []
    digests = {name: digest for digest, name in lines}
    digests |= {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    sums.write_text("".join(f"{digest}  {name}\n" for name, digest in digests.items()))


def calibrated(
    rows: list[Row],
    fakes_called_real: float = 0.05,
    moved: list[tuple[float, float]] | None = None,
    resamples: int = 300,
) -> Calibration:
    """The fit on rows that are as they came or forged by others, in CONDITIONS."""
    rows = [r for r in rows if r["condition"] in CONDITIONS]
    # the probability is fitted where genuine faces stand beside real forgeries; all genuine sets bound the threshold
    forged = {r["source"] for r in rows if r["label"] == "fake"}
    paired = forged | {GENUINE.get(source, source) for source in forged}
    return Calibration.fit(
        [r["score"] for r in rows],
        [r["label"] == "fake" for r in rows],
        groups=[f"{r['source']}/{r['group']}" for r in rows],
        sources=[domain(r) for r in rows],
        weights=[float(r["source"] in paired) for r in rows],
        moved=moved,
        confidence=0.5,  # the rate measured here keeps the bound; to show it with more confidence takes more rows
        fakes_called_real=fakes_called_real,
        resamples=resamples,
    )


def domain(row: Row) -> str:
    """What a row is counted with: fakes by what made them, genuine pictures by what kind of picture they are."""
    if row["source"] in GENUINE:
        return "whole synthesis"
    return DOMAINS.get(row["source"], row["source"])


def saved_again(rows: list[Row]) -> list[tuple[float, float]]:
    """Scores of a picture as it is and after each way to save it again."""
    by_file: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for r in rows:
        by_file[r["source"], r["file"]][r["condition"]] = r["score"]
    return [
        (scores["plain"], score)
        for scores in by_file.values()
        if "plain" in scores
        for condition, score in scores.items()
        if condition.startswith("saved:")
    ]


def strength(rows: list[Row], folds: int = 5, places: bool = False) -> dict[str, Any]:
    """How often a region's raw score is right, as a logistic, and the threshold of the best F1.

    The logistic sees a region's own log-odds, their mean and highest over the face, the face's, with `places` those of
    both networks' mask inside the region, and which region it is: a network that half suspects all of a face suspects
    no place of it. On faces whose touched regions are known exactly: pristine ones and self-made forgeries but
    whole-face synthesis. The threshold is not looked for below 0.25, though F1 alone would go there: three wrong claims
    to a right one are too many.

    Returns:
        The fit, and its F1 on forgeries and on region edits alone, of groups that each fit did not see.
    """
    known = [r for r in rows if r["touched"] is not None and r["region_scores"] and r["method"] != "resynthesise"]
    truth = np.array([[n in r["touched"] for n in regions.MARE] for r in known])
    # without the network of places that column is the same everywhere, and its slope stays 0
    marked = [np.array(r["inside"]) if places else None for r in known]
    inputs = np.stack(
        [region_inputs(np.array(r["region_scores"]), r["score"], m) for r, m in zip(known, marked, strict=True)]
    )
    forged = np.array([r["label"] == "fake" for r in known])
    edits = np.array([r["method"] == "region_edit" for r in known])
    fold = np.array([zlib.crc32(f"{r['source']}/{r['group']}".encode()) % folds for r in known])
    named = np.zeros(truth.shape, bool)
    for k in range(folds):
        there = fold != k
        if not (truth[there & forged].any() and (fold == k).any()):
            continue
        model = _logistic(inputs[there], truth[there])
        named[fold == k] = _right(model, inputs[fold == k]) >= _threshold(
            _right(model, inputs[there & forged]), truth[there & forged]
        )
    model = _logistic(inputs, truth)
    slopes, own = model.coef_[0], len(regions.MARE)
    return {
        "slope": float(slopes[0]), "mean": float(slopes[1]), "most": float(slopes[2]), "face": float(slopes[3]),
        "inside": float(slopes[4]), "offset": float(model.intercept_[0]),
        "offsets": {name: round(float(v), 6) for name, v in zip(regions.MARE, slopes[5:], strict=True)},
        "threshold": round(_threshold(_right(model, inputs[forged]), truth[forged]), 2),
        "f1": round(_f1(named[forged], truth[forged]), 4), "f1_edits": round(_f1(named[edits], truth[edits]), 4),
        "pairs": len(known) * own,
    }  # fmt: skip


def _logistic(inputs: NDArray[np.float64], truth: NDArray[np.bool_]) -> LogisticRegression:
    return LogisticRegression(C=1.0, max_iter=2000).fit(inputs.reshape(-1, inputs.shape[-1]), truth.ravel())


def _right(model: LogisticRegression, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    return model.predict_proba(inputs.reshape(-1, inputs.shape[-1]))[:, 1].reshape(inputs.shape[:2])


def _threshold(p: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    return float(max(np.linspace(0.25, 0.8, 56), key=lambda at: _f1(p >= at, truth)))


def _f1(named: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float(2 * (named & truth).sum() / max(1, named.sum() + truth.sum()))


if __name__ == "__main__":
    script(main)
