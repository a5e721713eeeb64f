"""What forensic guidance asks of a report, as sections of facts and one table: for every format that people read.

A section is there where an examiner's `Case` stands in the report. What the program did (each step with its version,
settings, scope, finding and limits, the error rates, how to repeat it) is taken from the report itself, never from the
case file, and a step that found nothing says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from facewitness.case import NEITHER, level_for, mismatch
from facewitness.formats import provenance, worth
from facewitness.phrases import headline, is_film, known, listed, odds, places_of, someone, visible, word
from facewitness.types import Case, PersonReport, Report, Testimony, Verdict

METHOD_HEAD = ("method and version", "settings", "what it is made to tell", "what it found", "what it cannot show")


@dataclass(frozen=True, slots=True)
class Section:
    """One heading with what stands below it; all text is visible and in no markup."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    items: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()  # of METHOD_HEAD


def sections(report: Report) -> tuple[Section, ...]:
    """The sections of a report with a case; none without."""
    case = report.case
    if case is None:
        return ()
    return (
        Section("The case", tuple(_case(case)), tuple(map(visible, case.notes))),
        Section("The exhibit as received", tuple(_exhibit(case, report)), tuple(map(visible, case.exhibit.custody))),
        Section("The question", tuple(_question(case))),
        Section("Methods and findings", rows=tuple(_methods(report))),
        Section("Error rates on comparable material", items=tuple(_rates(case, report))),
        Section("Conclusion", tuple(_conclusion(case)), tuple(_support(report))),
    )


def _case(case: Case) -> Iterator[tuple[str, str]]:
    yield "reference", visible(case.reference)
    yield "examiner", visible(case.examiner)
    yield "reviewer", visible(case.reviewer) or "not reviewed yet"


def _exhibit(case: Case, report: Report) -> Iterator[tuple[str, str]]:
    exhibit = case.exhibit
    yield "exhibit", visible(exhibit.label)
    yield "from", visible(exhibit.source)
    yield "received", visible(exhibit.received)
    yield "dates", "; ".join(map(visible, exhibit.dates)) or "none are known"
    if exhibit.sha256 is None:
        yield "SHA-256 at receipt", "nobody took it"
    else:
        yield "SHA-256 at receipt", exhibit.sha256
        same = "the file that was analysed has the same"
        unknown = "the analysed file's is not known"
        yield "compared", mismatch(case, report.sha256) or (same if report.sha256 else unknown)
    yield "custody", "as follows" if exhibit.custody else "nobody wrote it down"


def _question(case: Case) -> Iterator[tuple[str, str]]:
    yield "asked", visible(case.question)
    for number, proposition in enumerate(case.propositions, start=1):
        yield f"proposition {number}", visible(proposition)


# ---------------------------------------------------------------------------------------------------------- methods


def _methods(report: Report) -> Iterator[tuple[str, ...]]:
    made = report.made_by
    libraries = made.get("libraries") if isinstance(made.get("libraries"), Mapping) else {}
    failed = {problem.step: visible(problem.message) for problem in report.problems}
    program = f"facewitness {visible(str(made.get('version', 'of unknown version')))}"
    with_ = listed(f"{visible(str(name))} {visible(str(version))}" for name, version in (libraries or {}).items())
    yield (
        f"Reading the file ({program}{f', with {with_}' if with_ else ''})",
        _settings(made.get("reading"), "limits as shipped"),
        "Decodes the file into upright pixels in sRGB, within limits of size, and tells what of it is missing.",
        failed.get("read") or " ".join(map(visible, report.notes)) or "Nothing had to be decided, nothing is missing.",
        "How the file came about before it was handed in.",
    )
    if report.status == "failed" and not report.people:
        return
    finder = made.get("finder")
    count = len(report.people)
    counted = "No face was found." if not count else "1 face was found." if count == 1 else f"{count} faces were found."
    yield (
        f"Finding faces: {_name(finder)}",
        _settings(finder, "none"),
        "Finds faces and their outlines; whatever comes after looks at these.",
        failed.get("find") or counted,
        "Faces that it does not find are not examined.",
    )
    witnesses = made.get("witnesses")
    for described in witnesses if isinstance(witnesses, list | tuple) else ():
        if isinstance(described, Mapping):
            yield _witness(described, report)
    yield (
        f"Judging ({program})",
        _settings({"thresholds": made.get("thresholds"), "profile": made.get("profile")}, "none"),
        "Turns the witnesses' scores into calibrated probabilities, and these into one of three answers by thresholds "
        "that were fixed before.",
        failed.get("judge") or f"{headline(report)[1]}{_chance(report.verdict)}.",
        "Whether this picture is like those that the calibration was measured on, and whether it is a photograph: hard "
        "outlines and few colours are told; paintings, statues, masks and pictures of a screen are not.",
    )
    for method in report.case.methods if report.case else ():
        yield tuple(
            visible(text) or "not stated"
            for text in (
                f"{method.name} ({method.version})" if method.version else method.name,
                method.settings,
                method.scope,
                method.finding,
                method.limits,
            )
        )


def _chance(verdict: Verdict | None) -> str:
    return "" if verdict is None or verdict.fake is None else f", {odds(verdict)}"


def _name(described: Any) -> str:
    return visible(str(described.get("name", "unknown"))) if isinstance(described, Mapping) else "unknown"


def _settings(described: Any, nothing: str) -> str:
    """What a part was told, and the hashes of its weights, cut to what can be compared by eye."""
    if not isinstance(described, Mapping):
        return nothing
    facts = [
        f"{visible(name)} {visible(f'{value[:12]}…' if len(value) == 64 else value)}"
        for name, value in provenance({k: v for k, v in described.items() if k not in ("name", "measured")})
        if value != "none"
    ]
    return "; ".join(facts) or nothing


