"""Questions after the verdict, answered from the evidence alone: no language model, no claim without a place.

`questions` reads what a question asks for and the regions it names; the answer is a fixed sentence filled from the
report, so it never says more than the judge did, and what cannot be answered is said to be so. A conversation remembers
the face and the region spoken of: "Is the nose fake?" "And the mouth?" "How sure are you?". "Suppose it is genuine" and
"suppose it is fake" gather the evidence for either side (FFAA asks its model under both hypotheses).

    Dialogue(report).ask("Is the nose fake?")  →  Answer(text, label, findings, regions, intent)

With a language model (`backends/`) the words are the model's and the label stays the evidence's: the model is given the
evidence and the photo, what it says is read by `grammars/yes_no`, and where it contradicts the evidence, or names a
place that nothing points to, the answer says so. A model that fails leaves the answer from the evidence, and a problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from facewitness import geometry, plugins, questions, regions
from facewitness.calibration import decide
from facewitness.errors import BackendError, InputError
from facewitness.explain import NO_PROOF, graded, suspicions
from facewitness.overtime import clock, share, stretches
from facewitness.phrases import KIND_WORDS, WORDS, listed, odds, percent, places_of, visible
from facewitness.types import Clip, Finding, Hear, Label, PersonReport, Pixels, Reply, Report

_REMEMBERED = 8  # turns that a language model is shown again
TURNED = 30.0  # degrees of yaw from which the far side counts as hidden


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What is said to one question, and what it rests on."""

    text: str
    label: Label | None = None  # of what was asked about; None where the question is not about real or fake
    findings: tuple[Finding, ...] = ()
    regions: tuple[str, ...] = ()  # what was asked about
    intent: str = ""  # a name of INTENTS
    notes: tuple[str, ...] = ()  # where a language model's words and the evidence part; they end `text`, too
    problem: str = ""  # why the language model did not answer


class Backend(Protocol):
    """What `load` of a leaf of `backends/` gives."""

    def ask(self, messages: Sequence[Mapping[str, str]], images: Sequence[Pixels] = ()) -> str:
        """The model's words. Raises BackendError."""
        ...


CAN_ASK = (
    "I can say whether the picture, a face or a region is forged, where and why, how sure that is, how it was "
    "probably made, how often such a verdict is wrong, and what speaks for either side."
)


