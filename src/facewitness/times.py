"""Moments, frames and stretches of a film that a question names."""

from __future__ import annotations

import math
import re

from facewitness.people import NTH, ordinal
from facewitness.words import normal

_MOMENT = re.compile(
    r"\b(?:(\d{1,30}):)?(\d{1,30}):(\d{2}(?:\.\d{1,3})?)\b|"
    r"(?:\b(?:at|after|around|by|and) |^)(?:about |around )?(\d{1,30}(?:\.\d{1,3})?) ?(?:s|secs?|seconds?)\b|"
    r"\bsecond (?:number |no\.? ?|#)?(\d{1,30}(?:\.\d{1,3})?)\b"
)
_FRAME = re.compile(
    r"\bframes? (?:number |no\.? ?|#)?(\d{1,30})(?: ?(?:to|and|or|through|[-–]) ?(\d{1,30}))?\b|"
    r"\b(first|last|final) frame\b"
)
_MOMENTS = 8  # that an answer tells of
_CLOCK = (
    r"(?:(?:(?P<h{n}>\d{{1,30}}):)?(?P<m{n}>\d{{1,30}}):(?P<s{n}>\d{{2}}(?:\.\d{{1,3}})?)|"
    r"(?P<p{n}>\d{{1,30}}(?:\.\d{{1,3}})?){unit})"
)
_SECONDS = r" ?(?:s|sec|secs|seconds?)"
_BETWEEN = re.compile(
    rf"\b(?:between |from )?(?:the |second )?{_CLOCK.format(n=1, unit=f'(?:{_SECONDS})?')}(?: and | to | until |"
    rf" till | through | ?[-–] ?)(?:the |second )?{_CLOCK.format(n=2, unit=_SECONDS)}\b(?! (?:from|of|faces?|people))"
)
_SECONDS_TO = re.compile(
    rf"\bseconds? {_CLOCK.format(n=1, unit='')}(?: and | to | until | till | through | ?[-–] ?)(?:second )?"
    rf"{_CLOCK.format(n=2, unit='')}(?!\.?\d| (?:from|of|faces?|people))"
)
_BEFORE = re.compile(rf"\b(?:before|until|till|up to) {_CLOCK.format(n=1, unit=_SECONDS)}\b")
_AFTER = re.compile(rf"\b(?:after|since|from) {_CLOCK.format(n=1, unit=f'{_SECONDS} on')}")
_PART = re.compile(
    rf"\b(?P<which>{NTH}|last|opening|closing|final) (?:(?P<count>\d{{1,30}}(?:\.\d{{1,3}})?) )?"
    r"(?P<unit>seconds?|half|third|quarter|minutes?|frames?)\b|"
    r"\b(?:at|in|near|towards?|about) the (?:very )?(?P<end>start|beginning|end)\b(?! of (?:the|his|her) (?:nose|"
    r"eye\w*|"
    r"mouth|row))|"
    r"\b(?:in|at|around) the (?P<middle>middle)(?: of the (?:film|video|clip|movie|recording|footage)\b|\W*$)"
)
_UNITS = {"second": 1.0, "seconds": 1.0, "minute": 60.0, "minutes": 60.0}
_COUNTS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_COUNTED = re.compile(
    rf"\b(?:({'|'.join(_COUNTS)})(?= (?:secs?|seconds?|minutes?|frames?)\b)|(?<=\bsecond )({'|'.join(_COUNTS)})\b|"
    rf"(?<=\bframe )({'|'.join(_COUNTS)})\b)"
)


def _timed(question: str) -> str:
    """The question in small letters, with the numbers of seconds and frames in digits."""
    return _COUNTED.sub(lambda m: str(1 + _COUNTS.index(next(filter(None, m.groups())))), normal(question))


def _second(match: re.Match[str], n: int) -> float:
    plain = match[f"p{n}"]
    if plain is not None:
        return float(plain)
    return 3600 * int(match[f"h{n}"] or 0) + 60 * int(match[f"m{n}"]) + float(match[f"s{n}"])


