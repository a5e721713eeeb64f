"""What the judge's limits on quality are worth: verdicts on held-out faces, sharp, blurred and small, under several.

    python runs/compact/limits.py --rows ROWS --small SMALL --data DIR     ROWS is what `fit.py --rows ROWS` wrote

For each choice the thresholds are fitted as `fit.py` does, on the faces that it does not doubt; then every held-out row
is judged. How steep the doubt should be is chosen with the thresholds of three quarters of the groups, judged on the
fourth: for the threshold for fake and for that for real by itself. SMALL holds the same pictures with faces of 32 to
96 px; it is made where it is absent. Writes `limits.md`. The rows are of training groups that no training drew from
(`builders/pack.held_out`).
"""

from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path

import numpy as np
from evaluate import Row, chosen, predictions, tasks
from fit import CONDITIONS, calibrated, domain

from facewitness.apps.script import script
from facewitness.calibration import Calibration
from facewitness.judge import Limits

CHOICES = {
    "one pair of thresholds for all faces": Limits(doubtful=0.0, unusable=0.0),
    "doubtful below 0.97, steepness 5": Limits(steepness=5.0, steepness_fake=5.0),
    "as it ships": Limits(),
}
STEEPNESS = (0, 0.5, 1, 2, 3, 5, 10)
SIZES = (32, 40, 48, 56, 64, 80, 96)  # longer side of the face, pixels


def main() -> None:
    """Fit and judge under each choice, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--small", type=Path, required=True, help="the same faces made smaller; kept there")
    parser.add_argument("--data", type=Path, help="tables, where SMALL is to be made")
    parser.add_argument("--model", type=Path, help="another ONNX file for SMALL; default: the shipped weights")
    parser.add_argument("--limit", type=int, default=60, help="rows of each source and label in SMALL")
    given = parser.parse_args()
    if not given.small.exists():
        if given.data is None:
            parser.error(f"'{given.small}' is to be made: say --data DIR, the folder of the tables")
        todo = tasks(chosen(given.data, "calibrate", given.limit), [f"face:{side}" for side in SIZES], own=False)
        given.small.write_text(json.dumps(predictions(todo, str(given.model) if given.model else None, "small")))
    rows = [r for r in json.loads(given.rows.read_text()) if r["condition"] in CONDITIONS and not r["self_made"]]
    rows += json.loads(given.small.read_text())
    rows = [r for r in rows if r["score"] is not None]
    conditions = (*CONDITIONS, *(f"face:{side}" for side in SIZES))
    domains = sorted({domain(r) for r in rows})
    lines = [
        "# Limits on quality",
        "",
        "Written by `python runs/compact/limits.py --rows ROWS --small SMALL`, on held-out training groups. Each cell:",
        "genuine faces called fake, fakes called fake, all with a verdict, in per cent. Thresholds are fitted on good",
        "faces in the first six conditions; `face:48` is a face whose longer side was made 48 px.",
        "",
    ]
    for name, limits in CHOICES.items():
        fit = calibrated([r for r in rows if (r["quality"] or 0) >= limits.doubtful], resamples=2)  # of CONDITIONS
        lines += [
            f"## {name[0].upper()}{name[1:]}",
            "",
            f"Real below {fit.real_below:.3f}, fake from {fit.fake_above:.3f}.",
            "",
            f"| | {' | '.join(domains)} |",
            f"|---|{'---|' * len(domains)}",
        ]
        for condition in conditions:
            parts = [[r for r in rows if (r["condition"], domain(r)) == (condition, d)] for d in domains]
            lines.append(f"| {condition} | {' | '.join(verdicts(fit, limits, part) for part in parts)} |")
        lines.append("")
    lines += crossed(rows)
    text = "\n".join(lines)
    Path(__file__).with_name("limits.md").write_text(text)
    print(text)


def crossed(rows: list[Row], folds: int = 4) -> list[str]:
    """Several steepnesses with thresholds that other groups gave: who is accused, who is cleared, and how wrongly."""
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
    usable, poor = quality >= Limits().unusable, quality < limit
    out = [
        "## How steep", "",
        f"Thresholds of three quarters of the groups, judged on the fourth, in turn: {len(rows):,} rows, of which "
        f"{poor.mean():.0%} are doubted. Each side by itself. A cell is a domain in a condition; how many have more "
        "such errors than at 5.", "",
        "| steepness, for fake | fakes called fake | of doubted ones | genuine called fake | of doubted ones | of the "
        "others | worst cell | cells worse than at 5 |", "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, truth, odd in (("fake", ~fake, fake), ("real", fake, ~fake)):
        if name == "real":
            out += [
                "", "| steepness, for real | genuine told to show no sign | of doubted ones | fakes told so | of "
                "doubted ones | of the others | worst cell | cells worse than at 5 |",
                "|---|---|---|---|---|---|---|---|",
            ]  # fmt: skip
        wrong = {}
        for steepness in STEEPNESS:
            stronger = np.maximum(1.0, limit / quality) ** steepness
            called = usable & ((odds >= above * stronger) if name == "fake" else (odds < below / stronger))
            wrong[steepness] = {c: float(called[truth & (cells == c)].mean()) for c in sorted(set(cells[truth]))}
            worst = max(wrong[steepness], key=lambda c, at=wrong[steepness]: at[c])
            shares = [called[of].mean() for of in (odd, odd & poor, truth, truth & poor, truth & ~poor)]
            out.append(
                f"| {steepness} | {' | '.join(f'{s:.1%}' for s in shares)} | {worst} {wrong[steepness][worst]:.1%} | "
            )
        at_five = wrong[5]
        for i, steepness in enumerate(STEEPNESS):
            worse = sum(wrong[steepness][c] > w for c, w in at_five.items())
            out[len(out) - len(STEEPNESS) + i] += f"{worse} of {len(at_five)} |"
    return [*out, ""]


def verdicts(fit: Calibration, limits: Limits, rows: list[Row]) -> str:
    """Shares of genuine and of fake rows that the judge would call fake, and of all rows that it would decide."""
    if not rows:  # no face of that domain is as large
        return "— / — / —"
    quality = np.array([max(r["quality"] or 0.0, 1e-6) for r in rows])
    stronger = np.maximum(1.0, limits.doubtful / quality)
    p = fit.probabilities([r["score"] for r in rows])
    odds, usable = p / (1 - p), quality >= limits.unusable
    called = (odds >= fit.fake_above / (1 - fit.fake_above) * stronger**limits.steepness_fake) & usable
    cleared = (odds < fit.real_below / (1 - fit.real_below) / stronger**limits.steepness) & usable
    fake = np.array([r["label"] == "fake" for r in rows])
    shares = [f"{100 * called[of].mean():.1f}" if of.any() else "—" for of in (~fake, fake)]
    return " / ".join([*shares, f"{100 * (called | cleared).mean():.0f}"])


if __name__ == "__main__":
    script(main)