class Dialogue:
    """A conversation about one report. `turns` are the questions and answers so far."""

    def __init__(self, report: Report, backend: Backend | None = None, clip: Clip | None = None):
        self.report, self.backend, self.clip = report, backend, clip
        self.turns: list[tuple[str, Answer]] = []
        scored = [-1.0 if f.verdict.fake is None else f.verdict.fake for f in report.people]
        self.face = int(np.argmax(scored)) if scored else 0  # the most suspicious one, until another is asked for
        self._spoken_of: tuple[str, ...] = ()

    def ask(self, question: str, hear: Hear | None = None) -> Answer:
        """The answer to one question. Raises InputError for an empty one and one of more than 2,000 characters.

        `hear` is given a language model's words piece by piece, where its backend can `stream`; notes come with the
        answer, once all is said. What `hear` raises stops the model and leaves the conversation as it was.
        """
        question = questions.asked(question)
        answer = self._answered(question)
        if self.backend is not None and self.report.status == "ok":
            answer = self._worded(question, answer, self.backend, hear)
        self.turns.append((question, answer))
        return answer

    def _worded(self, question: str, own: Answer, backend: Backend, hear: Hear | None) -> Answer:
        """The model's words to the question, held to what the evidence alone would say (`own`)."""
        face = self.report.people[self.face]
        messages = [{"role": "system", "content": evidence(face)}]
        for earlier, answered in self.turns[-_REMEMBERED:]:
            messages += [{"role": "user", "content": earlier}, {"role": "assistant", "content": answered.text}]
        messages.append({"role": "user", "content": question})
        images = () if self.clip is None else (self.clip.at(face.face.at).pixels,)
        try:
            words = _words(backend, messages, images, hear)
        except BackendError as error:
            return replace(own, problem=str(error))
        label = plugins.get("grammars", "yes_no").parse(words).label
        # it was asked whether it is real
        if label in ("real", "fake") and questions.yes_or_no(question, forged=True) == "No. ":
            label = {"real": "fake", "fake": "real"}[label] if re.match(r"\W*(yes|no)\b", words, re.I) else label
        notes = []
        if label is not None and own.label is not None and label != own.label:
            notes.append(f"The language model says {label}; the evidence says {own.label}, and the evidence stands.")
        supported = _regions(face.findings) | set(own.regions)
        loose = [name for name in _accused(words) if not _covers(supported, name)]
        if loose and "face" not in supported:
            notes.append(f"Nothing in the evidence points to the {listed(regions.title(name) for name in loose)}.")
        return replace(own, text=" ".join([words, *(f"[{note}]" for note in notes)]), notes=tuple(notes))

    def choose(self, face: int) -> None:
        """Speak of this face from now on; the first is 0. Raises InputError where there is none such."""
        n = len(self.report.people)
        if not 0 <= face < n:
            known = "no face" if n == 0 else "one face" if n == 1 else f"{n} faces"
            raise InputError(
                f"There {'are' if n > 1 else 'is'} {known} in this picture, so there is no face {face + 1}."
            )
        self.face, self._spoken_of = face, ()

    def _answered(self, question: str) -> Answer:
        report = self.report
        if report.status == "failed":
            return Answer(f"{WORDS['failed'][1]} {report.problems[0].message}", None, intent="failed")
        if report.status == "no_face":
            return Answer(WORDS["no_face"][1], None, intent="no_face")
        chosen = questions.face_asked_for(question)
        if chosen is not None:
            try:
                self.choose(chosen)
            except InputError as error:
                return Answer(str(error), None, intent="faces")
        face = report.people[self.face]
        named = questions.asked_regions(question)
        intent = questions.intent(question)
        about_place = intent in ("", "verdict", "why", "where", "sure", "quality")
        if not named and self._spoken_of and about_place and (questions.points_back(question) or intent == "why"):
            named = self._spoken_of
        moment = questions.moment_asked_for(question)
        if moment is not None and face.timeline:
            self._spoken_of = named
            return _at(face, moment, named, question)
        if named and about_place:
            self._spoken_of = named
            return _about_regions(face, named, question)
        if chosen is not None and not intent:
            intent = "verdict"
        say = {
            "verdict": self._verdict, "sure": self._sure, "where": self._where, "why": self._why, "kind": self._kind,
            "faces": self._faces, "when": self._when, "wrong": self._wrong, "quality": self._quality,
            "suppose_real": self._suppose_real, "suppose_fake": self._suppose_fake,
        }.get(intent)  # fmt: skip
        if say is None:
            return Answer(f"I did not understand that. {CAN_ASK}", None, intent="unknown")
        return say(face, question)

    # ------------------------------------------------------------------------------------------ one method an intent

    def _verdict(self, face: PersonReport, question: str) -> Answer:
        label, which = face.verdict.label, self._which()
        chances = odds(face.verdict)
        match label:
            case "fake":
                said = f"{questions.yes_or_no(question, forged=True)}{which} is judged fake: {chances}."
            case "real":
                said = f"{questions.yes_or_no(question, forged=False)}{which} is judged real: {chances}. {NO_PROOF}"
            case _:
                said = f"That cannot be decided. {which} is inconclusive: {chances}."
        reasons = " ".join(face.verdict.reasons) if label == "inconclusive" else ""
        return Answer(f"{said} {reasons}".strip(), label, face.findings, intent="verdict")

    def _which(self) -> str:
        return "The face" if len(self.report.people) == 1 else f"Face {self.face + 1} of {len(self.report.people)}"

    def _sure(self, face: PersonReport, question: str) -> Answer:
        verdict = face.verdict
        text = f"{self._which()}: {odds(verdict)}."
        if verdict.interval is not None:
            text += " The range is the 95 % interval of that probability."
        bounds = self.report.made_by.get("thresholds") or {}
        if {"real", "fake"} <= set(bounds):
            text += (
                f" Below {percent(bounds['real'])} a face is called real, from {percent(bounds['fake'])} on fake, and "
                "inconclusive in between."
            )
        return Answer(text, verdict.label, intent="sure")

    def _where(self, face: PersonReport, question: str) -> Answer:
        if not face.findings:
            return Answer(_sentences(face), face.verdict.label, intent="where")
        places = _capital(listed(map(places_of, face.findings)))
        lead = "Hints, not proof: " if face.verdict.label == "inconclusive" else ""
        return Answer(f"{lead}{places}. {_sentences(face)}", face.verdict.label, face.findings,
                      intent="where")  # fmt: skip

    def _why(self, face: PersonReport, question: str) -> Answer:
        reasons = " ".join(face.verdict.reasons)
        return Answer(f"{reasons} {_sentences(face)}".strip(), face.verdict.label, face.findings, intent="why")

    def _kind(self, face: PersonReport, question: str) -> Answer:
        if face.verdict.label != "fake":
            return Answer(
                f"{self._which()} is not judged fake ({WORDS[face.verdict.label][0].lower()}), so no way of forging is "
                "named.", face.verdict.label, intent="kind",
            )  # fmt: skip
        if face.kind is None:
            return Answer("No witness could tell the way of forging.", "fake", intent="kind")
        ranked = sorted(((p, name) for name, p in face.kind.items() if name != "pristine"), reverse=True)
        said = ", ".join(f"{KIND_WORDS[name]} {percent(p)}" for p, name in ranked)
        return Answer(f"Most like {KIND_WORDS[ranked[0][1]]}. The witnesses' shares: {said}.", "fake", intent="kind")

    def _faces(self, face: PersonReport, question: str) -> Answer:
        told = "; ".join(
            f"face {i}: {WORDS[f.verdict.label][0].lower()}, {odds(f.verdict)}"
            for i, f in enumerate(self.report.people, start=1)
        )
        n = len(self.report.people)
        said = "One face was found" if n == 1 else f"{n} faces were found"
        return Answer(f"{said}: {told}. Who they are is not examined.", None, intent="faces")

    def _when(self, face: PersonReport, question: str) -> Answer:
        scored = [m for m in face.timeline if m.fake is not None and m.at.seconds is not None]
        if not scored:
            return Answer("The picture has no time: it is a photo, or no moment of it was judged.", None, intent="when")
        threshold = face.verdict.thresholds
        parts = stretches(face.timeline, threshold[1]) if threshold else ()
        worst = max(scored, key=lambda moment: moment.fake or 0.0)
        peak = f"Its highest probability is {percent(worst.fake or 0.0)}, at {clock(worst.at.seconds or 0.0)}."
        if not parts:
            return Answer(f"No stretch of time looks forged by itself. {peak}", face.verdict.label, intent="when")
        when = listed(part.words for part in parts)
        of = percent(share(face.timeline, parts))
        text = f"It looks forged at {when}, {of} of the time that was judged. {peak}"
        return Answer(text, face.verdict.label, face.findings, intent="when")

    def _wrong(self, face: PersonReport, question: str) -> Answer:
        reasons = " ".join(face.verdict.reasons) or "No error rate was measured."
        return Answer(f"{reasons} {NO_PROOF}", face.verdict.label, intent="wrong")

    def _quality(self, face: PersonReport, question: str) -> Answer:
        quality = face.face.quality
        if quality.score is None:
            return Answer("The finder did not measure how good the face is as evidence.", None, intent="quality")
        why = f" Lowered because: {' '.join(quality.reasons)}" if quality.reasons else ""
        return Answer(f"As evidence the face is worth {percent(quality.score)} of a good one.{why}", None,
                      intent="quality")  # fmt: skip

    def _suppose_fake(self, face: PersonReport, question: str) -> Answer:
        signs = _suspicions(face)
        if face.verdict.fake is None:
            said = "Nothing was measured that could speak for it."
        elif not signs:
            said = "Nothing was found that would speak for it: no witness names a place."
        else:
            said = "What would speak for it: " + " ".join(_told(f) for f in signs)
        return Answer(f"{said} {self._stands(face)}", face.verdict.label, signs, intent="suppose_fake")

    def _suppose_real(self, face: PersonReport, question: str) -> Answer:
        named = _regions(_suspicions(face))
        quiet = [r for r in regions.MARE if r not in named and not _covers(named, r)]
        if face.verdict.fake is None:
            said = "Nothing was measured that could speak for it."
        elif quiet:
            said = f"What would speak for it: no sign at {listed(regions.title(r) for r in quiet)}."
        else:
            said = "Nothing speaks for it: signs were found everywhere."
        if named:
            said += f" Against it: signs at {listed(_title(r) for r in sorted(named))}."
        return Answer(f"{said} {self._stands(face)}", face.verdict.label, intent="suppose_real")

    def _stands(self, face: PersonReport) -> str:
        chances = odds(face.verdict)
        return f"A supposition changes nothing of the verdict: {WORDS[face.verdict.label][0].lower()}, {chances}."


