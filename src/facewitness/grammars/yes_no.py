"""KFD's answers: "Yes, this face is fake. Signs of forgery are at the nose and the mouth." or "No, …".

The question is "Is this a deepfake image?" (KFD, §3.3), so yes means fake. Where a text doesn't begin with yes or no,
its words decide, in the plain reading of `words.verdict`: "it looks authentic" says real.
"""

from __future__ import annotations

import re

from facewitness import regions, words
from facewitness.phrases import listed
from facewitness.types import Label, Reply

STRICT = False  # which reading of `words.verdict` this grammar chooses
_FIRST = re.compile(r"\W*(yes|no)\b(?!\s+(?:doubt|question|longer|real|way|one)\b)")
_LABELS: dict[str, Label] = {"yes": "fake", "no": "real"}


def parse(text: str) -> Reply:
    """The reply in a text: its label, or None where it has none, and its words."""
    first = _FIRST.match(words.normal(text))
    return Reply(_LABELS[first[1]] if first else words.verdict(text, STRICT), parts=(text.strip(),))


def render(reply: Reply) -> str:
    """The reply's verdict, and the regions of its findings, each once."""
    titles = [
        f"the {regions.title(name) if name in regions.REGIONS else name}"
        for name in dict.fromkeys(p.region for f in reply.findings for p in f.places if p.region is not None)
    ]
    match reply.label:
        case "fake" if titles:
            return f"Yes, this face is fake. Signs of forgery are at {listed(titles)}."
        case "fake":
            return "Yes, this face is fake. No single region stands out."
        case "real":
            return "No, this face shows no signs of forgery."
        case "inconclusive":
            return "Inconclusive: the evidence does not decide."
        case _:
            return reply.text
