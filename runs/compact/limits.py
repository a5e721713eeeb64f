"""What the judge's limits on quality are worth: verdicts on held-out faces, sharp and blurred, under several of them.

    python runs/compact/limits.py --rows ROWS        the file that `fit.py --rows ROWS` wrote

For each choice the thresholds are fitted as `fit.py` does, on the faces that it does not doubt; then every held-out row
is judged. How steep the doubt should be is chosen with the thresholds of three quarters of the groups, judged on the
fourth. Writes `limits.md`. The rows are of training groups that no training drew from (`builders/pack.held_out`).
"""

from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path

import numpy as np
from evaluate import Row
from fit import CONDITIONS, calibrated, domain

from facewitness.apps.script import script
from facewitness.calibration import Calibration
from facewitness.judge import Limits

CHOICES = {
    "one pair of thresholds for all faces": Limits(doubtful=0.0, unusable=0.0),
    "doubtful below 0.5, in proportion": Limits(doubtful=0.5, steepness=1.0),
    "doubtful below 0.97, steepness 5": Limits(doubtful=0.97, steepness=5.0),
    "doubtful below 0.97, steepness 10": Limits(doubtful=0.97, steepness=10.0),
    "doubtful below 0.97, steepness 20": Limits(doubtful=0.97, steepness=20.0),
}


def main() -> None:
    """Fit and judge under each choice, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=Path, required=True)
    given = parser.parse_args()
    rows = [r for r in json.loads(given.rows.read_text()) if r["score"] is not None and not r["self_made"]]
    domains = sorted({domain(r) for r in rows})
    lines = [
        "# Limits on quality",
        "",
        "Written by `python runs/compact/limits.py --rows ROWS`, on held-out training groups. Each cell: genuine faces",
        "called fake / fakes called fake / all with a verdict, in per cent. The third are `judge.Limits`.",
        "",
    ]
    for name, limits in CHOICES.items():
        fit = calibrated([r for r in rows if (r["quality"] or 0) >= limits.doubtful], resamples=2)
        lines += [
            f"## {name[0].upper()}{name[1:]}",
            "",
            f"Real below {fit.real_below:.3f}, fake from {fit.fake_above:.3f}.",
            "",
            f"| | {' | '.join(domains)} |",
            f"|---|{'---|' * len(domains)}",
        ]
        for condition in CONDITIONS:
            parts = [[r for r in rows if (r["condition"], domain(r)) == (condition, d)] for d in domains]
            lines.append(f"| {condition} | {' | '.join(verdicts(fit, limits, part) for part in parts)} |")
        lines.append("")
    lines += crossed(rows)
    text = "\n".join(lines)
    Path(__file__).with_name("limits.md").write_text(text)
    print(text)


def crossed(rows: list[Row], folds: int = 4) -> list[str]:
    """Several steepnesses with thresholds that other groups gave: what is decided, what is wrong, who is accused."""
    rows = [r for r in rows if r["condition"] in CONDITIONS]
    fold = np.array([zlib.crc32(f"{r['source']}/{r['group']}".encode()) % folds for r in rows])
    limit = Limits().doubtful
    fits = [
        calibrated([r for r, f in zip(rows, fold, strict=True) if f != k and (r["quality"] or 0) >= limit], resamples=2)
        for k in range(folds)
    ]
    fake = np.array([r["label"] == "fake" for r in rows])
    quality = np.array([max(r["quality"] or 0.0, 1e-6) for r in rows])
    odds = np.array([fits[k].probabilities([r["score"]])[0] for r, k in zip(rows, fold, strict=True)])
    odds /= 1 - odds
    above, below = (
        np.array([getattr(fits[k], name) / (1 - getattr(fits[k], name)) for k in fold])
        for name in ("fake_above", "real_below")
    )
    cells = np.array([f"{domain(r)} / {r['condition']}" for r in rows])
    out = [
        "## How steep", "",
        "Thresholds of three quarters of the groups, judged on the fourth, in turn; shares of all rows.", "",
        "| steepness | decided | right of these | genuine called fake | worst domain and condition | fakes, no sign |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for steepness in (0, 1, 2, 3, 5, 10, 20):
        stronger = np.maximum(1.0, limit / quality) ** steepness
        usable = quality >= Limits().unusable
        called, cleared = (odds >= above * stronger) & usable, (odds < below / stronger) & usable
        worst = {c: float(called[~fake & (cells == c)].mean()) for c in sorted(set(cells[~fake]))}
        name = max(worst, key=lambda c: worst[c])
        right = ((called & fake) | (cleared & ~fake)).sum() / max(1, (called | cleared).sum())
        out.append(
            f"| {steepness} | {(called | cleared).mean():.1%} | {right:.1%} | {called[~fake].mean():.1%} | {name} "
            f"{worst[name]:.1%} | {cleared[fake].mean():.1%} |"
        )
    return [*out, ""]


def verdicts(fit: Calibration, limits: Limits, rows: list[Row]) -> str:
    """Shares of genuine and of fake rows that the judge would call fake, and of all rows that it would decide."""
    quality = np.array([max(r["quality"] or 0.0, 1e-6) for r in rows])
    stronger = np.maximum(1.0, limits.doubtful / quality) ** limits.steepness
    p = fit.probabilities([r["score"] for r in rows])
    odds, usable = p / (1 - p), quality >= limits.unusable
    called = (odds >= fit.fake_above / (1 - fit.fake_above) * stronger) & usable
    cleared = (odds < fit.real_below / (1 - fit.real_below) / stronger) & usable
    fake = np.array([r["label"] == "fake" for r in rows])
    shares = [f"{100 * called[of].mean():.1f}" if of.any() else "—" for of in (~fake, fake)]
    return " / ".join([*shares, f"{100 * (called | cleared).mean():.0f}"])


if __name__ == "__main__":
    script(main)
