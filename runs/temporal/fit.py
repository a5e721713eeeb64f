"""Fits the witness `temporal` on the clips of FaceForensics++ c23 and DeepFaceLive, and measures what it adds.

    python runs/temporal/fit.py DATA [--frames 12]

DATA is the folder of the tables `ffpp_c23.parquet` and `deepfacelive.parquet`: several frames a clip, not consecutive,
a genuine clip and forged ones of the same frames in each group. A clip's score is that of a model fitted without its
group (ten folds). Beside it stands the default witness: the AUC of its frames, and of its clips by the plain mean. Its
own training saw the groups of split `train`, so what `temporal` adds to it is measured on `val` alone, with an interval
by a bootstrap over groups. Where that interval does not lie above 0, `temporal` gets no calibration and is not heard.

Writes `temporal.json` (the model, for `src/facewitness/weights`) and `results.json` beside this file, prints a table.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from facewitness.apps.script import script
from facewitness.finders import facemesh
from facewitness.types import Clip, Face, Frame, Track
from facewitness.witnesses import compact, temporal

TABLES = ("ffpp_c23", "deepfacelive")
STRENGTH = 0.3  # inverse of the penalty on weights; no other was tried
HERE = Path(__file__).parent


def clips(data: Path, frames: int) -> list[dict[str, Any]]:
    """Each clip with its measurements and the default witness's scores."""
    finder, witness, found = facemesh.load(), compact.load(), []
    for table in TABLES:
        rows = pq.read_table(data / f"{table}.parquet", columns=["file", "label", "group", "method", "image", "split"])
        by_clip: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in rows.to_pylist():
            by_clip.setdefault((row["group"], row["method"]), []).append(row)
        for (group, method), members in sorted(by_clip.items()):
            chosen = np.unique(np.linspace(0, len(members) - 1, min(frames, len(members))).astype(int))
            seen: list[tuple[Face, Frame]] = []
            for index in chosen:
                pixels = np.asarray(Image.open(io.BytesIO(members[index]["image"])).convert("RGB"))
                frame = Frame(pixels, int(index), float(index))
                faces = [face for face in finder.find(frame) if face.landmarks is not None]
                if faces:
                    seen.append((faces[0], frame))
            if len(seen) < temporal.LEAST:
                continue
            values, _ = temporal.measured(seen)
            clip = Clip(group, tuple(frame for _, frame in seen), fps=1.0, count=len(seen))
            testimony = witness.examine(Track(0, tuple(face for face, _ in seen)), clip)
            found.append(
                {
                    "table": table, "group": f"{table}/{group}", "method": method, "split": members[0]["split"],
                    "fake": int(members[0]["label"] == "fake"), "x": [values[name] for name in temporal.FEATURES],
                    "frames": [moment.fake for moment in testimony.series or ()],
                }
            )  # fmt: skip
            print(f"{len(found)} clips", end="\r", flush=True)
    return found


def model(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    """A fitted model, as the witness reads it."""
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
    centred = np.clip((x - mean) / scale, -4, 4)
    fit = LogisticRegression(C=STRENGTH, max_iter=1000).fit(centred, y, sample_weight=weights)
    return {
        "schema": temporal.SCHEMA, "features": list(temporal.FEATURES), "mean": mean.tolist(), "scale": scale.tolist(),
        "weights": fit.coef_[0].tolist(), "offset": float(fit.intercept_[0]),
    }  # fmt: skip


def logits(fitted: dict[str, Any], x: np.ndarray) -> np.ndarray:
    """Its log-odds."""
    centred = np.clip((x - np.array(fitted["mean"])) / np.array(fitted["scale"]), -4, 4)
    return np.asarray(centred @ np.array(fitted["weights"]) + fitted["offset"])


def gain(y: np.ndarray, alone: np.ndarray, both: np.ndarray, groups: np.ndarray) -> tuple[float, float, float]:
    """The difference of AUC and its 95 % interval, by a bootstrap over groups."""
    rng, names = np.random.default_rng(0), np.unique(groups)
    rows = {name: np.flatnonzero(groups == name) for name in names}
    draws = []
    for _ in range(1000):
        index = np.concatenate([rows[name] for name in rng.choice(names, len(names))])
        if 0 < y[index].sum() < len(index):
            draws.append(roc_auc_score(y[index], both[index]) - roc_auc_score(y[index], alone[index]))
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(roc_auc_score(y, both) - roc_auc_score(y, alone)), float(low), float(high)


def auc(y: Sequence[int], scores: Sequence[float]) -> float | None:
    """None where there is one class only."""
    return float(roc_auc_score(y, scores)) if 0 < sum(y) < len(y) else None


def main() -> None:
    """Measure, fit, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--frames", type=int, default=12)
    given = parser.parse_args()
    found = clips(given.data, given.frames)
    x, y = np.array([c["x"] for c in found]), np.array([c["fake"] for c in found])
    groups, split = np.array([c["group"] for c in found]), np.array([c["split"] for c in found])
    tables = np.array([c["table"] for c in found])
    # genuine and forged clips weigh the same within a group
    weights = np.array([1 / sum(o["group"] == c["group"] and o["fake"] == c["fake"] for o in found) for c in found])
    own = np.zeros(len(y))
    for train, test in GroupKFold(10).split(x, y, groups):
        own[test] = logits(model(x[train], y[train], weights[train]), x[test])
    frame_scores = [np.clip(c["frames"], 1e-4, 1 - 1e-4) for c in found]
    video = np.array([scores.mean() for scores in frame_scores])
    video_logit = np.log(video / (1 - video))
    results: dict[str, Any] = {"clips": len(found), "frames": int(sum(map(len, frame_scores)))}
    for where, chosen in (
        *((f"{table}, {part}", (tables == table) & ((split == part) | (part == "all")))
          for table in TABLES for part in ("all", "val")),
        ("both, val", split == "val"),
    ):  # fmt: skip
        rows = np.flatnonzero(chosen)
        if len(rows) == 0 or not 0 < y[rows].sum() < len(rows):
            continue
        frames_y = np.concatenate([np.full(len(frame_scores[i]), y[i]) for i in rows])
        results[where] = {
            "clips": len(rows), "groups": len(np.unique(groups[rows])),
            "default_frame_auc": auc(list(frames_y), list(np.concatenate([frame_scores[i] for i in rows]))),
            "default_video_auc": auc(list(y[rows]), list(video[rows])),
            "temporal_video_auc": auc(list(y[rows]), list(own[rows])),
        }  # fmt: skip
    rows = np.flatnonzero(split == "val")
    both = (video_logit + own) / 2  # as the judge weighs: the mean of log-odds
    results["gain on val"] = dict(
        zip(("auc", "low", "high"), gain(y[rows], video_logit[rows], both[rows], groups[rows]), strict=True)
    )
    heard = results["gain on val"]["low"] > 0
    results["heard"] = heard
    fitted = model(x, y, weights)
    fitted["measured"] = results
    fitted["calibration"] = None
    (HERE / "temporal.json").write_text(json.dumps(fitted, indent=1) + "\n")
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))
    order = np.argsort(-np.abs(fitted["weights"]))
    print(", ".join(f"{temporal.FEATURES[i]} {fitted['weights'][i]:+.2f}" for i in order))


if __name__ == "__main__":
    script(main)
