"""Whether the reply is neither a word nor a novel: 1 from 8 to 200 words, less below and above.

    length = min(1, n / 8) · min(1, max(0, 2 − n / 200)),    n = words of thought and text together

Example: "The nose is fake." has 4 words: 1/2. A reply of 300 words: 2 − 300/200 = 1/2. From 400 words on it is 0.

This is no equation of a paper. Rewards drive replies to grow without end or to shrink to the one word that is paid;
this one holds the length where people's answers are: of DD-VQA's 9,858 the shortest has 8 words, half have at most 20
and all at most 206. Words that are merely repeated are counted like others. Never None.
"""

from __future__ import annotations

from facewitness.types import Reply, Truth

_FEWEST, _MOST = 8, 200


def score(reply: Reply, truth: Truth) -> float | None:
    """1.0 between 8 and 200 words, falling to 0 at none and at 400.

    Args:
        reply: What the system answered.
        truth: What is known of the picture.
    """
    count = len(reply.thought.split()) + len(reply.text.split())
    return min(1.0, count / _FEWEST) * min(1.0, max(0.0, 2 - count / _MOST))
