"""FFAA: what would each hypothesis say? An answer without one and one under each, and the best of the three is chosen.

Huang et al., "FFAA: Multimodal Large Language Model based Explainable Open-World Face Forgery Analysis Assistant". A
face is asked about three times: plainly, supposing that it is fake, supposing that it is real. A judge of answers
(MIDS, `models/mids`) gives each a match score with the picture, and the answer with the highest stands; the others are
in `Testimony.considered`, so that a report can show the case for each side and why one won. A face on which all three
agree is easy, any other hard (`models/deciding`); how certain either is judged was fitted on held-out faces.

Who answers
    backend     any of backends/: a server, a model of this machine
    language    a folder of `facewitness train sft` on FFAA's data, asked in its own wordings
    neither     the evidence alone: the strongest honest case for "genuine" and for "forged", made of what the witness
                `rests_on` and `portrait` measured, each clause with its place. Runs on a plain install
Who judges
    mids        what `facewitness train mids` made, for answers of a language model: an ONNX file of small encoders, or
                mids.safetensors of the published ones
    cases       `weights/ffaa_cases.onnx`, a fusion of 51 thousand numbers that reads the two cases of the evidence and
                a grid of the picture; beside the weights it was made with it was measured to help (runs/ffaa/cases.py)
    neither     the probability of the witness that it rests on: an answer fits as well as its verdict is probable

Where answers contradict, lack a verdict or cannot be had, the testimony says so: without any verdict there is no score.

What the judge of cases was measured to be worth beside the witness that it rests on stands in its file, and the card
says it: no better on held-out faces of known sources, and worse on others. Hard faces are right nearly as often as
easy ones there, so they are hardly judged less certain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, phrases, plugins, portrait, questions, weights
from facewitness.calibration import Calibration, logit, sigmoid
from facewitness.errors import BackendError, InputError, WeightsError
from facewitness.models import deciding
from facewitness.portrait import Portrait
from facewitness.types import (
    KINDS,
    Clip,
    Face,
    Finding,
    Hear,
    Mark,
    Pixels,
    Question,
    Reply,
    Testimony,
    Track,
    Turn,
)
from facewitness.witnesses import _cases

QUESTION = "Is the face in this picture real or fake? Explain how you come to that."
HYPOTHESIS = "This is a {label} human face. What evidence do you have?"  # the paper's hypothetical prompt
SIDES: tuple[Literal["real", "fake"], ...] = ("real", "fake")
LONGEST = 20_000  # characters of an answer that are read
CASES = "ffaa_cases.onnx"  # the judge of the evidence's two cases
# a hard face's log-odds are multiplied by this where no judge was fitted: ours, as no half of a face's answers is wrong
# for nothing
HARD = 0.75


class Language(Protocol):
    """What answers a question about a face."""

    def answer(self, crop: Pixels, question: str) -> str:
        """Its words on an upright crop, RGB uint8 (side, side, 3).

        Args:
            crop: An upright face, RGB uint8 (S, S, 3).
            question: The question in words.

        Raises:
            BackendError: It cannot answer.
        """


def load(
    backend: str | None = None,
    options: Mapping[str, Any] | None = None,
    language: str | Language | None = None,
    mids: str | None = None,
    rests_on: str = "compact",
    cases: bool = True,
    side: int = 224,
    margin: float = 1.3,
    device: str = "cpu",
    max_tokens: int = 512,
) -> FFAA:
    """The witness, ready to examine.

    Args:
        backend: A name of backends/ that answers; None for none.
        options: The backend's options.
        language: A folder that train/sft made, a hub name, or an object with `answer(crop, question) -> str`.
        mids: A judge of answers, of which there have to be some by a language model: an ONNX file, which reads them by
            MiniLM, or the .safetensors of one with published encoders, which reads them by its own.
        rests_on: The witness whose evidence the cases are made of.
        cases: Whether the shipped judge chooses between the cases of the evidence; it knows the default witness's.
        side: Pixels of the crop that a language model sees.
        margin: Side of the crop over the mesh's longer side.
        device: Torch's name of one, for `language`.
        max_tokens: Of an answer of `language`.

    Raises:
        InputError: For options that cannot be.
        UnknownName: For a part that does not exist.
        WeightsError: For a file that is none.
    """
    return FFAA(backend, options, language, mids, rests_on, cases, side, margin, device, max_tokens)


class FFAA:
    """One loaded witness. `examine` takes a face, of any finder."""

    name = "ffaa"

    def __init__(
        self,
        backend: str | None = None,
        options: Mapping[str, Any] | None = None,
        language: str | Language | None = None,
        mids: str | None = None,
        rests_on: str = "compact",
        cases: bool = True,
        side: int = 224,
        margin: float = 1.3,
        device: str = "cpu",
        max_tokens: int = 512,
    ):
        if backend is not None and language is not None:
            raise InputError("ffaa: expected a backend or a language model, got both; leave one out")
        if options and backend is None:
            raise InputError("ffaa: expected options of a backend, got no backend; name one with ffaa.backend=…")
        if mids is not None and backend is None and language is None:
            raise InputError("ffaa: expected somebody whose answers mids judges; name a backend or a language model")
        if rests_on == self.name:
            raise InputError("ffaa: expected another witness to rest on, got itself")
        for name, value in (("side", side), ("margin", margin), ("max_tokens", max_tokens)):
            if not 1 <= value < 1e5:
                raise InputError(f"ffaa: expected {name} of at least 1, got {value!r}")
        # the judge of cases learned from the mask of the default witness's own weights
        alone = {"places": False} if rests_on == "compact" else {}
        self._evidence: Any = plugins.get("witnesses", rests_on).load(**alone)
        self._side, self._margin = int(side), float(margin)
        self._backend: Any = None if backend is None else plugins.get("backends", backend).load(**dict(options or {}))
        self._language = _prompted(language, device, max_tokens) if isinstance(language, str) else language
        self._decider = None if mids is None else _decider(Path(mids), device)
        spoken = None if language is None else str(getattr(self._language, "name", language))
        self._options = {
            "backend": backend, "language": spoken,
            "mids": None if mids is None else Path(mids).name, "rests_on": rests_on, "cases": cases,
            "side": side, "margin": margin,
        }  # fmt: skip
        self._cases: deciding.Decider | None = None
        if cases and rests_on == "compact" and not self.answers_questions:
            self._cases = deciding.Decider(weights.read(CASES)[0], CASES)
        # the score is on the scale of whoever judges: the witness that it rests on, the judge of cases, or MIDS, of
        # which the last has no calibration
        own = getattr(self._evidence, "calibration", None)
        self._calibration = None if own is None else Calibration.from_json(own)
        self.calibration: Mapping[str, Any] | None = own if self._decider is None else None
        self.card: Mapping[str, str] | None = getattr(self._evidence, "card", None) if self._decider is None else None
        if self._cases is not None:
            self.calibration, self.card = self._cases.facts["calibration"], _card(self._cases.facts)

    def made_by(self) -> dict[str, Any]:
        """What it takes to run this witness again.

        Returns:
            JSON-ready.
        """
        below = self._evidence.made_by() if hasattr(self._evidence, "made_by") else {}
        files = dict(below.get("weights", {})) | dict(getattr(self._language, "weights", {}))
        files |= {one.name: one.sha256 for one in (self._decider, self._cases) if one is not None}
        backend = self._backend.made_by() if hasattr(self._backend, "made_by") else None
        return {"options": self._options, "weights": files, "backend": backend}

    @property
    def answers_questions(self) -> bool:
        """Whether there is a language model to ask."""
        return self._backend is not None or self._language is not None

    def examine(self, track: Track, clip: Clip) -> Testimony:
        """Testimony on one person: the chosen answer is the reply, the three are `considered`.

        Of a film's faces the one is asked about that can be judged best; there is no score over time.

        Args:
            track: One person's faces.
            clip: The file's pixels; a photo is a clip of one frame.
        """
        face = track.face
        testimony: Testimony = self._evidence.examine(replace(track, faces=(face,)), clip)
        pixels = clip.at(face.at).pixels
        seen = None if face.landmarks is None else portrait.measure(pixels, np.asarray(face.landmarks))
        probability = None if testimony.fake is None else self._probability(testimony.fake)
        clauses = _cases.clauses(testimony, probability, seen, face)
        problem = testimony.problem
        if self.answers_questions:
            try:
                replies = self._asked(pixels, face)
            except BackendError as error:
                replies = self._argued(clauses, seen, probability, testimony)
                problem = " ".join(
                    part for part in (problem, f"{error} The cases are from the evidence alone.") if part
                )
        else:
            replies = self._argued(clauses, seen, probability, testimony)
            if self._cases is not None and clauses and testimony.fake is not None:
                return self._judged(replies, clauses, testimony, pixels, face)
        return self._decided(replies, testimony, probability, pixels, face, problem)

    def answer(
        self, track: Track, clip: Clip, question: Question, history: Sequence[Turn] = (), hear: Hear | None = None
    ) -> Reply:
        """The language model's reply to a question; one that carries a hypothesis gets both hypotheses' answers.

        "Prove that this is fake" supposes its answer: it is asked plainly and under both hypotheses, and the reply is
        the answer that was chosen, with a first sentence that says so.

        Args:
            track: One person's faces.
            clip: The file's pixels; a photo is a clip of one frame.
            question: The question in words.
            history: Earlier questions with their replies, oldest first.
            hear: Is called with each piece of the reply as it comes; None to wait for the whole.

        Raises:
            BackendError: there is no language model, or it cannot answer.
        """
        if not self.answers_questions:
            raise BackendError("ffaa has no language model to ask. Name one: --option ffaa.backend=openai")
        face = track.face
        pixels = clip.at(face.at).pixels
        supposed = questions.supposed(question.text)
        if supposed is None:
            text = self._ask(self._crop(pixels, face), question.text)
            reply: Reply = plugins.get("grammars", "ffa_cot").parse(text)
            reply = replace(reply, label=reply.label)
        else:
            testimony = self.examine(track, clip)
            chosen = testimony.reply
            if chosen is None:
                raise BackendError(f"ffaa: no answer to a question that supposes its own. {testimony.problem}")
            opening = (
                f"The question supposes that the face is {supposed}, so it was asked under both hypotheses. "
                f"The answer that fits best says {chosen.label or 'neither'}.\n"
            )
            reply = replace(chosen, parts=(opening, *chosen.parts))
        if hear is not None:
            hear(reply.text)
        return reply

    # ---------------------------------------------------------------------------------------------------- three answers

    def _asked(self, pixels: Pixels, face: Face) -> tuple[Reply, ...]:
        """The anchor, then the answers under the opposite and under the same hypothesis."""
        crop = self._crop(pixels, face)
        grammar = plugins.get("grammars", "ffa_cot")
        anchor: Reply = grammar.parse(self._ask(crop, QUESTION)[:LONGEST])
        same: Literal["real", "fake"] = "real" if anchor.label == "real" else "fake"
        other: Literal["real", "fake"] = "fake" if same == "real" else "real"
        replies = [anchor]
        for hypothesis in (other, same):
            reply: Reply = grammar.parse(self._ask(crop, HYPOTHESIS.format(label=hypothesis))[:LONGEST])
            replies.append(replace(reply, hypothesis=hypothesis))
        return tuple(replies)

    def _ask(self, crop: Pixels, question: str) -> str:
        if self._language is not None:
            text = self._language.answer(crop, question)  # it was tuned on these very wordings
        else:
            prompt = plugins.get("grammars", "ffa_cot").prompt(question)
            text = self._backend.ask([{"role": "user", "content": prompt}], [crop])
        if not isinstance(text, str):
            raise BackendError(f"The language model: expected an answer in words, got {type(text).__name__}.")
        return text.strip().removeprefix(question)  # what repeats its question has not answered it yet

    def _crop(self, pixels: Pixels, face: Face) -> Pixels:
        at = face.landmarks if face.landmarks is not None else face.box
        affine = geometry.align(at, self._side, self._margin if face.landmarks is not None else 1.0)
        return np.asarray(geometry.crop(pixels, affine, self._side), np.uint8)

    def _argued(
        self,
        clauses: Sequence[_cases.Clause],
        seen: Portrait | None,
        probability: float | None,
        testimony: Testimony,
    ) -> tuple[Reply, ...]:
        """The case that the evidence makes by itself, then the strongest for each side; empty ones say so."""
        weight = {side: sum(clause.strength for clause in clauses if clause.side == side) for side in SIDES}
        lead: Literal["real", "fake"] = (
            "fake" if (weight["fake"], probability or 0.0) > (weight["real"], 0.5) else "real"
        )
        if probability is not None:
            lead = "fake" if probability >= 0.5 else "real"
        other: Literal["real", "fake"] = "fake" if lead == "real" else "real"
        kind = _kind(testimony.kind)
        anchor = replace(_case(clauses, lead, seen, kind), hypothesis=None)
        return anchor, _case(clauses, other, seen, kind), _case(clauses, lead, seen, kind)

    # ---------------------------------------------------------------------------------------------------- the decision

    def _decided(
        self,
        replies: tuple[Reply, ...],
        testimony: Testimony,
        probability: float | None,
        pixels: Pixels,
        face: Face,
        problem: str,
    ) -> Testimony:
        """The testimony with the chosen answer, and each answer with its match score."""
        labels: list[str | None] = [reply.label if reply.label in SIDES else None for reply in replies]
        base = replace(testimony, witness=self.name, considered=replies, reply=None, problem=problem)
        if not any(labels):
            return replace(base, fake=None, reply=Reply("inconclusive", None, (_nothing(replies),)))
        by_mids = self._decider is not None and self.answers_questions and not problem
        if by_mids:
            decision = deciding.decide(self._logits(replies, pixels, face), labels)
        else:
            decision = _by_probability(labels, probability)
        if decision is None:
            return replace(base, fake=None, reply=Reply("inconclusive", None, (_nothing(replies),)))
        matched = tuple(replace(reply, match=match) for reply, match in zip(replies, decision.matches, strict=True))
        chosen = matched[decision.chosen]
        if decision.tie:
            why = f"Both sides fit equally well ({phrases.percent(decision.match)}), so the evidence does not decide.\n"
            chosen = Reply("inconclusive", None, (why, *chosen.parts), chosen.findings, match=decision.match)
        fake = decision.fake if by_mids else testimony.fake
        if fake is not None and (certainty := self._certainty(decision.easy, by_mids)) != 1.0:
            fake = float(sigmoid(certainty * logit(np.array([fake])))[0])
        findings = testimony.findings if chosen.label != "real" else ()
        return replace(base, fake=fake, reply=chosen, considered=matched, findings=findings)

    def _certainty(self, easy: bool, by_mids: bool) -> float:
        """By what a face's log-odds are multiplied: as fitted with the judge of answers, where its file says so."""
        measured = self._decider.facts.get("certainty") if by_mids and self._decider is not None else None
        try:
            return float(measured["easy" if easy else "hard"]) if measured else 1.0 if easy else HARD
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(
                f"'{self._options['mids']}': expected a number for easy and for hard faces as its certainty, got "
                f"{measured!r}. Export it again."
            ) from error

    def _judged(
        self,
        replies: tuple[Reply, ...],
        clauses: Sequence[_cases.Clause],
        testimony: Testimony,
        pixels: Pixels,
        face: Face,
    ) -> Testimony:
        """The testimony with the case that the shipped judge chose."""
        assert self._cases is not None
        stated = [_cases.states([clause for clause in clauses if clause.side == side], side) for side in SIDES]
        one, two = _cases.grids(pixels, face, testimony.mask)
        logits = self._cases.logits(
            image1=np.repeat(one[None], 2, 0), image2=np.repeat(two[None], 2, 0),
            text=np.stack([states for states, _ in stated]), seen=np.stack([seen for _, seen in stated]),
        )  # fmt: skip
        decision = deciding.decide(logits, SIDES)
        assert decision is not None
        match: dict[str, float | None] = dict(zip(SIDES, decision.matches, strict=True))
        # the two match scores need not add up to one; the better one decides, and the other side's is shown beside it
        matched = tuple(replace(reply, match=match.get(reply.label) if reply.label else None) for reply in replies)
        chosen_side = SIDES[decision.chosen]
        chosen = next((reply for reply in matched if reply.label == chosen_side), None)
        if decision.tie or chosen is None:
            why = "Both sides fit equally well, so the evidence does not decide.\n"
            if chosen is None:
                why = f"The picture fits “{chosen_side}” better, but nothing that was measured speaks for it.\n"
            chosen = Reply("inconclusive", None, (why, *matched[0].parts), matched[0].findings, match=decision.match)
        easy = deciding.is_easy([reply.label for reply in replies])
        certainty = float(self._cases.facts["certainty"]["easy" if easy else "hard"])
        fake = float(sigmoid(certainty * logit(np.array([decision.fake])))[0])
        return replace(
            testimony, witness=self.name, fake=fake, reply=chosen, considered=matched,
            findings=testimony.findings if chosen.label != "real" else (),
        )  # fmt: skip

    def _logits(self, replies: Sequence[Reply], pixels: Pixels, face: Face) -> NDArray[np.float64]:
        """MIDS's logits of each answer with the picture."""
        assert self._decider is not None
        facts = self._decider.facts
        grammar = plugins.get("grammars", "ffa_cot")
        texts = [grammar.masked(reply.text) if facts.get("masked", True) else reply.text for reply in replies]
        if not isinstance(self._decider, deciding.Decider):
            logits: NDArray[np.float64] = self._decider.logits(self._crop(pixels, face), texts)
            return logits
        from facewitness.models import minilm

        states, seen = minilm.states(texts)
        most = int(facts.get("read_tokens", 160))
        at = face.landmarks if face.landmarks is not None else face.box
        size = int(facts.get("size", 192))
        affine = geometry.align(at, size, self._margin if face.landmarks is not None else 1.0)
        crop = np.asarray(geometry.crop(pixels, affine, size), np.uint8)[None]
        return self._decider.logits(crop=crop, text=states[:, :most], seen=seen[:, :most])

    def _probability(self, score: float) -> float:
        """What the score of the witness it rests on stands for."""
        return score if self._calibration is None else float(self._calibration.probabilities([score])[0])


