"""Fits the judge to somebody's own pictures: a few hundred with labels, and thresholds mean what they say there.

    facewitness calibrate --data FOLDER --max-fpr 0.01        FOLDER/real/…  FOLDER/fake/…
    facewitness analyze photo.jpg --profile profile.json      the report says which profile it was judged by

Nothing is trained: the witness's scores stay what they are, and the curve from score to probability, and the thresholds
on it, are fitted anew (`calibration.Calibration.fit`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

import facewitness
from facewitness.bench import measures
from facewitness.calibration import Calibration, Profile
from facewitness.errors import InputError
from facewitness.files import write_whole

FEWEST = 20  # rows of each label below which nothing can be fitted that would hold tomorrow


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A fit and what it did on the rows it saw."""

    calibration: Calibration
    genuine: int
    fakes: int
    unscored: int
    warnings: tuple[str, ...]


def fit(
    table: pa.Table, *, max_fpr: float, max_fnr: float = 0.1, confidence: float = 0.5, witness: str = "the witness"
) -> Fitted:
    """A calibration from predictions (columns score, label, group, dataset).

    Args:
        table: Predictions with the columns score, label, group and dataset.
        max_fpr: Share of genuine faces that may be called fake, in each data set.
        max_fnr: Share of fakes that may be called real.
        confidence: With which `max_fpr` must be shown (one-sided, binomial): 0.5 is the best guess; 0.9 asks for a
            margin, and for 230 genuine pictures without one mistake to show 1 %.
        witness: Whose scores these are.

    Raises:
        InputError: Where there are fewer than FEWEST scored rows of either label.
    """
    rows = table.select(["score", "label", "group", "dataset"]).to_pylist()
    scored = [r for r in rows if r["score"] is not None]
    genuine = [r for r in scored if r["label"] == "real"]
    fakes = [r for r in scored if r["label"] == "fake"]
    if min(len(genuine), len(fakes)) < FEWEST:
        raise InputError(
            f"calibrate: expected at least {FEWEST} genuine and {FEWEST} fake pictures with a face, got {len(genuine)} "
            f"and {len(fakes)} ({len(rows) - len(scored)} without a score). A few hundred of each are better."
        )
    ranking = measures.Ranking.of([r["label"] == "fake" for r in scored], [r["score"] for r in scored])
    auc = measures.auc(measures.Weighted(ranking))
    assert auc is not None  # there are both
    noise = ((1 / len(genuine) + 1 / len(fakes)) / 12) ** 0.5  # deviation of the AUC of scores that tell nothing
    if auc + 4 * noise < 0.5:
        raise InputError(
            f"calibrate: the scores of {witness} run the wrong way: fakes get lower ones than genuine pictures (AUC "
            f"{auc:.2f}). Check the labels of the pictures; of the witness hub, name the other output with hub.fake."
        )
    calibration = Calibration.fit(
        [r["score"] for r in scored],
        [r["label"] == "fake" for r in scored],
        [f"{r['dataset']}/{r['group']}" for r in scored],
        [r["dataset"] for r in scored],
        genuine_called_fake=max_fpr,
        fakes_called_real=max_fnr,
        confidence=confidence,
    )
    warnings = []
    p = calibration.probabilities([r["score"] for r in scored])
    if not (p >= calibration.fake_above).any():
        warnings.append(
            f"No picture reaches the threshold for fake: {len(genuine)} genuine ones are too few, or too like the "
            f"fakes, to allow {max_fpr:.1%} of mistakes. Give more genuine pictures, or a higher --max-fpr."
        )
    if calibration.slope < 0.1:
        warnings.append(f"The scores of {witness} hardly tell these fakes from these genuine pictures.")
    if max_fpr * len(genuine) < 1:
        warnings.append(f"{len(genuine)} genuine pictures cannot show a share of {max_fpr:.1%}: it is extrapolated.")
    return Fitted(calibration, len(genuine), len(fakes), len(rows) - len(scored), tuple(warnings))


def write(
    path: Path, fits: Sequence[tuple[str, dict[str, str], Fitted]], *, data: str, options: dict[str, Any]
) -> Path:
    """Write a profile: (witness, its weights' hashes, the fit) for each. `data` names what it was fitted to.

    Args:
        path: Of the profile to write.
        fits: For each witness its name, its weights' hashes and its fit.
        data: What it was fitted to, in words.
        options: Of the fit.
    """
    value = {
        "schema": Profile.SCHEMA,
        "version": facewitness.__version__,
        "data": data,
        "options": options,
        "witnesses": {
            name: {
                "weights": weights,
                "genuine": fitted.genuine,
                "fakes": fitted.fakes,
                "unscored": fitted.unscored,
                "calibration": fitted.calibration.to_json(),
            }
            for name, weights, fitted in fits
        },
    }
    return write_whole(path, (json.dumps(value, indent=1) + "\n").encode())
