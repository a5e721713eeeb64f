"""Questions: what somebody asks of a report, read by words: the intent, the regions and the face that are meant."""

from __future__ import annotations

import re
from itertools import pairwise

from facewitness import regions
from facewitness.errors import InputError
from facewitness.words import normal

MOST = 2_000  # characters of a question

# What questions ask for, in the order in which they are tried. A question that names a region asks about that region
# unless an earlier line fits.
INTENTS: dict[str, str] = {
    "suppose_real": r"\b(suppos\w*|assum\w*|imagin\w*|if)\b.*\b(real|genuine|authentic|pristine)\b|"
    r"\b(evidence|speaks?|argument\w*|reasons?)\b.*\b(for|that it is|it's)\b.*\b(real|genuine|authentic)\b",
    "suppose_fake": r"\b(suppos\w*|assum\w*|imagin\w*|if)\b.*\b(fake\w*|forged|manipulated|deepfake|synthetic)\b|"
    r"\b(evidence|speaks?|argument\w*)\b.*\bfor\b.*\b(fake|forged|forgery|manipulation)\b",
    "when": r"\bwhen\b|\b(at )?(what|which) (times?|moments?|seconds?|minutes?|parts? of the (film|video|clip))\b|"
    r"\bhow long\b|\bhow much of the (time|film|video|clip)\b",
    "faces": r"\bhow many (faces|people|persons)\b|\bwho (else )?is\b",
    "wrong": r"\b(how often|error rate|false (alarm|positive)s?|mistakes?|be wrong|trust|reliab\w*|accura\w*|"
    r"limits?)\b",
    "sure": r"\b(how (sure|certain|confident|likely|probable)|probabilit\w*|confidence|certainty|chances?|"
    r"per ?cent)\b",
    "kind": r"\b(what|which) (kind|type|sort|method|technique|tool)\b|\bhow (was|is|were) (it|this|that|the (face|"
    r"picture|photo|image))\b.*\b(made|forged|faked|done|created|manipulated)\b|\bface.?swap\w*|\b(gan|diffusion|"
    r"ai.generated|generated|synthes\w*)\b",
    "where": r"\bwhere\b|\b(which|what) (parts?|regions?|areas?|places?|features?)\b",
    "why": r"\bwhy\b|\bevidence\b|\bhow (do|can|did) you (know|tell|see)\b|\bexplain\b|\breasons?\b|\bshow me\b",
    "quality": r"\b(quality|blur\w*|sharp\w*|resolution|dark|too small)\b",
    "verdict": r"\b(fake\w*|real|genuine|authentic|deep ?fake\w*|forg\w*|manipulat\w*|tampered|edited|altered|"
    r"retouched|photoshop\w*|pristine|verdict|legit\w*|true)\b",
}
_PATTERNS = {name: re.compile(pattern, re.DOTALL) for name, pattern in INTENTS.items()}
_ASKS_REAL = re.compile(r"\b(real|genuine|authentic|pristine|legit\w*|true|untouched|unaltered)\b")
_ASKS_FAKE = re.compile(
    r"\b(fake\w*|deep ?fake\w*|forg\w*|manipulat\w*|tampered|edited|altered|retouched|photoshop\w*|swapped|wrong|"
    r"odd)\b",
)
_THERE = re.compile(r"\b(there|(this|that) (place|region|part|area|one)|them|they)\b")
_MOMENT = re.compile(
    r"\b(?:(\d{1,2}):)?(\d{1,3}):(\d{2})\b|\b(?:at|after|around|second) (\d+(?:\.\d+)?) ?(?:s|sec|seconds?)\b"
)
_FACE = re.compile(r"\bface (?:number |no\.? ?|#)?(\d{1,3})\b")
_ORDINALS = {w: i for i, w in enumerate(("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"))}


def asked(question: str) -> str:
    """The question without what stands around it. Raises InputError for none, and one of more than MOST characters."""
    question = question.strip()
    if not question:
        raise InputError('expected a question, such as "Is the nose fake?", got an empty one')
    if len(question) > MOST:
        raise InputError(f"expected a question of at most {MOST:,} characters, got one of {len(question):,}")
    return question


def intent(question: str) -> str:
    """The first of INTENTS that fits; "" where none does."""
    return next((name for name, pattern in _PATTERNS.items() if pattern.search(normal(question))), "")


def asks_real(text: str) -> bool:
    """Whether it speaks of being real."""
    return bool(_ASKS_REAL.search(normal(text)))


def points_back(question: str) -> bool:
    """Whether it asks about a place by pointing at what was spoken of: "there", "that part", "they"."""
    return bool(_THERE.search(normal(question)))


def asked_regions(question: str) -> tuple[str, ...]:
    """The tree's regions a question names: a part by its own name ("upper lip"), else MARE's by its words.

    "Is this face fake?" asks about the face as a whole, not about a region.
    """
    question = normal(question)
    words = " " + re.sub(r"[\s_\-]+", " ", re.sub(r"[^\w\s\-]", " ", question)).strip() + " "
    own = [
        name
        for name, region in regions.REGIONS.items()
        if name not in ("face", "skin") and re.search(rf" {regions.title(name)}s? ", words)
    ]
    own = [a for a in own if not any(a != b and regions.title(a) in regions.title(b) for b in own)]
    if "skin" in words.split():
        own.append("skin")
    without_face = re.sub(r"\b(lower |whole |entire )?faces?\b", " ", question)
    named = [
        n for n in regions.mentioned(without_face) if not any(regions.within(o, n) or regions.within(n, o) for o in own)
    ]
    return tuple(dict.fromkeys([*own, *named]))


def face_asked_for(question: str) -> int | None:
    """The face a question names by its number, from 0: "face 2" and "the second face" are 1; None for none."""
    question = normal(question)
    numbered = _FACE.search(question)
    if numbered:
        return max(0, int(numbered[1]) - 1)
    words = re.findall(r"\w+", question)
    return next((_ORDINALS[a] for a, b in pairwise(words) if b in ("face", "person", "one") and a in _ORDINALS), None)


def moment_asked_for(question: str) -> float | None:
    """The moment of a film that a question names, in seconds: "at 0:14", "at 1:02:03", "after 14 seconds"."""
    found = _MOMENT.search(normal(question))
    if found is None:
        return None
    if found[4] is not None:
        return float(found[4])
    return 3600 * int(found[1] or 0) + 60 * int(found[2]) + int(found[3])


def yes_or_no(question: str, forged: bool) -> str:
    """ "Yes. " or "No. " as the question was put, or nothing where it was put neither way, or both ways."""
    real, fake = asks_real(question), bool(_ASKS_FAKE.search(normal(question)))
    if real == fake:
        return ""
    return "Yes. " if fake == forged else "No. "
