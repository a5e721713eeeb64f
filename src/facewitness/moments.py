"""Answers about a film in time: how long it is, when a face looks forged, and what was seen at a moment that is named.

Only moments that were judged are spoken of; one that was not gets the nearest that was, and is told so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from facewitness import questions, regions, times
from facewitness.answers import Answer, counted, is_at, of_parts
from facewitness.calibration import decide
from facewitness.explain import graded, suspicions
from facewitness.overtime import clock, digits, share, span, stretches
from facewitness.phrases import WORDS, capital, is_film, listed, of_medium, percent
from facewitness.types import Finding, Label, Moment, PersonReport, Report


def seconds_of(report: Report) -> float:
    """How long the film is; up to its last moment that is known, where its rate is not.

    Args:
        report: That is spoken of.
    """
    medium = report.medium
    last = [m.at.seconds for person in report.people for m in person.timeline if m.at.seconds is not None]
    return max([medium.frames / medium.fps if medium is not None and medium.fps else 0.0, *last])


def length(report: Report) -> Answer:
    """How long a film is, and at how many moments each person was judged.

    Args:
        report: That is spoken of.
    """
    medium = report.medium
    if not is_film(report) or medium is None:
        return Answer(f"The {of_medium('picture', is_film(report))} has no time: it is a photo.", intent="length")
    rate = "" if medium.fps is None else f" at {medium.fps:g} a second"
    parts = [f"The film lasts {clock(seconds_of(report), 1)}: {medium.frames:,} frames{rate}."]
    for number, person in enumerate(report.people, start=1):
        seconds = [m.at.seconds for m in person.timeline if m.fake is not None and m.at.seconds is not None]
        if seconds:
            between = span(seconds[0], seconds[-1], digits(seconds))
            parts.append(f"Person {number} was judged at {counted(seconds, 'moment')}: {between}.")
    return Answer(" ".join(parts), intent="length")


_SEEN = re.compile(
    r"\b(?:appears?|seen|visible|shown|on screen|enters?|leaves?|comes? in|in (?:the|this) (?!time ?line)\w+)\b\W*$"
)
_GAP = 3.0  # times the usual distance between two moments: a longer one is a time when somebody is not seen


def _usual_gap(seconds: Sequence[float]) -> float:
    """The usual distance between moments that were judged."""
    gaps = sorted(b - a for a, b in pairwise(seconds))
    return gaps[len(gaps) // 2] if gaps else 0.0


def _runs(seconds: Sequence[float]) -> str:
    """From when to when somebody is seen, in words, each stretch without a gap."""
    longest, fine = _GAP * _usual_gap(seconds), digits(seconds)
    runs = [[seconds[0], seconds[0]]]
    for second in seconds[1:]:
        if second - runs[-1][1] > longest:
            runs.append([second, second])
        runs[-1][1] = second
    return listed(
        f"from {span(first, last, fine)}" if first < last else f"at {clock(first, fine)}" for first, last in runs
    )


def seen(report: Report, start: float, end: float) -> tuple[int, ...]:
    """Who was judged at a moment or in a part of a film, or nearest to it: their numbers, from 0.

    Args:
        report: That is spoken of.
        start: In seconds.
        end: In seconds; `start` for a moment.
    """
    away = {}
    for number, person in enumerate(report.people):
        seconds = [moment.at.seconds or 0.0 for moment in _scored(person)]
        if seconds:
            distance = min(max(start - second, second - end, 0.0) for second in seconds)
            away[number] = distance, _usual_gap(seconds) / 2
    nearest = min((distance for distance, _ in away.values()), default=0.0)
    return tuple(number for number, (distance, near) in away.items() if distance <= nearest + near)


def when(report: Report, face: PersonReport, question: str = "") -> Answer:
    """When a person looks forged, and when most and least; or when somebody is seen, where that is asked.

    Args:
        report: That is spoken of.
        face: The person.
        question: As it was asked.
    """
    scored = _scored(face)
    if scored and question and _SEEN.search(question.lower()):
        seconds = [moment.at.seconds or 0.0 for moment in scored]
        return Answer(f"Seen and judged {_runs(seconds)}, at {counted(scored, 'moment')}.", None, intent="when")
    if not scored:
        missing = "Fewer than two moments of the film were judged: nothing is said of its course in time."
        return Answer(missing if is_film(report) else "The picture has no time: it is a photo.", None, intent="when")
    fine = digits([moment.at.seconds for moment in scored])
    threshold = face.verdict.thresholds
    parts = stretches(face.timeline, threshold[1]) if threshold else ()
    worst, least = _extremes(scored)
    peak = f"Its highest probability is {percent(worst.fake or 0.0)}, at {clock(worst.at.seconds or 0.0, fine)}, "
    peak += f"its lowest {percent(least.fake or 0.0)}, at {clock(least.at.seconds or 0.0, fine)}."
    if not parts:
        return Answer(f"No stretch of time looks forged by itself. {peak}", face.verdict.label, intent="when")
    times = listed(part.words for part in parts)
    of = percent(share(face.timeline, parts))
    text = f"It looks forged at {times}, {of} of the moments that were judged. {peak}"
    return Answer(text, face.verdict.label, face.findings, intent="when")


def spoken_of(face: PersonReport, question: str) -> tuple[float, float] | None:
    """The moment at which a face looks most forged, or least where that is asked: what is counted from next.

    Args:
        face: The person.
        question: That is answered.

    Returns:
        From and to, in seconds; None where fewer than two moments were judged.
    """
    scored = _scored(face)
    if not scored:
        return None
    worst, least = _extremes(scored)
    second = (
        least if re.search(r"\b(?:least|lowest|most (?:real|genuine|authentic))\b", question.lower()) else worst
    ).at
    return second.seconds or 0.0, second.seconds or 0.0


def when_at(face: PersonReport, names: Sequence[str]) -> Answer:
    """When a film's regions show signs.

    Args:
        face: The person.
        names: The regions that are asked about.
    """
    parts = []
    for name in names:
        here = {index for index, finding in enumerate(face.findings) if is_at(finding, name)}
        words = [sentence.text for sentence in face.explanation if here & set(sentence.findings)]
        parts.append(" ".join(words) or f"Nothing points to the {regions.title(name)} at any moment.")
    findings = tuple(f for f in face.findings if any(is_at(f, name) for name in names))
    return Answer(" ".join(dict.fromkeys(parts)), face.verdict.label, findings, tuple(names), "when")


def stepped(report: Report, face: PersonReport, second: float, number: float, unit: str) -> float | None:
    """The moment of a film that lies so far from another one.

    Args:
        report: That is spoken of.
        face: The person.
        second: The other moment.
        number: How many of `unit`; below 0 for back.
        unit: "second", "minute", "frame", or "moment", which is one that was judged.

    Returns:
        In seconds, below 0 where the film has not begun; None where it cannot be told.
    """
    if unit == "moment":
        judged = [moment.at.seconds or 0.0 for moment in _scored(face)]
        later, earlier = [s for s in judged if s > second + 1e-6], [s for s in judged[::-1] if s < second - 1e-6]
        there = later if number > 0 else earlier
        nth = max(1, round(abs(number)))
        return there[nth - 1] if len(there) >= nth else None
    if unit == "frame":
        rate = None if report.medium is None else report.medium.fps
        return second + number / rate if rate else None
    return second + number * {"second": 1.0, "minute": 60.0}[unit]


def in_time(
    report: Report, face: PersonReport, stretch: tuple[float, float] | None, names: Sequence[str], question: str
) -> Answer:
    """About a part of a film, or about the moments that a question names.

    Args:
        report: That is spoken of.
        face: The person.
        stretch: The part, in seconds; None for the moments.
        names: The regions that are asked about; none for the face.
        question: As it was asked.
    """
    ends = seconds_of(report)

    def absent(second: float) -> Answer:
        return Answer(f"The film ends at {clock(ends, 1)}: there is no {clock(second)} in it.", intent="when")

    if stretch is not None:
        return absent(stretch[0]) if stretch[0] > ends else _during(face, *stretch, names, question)
    seconds = times.moments_asked_for(question)
    parts = [absent(second) if second > ends else _at(face, second, names, question) for second in seconds]
    parts += [_at_frame(report, face, number, names, question) for number in times.frames_asked_for(question)]
    return Answer(" ".join(answer.text for answer in parts), *of_parts(parts), tuple(names), "when")


def _at_frame(report: Report, face: PersonReport, number: int, names: Sequence[str], question: str) -> Answer:
    """About a frame of a film, by its number from 0; -1 is the last."""
    frames = report.medium.frames if report.medium is not None else 0
    if number >= frames:
        text = f"The film has {counted(range(frames), 'frame')}, numbered from 0: there is no frame {number}."
        return Answer(text, intent="when")
    number = frames - 1 if number < 0 else number
    scored = _scored(face)
    if not scored:
        return _at(face, 0.0, names, question)
    near = min(scored, key=lambda moment: abs(moment.at.index - number))
    lead = f"Frame {number}: "
    if near.at.index != number:
        lead = f"Frame {number} was not judged; the nearest that was is frame {near.at.index}. "
    answer = _at(face, near.at.seconds or 0.0, names, question, alone=True)
    return replace(answer, text=f"{lead}{answer.text}")


def _at(face: PersonReport, second: float, names: Sequence[str], question: str, alone: bool = False) -> Answer:
    """What was seen at one moment of a film, of a person or of regions; `alone` not of the whole second it begins."""
    scored = _scored(face)
    if not scored:
        return Answer("No moment of this film was judged.", None, regions=tuple(names), intent="when")
    near = min(scored, key=lambda moment: abs((moment.at.seconds or 0.0) - second))
    at, p = near.at.seconds or 0.0, near.fake or 0.0
    fine = max(digits([moment.at.seconds for moment in scored]), digits([float(int(second)), second]))
    when = clock(at, fine)
    nearest_told = (
        f"{clock(second, fine)} was not judged; the nearest moment that was is {when}. "
        if abs(at - second) >= 1
        else ""
    )
    label = _label_at(face, p)
    within = [moment for moment in scored if second <= (moment.at.seconds or 0.0) < second + 1]
    if (
        not alone
        and second == int(second)
        and len({_label_at(face, moment.fake or 0.0) for moment in (near, *within)}) > 1
    ):
        return _during(face, second, second + 1, names, question)  # players show "0:01" for the whole second
    chance = f"At {when} the probability of forgery is {percent(p)}: {WORDS[label][0].lower()}."
    words, findings = _places_in_time(face, {near.at.index}, names, question, label, f"at {when}")
    return Answer(
        " ".join(part for part in (nearest_told.strip(), words, chance) if part), label, findings, tuple(names), "when"
    )


def _during(face: PersonReport, start: float, end: float, names: Sequence[str], question: str) -> Answer:
    """What was seen in a part of a film, of a person or of regions of the face."""
    scored = _scored(face)
    fine = max(
        digits([moment.at.seconds for moment in scored]), digits([float(int(start)), start, float(int(end)), end])
    )
    when = f"from {clock(start, fine)} to {clock(end, fine)}"
    inside = [moment for moment in scored if start <= (moment.at.seconds or 0.0) <= end]
    if not inside:
        return Answer(f"No moment {when} was judged.", None, regions=tuple(names), intent="when")
    chances = [moment.fake or 0.0 for moment in inside]
    low, high = percent(min(chances)), percent(max(chances))
    labels = [_label_at(face, p) for p in chances]
    label: Label = next((x for x in ("fake", "inconclusive", "real") if x in labels), "inconclusive")
    between = low if low == high else f"between {low} and {high}"
    chance = f"{capital(when)} the probability of forgery is {between}, at {counted(inside, 'moment')}: "
    chance += listed(
        f"{WORDS[x][0].lower()} at {labels.count(x):,}" for x in ("fake", "inconclusive", "real") if x in labels
    )
    words, findings = _places_in_time(face, {moment.at.index for moment in inside}, names, question, label, when)
    return Answer(" ".join(part for part in (words, f"{chance}.") if part), label, findings, tuple(names), "when")


def _scored(face: PersonReport) -> list[Moment]:
    return [moment for moment in face.timeline if moment.fake is not None and moment.at.seconds is not None]


def _extremes(scored: Sequence[Moment]) -> tuple[Moment, Moment]:
    """The moments with the highest and the lowest probability."""
    return max(scored, key=lambda moment: moment.fake or 0.0), min(scored, key=lambda moment: moment.fake or 0.0)


def _label_at(face: PersonReport, p: float) -> Label:
    """What the thresholds say of a moment's probability; nothing decides where the whole was not judged."""
    if face.verdict.thresholds is None or face.verdict.is_unjudged:
        return "inconclusive"
    return decide(p, *face.verdict.thresholds)


def _places_in_time(
    face: PersonReport, frames: set[int], names: Sequence[str], question: str, label: Label, when: str
) -> tuple[str, tuple[Finding, ...]]:
    """What points to regions of a face in some frames, in words, and the findings."""
    words, findings = [], []
    for name in names:
        here = [
            finding
            for finding in suspicions(face.verdict)
            if any(
                place.at is not None
                and place.at.index in frames
                and place.region is not None
                and (regions.within(place.region, name) or regions.within(name, place.region))
                for place in finding.places
            )
        ]
        findings += here
        claimed = label == "fake" and bool(here)
        lead = questions.yes_or_no(question, forged=claimed) if label != "inconclusive" or not here else ""
        if not here:
            words.append(f"{lead}Nothing points to the {regions.title(name)} {when}.")
        else:
            words.append(f"{lead}{graded(here[0])} {when}: {here[0].claim}")
    if label == "real" and findings:
        words.append("The face as a whole shows no sufficient sign at that moment, so this is a hint and no more.")
    return " ".join(words), tuple(dict.fromkeys(findings))
