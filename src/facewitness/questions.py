"""Questions: what somebody asks of a report, read by words: the intent, the regions, and what nobody examined.

Nothing here knows an answer. What is not understood is said to be so (`intent` gives an empty string), so that whoever
answers can say what it can answer instead of guessing. Which person is meant is read by `people`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, cast

from facewitness import regions
from facewitness.errors import InputError
from facewitness.patterns import (
    ABOUT_APPEARANCE,
    ABOUT_KEEPING,
    ABOUT_UNEXAMINED,
    ASKS,
    FAKE,
    FILE,
    IF,
    KEPT,
    LABEL,
    LOOKS,
    LOOKS_OF_A_PLACE,
    MEDIUM,
    NAMED,
    NONE,
    OF_LABEL,
    PATTERNS,
    REAL,
)
from facewitness.people import NOUN, NTH
from facewitness.types import Label
from facewitness.words import normal

MOST = 2_000  # characters of a question
_ASKS_REAL = re.compile(rf"\b{REAL}\b")
_ASKS_FAKE = re.compile(
    r"\b(fake\w*|deep ?fake\w*|forg\w*|manipulat\w*|tampered|edit(?:ed|s|ing)|alter(?:ed|ations?)|retouch(?:ed|ing)|"
    r"photoshop\w*|swapped|replaced|changed|modified|wrong|odd|"
    r"doctored|false|bogus|phony)\b",
)
_THERE = re.compile(
    r"\b((?<!\bis )(?<!\bare )(?<!\bwas )(?<!\bwere )there|(this|that) (place|region|part|area|one)|them|they)\b"
)


def asked(question: str) -> str:
    """The question without what stands around it.

    Args:
        question: As it was asked.

    Raises:
        InputError: For none, for what is no text, and one of more than MOST characters.
    """
    if not isinstance(question, str):
        raise InputError(f"expected a question as text, got {type(question).__name__}")
    question = question.strip()
    if not question:
        raise InputError('expected a question, such as "Is the nose fake?", got an empty one')
    if len(question) > MOST:
        raise InputError(f"expected a question of at most {MOST:,} characters, got one of {len(question):,}")
    return question


def intent(question: str) -> str:
    """The first of INTENTS that fits; "" where none does.

    Args:
        question: As it was asked.
    """
    return next((name for name, pattern in PATTERNS.items() if pattern.search(normal(question))), "")


_GRANTS = re.compile(
    r"^(?:please )?(?:prove|show (?:me )?(?:why|how|that)|explain (?:why|how)|argue|convince|given|since|as we know|"
    r"now that|why (?:is|are|was)|(?:this|it|that) is (?:an?|clearly|obviously|surely|definitely)|we (?:all )?know)\b"
)
_KNOWN = re.compile(r"^(?:given|since|as we know|now that|we (?:all )?know)\b")
_OPEN = re.compile(rf"\b(?:whether|{FAKE} or (?:not|{REAL})|{REAL} or (?:not|{FAKE}))\b")


_NUMBERS = {"one": 1, "a": 1, "an": 1, "every": 1, "two": 2, "five": 5, "ten": 10, "twenty": 20, "fifty": 50}
_NUMBERS |= {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_N = rf"(?:\d[\d,]*|{'|'.join(_NUMBERS)})"
_ONE_IN = re.compile(rf"\b({_N}) (?:in|of|out of) (?:every |an? |all )?({_N})(?: (hundred|thousand|million))?\b")
_FRACTIONS = {"half": 1 / 2, "third": 1 / 3, "quarter": 1 / 4, "fifth": 1 / 5, "tenth": 1 / 10}
_FRACTION = re.compile(rf"\b(?:an? )?({'|'.join(_FRACTIONS)})\b")
_OF_HUNDRED = re.compile(r"\b(\d+(?:\.\d+)?) ?(?:%|per ?cent)")


def rate(question: str) -> tuple[float, str] | None:
    """The share of forged faces that a question supposes, "only one in a hundred", "2 %"; None where it gives none.

    Args:
        question: As it was asked.

    Returns:
        The share, in (0, 1), and how it is said: "1 in 100 is".
    """
    text = normal(question)
    if (words := _ONE_IN.search(text)) is not None:
        some, many = (_NUMBERS.get(word) or int(word.replace(",", "")) for word in words.groups()[:2])
        many *= _NUMBERS.get(words[3] or "one", 1)
        if 0 < some < many and not re.search(r"\bmeans?\b", text):
            return some / many, f"{some:,} in {many:,} {'is' if some == 1 else 'are'}"
    if (words := _FRACTION.search(text)) is not None:
        return _FRACTIONS[words[1]], f"{words[0]} are"
    if (words := _OF_HUNDRED.search(text)) is not None and not re.search(r"\bmeans?\b", text):
        share = float(words[1])
        if 0 < share < 100:
            return share / 100, f"{words[1]} % are"
    return None


def supposed(question: str) -> Literal["real", "fake"] | None:
    """Which answer a question takes for granted: "Prove that this is fake", "This is a real face. What …"; None: none.

    Args:
        question: what somebody asks, or tells. One that asks which of the two it is takes nothing for granted.
    """
    plain = normal(question)
    if not (_GRANTS.search(plain) or re.search(IF, plain)) or _OPEN.search(plain):
        return None
    fake = bool(re.search(rf"\b(?:{FAKE}|generated|synthetic|forged)\b", plain))
    real = bool(re.search(rf"\b{REAL}\b", plain))
    denied = bool(re.search(r"\b(?:not|isn.?t|no)\b", plain))
    if fake == real:
        return None
    return "fake" if fake != denied else "real"


def demands(question: str) -> bool:
    """Whether it wants one answer proved, instead of asking: "prove that", "convince me", "argue that".

    Args:
        question: what somebody asks.
    """
    return bool(re.search(r"^(?:please )?(?:prove|argue|convince|show (?:me )?that)\b", normal(question)))


def granted(question: str) -> Literal["real", "fake"] | None:
    """Which answer a question begins with as if it were known: "Since this is fake, where …"; None where it does not.

    Args:
        question: what somebody asks.
    """
    return supposed(question) if _KNOWN.search(normal(question)) else None


def about_file(question: str) -> bool:
    """Whether it asks for what a file says of itself: its camera, its date, its software, its credentials.

    Args:
        question: As it was asked.
    """
    plain = normal(question)
    return bool(FILE.search(plain)) and not OF_LABEL.search(plain) and not ABOUT_KEEPING.search(plain)


_FACTS = re.compile(
    r"\b(?:name|size|format|type|kind|(?:kilo)?bytes?|codecs?|jpe?g|png|web ?p|hei[cf]|avif|gif|tiff?|colou?r "
    r"profile|hash|checksum|sha-?256|fingerprint|pixels|megapixels?|megabytes?|resolution|"
    r"dimensions?|big|large|heavy)\b"
)


def of_facts(question: str) -> bool:
    """Whether it asks for what a file is: its name, its size, its hash.

    Args:
        question: About a file.
    """
    return bool(_FACTS.search(normal(question)))


_OF_CAMERA = re.compile(
    r"\b(?:exif|meta ?data|cameras?|lens|phones?|software|programs?|editor|gps|taken|shot|iso|aperture|shutter|"
    r"exposure|"
    r"focal length)\b"
)


def of_camera(question: str) -> bool:
    """Whether it asks for what a camera or a program wrote into a file.

    Args:
        question: About a file.
    """
    return bool(_OF_CAMERA.search(normal(question)))


def of_edits(question: str) -> bool:
    """Whether it asks if something was edited: of that the file may say something, too.

    Args:
        question: As it was asked.
    """
    return bool(
        re.search(r"\b(?:edit\w*|photoshop\w*|retouch\w*|alter(?:ed|ations?)|modified|changed)\b", normal(question))
    )


def of_original(question: str) -> bool:
    """Whether it asks if a file is the original, or was saved or changed since.

    Args:
        question: About a file.
    """
    return bool(re.search(r"\boriginal\b|\b(?:edited|changed|altered|modified)\b", normal(question)))


def asks_real(text: str) -> bool:
    """Whether it speaks of being real.

    Args:
        text: Any text.
    """
    return bool(_ASKS_REAL.search(normal(text)))


def points_back(question: str) -> bool:
    """Whether it asks about a place by pointing at what was spoken of: "there", "that part", "they".

    Args:
        question: As it was asked.
    """
    return bool(_THERE.search(normal(question)))


_HALF = re.compile(  # of a face, not of a picture, and not as a viewer sees it
    r"(?<!'s )\b(left|right|upper|top|lower|bottom) (?:half|side|part|area|portion) of "
    r"(?:the|this|that|his|her|their|its|\w+'s) face\b"
)
_OF_HALF = {
    **{side: tuple(f"{side}_{name}" for name in ("eyebrow", "eye", "cheek", "jaw")) for side in ("left", "right")},
    **dict.fromkeys(("upper", "top"), ("forehead", "eyebrows", "eyes")),
    **dict.fromkeys(("lower", "bottom"), ("mouth", "chin", "jaw")),
}


# "Is the left eye more suspicious than the right?" names two
_THAN = re.compile(
    r"\b(left|right) (eyebrow|eye|ear|cheek)(\b.{0,60}\bthan (?:the |his |her |their )?)(left|right)\b(?! \w)"
)


def asked_regions(question: str) -> tuple[str, ...]:
    """The tree's regions a question names: a part by its own name ("upper lip"), else MARE's by its words.

    "Is this face fake?" asks about the face as a whole, not about a region.

    Args:
        question: As it was asked.
    """
    question = _THAN.sub(r"\1 \2\3\4 \2", regions.under_eyes(normal(question)))
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
    without_face = re.sub(r"\b(left|right)[\s_\-]+under[\s_\-]+eyes?\b", " ", without_face)  # named already, and no eye
    named = [
        n for n in regions.mentioned(without_face) if not any(regions.within(o, n) or regions.within(n, o) for o in own)
    ]
    halves = [place for side in _HALF.findall(question) for place in _OF_HALF[side]] if not own and not named else []
    return tuple(dict.fromkeys([*own, *named, *halves]))


def unexamined(question: str) -> str | None:
    """What a question is about that nobody examined, in words; None where it is about nothing of the kind.

    Args:
        question: As it was asked.
    """
    plain = normal(question)
    if NAMED.search(question):
        return "who it is"
    if ABOUT_KEEPING.search(plain):
        return KEPT
    if not re.search(rf"\b{LABEL}\b", plain):
        if looks := next((name for name, pattern in ABOUT_APPEARANCE.items() if pattern.search(plain)), None):
            return looks
        if LOOKS_OF_A_PLACE.search(plain) and asked_regions(question):
            return LOOKS
    return next((name for name, pattern in ABOUT_UNEXAMINED.items() if pattern.search(plain)), None)


# What a question for yes or no asks about: the words from "the" or "this" up to one of these.
_ENDS = (
    rf"(?:{LABEL}|of|on|in|at|behind|next|with|without|from|to|for|by|who(?:se|m)?|that|which|and|or|but|a|an|the|"
    rf"is|are|"
    rf"was|"
    r"were|been|being|be|has|have|had|looks?|seems?|appears?|really|also|not|still|too|so|more|less|just|only|probably|"
    r"actually|maybe|perhaps|\w+ly|here|there|now|made|created|drawn|added|removed|put|inserted|generated|synthetic|ai|"
    r"ai-\w+|computer-\w+|cgi|artificial|above|below|under|near|beside|between|wearing|holding|taken|as|if|wrong|odd|"
    r"natural|unnatural|normal|suspicious|strange|weird|fishy|off|convincing|(?:is|are|was|were|has|have|had|do|"
    r"does|did|"
    r"can|could|would|should|wo)n't|isnt|cannot|can|could|may|might|must|would|should|says|said|thinks|means?|it|"
    r"it's|he|"
    r"she|they|you|i|we)"
)
_SUBJECT = re.compile(
    rf"(?:^\W*|\b(?:{ASKS}|if|whether|that|think|believe|say) )(?:the|this|that|these|those|his|her|their|its|my|our) "
    rf"((?:(?!{_ENDS}\b)[\w'-]+ ){{1,5}})(?={_ENDS}\b)"
)
_OF_PICTURE = re.compile(
    r"(?:pictures?|fotos?|photo\w*|images?|shots?|snap\w*|pics?|selfies?|portraits?|headshots?|mugshots?|videos?|"
    r"films?|"
    r"clips?|"
    r"footage|recordings?|movies?|files?|frames?|jpe?gs?|pngs?|scans?|screen ?shots?|things?|whole|lot|scene|content|"
    r"media|material|posts?|cop(?:y|ies)|version)"
)
_OF_ALL = re.compile(
    r"\bsummar\w*|\bsum (?:it |this |that )?up\b|\boverview\b|\bin (?:short|one sentence|a nutshell)\b|\bshort "
    r"version\b|\btell me everything\b|"
    r"\btl;?dr\b|^what(?: is|'s| was) (?:the|your) (?:verdict|result|conclusion|outcome|answer)\W*$"
)
_OF_VERDICT = re.compile(r"(?:verdicts?|results?|answers?|conclusions?|judge?ments?|decisions?|reports?|analys[ie]s)")
_OF_FACE = re.compile(
    rf"(?:{NOUN}|humans?|adults?|teenagers?|couple|pair|group|bride|groom|mother|father|son|daughter|wife|husband|"
    r"expressions?|smiles?|grins?|looks?|gaze|make-?up|complexion|wrinkles?|freckles?|moles?|scars?|pores|features?|"
    r"likeness|appearance|identity|pose|profiles?|verdicts?|results?|answers?|conclusions?|scores?|reports?|evidence|"
    rf"findings?|signs?|analysis|decision|others?|rest|(?:left|right)(?:most)?|last|(?:\w+-)?{NTH})"
)


def subject(question: str) -> str:
    """What a question for yes or no asks about, without its article: "left half" of "Is the left half real?"; or "".

    Args:
        question: As it was asked.
    """
    match = _SUBJECT.search(re.sub(r"\s+", " ", normal(question)))
    return match[1].strip() if match else ""


def of_picture(question: str) -> bool:
    """Whether it asks about the picture, or film, as a whole: "Is this photo real?".

    Args:
        question: As it was asked.
    """
    words = subject(question).split()
    if words:
        return bool(_OF_PICTURE.fullmatch(words[-1]))
    return bool(re.search(rf"\b(?:for|of|on|about) (?:the |this )(?:whole |entire )?{MEDIUM}\b", normal(question)))


def of_all(question: str) -> bool:
    """Whether it asks for the whole result: "What is the verdict?", "Summarise the report".

    Args:
        question: As it was asked.
    """
    return bool(_OF_ALL.search(normal(question)))


def of_verdict(question: str) -> bool:
    """Whether it asks which verdict was given, not about a face: "Is the verdict fake?", "Is the result inconclusive?".

    Args:
        question: As it was asked.
    """
    words = subject(question).split()
    return bool(words) and bool(_OF_VERDICT.fullmatch(words[-1]))


def labels_named(question: str) -> tuple[Label, ...]:
    """The verdicts that a question names: real, fake, inconclusive; "not sure" and "undecided" are the last.

    Args:
        question: As it was asked.
    """
    plain = normal(question)
    words: dict[Label, str] = {
        "real": rf"\b(?:{REAL}|no sign)\b",
        "fake": rf"\b{FAKE}\b",
        "inconclusive": r"\b(?:inconclusive|undecided|uncertain|unsure|unclear|unknown|not (?:so |very |"
        r"quite )?(?:sure|certain|decided)|"
        r"no verdict|can(?:not|'t) (?:decide|tell|say))\b",
    }
    return tuple(label for label, pattern in words.items() if re.search(pattern, plain))


def of_them(question: str) -> bool:
    """Whether it asks about "them": "Are they real?". Who that is, what was said before tells.

    Args:
        question: As it was asked.
    """
    return bool(re.match(r"(?:and |so |but )?(?:are|were) they\b", normal(question)))


def of_each(question: str, names: Sequence[str]) -> tuple[str, ...]:
    """The regions of a question, those on both sides each by itself where each is asked for: "Are both eyes fake?".

    Args:
        question: As it was asked.
        names: Of the regions that it names.
    """
    if not re.search(r"\b(?:both|each|either|every|all|which|what)\b", normal(question)):
        return tuple(names)
    sides = {
        name: [n for n, r in regions.REGIONS.items() if r.parent == name and n in (f"left_{x}", f"right_{x}")]
        for name in names
        for x in (name.removesuffix("s"),)
    }
    return tuple(part for name in names for part in (sides[name] if len(sides[name]) == 2 else [name]))


def of_everybody(question: str, names: Sequence[str]) -> bool:
    """Whether it asks for a region of all the people: "Whose nose is fake?", "Are the mouths real?", "Which nose …?".

    Args:
        question: As it was asked.
        names: Of the regions that it names.
    """
    plain = normal(question)
    one = [regions.title(name) for name in names if not regions.title(name).endswith("s")]
    several = "|".join(re.escape(title) for title in one) or r"(?!)"
    return bool(
        re.search(r"\bwhose\b|\b(?:(?:every|any|some)(?:body|one))'s\b", plain)
        or re.search(r"\b(?:of|for|on) (?:both|all|each|everybody|everyone)\b(?! (?:sides|the face))", plain)
        or re.search(rf"\b(?:{several})e?s\b|\b(?:which|both|all|each|every|any) (?:\w+ )?(?:{several})\b", plain)
        or re.search(rf"\b(?:all|both|each|every|any)\b.*\b{NOUN}\b(?! (?:\d|number|no\.))", plain)
    )


def of_place(question: str) -> bool:
    """Whether it asks where a region lies in the picture: "Where exactly is the mouth?", "coordinates of the nose".

    Args:
        question: That names a region.
    """
    plain = normal(question)
    where = r"^(?:and |in pixels,? |in the picture,? )?where(?:'s| (?:exactly |precisely )?(?:is|are)) "
    where += r"(?:the|his|her|their|its) [\w' -]{1,60}\W*$"
    return bool(PATTERNS["place"].search(plain) or (re.search(where, plain) and not re.search(rf"\b{LABEL}\b", plain)))


_ONE_OF_TWO = re.compile(
    r"^(?:and |so |but |ok |what about |how about |is |are |on |the )*(left|right|other|both)(?: ones?| side| of them)?"
    rf"(?: too| as well)?(?: {LABEL})?\W*$"
)


def side(question: str) -> Literal["left", "right", "other", "both"] | None:
    """Which of two it asks for without a name: "And the left one?", "The other, too?", "Both?"; None: anything else.

    Args:
        question: As it was asked.
    """
    match = _ONE_OF_TWO.match(normal(question))
    return cast('Literal["left", "right", "other", "both"]', match[1]) if match else None


def of_nothing_else(question: str) -> bool:
    """Whether it asks for a place and no other: "Is only the mouth fake?".

    Args:
        question: As it was asked.
    """
    return bool(re.search(r"\b(?:only|just|alone|solely|nothing but)\b", normal(question)))


def thing(question: str) -> str:
    """What it asks about that is no face, none of its parts and no picture: "flag" of "Is the flag fake?"; or "".

    Which words mean a face is a list; a word beside it may still mean a person ("the sailor"), so the answer says so.

    Args:
        question: As it was asked.
    """
    words = subject(question)
    last = words.rpartition(" ")[2]
    of_face = re.search(
        rf"{re.escape(last)} of (?:(?:the|this|that|his|her|their) )?(?:\w+ )?(?:face|head)\b", normal(question)
    )
    if not words or _OF_PICTURE.fullmatch(last) or _OF_FACE.fullmatch(last) or of_face or asked_regions(question):
        return ""
    return words


_NAME = re.compile(r"^(?:And |So |But )?(?:Is|Was|Are|Does|Did|Has) ((?:[A-Z][\w'’-]*)(?: [A-Z][\w'’-]*)*)")
_NO_NAMES = frozenset(
    re.findall(
        r"\w+",
        """ai a i this that it he she they the there these those his her their any anybody anyone everybody everyone
        nobody no none all both each one some somebody someone face faces person people picture photo you we""",
    )
)


def names_somebody(question: str) -> bool:
    """Whether it asks about somebody by a name: "Is Angela Merkel fake?". Who anybody is was not examined.

    Args:
        question: As it was asked; in capitals throughout, names cannot be told.
    """
    match = _NAME.match(question)
    if match is None or not re.search(r"[a-z]", question[match.end() :]):
        return False
    return not _NO_NAMES & set(match[1].lower().split())


_NOT = re.compile(
    rf"(?<!\bor )(?<!\bif )(?<!\bwhy )\bnot (?!sure\b|certain\b)(?=\w)|"
    rf"\b(?:{NONE}|nothing|never|no(?! doubt| question| idea| matter) \w+)\b"
)


# Neither asks whether a face is fake: how, what and how much of it, and what changed in somebody's looks
_NO_YES = re.compile(
    rf"^(?:and |so |but )?(?:what(?! about\b| of\b| if\b)|how(?! about\b)|who|where|when|why|did you)\b"
    rf"(?!.*[?.!,:] *{ASKS}\b)|\b(?:half|quarter|third|part(?:ly|ially)|mostly|\d+ ?per ?cent|scale|"
    rf"just|only)\b|"
    r"\b(?:expressions?|smiles?|grins?|gaze|make-?up|complexion|wrinkles?|freckles?|moles?|scars?|pores|pose|age)\b|"
    r"\d ?%"
)
_POSSIBLE = re.compile(
    r"^(?:and |so |but )*(?:could|can|might|may)(?:n't)? (?!you\b|i\b|we\b)|\b(?:is|was) it (?:\w+ )?possible\b|"
    r"\bpossibly\b"
)
_SIDE_SEEN = re.compile(r"\b(?:on|to|at) (?:the|my|your) (?:left|right)\b(?! (?:of|\w*most))|\bmy (?:left|right)\b")


def possible(question: str) -> bool:
    """Whether it asks what may be, and not what was judged: "Could it be real after all?".

    Args:
        question: As it was asked.
    """
    return bool(_POSSIBLE.search(normal(question)))


def of_a_side_seen(question: str, names: Sequence[str]) -> bool:
    """Whether it names one of two parts by a side that may be the viewer's: "Is the eye on the left fake?".

    Args:
        question: As it was asked.
        names: Of the regions that it names.
    """
    return any(name.startswith(("left_", "right_")) for name in names) and bool(_SIDE_SEEN.search(normal(question)))


def yes_or_no(question: str, forged: bool) -> str:
    """ "Yes. " or "No. " as the question was put, or nothing where it was put neither way, or both ways.

    Of "is it not fake?" and "is nobody fake?" nobody can tell what "no" says, so they get neither; "isn't it fake?" and
    "real or not?" do.

    Args:
        question: As it was asked.
        forged: The answer to "is it fake?".
    """
    real, fake = asks_real(question), bool(_ASKS_FAKE.search(normal(question)))
    if real == fake or _NOT.search(normal(question)) or _NO_YES.search(normal(question)):
        return ""
    return "Yes. " if fake == forged else "No. "


def of_sight(question: str) -> bool:
    """Whether it asks if something can be seen: "Is the nose visible?", "Is the mouth covered?".

    Args:
        question: As it was asked.
    """
    return bool(
        re.search(
            r"\b(?:visible|hidden|covered|occluded|turned away|cut off)\W*$|"
            r"\b(?:can|could) (?:you see )?(?:the|his|her|their) [\w' -]{1,40}(?:\bbe seen)?\W*$",
            normal(question),
        )
    )
