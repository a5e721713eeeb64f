"""Who was right how often where a witness and another one decided in opposite directions: what a report then says.

    python runs/kfd/evaluate.py --cache DIR --weights runs/kfd/kfd.safetensors --beside compact mare \
        --option mare.weights=runs/mare/model/fdm.safetensors --out DIR2
    python runs/kfd/disagree.py DIR2/predictions --weights runs/kfd/kfd.safetensors --other compact
    python runs/kfd/disagree.py DIR2/predictions --witness mare --weights runs/mare/model/fdm.safetensors

Writes two things into the calibration beside the witness's weights, from faces of `val`, and prints the cases by kind:
`against`, who was right; and under `kinds` what its score says of faces that a generator made as a whole, a logistic
over its log-odds whose slope is 0 where a higher score does not mean fake. Another witness may name that kind.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from facewitness import plugins
from facewitness.bench import predictions
from facewitness.calibration import EDGE, Calibration, logit
from facewitness.errors import InputError
from facewitness.files import write_whole

WHOLE = ("genphotos", "stylegan2_photos", "pollinations", "sd21_sdfd", "sg2_omi", "sg1_140k")


def contradictions(
    rows: Iterable[Mapping[str, Any]], calibrations: Mapping[str, Calibration]
) -> tuple[dict[str, int], Counter[str]]:
    """Cases in which the two decided in opposite directions, of them those the first had right, and both by kind.

    Raises:
        InputError: The rows hold no face that both examined.
    """
    first, other = calibrations
    labels: dict[tuple[str, ...], dict[str, str]] = {}
    truth: dict[tuple[str, ...], tuple[str, str]] = {}
    for row in rows:
        if row["witness"] in calibrations and row["score"] is not None:
            key = (row["condition"], row["source"], row["file"], row["made"])
            fit = calibrations[row["witness"]]
            labels.setdefault(key, {})[row["witness"]] = fit.label(fit.apply(float(row["score"]))[0])
            truth[key] = (row["label"], row["made"] or row["source"])
    both = {key: said for key, said in labels.items() if len(said) == 2}
    if not both:
        raise InputError(f"disagree: expected faces that {first} and {other} examined, got none")
    apart = {key: said for key, said in both.items() if set(said.values()) == {"real", "fake"}}
    by_kind = Counter(f"{truth[key][1]}, {truth[key][0]}: {first} says {said[first]}" for key, said in apart.items())
    right = sum(said[first] == truth[key][0] for key, said in apart.items())
    return {"cases": len(apart), "right": right}, by_kind


def of_kind(rows: Iterable[Mapping[str, Any]], witness: str, sources: Sequence[str]) -> dict[str, float]:
    """Slope and offset of the log-odds of fake, for the sources' own fakes against all genuine faces, each half.

    Raises:
        InputError: There are no such fakes, or no genuine faces.
    """
    mine = [row for row in rows if row["witness"] == witness and row["score"] is not None and not row["made"]]
    kept = [row for row in mine if row["label"] == "real" or row["source"] in sources]
    fake = np.array([row["label"] == "fake" for row in kept], bool)
    if not fake.any() or fake.all():
        raise InputError(f"disagree: expected fakes of {', '.join(sources)} and genuine faces, got one of them alone")
    x = logit(np.clip([float(row["score"]) for row in kept], EDGE, 1 - EDGE))[:, None]
    model = LogisticRegression(C=1e6, class_weight="balanced").fit(x, fake)
    slope = max(0.0, float(model.coef_[0, 0]))
    return {"slope": slope, "offset": float(model.intercept_[0]) if slope else 0.0}


def read(folder: Path) -> list[dict[str, Any]]:
    """What the witnesses predicted, each in a run of its own below a folder.

    Raises:
        InputError: There is no run.
    """
    runs = sorted(path.parent for path in folder.glob("*/predictions.parquet"))
    if not runs:
        raise InputError(f"'{folder}': expected WITNESS/predictions.parquet, as evaluate.py writes them, got none")
    return [
        {
            "witness": run.name, "condition": row["perturbation"], "source": row["dataset"], "file": row["file"],
            "made": row["method"] or "", "label": row["label"], "score": row["score"],
        }
        for run in runs
        for row in predictions.rows(predictions.read(run)[0])
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("predictions", type=Path, help="the folder predictions of runs/kfd/evaluate.py")
    parser.add_argument("--witness", default="kfd", help="whose calibration is completed: kfd or mare")
    parser.add_argument("--weights", type=Path, required=True, help="its weights, beside which the calibration stands")
    parser.add_argument("--other", default="compact")
    parser.add_argument("--whole", nargs="+", default=list(WHOLE), help="sources of faces made as a whole")
    given = parser.parse_args(arguments)
    card = given.weights.with_suffix(".json")
    facts = json.loads(card.read_text(encoding="utf-8"))
    other = plugins.get("witnesses", given.other).load()
    calibrations = {
        given.witness: Calibration.from_json(facts["calibration"]),
        given.other: Calibration.from_json(other.calibration),
    }
    rows = read(given.predictions)
    counts, by_kind = contradictions(rows, calibrations)
    facts["calibration"].setdefault("kinds", {})["entire_synthesis"] = of_kind(rows, given.witness, given.whole)
    facts["calibration"].setdefault("against", {})[given.other] = counts
    write_whole(card, (json.dumps(facts, indent=2) + "\n").encode())
    print(counts, facts["calibration"]["kinds"])
    for kind, count in by_kind.most_common():
        print(f"{count:5}  {kind}")


if __name__ == "__main__":
    main()
