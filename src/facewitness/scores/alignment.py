"""Whether text and boxes speak of the same regions: the Jaccard index of regions named and regions boxed.

MARE's alignment reward, Eq. 6:

    R_align = |P_b ∩ P_t| / (|P_b ∪ P_t| + ε),    P_b = regions with a box,  P_t = regions the text names

ε only keeps the division defined, and the paper gives no value; we take the limit ε → 0, so that full agreement is 1
and a reply without text and boxes is 0. `regions.mentioned` reads the text.

Example: the text "The nose is blurred and the left eye is too dark." names nose and left eye; the boxes are nose and
mouth. One region of three is in both: 1/3.

The truth is asked for one thing: on a pristine face there is nothing to point at, a good reply says in words that the
eyes look natural and draws no box, so the score is None (equation 6 as it stands counts there, too). Agreement is not
correctness: `regions` and `boxes` see that.
"""

from __future__ import annotations

from facewitness import regions
from facewitness.scores import by_region, jaccard, usable
from facewitness.types import Reply, Truth


def score(reply: Reply, truth: Truth) -> float | None:
    """Jaccard index of the regions named in the text and the regions with a box; None on a pristine face.

    Args:
        reply: What the system answered.
        truth: What is known of the picture.
    """
    if truth.label == "real":
        return None
    boxed = frozenset(by_region(finding for finding in reply.findings if usable(finding.box)))
    return jaccard(boxed, frozenset(regions.mentioned(reply.text)))
