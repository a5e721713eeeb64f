"""Questions after the verdict, answered from the evidence alone: no language model, no claim without a place.

`questions` reads what a question asks for and the regions it names, by the words in `patterns`; `sentences` parts a
text into its questions, `spelling` mends slips of the pen, `times` reads moments of a film, `people` whom it means.
`whether` answers about the verdict on a person, `where` about regions, `moments` about a film in time; who is there and
what the file says is answered here. The answer is a fixed sentence filled from the report, so it never says more than
the judge did. What cannot be answered is said to be so: a face that cannot be told is asked back for, and what nobody
examined gets no face's verdict. A conversation remembers the face and the region spoken of: "Is the nose fake?" "And
the mouth?" "How sure are you?". "Suppose it is genuine" and "suppose it is fake" gather the evidence for either side
(FFAA asks its model under both hypotheses).

    Dialogue(report).ask("Is the nose fake?")  →  Answer(text, label, findings, regions, intent)

Others may speak, too, and are held to the evidence in the same way: what they say is read by `grammars/yes_no`, and
where it contradicts the evidence, or names a place that nothing points to, the answer says so. The label stays the
evidence's, and who fails leaves the answer from the evidence, and a problem.

    a witness that can answer (`answer`)      its own words stand beside the answer from the evidence, with its name
    a language model (`backends/`)            it is given the evidence and the photo, and words the answer
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any

import numpy as np

from facewitness import (
    advice,
    drawn,
    media,
    moments,
    others,
    patterns,
    people,
    pointed,
    questions,
    regions,
    sentences,
    spelling,
    times,
    where,
    whether,
)
from facewitness.answers import Answer, lower, of_parts
from facewitness.errors import BackendError, InputError, UnknownName, came, expect
from facewitness.explain import NO_PROOF
from facewitness.formats import cases
from facewitness.phrases import (
    WORDS,
    known,
    limits_of,
    listed,
    odds,
    of_medium,
    percent,
    someone,
    visible,
)
from facewitness.phrases import capital as _capital
from facewitness.types import (
    Clip,
    Hear,
    Label,
    PersonReport,
    Place,
    Question,
    Reply,
    Report,
    Turn,
)
from facewitness.words import normal

_OF_A_FACE = (
    "Of a face I can say whether it, or a part of it, shows signs of forgery, where and why, and how sure that is."
)
_OF_ITSELF = "What a file says of itself can be written by anybody, and that it says nothing proves nothing."
_AT_ONCE = 5  # questions of one text that are answered
_REMEMBERED = 8  # turns that a language model is shown again


@dataclass(slots=True)
class _Asked:
    """What a question asks for, as far as it was read: stages that learn more write it here for those behind them."""

    question: str
    places: tuple[Place, ...]  # that somebody points at
    intent: str
    named: tuple[str, ...]  # regions
    meant: tuple[int, ...] | None  # people; empty where it cannot be told who, None where nobody is named
    unexamined: str | None = None  # what nobody examined
    stretch: tuple[float, float] | None = None  # of a film, in seconds


CAN_ASK = (
    "I can say whether the picture, a face or a region is forged, where and why, how sure that is, how it was "
    "probably made, how often such a verdict is wrong, what to do next, and what speaks for either side."
)
ENGLISH_ONLY = (
    'Only questions in English are read. Ask, for example: "Is this face fake?", "Where was it forged?", "How sure are '
    'you?"'
)


# Answers that are no face's: nobody else is asked about them, and they say nothing about real or fake.
ASIDE = frozenset(
    (
        "faces",
        "which",
        "means",
        "publish",
        "next",
        "left",
        "word",
        "others",
        "files",
        "mind",
        "groups",
        "wrong",
        "tool",
        "unexamined",
        "unclear",
        "language",
        "picture",
        "file",
        "self",
        "witnesses",
        "examined",
        "length",
        "what_if",
        "courtesy",
        "again",
    )
)


class Dialogue:
    """A conversation about one report. `turns` are the questions and answers so far.

    Args:
        report: what is spoken of.
        backend: a language model that words the answers.
        clip: the pixels, for a language model and for witnesses.
        witnesses: those that examined the picture; the first that can answer is asked too, where there is a clip.
    """

    def __init__(
        self,
        report: Report,
        backend: others.Backend | None = None,
        clip: Clip | None = None,
        witnesses: Sequence[Any] = (),
    ):
        if not isinstance(report, Report):
            raise InputError(f"Dialogue: expected a Report, as analyze() gives it, got {type(report).__name__}")
        able = any(callable(getattr(backend, verb, None)) for verb in ("ask", "stream"))
        if backend is not None and not able:
            raise InputError(f"Dialogue: expected a backend with ask(messages), or None, got {came(backend)}.")
        expect("Dialogue: clip", clip, (Clip, NoneType), "a Clip or None", "Analyzer.analysis gives it.")
        expect("Dialogue: witnesses", witnesses, Iterable, "a list of witnesses", "Analyzer.witnesses holds some.")
        self.report, self.backend, self.clip = report, backend, clip
        self.witness: others.Answering | None = next((w for w in witnesses if others.can_answer(w)), None)
        self.turns: list[tuple[str, Answer]] = []
        scored = [face.verdict.probability or 0.0 for face in report.people]
        self.face = int(np.argmax(scored)) if scored else 0  # the most suspicious one, until another is asked for
        self._chosen = len(report.people) == 1  # somebody said which face is meant
        self._spoken_of: tuple[str, ...] = ()
        self._asked_back = ""  # the question of which it could not be told whom it means
        self._moment: tuple[float, float] | None = None  # of the film that was spoken of, in seconds

    @property
    def memory(self) -> dict[str, Any]:
        """Whom and what the conversation speaks of, as what JSON can hold; `recall` takes it up again."""
        return {
            "face": self.face, "chosen": self._chosen, "spoken_of": list(self._spoken_of),
            "asked_back": self._asked_back, "moment": None if self._moment is None else list(self._moment),
        }  # fmt: skip

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on where another Dialogue about the same report left off; `turns` are the caller's to restore.

        Args:
            memory: As `memory` gave it.

        Raises:
            InputError: It is something else.
        """
        try:
            face, chosen = int(memory["face"]), bool(memory["chosen"])
            spoken_of = tuple(name for name in memory["spoken_of"] if name in regions.REGIONS)
            asked_back, moment = str(memory.get("asked_back", "")), memory.get("moment")
            moment = None if moment is None else (float(moment[0]), float(moment[1]))
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
            raise InputError(f"Dialogue.recall: expected what `memory` gave, got {came(memory)} ({error}).") from error
        self.face, self._chosen, self._spoken_of = face, chosen, spoken_of
        self._asked_back, self._moment = asked_back, moment

    def ask(self, question: str | Question, hear: Hear | None = None) -> Answer:
        """The answer to one question.

        Args:
            question: of at most 2,000 characters. One that points at places is about whom and what is there.
            hear: is given the answer piece by piece where somebody else speaks, a language model's words as they come
                if its backend can `stream`; notes come with the answer, once all is said. What `hear` raises stops the
                model and leaves the conversation as it was.

        Raises:
            InputError: an empty question, or one that is too long.
        """
        if hear is not None and not callable(hear):
            raise InputError(f"Dialogue.ask: expected hear to be a function or None, got {came(hear)}.")
        places = pointed.distinct(question.places) if isinstance(question, Question) else ()
        question = questions.asked(question.text if isinstance(question, Question) else question)
        before = self.memory
        answer = self._every_answer(question, places)
        try:
            if self.report.status == "ok" and answer.intent not in ASIDE:
                if self.backend is not None:
                    answer = self._worded(question, answer, self.backend, hear)
                elif self.witness is not None and self.clip is not None:
                    answer = self._testified(question, answer, self.witness, self.clip, hear, places)
        except BaseException:
            self.recall(before)
            raise
        self.turns.append((question, answer))
        return answer

    def _every_answer(self, text: str, places: Sequence[Place]) -> Answer:
        """The answer from the evidence to all that a text asks, each question by itself."""
        open_question, self._asked_back = self._asked_back, ""
        if (back := sentences.courtesy(text)) is not None:
            self._asked_back = open_question
            return Answer(back if back != "Hello." else f"{back} {CAN_ASK}", None, intent="courtesy")
        if open_question and (whom := self._replied(text)) is not None:
            return self._answered(open_question, places, whom)
        asked = sentences.parts(text)
        answers = [self._read(part, places) for part in asked[:_AT_ONCE]]
        understood = [answer for answer in answers if answer.intent != "unknown"]
        if not understood and len(asked) + (asked[0] != text) > 1:
            understood = [self._answered(text, places)]
        answer = (understood or answers)[0]
        if len(understood) > 1:
            words = " ".join(dict.fromkeys(map(_with_its_place, understood)))
            named = tuple(dict.fromkeys(name for answer in understood for name in answer.regions))
            answer = Answer(words, *of_parts(understood), named, answer.intent)
        if len(asked) > _AT_ONCE:
            left = len(asked) - _AT_ONCE
            answer = replace(
                answer, text=f"{answer.text} {left} more of these questions are left: ask them by themselves."
            )
        return answer

    def _replied(self, text: str) -> tuple[int, ...] | None:
        """Whom a reply names to "Say face 1 or face 2", if it names somebody who is there and asks for nothing else."""
        if len(self.report.people) == 1 and re.fullmatch(r"(?:yes|yeah|yep)\W*", normal(text)):
            return (0,)
        named = people.alone(text)
        meant = None if named is None else self._meant(named, ())
        return meant if meant and all(0 <= person < len(self.report.people) for person in meant) else None

    def _read(self, question: str, places: Sequence[Place]) -> Answer:
        """The answer to a question: a name alone is a question about somebody, and slips of the pen are told."""
        question = self._of_a_pair(question)
        if self.report.people and (step := times.step_asked_for(question)) is not None:
            stepped = self._of_a_step(question, *step)
            if isinstance(stepped, Answer):
                return stepped
            question = stepped
        several = len(self.report.people) > 1 and not self._film
        if (named := people.alone(question)) is not None and (several or named.startswith("face ")):
            return self._with_the_file(named, self._answered(named, places))
        read = self._respelt(question)
        answer = self._with_the_file(read, self._answered(read, places))
        return answer if read == question else replace(answer, text=f"Read as “{read}”: {answer.text}")

    def _with_the_file(self, question: str, answer: Answer) -> Answer:
        """An answer about faces, behind what the file says where that decides: of what calls itself generated."""
        lead = whether.said_by_the_file(self.report)
        rest = _capital(where.LEADS.sub("", answer.text))
        if lead and answer.intent == "region" and answer.label == "real":
            return replace(answer, text=f"{rest} But {lower(lead)}", label="inconclusive")
        if not lead or answer.intent not in _OF_ALL or answer.regions:
            return answer
        if answer.intent == "picture":
            rest = " ".join(self.report.verdict.reasons[1:]) if self.report.verdict is not None else ""
        elif answer.intent != "no_face":
            rest = f"Of the {someone(self._film, len(self.report.people))} alone: {lower(rest)}"
        text = f"{questions.yes_or_no(question, forged=True)}{lead} {rest}".strip()
        return replace(answer, text=text, label="fake")

    def _of_a_pair(self, question: str) -> str:
        """ "And the left one?" where eyebrows were spoken of, as "Is the left eyebrow fake?"; any other as it is.

        Of several people the left one is a person.
        """
        which = questions.side(question)
        if which is None or len(self.report.people) != 1:
            return question
        for name in self._spoken_of:
            spoken, _, base = name.partition("_") if name.startswith(("left_", "right_")) else ("", "", name)
            left, right = (f"{side}_{base.removesuffix('s')}" for side in ("left", "right"))
            if left not in regions.REGIONS or right not in regions.REGIONS:
                continue
            other = {"left": (right,), "right": (left,)}.get(spoken, ())
            named = {"left": (left,), "right": (right,), "both": (left, right), "other": other}[which]
            if named:
                label = "real" if questions.asks_real(question) else "fake"
                are = "are" if len(named) > 1 else "is"
                return f"{_capital(are)} {listed([f'the {regions.title(n)}' for n in named])} {label}?"
        return question

    def _of_a_step(self, question: str, number: float, unit: str, rest: str) -> str | Answer:
        """ "A second later?" as "Is it fake at 3.5 seconds?", from the moment spoken of; any other as it is."""
        if not self._film:
            return moments.when(self.report, self._person)
        named = questions.asked_regions(rest) or self._spoken_of
        meant = self._meant(rest, named)
        if meant is not None and (len(meant) != 1 or meant[0] >= len(self.report.people)):
            return question
        other = times.moments_asked_for(rest)  # "A second after 0:03?"
        since = (other[0], other[0]) if len(other) == 1 else self._moment
        if since is None:
            return Answer("From which moment cannot be told. Name one, such as “at 0:02”.", None, intent="when")
        if meant is not None:
            self.choose(meant[0])
        second = moments.stepped(self.report, self._person, since[number > 0], number, unit)
        if second is None:
            none = f"no {unit} {'after' if number > 0 else 'before'} that can be told"
            return Answer(f"There is {none}: name a moment, such as “at 0:02”.", None, intent="when")
        if second < -1e-6:
            return Answer("The film begins at 0:00: there is nothing before it.", None, intent="when")
        what = listed([f"the {regions.title(name)}" for name in named]) or "it"
        label = "real" if questions.asks_real(rest) else "fake"
        return f"{'Are' if len(named) > 1 else 'Is'} {what} {label} at {max(0.0, second):.3f} seconds?"

    def _respelt(self, question: str) -> str:
        """A question with slips of the pen mended where that makes one of it that can be answered."""
        strange = questions.thing(question) and questions.intent(question) in ("verdict", "made")
        if not strange and (
            questions.intent(question) or questions.asked_regions(question) or questions.about_file(question)
        ):
            return question
        again = spelling.respelt(question)
        helps = questions.asked_regions(again) if strange else questions.intent(again) or questions.asked_regions(again)
        return again if helps else question

    def _answered(self, question: str, places: Sequence[Place] = (), whom: tuple[int, ...] | None = None) -> Answer:
        """The answer from the evidence alone: the stages are tried in order, and the first that has an answer gives it.

        First what no face is needed for: the analysis failed, the file itself is asked about, nobody is there, or the
        question is not in English. Then the places that somebody points at. Then who is meant: all, several, one, or
        nobody that can be told. Then what nobody examined. What is left is about one face: a moment of a film, regions,
        and at last the face as a whole.
        """
        named = questions.of_each(question, questions.asked_regions(question))
        asked = _Asked(question, tuple(places), questions.intent(question), named, whom)
        stages = (
            self._of_a_failure,
            self._of_the_file,  # "Which camera was it?"
            self._of_another_language,
            self._of_no_face,
            self._of_the_analysis,  # "What was examined?"
            self._of_places,  # a click on the nose
            self._of_the_report,  # "What does inconclusive mean?"
            self._of_content,  # "Was somebody added?"
            self._of_positions,  # "Where is face 2?"
            self._of_everybody,  # "Which faces are fake?"
            self._of_nobody,  # "Is face 7 fake?", "Is the woman fake?"
            self._of_the_unexamined,  # "Is the background fake?"
            self._of_several,  # "Are all the noses real?", "Are faces 1 and 2 fake?"
            self._of_one,  # "And the left one?"; behind this stage one face is spoken of
            self._of_moments,  # "Is it fake at 0:14?"
            self._of_regions,  # "Is the nose fake?"
            self._of_the_verdict,  # "Is the result inconclusive?", "Is the picture fake?"
            self._of_both_sides,  # "Prove that this is fake."
        )
        answers = (stage(asked) for stage in stages)
        return next((answer for answer in answers if answer is not None), None) or self._of_the_face(asked)

    # ------------------------------------------------------------------------- one method a stage, in their order

    def _of_a_failure(self, asked: _Asked) -> Answer | None:
        """Nothing was analysed."""
        if self.report.status != "failed":
            return None
        return Answer(f"{WORDS['failed'][1]} {self.report.problems[0].message}", None, intent="failed")

    def _of_the_file(self, asked: _Asked) -> Answer | None:
        """What the file says of itself."""
        if not questions.about_file(asked.question) or asked.named or asked.intent in ("tool", "what_if", "else"):
            return None
        return self._file(asked.question)

    def _of_another_language(self, asked: _Asked) -> Answer | None:
        if patterns.ANOTHER_LANGUAGE.search(normal(asked.question)):
            return Answer(f"I answer in English only. {ENGLISH_ONLY}", None, intent="language")
        return None if spelling.is_english(asked.question) else Answer(ENGLISH_ONLY, None, intent="language")

    def _of_no_face(self, asked: _Asked) -> Answer | None:
        """Where nobody is, what can be said all the same; behind this stage there is a face."""
        if self.report.status != "no_face":
            return None
        match asked.intent:
            case "self":
                return self._self(asked.question)
            case "again":
                return self._again(asked.question)
            case intent if intent in _OF_THE_REPORT:
                answer = self._about_the_report(intent, asked.question)
                lead = "" if intent in ("means", "left", "files") else f"{WORDS['no_face'][1]} "
                return replace(answer, text=f"{lead}{answer.text}")
        return Answer(WORDS["no_face"][1], None, intent="no_face")

    def _of_the_analysis(self, asked: _Asked) -> Answer | None:
        """Who answers, what was examined, how long the film is, and what was said last."""
        say = {"self": self._self, "examined": self._examined, "length": self._length, "again": self._again}
        return say[asked.intent](asked.question) if asked.intent in say else None

    def _of_places(self, asked: _Asked) -> Answer | None:
        """What is where somebody points; those are then the regions that are asked about."""
        if not asked.places:
            return None
        there = self._pointed(asked.places)
        if there is None and not asked.named:
            return Answer(self.off(asked.places), None, intent="unexamined")
        if apart := self.apart(asked.places):
            return Answer(apart, None, intent="unclear")
        asked.named = there or asked.named
        if asked.named and asked.intent == "why":
            return whether.because(self._whom, asked.named)
        if asked.named and asked.intent in ("", "verdict", "where", "sure", "quality", "made"):
            return where.about_regions(self._person, asked.named, asked.question)
        return None

    def _of_the_report(self, asked: _Asked) -> Answer | None:
        """What the report means and what to do with it, whoever is meant: that is told here, for all that follows."""
        if asked.meant is None:
            asked.meant = self._meant(asked.question, asked.named)
        somebody = rf"\b(?:who|{people.NOUN}|\w+body)\b"
        if asked.intent == "which" and asked.named and not re.search(somebody, normal(asked.question)):
            asked.intent = "verdict"  # "Are both of the eyes fake?": of one face
        of_all = questions.of_them(asked.question) and len(self.report.people) > 1
        if of_all and asked.intent == "verdict" and not (asked.meant or self._chosen or self._spoken_of):
            asked.intent = "which"  # nobody was spoken of before: all are meant
        if asked.intent in _OF_THE_REPORT and not (asked.named and asked.intent in ("mind", "others")):
            return self._about_the_report(asked.intent, asked.question)
        if asked.meant == () and asked.intent == "signs":
            asked.meant = None  # "the most suspicious" is a place
        return None

    def _of_content(self, asked: _Asked) -> Answer | None:
        """Whether somebody was put in, left out or is one and the same, which nobody examined."""
        asked.unexamined = questions.unexamined(asked.question)
        of_everybody = bool(asked.named) and questions.of_everybody(asked.question, asked.named)
        if of_everybody and asked.unexamined in _OF_SOMEBODY:
            asked.unexamined = None  # "Whose nose is fake?"
        what = asked.unexamined
        if what in (patterns.TRAITS, patterns.LOOKS, patterns.SCENE):
            return Answer(f"I do not tell {what}. {_OF_A_FACE}", None, intent="unexamined")
        if what == patterns.FILTERED:
            text = f"{_capital(what)} was not examined: such edits alone count as no forgery. {_OF_A_FACE}"
            return Answer(text, None, intent="unexamined")
        if what == patterns.KEPT:
            return Answer(advice.KEEPING, None, intent="unexamined")
        if what in (patterns.BEFORE, patterns.HAPPENED):
            return Answer(_not_examined(what), None, intent="unexamined")
        if what in (patterns.ADDED, patterns.SAME) and not asked.named and asked.intent in _OF_CONTENT:
            return Answer(self._content(what, asked.meant), None, intent="unexamined")
        return None

    def _of_positions(self, asked: _Asked) -> Answer | None:
        """Where regions or faces lie in the picture."""
        of_one = asked.meant is None or len(asked.meant) == 1
        if asked.named and asked.intent in ("place", "where") and questions.of_place(asked.question) and of_one:
            return self._place_of_regions(asked.meant, asked.named)
        if asked.intent == "place" and not asked.named:
            place = self._place_of_faces(asked.meant, asked.question)
            return Answer(place, None, intent="faces") if place else None
        return None

    def _of_everybody(self, asked: _Asked) -> Answer | None:
        """Who is there, and which of them are fake."""
        if asked.meant or asked.intent not in ("which", "faces"):
            return None
        if asked.intent == "faces" and asked.named and not re.search(rf"\b{people.NOUN}\b", normal(asked.question)):
            return None  # "Which is more suspicious, the nose or the mouth?"
        return self._which_faces() if asked.intent == "which" else self._faces()

    def _of_nobody(self, asked: _Asked) -> Answer | None:
        """Of somebody who is not there, and of one who cannot be told: that is asked back."""
        faces = [person.face for person in self.report.people]
        together = len({face.at.index for face in faces}) == 1
        if absent := people.not_there(asked.question, [face.box for face in faces], together):
            return Answer(self._no(absent), None, intent="faces")
        if asked.meant == ():
            self._asked_back = asked.question
            return Answer(self._ask_back(), None, intent="unclear")
        return None

    def _of_the_unexamined(self, asked: _Asked) -> Answer | None:
        """What nobody examined, and things that are no face."""
        if asked.unexamined == patterns.PHOTOGRAPH:
            return Answer(self._photograph(), None, intent="unexamined")
        if asked.unexamined == patterns.PROCESSED:
            if not asked.named and asked.intent in ("", "when", "where", "quality"):
                not_examined, of_file = _not_examined(asked.unexamined), whether.of_file(self.report)
                if of_file:  # then the report does say something of it
                    not_examined = not_examined.removesuffix(_NOTHING)
                return Answer(f"{not_examined}{of_file}", None, intent="unexamined")
        elif asked.unexamined not in (None, patterns.ADDED):
            return Answer(_not_examined(asked.unexamined), None, intent="unexamined")
        asked.stretch = times.stretch_asked_for(asked.question, moments.seconds_of(self.report)) if self._film else None
        if asked.intent in ("verdict", "made") and asked.stretch is None and (thing := questions.thing(asked.question)):
            return Answer(self._no_face(thing), None, intent="unexamined")
        return None

    def _of_several(self, asked: _Asked) -> Answer | None:
        """About several people, or a region of each."""
        n, meant = len(self.report.people), asked.meant or ()
        if of_each := self._of_each_person(asked.question, asked.named, meant):
            return of_each
        if len(meant) > 1 and all(0 <= person < n for person in meant):
            return self._faces(meant)
        if n < 2 or not meant or asked.named:
            return None
        # "Is everybody real but the left one?", "Is only the left one fake?"
        of_all = asked.intent == "which" or questions.of_nothing_else(asked.question)
        return self._which_faces() if of_all else None

    def _of_one(self, asked: _Asked) -> Answer | None:
        """Speak of the person who is meant, and of the regions spoken of before where the question points back."""
        if asked.meant is not None:
            n = len(self.report.people)
            try:
                self.choose(next((person for person in asked.meant if person >= n), asked.meant[0]))
            except InputError as error:
                return Answer(str(error), None, intent="faces")
        back = questions.points_back(asked.question) or asked.intent == "why"
        if not asked.named and self._spoken_of and asked.intent in _OF_A_PLACE and back:
            asked.named = self._spoken_of
            if asked.intent == "why":
                return whether.because(self._whom, asked.named)
        return None

    def _of_moments(self, asked: _Asked) -> Answer | None:
        """What was seen at moments of a film, and when its regions show signs."""
        face = self._person
        if not face.timeline:
            return None
        named_in_time = times.moments_asked_for(asked.question) or times.frames_asked_for(asked.question)
        if asked.stretch is not None or named_in_time:
            self._moment = asked.stretch or self._span(asked.question)
            if asked.meant is None and not self._chosen and self._moment is not None:
                seen = moments.seen(self.report, *self._moment)
                if seen and seen != (self.face,):
                    return self._of_all_seen(seen, asked)
            answer = moments.in_time(self.report, face, asked.stretch, asked.named, asked.question)
        elif asked.named and asked.intent == "when":
            answer = moments.when_at(face, asked.named)
        else:
            return None
        self._spoken_of = asked.named
        return self._with_who_is_meant(answer)

    def _of_all_seen(self, which: Sequence[int], asked: _Asked) -> Answer:
        """What was seen at a moment that is named, of each who was there then."""
        parts = [
            moments.in_time(self.report, self.report.people[i], asked.stretch, asked.named, asked.question)
            for i in which
        ]
        texts = [f"Person {i + 1}: {lower(part.text)}" for i, part in zip(which, parts, strict=True)]
        self._spoken_of = asked.named
        return Answer(" ".join(texts), *of_parts(parts), asked.named, "when")

    def _span(self, question: str) -> tuple[float, float] | None:
        """The first and the last second that a question names, also by frames."""
        medium = self.report.medium
        frames = times.frames_asked_for(question) if medium is not None and medium.fps else ()
        seconds = [*times.moments_asked_for(question)]
        seconds += [
            (number if number >= 0 else medium.frames - 1) / medium.fps for number in frames if medium and medium.fps
        ]
        return (min(seconds), max(seconds)) if seconds else None

    def _of_regions(self, asked: _Asked) -> Answer | None:
        """About regions of the face."""
        of_these = ("faces", "signs")  # "Which is more suspicious, the nose or the mouth?"
        if not asked.named or asked.intent not in (*_OF_A_PLACE, *of_these):
            return None
        self._spoken_of = asked.named
        if questions.of_sight(asked.question):
            return Answer(where.in_sight(self._person, asked.named), None, regions=tuple(asked.named), intent="quality")
        if asked.intent == "quality":  # "Is the mouth blurred?"
            quality = whether.quality(self._whom, asked.question)
            which = listed([f"the {regions.title(name)}" for name in asked.named])
            return replace(quality, text=f"That was not measured of {which} alone. {quality.text}")
        answer = where.about_regions(self._person, asked.named, asked.question)
        if questions.of_a_side_seen(asked.question, asked.named):
            answer = replace(answer, text=f"{answer.text} {advice.SIDES}")
        if questions.of_nothing_else(asked.question) and answer.label == "fake":
            answer = replace(answer, text=where.and_elsewhere(self._person, asked.named, answer.text))
        return self._with_who_is_meant(answer)

    def _of_the_verdict(self, asked: _Asked) -> Answer | None:
        """Which verdict was given, and the one on a picture of several people."""
        if asked.intent == "verdict" and questions.of_verdict(asked.question):
            return whether.which_verdict(self._whom, asked.question, not self._chosen)
        if asked.meant is not None:
            asked.intent = asked.intent or "verdict"  # "And the left one?"
        elif asked.intent == "verdict" and len(self.report.people) > 1 and self._asks_of_picture(asked.question):
            return self._picture(asked.question)
        return None

    def _asks_of_picture(self, question: str) -> bool:
        """Whether a question is about the picture as a whole; of all it may be while nobody was spoken of."""
        if questions.of_picture(question):
            return True
        names_it = re.search(r"\b(picture|photo\w*|image|shot)s?\b", question, re.I)
        return not self._chosen and (questions.of_all(question) or bool(names_it))

    def _of_both_sides(self, asked: _Asked) -> Answer | None:
        """What speaks for either side, also where one was to be proved."""
        face = self._person
        if questions.demands(asked.question) and (side := questions.supposed(asked.question)) is not None:
            return self._with_who_is_meant(whether.both(self._whom, side))
        supposes = asked.intent in ("suppose_real", "suppose_fake")
        if asked.intent == "sides" or (supposes and any(cases(t) for t in face.verdict.testimonies)):
            return self._with_who_is_meant(whether.both(self._whom, None, asked.intent))
        return None

    def _of_the_face(self, asked: _Asked) -> Answer:
        """About the face as a whole, by what is asked for; the last stage."""
        say = self._when if asked.intent == "when" else whether.ANSWERS.get(asked.intent)
        if say is None:  # without an English word it is of a language that has no small ones here
            can = CAN_ASK if spelling.has_english(asked.question) else ENGLISH_ONLY
            return Answer(f"I did not understand that. {can}", None, intent="unknown")
        answer = say(self._whom, asked.question)
        if (side := questions.granted(asked.question)) is not None and side != self._person.verdict.label:
            granted = f"The question takes for granted that the face is {side}, which is not the verdict."
            answer = replace(answer, text=f"{granted} {answer.text}")
        return self._with_who_is_meant(answer)

    def _of_each_person(self, question: str, named: Sequence[str], meant: Sequence[int] | None) -> Answer | None:
        """About a region of several people, "Are all the noses real?", "Whose nose is fake?"; else None."""
        n = len(self.report.people)
        if not named or n < 2 or not (questions.of_everybody(question, named) or (meant and len(meant) > 1)):
            return None
        which = range(n) if not meant else [person for person in meant if person < n]
        parts = [where.about_regions(self.report.people[i], named, question) for i in which]
        texts = [
            f"{someone(self._film).capitalize()} {i + 1}: {lower(a.text)}" for i, a in zip(which, parts, strict=True)
        ]
        return Answer(" ".join(texts), *of_parts(parts), tuple(named), "region")

    def _worded(self, question: str, own: Answer, backend: others.Backend, hear: Hear | None) -> Answer:
        """The model's words to the question, held to what the evidence alone would say (`own`)."""
        face = self._person
        messages = [{"role": "system", "content": others.evidence(face)}]
        for earlier, answered in self.turns[-_REMEMBERED:]:
            messages += [{"role": "user", "content": earlier}, {"role": "assistant", "content": answered.text}]
        messages.append({"role": "user", "content": question})
        images = () if self.clip is None else (self.clip.at(face.face.at).pixels,)
        try:
            words = others.words_of(backend, messages, images, hear)
        except BackendError as error:
            return replace(own, problem=str(error))
        notes = others.parting("The language model", others.label_of(words, None, question), words, own, face)
        return replace(own, text=others.with_notes(words, notes), notes=notes)

    def _testified(
        self,
        question: str,
        own: Answer,
        witness: others.Answering,
        clip: Clip,
        hear: Hear | None,
        places: Sequence[Place] = (),
    ) -> Answer:
        """The answer from the evidence and, beside it, the witness's own words, held to that answer."""
        face, name = self._person, visible(witness.name)
        history = [
            Turn(earlier, answered.text if answered.reply is None else answered.reply.text)
            for earlier, answered in self.turns[-_REMEMBERED:]
        ]
        if hear is not None:
            hear(f"{own.text}\n{name}: ")
        # what somebody points at goes on as it is: a box is more than the regions in it. A place around most of the
        # face is about the face, for the witness as well: of all of it nobody learned to say yes or no
        given = () if own.intent == "verdict" else tuple(places)
        pointing = Question(question, given or pointed.placed(face, own.regions))
        try:
            reply = others.reply_of(witness, face.track, clip, pointing, history, hear)
        except BackendError as error:
            return replace(own, problem=str(error))
        words = reply.text.strip()
        # what it notes of its own words (its text, mask and score quarrel) is as much the answer as they are
        parting = others.parting_of_a_reply(f"The witness {name}", reply, pointing, own, face)
        notes = tuple(dict.fromkeys((*map(visible, reply.notes), *parting)))
        attributed = f"{name}: {words or '(no words)'}"
        text = f"{own.text}\n{others.with_notes(attributed, notes)}"
        return replace(own, text=text, notes=notes, witness=name, reply=reply)

    def choose(self, face: int) -> None:
        """Speak of this face from now on; the first is 0.

        Args:
            face: Number of the face, from 0.

        Raises:
            InputError: Where there is none such.
        """
        if not 0 <= face < len(self.report.people):
            raise InputError(self._no(f"{someone(self._film)} {face + 1}"))
        self.face, self._chosen, self._spoken_of = face, True, ()

    def place(self, name: str) -> Place:
        """A region of the face that is spoken of, as a place that a question can point at.

        Args:
            name: Name of a region of the tree.

        Raises:
            UnknownName: There is no such region.
            InputError: Nobody was examined, or the region cannot be placed: no mesh, or outside the picture.
        """
        if name not in regions.REGIONS:
            raise UnknownName("region", name, regions.REGIONS, regions.LISTED)
        if not self.report.people:
            raise InputError("expected a face to point at, got a picture without one")
        places = pointed.placed(self._person, [name])
        if not places:
            raise InputError(
                f"expected a region that can be placed, got the {regions.title(name)}: the face has no mesh, or the "
                "region lies outside the picture. Point with a box or a click instead."
            )
        return places[0]

    def off(self, places: Sequence[Place]) -> str:
        """What of these places lies on no face that was examined, in a sentence; empty where all of them are on one.

        Args:
            places: That a question points at.
        """
        boxes = [person.face.box for person in self.report.people]
        off = [place for place in places if not any(pointed.shared(box, place.box) > 0 for box in boxes)]
        if not off:
            return ""
        faces = "; ".join(pointed.from_to(box) for box in boxes)
        meant = _capital(listed(map(pointed.in_pixels, off)))
        are, there = "is" if len(off) == 1 else "are", "face is" if len(boxes) == 1 else "faces are"
        return f"{meant} {are} on no face that was examined: the {there} at {faces}."

    def apart(self, places: Sequence[Place], face: int | None = None) -> str:
        """Which face each place is on, in a sentence, where that is not one face; empty where it is.

        Args:
            places: That a question points at.
            face: Whom the question is about, from 0; None for whoever is pointed at.
        """
        on = {i: place for place, i in zip(reversed(places), reversed(self._on(places)), strict=True) if i is not None}
        if len({*on, *(() if face is None else (face,))}) < 2:
            return ""
        if face is not None and face not in on:
            named = f"the question is about face {face + 1}"
        else:
            named = "a question is about one face"
        there = [f"{pointed.in_pixels(place)} is on face {i + 1}" for i, place in sorted(on.items())]
        return f"{_capital(listed(there))}, and {named}. Ask about each by itself."

    def _on(self, places: Sequence[Place]) -> list[int | None]:
        """Whose face each place is on; None for a place on nobody's.

        The one that shares most with it; of whom was spoken where a region is named, which was placed on that face, or
        where the place is about as much on theirs.
        """
        numbers: list[int | None] = []
        for place in places:
            shares = [pointed.shared(person.face.box, place.box) for person in self.report.people]
            most = max(range(len(shares)), key=shares.__getitem__)
            own = shares[self.face] if self._chosen or place.region is not None else 0.0
            if own > 0 and (place.region is not None or own >= shares[most] / 2):
                most = self.face
            numbers.append(most if shares[most] > 0 else None)
        return numbers

    def _pointed(self, places: Sequence[Place]) -> tuple[str, ...] | None:
        """Speak of the person that places are on, and of the regions there; None where they are on nobody."""
        people = self.report.people
        on = [i for i in self._on(places) if i is not None]
        if not on:
            return None
        if on[0] != self.face:
            self.choose(on[0])
        self._chosen = True
        face = people[self.face]
        self._spoken_of = tuple(dict.fromkeys(name for place in places for name in pointed.regions_at(face, place)))
        return self._spoken_of

    def _with_who_is_meant(self, answer: Answer) -> Answer:
        """The answer with what it leaves open where several people are there and nobody said which one is meant."""
        if self._chosen or answer.label is None:
            return answer
        counts = self.report.verdict.reasons[:1] if self.report.verdict is not None else ()
        which = f"This is about {self._whom.name[:1].lower()}{self._whom.name[1:]}, the likeliest to be forged."
        return replace(answer, text=" ".join([answer.text, which, *counts]))

    def _meant(self, question: str, named: Sequence[str]) -> tuple[int, ...] | None:
        """The people a question names; empty where it cannot be told who is meant."""
        faces = [person.face for person in self.report.people]
        spoken_of = self.face if self._chosen or self.turns else None
        frame = faces[0].at
        meant = people.meant(question, [f.box for f in faces], frame.width, frame.height, spoken_of, bare=not named)
        if meant is None and len(faces) > 1 and questions.names_somebody(question):
            return ()
        if meant and len({face.at.index for face in faces}) > 1 and not people.numbered(question):
            return ()  # in a film these boxes are of different moments: who is on the right there says nothing
        return meant

    def _no(self, what: str) -> str:
        """That somebody who is asked about is not there: how many are, so there is no such one."""
        n = len(self.report.people)
        there = f"{'no' if n == 0 else 'one' if n == 1 else n} {someone(self._film, max(1, n))}"
        return f"There {'are' if n > 1 else 'is'} {there} in this {self._medium}, so there is no {what}."

    def _ask_back(self) -> str:
        n = len(self.report.people)
        who = someone(self._film)
        if n == 1:
            return (
                f"I cannot tell whether the one {who} that was found is the one that is meant. Say {who} 1 if it is; "
                "nobody else was found."
            )
        return (
            f"I cannot tell which {who} is meant. Say {who} 1 {'or' if n == 2 else '…'} {who} {n}; they "
            f"are numbered {self._order}. What people look like was not examined."
        )

    def _no_face(self, thing: str) -> str:
        """That nothing is said of what is no face, or may be a person whose name or trade nobody examined."""
        n, who = len(self.report.people), someone(self._film)
        numbers = f"{who} 1" if n == 1 else f"{who} 1 {'or' if n == 2 else '…'} {who} {n}"
        return f"Only faces are examined: nothing is said about the {thing}. If a person is meant, say {numbers}."

    @property
    def _whom(self) -> whether.Whom:
        """Who is spoken of, as answers about them take it; of a report without people it knows the file alone."""
        return whether.Whom(self.report, self.face)

    @property
    def _person(self) -> PersonReport:
        return self._whom.person

    @property
    def _film(self) -> bool:
        return self._whom.is_film

    @property
    def _medium(self) -> str:
        return self._whom.medium

    @property
    def _order(self) -> str:
        return "by how long they are seen" if self._film else "left to right, top to bottom"

    # ------------------------------------------------------------------------------------------ one method an intent

    def _picture(self, question: str) -> Answer:
        """The verdict on a picture of several people."""
        verdict = self.report.verdict
        if verdict is None:
            return self._which_faces()
        lead = whether.excluded(question, verdict.label)
        begin = {
            "fake": f"{lead or questions.yes_or_no(question, forged=True)}The {self._medium} has a "
            f"{someone(self._film)} that is judged fake.",
            "real": f"{lead or whether.AS_SEEN[questions.yes_or_no(question, forged=False)]}{WORDS['real'][0]}. "
            f"{of_medium(NO_PROOF, self._film)}",
            "inconclusive": "That cannot be decided.",
        }[verdict.label]
        text = f"{begin} {' '.join(verdict.reasons)}".strip()
        return Answer(f"{text}{whether.edits(self.report, question)}", verdict.label, intent="picture")

    def _again(self, question: str) -> Answer:
        """What was answered last."""
        if not self.turns:
            return Answer(f"Nothing was asked before. {CAN_ASK}", None, intent="again")
        return Answer(self.turns[-1][1].text, None, intent="again")

    def _self(self, question: str) -> Answer:
        """Who answers, and what it can answer."""
        version = self.report.made_by.get("version")
        made = f"facewitness {visible(str(version))}" if version else "facewitness"
        worded = "" if self.backend is None else " A language model words the answers."
        text = f"I answer from the report of {made} and from nothing else.{worded} {CAN_ASK}"
        if re.search(r"\b(?:regions|parts|places)\b", normal(question)):
            text += f" Regions are: {listed(map(regions.title, regions.MARE))}, and parts of these."
        return Answer(text, intent="self")

    def _examined(self, question: str) -> Answer:
        """What was looked at, by whom, and what was not."""
        names = [visible(str(one.get("name", ""))) for one in whether.described(self.report)]
        n = len(self.report.people)
        text = f"One {someone(self._film)} was examined" if n == 1 else f"{n} {someone(self._film, n)} were examined"
        text += f" by {listed(names)}." if names else "."
        if re.search(r"\bwhen\b", normal(question)):
            text += " When that was does not stand in the report."
        rest = listed(name for name in (*patterns.UNEXAMINED, patterns.LOOKS) if name != patterns.PHOTOGRAPH)
        return Answer(f"{text} Not examined: {rest}.", intent="examined")

    def _content(self, what: str, meant: Sequence[int] | None) -> str:
        """That nobody looked whether somebody was put in, left out or is one and the same, and what each face gave."""
        n = len(self.report.people)
        which = [i for i in meant or () if 0 <= i < n]
        faces = self._faces(which or None).text.removesuffix(" Who they are is not examined.")
        put = " A face that was put in as it is shows no sign of forgery." if what == patterns.ADDED else ""
        return f"{_not_examined(what)} {faces}{put}{whether.of_file(self.report)}"

    def _file(self, question: str) -> Answer:
        """What the file is, and what it says of itself, as the witnesses that look at files found it."""
        claims, n = [finding.claim for finding in self.report.findings], whether.CLAIMS
        if claims:
            first = " ".join(claims[:n])
        elif self.report.inspections:
            first = "Nothing was found that the file says of itself."
        else:
            first = "What the file says of itself was not examined."
        more = f" {len(claims) - n} more such statements are in the report." if len(claims) > n else ""
        if claims and questions.of_camera(question) and not any(_OF_CAMERA.search(claim) for claim in claims):
            first = f"Nothing of a camera or a program was found in it (EXIF). {first}"
        facts = f"{self._facts()} " if questions.of_facts(question) else ""
        original = "Whether this is the original nobody can tell from it. " if questions.of_original(question) else ""
        text = f"{facts}{original}{first}{more} {_OF_ITSELF}"
        return Answer(text, None, tuple(self.report.findings[:n]), intent="file")

    def _facts(self) -> str:
        """The file's name, size and hash, as far as the report has them."""
        medium = self.report.medium
        size = "" if medium is None else f": {medium.width:,} × {medium.height:,} pixels"
        digest = "" if self.report.sha256 is None else f" SHA-256: {self.report.sha256}."
        return f"{visible(self.report.source)}{size}.{digest} Its format and its bytes do not stand in the report."

    def _photograph(self) -> str:
        """Whether it is a photograph, as far as that was measured."""
        sentences = {
            reason: f"Face {number}: {reason}" if len(self.report.people) > 1 else reason
            for number, person in enumerate(self.report.people, start=1)
            for reason in person.verdict.reasons
            if person.verdict.cause == "drawn" and reason in drawn.SENTENCES
        }
        screens = [note for note in self.report.notes if note.startswith(media.SCREEN)]
        return (
            " ".join((*sentences.values(), *screens))
            or f"Whether it is a photograph was not examined, but for {drawn.TOLD}"
        )

    def _when(self, whom: whether.Whom, question: str) -> Answer:
        self._moment = moments.spoken_of(whom.person, question) or self._moment
        return moments.when(self.report, whom.person, question)

    def _length(self, question: str) -> Answer:
        return moments.length(self.report)

    def _faces(self, which: Sequence[int] | None = None) -> Answer:
        n = len(self.report.people)
        places = "; ".join(
            f"{someone(self._film)} {i + 1}: {WORDS[self.report.people[i].verdict.label][0].lower()}, "
            f"{odds(self.report.people[i].verdict)}"
            for i in (range(n) if which is None else which)
        )
        if which is not None:
            return Answer(f"{_capital(places)}.", None, intent="faces")
        who = someone(self._film, n)
        answer = f"One {who} was found" if n == 1 else f"{n} {who} were found"
        order = "" if n == 1 else f", numbered {self._order}"
        return Answer(f"{answer}{order}: {places}. Who they are is not examined.", None, intent="faces")

    def _place_of_faces(self, meant: Sequence[int] | None, question: str) -> str:
        """Where faces lie in the picture, of those that are meant, or that have the verdict that is named."""
        people = self.report.people
        labels = questions.labels_named(question)
        which = [i for i in meant if i < len(people)] if meant else range(len(people))
        which = [i for i in which if not labels or people[i].verdict.label in labels]
        if not which:
            return f"No {someone(self._film)} was judged that." if labels else ""
        boxes = "; ".join(f"{someone(self._film)} {i + 1}: {pointed.from_to(people[i].face.box)}" for i in which)
        seen = " at the moment that stands for it" if self._film else ""
        return f"{_capital(boxes)}, in pixels from the upper left{seen}."

    def _place_of_regions(self, meant: Sequence[int] | None, names: Sequence[str]) -> Answer:
        """Where regions of the face lie in the picture; whether they are forged is another question."""
        which = meant[0] if meant and meant[0] < len(self.report.people) else self.face
        face = self.report.people[which]
        places = {place.region: place for place in pointed.placed(face, names)}
        boxes = [f"the {regions.title(name)}: {pointed.from_to(places[name].box)}" for name in names if name in places]
        lacking = [f"the {regions.title(name)}" for name in names if name not in places]
        who = f" of {someone(self._film)} {which + 1}" if len(self.report.people) > 1 else ""
        seen = " at the moment that stands for it" if self._film else ""
        sentences = [f"{_capital('; '.join(boxes))}{who}, in pixels from the upper left{seen}."] if boxes else []
        sentences += [f"Where {listed(lacking)} may be cannot be told on this face."] if lacking else []
        return Answer(" ".join(sentences), None, regions=tuple(names), intent="place")

    def _which_faces(self) -> Answer:
        """How many are fake, undecided and without a sign, and which."""
        n = len(self.report.people)
        if n == 1:
            return replace(whether.verdict(whether.Whom(self.report, 0), ""), intent="which")
        numbers: dict[Label, list[str]] = {"fake": [], "inconclusive": [], "real": []}
        for number, person in enumerate(self.report.people, start=1):
            numbers[person.verdict.label].append(str(number))
        parts = [
            f"{begin}: {f'{someone(self._film, len(which))} {listed(which)}' if which else 'none'}."
            for begin, which in (
                ("Judged fake", numbers["fake"]),
                ("Undecided", numbers["inconclusive"]),
                ("No sign of forgery found", numbers["real"]),
            )
        ]
        text = f"{' '.join(parts)} The {n} {someone(self._film, n)} are numbered {self._order}."
        if numbers["real"]:
            text += " No sign does not prove that a face is genuine."
        return Answer(text, None, intent="which")

    def _about_the_report(self, intent: str, question: str) -> Answer:
        """Questions about what the report means, what to do with it and what it does not know."""
        verdict = self.report.verdict
        stands = whether.said_by_the_file(self.report) or advice.STANDS[None if verdict is None else verdict.label]
        steps = advice.steps(any(person.findings for person in self.report.people))
        person = self._person if self.report.people else None
        here = ""
        if person is not None:
            here = f"{self._whom.name}: {WORDS[person.verdict.label][0].lower()}, {odds(person.verdict)}."
        match intent:
            case "means":
                parts = [self._meaning(question, here)]
            case "left":
                n = len(self.report.people)
                who = someone(self._film, n).capitalize()
                parts = [advice.SIDES, f"{who} are numbered {self._order}." if n > 1 else ""]
            case "files":
                parts = [advice.FILES]
            case "next":
                parts = [steps, stands]
            case "others":
                parts = [here or stands, advice.OTHERS]
            case "mind":
                parts = [here or stands, advice.MIND]
            case "groups":
                parts = [*(s for one in whether.described(self.report) for s in known(one, ("groups",)))]
                parts = parts or ["Errors by groups of people were not measured, or do not stand in this report."]
            case "word":
                label = None if verdict is None else verdict.label
                fakes = [p.verdict for p in self.report.people if p.verdict.label == "fake" and p.verdict.fake]
                surest = max(fakes, key=lambda v: v.fake or 0.0, default=None)
                by = f"facewitness {visible(str(self.report.made_by.get('version', '')))}".strip()
                if label == "fake" and surest is None:
                    parts = [stands, advice.YOURS]
                else:
                    chances = "" if surest is None else percent(surest.fake or 0.0)
                    parts = [advice.wording(label, by, chances, len(self.report.people))]
            case _:
                law = advice.NO_LAWYER if _LEGAL.search(normal(question)) else ""
                parts = [law, advice.YOURS, stands, steps]
        return Answer(of_medium(" ".join(filter(None, parts)), self._film), None, intent=intent)

    def _meaning(self, question: str, here: str) -> str:
        """What a word means; where "that" is asked about, the verdict stands beside it."""
        meaning = advice.meaning(question)
        if meaning is None:
            return f"I cannot explain that word. {CAN_ASK}"
        text = normal(question)
        limits = limits_of(self._person.verdict) if self.report.people else None
        if limits is not None and re.search(r"\bthresholds?\b|^(?:but |and |so )?why \d", text):
            meaning += f" {self._whom.name} is judged by {limits[0]} and {limits[1]}."
        elif re.search(r"\b(?:that|this|it|%|per ?cent)\W* (?:\w+ )?means?\b|^is\b", text):
            meaning = f"{meaning} {here}".strip()
        return meaning


