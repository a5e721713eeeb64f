"""How much of the forgery was pointed at: the share of forged regions that the findings name.

    coverage = |claimed ∩ true| / |true|        over MARE's regions
    coverage = |C ∩ F| / |F|                    over pixels, where the truth has a mask and names no regions

Example: true are nose and mouth, findings are on the nose and the chin: one of two, 1/2.

None on a pristine face and where the truth knows neither. It is the recall to the precision of `grounding`: naming all
twelve regions scores 1 here and little there, so as a reward it belongs beside it.
"""

from __future__ import annotations

import numpy as np

from facewitness.scores import by_region, forged_regions
from facewitness.scores._canvas import canvas
from facewitness.types import Reply, Truth


def score(reply: Reply, truth: Truth) -> float | None:
    """Share of what is forged that is claimed: of regions, or of pixels; None where nothing is known to be forged.

    Args:
        reply: What the system answered.
        truth: What is known of the picture.
    """
    if truth.label == "real":
        return None
    true = forged_regions(truth)
    if true is not None:
        return len(true & set(by_region(reply.findings))) / len(true)
    grid = canvas(truth, reply.findings)
    if grid is None:
        return None
    return int(np.count_nonzero(grid.claimed(reply.findings) & grid.forged)) / max(
        1, int(np.count_nonzero(grid.forged))
    )
