"""What the judge's limits on quality are worth: verdicts on held-out faces, sharp and blurred, under several of them.

    python runs/compact/limits.py --rows ROWS        the file that `fit.py --rows ROWS` wrote

For each choice the thresholds are fitted as `fit.py` does, on the faces that it does not doubt; then every held-out row
is judged. Writes `limits.md`. The rows are of training groups that no training drew from (`builders/pack.held_out`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from evaluate import Row
from fit import CONDITIONS, calibrated, domain

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
    text = "\n".join(lines)
    Path(__file__).with_name("limits.md").write_text(text)
    print(text)


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
    main()
