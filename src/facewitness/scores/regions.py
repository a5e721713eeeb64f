"""Whether the forged regions are named, all of them and no others: the Jaccard index of said and true regions.

ForgeryTalker's Positive Label Matching, Eq. 12, over MARE's twelve regions:

    PLM = |predicted ∩ true| / |predicted ∪ true|

Predicted are the regions of the findings. A reply in words only, without findings, predicts the regions its text names,
unless its verdict is "real": "the eyes look natural" accuses nobody.

Example: findings on nose and left eye, true are nose and mouth: one of three in the union, 1/3.

The equation leaves two empty sets open. On a pristine face to call it real and name nothing is right, and scores 1;
without that verdict it scores 0, for a reply that says nothing has found nothing out. A fake of which the truth names
no region cannot be judged: None. Naming all twelve regions where two are forged scores 2/12.
"""

from __future__ import annotations

from facewitness.regions import mentioned
from facewitness.scores import by_region, forged_regions, jaccard
from facewitness.types import Reply, Truth


def score(reply: Reply, truth: Truth) -> float | None:
    """Jaccard index of said and true regions; 1 for "real" and none on a pristine face; None for a fake without any.

    Args:
        reply: What the system answered.
        truth: What is known of the picture.
    """
    true = forged_regions(truth)
    if true is None:
        return None
    named = frozenset(by_region(reply.findings))
    if not reply.findings and reply.label != "real":
        named = frozenset(mentioned(reply.text))
    return jaccard(named, true) if named or true else float(reply.label == "real")