_OF_THE_REPORT = ("means", "left", "files", "next", "word", "others", "mind", "groups", "publish")
_LEGAL = re.compile(
    r"\b(?:court|(?:il)?legal\w*|lawyers?|jury|judge|admissib\w+|crimes?|criminal|defam\w+|libel\w*|slander\w*|"
    r"lawsuit|prosecut\w+|police|consent|sued?|evidence)\b"
)
_OF_CAMERA = re.compile(r"\b(?:EXIF|cameras?|taken|software|program|metadata)\b")
_OF_ALL = ("verdict", "picture", "which", "made", "sure", "why", "kind", "no_face")  # what the file may decide
_OF_SOMEBODY = ("who it is", patterns.SAME)
_OF_A_PLACE = ("", "verdict", "why", "where", "sure", "quality", "made")
_OF_CONTENT = ("", "verdict", "which", "faces", "where", "when", "made", "kind", "signs")


_NOTHING = " The report says nothing about that."


def _not_examined(what: str) -> str:
    """The answer about what nobody looked at."""
    one = what in ("the background", "the body") or what.startswith(("who", "where", "how", "whether"))
    were = "was" if one else "were"
    return f"{_capital(what)} {were} not examined: only faces are.{_NOTHING}"


def _with_its_place(answer: Answer) -> str:
    """An answer about one region among others, with that region before it."""
    if answer.intent != "region" or len(answer.regions) != 1 or answer.text.startswith("Read as"):
        return answer.text
    return f"{_capital(regions.title(answer.regions[0]))}: {lower(answer.text)}"


# ----------------------------------------------------------------------------------------------------------- wording


def as_reply(answer: Answer) -> Reply:
    """The answer as `scores/` judge it.

    Args:
        answer: What the dialogue answered.
    """
    return Reply(answer.label, None, (answer.text,), answer.findings)