def stretch_asked_for(question: str, length: float) -> tuple[float, float] | None:
    """The part of a film that a question names, in seconds: "between 0:01 and 0:02", "the last second", "at the end".

    The beginning, the middle and the end are a third of it each.

    Args:
        question: As it was asked.
        length: Of the film, in seconds.

    Returns:
        Its first and last second; None where none is named.
    """
    plain = _timed(question)
    if two := _BETWEEN.search(plain) or _SECONDS_TO.search(plain):
        first, last = sorted((_second(two, 1), _second(two, 2)))
        return (first, last) if first < last else None
    if before := _BEFORE.search(plain):
        return 0.0, _second(before, 1)
    if after := _AFTER.search(plain):
        return _second(after, 1), max(length, _second(after, 1))
    part = _PART.search(plain)
    if part is None or (part["unit"] or "").startswith("frame"):
        return None
    if part["middle"]:
        return length / 3, 2 * length / 3
    if part["end"]:
        return (2 * length / 3, length) if part["end"] == "end" else (0.0, length / 3)
    late, much = part["which"] in ("last", "closing", "final"), float(part["count"] or 1)
    nth = 1 if late or part["which"] == "opening" else ordinal(part["which"])
    share = {"half": length / 2, "third": length / 3, "quarter": length / 4}.get(part["unit"])
    wide = much * _UNITS[part["unit"]] if share is None else share
    if late:
        return max(0.0, length - wide), length
    end = nth * wide  # where the next part begins, which has that moment
    return end - wide, max(end - wide, length) if end >= length else math.nextafter(end, 0)


def frames_asked_for(question: str) -> tuple[int, ...]:
    """The frames of a film that a question names by their numbers, from 0; -1 is the last.

    Args:
        question: As it was asked.
    """
    numbers: list[int] = []
    for match in _FRAME.finditer(_timed(question)):
        numbers += [int(number) for number in match.groups()[:2] if number]
        numbers += [0 if match[3] == "first" else -1] if match[3] else []
    return tuple(dict.fromkeys(numbers))[:_MOMENTS]


def moments_asked_for(question: str) -> tuple[float, ...]:
    """Every moment of a film that a question names, in seconds: "at 0:14", "at 1:02:03", "after 14 seconds".

    Args:
        question: As it was asked.
    """
    plain = _timed(question)
    seconds = (
        float(match[4] or match[5])
        if match[3] is None
        else 3600 * int(match[1] or 0) + 60 * int(match[2]) + float(match[3])
        for match in _MOMENT.finditer(plain)
    )
    return tuple(dict.fromkeys(seconds))[:_MOMENTS]


_STEP = re.compile(
    r"\b(?:(?P<half>half (?:of )?an?|an? half|0?\.5) |(?P<count>\d{1,30}(?:\.\d{1,3})?|an?|another|the|one) )?"
    r"(?P<unit>second|sec|s|minute|frame|moment)s? (?P<way>later|afterwards?|further|earlier|previously|"
    r"(?:after|before)(?= \d+:\d|(?: (?:that|this))?\W*$)|(?:on|back)(?=\W*$))\b(?: (?:that|this)\b)?|"
    r"\b(?:the )?(?P<next>next|following|previous|preceding) (?P<one>second|minute|frame|moment)\b"
)
_BACK = ("earlier", "previously", "before", "back", "previous", "preceding")


def step_asked_for(question: str) -> tuple[float, str, str] | None:
    """How far from a moment that was spoken of before a question lies: "A second later?", "And the frame before?".

    Args:
        question: As it was asked.

    Returns:
        How many, below 0 for back; of what: second, minute, frame or moment; and the question without these words. None
        where it asks for no such step.
    """
    plain = _timed(question)
    step = _STEP.search(plain)
    if step is None:
        return None
    unit = {"sec": "second", "s": "second"}.get(step["unit"] or step["one"], step["unit"] or step["one"])
    count = step["count"] or ""
    number = 0.5 if step["half"] else float(count) if count[:1].isdigit() else 1.0
    back = (step["way"] or step["next"]) in _BACK
    return (-number if back else number), unit, f"{plain[: step.start()]} {plain[step.end() :]}".strip()
