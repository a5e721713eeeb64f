"""The one reader of a verdict in a text: real, fake or inconclusive, as the words say it.

Rewards, tables and conversations all read with `verdict`, so that what is measured is what is rewarded. There are two
readings, and a grammar chooses (`STRICT` in its file):

    plain    of English as people write it: many words for real and fake, denials, comparisons, quotations
    strict   MARE's literal rule: the words "fake" and "real" alone, and what denies them

`regions.mentioned` reads the places.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

from facewitness.types import Label


def verdict(text: str | None, strict: bool = False) -> Label | None:
    """What a text says of the picture as a whole.

    Args:
        text: English prose; tags such as <answer> may stand in it.
        strict: Read as MARE does, by the words "fake" and "real" alone (`literal`).

    Returns:
        "real" or "fake"; "inconclusive" where the text leaves it open; None where it says neither, or both.
    """
    return literal(text or "") if strict else _plain(text or "")


@lru_cache(maxsize=16)  # one question is read by many rooms, and each asks for this
def normal(text: str) -> str:
    """The text in small letters, each character in its plain form, without invisible ones.

    "ＦＡＫＥ", "ſ", "İ" and a soft hyphen in a word look like letters that a pattern knows, and are none: after this a
    pattern needs no flag for upper case, and no table misses a key.

    Args:
        text: Any text.
    """
    if text.isascii():
        return text.lower().replace("`", "'")
    seen = (c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    small = unicodedata.normalize("NFKC", "".join(seen).casefold())
    return small.replace("i\u0307", "i").replace("’", "'").replace("`", "'")


# ------------------------------------------------------------------------------------------------- MARE's literal rule

# A denial turns a word round, over the small words between them: "not real", "isn't a fake", "does not appear to be
# very real", "nothing like the real person".
_DENIAL = r"(?:\b(?:not|never|cannot|hardly|barely|scarcely|unlikely|nor|neither|nothing|no\s+longer|far\s+from)|n't)"
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
_LITERAL = re.compile(rf"(?P<denied>{_DENIAL}\s+{_BETWEEN})?(?P<elsewhere>{_ELSEWHERE})?\b(?P<word>fake|real)\b")


# "There is no sign that it is fake" denies a sign, and says neither word of the picture.
_NO_SIGN = re.compile(
    r"\b(?:no|without|any|lacks?)\s+(?:\w+\s+){0,2}(?:signs?|evidence|traces?|indications?|hints?|clues?|proof)\b"
    r"[^.;!?,]*"
)


def literal(text: str) -> Label | None:
    """The strict reading: the one verdict of a text by the words "fake" and "real"; None for none, and for both.

    "The nose looks fake because it lacks the shading of a real one" says fake, for the second word is about something
    else. "inconclusive" is a verdict too, where a text doesn't say clearly either of the others. "There is no sign that
    it is fake" says neither.

    Args:
        text: Any text.
    """
    text = _NO_SIGN.sub(" ", normal(text))
    labels: set[Label] = set()
    for match in _LITERAL.finditer(text):
        fake = match["word"] == "fake"
        if match["elsewhere"] and not fake:
            continue
        labels.add("fake" if fake != bool(match["denied"]) else "real")
    if len(labels) == 1:
        return labels.pop()
    return "inconclusive" if re.search(r"\binconclusive\b", text) else None


# ---------------------------------------------------------------------------------------------------- the plain reading

_FAKE = (
    r"fakes?|faked|deep-?fakes?|deep-?faked|forged|forger(?:y|ies)|manipulat(?:ed|ions?)|tampered|tampering|altered"
    r"|alterations?|edited|retouched|fabricated|falsified|doctored|counterfeit|spoof(?:ed)?|synthe(?:tic|sis|si[sz]ed)"
    r"|photoshopped|(?:ai-|computer-)?generated|(?:made|created|drawn) by (?:an? )?(?:ai|gan|machine|computer)"
    r"|(?:ai|gan)[ -](?:images?|pictures?|photos?|faces?|portraits?)|(?:face[ -])?swap(?:s|ped|ping)?"
    r"|artificial(?! light)|inauthentic|unreal"
)
_REAL = (
    r"real|authentic|genuine|pristine|bona fide"
    r"|(?:un|non-?)(?:altered|manipulated|tampered|edited|forged|touched|retouched)"
)
_CUE = re.compile(rf"(?<![\w-])(?:(?P<fake>{_FAKE})|(?P<real>{_REAL}))(?![\w-])")
_SIGNS = r"(?:signs?|evidence|traces?|indications?|art[ei]facts?|hints?|clues?)"
_SAYS = r"(?:says?|said|claims?|claimed|thinks?|thought|believes?|believed|suspects?|suspected|insists?)"
_HARMLESS = re.compile(  # looks like a negation or a verdict and is none
    r"\b(?:not (?:only|just|merely|simply)|(?:no|without(?: a| any)?) (?:doubt|question)"
    rf"|real (?:time|world|life|questions?|deal|thing)|real (?={_SIGNS}|reasons?|doubts?|problems?|differences?|cause)"
    r"|(?:to|can|could|would|nobody|anybody) fake(?= \w))\b"
    # "8 % fake" is a measurement that says the opposite, if anything
    rf"|(?<![\d.])[0-4]?\d(?:\.\d+)? ?(?:%|per ?cent) (?:{_FAKE}|{_REAL})(?![\w-])"
    # "this does not prove that the picture is genuine" takes no side, and neither does what it goes on to say
    r"|\b(?:(?:do|does|did|can|is|are)(?: not|n't)|cannot)\s+(?:\w+\s+){0,2}(?:prove|proof|imply|guarantee|mean)\b"
    r"[^.;!?]*"
    r"|(?<!\bas )\bif\b[^.,;!?]*"  # supposed
    rf"|\b(?:some|many|people|others|they|he|she|experts?|someone|somebody|everybody)\s+(?:\w+\s+)?{_SAYS}\b[^.,;!?]*"
)
_QUOTED = re.compile(  # what somebody else says, not "I would call it 'fake'" and not a reply in JSON
    r"\b(?:says|said|reads|read|asks|asked|writes|wrote|written|claims|claimed|titled|caption|headline|sign|words?)\b"
    r'[^.!?\n"“«„]{0,20}(?:"[^"]*"|“[^”]*”|«[^»]*»|„[^“”]*[“”])'
)
_EITHER = re.compile(
    rf"\bwhether\b[^.,;]*|\b(?:{_FAKE})\W+(?:or|versus|vs)\W+(?:{_REAL})\b"
    rf"|\b(?:{_REAL})\W+(?:or|versus|vs)\W+(?:{_FAKE})\b|\b(?:{_FAKE}|{_REAL}) or not\b"
)
_OPEN = re.compile(  # the text leaves it open; eyebrows may be unclear, too, and nobody can say why
    r"\b(?:inconclusive|undecided|unsure|does not (?:decide|allow a decision))\b"
    r"|\b(?:it|this|that) (?:is|remains|seems) (?:\w+ )?(?:unclear|uncertain)\b"
    r"|\b(?:unclear|uncertain) (?:whether|if)\b|\bnot enough (?:evidence|information|detail)\b|\b(?:be|go) either\b"
    r"|\bi am (?:\w+ )?uncertain\b"
    r"|\b(?:can(?:not|'t| not)|could(?: not|n't)|unable to"
    r"|(?:hard|difficult|impossible) to)\s+(?:\w+\s+){0,2}"
    r"(?:tell|determined?|decided?|judged?|say|ruled?|know|excluded?)\b(?!\s+(?:exactly\s+)?(?:why|how|where|which|what|by))"
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
    r"(?:\b(?:not|cannot|no|never|nothing|neither|nor|none|nobody|without|hardly|barely|scarcely|unlikely|improbable"
    r"|doubt(?:s|ful|ed)?|rather than|instead of|as opposed to|free (?:of|from)|absence of|lack(?:s|ing)?(?: of)?"
    r"|far from|anything but|fail(?:s|ed)? to|(?:wrong|incorrect|unfair) to|(?:hard|difficult) to believe)|n't)\b"
)
# a negation reaches six words, and any number where it denies evidence: "no trace in any part of the face that …"
_BEFORE = re.compile(rf"{_NOT}{_WORDS}{{0,6}}\W*\Z|{_NOT}{_WORDS}{{0,3}}?\W+{_SIGNS}\b")
_TWICE = re.compile(rf"{_NOT}{_WORDS}{{0,5}}?\W+(?:that|it|this)\b{_WORDS}{{0,3}}?\W*{_NOT}{_WORDS}{{0,2}}\W*\Z")
_AFTER = re.compile(
    r"\W*(?:(?:is|are|was|were|has|have|had|can|could|did|does)(?: not|n't| never)|(?:is|are) absent)\b"
)
_FALSE = re.compile(r"\W*(?:is|are|was|were) (?:false|wrong|untrue|unfounded|incorrect|mistaken)\b")
_ACT = re.compile(
    r"manipulations?|forger|tampering|alterations?|synthesis|(?:face[ -])?swap|deep-?fakes?$"
)  # may be denied after it
# what a face is held against: "than real", "unlike a real one"; "the texture of a real face" says something if denied
_APART = re.compile(
    r"\b(?:than|unlike|(?<!far )from|against|compared (?:with|to)|between|as in)\s+"
    r"(?:(?:in|an?|the|any|most|other|many|such|some|what|is|known)\s+){0,3}\Z"
)
_PART = re.compile(
    r"\b(?:in|of|with|for|to|on|onto|by|among|all)\s+(?:(?:an?|the|any|most|other|many|such|some|his|her|their)\s+)"
    r"{0,2}\Z"
)
_SUPPOSED = re.compile(r"\s+(?:\w+\s+){0,2}(?:would|should|might|could)\b")  # "a real photo would have no such edge"
# "the absence of artifacts suggests that the image is genuine" denies the artifacts alone
_BY_ABSENCE = re.compile(
    r"\b(?:absence of|lack of)\b.*\b(?:suggests?|indicates?|shows?|means|implies|tells|points? to|makes?)\b"
)
_YES = r"(?P<yes>yes|true)|no|none|false"
_FIELD = re.compile(rf"\b(?P<named>{_FAKE}|{_REAL})\W{{0,4}}[:=]\W{{0,4}}(?:{_YES})\b")  # "Forgery: none"
_REPLY = re.compile(rf"\W*(?:{_YES})\b")
_ANNOUNCED = re.compile(
    r"(?:\b(?:verdict|answer|label|conclusion|prediction|classification|class|result)\b\W*(?:(?:is|was|as)\b\W*)?"
    r"|\A\W*)(?:an?\b\W*)?(?:not\b\W*)?\Z"
)
_ANNOUNCES = re.compile(r"\s*(?:\Z|[^\w\s']|because\b|since\b|(?:face|image|picture|photo|video|frame)\b)")
_SUBJECT = r"(?:images?|pictures?|photos?|photographs?|faces?|videos?|frames?|persons?|portraits?|it|this|that|he|she)"
_WHOLE = re.compile(  # said of the picture, not of a nose
    rf"(?:\b{_SUBJECT}\b(?!'){_WORDS}{{0,4}}?\W+(?:is|was|are|been|isn't|wasn't)|\b(?:it|this|that)'s"
    rf"|\A\W*(?:is|was|are))\b{_WORDS}{{0,5}}\W*\Z"
)
_LOOKS = re.compile(  # the same, with less certainty
    rf"\b{_SUBJECT}\b(?!'){_WORDS}{{0,3}}?\W+(?:looks?|appears?|seems?|sounds?)\b{_WORDS}{{0,5}}\W*\Z"
)
_REACH = 200  # characters before a word that are read for what they make of it; a text may be long and repeat itself

# Small words: of English, and of languages whose texts hold "real" and "fake", too.
_ENGLISH = re.compile(
    r"the|is|are|was|were|it|it's|its|this|that|an|of|and|or|but|not|isn't|looks?|appears|seems|has|have|been|be|because"
    r"|with|which|no|on|to|face|image|picture|photo"
)
_FOREIGN = re.compile(
    r"es|el|los|las|una|unos|del|que|y|en|lo|muy|pero|su|est|le|les|une|et|pas|ce|cette|dans|ist|das|der|dem|und|nicht"
    r"|eine?|im|von|il|gli|di|un|è|e|sono|non|uma|é|são|não|em|het|een|niet|van|zijn|är|och|inte|det|jest|nie|się|bu|bir"
    r"|ve|değil"
)


@lru_cache(maxsize=256)  # a grammar, scores and a table read one reply in turn
def _plain(text: str) -> Label | None:
    """The verdict that key words give.

    A negation turns one round: "not fake" and "no sign of manipulation" are real, "not real" is fake. Where words
    disagree, an announced verdict ("Answer: fake", or the first word) goes before a statement on the whole picture
    ("the image is fake"), that before what it looks like ("the image looks fake"), and that before all others ("the
    mouth looks real"); but a picture that looks real and has a forged mouth is neither. Questions, "whether …", "if …",
    "real or fake", what others say or write, and other languages, say nothing.
    """
    plain = normal(text)
    plain = re.sub(r"</[^<>]*>", " . ", plain)
    plain = re.sub(r"<([^<>]*)>", r" \1: ", plain)
    if _is_foreign(plain):
        return None
    plain = _QUOTED.sub(" ", plain)
    announced, whole, looks, other = set[Label](), set[Label](), set[Label](), set[Label]()
    for field in _FIELD.finditer(plain):
        announced |= _answered(field["named"], field)
    plain = _FIELD.sub(" ", plain)
    sentences = re.split(r"(?<=[.!?\n])", plain)
    for question, answer in pairwise(sentences):  # "Is it fake? No."
        if question.endswith("?") and (reply := _REPLY.match(answer)):
            announced |= _answered(question, reply)
    plain = "".join(s for s in sentences if not s.endswith("?"))
    open_ = _OPEN.search(plain)
    for nothing in (_HARMLESS, _EITHER, _LIST):
        plain = nothing.sub(" ", plain)
    begin = 0
    for end in [*(m.span() for m in _CLAUSE.finditer(plain)), (len(plain), len(plain))]:
        clause, stated = plain[begin : end[0]], False
        for cue in _CUE.finditer(clause):
            before = clause[max(0, cue.start() - _REACH) : cue.start()]
            label = _label(cue, clause, before)
            if label is None:
                continue
            at = begin + cue.start()
            if _ANNOUNCED.search(plain, max(0, at - _REACH), at) and _ANNOUNCES.match(plain, begin + cue.end()):
                announced.add(label)
            elif not stated and (_WHOLE.search(before) or _LOOKS.search(before)):
                (whole if _WHOLE.search(before) else looks).add(label)
                stated = True  # what follows in the clause is an aside: "it is a fake image of a real person"
            else:
                other.add(label)
        begin = end[1]
    if not announced and open_:
        return "inconclusive"
    if looks == {"real"} and other == {"fake"}:
        looks = {"real", "fake"}  # a forged part makes a forged picture, a real part makes no real one
    labels = next((labels for labels in (announced, whole, looks, other) if labels), set[Label]())
    return labels.pop() if len(labels) == 1 else None


def _label(cue: re.Match[str], clause: str, before: str) -> Label | None:
    """What one key word says, with what stands around it; None where it is about something else."""
    fake = cue["fake"] is not None
    before = _BY_ABSENCE.sub("", before)
    if _APART.search(before) or _SUPPOSED.match(clause, cue.end()):
        return None
    denied = bool(_BEFORE.search(before)) != bool(_TWICE.search(before))
    if not fake and _PART.search(before):
        return "fake" if denied else None
    denied = denied or bool(_ACT.match(cue[0]) and _AFTER.match(clause, cue.end()))
    denied = denied != bool(_FALSE.match(clause, cue.end()))
    return "fake" if fake != denied else "real"


def _answered(question: str, reply: re.Match[str]) -> set[Label]:
    """The verdict of a yes or no to something that asks for one; nothing where it asks for neither or both."""
    kinds = {cue.lastgroup for cue in _CUE.finditer(question)}
    if len(kinds) != 1:
        return set()
    return {"fake" if (kinds == {"fake"}) == bool(reply["yes"]) else "real"}


def _is_foreign(text: str) -> bool:
    """Whether more of the small words are of another language than of English, or most words in other letters."""
    words = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", text)
    foreign = sum(bool(_FOREIGN.fullmatch(word)) or ord(max(word)) > 0x24F for word in words)
    return foreign > sum(bool(_ENGLISH.fullmatch(word)) for word in words)
