"""What others say beside the evidence: a witness or a language model is asked, and its words are held to it.

    witness.answer(track, clip, question)     a witness replies in its own words (`Answering`)
    backend.ask(messages)                     a language model words the answer from the evidence it gets (`Backend`)

What they say is read by `grammars/yes_no`. Where it contradicts the evidence, or names a place that nothing points to,
`parting` says so in sentences. The label stays the evidence's; who fails costs their words, not the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Protocol

from facewitness import plugins, questions, regions
from facewitness.answers import Answer, covers, in_words, regions_of, titled
from facewitness.errors import BackendError, FacewitnessError
from facewitness.phrases import KIND_WORDS, listed, odds, percent, places_of, visible
from facewitness.types import Clip, Hear, Label, PersonReport, Pixels, Question, Reply, Track, Turn


class Backend(Protocol):
    """What `load` of a leaf of `backends/` gives."""

    def ask(self, messages: Sequence[Mapping[str, str]], images: Sequence[Pixels] = ()) -> str:
        """The model's words.

        Args:
            messages: The conversation, each message with `role` and `content`.
            images: Pictures that belong to the last message, RGB uint8 (H, W, 3).

        Raises:
            BackendError: It cannot answer.
        """
        ...


class Answering(Protocol):
    """A witness that can be asked."""

    name: str

    def answer(
        self, track: Track, clip: Clip, question: Question, history: Sequence[Turn] = (), hear: Hear | None = None
    ) -> Reply:
        """Its reply to a question about a person.

        Args:
            track: One person's faces.
            clip: The file's pixels; a photo is a clip of one frame.
            question: The question in words, and the places it points at.
            history: Earlier questions with their replies, oldest first.
            hear: Is called with each piece of the reply as it comes; None to wait for the whole.

        Raises:
            BackendError: It cannot answer.
        """
        ...


def can_answer(witness: object) -> bool:
    """Whether a witness can be asked: it has `answer`, and does not say that it has nobody to ask.

    Args:
        witness: A loaded witness.
    """
    return callable(getattr(witness, "answer", None)) and bool(getattr(witness, "answers_questions", True))


def evidence(face: PersonReport) -> str:
    """The system's message: the task, and the evidence on one face (KFD's task description and detector result).

    Args:
        face: One person of the report.
    """
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
    lines += [f"Found at the {places_of(f)}: {in_words(f)}" for f in face.findings] or ["No place is named."]
    if face.kind is not None and verdict.label == "fake":
        lines.append("Kind: " + ", ".join(f"{KIND_WORDS[name]} {percent(p)}" for name, p in face.kind.items()) + ".")
    return "\n".join(lines)


def words_of(
    backend: Backend, messages: Sequence[Mapping[str, str]], images: Sequence[Pixels], hear: Hear | None
) -> str:
    """A language model's whole answer; `hear` is given its pieces as they come, where the backend can stream.

    Args:
        backend: The language model.
        messages: The conversation, as `Backend.ask` takes it.
        images: Pictures that belong to the last message, RGB uint8 (H, W, 3).
        hear: Is called with each piece; None to wait for the whole.

    Raises:
        BackendError: It cannot answer, fails, or says something that is no text.
    """
    if hear is None or not hasattr(backend, "stream"):
        return _worded(backend, lambda: backend.ask(messages, images))
    sentences = []
    with closing(backend.stream(messages, images)) as pieces:  # whatever ends the hearing stops the model too
        while piece := _worded(backend, lambda: next((piece for piece in pieces if piece != ""), "")):
            hear(piece)
            sentences.append(piece)
    return "".join(sentences).strip()


def _worded(backend: Backend, ask: Callable[[], object]) -> str:
    """What a backend says; a fault of its code costs its words, not the answer.

    Raises:
        BackendError: It cannot answer, fails, or says something that is no text.
    """
    name = visible(str(getattr(backend, "name", type(backend).__name__)))
    try:
        words = ask()
    except FacewitnessError:
        raise
    except Exception as error:  # perhaps a stranger's code
        raise BackendError(f"The backend {name} could not answer: {type(error).__name__}: {error}.") from error
    if not isinstance(words, str):
        raise BackendError(f"The backend {name} failed. Expected a text, got {type(words).__name__}.")
    return words


# "No, the chin is genuine": what is stated counts, whichever way the question was put that the no answers
_STATED = re.compile(
    r"\W*(?:yes|no)\W+(?:the|this|that|it|his|her|their)\b[\w' -]{0,40}?\b(?:is|are|looks?)\s+"
    r"(?:(genuine|real|authentic|untouched|unaltered)|fake|forged|manipulated|altered)\b",
    re.IGNORECASE,
)


def label_of(words: str, label: Label | None, question: str) -> Label | None:
    """What words say of the face: `label`, if they were read already, else as they read.

    To "is it genuine?" a yes says real and a no fake: the grammar's yes is that of "is it fake?". A yes or no that is
    followed by a statement says what that states.

    Args:
        words: Of a witness or a language model.
        label: What its words were read as, if somebody did.
        question: What was asked.
    """
    if (stated := _STATED.match(words)) is not None:
        return "real" if stated[1] else "fake"
    first = re.match(r"\W*(yes|no)\b", words, re.IGNORECASE)
    if label is None or first:
        label = plugins.get("grammars", "yes_no").parse(words).label
    if first and label in ("real", "fake") and questions.yes_or_no(question, forged=True) == "No. ":
        return "fake" if label == "real" else "real"
    return label


def reply_of(
    witness: Answering, track: Track, clip: Clip, question: Question, history: Sequence[Turn], hear: Hear | None
) -> Reply:
    """What a witness replies.

    Args:
        witness: Who is asked.
        track: The person's faces.
        clip: The file's pixels.
        question: In words, with the places it points at.
        history: Earlier questions with their replies, oldest first.
        hear: Is called with each piece of the reply; None to wait for the whole.

    Raises:
        BackendError: It cannot answer, replies with something else, or fails: a fault of another package's witness
            costs its words, not the answer.
    """
    name = visible(witness.name)
    try:
        reply = witness.answer(track, clip, question, history, hear)
    except BackendError:
        raise
    except Exception as error:
        raise BackendError(f"The witness {name} could not answer: {type(error).__name__}: {error}.") from error
    if not isinstance(reply, Reply):
        raise BackendError(f"The witness {name}: expected a Reply, got {type(reply).__name__}.")
    return reply


def parting_of_a_reply(who: str, reply: Reply, question: Question, own: Answer, face: PersonReport) -> tuple[str, ...]:
    """Where a witness's reply and the evidence part, in sentences.

    Args:
        who: The witness, as a sentence begins.
        reply: What it said.
        question: What it was asked, and the places pointed at.
        own: The answer from the evidence.
        face: The person.
    """
    words = reply.text.strip()
    label = label_of(words, reply.label, question.text) if words else reply.label
    of_the_place = _parting_at_a_place(who, label, reply, own) if question.places else None
    if of_the_place is not None:
        label = None  # a yes or no about a place is none about the face
    pointed = [place.region for finding in reply.findings for place in finding.places if place.region is not None]
    return (*(of_the_place or ()), *parting(who, label, words, own, face, pointed))


def _parting_at_a_place(who: str, label: Label | None, reply: Reply, own: Answer) -> tuple[str, ...] | None:
    """Where a yes or no about a place and the evidence there part; None where it is held to the face's verdict."""
    if label in ("real", "fake") and own.intent == "region" and own.label is None:
        calls = "genuine" if label == "real" else "forged"
        return (f"{who} calls a place {calls} of which the evidence can say nothing.",)
    if reply.label is None and label == "real" and own.label != "fake":
        named = dict.fromkeys(f.region for f in own.findings if f.region is not None)
        if reply.findings or not named:
            return ()
        return (f"{who} says no of a place where the evidence names the {listed(map(titled, named))}.",)
    if label == "fake" and own.intent == "region" and own.label in ("real", "inconclusive"):
        what = "nothing" if own.label == "real" else "nothing that decides"
        return (f"{who} says yes of a place where the evidence names {what}; the evidence stands.",)
    return None