def _case(
    clauses: Sequence[_cases.Clause], side: Literal["real", "fake"], seen: Portrait | None, kind: str | None
) -> Reply:
    """The strongest honest case for a side, each clause with its place; it concedes where nothing speaks for it."""
    mine = [clause for clause in clauses if clause.side == side]
    grammar = plugins.get("grammars", "ffa_cot")
    description = "A face." if seen is None else f"A face, {', '.join(portrait.described(seen))}."
    parts: list[str | Mark] = [f"Image description: {description}\nForgery reasoning: "]
    findings = []
    for clause in mine:
        finding = Finding.on(clause.region, clause.box, None, clause.text, clause.strength)
        findings.append(finding)
        parts += [clause.text, Mark(finding), " "]
    if not mine:
        meaning = "a genuine photograph" if side == "real" else "a forgery"
        parts.append(f"Nothing that was measured speaks for {meaning}.")
        other: Literal["real", "fake"] = "fake" if side == "real" else "real"
        if not clauses:
            return Reply("inconclusive", None, tuple(parts), hypothesis=side)
        return Reply(other, None, (*parts, f"\nAnalysis result: {other}"), hypothesis=side)
    sure = min(0.99, 0.5 + 0.5 * max(clause.strength for clause in mine))
    lines = [f"\nAnalysis result: {side}", f"Probability: {sure:.2f}"]
    if side == "real" or kind is not None:
        lines.append(f"Forgery type: {grammar.TYPES['pristine' if side == 'real' else str(kind)]}")
    parts.append("\n".join(lines))
    return Reply(side, sure if side == "fake" else 1 - sure, tuple(parts), tuple(findings), hypothesis=side)


