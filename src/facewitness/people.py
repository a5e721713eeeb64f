"""People: the order in which the faces of a photo are numbered, and which of them a question means.

Faces are numbered as one reads: row by row from the top, each row from left to right. A question may name a face by its
number, by where it stands in the picture ("the second from the left", "the woman in the middle") or by its size ("the
big face"). What a person looks like was not examined, so "the man with the beard" cannot be told; nor is a position
guessed where two faces share it. Left and right are the viewer's here, as nobody says "the face on the right" of the
subject's right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from facewitness.types import Box
from facewitness.words import normal

NOUN = (
    r"(?:faces?|persons?|people|m[ae]n|wom[ae]n|guys?|girls?|boys?|lad(?:y|ies)|child(?:ren)?|kids?|bab(?:y|ies)|"
    r"ones?|heads?|subjects?|individuals?|figures?|gentlem[ae]n)"
)
SAME_ROW = 1 / 3  # two faces stand in one row where they share this much of the smaller one's height
APART = 0.25  # of the narrower face's width: so far apart have two faces to be for one to be further left
BIGGER = 1.2  # a face is the big one where its area is this many times that of the next

_COUNT = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
    "twentieth",
)  # fmt: skip
NTH = rf"(?:{'|'.join(_ORDINALS)}|\d{{1,9}}(?:st|nd|rd|th))"
# "twenty-first" and "ten thousand" are written in digits before anything is read
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_POWERS = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
_VALUES = {word: n + 1 for n, word in enumerate(_COUNT)} | {word: 10 * n + 20 for n, word in enumerate(_TENS)} | _POWERS
_NTH_VALUES = (
    {word: n + 1 for n, word in enumerate(_ORDINALS)}
    | {f"{word[:-1]}ieth": 10 * n + 20 for n, word in enumerate(_TENS)}
    | {f"{word}th": power for word, power in _POWERS.items()}
)
_ABOVE = set(_NTH_VALUES) - set(_ORDINALS)  # "thirtieth", "hundredth"
_WRITTEN_OUT = re.compile(
    rf"\b(?:(?:{'|'.join(_VALUES)}|an?(?= (?:{'|'.join(_POWERS)})))(?:[ -](?:and[ -])?(?=\w))){{0,8}}"
    rf"(?:{'|'.join((*_VALUES, *_NTH_VALUES))})\b"
)
# "second to last" is written as one word, "last2", before anything is read
_BEFORE_LAST = re.compile(
    rf"\b(?:(?P<nth>{NTH})[ -](?:(?:to|from)[ -](?:the )?)?last|next[ -]to[ -](?:the )?last|penultimate|"
    rf"last but (?P<but>{'|'.join(_COUNT)}|\d{{1,9}}))\b"
)
_ORDINAL = rf"{NTH}|last\d*"
_ONE_NUMBER = rf"(?:\d{{1,9}}(?!\.?\d)|{'|'.join(_COUNT)})\b"
_NUMBERED = r"(?:number |no\.? ?(?=\d)|no\. |#)"  # not "no one"
# "face 2", "faces 1, 2 and 4", "number two", "faces 1 to 3"
_NUMBER = re.compile(
    rf"(?:\b{NOUN} {_NUMBERED}?|(?<!\w){_NUMBERED})"
    rf"(?P<all>{_ONE_NUMBER}"
    rf"(?:(?:,? (?:and|or|to|&|through) |, ?| ?[-–] ?)(?:{NOUN} )?{_NUMBERED}?{_ONE_NUMBER}){{0,99}})"
)
# Numbers that nobody has: "face 0", "face -1", and one that no picture holds
_NOBODY = re.compile(rf"\b{NOUN} (?:number |no\.? ?|#)?([-−]\d{{1,99}}|0+(?![\d.:])|[1-9]\d{{9,99}})(?!\d|\.\d)")
_FROM = re.compile(
    rf"\b({_ORDINAL})(?: {NOUN})?(?: is| was)?(?: along| over| in)? (?:counting |counted |starting )?"
    r"(?:from|on|at|to) (?:the )?(?:far |very )?(left|right)\b"
)
_NTH = re.compile(
    rf"\b({_ORDINAL}) (?:face|person|one|head|man|woman|subject)\b|"
    rf"^(?:and |or |is |what |how |about |of )*the ({_ORDINAL})(?: {NOUN})?\W*$|"  # "And the fourth?"
    rf"\b(?:about|of|for|is|than|with) the ({_ORDINAL})(?: {NOUN})?\W*$|"  # "How sure are you about the second?"
    rf"\b(last\d+)\b|\bthe ({_ORDINAL}) (?:fake|real|genuine|forged|authentic|swapped|edited|altered|manipulated)\b"
)
_LABELLED = r"(?:fake|real|genuine|forged|authentic|swapped|edited|altered|manipulated)\b"
# "the first two", "the last three people", "the two on the right"
_SEVERAL = re.compile(
    rf"\bthe (?P<end>first|last|left|right) (?P<n>{'|'.join(_COUNT[1:])}|\d{{1,3}})\b(?! (?:seconds?|minutes?|"
    rf"frames?|rows?|%))|"
    rf"\b(?P<many>{'|'.join(_COUNT[1:])}|\d{{1,3}})(?: {NOUN})? (?:on|at|to) the (?:far )?(?P<side>left|right)\b"
)
_SIDE = (  # "the face on the right", "the person top left", "the top left face", "the leftmost one"
    re.compile(rf"\b{NOUN} (?P<height>upper|top|lower|bottom)[- ]?(?P<side>left|right)\b"),
    re.compile(
        rf"\b{NOUN}\b(?P<between>[\w' ,]{{0,30}}?)\b(?:on|at|to|in) (?:the |my |our )?(?:far |very |extreme |outer )?"
        r"(?:(?P<height>upper|top|lower|bottom)[- ]?)?(?P<side>left|right)\b(?!\s+(?:eye|ear|brow|eyebrow|cheek))"
    ),
    re.compile(rf"\b(?P<side>left|right)(?= (?:or|and) (?:the )?(?:left|right) {NOUN}\b)"),  # "the left or right face"
    re.compile(
        rf"\b(?:(?P<height>upper|top|lower|bottom)[- ]?)?(?P<side>left|right)(?:most|[- ]hand)?(?: side)?(?: most)? "
        rf"{NOUN}\b"
    ),
    re.compile(
        rf"\b{NOUN}\b[\w' ,]{{0,20}}? (?:farthest|furthest|outermost)(?: (?:to|on|at)(?: the)?)? (?P<side>left|right)\b"
    ),
    re.compile(r"\b(?P<side>left|right)[- ]?most\b"),
    re.compile(
        r"(?:\b(?:is|was|looks) (?:the )?|^\W*)(?:(?P<height>upper|top|lower|bottom)[- ]?)?(?P<side>left|right)"
        rf"(?=[ :,–-]+{_LABELLED})"
    ),
    re.compile(r"\b(?:and|or|than) the (?P<side>left|right)\b(?=\W*$| (?:is|was)\b)"),
)
_BARE_SIDE = re.compile(
    r"\b(?:on|at|to|in) the (?:far |very )?(?:(?P<height>upper|top|lower|bottom)[- ]?)?(?P<side>left|right)\b"
    r"(?! (?:side )?of\b)"
)
_CORNER = re.compile(r"\b(?:upper|top|lower|bottom)[- ]?(?:left|right)\b")
_HEIGHT = (
    re.compile(
        rf"\b{NOUN}\b[\w' ,]{{0,30}}?\b(?:at|on|in) the (?:very )?(?P<height>top|bottom)\b(?![- ]?(?:left|right|row))"
    ),
    re.compile(rf"\b(?P<height>top|topmost|upper|uppermost|bottom|lower|lowest|highest) {NOUN}\b"),
)
_SIZE = re.compile(
    rf"\b(?:(?P<nth>{_ORDINAL})[- ])?(?P<size>"
    rf"big|bigger|biggest|large|larger|largest|main|huge|small|smaller|smallest|little|tiny|tiniest)\b"
    rf"(?: \w+)? {NOUN}\b|\b(?:(?P<rank>{_ORDINAL})[- ])?(?P<alone>biggest|largest|smallest|tiniest)\b"
)
_MIDDLE = re.compile(
    rf"\b(?:middle|cent(?:er|re|ral)) {NOUN}\b|\b(?:in|at) the (?:very )?(?:middle|cent(?:er|re))\b"
    r"(?! of (?:the|his|her) (?:face|forehead|nose|mouth|chin|cheek))"
)
_OTHER = re.compile(rf"\b(?:the )?other {NOUN}\b|\bthe other\b(?! (?:eye|ear|brow|eyebrow|side|half|cheek))")
_OTHERS = re.compile(
    r"\bthe (?:others|rest)\b(?! of the (?:face|picture|photo\w*|image|film|video|body))|"
    r"\b(?:all|both|any|none) (?:of )?the other\b|"
    rf"\bthe other (?:{'|'.join(_COUNT[1:])}|\d{{1,4}})\b|"
    r"\bthe other (?:\w+ )?(?:faces|people|persons|men|women|guys|girls|boys|ladies|children|kids|ones|heads|"
    r"subjects)\b"
)
_POINT = re.compile(  # "the face at (220, 200)"; two numbers that are no time and no count of seconds
    rf"\b{NOUN}\b[\w' ,]{{0,30}}?\b(?:at|around|near) \(?(?:x ?= ?)?(\d{{1,5}}) ?(?:,|;|×|/| x | and ) ?(?:y ?= "
    rf"?)?(\d{{1,5}})\b"
)
# A reply that names somebody and nothing else: "2", "the left one", "second from the right"
_ALONE = re.compile(
    rf"(?:(?:i (?:mean|meant)|it is|it's|that's|say|please|and|the|of|on|in|at|to|from|far|very|number|no\.?|#|{NOUN}|"
    rf"{NTH}|last|\d{{1,4}}|{'|'.join(_COUNT)}|left|right|leftmost|rightmost|middle|cent(?:er|re)|top|bottom|upper|lower|"
    r"biggest|largest|smallest|bigger|larger|smaller|big|large|small|other|side)[\s,.!?]*)+"
)
_NAMES_WHOM = re.compile(
    rf"\b(?:{NTH}|last|\d{{1,4}}|left(?:most)?|right(?:most)?|middle|cent(?:er|re)|top|bottom|upper|lower|\w+est|"
    rf"bigger|larger|smaller|big|large|small|other|{'|'.join(_COUNT[1:])})\b"
)
_ROW = re.compile(rf"\b(top|upper|bottom|lower|middle|back|front|{_ORDINAL}) row\b")
_WHOLE = r"picture|photo\w*|image|frame|shot|screen|scene|group|row|line|video|film|clip"
_BESIDE = re.compile(
    rf"\b{NOUN}\b[\w' ,]{{0,30}}?\b(?:(?:left|right) of (?!(?:the|this|that) (?:{_WHOLE})\b)|"
    r"next to|beside|besides|between|behind|in front of|above|below|under|"
    r"in the (?:back|background|front|foreground|distance|crowd|mirror)|looking|facing|turning|turned)\b"
)
_LOOKS = re.compile(
    r"\b(?P<which>the|this|that|an?|his|her|my|our|which) (?P<look>(?:\w+ ){0,2}?)"
    r"(?P<noun>man|woman|guy|girl|boy|lady|child|kid|baby|gentleman|mother|father|son|daughter|wife|husband|bride|groom|"
    r"bloke|teenager|toddler)\b|"
    rf"\b{NOUN}\b (?:is )?(?:with|wearing|who(?:se)?|holding|in (?:the |a )?(?:red|blue|green|black|white|yellow|pink|"
    r"grey|gray|brown|suit|hat|dress|shirt))\b|"
    rf"\b(?:old|young|older|younger|blonde?|bald|bearded|smiling|laughing|dark|fair|female|male) {NOUN}\b"
)

# "the taller one", "the front person", "the youngest": a description by what was not examined
_SAYS_NOTHING = (
    r"(?:whole|entire|full|human|same|very|only|single|shown|visible|depicted|pictured|actual|supposed|alleged|fake|faked|"
    r"deepfake|forged|real|genuine|authentic|manipulated|altered|edited|swapped|generated|original|lower|upper|this|that)"
)
_SMALL = r"(?:the|of|on|in|at|to|is|are|was|were|a|an|and|or|with|that|who|his|her|their|than|as|from|for|by|not|no)"
_DESCRIBED = re.compile(
    rf"\bthe (?:{_SAYS_NOTHING} )*(?!{_SAYS_NOTHING}\b|{_SMALL}\b)[a-z][\w'-]* (?:(?!{_SMALL}\b)[\w'-]+ )?{NOUN}\b"
    r"(?! of\b)|"
    r"\bthe (?:(?:most|least) \w+|\w{3,}est)(?=\W*$| (?:fake|real|genuine|forged|authentic|swapped|edited|altered|"
    rf"manipulated|deepfake|ai|generated)\b)|\b{NOUN} (?:[b-h]|i{{2,3}}|iv)\b"
)


def rows(boxes: Sequence[Box]) -> tuple[tuple[int, ...], ...]:
    """The faces as one reads them: rows from the top, each from left to right, as numbers of `boxes`.

    Args:
        boxes: Of the faces, pixels.
    """
    left = sorted(range(len(boxes)), key=lambda i: (boxes[i][1], boxes[i][0], i))
    result = []
    while left:
        first = left[0]  # the topmost face decides which others stand beside it
        row = [i for i in left if i == first or _shared(boxes[i], boxes[first]) >= SAME_ROW]
        result.append(tuple(sorted(row, key=lambda i: (_x(boxes[i]), i))))
        left = [i for i in left if i not in row]
    return tuple(result)


def reading_order(boxes: Sequence[Box]) -> tuple[int, ...]:
    """The numbers of the faces in the order in which people count them.

    Args:
        boxes: Of the faces, pixels.
    """
    return tuple(i for row in rows(boxes) for i in row)


def meant(
    question: str, boxes: Sequence[Box], width: int, height: int, spoken_of: int | None = None, bare: bool = False
) -> tuple[int, ...] | None:
    """The people that a question names.

    Args:
        question: in English.
        boxes: of the people's faces, in their order.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        spoken_of: the person the conversation is about, if it has come to one: what "the other one" is not.
        bare: "on the right" alone names a person, too; not where the question names a region, which may stand there.

    Returns:
        Their numbers, from 0, as they are named; None where the question names nobody, empty where it cannot be told
        who is meant. A number may be that of a person who is not there.
    """
    text = _plain(question)
    n = len(boxes)
    if n == 0:
        return None
    among: Sequence[int] = range(n)
    if row := _ROW.search(text):
        chosen = _row(row[1], rows(boxes))
        if chosen is None:
            return ()
        among = chosen
        text = text[: row.start()] + text[row.end() :]
    if point := _POINT.search(text):
        x, y = int(point[1]), int(point[2])
        inside = [i for i, (x1, y1, x2, y2) in enumerate(boxes) if x1 <= x <= x2 and y1 <= y <= y2]
        return tuple(inside) if len(inside) == 1 else ()
    if several := _SEVERAL.search(text):
        return _outer(several["end"] or several["side"], _counting(several["n"] or several["many"]), boxes, among)
    numbers = [number for match in _NUMBER.finditer(text) for number in _all_of(match["all"])]
    if numbers:
        return tuple(dict.fromkeys(max(1, number) - 1 for number in numbers))
    counted, rest = _by_number(text, boxes, among, row is not None)
    if _BESIDE.search(rest):
        return ()
    sides, rest = _by_side(rest, boxes, among, width, height, bare)
    if _OTHERS.search(rest):
        return () if spoken_of is None else tuple(i for i in range(n) if i != spoken_of)
    heights = [
        _at(None, m["height"], boxes, among, width, height) for pattern in _HEIGHT for m in pattern.finditer(rest)
    ]
    sizes = [_sized(m["size"] or m["alone"], boxes, among, m["nth"] or m["rank"]) for m in _SIZE.finditer(rest)]
    middle = [_middle(boxes, among)] if _MIDDLE.search(rest) else []
    other = [_other(n, spoken_of)] if _OTHER.search(rest) else []
    if kinds := [kind for kind in (counted, sides, heights, sizes, middle, other) if kind]:
        return _agreed(kinds)
    if n > 1 and bare and _CORNER.search(text):
        return ()
    looks = _LOOKS.search(text) if n > 1 else None
    if looks is None or (spoken_of is not None and looks["which"] in ("this", "that")):
        return () if n > 1 and (row is not None or _DESCRIBED.search(text)) else None
    return ()


def _by_number(text: str, boxes: Sequence[Box], among: Sequence[int], in_row: bool) -> tuple[list[int | None], str]:
    """Who is counted, "the second from the left" and "the third"; and the text without them."""
    counted: list[int | None] = []
    rest = text
    for match in _FROM.finditer(text):
        counted.append(_counted(ordinal(match[1]), match[2], boxes, among))
        rest = rest.replace(match[0], " ")
    for match in _NTH.finditer(rest):
        number = ordinal(next(filter(None, match.groups())))
        there = abs(number) <= len(among)
        counted.append(among[number if number < 0 else number - 1] if there else None if in_row else abs(number) - 1)
    return counted, _NTH.sub(" ", rest)


def _by_side(
    text: str, boxes: Sequence[Box], among: Sequence[int], width: int, height: int, bare: bool
) -> tuple[list[int | None], str]:
    """Who is on a side, "the one on the left" and "the upper right one"; and the text with "one" for them."""
    sides: list[int | None] = []
    for pattern in (*_SIDE, *((_BARE_SIDE,) if bare else ())):
        for match in pattern.finditer(text):
            groups = match.groupdict()
            sides.append(_at(groups.get("side"), groups.get("height"), boxes, among, width, height))
        text = pattern.sub("one", text)
    return sides, text


def _agreed(kinds: Sequence[Sequence[int | None]]) -> tuple[int, ...]:
    """Whom each kind of naming means, as in "the big face on the left"; of one kind alone, all that it names."""
    if any(person is None for kind in kinds for person in kind):
        return ()
    if len(kinds) == 1:
        return tuple(dict.fromkeys(person for person in kinds[0] if person is not None))
    shared = set(kinds[0]).intersection(*kinds[1:])
    return tuple(person for person in shared if person is not None) if len(shared) == 1 else ()


def alone(reply: str) -> str | None:
    """A reply that names somebody and nothing else, as it would stand in a question: "the left one" for "left".

    Args:
        reply: To "Say face 1 or face 2", or any other text.

    Returns:
        None for any other text.
    """
    text = _plain(reply).strip(" .!?")
    if not _ALONE.fullmatch(text) or not _NAMES_WHOM.search(text):
        return None
    number = re.fullmatch(
        rf"(?:(?:i (?:mean|meant)|it is|it's|that's|the|say|please|number|no\.?|#)\s*)*(\d{{1,4}}|{'|'.join(_COUNT)})",
        text,
    )
    if number:
        return f"face {number[1]}"
    if re.search(rf"\b{NOUN}\b", text):
        return text
    if re.match(r"(?:on|in|at|to|from) ", text):
        return f"the one {text}"
    return f"{text if text.startswith('the ') else f'the {text}'} one"


def numbered(question: str) -> bool:
    """Whether a question names a face by its number.

    Args:
        question: As it was asked.
    """
    text = _plain(question)
    return bool(_NUMBER.search(text) or _NTH.search(text))


def not_there(question: str, boxes: Sequence[Box], together: bool = True) -> str | None:
    """What a question counts to that is not there: "fourth from the left" of three people, "third row" of two.

    Args:
        question: in English.
        boxes: of the people's faces.
        together: whether they stand in one picture; of boxes of different moments no row can be told.

    Returns:
        The first such place in words; None where all that it counts to can be there.
    """
    text = _plain(question)
    if nobody := _NOBODY.search(text):
        number = nobody[1].replace("−", "-")
        return f"face {number if len(number) <= 12 else f'{number[:9]}…'}"
    among: Sequence[int] = range(len(boxes))
    of = ""
    if row := _ROW.search(text):
        if not together:
            return None
        if re.fullmatch(_ORDINAL, row[1]) and abs(ordinal(row[1])) > len(rows(boxes)):
            return f"{_spoken(row[1])} row"
        among = _row(row[1], rows(boxes)) or among
        of = f" in the {_spoken(row[1])} row"
        text = text[: row.start()] + text[row.end() :]
    for match in _FROM.finditer(text):
        if abs(ordinal(match[1])) > len(among):
            return f"{_spoken(match[1])} from the {match[2]}{of}"
    for match in _NTH.finditer(_FROM.sub(" ", text)):
        if abs(ordinal(word := next(filter(None, match.groups())))) > len(among):
            return f"{_spoken(word)}{of}"
    return None


def _plain(question: str) -> str:
    """The question in small letters and single spaces, with "second to last" and the like as one word: "last2"."""

    def from_the_end(match: re.Match[str]) -> str:
        return f"last{_counting(match['but']) + 1 if match['but'] else ordinal(match['nth']) if match['nth'] else 2}"

    return _BEFORE_LAST.sub(from_the_end, _WRITTEN_OUT.sub(_in_digits, re.sub(r"\s+", " ", normal(question))))


def _in_digits(match: re.Match[str]) -> str:
    """A number or an ordinal in words as digits, "21st" for "twenty-first"; up to twenty, words stay as they are."""
    words = [word for word in re.split(r"[ -]", match[0]) if word != "and"]
    if not any(word in _TENS or word in _POWERS for word in words) and words[-1] not in _ABOVE:
        return match[0]
    whole = part = 0
    for word in words:
        value = 1 if word in ("a", "an") else _VALUES.get(word, _NTH_VALUES.get(word, 0))
        if value < 100:
            part += value
        elif value == 100:
            part = max(1, part) * 100
        else:
            whole, part = whole + max(1, part) * value, 0
    number = min(whole + part, 999_999_999)
    return _nth(number) if words[-1] in _NTH_VALUES else str(number)


def _nth(number: int) -> str:
    """21st, 112th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _counting(word: str) -> int:
    return int(word) if word.isdecimal() else 1 + _COUNT.index(word)


