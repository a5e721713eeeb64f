"""Formats: a report goes in, bytes come out. Each leaf has `render(report, clip=None) -> bytes` and an `extension`.

`clip` holds the pixels, for formats that draw; a report that was read from JSON comes without.

What only renderers share stands here: what every report says of its limits, the colours of a mask, what was measured of
a face, the thresholds, and how to run the analysis again. The words for labels and chances are in `phrases`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness.overtime import clock, digits, stretches
from facewitness.phrases import error_rates, is_film, known, percent, someone, visible
from facewitness.types import Face, Finding, FrameRef, Mask, PersonReport, Quality, Reply, Report, Testimony, Verdict

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
    """Mask values (h, w) in [0, 1] → RGBA (h, w, 4): the colour and the opacity both grow with the value.

    Args:
        values: (h, w), in [0, 1].

    Returns:
        RGBA uint8 (h, w, 4).
    """
    stops = np.linspace(0.0, 1.0, len(HEAT))
    rgb = [np.interp(values, stops, [stop[channel] for stop in HEAT]) for channel in range(3)]
    return np.rint(np.stack([*rgb, values * 255.0], axis=-1)).astype(np.uint8)


def mark(finding: int) -> str:
    """A letter for a finding, by which a sentence and a place in the picture know each other: a, b, … z, aa, ab, …

    Args:
        finding: Its index in the person's findings.
    """
    letters = ""
    finding += 1
    while finding:
        finding, letter = divmod(finding - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return letters


def cases(testimony: Testimony) -> tuple[tuple[str, Reply], ...]:
    """("real", answer) and ("fake", answer): what a witness weighed for each side; nothing unless it weighed both.

    An answer that says a side is that side's case, whatever was supposed, and of several the one that fits best; where
    none says it, the answer that was asked to, which concedes the other.

    Args:
        testimony: What one witness testified.
    """
    replies: dict[str, Reply] = {}
    for reply in sorted(testimony.considered, key=lambda reply: -(reply.match or 0.0)):
        if reply.label in ("real", "fake"):
            replies.setdefault(reply.label, reply)
    for reply in testimony.considered:
        if reply.hypothesis in ("real", "fake"):
            replies.setdefault(reply.hypothesis, reply)
    return tuple((side, replies[side]) for side in ("real", "fake")) if len(replies) == 2 else ()


def quoted(text: str) -> str:
    """A witness's words as people read them: of very long ones the beginning, and how much more there is.

    Args:
        text: Of a reply; the report in JSON keeps all of it.
    """
    text = text.strip()
    if len(text) <= _LONGEST:
        return text
    begin = text[:_LONGEST]
    at = max(begin.rfind(" "), begin.rfind("\n"))
    begin = begin[:at].rstrip() if at > _LONGEST // 2 else begin
    return f"{begin} … ({len(text) - len(begin):,} more letters stand in the JSON report)"


def lines(text: str) -> tuple[str, ...]:
    """The lines of a witness's words as people read them, by `quoted`, without empty ones.

    Args:
        text: Of a reply.
    """
    return tuple(visible(line.strip()) for line in quoted(text).splitlines() if line.strip())


_LONGEST = 2_000  # characters: twenty-five lines of a terminal


def argument(reply: Reply) -> str:
    """What an answer argues, without its description and result where it has such fields (FFAA's "Forgery reasoning").

    Args:
        reply: A witness's reply.
    """
    lines = [line.strip() for line in reply.text.strip().splitlines() if line.strip()]
    reasons = [line.removeprefix(_REASONING).strip() for line in lines if line.startswith(_REASONING)]
    return " ".join(reasons or lines)


_REASONING = "Forgery reasoning:"


def fits(side: str, reply: Reply) -> str:
    """How well a side's case fits the picture, in words.

    Args:
        side: "real" or "fake".
        reply: A witness's reply.
    """
    if reply.label != side:
        return "concedes" if reply.label in ("real", "fake") else "has no verdict"
    return "not judged" if reply.match is None else f"fits the picture by {percent(reply.match)}"


def stands(testimony: Testimony, reply: Reply) -> bool:
    """Whether an answer is of the side that the witness stands by.

    Args:
        testimony: What one witness testified.
        reply: A witness's reply.
    """
    return testimony.reply is not None and testimony.reply.label is not None and testimony.reply.label == reply.label


def why_it_won(testimony: Testimony) -> str:
    """Why one of the answers stands, in a sentence; whether all of them agree.

    Args:
        testimony: What one witness testified.
    """
    answers = [reply for reply in testimony.considered if reply.label in ("real", "fake")]
    chosen = testimony.reply
    if chosen is None or chosen.label not in ("real", "fake"):
        return "Neither side stands: " + ("no answer has a verdict." if not answers else "both fit equally well.")
    if len({reply.label for reply in answers}) == 1 and len(answers) == len(testimony.considered):
        return f"An easy face: every answer says {chosen.label}, whatever was supposed."
    rivals = [reply.match for reply in answers if reply.label != chosen.label and reply.match is not None]
    if not rivals or chosen.match is None:
        return f"“{chosen.label}” stands: for the other side nothing speaks."
    return (
        f"A hard face: what is supposed changes the answer. “{chosen.label}” stands because its best answer fits the "
        f"picture by {percent(chosen.match)}, the other side's by {percent(max(rivals))}."
    )


def film_frame(report: Report) -> FrameRef | None:
    """The frame of a film that stands for it. None for a photo.

    Of the person who looks forged for a stretch of time, or else is the most suspicious: the moment that looks most
    forged where there is such a stretch, else the frame in which the face can be judged best.

    Args:
        report: A finished analysis.
    """
    if not report.people or report.medium is None or not report.medium.fps:
        return None

    def suspicion(person: PersonReport) -> tuple[float, float]:
        parts = () if person.verdict.thresholds is None else stretches(person.timeline, person.verdict.thresholds[1])
        return max((part.fake for part in parts), default=-1.0), person.verdict.probability or 0.0

    suspicious = max(report.people, key=suspicion)
    if suspicion(suspicious)[0] < 0:
        return suspicious.face.at
    return max(suspicious.timeline, key=lambda moment: -1.0 if moment.fake is None else moment.fake).at


def examined(report: Report, film: FrameRef | None) -> str:
    """What a drawn picture is, as a sentence begins: the picture, or a film's frame at its moment.

    Args:
        report: A finished analysis.
        film: The frame of a film; None for a photo.
    """
    if film is None:
        return "The picture as it was examined, upright"
    fine = max(digits([face.at.seconds for face in person.track.faces]) for person in report.people)
    return f"The film at {clock(film.seconds or 0.0, fine)} (frame {film.index}), upright"


def mask_at(person: PersonReport, at: FrameRef | None) -> Mask | None:
    """A person's mask in one frame of a film, None where there is none; for a photo (no frame named) the one.

    Args:
        person: One person of the report.
        at: The frame; None for a photo.
    """
    if at is None or person.face.at.index == at.index:
        return person.mask
    return next((moment.mask for moment in person.timeline if moment.at.index == at.index), None)


def seen_at(person: PersonReport, at: FrameRef | None) -> list[tuple[int, Finding]]:
    """A person's findings with their numbers; of a film those that are seen in one frame, with their place there.

    Args:
        person: One person of the report.
        at: The frame; None for a photo.
    """
    if at is None:
        return list(enumerate(person.findings))
    seen = []
    for index, finding in enumerate(person.findings):
        place = next((p for p in finding.places if p.at is not None and p.at.index == at.index), None)
        if place is not None:
            seen.append((index, replace(finding, places=(place,))))
    return seen


def face_at(person: PersonReport, at: FrameRef | None) -> Face | None:
    """A person's face in one frame of a film, None where it is not there; for a photo (no frame named) the one.

    Args:
        person: One person of the report.
        at: The frame; None for a photo.
    """
    return person.face if at is None else next((face for face in person.track.faces if face.at.index == at.index), None)


def called(report: Report) -> str:
    """What the file is called, without the folders it lies in.

    Args:
        report: Of any status.
    """
    return visible(report.source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]) or "picture without a name"


def dimensions(report: Report) -> list[str]:
    """How large what was read is, in words: pixels, a film's time and frames, and how many faces or people it shows.

    Args:
        report: Of any status.
    """
    facts = [f"{report.size[0]} × {report.size[1]} pixels"] if report.size else []
    if report.medium is not None and (seconds := report.medium.seconds) is not None:
        facts.append(f"{clock(seconds)}, {report.medium.frames} frames")
    if report.status == "ok":
        count = len(report.people)
        facts.append(f"{count} {someone(is_film(report), count)}")
    return facts


def measured(quality: Quality) -> list[tuple[str, str]]:
    """What a finder measured of a face, as (name, value in words); what was not measured is left out.

    Args:
        quality: As the finder measured it.
    """

    def angle(name: str, value: float | None, positive: str, negative: str) -> tuple[str, str] | None:
        if value is None:
            return None
        degrees = round(abs(value))
        return (name, "0°" if degrees == 0 else f"{degrees}° {positive if value > 0 else negative}")

    facts = [
        None if quality.score is None else ("quality, overall", f"{quality.score:.2f} of 1"),
        None if quality.size is None else ("size", f"{quality.size:.0f} px"),
        None if quality.sharpness is None else ("sharpness", f"{quality.sharpness:.2f} of 1"),
        None if quality.mesh is None else ("fit of the face's outline", f"{quality.mesh:.2f} of 1"),
        angle("tilt", quality.roll, "clockwise", "anticlockwise"),
        angle("turn", quality.yaw, "to the subject's left", "to the subject's right"),
        angle("nod", quality.pitch, "up", "down"),
    ]
    return [fact for fact in facts if fact is not None]


def band(verdict: Verdict) -> tuple[float, float] | None:
    """The inconclusive band (low, high): below low is no sign of forgery, from high on is fake.

    None where it is not what decided this verdict: the verdict's reasons say what did.

    Args:
        verdict: Of a person.

    Returns:
        Its lower and upper end, in [0, 1].
    """
    return verdict.thresholds if verdict.fake is not None and verdict.cause in (None, "band") else None


def worth(made_by: Mapping[str, Any]) -> tuple[str, ...]:
    """What was measured of the witnesses: their error rates, what they know and do not know, the deletion test.

    Args:
        made_by: What stands in a report of how it was made.
    """
    witnesses = made_by.get("witnesses")
    return tuple(
        sentence
        for described in (witnesses if isinstance(witnesses, list | tuple) else ())
        if isinstance(described, Mapping)
        for sentence in (*error_rates(visible(str(described.get("name", ""))), described), *known(described))
    )


def provenance(made_by: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """`made_by`, flattened for reading: ("witnesses › compact › weights", "9f2c…"), in the order it was written.

    Args:
        made_by: What stands in a report of how it was made.
    """

    def walk(path: tuple[str, ...], value: Any) -> Iterator[tuple[str, str]]:
        match value:
            case Mapping() if value:
                for key, inner in value.items():
                    if key != "measured":  # stands in sentences: `worth`
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
    """How to run the analysis again: (what for, the command to type), ready for a POSIX shell.

    Args:
        report: A finished analysis.
    """
    source = report.source
    from_a_file = report.sha256 is not None or report.status == "failed"
    if not from_a_file or source in ("", "-") or source.startswith("<") or visible(source) != source:
        name = "FILE"  # an array, standard input, or a name that cannot be typed: the hash says which file it was
    else:
        name = shlex.quote(source if not source.startswith("-") else f"./{source}")
    steps = []
    if isinstance(version := report.made_by.get("version"), str):
        steps.append((f"Install version {visible(version)}, from a clone of its repository", "pip install ."))
    if report.sha256:
        steps.append(("Check that the file is the same: its SHA-256 stands above", f"sha256sum {name}"))
    steps.append(("Analyse it again, with any options named above, and compare", f"facewitness analyze --json {name}"))
    return [(what, visible(command)) for what, command in steps]
