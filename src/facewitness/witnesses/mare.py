"""MARE: a score from forgery traces alone and, where a language model is given, a verdict in words with boxes.

Xu et al., "MARE: Multimodal Alignment and Reinforcement for Explainable Deepfake Detection". The score is the forgery
disentanglement module's (`models/fdm`, section 3.4), the mask the attention map of its trace branch (figure 7). What is
forged, and where, the language model says in MARE's grammar; without one no place is claimed, because the module
learned from labels of whole faces: its map shows what moved the score, and nobody taught it where forgeries lie. The
score is the mean of its places: a map marks half of a crop where the score does not decide, and more the higher it is.

Nothing the language model says is taken on trust
    words and score   where its verdict is the opposite of the score's, the reply says so, and `judge.judge` leaves the
                      verdict open
    words and boxes   validate each other: a region that is named without a box, or boxed without being named, is told
                      in the reply and in its claim, and its strength is at most half of that of one that is both. The
                      first kind is placed by the face's landmarks; without a mesh it has no place and is only told
    boxes and face    a box that lies elsewhere than its region, as the landmarks have it, is told and is no box
    the grammar       every way in which a reply breaks it is a problem of the report; what can be read is read
Boxes are pixels of the upright crop that the model saw; findings have the box around them on the frame.

No weights travel with the package: see `load`.

Measured: mare knows face swaps like DFDC's (AUC 0.91 on held-out faces). mare hardly knows small edits and blends (AUC
0.63) and strongly compressed video (FaceForensics++ c40: 0.66), and nothing of faces that a generator made as a whole:
there a higher score does not mean fake. Where mare and compact decided in opposite directions, on 80 held-out faces,
mare was right 7 times and compact 73 times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from facewitness import geometry, plugins, regions, weights, words
from facewitness.calibration import decided
from facewitness.errors import BackendError, InputError, WeightsError, renamed
from facewitness.models.fdm import FDM
from facewitness.phrases import the_regions
from facewitness.types import Box, Clip, Face, Finding, Hear, Label, Pixels, Question, Reply, Testimony, Track, Turn
from facewitness.witnesses import _device, _drawn, _places, _prompted, _tracks, _words

QUESTION = "Does this face look real or fake, and why?"
MARGIN = 1.15  # crop side over the mesh's longer side: that of the training pictures (DFDC 1.0, FaceForensics++ 1.16)
LONGEST = 20_000  # characters of a reply that are read; MARE's have a few hundred
CLAIMS = "claims.json"  # in a language model's folder: how often its claims are right (`runs/mare/evaluate.py`)
DESCRIBED = (
    "A description of the person's features was left out of the words: it is no evidence, and none was measured."
)
WAY = "The words name a way in which the face was made, which mare was never measured to tell."
HOW = (
    "The weights of MARE's module do not travel with facewitness. Take runs/mare/model/fdm.safetensors of its "
    "repository, or make them, half an hour on a CPU, with: facewitness train fdm runs/fdm/edits.toml … (the head of "
    "that file says how), and name the file: --option mare.weights=FILE. Or put fdm.safetensors and fdm.json "
    "into the folder that FACEWITNESS_MODELS names, with a line for each in its SHA256SUMS."
)


class Language(Protocol):
    """What answers in MARE's grammar, given a face."""

    def answer(self, crop: Pixels, question: str) -> str:
        """Its own words on an upright crop, RGB uint8 (side, side, 3).

        Args:
            crop: A crop, uint8 (S, S, 3).
            question: The question in words.

        Raises:
            BackendError: It cannot answer.
        """


