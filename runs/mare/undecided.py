"""What MARE's map marks and its words say of faces whose score decides, and of those whose score does not.

    python runs/mare/undecided.py FDM dma.parquet --on DIR/predictions --out MD

FDM is a module with its calibration beside it, the table is of held-out pictures, DIR/predictions are replies about
them that `evaluate.py` kept. Faces are sorted by what the calibrated score decides: real, inconclusive, fake.

map     the share of a crop's places that the map marks, those above one half as a report's outline and
        `facewitness ask` take it, and how far the evidence differs within a face (its standard deviation in log-odds)
words   how often they say fake of genuine and of forged faces, how often they are right, and that less "always fake"

Shares of the map are medians over pictures, with the tenth and the ninetieth percent; those of words are over
questions, with 95 % intervals over groups.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facewitness.apps.script import script
from facewitness.bench import measures, predictions
from facewitness.builders import chats
from facewitness.calibration import decided
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.train import paired
from facewitness.train.measuring import HALF, three
from facewitness.witnesses.mare import MareWitness, load

SAYS = ("real", "inconclusive", "fake")


def marked(witness: MareWitness, row: dict[str, Any]) -> tuple[float, float, float]:
    """Score of one picture, the share of its places that the map marks, and the spread of their log-odds."""
    size = int(witness.made_by()["options"]["size"])
    picture = paired.picture(row).resize((size, size), Image.Resampling.BILINEAR)
    score, values = witness.scored(np.asarray(picture))
    inside = np.clip(values.astype(np.float64), 1e-6, 1 - 1e-6)
    return score, float((values >= HALF).mean()), float(np.std(np.log(inside / (1 - inside))))


def of_words(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Shares of questions about some pictures, each with its interval over groups."""
    fake = np.array([row["label"] == "fake" for row in rows], np.float64)
    says = np.array([row["says"] == "fake" for row in rows], np.float64)
    right = np.array([row["says"] == row["label"] for row in rows], np.float64)
    ones = np.ones(len(rows))
    found = measures.ratios(
        {"genuine": (says * (1 - fake), 1 - fake), "fake": (says * fake, fake), "right": (right, ones),
         "less": (right - fake, ones)}, [row["group"] for row in rows])  # fmt: skip
    return {name: (value.value, value.low, value.high) for name, value in found.items()}


def table(seen: dict[str, tuple[float, float, float]], rows: Sequence[dict[str, Any]], calibration: Any) -> list[str]:
    """The lines of the table.

    Args:
        seen: File → score, share marked, spread.
        rows: Predictions of replies, with `file`, `group`, `label` and `says`.
        calibration: Of the score.
    """
    lines = [
        "| the score says | pictures | of a crop marked | spread in a face | questions | words say fake: of genuine "
        "| of forged | words right | less always fake |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for label in SAYS:
        files = {file for file, (score, _, _) in seen.items() if decided(score, calibration) == label}
        asked = [row for row in rows if row["file"] in files]
        if not asked:
            continue
        share: NDArray[Any] = np.percentile([seen[file][1] for file in files], (50, 10, 90))
        spread = float(np.median([seen[file][2] for file in files]))
        words = of_words(asked)
        lines.append(
            f"| {label} | {len(files)} | {share[0]:.2f} ({share[1]:.2f}–{share[2]:.2f}) | {spread:.2f} | {len(asked)} "
            f"| {three(words['genuine'])} | {three(words['fake'])} | {three(words['right'])} | {three(words['less'])} |"
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Look, count, and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("module")
    parser.add_argument("table", type=Path)
    parser.add_argument("--on", type=Path, required=True, help="predictions of evaluate.py")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    witness = load(weights=given.module)
    if witness.calibration is None:
        raise InputError(
            f"undecided: expected a calibration in {given.module}'s card, got none. Fit one: runs/fdm/fit.py"
        )
    pictures = {row["file"]: row for row in chats.read_dma(given.table)}
    rows = predictions.read(given.on)[0].to_pylist()
    if lost := sorted({row["file"] for row in rows} - set(pictures)):
        raise InputError(f"undecided: expected pictures of {given.table.name}, got {len(lost)} more: {lost[0]}")
    seen = {file: marked(witness, pictures[file]) for file in dict.fromkeys(row["file"] for row in rows)}
    lines = table(seen, rows, witness.calibration)
    write_whole(given.out, ("\n".join(lines) + "\n").encode())
    print("\n".join(lines))


if __name__ == "__main__":
    script(main)