def _all_of(words: str) -> list[int]:
    """The numbers of "1, 2 and 4", and those of "1 to 3"."""
    numbers: list[int] = []
    for joint, word in re.findall(rf"(to|through|-|–)?[ ]?(?:{NOUN} )?(?:{_NUMBERED})?({_ONE_NUMBER})", words):
        number = _counting(word)
        if joint and numbers and numbers[-1] < number <= numbers[-1] + 99:
            numbers += range(numbers[-1] + 1, number)
        numbers.append(number)
    return numbers


def ordinal(word: str) -> int:
    """1 for "first" and "1st", -1 for "last", -2 for the one before it.

    Args:
        word: As it stands in a question.
    """
    if word.startswith("last"):
        return -int(word[4:9] or 1) or -1
    return max(1, int(word[:-2])) if word[0].isdecimal() else 1 + _ORDINALS.index(word)


def _spoken(word: str) -> str:
    """An ordinal as people write it; any other word as it is."""
    if re.fullmatch(r"last\d+", word):
        number = -ordinal(word)
        return "last" if number == 1 else f"{_ORDINALS[number - 1] if number <= 20 else _nth(number)} to last"
    return word


def _row(word: str, rows: tuple[tuple[int, ...], ...]) -> tuple[int, ...] | None:
    """The row that a word names; None where there is no such row, or depth is meant, which was not measured."""
    if len(rows) < 2 or word in ("back", "front"):
        return None
    if word == "middle":
        return rows[1] if len(rows) == 3 else None
    number = {"top": 1, "upper": 1, "bottom": -1, "lower": -1}.get(word) or ordinal(word)
    if abs(number) > len(rows):
        return None
    return rows[number] if number < 0 else rows[number - 1]