def load(
    weights: str | None = None,
    device: str = "cpu",
    size: int | None = None,
    margin: float | None = None,
    flip: bool = True,
    language: str | Language | None = None,
    side: int = 224,
    max_tokens: int = 384,
    most: int | None = None,
) -> MareWitness:
    """The witness, ready to examine.

    Args:
        weights: Path of a module that `train/fdm.py` saved (.safetensors, its .json beside it); None takes the one in
            the language model's folder, else fdm.safetensors where `facewitness.weights` looks.
        device: torch's name of one, for both models.
        size: Side of the pictures the module was trained on; None takes crop.size of the .json.
        margin: Side of a crop over the mesh's longer side; None takes crop.margin of the .json, else 1.15.
        flip: Examine the mirror image too and average (twice the time).
        language: A folder that `train/sft.py` or `train/grpo.py` made, the folder or hub name of a plain model of the
            families of models/prompted_vlm, or an object with `answer(crop, question) -> str`; None leaves the
            testimony without words and without findings.
        side: Pixels of the crop the language model sees: 224 in the data it learned from.
        max_tokens: Of its reply; it breaks off there.
        most: The name that max_tokens had before; still read.

    Raises:
        WeightsError: Weights are missing, damaged or of another kind.
        InputError: An option that cannot be.
    """
    max_tokens = renamed("mare", "most", most, "max_tokens", max_tokens)
    return MareWitness(weights, device, size, margin, flip, language, side, max_tokens)


