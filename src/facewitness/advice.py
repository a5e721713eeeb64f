"""What is answered of a report whatever face is meant: what its words mean, what to do with it, what it cannot know.

    meaning("What does inconclusive mean?")  →  "Inconclusive means that …"

Here are the sentences; which question wants which is read by `patterns`, and `dialogue` puts the verdict beside them.
"""

from __future__ import annotations

import re

from facewitness.phrases import WORDS
from facewitness.types import Label
from facewitness.words import normal

# What a word means, in the order in which it is looked for
_MEANINGS: tuple[tuple[str, str], ...] = (
    (
        r"inconclusive|undecided|cannot be decided",
        "Inconclusive means that the evidence does not allow a decision in either direction: the probability lies "
        "between the two thresholds, the face is too poor to judge, or witnesses or views of the face contradict each "
        "other. It is neither a weak yes nor a weak no.",
    ),
    (r"no signs?\b", f"{WORDS['real'][0]} means: {WORDS['real'][1]}"),
    (
        r"weak|moderate|strong|signs?\b",
        "A sign's strength is the measured share of such signs that are right: weak below 50 %, moderate from 50 %, "
        "strong from 70 %, very strong from 90 %.",
    ),
    (
        r"threshold|^(?:but |and |so )?why \d",
        "Below the lower threshold there is no sign of forgery, from the upper one on a face is called fake, and "
        "between them it is inconclusive. They were chosen so that few genuine faces are called fake.",
    ),
    (
        r"interval|range|in brackets|\d ?[–-] ?\d+ ?%",
        "The range beside a probability is its 95 % interval: how far the probability would move with other faces to "
        "measure it on. It is not the chance that the verdict is right.",
    ),
    (
        r"\bdeep ?fakes?\b",
        "A deepfake is a picture or a film in which a network changed or made a face. Here “fake” is said of any face "
        "that shows traces of being swapped, changed or generated.",
    ),
    (
        r"\bface[ -]?swap\w*",
        "A face swap puts one person's face on another's head. It is one of the kinds of forgery of which a report "
        "gives shares; they decide nothing.",
    ),
    (
        r"\bc2pa\b|content credentials?|provenance",
        "C2PA manifests, or content credentials, are a signed record inside a file of what made and changed it; the "
        "witness provenance reads them, and what else the file says of itself. Most pictures have none, and one "
        "without proves nothing.",
    ),
    (
        r"\bexif\b|meta ?data",
        "Metadata (EXIF) is what a camera or a program wrote into the file, such as the date and the camera. Anybody "
        "can change it, and most sites remove it.",
    ),
    (
        r"\btime ?lines?\b",
        "The timeline shows the probability of forgery at each moment of a film that was judged, with the thresholds "
        "dashed, and below it how much of the face could be seen there. Stretches that look forged are shaded. A "
        "single high moment proves little.",
    ),
    (
        r"log[ -]?odds",
        "Log-odds are the logarithm of the odds, p / (1 − p): a probability of 50 % is 0, one of 73 % is 1 and one of "
        "27 % is −1.",
    ),
    (
        r"\b(?:dfdc|faceforensics|deepfacelive|stylegan\d?|generated photos|neuraltextures|gpt-image)",
        "That is a set of forgeries, or what made them, by which the witness was measured: how well it knows each is "
        "told in the sentences on what the witnesses know. It says nothing of how this picture was made.",
    ),
    (
        r"probabilit|per ?cent|%|calibrated|chance|\bscore",
        "The probability is calibrated: of known faces given 80 %, about 80 in 100 were forged. Pictures of another "
        "origin may behave differently. It does not say how much of the face was changed.",
    ),
    (r"real|genuine|authentic", f"{WORDS['real'][0]} means: {WORDS['real'][1]}"),
    (
        r"fake|forged|manipulated",
        "Fake means that the probability of forgery reaches the upper threshold. The places named with it are where "
        "the evidence lies, not proof of what was done there.",
    ),
    (
        r"quality",
        "The quality says how far a face can be trusted as evidence: 1 is a large, sharp face seen from the front.",
    ),
    (
        r"rests? on|painted over",
        "To see on what the score rests, a place is painted over and the face is scored again: where that lowers the "
        "score more than for another place, the score rests on it.",
    ),
    (
        r"\bauc\b",
        "The AUC is how often a forged face gets a higher score than a genuine one: 1 for always, 0.5 for no more "
        "often than by chance.",
    ),
    (r"\bregions?\b", "A region is a part of the face that has a name, such as the nose or the left eye."),
    (
        r"witness|compact|kfd|mare",
        "A witness is a program that examines faces: it gives a score and the places that it suspects.",
    ),
    (r"mask|overlay|colou?r", "The mask shows where on the face a witness suspects a change: the higher, the more so."),
    (r"finding", "A finding is one place that gives a forgery away, with a box to look at and a measured strength."),
    (
        r"saved (?:\w+ )?twice|jpeg|compress",
        "Each saving as JPEG leaves its own traces. A picture that was saved more than once passed through a program "
        "or a site: every upload does that, and it is no sign of forgery.",
    ),
)
_PATTERNS = tuple((re.compile(words), meaning) for words, meaning in _MEANINGS)
_BOTH = re.compile(r"\bdifference between (?:an? |the )?(.+?) and (?:an? |the )?(.+)")

