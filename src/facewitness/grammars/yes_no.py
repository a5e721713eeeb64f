"""KFD's answers: "Yes, this face is fake. Signs of forgery are at the nose and the mouth." or "No, …".

The question is "Is this a deepfake image?" (KFD, §3.3), so yes means fake. Where a text doesn't begin with yes or no,
its words decide: "it looks authentic" says real; a text that says both, or neither, has no label.
"""

from __future__ import annotations

import re

from facewitness import regions
from facewitness.phrases import listed
from facewitness.types import Label, Reply

_FIRST = re.compile(r"^\W*(yes|no|real|fake|inconclusive)\b", re.IGNORECASE)
_LABELS: dict[str, Label] = {
    "yes": "fake", "fake": "fake", "no": "real", "real": "real", "inconclusive": "inconclusive",
}  # fmt: skip
_DENIED = r"(?:\b(?:not|no|never|neither|nor|without|hardly)\b|n['’]t\b)[^.;!?]{0,40}?"
_FAKE = r"(?:deep ?fakes?|fakes?|faked|forged|forgery|forgeries|manipulated|manipulations?|tampered|synthetic)\b"
_REAL = r"(?:real|genuine|authentic|pristine|unaltered|untouched|unmanipulated)\b"
_CUE = re.compile(rf"(?P<denied>{_DENIED})?\b(?:(?P<fake>{_FAKE})|(?P<real>{_REAL}))", re.IGNORECASE)
_UNDECIDED = re.compile(
    r"\b(inconclusive|cannot be (decided|told|determined)|(can't|cannot) (tell|say|decide))\b", re.I
)


def parse(text: str) -> Reply:
    """The reply in a text: its label, or None where it has none, and its words."""
    words = text.strip()
    first = _FIRST.match(words)
    if first:
        return Reply(_LABELS[first[1].lower()], text=words)
    if _UNDECIDED.search(words):
        return Reply("inconclusive", text=words)
    said: set[Label] = {"fake" if bool(m["fake"]) != bool(m["denied"]) else "real" for m in _CUE.finditer(words)}
    return Reply(said.pop() if len(said) == 1 else None, text=words)


def render(reply: Reply) -> str:
    """The reply's verdict, and the regions of its findings, each once."""
    titles = [
        f"the {regions.title(name) if name in regions.REGIONS else name}"
        for name in dict.fromkeys(f.region for f in reply.findings)
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
