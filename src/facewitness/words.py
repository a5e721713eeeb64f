"""What words say of a face as a whole: the verdict in a text (`regions.mentioned` reads the places)."""

from __future__ import annotations

import re

from facewitness.types import Label

# MARE reads the words "fake" and "real"; a denial before one turns it round ("not real", "isn't a fake")
_VERDICT = re.compile(
    r"(?P<denied>(?:\b(?:not|never)|n['’]t)\s+(?:(?:an?|the|at|all|looks?|be)\s+)*)?\b(fake|real)\b", re.IGNORECASE
)
_UNDECIDED = re.compile(r"\binconclusive\b", re.IGNORECASE)


def verdict(text: str) -> Label | None:
    """The one verdict of a text by the words "fake" and "real"; None for none, and for both.

    "inconclusive" is one too, where a text doesn't say clearly either of the others.
    """
    said: set[Label] = {
        "fake" if (match[2].lower() == "fake") != bool(match["denied"]) else "real" for match in _VERDICT.finditer(text)
    }
    if len(said) == 1:
        return said.pop()
    return "inconclusive" if _UNDECIDED.search(text) else None
