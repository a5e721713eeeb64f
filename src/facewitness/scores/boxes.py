"""How well the boxes lie: the mean overlap (IoU) over the regions that reply and truth both have a box for.

MARE's region-of-interest reward, Eq. 5:

    R_r = 1/|P| · Σ_{p ∈ P} IoU(b̂_p, b_p),    P = regions with a box in both;    R_r = 0 for empty P

Example: the truth has nose (0, 0, 10, 10) and mouth (0, 20, 10, 30); the reply has nose (0, 0, 10, 5), IoU 0.5, mouth
(0, 20, 10, 30), IoU 1, and chin, which the truth has not. Then P = {nose, mouth} and the score is (0.5 + 1) / 2 = 0.75.

The paper has one box a region. Where a reply has several for one, their mean IoU stands for the region: then a
thousand boxes for the nose pay what one of them pays on average, and the best of them pays nothing extra.

Does not see regions that are too many or too few: `regions`, `grounding` and `coverage` do.
"""

from __future__ import annotations

from facewitness import geometry
from facewitness.scores import by_region, mare, mean, usable
from facewitness.types import Reply, Truth


def score(reply: Reply, truth: Truth) -> float | None:
    """Mean IoU over common regions; None where the truth has no boxes. Boxes are in pixels of the frame.

    Args:
        reply: What the system answered.
        truth: What is known of the picture.
    """
    true = {
        name: box for region, given in (truth.boxes or {}).items() for name in mare(region) if (box := usable(given))
    }
    if not true:
        return None
    overlaps = []
    for name, findings in by_region(reply.findings).items():
        if name in true:
            boxes = (usable(finding.box) for finding in findings)
            overlaps.append(mean(geometry.iou(box, true[name]) if box else 0.0 for box in boxes))
    return min(1.0, mean(overlaps)) if overlaps else 0.0