def _witness(described: Mapping[str, Any], report: Report) -> tuple[str, ...]:
    name = str(described.get("name", ""))
    problems = [visible(p.message) for p in report.problems if p.step == "examine" and name in p.message]
    about = [testimony for testimony in report.inspections if testimony.witness == name]
    of_faces = [
        (number, testimony)
        for number, person in enumerate(report.people, start=1)
        for testimony in person.verdict.testimonies
        if testimony.witness == name
    ]
    sentences = [*problems, *(_of_file(testimony) for testimony in about)]
    who = someone(is_film(report)).capitalize()
    sentences += [f"{who} {n}: {_of_face(testimony, report.people[n - 1])}" for n, testimony in of_faces]
    return (
        f"Witness: {visible(name)}",
        _settings(described, "none"),
        " ".join(known(described, ("knows",)))
        or (
            "Reads what the file says of itself."
            if about and not of_faces
            else "Scores each face for traces of forgery."
        ),
        " ".join(sentences) or "Nothing was found.",
        " ".join(known(described, ("does_not_know",))) or "Nobody has measured what it does not see.",
    )


def _of_file(testimony: Testimony) -> str:
    claims = [visible(finding.claim) for finding in testimony.findings]
    return " ".join(claims) if claims else "Nothing was found in the file."


def _of_face(testimony: Testimony, person: PersonReport) -> str:
    score = "would not say" if testimony.fake is None else f"score {testimony.fake:.3f}"
    places = listed(dict.fromkeys(places_of(finding) for finding in testimony.findings or person.findings))
    return f"{score}, {f'places {places}' if places else 'no place named'}."


# -------------------------------------------------------------------------------------------- rates and conclusion


def _rates(case: Case, report: Report) -> Iterator[str]:
    yield from worth(report.made_by) or ("Nobody has measured error rates of the witnesses that were asked.",)
    yield (
        f"How far that material compares with the exhibit: {visible(case.comparable)}"
        if case.comparable
        else "How far that material compares with the exhibit, the examiner has not said."
    )


def _conclusion(case: Case) -> Iterator[tuple[str, str]]:
    end = case.conclusion
    if end is None:
        yield "conclusion", "The examiner has not concluded yet."
        return
    side = "" if end.favours is None else f" for proposition {end.favours + 1} over proposition {2 - end.favours}"
    yield "conclusion", f"{visible(end.level)}{side}"
    if end.favours is not None:
        yield f"proposition {end.favours + 1}", visible(case.propositions[end.favours])
    yield "grounds", visible(end.grounds)
    yield "scale", " < ".join(map(visible, end.scale))


def _support(report: Report) -> Iterator[str]:
    """What the measured error rates alone would support, a sentence a face."""
    who = someone(is_film(report)).capitalize()
    for number, person in enumerate(report.people, start=1):
        ratio = likelihood_ratio(person.verdict, report.made_by)
        if ratio is None:
            yield (
                f"{who} {number}: no likelihood ratio follows from the measured error rates for this answer "
                f"({word(person.verdict.label).lower()}{_chance(person.verdict)})."
            )
            continue
        low, middle, high = ratio
        forged = person.verdict.label == "fake"
        level = level_for(low)
        ends = ("forged", "genuine") if forged else ("genuine", "forged")
        what = level if level == NEITHER else f"{level} for a {ends[0]} face over a {ends[1]} one"
        yield (
            f"{who} {number}: of the held-out faces, {ends[0]} ones got this answer {_times(middle)} times as often as "
            f"{ends[1]} ones (95 % interval {_times(low)} to {_times(high)}). Were the exhibit like those faces, that "
            f"alone would be {what}, by the interval's lower end."
        )
    yield (
        "The levels are those of the ENFSI guideline for evaluative reporting (2015). How far the exhibit is like the "
        "faces that were measured, no program can say: the conclusion is the examiner's."
    )


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"


def likelihood_ratio(verdict: Verdict, made_by: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """How much more often faces of one kind got this answer than those of the other: low, middle, high (95 %).

    By the held-out faces that were counted when the thresholds were fixed. The interval is Katz's for a ratio of two
    shares, with half a face added to each count. For "fake" it is forged over genuine, for "real" genuine over forged.

    Returns:
        None where something else decided, several witnesses have counts, or nobody has.
    """
    witnesses = made_by.get("witnesses")
    counted = [
        rates
        for described in (witnesses if isinstance(witnesses, list | tuple) else ())
        if isinstance(described, Mapping)
        and isinstance(measured := described.get("measured"), Mapping)
        and isinstance(rates := measured.get("rates"), Mapping)
    ]
    if verdict.cause is not None or verdict.label == "inconclusive" or len(counted) != 1 or made_by.get("profile"):
        return None
    kinds = ("fakes", "genuine") if verdict.label == "fake" else ("genuine", "fakes")
    counts = []
    for kind in kinds:
        n, share = counted[0].get(kind), counted[0].get(f"{kind}_called_{verdict.label}")
        if not isinstance(n, int) or n < 1 or not isinstance(share, int | float) or not 0 <= share <= 1:
            return None
        counts.append((share * n + 0.5, n + 1.0))
    (k1, n1), (k2, n2) = counts
    middle = (k1 / n1) / (k2 / n2)
    spread = math.exp(1.959964 * math.sqrt(1 / k1 - 1 / n1 + 1 / k2 - 1 / n2))
    return middle / spread, middle, middle * spread