# --------------------------------------------------------------------------------------------- for a language model


def evidence(face: PersonReport) -> str:
    """The system's message: the task, and the evidence on one face (KFD's task description and detector result)."""
    verdict = face.verdict
    lines = [
        "You explain the result of a forensic analysis of a face to an examiner. Use only the evidence below and what "
        "is visible. Answer in at most three sentences. Where you are asked whether something is fake or real, begin "
        "with Yes, No or Inconclusive. Name no forged place that the evidence does not name. Left and right are the "
        "subject's.",
        "",
        f"Verdict: {verdict.label}, {odds(verdict)}.",
        *verdict.reasons,
    ]
    lines += [f"Found at the {places_of(f)}: {_told(f)}" for f in face.findings] or ["No place is named."]
    if face.kind is not None and verdict.label == "fake":
        lines.append("Kind: " + ", ".join(f"{KIND_WORDS[name]} {percent(p)}" for name, p in face.kind.items()) + ".")
    return "\n".join(lines)


def _words(backend: Backend, messages: Sequence[Mapping[str, str]], images: Sequence[Pixels], hear: Hear | None) -> str:
    """The whole answer; `hear` is given its pieces as they come, where the backend can stream."""
    if hear is None or not hasattr(backend, "stream"):
        return backend.ask(messages, images)
    said = []
    with closing(backend.stream(messages, images)) as pieces:  # whatever ends the hearing stops the model too
        for piece in pieces:
            hear(piece)
            said.append(piece)
    return "".join(said).strip()


