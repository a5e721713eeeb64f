"""A text in its questions: courtesies, and what is told beside a question, are left out."""

from __future__ import annotations

import re

from facewitness.patterns import ASKS, IF
from facewitness.people import NOUN
from facewitness.questions import asked_regions, supposed
from facewitness.times import moments_asked_for
from facewitness.words import normal

_TOLD_APART = re.compile(  # where a sentence ends; not behind "no. 2", "Mr. Smith" and "e.g. this"
    r"(?<![Nn]o\.)(?<!\bMr\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bMrs\.)(?<!\bSt\.)(?<!\bvs\.)(?<!\be\.g\.)(?<!\bi\.e\.)"
    r"(?<=[.!?…])[\s\"')\]]+|\n+"
)
_WHO_ELSE = re.compile(rf"\b(?:{NOUN}|left|right|middle|first|second|third|last|\d+)\b")

# "This came by WhatsApp, is it fake?": what is told before a question, by its subject and its verb
_TOLD_BEFORE = re.compile(
    r"^(?:i|we|he|she|they|it|this|that|my|our|some(?:one|body)|an?|the)\b[^?]{0,300}?\b(?:am|is|are|was|were|has|have|had|"
    r"came|comes?|got|gets?|received?|sent|sends?|found|finds?|saw|sees?|says?|said|thinks?|thought|believes?|told|posted|"
    rf"shared|downloaded|took|want|need|wonder)\b[^?]{{0,300}}?[,;:–—-]+ ?(?=(?:so |and |but |now )?(?:{ASKS}|can|"
    rf"could|"
    r"what|where|when|why|how|which|who)\b)"
)


def parts(question: str) -> tuple[str, ...]:
    """The questions of a text, each by itself: courtesies and what is told beside them are none.

    What is told stays where it says whom or what is meant ("I mean the man on the left. Is he fake?"), or what is
    supposed ("This is fake. Where?"): then it is one question.

    Args:
        question: As it was asked.
    """
    sentences = [part for part in _TOLD_APART.split(question) if part.strip() and courtesy(part) is None]
    asks = [part for part in sentences if part.rstrip("\"')] ").endswith("?")]
    statements = [part for part in sentences if part not in asks]
    if not asks or any(_says_what_is_meant(part) for part in statements):
        asks = [" ".join(sentences) if sentences else question]
    return tuple(_without_told(part) for part in asks)


def _says_what_is_meant(text: str) -> bool:
    plain = normal(text)
    if asked_regions(text) or supposed(text) is not None or re.search(IF, plain) or moments_asked_for(text):
        return True
    return bool(_WHO_ELSE.search(plain))


def _without_told(question: str) -> str:
    before = _TOLD_BEFORE.match(normal(question))
    if before is None or len(normal(question)) != len(question) or _says_what_is_meant(before[0]):
        return question
    return question[before.end() :]


_COURTESIES = {
    "You are welcome.": r"(?:many |so many |oh )?(?:thanks|thank you|thx|cheers|ta|much appreciated)(?: a lot| a "
    "bunch| "
    r"so much| very much| again| anyway| you| for \w+(?: \w+)?)*",
    "Hello.": r"hello|hi|hey|good (?:morning|day|afternoon|evening)|greetings",
    "Goodbye.": r"bye|bye bye|goodbye|good night|see you(?: later| soon)?|farewell",
    "All right.": r"(?:good|great|nice|well) (?:job|work|done)|ok|okay|all right|alright|fine|great|good|perfect|"
    "nice|cool|wow|super|excellent|wonderful|amazing|"
    r"interesting|i see|understood|i understand|got it|right|sure|sorry|please|excuse me|well|hm+|oh|ah|aha|no problem|"
    r"(?:that(?:'s| is)|this is) (?:all|it|enough|good|great|fine|helpful|clear|nice|interesting|very helpful)|"
    r"never ?mind|no more questions|there|facewitness|everyone|all|sir|madam",
}
_COURTESY = {answer: re.compile(rf"(?:{words})\b") for answer, words in _COURTESIES.items()}


def courtesy(text: str) -> str | None:
    """What is said back to a courtesy: "Thanks", "Hello!", "OK, good job."; None for a text that holds anything else.

    Args:
        text: Any text.
    """
    rest = " ".join(re.findall(r"[\w']+", normal(text)))
    if not rest and re.search(r"\w|\?", text):
        return None
    answers: list[str] = [] if rest else ["All right."]
    while rest:
        fits = ((m.end(), answer) for answer, pattern in _COURTESY.items() if (m := pattern.match(rest)))
        end, answer = max(fits, default=(0, ""))
        if not end:
            return None
        answers.append(answer)
        rest = rest[end:].lstrip()
    return next(answer for answer in _COURTESIES if answer in answers)
