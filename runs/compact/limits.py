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
from fit import CONDITIONS, MANY, REAL_FORGERIES

from facewitness.calibration import Calibration
from facewitness.judge import Limits

CHOICES = {
    "one pair of thresholds for all faces": Limits(doubtful=0.0, unusable=0.0),
    "doubtful below 0.5, in proportion": Limits(doubtful=0.5, steepness=1.0),
    "doubtful below 0.97, steepness 5": Limits(doubtful=0.97, steepness=5.0),
    "doubtful below 0.97, steepness 10": Limits(doubtful=0.97, steepness=10.0),
    "doubtful below 0.97, steepness 20": Limits(doubtful=0.97, steepness=20.0),
}
SETS = ("dfdc", "ffpp_c40", "stylegan2_photos", "utkface", "celebamask_hq")


def main() -> None:
    """Fit and judge under each choice, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=Path, required=True)
    given = parser.parse_args()
    rows = [r for r in json.loads(given.rows.read_text()) if r["score"] is not None and not r["self_made"]]
    lines = [
        "# Limits on quality", "",
        "Written by `python runs/compact/limits.py --rows ROWS`, on held-out training groups. Each cell: genuine faces",
        "called fake / fakes called fake, in per cent. `Limits` in `judge.py` are the fourth choice.", "",
    ]  # fmt: skip
    for name, limits in CHOICES.items():
        fit = fitted([r for r in rows if (r["quality"] or 0) >= limits.doubtful])
        lines += [
            f"## {name[0].upper()}{name[1:]}", "", f"Real below {fit.real_below:.3f}, fake from {fit.fake_above:.3f}.",
            "", f"| | {' | '.join(SETS)} |", f"|---|{'---|' * len(SETS)}",
        ]  # fmt: skip
        for condition in CONDITIONS:
            cells = (called_fake(fit, limits, [r for r in rows if (r["condition"], r["source"]) == (condition, s)])
                     for s in SETS)  # fmt: skip
            lines.append(f"| {condition} | {' | '.join(cells)} |")
        lines.append("")
    text = "\n".join(lines)
    Path(__file__).with_name("limits.md").write_text(text)
    print(text)


def fitted(rows: list[dict]) -> Calibration:
    """Thresholds as `fit.py` has them."""
    return Calibration.fit(
        [r["score"] for r in rows],
        [r["label"] == "fake" for r in rows],
        groups=[f"{r['source']}/{r['group']}" for r in rows],
        sources=[r["source"] if r["source"] in MANY else "ffpp_c40 and stylegan2_photos" for r in rows],
        weights=[float(r["source"] in REAL_FORGERIES) for r in rows],
        confidence=0.5,
        fakes_called_real=0.1,
        resamples=2,
    )


def called_fake(fit: Calibration, limits: Limits, rows: list[dict]) -> str:
    """Shares of genuine and of fake rows that the judge would call fake."""
    quality = np.array([max(r["quality"] or 0.0, 1e-6) for r in rows])
    stronger = np.maximum(1.0, limits.doubtful / quality) ** limits.steepness
    p = fit.probabilities([r["score"] for r in rows])
    said = (p / (1 - p) >= fit.fake_above / (1 - fit.fake_above) * stronger) & (quality >= limits.unusable)
    fake = np.array([r["label"] == "fake" for r in rows])
    return " / ".join(f"{100 * said[of].mean():.1f}" if of.any() else "—" for of in (~fake, fake))


if __name__ == "__main__":
    main()
