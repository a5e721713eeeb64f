"""What a page shows of a report: people, places, moments and sentences, as plain values for the templates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from facewitness import phrases
from facewitness.dialogue import Dialogue
from facewitness.explain import graded, rests_on, suspicions
from facewitness.formats import cases, fits, lines, stands, why_it_won, worth
from facewitness.overtime import clock
from facewitness.phrases import visible
from facewitness.types import Box, Finding, FrameRef, PersonReport, Report, Testimony

MOMENTS = 400  # bars of a timeline


@dataclass(frozen=True, slots=True)
class PlaceView:
    """A finding's place on the frame that is shown."""

    id: str
    number: str
    claim: str
    strength: str
    box: Box
    region: str
    person: int


@dataclass(frozen=True, slots=True)
class PersonView:
    """One person."""

    number: int
    label: str
    answer: str
    chance: str
    places_named: str
    box: Box | None
    mask: int | None  # its number in the report's table of masks
    mask_box: Box | None
    sentences: tuple[tuple[str, str], ...]  # ids of the places with spaces between, text
    speaks_for: tuple[tuple[str, str], ...]
    speaks_against: tuple[str, ...]
    undecided: tuple[str, ...]  # why there is no decision; speaks for neither side
    is_unjudged: bool
    moments: tuple[dict[str, Any], ...]
    thresholds: tuple[float, float] | None  # of the verdict, for the moments' colours
    path: tuple[tuple[float, ...], ...]  # of a film: seconds and box of each moment where the face was seen
    witnesses: tuple[WitnessView, ...]


@dataclass(frozen=True, slots=True)
class WitnessView:
    """What one witness says of one person, or of the file."""

    name: str
    score: str
    words: tuple[str, ...]  # lines that it stands by, in its own words
    notes: tuple[str, ...]  # whether its words, its mask and what was measured agree
    refusals: tuple[str, ...]
    findings: tuple[str, ...]
    cases: tuple[tuple[str, tuple[str, ...], str, bool], ...]  # side, lines, how it fits, whether it stands
    why: str
    problem: str


@dataclass(frozen=True, slots=True)
class ReportView:
    """A whole report."""

    label: str
    headline: str
    meaning: str
    chance: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    width: int
    height: int
    frame: int | None  # number of the film's frame that is shown
    film: bool
    someone: str  # what its people are called, one and all
    everyone: str
    people: tuple[PersonView, ...]
    places: tuple[PlaceView, ...]
    provenance: tuple[str, ...]
    worth: tuple[str, ...]
    next: str
    facts: tuple[tuple[str, str], ...]  # of the file


def of(report: Report, masks: Sequence[int | None]) -> ReportView:
    """A report as a page shows it.

    Args:
        report: as it was read from its line.
        masks: of each person the mask's number in the report's table, where there is one.
    """
    label, large, meaning = phrases.headline(report)
    film = phrases.is_film(report)
    shown = report.people[0].face.at if report.people else None
    people, places = [], []
    for number, person in enumerate(report.people, start=1):
        own = list(_places(number, person, shown))
        places += own
        people.append(_person(number, person, shown, masks[number - 1]))
    medium = report.medium
    return ReportView(
        label=label, headline=large, meaning=meaning,
        chance="" if report.verdict is None or (report.verdict.fake is None and not report.verdict.is_unjudged)
        else phrases.odds(report.verdict),
        reasons=tuple(map(visible, report.verdict.reasons if report.verdict else ())),
        notes=tuple(map(visible, report.notes)),
        problems=tuple(visible(problem.message) for problem in report.problems),
        width=medium.width if medium else 0, height=medium.height if medium else 0,
        frame=shown.index if film and shown is not None else None, film=film,
        someone=phrases.someone(film).capitalize(), everyone=phrases.someone(film, 2).capitalize(),
        people=tuple(people), places=tuple(places),
        provenance=tuple(
            visible(finding.claim) for inspection in report.inspections for finding in inspection.findings
        ),
        worth=tuple(map(visible, worth(report.made_by))),
        next=visible(Dialogue(report).ask("What should I do next?").text),
        facts=tuple(_facts(report)),
    )  # fmt: skip


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    medium = report.medium
    if medium is not None:
        yield "pixels", f"{medium.width:,} × {medium.height:,}"
        if medium.seconds is not None:
            yield "length", f"{clock(medium.seconds)}, {medium.frames:,} frames, {medium.fps:.4g} a second"
    if report.sha256 is not None:
        yield "sha256", report.sha256