SIDES = (
    "Left and right of a face are the subject's own: the left eye of somebody who faces the camera is on the right of "
    "the picture."
)
STANDS: dict[Label | None, str] = {
    "fake": "The report calls a face fake; genuine faces are called so now and then (ask: how often are you wrong?).",
    "real": "The report found no sign of forgery, which does not prove that the picture is genuine.",
    "inconclusive": "The report is inconclusive: it speaks neither for nor against the picture.",
    None: "",
}
YOURS = "That decision is yours: one result is not enough to publish or to accuse anybody."
NO_LAWYER = "What the law says I cannot tell: ask a lawyer."
FILES = (
    "On the command line `facewitness analyze FILE --format html` writes a report to look at, with the places marked "
    "in the picture; pdf, markdown, json and overlay are others. In a chat, /save NAME.md keeps the conversation."
)
OTHERS = (
    "I have this file and nothing else: what somebody says or knows of it, and what other programs gave, I cannot "
    "weigh. Where you know better, `facewitness misjudged FILE --truth real` (or fake) writes a record of it for those "
    "who make this program."
)
MIND = (
    "Another file may give another verdict: the unedited original is the best to analyse, and a larger, sharper face "
    "seen from the front tells more. What lies outside the file, such as the original that a forgery was made from, or "
    "somebody who was there, I cannot weigh; it may settle what I cannot."
)
KEEPING = (
    "facewitness sends pictures nowhere by itself, and keeps none that the command line analyses. A service keeps "
    "uploads for as long as whoever runs it has set, and a language model that words the answers may run elsewhere; "
    "whether one does here does not stand in the report."
)
_WORDING: dict[Label | None, str] = {
    "fake": "“An automated examination ({by}) judges a face in the picture to be forged, at a probability of "
    "{chances}. Such verdicts can be wrong.”",
    "real": "“An automated examination ({by}) found no sign of forgery on the {faces}. That does not prove that the "
    "picture is genuine.”",
    "inconclusive": "“An automated examination ({by}) could not decide about the {faces} in the picture.”",
    None: "“An automated examination ({by}) found no face in the picture that it could judge.”",
}


def meaning(question: str) -> str | None:
    """What the words mean that a question asks about; None for words that are not known.

    Of "Does inconclusive mean fake?" the word before "mean" is explained, of a difference both.

    Args:
        question: As it was asked.
    """
    text = normal(question)
    if both := _BOTH.search(text):
        one, other = (_of(part) for part in both.groups())
        return " ".join(dict.fromkeys(filter(None, (one, other)))) or None
    before, means, _ = text.partition(" mean")
    return (_of(before) if means else None) or _of(text)


def _of(text: str) -> str | None:
    return next((meaning for words, meaning in _PATTERNS if words.search(text)), None)


def steps(has_places: bool) -> str:
    """What to do next.

    Args:
        has_places: Whether the report names places to look at.
    """
    look = "Look at the places that the report names, in the picture itself. " if has_places else ""
    return (
        f"{look}Search for the original, with a reverse image search, and compare. Ask whoever sent it for the "
        "unedited file. Have a second method or an examiner look at it."
    )


def wording(label: Label | None, by: str, chances: str, faces: int) -> str:
    """How a verdict may be put in an article, saying no more than it does.

    Args:
        label: Of the picture; None where no face was found.
        by: What examined it, with its version.
        chances: The probability of the likeliest forgery, in words.
        faces: How many there are.
    """
    sentence = _WORDING[label].format(by=by, chances=chances, faces="face" if faces == 1 else "faces")
    return (
        f"Say no more than the report does, for example: {sentence} Say, too, "
        "that only faces and what the file says of itself were examined, and keep the report with the file's hash."
    )
