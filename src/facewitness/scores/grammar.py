"""Whether the reply keeps the form it was asked for: 1 if its grammar reads it without a refusal, 0 otherwise.

MARE's format reward, Eq. 2:

    R_f = 1 if o fulfils the format, else 0,    o = the text as the model wrote it

A reply is what was read of a text, and the text is gone, so the grammar that read it says how well it was kept: in
`Reply.refusals`, one reason each. A score that kept the text and asked a grammar again would have to know which.

Example: "<think>I look at the nose.</think><answer>fake</answer>" has no JSON in its answer, which MARE's grammar
refuses: 0. The same with {"explanation": "The nose looks fake.", "bboxes": {"nose": [4, 4, 9, 9]}} in it scores 1.

None for a reply that no grammar has read, as one made of a report. What is said does not matter here: see `label`.
"""

from __future__ import annotations

from facewitness.types import Reply, Truth


def score(reply: Reply, truth: Truth) -> float | None:
    """1.0 where nothing of the reply was refused, else 0.0; None where no grammar was asked.

    Args:
        reply: What the system answered.
        truth: What is known of the picture.
    """
    return None if reply.refusals is None else float(not reply.refusals)