def _person(number: int, person: PersonReport, shown: FrameRef | None, table_number: int | None) -> PersonView:
    on_frame = next((face for face in person.track.faces if face.at == shown), None)
    mask = person.mask if on_frame is not None and person.face.at == shown else None
    return PersonView(
        number=number, label=person.verdict.label, answer=phrases.word(person.verdict.label),
        chance=phrases.odds(person.verdict),
        places_named=", ".join(map(phrases.places_of, person.findings)),
        box=None if on_frame is None else on_frame.box,
        mask=None if mask is None else table_number, mask_box=None if mask is None else mask.box,
        sentences=tuple(
            (" ".join(_id(number, i) for i in sentence.findings), visible(sentence.text))
            for sentence in person.explanation
        ),
        speaks_for=tuple(_for(number, person)), speaks_against=tuple(_against(person)),
        undecided=tuple(_undecided(person)),
        is_unjudged=person.verdict.is_unjudged,
        moments=tuple(
            {
                "index": moment.at.index, "seconds": round(moment.at.seconds or 0.0, 3),
                "time": clock(moment.at.seconds or 0.0),
                "fake": moment.fake, "chance": phrases.chance(moment.fake),
            }
            for moment in person.timeline[:: max(1, len(person.timeline) // MOMENTS)]
        ),
        thresholds=person.verdict.thresholds, path=tuple(_path(person)),
        witnesses=tuple(map(_witness, person.verdict.testimonies)),
    )  # fmt: skip


def _path(person: PersonReport) -> Iterator[tuple[float, ...]]:
    """Where a face was over time, to a hundredth of a second and half a pixel."""
    for face in person.track.faces[:: max(1, len(person.track.faces) // MOMENTS)]:
        if face.at.seconds is not None:
            yield (round(face.at.seconds, 2), *(round(2 * value) / 2 for value in face.box))


def _witness(testimony: Testimony) -> WitnessView:
    reply = testimony.reply
    sides = cases(testimony)
    return WitnessView(
        name=visible(testimony.witness),
        score="" if testimony.fake is None else f"{testimony.fake:.3f}",
        words=() if reply is None or sides else lines(reply.text),
        notes=() if reply is None or sides else tuple(map(visible, reply.notes)),
        refusals=() if reply is None else tuple(map(visible, reply.refusals or ())),
        findings=tuple(map(_measured, sorted(testimony.findings, key=lambda finding: not rests_on(finding)))),
        cases=tuple(
            (side, lines(case.text), fits(side, case), case.label == side and stands(testimony, case))
            for side, case in sides
        ),
        why=why_it_won(testimony) if sides else "",
        problem=visible(testimony.problem),
    )


def _id(number: int, index: int) -> str:
    return f"p{number}f{index}"


def _places(number: int, person: PersonReport, shown: FrameRef | None) -> Iterator[PlaceView]:
    for index, finding in enumerate(person.findings):
        for place in finding.places:
            if place.at is None or place.at == shown:
                yield PlaceView(
                    _id(number, index), chr(ord("A") + index % 26), visible(finding.claim),
                    phrases.strength_in_words(finding.strength), place.box, place.region or "", number - 1,
                )  # fmt: skip
                break


def _for(number: int, person: PersonReport) -> Iterator[tuple[str, str]]:
    """What was found, without what the score does not rest on, and what was said under the hypothesis of a forgery."""
    claimed = {id(finding): index for index, finding in enumerate(person.findings)}
    regions = {finding.region: index for index, finding in enumerate(person.findings)}
    suspected = suspicions(person.verdict)  # strongest first; what the score rests on before what nobody tried
    for finding in sorted(filter(rests_on, suspected), key=lambda finding: finding.moves is None):
        index = claimed.get(id(finding), regions.get(finding.region))
        yield ("" if index is None else _id(number, index)), _measured(finding)
    yield from (("", text) for text in _hypothetical(person, "fake"))


def _measured(finding: Finding) -> str:
    """A finding with its strength, and where that was tried whether the score rests on its place."""
    if finding.moves is None:
        rest = ""
    elif rests_on(finding):
        rest = " The score rests on it: painted over, it lowers the score more than another place."
    else:
        rest = " The score does not rest on it."
    return f"{graded(finding)}: {visible(finding.claim)}{rest}"


def _against(person: PersonReport) -> Iterator[str]:
    """Why it may be genuine all the same."""
    verdict = person.verdict
    if verdict.label == "real":
        yield phrases.WORDS["real"][1]
    if verdict.label != "inconclusive":  # there they are why it is undecided
        for reason in (*verdict.reasons, *person.face.quality.reasons):
            if verdict.label != "fake" or reason not in verdict.reasons:
                yield visible(reason)
    idle = [finding for finding in suspicions(verdict) if not rests_on(finding)]
    if idle:  # one sentence: a strong sign by itself would not be read as speaking against anything
        places = phrases.listed(f"the {phrases.places_of(finding)}" for finding in idle)
        yield f"The score does not rest on what is marked at {places}: painted over, they lower it no more than others."
    if verdict.label != "real":
        yield _LIMITS
    yield from _hypothetical(person, "real")


def _undecided(person: PersonReport) -> Iterator[str]:
    """Why an undecided or unjudged face is that: neither for a forgery nor against one."""
    if person.verdict.label == "inconclusive":
        yield from map(visible, dict.fromkeys((*person.verdict.reasons, *person.face.quality.reasons)))


_LIMITS = "Heavy compression, retouching and filters can leave traces that look like forgery."


def _hypothetical(person: PersonReport, hypothesis: str) -> Iterator[str]:
    for testimony in person.verdict.testimonies:
        for reply in () if cases(testimony) else testimony.considered:  # both sides' cases stand beside each other
            if reply.hypothesis == hypothesis:
                match = "" if reply.match is None else f" (match {phrases.percent(reply.match)})"
                yield f"{testimony.witness}: {' '.join(lines(reply.text))}{match}"
