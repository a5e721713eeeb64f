"""Phrases: what every text of ours says in the same words, about labels, chances, strengths, regions and names.

Judge, explanation, dialogue and renderers take them from here, so that one number reads the same everywhere.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from facewitness import regions
from facewitness.errors import UnknownName
from facewitness.overtime import stretches
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
    "pristine": "untouched",
    "identity_exchange": "face swap",
    "attribute_manipulation": "changed features",
    "entire_synthesis": "wholly generated",
}


def percent(score: float, digits: int = 0) -> str:
    """A score in [0, 1] as a percent, whole by default. Never "0 %" or "100 %": no measurement is that certain.

    Args:
        score: In [0, 1].
        digits: Behind the point.
    """
    edge = 0.5 * 10.0**-digits
    if score * 100 < edge:
        return f"< {2 * edge:g} %"
    if score * 100 > 100 - edge:
        return f"> {100 - 2 * edge:g} %"
    return f"{score * 100:.{digits}f} %"


def chance(
    fake: float | None,
    interval: tuple[float, float] | None = None,
    thresholds: tuple[float, float] | None = None,
) -> str:
    """A calibrated probability in words: "87 % fake (80–92 %)". The interval is rounded outwards.

    Args:
        fake: A calibrated probability, in [0, 1]; None for none.
        interval: Its 95 % interval; None for none.
        thresholds: What it was compared with: it gets the digits that the comparison needs; None for nothing.
    """
    if fake is None:
        return "probability not measured"
    words = f"{apart(fake, *(thresholds or ()))[0]} fake"
    if interval is None:
        return words
    low, high = (round(end * 100, 6) for end in interval)  # 0.07 * 100 is a little more than 7
    return f"{words} ({math.floor(low)}–{math.ceil(high)} %)"


def apart(value: float, *bounds: float) -> tuple[str, ...]:
    """A score and what it is compared with, as percents with so many digits that the comparison shows: 29.6 %, 30 %.

    Where two of them differ and their whole percents do not, digits are added to all, four at most.

    Args:
        value: The score, and whatever else it is compared with.
        *bounds: What it is compared with.
    """
    for digits in range(5):
        words = [percent(score, digits) for score in (value, *bounds)]
        if all(words[0] != word or value == bound for word, bound in zip(words[1:], bounds, strict=True)):
            break
    return tuple(words)


def odds(verdict: Verdict) -> str:
    """A verdict's probability in words; of a face that cannot be judged, or looks drawn, there is none.

    Args:
        verdict: Of one person.
    """
    if verdict.is_unjudged:
        return "cannot be judged" if verdict.cause == "quality" else "not judged as a photograph"
    return chance(verdict.fake, verdict.interval, verdict.thresholds)


def limits_of(verdict: Verdict) -> tuple[str, str] | None:
    """Below what there is no sign of forgery and from what it is fake, with the digits that `odds` has; or None.

    Args:
        verdict: Of one person.

    Returns:
        Both in words; None of a verdict without thresholds.
    """
    if verdict.thresholds is None:
        return None
    low, high = map(percent, verdict.thresholds)
    if verdict.fake is not None:
        _, low, high = apart(verdict.fake, *verdict.thresholds)
    return low, high


def headline(report: Report) -> tuple[str, str, str]:
    """What stands at the top of every report: its key in WORDS, the large word, and the sentence that explains it.

    Args:
        report: A finished analysis.

    Returns:
        The key, the large word, and the sentence.
    """
    if report.verdict is not None and report.verdict.label == "fake" and not _is_any_fake(report):
        nobody = "No face was found. " if report.status == "no_face" else ""
        return (
            "fake",
            WORDS["fake"][0],
            of_medium(f"{nobody}The file itself says that the picture was generated.", is_film(report)),
        )
    if report.status == "ok" and report.verdict is None:
        key, large, meaning = (
            "inconclusive",
            "No verdict",
            "The faces were examined, but no verdict was reached for the whole picture.",
        )
    else:
        key = report.status if report.status != "ok" or report.verdict is None else report.verdict.label
        large, meaning = WORDS[key]
    return (key, large, of_medium(meaning, is_film(report)))


def _is_any_fake(report: Report) -> bool:
    return any(person.verdict.label == "fake" for person in report.people)


def forged_when(report: Report) -> str:
    """The times in which somebody in a film looks forged: "0:05 to 0:09", or with several people "0:05 to 0:09
    (person 2)"; empty where there are none.

    Args:
        report: A finished analysis.
    """
    times = [
        part.words if len(report.people) == 1 else f"{part.words} (person {number})"
        for number, person in enumerate(report.people, start=1)
        if person.verdict.thresholds is not None
        for part in stretches(person.timeline, person.verdict.thresholds[1])
    ]
    more = f" and {len(times) - 4} more times" if len(times) > 4 else ""
    return ", ".join(times[:4]) + more


def is_film(report: Report) -> bool:
    """Whether a report is on a film: its people are seen in time.

    Args:
        report: A finished analysis.
    """
    medium = report.medium
    timed = medium is not None and (medium.fps is not None or medium.frames > 1)
    return timed or any(person.face.at.seconds is not None for person in report.people)


def someone(film: bool, count: int = 1) -> str:
    """What is counted: faces on a photo, people in a film, each of whom has many faces.

    Args:
        film: Whether it is one.
        count: How many.
    """
    return ("person" if count == 1 else "people") if film else ("face" if count == 1 else "faces")


def of_medium(sentence: str, film: bool) -> str:
    """A sentence of ours about a picture, said of a film where it is one.

    Args:
        sentence: As it is said of a picture.
        film: Whether it is one.
    """
    return sentence.replace("picture", "film") if film else sentence


def word(label: Label) -> str:
    """A verdict's label as it stands in a report.

    Args:
        label: Of the verdict.
    """
    return WORDS[label][0]


def error_rates(name: str, described: Mapping[str, Any]) -> tuple[str, ...]:
    """The measured error rates of a witness in words, from how `made_by` describes it; empty where nobody measured.

    "Of 2,390 genuine faces that were held out, compact called 0.4 % fake and 54 % real."

    Args:
        name: Of the witness.
        described: Its `made_by`.
    """
    rates, sentences = _rates(described), []
    for kind, called in (("genuine", "genuine"), ("fakes", "forged")):
        count, fake, real = (rates.get(key) for key in (kind, f"{kind}_called_fake", f"{kind}_called_real"))
        if not isinstance(count, int) or not isinstance(fake, int | float) or not isinstance(real, int | float):
            continue
        digits = 1 if min(fake, real) < 0.1 else 0
        sentences.append(
            f"Of {count:,} {called} faces that were held out of its training, {name} called {percent(fake, digits)} "
            f"fake and {percent(real, digits)} without a sign; the others stayed undecided."
        )
    if sentences:
        sentences.append(
            "The thresholds were chosen on these faces: on pictures of another origin it may err more often."
        )
    if (prior := prior_of(described)) is not None:
        sentences.append(
            f"{stands_on(prior)} Where only 1 in 100 is, 95 % come down to {percent(at(0.95, prior, 0.01))}."
        )
    return tuple(sentences)


def _rates(described: Mapping[str, Any]) -> Mapping[str, Any]:
    measured = described.get("measured")
    rates = measured.get("rates") if isinstance(measured, Mapping) else None
    return rates if isinstance(rates, Mapping) else {}


def prior_of(described: Mapping[str, Any]) -> float | None:
    """The share of forged faces that a witness's probabilities stand on, from its `made_by`; None where not known.

    Args:
        described: Its `made_by`.
    """
    prior = _rates(described).get("prior")
    return float(prior) if isinstance(prior, int | float) and 0 < prior < 1 else None


def stands_on(prior: float) -> str:
    """Among which faces a probability is right: "The probabilities hold where 60 of 100 faces are forged, as …"

    Args:
        prior: The share of forged faces among those of the fit, in (0, 1).
    """
    return (
        f"The probabilities hold where {prior * 100:.0f} in 100 faces are forged, as among those they were fitted to."
    )


def at(p: float, prior: float, rate: float) -> float:
    """A probability where another share of faces is forged than among those it was fitted to (Bayes' rule).

    logit(p') = logit(p) + logit(rate) - logit(prior): the evidence is the same, only what was expected before differs.

    Args:
        p: Calibrated probability, in [0, 1].
        prior: Share of forged faces among those of the fit, in (0, 1).
        rate: Share of forged faces where the picture comes from, in (0, 1).

    Returns:
        In [0, 1].
    """
    fake, real = p * rate / prior, (1 - p) * (1 - rate) / (1 - prior)
    return fake / (fake + real)


def known(
    described: Mapping[str, Any], names: tuple[str, ...] = ("knows", "does_not_know", "no_sign", "groups", "deletion")
) -> tuple[str, ...]:
    """What a witness knows, does not know and misses, its errors by group and the deletion test, as in its `made_by`.

    Args:
        described: Its `made_by`.
        names: Keys that are told, in their order.
    """
    measured = described.get("measured")
    if not isinstance(measured, Mapping):
        return ()
    return tuple(visible(sentence) for name in names if isinstance(sentence := measured.get(name), str) and sentence)


# What no font draws and Unicode's categories do not tell: fillers that count as letters or signs, and selectors of
# variants but the two that emoji need. Text could be hidden in them, and two names look alike that are not.
_FILLERS = (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2065, 0x2800, 0x3164, 0xFFA0)
_SELECTORS = (*range(0x180B, 0x1810), *range(0xFE00, 0xFE0E), *range(0xE0000, 0xE1000))
_UNSEEN = frozenset(map(chr, (*_FILLERS, *_SELECTORS)))
_ODD = re.compile(r"[^ -~]")  # all that is not plain ASCII: what is looked at
_ODD_IN_JSON = re.compile(r"[^\n -~]")


def visible(text: str) -> str:
    """Text from outside with everything that hides or breaks lines written as an escape, such as \\n or \\u202e.

    Control characters, line separators, lone surrogates (bytes of a file name that are not UTF-8), the marks that turn
    the reading direction, and what has no width could make a report show another name than the file has, or give a
    terminal orders. A joiner stays between letters of the scripts that are spelt with it, and between emoji.

    Args:
        text: From outside.
    """
    return _ODD.sub(lambda m: m[0].encode("unicode_escape").decode("ascii") if _hides(m) else m[0], text)


def utf8(text: str) -> str:
    """The text without halves of a pair, which JSON can write and no table can hold.

    Args:
        text: Any.
    """
    return text.encode(errors="replace").decode()


def json_line(value: object, **layout: Any) -> str:
    """A value as JSON that says all of it, and gives a terminal nothing that `visible` would not.

    Args:
        value: what `json.dumps` takes.
        **layout: its keyword arguments `indent`, `separators`, `default`, `allow_nan`.

    Returns:
        JSON with letters as they are; what hides is written by JSON's own escapes, so that no reader sees a difference.
    """
    text = json.dumps(value, ensure_ascii=False, **layout)
    return _ODD_IN_JSON.sub(lambda m: json.dumps(m[0])[1:-1].replace("\x7f", "\\u007f") if _hides(m) else m[0], text)


def cell(value: object) -> object:
    """A value for a cell of a CSV file: text is made visible and never begins as a formula does; a number stays one.

    An apostrophe in front tells a spreadsheet that what follows is text.

    Args:
        value: Text or a number.
    """
    if not isinstance(value, str):
        return value
    shown = visible(value)
    return f"'{shown}" if shown.lstrip()[:1] in _FORMULA else shown


_FORMULA = tuple("=+-@＝＋－＠")  # the wide ones are the same to a spreadsheet set to Japanese or Chinese


def _hides(match: re.Match[str]) -> bool:
    """Whether a character of a text is one that is not seen where it stands."""
    if match[0] in "\u200c\u200d":
        between = match.string[max(0, match.start() - 1) : match.end() + 1]
        return len(between) < 3 or not (_takes_joiners(between[0]) and _takes_joiners(between[2]))
    return match[0] in _UNSEEN or unicodedata.category(match[0]) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _takes_joiners(c: str) -> bool:
    """Whether a character is of Arabic, of the scripts of India and its neighbours, or may be in an emoji."""
    drawn = unicodedata.category(c) not in ("Cc", "Cf", "Cs") and c not in _UNSEEN
    return drawn and ("\u0600" <= c <= "\u1fff" or "\u2190" <= c <= "\u2bff" or c >= "\ufe0f")


def title(region: str) -> str:
    """A region's name in words. A name the tree does not have (from an outside witness) is shown as it came.

    Args:
        region: Name of a region of the tree.
    """
    try:
        return regions.title(region)
    except UnknownName:
        return visible(region).replace("_", " ")


NEARLY_ALL = 9  # of MARE's twelve regions: so many are one finding on the whole face


def places_of(finding: Finding) -> str:
    """Where a finding is, in words: its regions, each once; the whole picture for a place that is no region.

    Args:
        finding: The finding.
    """
    names = dict.fromkeys("whole picture" if p.region is None else title(p.region) for p in finding.places)
    if finding.region is None and len(names) >= NEARLY_ALL:
        return "nearly the whole face"
    return listed(names) if len(names) <= 4 else f"{', '.join(list(names)[:3])} and {len(names) - 3} more"


def strength_in_words(strength: float | None) -> str:
    """A finding's strength with its grade: "strong, 82 %".

    Args:
        strength: In [0, 1]; None for not measured.
    """
    return "not measured" if strength is None else f"{grade(strength)}, {percent(strength)}"


def moved_in_words(moves: float | None) -> str:
    """What painting a finding's place over did: "painted over: log-odds −0.41"; empty where nobody tried.

    Args:
        moves: By how much the log-odds fell when the place was painted over; None where nobody tried.
    """
    return "" if moves is None else "painted over: log-odds " + f"{-moves:+.2f}".replace("-", "−")


def measured_in_words(finding: Finding) -> str:
    """A finding's strength, and what painting its place over did where that was tried.

    Args:
        finding: The finding.
    """
    return "; ".join(filter(None, (strength_in_words(finding.strength), moved_in_words(finding.moves))))


def capital(text: str) -> str:
    """A sentence's beginning: the first letter large, the others as they are.

    Args:
        text: Any.
    """
    return text[:1].upper() + text[1:]


def listed(words: Iterable[str]) -> str:
    """Words as a list in a sentence: "a", "a and b", "a, b and c"; empty for none.

    Args:
        words: In their order.
    """
    *others, last = list(words) or [""]
    return f"{', '.join(others)} and {last}" if others else last


def the_regions(names: Iterable[str]) -> str:
    """Regions as a list in a sentence: ("nose", "left_eye", "chin") → "the nose, the left eye and the chin".

    Args:
        names: Of the tree.
    """
    return listed(f"the {regions.title(name)}" for name in names)