def _by_probability(labels: Sequence[str | None], probability: float | None) -> deciding.Decision | None:
    """The decision where no judge of answers is at hand: an answer fits as well as its verdict is probable."""
    if probability is None:
        return None
    p = min(max(probability, 1e-6), 1 - 1e-6)
    odds = float(np.log(p) - np.log1p(-p))
    return deciding.decide([(0.0, 0.0, odds, odds)] * len(labels), labels)


def _card(facts: Mapping[str, Any]) -> Mapping[str, str] | None:
    """What the judge of cases knows and does not know, by what was measured when it was fitted; None: nothing was."""
    if "measured" not in facts:
        return None
    known, other = (facts["measured"][name] for name in ("held out", "unseen"))
    than = "better than that one" if known["difference"][1] > 0 else "about as well as that one"
    return {
        "knows": "ffaa, by the evidence alone, ranks held-out faces of the sources that the default witness knows "
        f"{than} (AUC {known['ffaa']:.3f} against {known['default']:.3f} on {known['faces']} faces).",
        "does_not_know": f"ffaa hardly knows generators and edits of other origin (AUC {other['ffaa']:.3f} on "
        f"{other['faces']} faces of three such sources, where the default witness has {other['default']:.3f}); by the "
        "evidence alone a hard face is judged rightly about as often as an easy one.",
    }