class MareWitness:
    """One loaded module, perhaps with a language model. `examine` takes a face, of any finder."""

    name = "mare"

    def __init__(
        self,
        path: str | None,
        device: str,
        size: int | None,
        margin: float | None,
        flip: bool,
        language: str | Language | None,
        side: int,
        max_tokens: int,
    ):
        own = Path(language) / "fdm.safetensors" if isinstance(language, str) else None
        if path is None and own is not None and own.is_file():
            path = str(own)  # what the language model learned with
        file = _device.file_of("fdm.safetensors", path, "module", HOW)
        self._device, self.module = _device.on(device, lambda: FDM.load(file))
        self.facts: dict[str, Any] = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        crop = self.facts.get("crop") if isinstance(self.facts.get("crop"), dict) else {}
        self._size = _number("size", crop.get("size") if size is None else size, file)
        margin = crop.get("margin", MARGIN) if margin is None else margin
        at_most = {"margin": (margin, 10), "side": (side, 4096), "max_tokens": (max_tokens, 100_000)}
        for name, (value, most) in at_most.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= most:
                raise InputError(f"mare: expected {name} from 1 to {most}, got {value!r}")
        self._margin = float(margin)
        self._flip, self._side = flip, side
        _prompted.check("mare", language)
        self._language = Prompted(language, device, max_tokens) if isinstance(language, str) else language
        if isinstance(self._language, Prompted):
            self._language.rests_on(self.name, "fdm", self.module, file)
        self._shares = getattr(self._language, "shares", None) or {}
        self._sha256 = self.module.sha256
        self._options = {
            "weights": None if path is None else file.name, "device": device, "size": self._size,
            "margin": self._margin, "flip": flip, "side": side, "max_tokens": max_tokens,
            "language": None
            if self._language is None
            else str(getattr(self._language, "name", type(self._language).__name__)),
        }  # fmt: skip
        # as JSON, as a profile may replace it. Without one the judge hears this witness but lets it decide nothing
        self.calibration: Mapping[str, Any] | None = self.facts.get("calibration")
        self.card: Mapping[str, str] | None = self.facts.get("card")  # what these weights were measured to be worth

    def made_by(self) -> dict[str, Any]:
        """What it takes to run this witness again: its options and the SHA-256 of all weights read from files.

        Returns:
            JSON-ready.
        """
        files = {"fdm.safetensors": self._sha256}
        return {"options": self._options, "weights": files | getattr(self._language, "weights", {})}

    def examine(self, track: Track, clip: Clip) -> Testimony:
        """Testimony on one person; `kind` is None, which MARE cannot tell.

        With a language model its reply to "Does this face look real or fake, and why?", about the face that can be
        judged best, is the `reply`, and the places it accuses are the findings. Where it cannot be asked, or its reply
        breaks the grammar, the module's testimony stands, with the problem.

        Args:
            track: One person's faces.
            clip: The file's pixels; a photo is a clip of one frame.
        """
        testimony = _tracks.over(track, clip, self._look)
        if self._language is None:
            return testimony
        try:
            reply, problem = self._reply(track.face, clip, QUESTION)
        except BackendError as error:
            return replace(testimony, problem=str(error))
        return replace(testimony, reply=reply, findings=reply.findings, problem=problem)

    def answer(
        self, track: Track, clip: Clip, question: Question, history: Sequence[Turn] = (), hear: Hear | None = None
    ) -> Reply:
        """The language model's reply to a question about a person, on the face that can be judged best.

        Args:
            track: One person's faces.
            clip: The file's pixels; a photo is a clip of one frame.
            question: The question in words.
            history: Earlier questions with their replies, oldest first.
            hear: Is called with each piece of the reply as it comes; None to wait for the whole.

        Raises:
            BackendError: there is no language model, or it cannot answer.
        """
        reply, _ = self._reply(track.face, clip, question.text)
        if hear is not None:
            hear(reply.text)
        return reply

    @property
    def answers_questions(self) -> bool:
        """Whether there is a language model to ask."""
        return self._language is not None

    def _look(self, face: Face, pixels: Pixels) -> Testimony:
        affine = _places.crop_map(face, self._size, self._margin)
        score, attention = self.scored(geometry.crop(pixels, affine, self._size))
        mask, _ = _places.on_frame(attention, face, affine, self._size)
        return Testimony(self.name, score, mask)

    def _reply(self, face: Face, clip: Clip, question: str) -> tuple[Reply, str]:
        """The checked reply about one face, and in how far it breaks the grammar. Raises BackendError."""
        if self._language is None:
            raise BackendError("mare has no language model to ask. Name one: --option mare.language=FOLDER")
        pixels = clip.at(face.at).pixels
        score = self._look(face, pixels).fake or 0.0
        to_crop = _places.crop_map(face, self._side, self._margin)
        shown = geometry.crop(pixels, to_crop, self._side)
        prompt = plugins.get("grammars", "mare").prompt(question)
        if isinstance(self._language, Prompted):
            text = self._language.reply(shown, prompt, score)
        else:
            text = self._language.answer(shown, prompt)
        return self._checked(text, question, score, face, to_crop)

    def scored(self, crop: NDArray[np.uint8]) -> tuple[float, NDArray[np.float32]]:
        """Score, and attention of the trace branch (h, w), both in [0, 1], of one crop uint8 (S, S, 3).

        Args:
            crop: A crop, uint8 (S, S, 3).

        Returns:
            The score, and the map float32 (h, w).
        """
        views = np.stack([crop, crop[:, ::-1]]) if self._flip else crop[None]
        pixels = torch.from_numpy(np.ascontiguousarray(views.transpose(0, 3, 1, 2))).to(self._device).float()
        with torch.inference_mode():
            seen = self.module(pixels)
            score, maps = seen.logit.double().mean().sigmoid().item(), seen.evidence.sigmoid().cpu().numpy()
        if self._flip:
            maps = np.stack([maps[0], maps[1][:, ::-1]])
        return float(score), np.clip(maps.mean(axis=0), 0, 1).astype(np.float32)

    # -------------------------------------------------------------------------------------------------- in words

    def _checked(self, text: Any, asked: str, score: float, face: Face, to_crop: geometry.Affine) -> tuple[Reply, str]:
        """The reply in a text, with its findings on the frame and what does not fit together, and the problem."""
        if not isinstance(text, str):
            raise BackendError(f"The language model: expected a reply in words, got {type(text).__name__}.")
        grammar = plugins.get("grammars", "mare")
        read: Reply = grammar.parse(text[:LONGEST])
        refused = grammar.refusals(text[:LONGEST], (self._side, self._side))
        if len(text) > LONGEST:
            refused = (f"endless: expected at most {LONGEST:,} characters, got {len(text):,}", *refused)
        about = _places_of(asked)
        notes = []
        evidence, source = decided(score, self.calibration), f"the score of the forgery traces, {score:.2f}"
        if about:  # "the nose looks real" says nothing of the face as a whole: no verdict
            notes.append(f"The answer is about {the_regions(about)}, not about the face as a whole.")
            notes += _words.of_a_region(read.label, about, evidence, f"{source},")
        else:
            notes.append(_words.beside(read.label, evidence, source))
        findings, disagreements = self._findings(read, face, to_crop)
        label: Label | None = None if about else read.label
        parts = read.parts
        if read.label == "real":  # a straight nose is no evidence, and nobody looked whether it is one
            parts = tuple(grammar.without_descriptions(part) if isinstance(part, str) else part for part in parts)
            notes.append("" if parts == read.parts else DESCRIBED)
        if read.label == "fake" and _WAY.search(read.text):
            notes.append(WAY)
        noted = tuple(note for note in (*notes, *disagreements) if note)
        reply = Reply(label, None, parts, findings, read.thought, refused, notes=noted)
        return reply, _problem(refused)

    def _findings(
        self, read: Reply, face: Face, to_crop: geometry.Affine
    ) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
        """Mutual validation: the places that words and boxes accuse, agreed ones first, and what is not agreed."""
        boxes: dict[str, Box | None] = {}
        for finding in read.findings:
            if finding.region in regions.MARE:  # an invented region has no place; the refusals tell of it
                boxes.setdefault(finding.region, self._on_frame(finding.box, face, to_crop))
        boxed = tuple(name for name, box in boxes.items() if box is not None)
        off = tuple(name for name, box in boxes.items() if box is None)
        notes = [f"The box of {the_regions(off)} lies outside the picture."] if off else []
        astray = tuple(name for name in boxed if _apart(boxes[name], _around(name, face)))
        if astray:
            notes.append(f"The box of {the_regions(astray)} lies elsewhere on the face.")
            boxed = tuple(name for name in boxed if name not in astray)
        if read.label == "real":  # "the eyes look natural" accuses nobody, and a genuine face has no box
            return (), (*notes, *([f"The reply says real, but boxes {the_regions(boxed)}."] if boxed else ()))
        named = _places_of(_accusing(read.text))
        if read.label != "fake":  # who gives no verdict accuses by boxes alone: they are for what gives a face away
            named = tuple(name for name in named if name in boxed)
        claims = {finding.region: finding.claim for finding in read.findings} | _claims(read.text, named)
        agreed = [(name, "agreed", boxes[name]) for name in boxed if name in named]
        alone = [(name, "boxed", boxes[name]) for name in boxed if name not in named]
        unboxed = tuple(name for name in named if name not in boxed)
        placed = [(name, "named", _around(name, face)) for name in unboxed]
        homeless = tuple(name for name, _, box in placed if box is None)
        if alone:
            notes.append(f"The reply boxes {the_regions([name for name, _, _ in alone])} without naming it in words.")
        if unboxed:
            notes.append(f"The reply names {the_regions(unboxed)} without a box.")
        if homeless:
            notes.append(f"It is not known where {the_regions(homeless)} would be, so nothing is claimed there.")
        return tuple(
            Finding.on(name, box, None, _claim(name, kind, claims.get(name, "")), self._strength(kind), face.at)
            for name, kind, box in (*agreed, *alone, *placed)
            if box is not None
        ), tuple(notes)

    def _on_frame(self, box: Box, face: Face, to_crop: geometry.Affine) -> Box | None:
        """The box on the frame around a box on the crop; None where nothing of it is on the picture."""
        inside = geometry.clip(box, self._side, self._side)
        if inside is None:
            return None
        x1, y1, x2, y2 = inside
        corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
        around = geometry.bounds(geometry.transform(geometry.invert(to_crop), corners))
        return geometry.clip(around, face.at.width, face.at.height)

    def _strength(self, kind: str) -> float | None:
        """The share of such claims that were right on held-out faces; None where nobody has measured it.

        What words and boxes do not agree on has one witness instead of two: at most half of what they do.
        """
        agreed, share = self._shares.get("agreed"), self._shares.get(kind)
        if kind == "agreed" or agreed is None:
            return share
        return agreed / 2 if share is None else min(agreed / 2, share)


