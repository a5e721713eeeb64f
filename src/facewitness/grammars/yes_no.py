"""KFD's answers: "Yes, this face is fake. Signs of forgery are at the nose and the mouth." or "No, …".

The question is "Is this a deepfake image?" (KFD, §3.3), so yes means fake. Where a text doesn't begin with yes or no,
its words decide, in the plain reading of `words.verdict`: "it looks authentic" says real. (The authors' inference looks
for "pristine" and "deepfake", each turned by a "not" anywhere, then for "Yes" and "No" anywhere: the last that is there
counts, so "No doubt: Yes" says real.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from facewitness import regions, words
from facewitness.phrases import listed, the_regions
from facewitness.types import Label, Reply

STRICT = False  # which reading of `words.verdict` this grammar chooses
_FIRST = re.compile(r"\W*(yes|no)\b(?!\s+(?:doubt|question|longer|real|way|one)\b)")
_LABELS: dict[str, Label] = {"yes": "fake", "no": "real"}


def prompt(description: str, score: float | None, question: str) -> str:
    """`[task description][detector's result] question`, as the paper has it; None leaves the result out.

    Args:
        description: Of the task.
        score: The detector's, in [0, 1], 1 means fake; None leaves the detector's result out.
        question: The question in words.
    """
    result = "" if score is None else f"The KFD detector gives a forgery score of {score:.2f}. "
    return f"{description} {result}{question}"


# The replies between which evidence decides: one wording of those that `builders/sbi_qa` teaches.


def genuine() -> str:
    """No, to "is it fake?"."""
    return "No, this face is real. Nothing on the face was altered."


def forged(places: Sequence[str]) -> str:
    """Yes, to "is it fake?", at regions of the tree.

    Args:
        places: Regions of the tree.
    """
    return f"Yes, this face is fake. The forged part is {the_regions(places)}."


def region_forged(name: str) -> str:
    """Yes, to "is the nose fake?".

    Args:
        name: Of a region of the tree.
    """
    return f"Yes. The {regions.title(name)} is fake."


def region_genuine(name: str) -> str:
    """No, to "is the nose fake?", and nothing else is.

    Args:
        name: Of a region of the tree.
    """
    return f"No. The {regions.title(name)} is genuine, and so is the rest of the face."


def region_untouched(name: str, places: Sequence[str]) -> str:
    """No, to "is the nose fake?", but others are.

    Args:
        name: Of a region of the tree.
        places: Regions of the tree.
    """
    return f"No. The {regions.title(name)} is untouched; the forged part is {the_regions(places)}."


def parse(text: str) -> Reply:
    """The reply in a text: its label, or None where it has none, and its words.

    Args:
        text: What a model wrote.
    """
    first = _FIRST.match(words.normal(text))
    return Reply(_LABELS[first[1]] if first else words.verdict(text, STRICT), parts=(text.strip(),))


def render(reply: Reply) -> str:
    """The reply's verdict, and the regions of its findings, each once.

    Args:
        reply: Any reply.
    """
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