def parting(
    who: str, label: Label | None, words: str, own: Answer, face: PersonReport, pointed: Sequence[str] = ()
) -> tuple[str, ...]:
    """Where somebody's words and the evidence part, in sentences: another label, and places nothing points to.

    Args:
        who: Who said them, as a sentence begins.
        label: What they say of the face; None for nothing.
        words: What they said.
        own: The answer from the evidence.
        face: The person.
        pointed: Regions that they point at besides those in the words.
    """
    notes = []
    if label is not None and own.label is not None and label != own.label:
        notes.append(f"{who} says {label}; the evidence says {own.label}, and the evidence stands.")
    supported = regions_of(face.findings) | set(own.regions)
    loose = [name for name in dict.fromkeys((*_accused(words), *pointed)) if not covers(supported, name)]
    if loose and "face" not in supported:
        notes.append(f"Nothing in the evidence points to the {listed(map(titled, loose))}.")
    return tuple(notes)


def with_notes(words: str, notes: Sequence[str]) -> str:
    """Words with notes behind them, each in brackets.

    Args:
        words: What somebody said.
        notes: What is said of that.
    """
    return " ".join([words, *(f"[{note}]" for note in notes)])


_DENIES = re.compile(r"\b(no|not|never|without|nothing|neither|nor|free of)\b|n['’]t\b", re.IGNORECASE)


def _accused(text: str) -> tuple[str, ...]:
    """MARE's names of the regions a text speaks of in sentences that deny nothing and call nothing real."""
    sentences = [s for s in re.split(r"(?<=[.;!?])\s", text) if not _DENIES.search(s) and not questions.asks_real(s)]
    return tuple(
        dict.fromkeys(name for sentence in sentences for name in regions.mentioned(sentence) if name != "skin")
    )
