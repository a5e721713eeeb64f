"""Whether the verdict is right: 1 if the reply says what the truth says, 0 otherwise.

MARE's accuracy reward, Eq. 3:

    R_a = 1 if d = g, else 0,    d = the reply's verdict,  g = the truth's label

d is the reply's label, which its grammar reads by `words.verdict`: `grammars/mare` strictly, by the words "fake" and
"real" as MARE does; a denial turns a word round ("not real" says fake), and a text that says both has no verdict.

Example: of a fake, the explanation "A fake: the mouth is not real." says fake twice, and the score is 1. "The eyes look
real and the mouth looks fake." says both: no verdict, 0.

No verdict and "inconclusive" are 0 too, as in the equation: else a policy would learn to keep silent. How good it is to
abstain is no matter of one reply; the benchmark's tables give accuracy and coverage side by side. Never None.
"""

from __future__ import annotations

from facewitness.types import Reply, Truth


def score(reply: Reply, truth: Truth) -> float | None:
    """1.0 where the reply's verdict is the truth's label, else 0.0.

    Args:
        reply: What the system answered.
        truth: What is known of the picture.
    """
    return float(reply.label == truth.label)