_DENIES = re.compile(r"\b(no|not|never|without|nothing|neither|nor|free of)\b|n['’]t\b", re.IGNORECASE)


def _accused(text: str) -> tuple[str, ...]:
    """MARE's names of the regions a text speaks of in sentences that deny nothing and call nothing real."""
    said = [s for s in re.split(r"(?<=[.;!?])\s", text) if not _DENIES.search(s) and not questions.asks_real(s)]
    return tuple(dict.fromkeys(name for sentence in said for name in regions.mentioned(sentence) if name != "skin"))


# ------------------------------------------------------------------------------------------------------- about regions


def _at(face: PersonReport, second: float, names: Sequence[str], question: str) -> Answer:
    """What was seen at one moment of a film, of a person or of regions of the face."""
    scored = [moment for moment in face.timeline if moment.fake is not None and moment.at.seconds is not None]
    if not scored:
        return Answer("No moment of this film was judged.", None, regions=tuple(names), intent="when")
    near = min(scored, key=lambda moment: abs((moment.at.seconds or 0.0) - second))
    at, p = near.at.seconds or 0.0, near.fake or 0.0
    asked = (
        f"{clock(second)} was not judged; the nearest moment that was is {clock(at)}. " if abs(at - second) >= 1 else ""
    )
    label = "inconclusive" if face.verdict.thresholds is None else decide(p, *face.verdict.thresholds)
    if face.verdict.cause == "quality":
        label = "inconclusive"
    chance = f"At {clock(at)} the probability of forgery is {percent(p)}: {WORDS[label][0].lower()}."
    if not names:
        return Answer(f"{asked}{chance}", label, intent="when")
    words, found = [], []
    for name in names:
        here = [
            finding
            for finding in suspicions(face.verdict)
            if any(
                place.at is not None
                and place.at.index == near.at.index
                and place.region is not None
                and (regions.within(place.region, name) or regions.within(name, place.region))
                for place in finding.places
            )
        ]
        found += here
        claimed = label == "fake" and bool(here)
        lead = questions.yes_or_no(question, forged=claimed) if label != "inconclusive" or not here else ""
        if not here:
            words.append(f"{lead}Nothing points to the {regions.title(name)} at {clock(at)}.")
        else:
            words.append(f"{lead}{graded(here[0])} at {clock(at)}: {here[0].claim}")
    if label == "real" and found:
        words.append("The face as a whole shows no sufficient sign at that moment, so this is a hint and no more.")
    return Answer(f"{asked}{' '.join(words)} {chance}", label, tuple(dict.fromkeys(found)), tuple(names), "when")


def _about_regions(face: PersonReport, names: Sequence[str], question: str) -> Answer:
    """One answer for all the regions asked about; its label is fake if any is, then inconclusive, then real."""
    parts = [_about(face, name, question) for name in names]
    labels = [answer.label for answer in parts]
    label: Label | None = next((x for x in ("fake", "inconclusive", "real") if x in labels), None)
    findings = tuple(dict.fromkeys(f for answer in parts for f in answer.findings))
    texts = [answer.text for answer in parts]
    if len(parts) > 1:
        texts = [f"{_capital(regions.title(n))}: {_lower(text)}" for n, text in zip(names, texts, strict=True)]
    return Answer(" ".join(texts), label, findings, tuple(names), "region")


