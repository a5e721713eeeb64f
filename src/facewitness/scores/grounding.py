"""How many of the claims are true: the share of claimed regions whose place is really forged.

    grounding = 1/|R| · Σ_{r ∈ R} (right findings of r) / (findings of r),    R = regions claimed

A finding is right if all that the truth knows bears it out. Where regions are known, its region is one of them (a
finding on "eyes" claims both). Where the truth has a mask, at least a third of its place (its mask, or its box where it
has none) is forged: the third by which `forge.regions_touched` calls a region forged. One of the two must be known. A
finding whose region MARE has no word for (the neck) is judged by its place alone.

Example: true is the nose, forged are the pixels (0, 0, 10, 10). Claimed are nose at (0, 0, 10, 20), half of it forged:
right; nose at (20, 0, 30, 10): wrong; mouth at (0, 0, 10, 10): wrong, the region is not forged. The nose gives 1/2, the
mouth 0: the score is 1/4. Counting by region keeps one true claim repeated a thousand times from drowning a false one.

Without claims: 1 on a pristine face, where every claim is false, and 0 on a forged one, where nothing was shown. None
for a fake of which the truth knows neither regions nor pixels. It rewards saying little; `coverage` sees what is
missing.
"""

from __future__ import annotations

import numpy as np

from facewitness.scores import forged_regions, mare, mean, placed
from facewitness.scores._canvas import canvas
from facewitness.types import Finding, Reply, Truth

SHARE = 1 / 3  # of a claimed place that must be forged


def score(reply: Reply, truth: Truth) -> float | None:
    """Share of claimed regions that are right, each by the share of its findings; None where no place is known.

    Args:
        reply: What the system answered.
        truth: What is known of the picture.
    """
    if truth.label == "real":
        return float(not reply.findings)
    claims = tuple(placed(reply.findings))
    true, grid = forged_regions(truth), canvas(truth, claims)
    if true is None and grid is None:
        return None

    def right(finding: Finding, names: tuple[str, ...]) -> bool:
        if true is not None and not true.issuperset(names):
            return False
        if grid is None:
            return bool(names)
        claimed = grid.claimed((finding,))
        return bool(np.count_nonzero(claimed & grid.forged) >= max(1.0, SHARE * np.count_nonzero(claimed)))

    rights: dict[str, list[float]] = {}
    for finding in claims:
        names = mare(finding.region)
        verdict = float(right(finding, names))
        for name in names or (finding.region or "",):
            rights.setdefault(name, []).append(verdict)
    return mean(map(mean, rights.values())) if rights else 0.0
