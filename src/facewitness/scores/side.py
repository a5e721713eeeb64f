"""Whether left and right are right: the share of regions named with a side that are forged on that side.

    side = |S ∩ true| / |S|,    S = eyes and brows that the text names with a side, of pairs with something forged

S holds a region once, however often it is named. A pair of which nothing is forged is left out: naming it is no mistake
of side, and `regions` counts it. MARE's twelve regions have sides for eyes and brows only, so a cheek or an ear cannot
be judged. Sides are the subject's.

Example: forged are left eye and left brow. The text "The right eye is blurred, the left eyebrow doubled and the left
eye dark." names three sided regions, two of them forged: 2/3. "Both eyes" names no side, "the left nostril" no pair.

This is no equation of a paper. It stands beside `wording`, whose cosine hardly sees sides (one sentence with left and
with right: 0.98). None where the truth has no sided region, and for a text that names no side: there is no share of
nothing, and as a reward it adds nothing, so that silence pays no more than a mistake.
"""

from __future__ import annotations

from facewitness.regions import mirrored, sided
from facewitness.scores import forged_regions
from facewitness.types import Reply, Truth


def score(reply: Reply, truth: Truth) -> float | None:
    """Share of sided regions in the text that are forged; None where truth or text has none.

    Args:
        reply: What the system answered.
        truth: What is known of the picture.
    """
    true = forged_regions(truth) or frozenset()
    judged = [name for name in sided(reply.text) if name in true or mirrored(name) in true]
    return sum(name in true for name in judged) / len(judged) if judged else None