def _counted(number: int, side: str, boxes: Sequence[Box], among: Sequence[int]) -> int | None:
    """The nth face from a side, where those up to it stand clearly apart."""
    order = sorted(among, key=lambda i: _x(boxes[i]), reverse=side == "right")
    if abs(number) > len(order):
        return None
    # "the last one on the right" is the outermost there; the second to last is counted from the other side
    place = number - 1 if number > 0 else 0 if number == -1 else len(order) + number
    near = order[: place + 2]
    return order[place] if all(_apart(boxes[a], boxes[b]) for a, b in pairwise(near)) else None


def _at(
    side: str | None, level: str | None, boxes: Sequence[Box], among: Sequence[int], width: int, height: int
) -> int | None:
    """The outermost face of a side, of the top or of the bottom; None where no single one is."""
    if len(among) == 1:  # the only face found may be somebody else than the one who is asked about
        x, y = _x(boxes[among[0]]) / width, _y(boxes[among[0]]) / height
        wrong = (side == "left" and x > 0.6) or (side == "right" and x < 0.4)
        high = level in ("upper", "top", "topmost", "uppermost", "highest")
        return None if wrong or (level is not None and (y > 0.6 if high else y < 0.4)) else among[0]
    if level is not None:
        matching = [row for row in rows(boxes) if set(row) & set(among)]
        if len(matching) < 2:
            return None
        last = level in ("lower", "bottom", "lowest")
        among = [i for i in matching[-1 if last else 0] if i in among]
    if side is None:
        return among[0] if len(among) == 1 else None
    order = sorted(among, key=lambda i: _x(boxes[i]), reverse=side == "right")
    return order[0] if len(order) == 1 or _apart(boxes[order[0]], boxes[order[1]]) else None