def _kind(kinds: Mapping[str, float] | None) -> str | None:
    """The most likely of the three forgery types."""
    return None if kinds is None else max(KINDS[1:], key=lambda name: kinds[name])


def _nothing(replies: Sequence[Reply]) -> str:
    """Why no answer could be chosen."""
    if any(reply.refusals for reply in replies):
        reasons = dict.fromkeys(reason for reply in replies for reason in (reply.refusals or ())[:1])
        return (
            f"None of the three answers has a verdict ({'; '.join(reasons)}). Ask another model, or look at the face."
        )
    return "There is no evidence for either side: nothing that was measured speaks for a genuine face or for a forgery."


def _prompted(name: str, device: str, most: int) -> Any:
    from facewitness.witnesses._prompted import Prompted  # torch: only where a model of this machine is to answer

    return Prompted(name, device, most)


def _decider(path: Path, device: str) -> Any:
    if path.suffix == ".safetensors":
        from facewitness.models.mids import Judge  # torch: only where a judge with published encoders is named

        return Judge(path, device)
    try:
        content = weights.bytes_of(path)
    except OSError as error:
        raise WeightsError(
            f"'{path}' cannot be read ({error.strerror}). Make it with facewitness train mids … --onnx {path}."
        ) from error
    decider = deciding.Decider(content, path.name)
    if decider.inputs != ("crop", "text", "seen"):
        raise WeightsError(
            f"'{path}': expected the inputs crop, text and seen, got {', '.join(decider.inputs)}. Export it whole."
        )
    return decider
