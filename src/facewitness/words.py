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


# ---------------------------------------------------------------------------------------- as the benchmark reads

_FAKE = (
    r"fakes?|faked|deep-?fakes?|deep-?faked|forged|forger(?:y|ies)|manipulat(?:ed|ions?)|tampered|tampering|altered"
    r"|alterations?|fabricated|falsified|doctored|counterfeit|spoof(?:ed)?|synthe(?:tic|sis|si[sz]ed)|photoshopped"
    r"|(?:ai-|computer-)?generated|(?:face[ -])?swap(?:s|ped|ping)?|artificial(?! light)|inauthentic|unreal"
)
_REAL = (
    r"real|authentic|genuine|pristine|bona fide"
    r"|(?:un|non-?)(?:altered|manipulated|tampered|edited|forged|touched|retouched)"
)
_CUE = re.compile(rf"(?<![\w-])(?:(?P<fake>{_FAKE})|(?P<real>{_REAL}))(?![\w-])")
_HARMLESS = re.compile(  # looks like a negation or a verdict and is none
    r"\b(?:not (?:only|just|merely|simply)|(?:no|without(?: a| any)?) (?:doubt|question)|real (?:time|world|life))\b"
    # "this does not prove that the picture is genuine" takes no side, and neither does what it goes on to say
    r"|\b(?:(?:do|does|did|can|is|are)(?: not|n't)|cannot)\s+(?:\w+\s+){0,2}(?:prove|proof|imply|guarantee|mean)\b"
    r"[^.;!?]*"
)
_EITHER = re.compile(
    rf"\bwhether\b[^.,;]*|\b(?:{_FAKE})\W+(?:or|versus|vs)\W+(?:{_REAL})\b"
    rf"|\b(?:{_REAL})\W+(?:or|versus|vs)\W+(?:{_FAKE})\b|\b(?:{_FAKE}|{_REAL}) or not\b"
)
_OPEN = re.compile(  # the text leaves it open
    r"\b(?:inconclusive|undecided|unsure|uncertain|unclear|does not (?:decide|allow a decision))\b"
    r"|\b(?:can(?:not|'t| not)|could(?: not|n't)|unable to"
    r"|(?:hard|difficult|impossible) to)\s+(?:\w+\s+){0,2}"
    r"(?:tell|determined?|decided?|judged?|say|ruled?|know|excluded?)\b"
)
_WORDS = r"(?:\W+\w+(?:['-]\w+)*)"
_ITEM = r"(?:(?!(?:is|are|was|were|it|this|looks?|appears?|seems?)\b)[\w'-]+)"
_LIST = re.compile(  # the commas of "no A, B or C"
    rf",(?=(?:\s*{_ITEM}(?:\s+{_ITEM}){{0,3}},){{0,8}}\s*(?:{_ITEM}\s+){{0,3}}(?:or|nor)\b)"
)
_CLAUSE = re.compile(
    r"[.!;:,()\n]+|\b(?:but|however|although|though|yet|because|since|therefore|thus|hence|so|while|whereas|and|which)\b"
)
_NOT = (
    r"(?:\b(?:not|cannot|no|never|nothing|neither|nor|none|without|hardly|rather than|instead of|as opposed to"
    r"|free (?:of|from)|absence of|lack(?:s|ing)?(?: of)?|far from|anything but|(?:hard|difficult) to believe)|n't)\b"
)
# a negation reaches six words, and any number where it denies evidence: "no trace in any part of the face that …"
_BEFORE = re.compile(
    rf"{_NOT}{_WORDS}{{0,6}}\W*\Z"
    rf"|{_NOT}{_WORDS}{{0,3}}?\W+(?:signs?|evidence|traces?|indications?|art[ei]facts?|hints?|clues?)\b"
)
_AFTER = re.compile(
    r"\W*(?:(?:is|are|was|were|has|have|had|can|could|did|does)(?: not|n't| never)|(?:is|are) absent)\b"
)
_ACT = re.compile(
    r"manipulations?|forger|tampering|alterations?|synthesis|(?:face[ -])?swap|deep-?fakes?$"
)  # may be denied after it
_ANNOUNCED = re.compile(
    r"(?:\b(?:verdict|answer|label|conclusion|prediction|classification|class|result)\b\W*(?:(?:is|was|as)\b\W*)?"
    r"|\A\W*)(?:an?\b\W*)?(?:not\b\W*)?\Z"
)
_ANNOUNCES = re.compile(r"\s*(?:\Z|[^\w\s']|because\b|since\b|(?:face|image|picture|photo|video|frame)\b)")
_WHOLE = re.compile(  # said of the picture, not of a nose
    r"(?:\b(?:images?|pictures?|photos?|photographs?|faces?|videos?|frames?|persons?|portraits?|it|this|that|he|she)\b"
    rf"(?!'){_WORDS}{{0,4}}?\W+(?:is|was|are|been|isn't|wasn't)|\b(?:it|this|that)'s|\A\W*(?:is|was|are))\b"
    rf"{_WORDS}{{0,5}}\W*\Z"
)
_REACH = 200  # characters before a word that are read for what they make of it; a text may be long and repeat itself


def label_of(text: str | None) -> Label | None:
    """What an English text says of the picture; None where it says neither, both, or that it cannot tell.

    Read from key words. A negation turns one round: "not fake" and "no sign of manipulation" are real, "not real" is
    fake. Where words disagree, an announced verdict ("Answer: fake", or the first word) goes before a statement on the
    whole picture ("the image is fake"), and that before all others ("the mouth looks real"). Questions, "whether …"
    and "real or fake" say nothing.
    """
    said = (text or "").lower().replace("’", "'")
    said = re.sub(r"</[^<>]*>", " . ", said)
    said = re.sub(r"<([^<>]*)>", r" \1: ", said)
    said = "".join(s for s in re.split(r"(?<=[.!?\n])", said) if not s.endswith("?"))
    for nothing in (_HARMLESS, _EITHER, _LIST):
        said = nothing.sub(" ", said)
    announced, whole, other = set[str](), set[str](), set[str]()
    begin = 0
    for end in [*(m.span() for m in _CLAUSE.finditer(said)), (len(said), len(said))]:
        clause, stated = said[begin : end[0]], False
        for cue in _CUE.finditer(clause):
            before = clause[max(0, cue.start() - _REACH) : cue.start()]
            denied = bool(_BEFORE.search(before)) or bool(_ACT.match(cue[0]) and _AFTER.match(clause, cue.end()))
            label = "fake" if (cue["fake"] is not None) != denied else "real"
            at = begin + cue.start()
            if _ANNOUNCED.search(said, max(0, at - _REACH), at) and _ANNOUNCES.match(said, begin + cue.end()):
                announced.add(label)
            elif not stated and _WHOLE.search(before):
                whole.add(label)
                stated = True  # what follows in the clause is an aside: "it is a fake image of a real person"
            else:
                other.add(label)
        begin = end[1]
    open_ = _OPEN.search(said)
    for labels in (announced,) if open_ else (announced, whole, other):
        if labels:
            return None if len(labels) > 1 else "fake" if "fake" in labels else "real"
    return None
