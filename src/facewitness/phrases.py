"""Phrases: what every text of ours says in the same words, about labels, chances, strengths, regions and names.

Judge, explanation, dialogue and renderers take them from here, so that one number reads the same everywhere.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable

from facewitness import regions
from facewitness.errors import UnknownName
from facewitness.types import Finding, Label, Report, Verdict, grade

# label or status → (the word that stands large on the page, what it means)
WORDS: dict[str, tuple[str, str]] = {
    "fake": ("Fake", "A face shows traces of forgery."),
    "real": (
        "No sign of forgery found",
        "No sufficient evidence of forgery was found. That does not prove that the picture is genuine.",
    ),
    "inconclusive": ("Inconclusive", "The evidence does not allow a decision in either direction."),
    "no_face": ("No face found", "No face was found, so nothing was judged. This is not a verdict of real."),
    "failed": (
        "Not analysed",
        "The analysis failed before a verdict was reached. This says nothing about the picture.",
    ),
}

KIND_WORDS: dict[str, str] = {
    "pristine": "pristine",
    "identity_exchange": "identity exchange",
    "attribute_manipulation": "attribute manipulation",
    "entire_synthesis": "entire synthesis",
}


def percent(score: float, digits: int = 0) -> str:
    """A score in [0, 1] as a percent, whole by default. Never "0 %" or "100 %": no measurement is that certain."""
    edge = 0.5 * 10.0**-digits
    if score * 100 < edge:
        return f"< {2 * edge:g} %"
    if score * 100 > 100 - edge:
        return f"> {100 - 2 * edge:g} %"
    return f"{score * 100:.{digits}f} %"


def chance(fake: float | None, interval: tuple[float, float] | None = None) -> str:
    """A calibrated probability in words: "87 % fake (80–92 %)". The interval is rounded outwards."""
    if fake is None:
        return "probability not measured"
    if interval is None:
        return f"{percent(fake)} fake"
    low, high = (round(end * 100, 6) for end in interval)  # 0.07 * 100 is a little more than 7
    return f"{percent(fake)} fake ({math.floor(low)}–{math.ceil(high)} %)"


def apart(value: float, *bounds: float) -> tuple[str, ...]:
    """A score and what it is compared with, as percents with so many digits that the comparison shows: 29.6 %, 30 %.

    Where two of them differ and their whole percents do not, digits are added to all, four at most.
    """
    for digits in range(5):
        words = [percent(score, digits) for score in (value, *bounds)]
        if all(words[0] != word or value == bound for word, bound in zip(words[1:], bounds, strict=True)):
            break
    return tuple(words)


def odds(verdict: Verdict) -> str:
    """A verdict's probability in words; of a face that cannot be judged there is none."""
    if verdict.cause == "quality":
        return "cannot be judged"
    return chance(verdict.fake, verdict.interval)


def headline(report: Report) -> tuple[str, str, str]:
    """What stands at the top of every report: its key in WORDS, the large word, and the sentence that explains it."""
    if report.status != "ok":
        return (report.status, *WORDS[report.status])
    if report.verdict is None:
        return (
            "inconclusive",
            "No verdict",
            "The faces were examined, but no verdict was reached for the whole picture.",
        )
    return (report.verdict.label, *WORDS[report.verdict.label])


def word(label: Label) -> str:
    """A verdict's label as it stands in a report."""
    return WORDS[label][0]


_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(text: str) -> str:
    """Text from outside with everything that hides or breaks lines written as an escape, such as \\n or \\u202e.

    Control characters, line separators, lone surrogates (bytes of a file name that are not UTF-8) and the marks that
    turn the reading direction could make a report show another name than the file has.
    """
    return "".join(
        c.encode("unicode_escape").decode("ascii")
        if c in _BIDI or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")
        else c
        for c in text
    )


def title(region: str) -> str:
    """A region's name in words. A name the tree does not have (from an outside witness) is shown as it came."""
    try:
        return regions.title(region)
    except UnknownName:
        return visible(region).replace("_", " ")


def places_of(finding: Finding) -> str:
    """Where a finding is, in words: its regions, each once; the whole picture for a place that is no region."""
    names = dict.fromkeys("whole picture" if p.region is None else title(p.region) for p in finding.places)
    return listed(names) if len(names) <= 4 else f"{', '.join(list(names)[:3])} and {len(names) - 3} more"


def strength_in_words(strength: float | None) -> str:
    """A finding's strength with its grade: "strong, 82 %"."""
    return "not measured" if strength is None else f"{grade(strength)}, {percent(strength)}"


def listed(words: Iterable[str]) -> str:
    """Words as a list in a sentence: "a", "a and b", "a, b and c"; empty for none."""
    *others, last = list(words) or [""]
    return f"{', '.join(others)} and {last}" if others else last


def the_regions(names: Iterable[str]) -> str:
    """Regions as a list in a sentence: ("nose", "left_eye", "chin") → "the nose, the left eye and the chin"."""
    return listed(f"the {regions.title(name)}" for name in names)