def _outer(end: str, n: int, boxes: Sequence[Box], among: Sequence[int]) -> tuple[int, ...]:
    """So many faces from one end, as they are numbered or from a side; empty where nobody can tell which they are."""
    if n > len(among):
        return ()
    if end in ("first", "last"):
        return tuple(among[:n] if end == "first" else among[len(among) - n :])
    order = sorted(among, key=lambda i: _x(boxes[i]), reverse=end == "right")
    clear = n == len(order) or _apart(boxes[order[n - 1]], boxes[order[n]])
    return tuple(sorted(order[:n])) if clear else ()


def _sized(word: str, boxes: Sequence[Box], among: Sequence[int], nth: str | None = None) -> int | None:
    """The face of a size, "the second largest" where it is counted; None where another is about as large."""
    small = word in ("small", "smaller", "smallest", "little", "tiny", "tiniest")
    order = sorted(among, key=lambda i: _area(boxes[i]), reverse=not small)
    place = 0 if nth is None else ordinal(nth)
    place = place - 1 if place > 0 else max(0, len(order) + place) if place < 0 else 0
    if place >= len(order):
        return None
    near = [_area(boxes[i]) for i in order[max(0, place - 1) : place + 2]]
    return order[place] if all(max(pair) >= BIGGER * min(pair) for pair in pairwise(near)) else None


def _middle(boxes: Sequence[Box], among: Sequence[int]) -> int | None:
    """The face with as many on its left as on its right."""
    order = sorted(among, key=lambda i: _x(boxes[i]))
    half, odd = divmod(len(order), 2)
    if not odd:
        return None
    near = order[max(0, half - 1) : half + 2]
    return order[half] if all(_apart(boxes[a], boxes[b]) for a, b in pairwise(near)) else None


def _other(n: int, spoken_of: int | None) -> int | None:
    return 1 - spoken_of if n == 2 and spoken_of is not None else None


def _x(box: Box) -> float:
    return (box[0] + box[2]) / 2


def _y(box: Box) -> float:
    return (box[1] + box[3]) / 2


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _shared(a: Box, b: Box) -> float:
    """How much of the smaller height two boxes share."""
    return (min(a[3], b[3]) - max(a[1], b[1])) / max(min(a[3] - a[1], b[3] - b[1]), 1e-9)


def _apart(a: Box, b: Box) -> bool:
    return abs(_x(a) - _x(b)) >= APART * min(a[2] - a[0], b[2] - b[0])