def _about(face: PersonReport, name: str, question: str) -> Answer:
    """What is known of one region. A sign that is wrong more often than right is no "yes"."""

    def answer(text: str, label: Label | None, findings: tuple[Finding, ...] = ()) -> Answer:
        return Answer(text, label, findings, (name,), "region")

    verdict, place = face.verdict, f"the {regions.title(name)}"
    hidden = _hidden(face, name)
    if hidden:
        return answer(f"{hidden} Nothing can be said about {place}.", None)
    here = tuple(f for f in face.findings if _is_at(f, name))
    told = " ".join(_told(f) for f in here)
    covered = _covered(face, name)
    measured = "" if covered is None else f" The forgery mask covers {percent(covered)} of it."
    if verdict.label == "inconclusive":
        hints = f"Hints there: {_lower(told)}" if here else f"No sign was found at {place}."
        return answer(f"That cannot be decided: the face is inconclusive. {hints}{measured}", "inconclusive", here)
    if verdict.label == "real":
        said = f"{questions.yes_or_no(question, forged=False)}Nothing is claimed at {place}: the face is judged real."
        weak = [f for f in _suspicions(face) if _is_at(f, name)]
        if weak:
            said += f" A witness saw something there, too weak for the verdict. {_told(weak[0])}"
        return answer(said, "real")
    if any(f.strength is not None and f.strength >= 0.5 for f in here):
        return answer(f"{questions.yes_or_no(question, forged=True)}{told}", "fake", here)
    if here:
        return answer(f"Perhaps. {told}{measured}", "inconclusive", here)
    whole = tuple(f for f in face.findings if f.region == "face")
    if whole:
        return answer(
            f"No sign belongs to {place} alone; {_lower(whole[0].claim)}{measured}",
            "inconclusive",
            whole,
        )
    seen = {"Yes. ": "As far as can be seen, yes: no", "No. ": "Not as far as can be seen: no"}
    elsewhere = listed(map(places_of, face.findings)) or "nowhere"
    lead = seen.get(questions.yes_or_no(question, forged=False), "No")
    return answer(f"{lead} sign was found at {place}.{measured} The signs are at: {elsewhere}.", "real")


def _hidden(face: PersonReport, name: str) -> str | None:
    """Why a region cannot be seen, or None where it can."""
    if face.face.landmarks is None:
        return "Regions cannot be placed on this face: its finder gives no landmarks."
    yaw = face.face.quality.yaw
    far = {True: "left_", False: "right_"}  # turning to one's left hides one's left
    if yaw is not None and abs(yaw) >= TURNED and name.startswith(far[yaw > 0]):
        return f"The face is turned {abs(yaw):.0f}° to the subject's {'left' if yaw > 0 else 'right'}."
    rings = np.concatenate(list(regions.polygons(name, face.face.landmarks)))
    frame = face.face.at
    inside = (rings[:, 0] >= 0) & (rings[:, 0] < frame.width) & (rings[:, 1] >= 0) & (rings[:, 1] < frame.height)
    return None if inside.mean() >= 0.5 else f"The {regions.title(name)} lies outside the picture."


def _covered(face: PersonReport, name: str) -> float | None:
    """The share of a region that the forgery mask covers from 0.5 on; None without a mask."""
    if face.mask is None or face.face.landmarks is None:
        return None
    height, width = face.face.at.height, face.face.at.width
    place = geometry.fill(list(regions.polygons(name, face.face.landmarks)), height, width)
    mask = geometry.place(face.mask, height, width)
    return float((mask[place] >= 0.5).mean()) if place.any() else None


def _same_place(found: str, asked: str) -> bool:
    """A finding answers a question about its own region, its parts, and the area that it is part of; not the face."""
    if found == "face" or asked == "face":
        return found == asked
    return regions.within(found, asked) or regions.within(asked, found)


def _covers(named: Iterable[str], region: str) -> bool:
    return any(_same_place(n, region) for n in named)


def _suspicions(face: PersonReport) -> tuple[Finding, ...]:
    """What witnesses named, claimed by the verdict or not; a region once, strongest first."""
    return suspicions(face.verdict) or face.findings


def _regions(findings: Iterable[Finding]) -> set[str]:
    """The regions that findings have places in."""
    return {place.region for finding in findings for place in finding.places if place.region is not None}


def _is_at(finding: Finding, name: str) -> bool:
    """Whether a finding answers a question about a region."""
    return any(_same_place(region, name) for region in _regions((finding,)))


# ----------------------------------------------------------------------------------------------------------- wording


def _told(finding: Finding) -> str:
    return f"{graded(finding)}: {finding.claim}"


def _title(region: str) -> str:
    """A region in words; a name from outside that the tree does not have stays as it is."""
    return regions.title(region) if region in regions.REGIONS else visible(region)


def _sentences(face: PersonReport) -> str:
    return " ".join(sentence.text for sentence in face.explanation) or "The report gives no explanation."


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def as_reply(answer: Answer) -> Reply:
    """The answer as `scores/` judge it."""
    return Reply(answer.label, None, (answer.text,), answer.findings)
