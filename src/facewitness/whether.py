"""Whether a person's face is forged, why, how sure that is, how it was made, what speaks for either side: in answers.

    ANSWERS["sure"](Whom(report, 0), "How sure are you?")  →  Answer("The face: 7 % fake …", "real", intent="sure")

Each answer is a fixed sentence filled from the report. `dialogue` reads what is asked for, and of whom; `where` answers
about regions of the face, `moments` about a film in time, `advice` about what a report means.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from facewitness import questions, regions, where
from facewitness.answers import Answer, counted, covers, in_words, lower, regions_of, titled
from facewitness.explain import NO_PROOF
from facewitness.formats import argument, cases, fits, why_it_won
from facewitness.phrases import (
    KIND_WORDS,
    WORDS,
    at,
    error_rates,
    is_film,
    known,
    limits_of,
    listed,
    odds,
    of_medium,
    percent,
    places_of,
    prior_of,
    someone,
    stands_on,
    visible,
)
from facewitness.phrases import capital as _capital
from facewitness.types import Label, PersonReport, Report
from facewitness.words import normal

CLAIMS = 8  # statements of a file that an answer repeats
AS_SEEN = {"": "", "Yes. ": "As far as can be seen, yes. ", "No. ": "Not as far as can be seen. "}
KINDS_KNOWN = ("knows", "does_not_know")  # the sentences of a witness's card that say which forgeries it knows
_RATES = ((0.5, "half of all faces are"), (0.1, "1 in 10 is"), (0.01, "1 in 100 is"))  # what _rate tells unasked
_LIKELY = re.compile(r"\b(?:likely|probable|probability|chances?|odds|likelihood|per ?cent)\b")
_GUESS = re.compile(r"\b(?:guess|gut feeling|hunch|bet|choose|pick|forced)\b")
_OF_PARTS = re.compile(
    r"\b(?:put into|composite|changed since|cut or turned|edited|saved as JPEG at least twice|screenshot)\b"
)
_OF_MAKING = re.compile(r"\b(?:[Gg]enerat\w+|AI|[Aa]lgorithm\w*|[Ss]ynthe\w+|compos\w+)\b")
_OF_EDITS = re.compile(rf"{_OF_PARTS.pattern}|\bedits\b|\bgenerat\w+")


@dataclass(frozen=True, slots=True)
class Whom:
    """The person of a report that an answer is about."""

    report: Report
    number: int  # from 0

    @property
    def person(self) -> PersonReport:
        """What the report says of them."""
        return self.report.people[self.number]

    @property
    def is_film(self) -> bool:
        """Whether the report is of a film."""
        return is_film(self.report)

    @property
    def medium(self) -> str:
        """The file in a word: picture or film."""
        return of_medium("picture", self.is_film)

    @property
    def name(self) -> str:
        """Who that is, as a sentence begins."""
        n = len(self.report.people)
        return "The face" if n == 1 else f"{someone(self.is_film).capitalize()} {self.number + 1} of {n}"


def verdict(whom: Whom, question: str) -> Answer:
    """The verdict on a person, to a question that may expect a yes or a no.

    Args:
        whom: Of whom.
        question: What was asked.
    """
    face = whom.person
    label, which = face.verdict.label, whom.name
    chances = odds(face.verdict)
    match label:
        case "fake":
            begin = excluded(question, label) or questions.yes_or_no(question, forged=True)
            answer = f"{begin}{which} is judged fake: {chances}."
        case "real":
            begin = excluded(question, label) or AS_SEEN[questions.yes_or_no(question, forged=False)]
            proof = of_medium(NO_PROOF, whom.is_film)
            answer = f"{begin}{which} shows no sign of forgery: {chances}. {proof}"
        case _:
            answer = f"That cannot be decided. {which} is inconclusive: {chances}."
    reasons = " ".join(face.verdict.reasons) if label == "inconclusive" else ""
    return Answer(
        f"{f'{answer} {reasons}'.strip()}{edits(whom.report, question)}", label, face.findings, intent="verdict"
    )


def excluded(question: str, label: Label) -> str:
    """What begins the answer to "Could it be real after all?" of what was judged fake, and the other way about.

    Args:
        question: What was asked.
        label: The verdict.
    """
    possible = questions.possible(question) and label not in questions.labels_named(question)
    return "That cannot be excluded: any verdict can be wrong. " if possible else ""


def which_verdict(whom: Whom, question: str, of_all: bool) -> Answer:
    """Which verdict was given, to "is the verdict fake?": of the picture, where nobody was spoken of.

    Args:
        whom: Of whom.
        question: What was asked.
        of_all: That nobody was spoken of.
    """
    face = whom.person
    whole = whom.report.verdict if of_all else None
    verdict = whole or face.verdict
    asked = questions.labels_named(question)
    lead = ("Yes: " if asked[0] == verdict.label else "No: ") if len(asked) == 1 else ""
    if re.search(r"\b(?:not|n't|isn't|no)\b", normal(question)):
        lead = ""
    of = f"the {whom.medium}" if whole is not None else whom.name.lower()
    chances = "" if whole is not None and len(whom.report.people) > 1 else f", {odds(verdict)}"
    text = f"{lead}the verdict on {of} is “{WORDS[verdict.label][0].lower()}”{chances}."
    proof = of_medium(NO_PROOF, whom.is_film) if verdict.label == "real" else ""
    return Answer(
        " ".join(part for part in (_capital(text), *verdict.reasons, proof) if part),
        verdict.label,
        intent="verdict",
    )


def _sure(whom: Whom, question: str) -> Answer:
    face = whom.person
    verdict = face.verdict
    guess = "I do not guess: what was measured is all that I have. " if _GUESS.search(normal(question)) else ""
    text = f"{guess}{whom.name}: {odds(verdict)}."
    known_chance = verdict.fake is not None and not verdict.is_unjudged
    if known_chance and _LIKELY.search(normal(question)) and questions.labels_named(question) == ("real",):
        text += f" That leaves {percent(1 - (verdict.fake or 0.0))} for genuine."
    if verdict.interval is not None:
        text += " The range is the 95 % interval of that probability."
    if (limits := limits_of(verdict)) is not None:
        low, high = limits
        text += f" Below {low} there is no sign of forgery, from {high} on it is fake, and inconclusive in between."
    if verdict.cause == "contradiction":  # then the thresholds alone do not say why it is not decided
        text = " ".join((text, *verdict.reasons))
    return Answer(text, verdict.label, intent="sure")


def _rate(whom: Whom, question: str) -> Answer:
    """What the probability comes to where another share of faces is forged than among those of the fit."""
    face = whom.person
    verdict = face.verdict
    gave = {t.witness for t in verdict.testimonies if t.fake is not None}
    priors = [prior_of(one) for one in described(whom.report) if one.get("name") in gave]
    known = [prior for prior in priors if prior is not None]
    if verdict.fake is None or verdict.is_unjudged:
        text = f"{whom.name}: {odds(verdict)}. There is no probability that another share could change."
    elif not known or len(known) < len(priors):
        text = f"{whom.name}: {odds(verdict)}. For which share of forged faces that holds is not in this report."
    else:  # several witnesses are weighed by the mean of their log-odds, and so is what they stand on
        prior = 1 / (1 + math.prod((1 - each) / each for each in known) ** (1 / len(known)))
        asked = questions.rate(question)
        there = [
            f"{percent(at(verdict.fake, prior, rate))} where {share} forged"
            for rate, share in ([asked] if asked else _RATES)
        ]
        text = (
            f"{whom.name}: {odds(verdict)}. {stands_on(prior)} The same evidence makes it {listed(there)}. The "
            "verdict stays: its thresholds were chosen by error rates, which do not depend on that share."
        )
    return Answer(text, verdict.label, intent="rate")


def _places(whom: Whom, question: str) -> Answer:
    face = whom.person
    if not face.findings:
        return Answer(_sentences(face), face.verdict.label, intent="where")
    places = _capital(listed(map(places_of, face.findings)))
    lead = "Hints, not proof: " if face.verdict.label == "inconclusive" else ""
    return Answer(f"{lead}{places}. {_sentences(face)}", face.verdict.label, face.findings, intent="where")


def _why(whom: Whom, question: str) -> Answer:
    face = whom.person
    lead, label = "", face.verdict.label
    if (why := _why_what(question)) is not None and why != label:
        is_it = "is judged that" if label in questions.labels_named(question) else "is not judged that"
        lead = f"{whom.name} {is_it}: {WORDS[label][0].lower()}, {odds(face.verdict)}."
        if label == "real" and label in questions.labels_named(question):
            lead = "No examination can show that a picture is genuine, so it is not called that."
    text = " ".join(part for part in (lead, *face.verdict.reasons, _sentences(face)) if part)
    return Answer(text, face.verdict.label, face.findings, intent="why")


def _signs(whom: Whom, question: str) -> Answer:
    """The signs, strongest first, or the strongest or weakest of them."""
    face = whom.person
    signs = sorted(face.findings, key=lambda f: f.rank, reverse=True)
    if not signs:
        return replace(_places(whom, question), intent="signs")
    n = len(signs)
    plain = normal(question)
    most = re.search(r"\b(?:most|worst|main|best|biggest|(?:strong|larg|clear)est)\b", plain)
    least = re.search(r"\b(?:least|weakest|smallest)\b", plain)
    if (most or least) and n > 1:
        one = signs[0 if most else -1]
        text = f"The {'strongest' if most else 'weakest'} of {n}, at the {places_of(one)}: {lower(in_words(one))}"
    else:
        count = "One sign was found" if n == 1 else f"{n} signs were found"
        text = f"{count}. {' '.join(map(in_words, signs))}"
    hints = ""
    if face.verdict.label == "inconclusive":
        hints = f" {'That is a hint' if n == 1 else 'They are hints'}, not proof: the face is inconclusive."
    return Answer(f"{text}{hints}", face.verdict.label, tuple(signs), intent="signs")


def _clean(whom: Whom, question: str) -> Answer:
    """Where nothing was found."""
    face = whom.person
    named = regions_of(where.suspected(face))
    quiet = [name for name in regions.MARE if name not in face.face.unseen and not covers(named, name)]
    if _is_unmeasured(face):
        text = "Nothing was measured, so nothing is known of any place."
    elif "face" in named:
        text = "None can be named: the signs belong to the face as a whole."
    elif not quiet:
        text = "None: signs were found everywhere."
    else:
        text = f"No sign was found at: {listed(map(regions.title, quiet))}. That does not prove them genuine."
        text += f" Signs were found at: {listed(titled(name) for name in sorted(named))}." if named else ""
    return Answer(text, face.verdict.label, intent="clean")


def _extent(whom: Whom, question: str) -> Answer:
    """How much of the face is marked: that does not say how much was changed."""
    face = whom.person
    verdict = face.verdict
    text = f"{whom.name}: {WORDS[verdict.label][0].lower()}, {odds(verdict)}."
    covered = None if verdict.label == "real" else where.covered_of(face, "face", where.masked_of(face))
    if covered is not None:
        text += f" The mask covers {percent(covered)} of the face."
    if face.findings:
        text += f" The signs are at: {listed(map(places_of, face.findings))}."
    return Answer(f"{text} How much was changed was not measured.", verdict.label, face.findings, intent="extent")


def _witnesses(whom: Whom, question: str) -> Answer:
    """What each witness gave for this face, and which looked at the file."""
    face = whom.person
    gave = [
        f"{visible(t.witness)}: {'no score' if t.fake is None else f'{percent(t.fake)} fake'}, "
        f"{counted(t.findings, 'sign')}"
        for t in face.verdict.testimonies
    ]
    text = f"{whom.name}: {'; '.join(gave)}." if gave else "No witness spoke of this face."
    of_file = [f"{visible(t.witness)} ({counted(t.findings, 'statement')})" for t in whom.report.inspections]
    if of_file:
        text += f" Of the file as a whole: {listed(of_file)}."
    stands = f"The verdict: {WORDS[face.verdict.label][0].lower()}, {odds(face.verdict)}."
    return Answer(" ".join((text, stands, *face.verdict.reasons)), face.verdict.label, intent="witnesses")


def _anything_else(whom: Whom, question: str) -> Answer:
    """Whether something else than a forgery left a sign: that was not told apart."""
    face = whom.person
    text = f"{whom.name}: {WORDS[face.verdict.label][0].lower()}, {odds(face.verdict)}."
    if face.verdict.label == "real":
        text += " No sign was found that would need a cause. Compression and filters can also hide signs."
    else:
        text += (
            " What else may have left a sign, such as a filter, make-up, light or compression, was not told apart "
            "from a forgery. How often genuine faces are called fake was measured: ask “How often are you wrong?”."
        )
    return Answer(f"{text}{_shares(face)}", face.verdict.label, intent="else")


def _what_if(whom: Whom, question: str) -> Answer:
    """What another file would give is known when it is analysed."""
    face = whom.person
    text = (
        "I speak of the file that was analysed. What another one would give, or this one changed, its own analysis "
        "tells; the unedited original is the best to analyse."
    )
    return Answer(f"{text} {_stands(whom)}", face.verdict.label, intent="what_if")


def because(whom: Whom, names: Sequence[str]) -> Answer:
    """Why a region was answered about as it was: who pointed at it, how strongly, and what decided the face.

    Args:
        whom: Whose face.
        names: Of regions.
    """
    face = whom.person
    answer = where.about_regions(face, names, "")
    sentences = [where.who_points(face, name) for name in names]
    reasons = " ".join(face.verdict.reasons)
    lead = f"The face as a whole: {WORDS[face.verdict.label][0].lower()}, {odds(face.verdict)}."
    return replace(answer, text=" ".join(part for part in (*sentences, lead, reasons) if part))


def _kind(whom: Whom, question: str) -> Answer:
    face = whom.person
    if face.verdict.label != "fake":
        return Answer(
            f"{whom.name} is not judged fake ({WORDS[face.verdict.label][0].lower()}), so no way of forging is "
            f"claimed.{_shares(face)}", face.verdict.label, intent="kind",
        )  # fmt: skip
    if face.kind is None:
        return Answer("No witness could tell the way of forging.", "fake", intent="kind")
    ranked = sorted(((p, name) for name, p in face.kind.items() if name != "pristine"), reverse=True)
    kinds = ", ".join(f"{KIND_WORDS[name]} {percent(p)}" for p, name in ranked)
    return Answer(f"Most like: {KIND_WORDS[ranked[0][1]]}. The witnesses' shares: {kinds}.", "fake", intent="kind")


def _made(whom: Whom, question: str) -> Answer:
    """Whether it was generated: the verdict, the kinds, and what the witnesses know of generators."""
    face = whom.person
    label = face.verdict.label
    first = f"{whom.name}: {WORDS[label][0].lower()}, {odds(face.verdict)}."
    first += "" if said_by_the_file(whom.report) else of_file(whom.report, _OF_MAKING)
    return Answer(f"{first}{_shares(face)} {known_kinds(whom.report)}".strip(), label, face.findings, intent="made")


def _tool(whom: Whom, question: str) -> Answer:
    face = whom.person
    answer = "Which program made or changed a picture is not told by looking at faces."
    signed = [finding.claim for finding in whom.report.findings]
    if signed:
        answer += f" Of the file itself: {' '.join(signed)}"
    return Answer(f"{answer}{_shares(face)} {known_kinds(whom.report)}".strip(), None, intent="tool")


def _wrong(whom: Whom, question: str) -> Answer:
    face = whom.person
    rates = [
        sentence
        for one in described(whom.report)
        for sentence in (
            *error_rates(visible(str(one.get("name", ""))), one),
            *known(one, ("no_sign",)),
        )
    ]
    text = " ".join(rates) or "The error rates of these witnesses were not measured, or do not stand in this report."
    stands = ""
    if questions.of_verdict(question) or re.match(r"(?:could|can|might|may|are) you\b", normal(question)):
        stands = f"{whom.name}: {WORDS[face.verdict.label][0].lower()}. Such a verdict can be wrong."
    proof = "" if face.verdict.label == "fake" else of_medium(NO_PROOF, whom.is_film)
    parts = (stands, text, known_kinds(whom.report), proof)
    return Answer(" ".join(part for part in parts if part), face.verdict.label, intent="wrong")


def quality(whom: Whom, question: str) -> Answer:
    """How good a face is as evidence.

    Args:
        whom: Of whom.
        question: What was asked.
    """
    face = whom.person
    quality = face.face.quality
    if quality.score is None:
        return Answer("The finder did not measure how good the face is as evidence.", None, intent="quality")
    why = f" Lowered because: {'; '.join(quality.reasons)}." if quality.reasons else ""
    size = "" if quality.size is None else f" It is {quality.size:.0f} pixels large."
    text = f"As evidence the face is worth {percent(quality.score)} of a good one.{size}{why.replace('..', '.')}"
    return Answer(text, None, intent="quality")


def _suppose_fake(whom: Whom, question: str) -> Answer:
    face = whom.person
    signs = () if _is_unmeasured(face) else where.suspected(face)
    if _is_unmeasured(face):
        answer = "Nothing was measured that could speak for it."
    elif not signs:
        answer = "Nothing was found that would speak for it: no witness names a place."
    else:
        answer = "What would speak for it: " + " ".join(in_words(f) for f in signs)
    return Answer(f"{answer} {_stands(whom)}", face.verdict.label, signs, intent="suppose_fake")


def _suppose_real(whom: Whom, question: str) -> Answer:
    face = whom.person
    named = regions_of(where.suspected(face))
    quiet = [r for r in regions.MARE if r not in named and r not in face.face.unseen and not covers(named, r)]
    if _is_unmeasured(face):
        answer = "Nothing was measured that could speak for it."
    elif quiet:
        answer = f"What would speak for it: no sign at the {listed(regions.title(r) for r in quiet)}."
    else:
        answer = "Nothing speaks for it: signs were found everywhere."
    if named:
        answer += f" Against it: signs at the {listed(titled(r) for r in sorted(named))}."
    return Answer(f"{answer} {_stands(whom)}", face.verdict.label, intent="suppose_real")


def both(whom: Whom, side: str | None, intent: str | None = None) -> Answer:
    """Both sides, also where one was to be proved (`side`): what was weighed for each, and which stands.

    Args:
        whom: Of whom.
        side: The side that was to be proved, if one was.
        intent: What the answer is called; None after the side.
    """
    face = whom.person
    parts = []
    if side is not None:
        word = {"real": "genuine", "fake": "forged"}[side]
        parts.append(f"The question takes for granted that this is {word}; both sides were weighed instead.")
    weighed = [testimony for testimony in face.verdict.testimonies if cases(testimony)]
    for testimony in weighed:
        parts += [
            f"For “{name}”, by {visible(testimony.witness)} ({fits(name, reply)}): {visible(argument(reply))}"
            for name, reply in cases(testimony)
        ]
        parts.append(why_it_won(testimony))
    signs = () if _is_unmeasured(face) else where.suspected(face)
    if not weighed:
        named = regions_of(signs)
        unseen = face.face.unseen
        quiet = [name for name in regions.MARE if not (name in named or name in unseen or covers(named, name))]
        parts.append("For “fake”: " + (" ".join(in_words(f) for f in signs) or "nothing that was measured."))
        calm = f"no sign at the {listed(regions.title(name) for name in quiet)}" if quiet else "nothing"
        parts.append(f"For “real”: {calm if not _is_unmeasured(face) else 'nothing that was measured'}.")
    text = f"{' '.join(parts)} {_stands(whom)}"
    return Answer(text, face.verdict.label, signs, intent=intent or f"suppose_{side}")


def _stands(whom: Whom) -> str:
    face = whom.person
    chances = odds(face.verdict)
    return f"A supposition changes nothing of the verdict: {WORDS[face.verdict.label][0].lower()}, {chances}."


def edits(report: Report, question: str) -> str:
    """What the file says of programs that edit or generate, with a space before, where edits are asked about.

    Args:
        report: Of the file.
        question: What was asked.
    """
    return of_file(report, _OF_EDITS) if questions.of_edits(question) else ""


def of_file(report: Report, what: re.Pattern[str] | None = None) -> str:
    """What the file says of its parts and of changes, or of something else, with a space before; mostly nothing.

    Args:
        report: Of the file.
        what: What claims speak of; None for parts and changes.
    """
    claims = [finding.claim for finding in report.findings if (what or _OF_PARTS).search(finding.claim)]
    return f" Of the file itself: {' '.join(claims[:CLAIMS])}" if claims else ""


def known_kinds(report: Report) -> str:
    """What the witnesses know and do not know.

    Args:
        report: Whose witnesses.
    """
    return " ".join(sentence for one in described(report) for sentence in known(one, KINDS_KNOWN))


def said_by_the_file(report: Report) -> str:
    """That the file decides, and no face: why the report says fake though no face is judged so; else nothing.

    Args:
        report: Of the file.
    """
    verdict = report.verdict
    if verdict is None or verdict.label != "fake" or any(p.verdict.label == "fake" for p in report.people):
        return ""
    claims = " ".join(finding.claim for finding in report.findings if finding.claim in verdict.reasons)
    medium = of_medium("picture", is_film(report))
    return f"The {medium} is judged fake: the file itself says that it was generated. {claims}".strip()


def described(report: Report) -> tuple[Mapping[str, Any], ...]:
    """How the witnesses of a report describe themselves in its `made_by`.

    Args:
        report: Whose witnesses.
    """
    witnesses = report.made_by.get("witnesses")
    return tuple(w for w in witnesses if isinstance(w, Mapping)) if isinstance(witnesses, list | tuple) else ()


def _is_unmeasured(face: PersonReport) -> bool:
    """Whether there is no probability, or none that holds: then no sign is told, and no strength."""
    return face.verdict.fake is None or face.verdict.is_unjudged


def _shares(face: PersonReport) -> str:
    """The witnesses' shares of the kinds, with a space before; empty where nobody gave them, or they do not hold."""
    if face.kind is None or face.verdict.is_unjudged:
        return ""
    shares = ", ".join(f"{KIND_WORDS[name]} {percent(p)}" for name, p in face.kind.items())
    return f" The witnesses' shares for how it was made, which decide nothing: {shares}."


