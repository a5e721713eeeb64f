"""What words say of a face as a whole: the verdict in a text (`regions.mentioned` reads the places)."""

from __future__ import annotations

import re

from facewitness.types import Label

# MARE reads the words "fake" and "real". A denial turns one round, over the small words between them: "not real",
# "isn't a fake", "does not appear to be very real", "nothing like the real person".
_DENIAL = (
    r"(?:\b(?:not|never|cannot|hardly|barely|scarcely|unlikely|nor|neither|nothing|no\s+longer|far\s+from)|n['’]t)"
)
_BETWEEN = (
    r"(?:(?:an?|the|any|all|at|to|like|longer|be|been|being|is|are|looks?|looking|appears?|appearing|seems?|sounds?|"
    r"very|quite|so|too|that|really|entirely|completely|fully|truly|even|particularly|convincingly)\s+){0,6}"
)
# What a face is held against is no verdict on it: "lacks the texture found in real photographs", "more fake than real",
# "of a real mouth", "no real chin line".
_ELSEWHERE = (
    r"\b(?:in|of|from|than|with|for|to|on|onto|against|by|unlike|between|among|no|as\s+in)\s+"
    r"(?:(?:an?|the|any|most|other|many|such|some|his|her|their)\s+){0,2}"
)
_VERDICT = re.compile(
    rf"(?P<denied>{_DENIAL}\s+{_BETWEEN})?(?P<elsewhere>{_ELSEWHERE})?\b(?P<word>fake|real)\b", re.IGNORECASE
)
_UNDECIDED = re.compile(r"\binconclusive\b", re.IGNORECASE)


def verdict(text: str) -> Label | None:
    """The one verdict of a text by the words "fake" and "real"; None for none, and for both.

    "The nose looks fake because it lacks the shading of a real one" says fake, for the second word is about something
    else. "inconclusive" is a verdict too, where a text doesn't say clearly either of the others.
    """
    said: set[Label] = set()
    for match in _VERDICT.finditer(text):
        fake = match["word"].lower() == "fake"
        if match["elsewhere"] and not fake:
            continue
        said.add("fake" if fake != bool(match["denied"]) else "real")
    if len(said) == 1:
        return said.pop()
    return "inconclusive" if _UNDECIDED.search(text) else None
