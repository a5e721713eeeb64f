"""Formats: a report goes in, bytes come out. Each leaf has `render(report) -> bytes` and an `extension`.

What every format has to say in the same words stands here: how a probability is written, what a label, a kind and a
quality are called, how a name from outside is made visible, the colours of a mask, and how to run the analysis again.
"""

from __future__ import annotations

import math
import shlex
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness import regions
from facewitness.errors import UnknownName
from facewitness.types import Label, Quality, Report, Verdict, grade

# label or status → (the word that stands large on the page, what it means)
WORDS: dict[str, tuple[str, str]] = {
    "fake": ("Fake", "A face shows traces of forgery."),
    "real": ("Real", "No sufficient evidence of forgery was found. That does not prove that the picture is genuine."),
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

LIMITS: tuple[str, ...] = (
    "A probability is calibrated on known pictures: of faces given 80 %, about 80 in 100 were forged there. "
    "Pictures of another origin may behave differently.",
    "An interval is a 95 % interval of that probability, not of the truth.",
    "The strength of a finding is the measured share of such findings that are right: "
    "weak < 50 % ≤ moderate < 70 % ≤ strong < 90 % ≤ very strong.",
    "Only faces are examined. Left and right are the subject's.",
    "This report supports an examiner's decision. It does not replace it.",
)

# The colours of a mask, low to high: five stops of the colour map viridis, which stays ordered in every common form of
# colour blindness, in greyscale, and differs from skin everywhere.
HEAT: tuple[tuple[int, int, int], ...] = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))


def heat(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Mask values (h, w) in [0, 1] → RGBA (h, w, 4): the colour and the opacity both grow with the value."""
    stops = np.linspace(0.0, 1.0, len(HEAT))
    rgb = [np.interp(values, stops, [stop[channel] for stop in HEAT]) for channel in range(3)]
    return np.rint(np.stack([*rgb, values * 255.0], axis=-1)).astype(np.uint8)


def percent(score: float) -> str:
    """A score in [0, 1] as a whole percent. Never "0 %" or "100 %": no measurement is that certain."""
    if score < 0.005:
        return "< 1 %"
    if score > 0.995:
        return "> 99 %"
    return f"{score * 100:.0f} %"


def chance(fake: float | None, interval: tuple[float, float] | None = None) -> str:
    """A calibrated probability in words: "87 % fake (80–92 %)". The interval is rounded outwards."""
    if fake is None:
        return "probability not measured"
    if interval is None:
        return f"{percent(fake)} fake"
    low, high = (round(end * 100, 6) for end in interval)  # 0.07 * 100 is a little more than 7
    return f"{percent(fake)} fake ({math.floor(low)}–{math.ceil(high)} %)"


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


def strength_in_words(strength: float | None) -> str:
    """A finding's strength with its grade: "strong, 82 %"."""
    return "not measured" if strength is None else f"{grade(strength)}, {percent(strength)}"


def mark(finding: int) -> str:
    """A letter for a finding, by which a sentence and a place in the picture know each other: a, b, … z, aa, ab, …"""
    letters = ""
    finding += 1
    while finding:
        finding, letter = divmod(finding - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return letters


def measured(quality: Quality) -> list[tuple[str, str]]:
    """What a finder measured of a face, as (name, value in words); what was not measured is left out."""

    def angle(name: str, value: float | None, positive: str, negative: str) -> tuple[str, str] | None:
        if value is None:
            return None
        degrees = round(abs(value))
        return (name, "0°" if degrees == 0 else f"{degrees}° {positive if value > 0 else negative}")

    facts = [
        None if quality.score is None else ("quality, overall", f"{quality.score:.2f} of 1"),
        None if quality.size is None else ("size", f"{quality.size:.0f} px"),
        None if quality.sharpness is None else ("sharpness", f"{quality.sharpness:.2f} of 1"),
        None if quality.mesh is None else ("face mesh", f"{quality.mesh:.2f} of 1"),
        angle("tilt", quality.roll, "clockwise", "anticlockwise"),
        angle("turn", quality.yaw, "to the subject's left", "to the subject's right"),
        angle("nod", quality.pitch, "up", "down"),
    ]
    return [fact for fact in facts if fact is not None]


def band(made_by: Mapping[str, Any], verdict: Verdict) -> tuple[float, float] | None:
    """The inconclusive band (low, high) from `made_by["thresholds"]`: below low is real, from high on is fake.

    It holds for a face of good quality. None where it is not known, or where it is not what decided this verdict
    (a poor face, witnesses that disagree): the verdict's reasons say what did.
    """
    thresholds = made_by.get("thresholds")
    if not isinstance(thresholds, Mapping) or verdict.fake is None:
        return None
    match thresholds.get("real"), thresholds.get("fake"):
        case (int() | float() as low, int() | float() as high) if 0 <= low <= high <= 1:
            label = "fake" if verdict.fake >= high else "real" if verdict.fake < low else "inconclusive"
            return (float(low), float(high)) if label == verdict.label else None
    return None


def provenance(made_by: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """`made_by`, flattened for reading: ("witnesses › compact › weights", "9f2c…"), in the order it was written."""

    def walk(path: tuple[str, ...], value: Any) -> Iterator[tuple[str, str]]:
        match value:
            case Mapping() if value:
                for key, inner in value.items():
                    yield from walk((*path, str(key)), inner)
            case list() | tuple() if any(isinstance(inner, Mapping) for inner in value):
                for number, inner in enumerate(value, start=1):
                    if isinstance(inner, Mapping) and isinstance(inner.get("name"), str):  # a leaf goes by its name
                        yield from walk((*path, inner["name"]), {k: v for k, v in inner.items() if k != "name"})
                    else:
                        yield from walk((*path, str(number)), inner)
            case list() | tuple() if value:
                yield " › ".join(path), ", ".join(map(str, value))
            case bool():
                yield " › ".join(path), "yes" if value else "no"
            case None | list() | tuple() | Mapping():
                yield " › ".join(path), "none"
            case _:
                yield " › ".join(path), str(value)

    for key, value in made_by.items():
        yield from walk((str(key),), value)


def again(report: Report) -> list[tuple[str, str]]:
    """How to run the analysis again: (what for, the command to type), ready for a POSIX shell."""
    source = report.source
    from_a_file = report.sha256 is not None or report.status == "failed"
    if not from_a_file or source in ("", "-") or source.startswith("<") or visible(source) != source:
        name = "FILE"  # an array, standard input, or a name that cannot be typed: the hash says which file it was
    else:
        name = shlex.quote(source if not source.startswith("-") else f"./{source}")
    steps = []
    if isinstance(version := report.made_by.get("version"), str):
        steps.append(("Install the same version", shlex.join(["pip", "install", f"facewitness=={version}"])))
    if report.sha256:
        steps.append(("Check that the file is the same: its SHA-256 stands above", f"sha256sum {name}"))
    steps.append(("Analyse it again, with any options named above, and compare", f"facewitness analyze --json {name}"))
    return [(what, visible(command)) for what, command in steps]