def _why_what(question: str) -> Label | None:
    """Which verdict a "why" takes for granted: "Why is it inconclusive?", "Why not fake?"; None where it names none."""
    named = questions.labels_named(question)
    if named == ("inconclusive",) or (len(named) == 2 and named[0] != "fake" and named[1] == "inconclusive"):
        return "inconclusive"
    if len(named) != 1:
        return None
    denied = re.search(r"\b(?:not|no)\b|n't\b", normal(question))
    if denied:
        return "fake" if named[0] == "real" else "real"
    return named[0]


def _sentences(face: PersonReport) -> str:
    return " ".join(sentence.text for sentence in face.explanation) or "The report gives no explanation."


# what is asked for (`questions.intent`) → what answers it
ANSWERS: Mapping[str, Callable[[Whom, str], Answer]] = MappingProxyType(
    {
        "verdict": verdict, "sure": _sure, "rate": _rate, "where": _places, "why": _why, "signs": _signs,
        "clean": _clean, "extent": _extent, "witnesses": _witnesses, "else": _anything_else, "what_if": _what_if,
        "kind": _kind, "made": _made, "tool": _tool, "wrong": _wrong, "quality": quality,
        "suppose_fake": _suppose_fake, "suppose_real": _suppose_real,
    }
)  # fmt: skip
