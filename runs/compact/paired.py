"""By how much one network ranks unseen sources better than another, on the same faces.

    python runs/compact/evaluate.py --data DIR --unseen DIR --model A.onnx --sections unseen --out A     # and B
    python runs/compact/paired.py A B

For each condition that both were measured in: the mean over sources of each one's AUC, and of the difference with its
95 % interval by bootstrap over groups (a picture, or a person), on the same resamples. It says nothing of another
training of either. Prints a table; writes nothing.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from facewitness.apps.script import script

Key = tuple[str, str, str]  # condition, source, file


def scores(out: Path) -> dict[Key, tuple[bool, float, str]]:
    """Face → (is fake, score, group), of what `evaluate.py` predicted."""
    rows = (json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines())
    return {
        (row["condition"], row["source"], row["file"]): (row["label"] == "fake", row["score"], row["group"])
        for row in rows
        if row.get("section", "unseen") == "unseen" and row.get("score") is not None and not row["self_made"]
    }


def paired(
    one: Mapping[Key, tuple[bool, float, str]], other: Mapping[Key, tuple[bool, float, str]], draws: int = 500
) -> dict[str, tuple[float, float, float, float, float]]:
    """Condition → mean AUC of one, of the other, the difference, and its interval.

    Args:
        one: As `scores` reads them.
        other: The same of another network.
        draws: Of the bootstrap.
    """
    rng, found = np.random.default_rng(0), {}
    both: dict[str, dict[str, list[Key]]] = defaultdict(lambda: defaultdict(list))
    for key in one.keys() & other.keys():
        both[key[0]][key[1]].append(key)
    for condition, sources in both.items():
        known = []
        for keys in (sorted(keys) for _, keys in sorted(sources.items())):
            fake = np.array([one[key][0] for key in keys])
            if fake.all() or not fake.any():
                continue
            places: dict[str, list[int]] = defaultdict(list)
            for place, key in enumerate(keys):
                places[one[key][2]].append(place)
            known.append((fake, np.array([(one[k][1], other[k][1]) for k in keys]), list(places.values())))
        if not known:
            continue
        means = np.mean([_aucs(fake, values) for fake, values, _ in known], axis=0)
        drawn = []
        for _ in range(draws):
            each = []
            for fake, values, groups in known:
                rows = np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])
                if 0 < fake[rows].sum() < len(rows):
                    each.append(_aucs(fake[rows], values[rows]))
            if each:  # else no source has both labels among those drawn
                drawn.append(np.subtract(*np.mean(each, axis=0)[::-1]))
        low, high = np.percentile(drawn, [2.5, 97.5]) if drawn else (np.nan, np.nan)
        found[condition] = (*map(float, means), float(means[1] - means[0]), float(low), float(high))
    return found


def _aucs(fake: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    return float(roc_auc_score(fake, values[:, 0])), float(roc_auc_score(fake, values[:, 1]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("one", type=Path, help="an --out of evaluate.py")
    parser.add_argument("other", type=Path, help="another")
    given = parser.parse_args()
    for condition, numbers in paired(scores(given.one), scores(given.other)).items():
        print("{:12} {:.3f} {:.3f}   {:+.3f} ({:+.3f} to {:+.3f})".format(condition, *numbers))


if __name__ == "__main__":
    script(main)