class Prompted(_prompted.Prompted):
    """With `shares`: how often its claims are right, and `drawing`: how its replies are; None where not measured."""

    def __init__(self, name: str, device: str, max_tokens: int):
        super().__init__(name, device, max_tokens)
        self.shares = _shares(Path(name) / CLAIMS)
        self.drawing = _drawn.read(Path(name))

    def reply(self, crop: Pixels, prompt: str, score: float) -> str:
        """One of the replies that are drawn, or the likeliest where it was not measured how to draw.

        Args:
            crop: uint8 (S, S, 3).
            prompt: with how it is to be answered.
            score: of the traces.

        Raises:
            BackendError: The model cannot give one.
        """
        if self.drawing is None:
            return self.answer(crop, prompt)
        how = self.drawing
        seed = _drawn.seed(crop, prompt)
        texts = self.draws(crop, prompt, how.draws, how.temperature, seed, _drawn.WORDS)
        return _drawn.chosen(texts, score, how, (crop.shape[1], crop.shape[0]))


_WAY = re.compile(
    r"\b(?:ai|computer|artificially|machine)[- ]?generated\b|\banimat\w+|\bcart?oons?\b|\bface[- ]?swap\w*|\bswapped\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"(?<=[.!?;])\s+|,?\s+(?:but|while|whereas|although|though)\s+", re.IGNORECASE)
_CLEARED = re.compile(
    r"\b(?:natural|naturally|normal|normally|authentic|genuine|intact|unaltered|untouched|realistic|consistent)\b",
    re.IGNORECASE,
)
_LACKING = re.compile(r"\b(?:not|no|nor|never|lacks?|lacking|without|less|hardly)\b|n['’]t\b", re.IGNORECASE)


def _accusing(text: str) -> str:
    """The clauses that do not clear what they name: "the nose is blurred" of "…, but the eyes look natural"."""
    return " ".join(
        clause
        for clause in _CLAUSE.split(text)
        if words.verdict(clause, strict=True) != "real" and (not _CLEARED.search(clause) or _LACKING.search(clause))
    )


def _apart(box: Box | None, around: Box | None) -> bool:
    """Whether a box is farther from the place of its region than half of the region's size. Unknown is not apart."""
    if box is None or around is None:
        return False
    x1, y1, x2, y2 = around
    dx, dy = (x2 - x1) / 2, (y2 - y1) / 2
    return box[2] < x1 - dx or box[0] > x2 + dx or box[3] < y1 - dy or box[1] > y2 + dy


def _claims(text: str, named: tuple[str, ...]) -> dict[str, str]:
    """The first sentence that speaks of each region."""
    sentences = re.split(r"(?<=[.!?])\s+", text) if named else ()
    claims: dict[str, str] = {}
    for sentence in sentences:
        for name in _places_of(sentence):
            claims.setdefault(name, sentence)
    return claims


def _places_of(text: str) -> tuple[str, ...]:
    """The regions a text names; "manipulated face regions" names none, though Table 6 files "face" under skin."""
    return regions.mentioned(re.sub(r"\bfaces?\b", " ", text, flags=re.IGNORECASE))


def _claim(name: str, kind: str, sentence: str) -> str:
    """The reply's own sentence on a region, ours where it has none; with what is lacking where words or box do."""
    kept = sentence.strip() if 0 < len(sentence.strip()) <= 300 else _places.claim(name)
    lacking = {"agreed": "", "boxed": " (boxed, but not named)", "named": " (named, but not boxed)"}[kind]
    return f"{kept.rstrip('.!? ')}{lacking}."


def _around(name: str, face: Face) -> Box | None:
    """A region's box by the face's landmarks; None without any, and outside the picture."""
    if face.landmarks is None:
        return None
    outline = geometry.bounds(np.concatenate(regions.polygons(name, face.landmarks)))
    return geometry.clip(outline, face.at.width, face.at.height)


def _problem(refused: tuple[str, ...], shown: int = 3) -> str:
    """Why a reply breaks the grammar, as a sentence; empty where it does not."""
    if not refused:
        return ""
    ways = "one way" if len(refused) == 1 else f"{len(refused)} ways"
    more = f"; and {len(refused) - shown} more" if len(refused) > shown else ""
    return f"The language model's reply breaks MARE's grammar in {ways}: {'; '.join(refused[:shown])}{more}."


def _number(name: str, value: Any, file: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 4096:
        raise WeightsError(
            f"'{file.with_suffix('.json')}' does not say how large the pictures are that the module was trained on: "
            f"expected crop.{name} there, or the option {name}, in pixels (runs/fdm/small.toml: 128; at most 4096), "
            f"got {value!r}."
        )
    return value


def _shares(file: Path) -> dict[str, float] | None:
    """How often claims are right, by kind: agreed, boxed, named. None where nobody measured it."""
    what = "shares in [0, 1] for agreed, boxed or named, as runs/mare/evaluate.py measures them"
    return weights.fitted(file, _right, what, "claims have no strength")


def _right(measured: Any) -> dict[str, float]:
    shares = {k: measured.get(k) for k in ("agreed", "boxed", "named")} if isinstance(measured, dict) else {}
    kept = {
        k: float(v) for k, v in shares.items() if isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v <= 1
    }
    if not kept:
        raise ValueError("none of them")
    return kept
