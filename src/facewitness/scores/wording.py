"""How near the reply's words are to what people wrote: the cosine of sentence vectors of all-MiniLM-L6-v2.

MARE's text relevance reward, Eq. 4:

    R_t = max(0, cos(Φ(t̂), Φ(t)))

Φ is the sentence encoder (`models/minilm`). The paper has one text t an image. Where people wrote several, the one
nearest to the reply counts: they speak of different things, and a mean would pay most for what resembles all of them a
little. Copying all of them in one reply is less near to each than a copy of that one.

Example: a reply equal to a reference, Φ(t̂) = Φ(t), scores 1. An empty reply scores 0.

It hardly sees side and verdict ("The left eyebrow is blurred." against "The right eyebrow is blurred." has 0.98): pay
it beside `side` and `label`. None where nobody wrote anything. Raises MissingExtra without the extra `caption`.
"""

from __future__ import annotations

from facewitness.models.minilm import embedding
from facewitness.types import Reply, Truth


def score(reply: Reply, truth: Truth) -> float | None:
    """Cosine of the reply's text and the reference nearest to it, at least 0; None without references.

    Args:
        reply: What the system answered.
        truth: What is known of the picture.
    """
    references = [text for text in truth.texts if text.strip()]
    if not references:
        return None
    if not reply.text.strip():
        return 0.0
    vector = embedding(reply.text)
    return min(1.0, max(0.0, *(float(vector @ embedding(text)) for text in references)))
