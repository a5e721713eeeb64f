"""FiFa: explanations with a mask behind every region they name, and answers to questions that point at a place.

Trained by `train/fifa`; how well it does is in `runs/fifa/`. No weights travel with the package: see `load`.

A question may point by a region's name, a box, a mask or a click (`ask --region`, `--box`, `--mask`, `--at`); each is
pooled from the one encoder that the maps are made of, too. Where words, maps and score disagree, the reply says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray

from facewitness import geometry, plugins, regions
from facewitness.calibration import decided
from facewitness.errors import InputError, WeightsError
from facewitness.models import fifa
from facewitness.models.fifa import QUESTIONS, REG, SEG, FiFa, Query, Seen
from facewitness.phrases import capital, listed, percent
from facewitness.types import (
    KINDS,
    Clip,
    Face,
    Finding,
    Hear,
    Label,
    Mark,
    Mask,
    Pixels,
    Place,
    Question,
    Reply,
    Testimony,
    Track,
    Turn,
)
from facewitness.witnesses import _grounded, _places, _tracks, _words

HOW = (
    "The network's weights do not travel with facewitness. Take runs/fifa/fifa.safetensors of its repository with the "
    ".json files beside it, or make them, an hour on a CPU, with: facewitness train fifa runs/fifa/small.toml … "
    "(runs/fifa/README.md), and name the file: --option fifa.weights=FILE"
)
CLICK = 2.0  # pixels: a place no larger than that is a click
LEAST = 0.5  # of a concept's chance, from which on it counts as forged
_THERE = 0.25  # of the smaller of place and region, which they share where words about the one are about the other
_MARKED = 0.5  # of a place that its map marks, from which on a "no" about it is a quarrel
_MAP = 112


def load(weights: str | None = None, device: str = "cpu", words: bool = True, max_tokens: int = 160) -> Facext:
    """The witness, ready to examine and to answer.

    Args:
        weights: Path of a network that `train/fifa` saved; None looks for fifa.safetensors where
            `facewitness.weights` looks.
        device: torch's name of one.
        words: Whether it explains what it examines; without it examines faster, and can still be asked.
        max_tokens: Of an answer.

    Raises:
        WeightsError: The weights are missing, damaged or of another kind.
        InputError: The device is unknown.
    """
    return Facext(weights, device, words, max_tokens)


@dataclass(frozen=True, slots=True)
class Yes:
    """What counts how much where a place is pointed at: the answer is yes where the sum is above 0.

    Left alone the words say yes to untouched places of genuine people. Fitted on held-out groups of training, with map
    and score of both views (`runs/fifa/places.py`), and on the weights' card as `yes`; without it the words alone
    answer.
    """

    words: float
    map: float
    face: float
    offset: float

    def says(self, known: fifa.Known) -> bool:
        """Whether the place is forged.

        Args:
            known: What the network knows of it.
        """
        return self.words * known.words + self.map * known.map + self.face * known.face + self.offset > 0


def _yes_of(held: object) -> Yes | None:
    if held is None:
        return None
    names = [field.name for field in fields(Yes)]
    values = [held.get(name) for name in names] if isinstance(held, Mapping) else []
    if len(values) != len(names) or not all(_grounded.number(v, -1e6, 1e6) for v in values):
        raise WeightsError(
            f"fifa: expected on the weights' card numbers {', '.join(names)} as yes, got {held!r:.200}. {HOW}"
        )
    return Yes(*(float(v) for v in values if isinstance(v, int | float)))


class Facext(_grounded.Loaded):
    """One loaded network. `examine` takes a track, of any finder, and returns its testimony."""

    name = "fifa"
    answers_questions = True

    network: FiFa

    def __init__(self, path: str | None, device: str, words: bool, max_tokens: int):
        super().__init__(HOW, FiFa.load, path, device, words, max_tokens)
        self._yes = _yes_of(self.facts.get("yes"))

    def examine(self, track: Track, clip: Clip) -> Testimony:
        """Testimony on one person; the explanation is about the face that can be judged best.

        Args:
            track: One person's faces.
            clip: The file's pixels; a photo is a clip of one frame.
        """
        testimony = _tracks.over(track, clip, self._look)
        if not self._talks:
            return testimony
        face = track.face
        affine, seen = self._seen(face, clip.at(face.at).pixels)
        reply = self._explained(face, affine, seen)
        return replace(testimony, reply=reply, findings=reply.findings)

    def answer(
        self, track: Track, clip: Clip, question: Question, history: Sequence[Turn] = (), hear: Hear | None = None
    ) -> Reply:
        """The reply to a question, which may point, about the face that can be judged best.

        Args:
            track: One person's faces.
            clip: The file's pixels; a photo is a clip of one frame.
            question: The question in words.
            history: Earlier questions with their replies, oldest first.
            hear: Is called with each piece of the reply as it comes; None to wait for the whole.
        """
        face = track.face
        pixels = clip.at(face.at).pixels
        affine, seen = self._seen(face, pixels)
        if question.places:
            mirrored = None if self._yes is None else self._seen(face, pixels, mirrored=True)[1]
            reply = self._about(face, affine, seen, question.places, mirrored)
        else:
            reply = self._reply_to(face, affine, seen, question.text)
        if hear is not None:
            hear(reply.text)
        return reply

    # ------------------------------------------------------------------------------------------------ looking

    def _look(self, face: Face, pixels: Pixels) -> Testimony:
        affine, seen = self._seen(face, pixels)
        mask, _ = _places.on_frame(self._map(seen.where[0]), face, affine, self._size)
        shares = torch.softmax(seen.kind[0].double(), 0).tolist()
        kind = dict(zip(KINDS, (float(np.clip(s, 0, 1)) for s in shares), strict=True))
        return Testimony(self.name, self._score(seen), mask, kind=kind)

    def _seen(self, face: Face, pixels: Pixels, mirrored: bool = False) -> tuple[geometry.Affine, Seen]:
        affine = _places.crop_map(face, self._size, self._margin)
        crop = geometry.crop(pixels, affine, self._size)
        batch = torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1)))[None].to(self._device).float()
        given = self._given(face, affine)
        if mirrored:
            batch, given = batch.flip(3), None if given is None else given.flip(3)
        with torch.inference_mode():
            return affine, self.network.seen(self.network.encoder(batch), given)

    def _given(self, face: Face, affine: geometry.Affine) -> torch.Tensor | None:
        """Where the mesh says that each concept is, for a network that has learned from it."""
        if not self.network.prior:
            return None
        parsing = _places.parsed(self.network.concepts, face, affine, self._size, self._size // 4)
        return None if parsing is None else torch.from_numpy(parsing)[None].to(self._device)

    def _score(self, seen: Seen) -> float:
        return float(seen.fake[0].double().sigmoid())

    def _map(self, logits: torch.Tensor) -> NDArray[np.float32]:
        return np.clip(logits.sigmoid().float().cpu().numpy(), 0, 1)

    # ------------------------------------------------------------------------------------------------ explaining

    def _explained(self, face: Face, affine: geometry.Affine, seen: Seen) -> Reply:
        answer = self.network.answer(seen, [(0, QUESTIONS["grounded_explanation"], ())], self._max_tokens, self._least)[
            0
        ]
        masks = [self._shown(values, face, affine) for values in self._within(answer, face, affine)]
        cut = self._cut(answer.text, masks, face, affine, seen)
        reply = self._read(answer, face, affine, self._worth(self._score(seen)), masks)
        named = {place.region for finding in reply.findings for place in finding.places}
        label: Label = "fake" if named or SEG in answer.text else "real"
        evidence = decided(self._score(seen), self.calibration)
        quarrels: list[str] = []  # of text, maps and score; what breaks the form stays in `refusals`
        if cut:
            quarrels.append(
                f"The masks of {listed([f'the {_title(n)}' for n in cut])} are cut from its map of the whole forgery: "
                "their own came out empty."
            )
        beside = _words.beside(label, evidence, f"the score, {self._score(seen):.2f}")
        if label != evidence and beside:
            quarrels.append(beside)
        chances = seen.forged[0].sigmoid().tolist()
        forged = [n for n, p in zip(self.network.concepts, chances, strict=True) if p >= LEAST]
        silent = [n for n in forged if not any(r is not None and _same(n, r) for r in named)]
        without = [r for r in named if r is not None and not any(_same(n, r) for n in forged)]
        if silent and label == "fake":
            quarrels.append(f"Its maps, and not its words, point at {listed([f'the {_title(n)}' for n in silent])}.")
        if without:
            quarrels.append(f"Its words, and not its maps, point at {listed([f'the {_title(n)}' for n in without])}.")
        notes = (beside,) if beside and label == evidence else ()
        return replace(reply, label=label, notes=(*notes, *quarrels))

    def _within(self, answer: fifa.Answered, face: Face, affine: geometry.Affine) -> list[NDArray[np.float32]]:
        """An answer's masks, each kept to the region that its words name: what is meant lies there, by the task."""
        masks = list(answer.masks)
        if face.landmarks is None:
            return masks
        for mention in plugins.get("grammars", "interleaved").mentions(answer.text):
            name, at = fifa.named(mention.phrase, self.network.concepts), mention.seg
            if name is not None and at is not None and at < len(masks):
                rings = [geometry.transform(affine, ring) for ring in regions.polygons(name, face.landmarks)]
                side = masks[at].shape[0] / self._size
                inside = geometry.fill([ring * side for ring in rings], *masks[at].shape)
                masks[at] = (masks[at] * inside).astype(np.float32)
        return masks

    def _cut(self, text: str, masks: list[Mask | None], face: Face, affine: geometry.Affine, seen: Seen) -> list[str]:
        """Puts the map within its region in the place of each [SEG]'s mask that is empty; returns these regions."""
        names: list[str] = []
        if face.landmarks is None:
            return names
        where = self._map(seen.where[0])
        scale = where.shape[0] / self._size
        to_map = geometry.compose(np.array([[scale, 0, 0], [0, scale, 0]]), affine)
        for mention in plugins.get("grammars", "interleaved").mentions(text):
            name = fifa.named(mention.phrase, self.network.concepts)
            at = mention.seg
            if name is None or at is None or at >= len(masks) or masks[at] is not None:
                continue
            rings = [geometry.transform(to_map, ring) for ring in regions.polygons(name, face.landmarks)]
            masks[at] = self._shown((where * geometry.fill(rings, *where.shape)).astype(np.float32), face, affine)
            if masks[at] is not None:
                names.append(name)
        return list(dict.fromkeys(names))

    def _read(
        self,
        answer: fifa.Answered,
        face: Face,
        affine: geometry.Affine,
        strength: float | None,
        masks: Sequence[Mask | None] | None = None,
    ) -> Reply:
        """A text with its masks, by the grammar; each mask where its words say a region is found on the frame."""
        if masks is None:
            masks = [self._shown(values, face, affine) for values in answer.masks]
        reply: Reply = plugins.get("grammars", "interleaved").parse(answer.text, masks, face.at)
        parts = tuple(
            Mark(self._renamed(p.finding, answer.text, strength)) if isinstance(p, Mark) else p for p in reply.parts
        )
        findings = tuple(p.finding for p in parts if isinstance(p, Mark))
        return replace(reply, parts=parts, findings=findings)

    def _renamed(self, finding: Finding, text: str, strength: float | None) -> Finding:
        """The finding with the concept its words mean here, and with what such findings were measured to be worth."""
        place = finding.places[0]
        fit = [name for name in self.network.concepts if fifa.title(name) in finding.claim.lower() and _same_words(
            fifa.title(name), place.region, finding.claim)]  # fmt: skip
        # the most words of those: "area under the left eye" holds "left eye", too
        spoken = max(fit, key=lambda name: len(fifa.title(name)), default=place.region)
        return Finding((replace(place, region=spoken),), finding.claim, strength)

    def _shown(self, values: NDArray[np.float32], face: Face, affine: geometry.Affine) -> Mask | None:
        mask, _ = _places.on_frame(np.clip(values, 0, 1).astype(np.float32), face, affine, self._size)
        return _grounded.tight(mask)

    # ------------------------------------------------------------------------------------------------ answering

    def _reply_to(self, face: Face, affine: geometry.Affine, seen: Seen, words: str) -> Reply:
        """A question without a place, by what it asks for."""
        words = words.lower()
        task = next((task for task, pattern in _ASKED.items() if re.search(pattern, words)), "grounded_explanation")
        if task == "grounded_explanation":
            return self._explained(face, affine, seen)
        if task == "localisation":
            return self._located(face, affine, seen)
        answer = self.network.answer(seen, [(0, QUESTIONS[task], ())], self._max_tokens)[0]
        reply = self._read(answer, face, affine, self._worth(self._score(seen)))
        if task != "detection":
            return replace(reply, label=None, fake=None)
        label: Label | None = {fifa.FAKE: "fake", fifa.REAL: "real"}.get(answer.text)  # type: ignore[assignment]
        evidence = decided(self._score(seen), self.calibration)
        notes = _words.notes(label, evidence, f"the score, {self._score(seen):.2f}")
        return replace(reply, label=label, fake=self._score(seen), notes=notes)

    def _located(self, face: Face, affine: geometry.Affine, seen: Seen) -> Reply:
        """Where the whole forgery is, from the map: of a face without one the words ran on without an end."""
        score = self._score(seen)
        evidence = decided(score, self.calibration)
        mask = self._shown(self._map(seen.where[0]), face, affine)
        if mask is None:
            notes = _words.notes("real", evidence, f"the score, {score:.2f}")
            return Reply(None, None, ("There is nothing to show: its map marks no place.",), notes=notes)
        finding = Finding((Place(face.at, None, mask.box, mask),), "It was forged here.", self._worth(score))
        notes = _words.notes("fake", evidence, f"the score, {score:.2f}")
        return Reply("fake", None, ("It was forged here", Mark(finding), "."), (finding,), notes=notes)

    def _about(
        self, face: Face, affine: geometry.Affine, seen: Seen, places: Sequence[Place], mirrored: Seen | None = None
    ) -> Reply:
        """Whether each place is forged, and why; where it says no of what its map marks, that is told beside it."""
        against: list[str] = []
        parts: list[str | Mark] = []
        findings: list[Finding] = []
        refusals: list[str] = []
        turned = frozenset() if face.landmarks is None else regions.hidden(face.landmarks)
        for place in places:
            if place.region in turned:
                unseen = f"The {regions.title(place.region)} cannot be seen in this pose; nothing is said of it."
                parts.append(f"{' ' if parts else ''}{unseen}")
                continue
            title = None if place.region is None else regions.title(place.region)
            there = f"the {title}" if title else "that place"
            try:
                query = self._query(place, face, affine)
            except InputError:  # an ear of a face that fills its crop; what else is pointed at gets its answer
                outside = f"{capital(there)} lies outside what was looked at; nothing is said of it."
                parts.append(f"{' ' if parts else ''}{outside}")
                continue
            known = place.region in self.network.concepts
            named = QUESTIONS["region_question"].format(name=_title(str(place.region))) if known else ""
            asked = [(0, named or QUESTIONS["box_question"], (query,)), (0, QUESTIONS["region_explanation"], (query,))]
            yes, why = (a.text.strip() for a in self.network.answer(seen, asked, self._max_tokens))
            if self._yes is not None and yes in (fifa.YES, fifa.NO):
                yes = fifa.YES if self._yes.says(self.network.odds(seen, asked[:1], mirrored)[0]) else fifa.NO
            gap = " " if parts else ""
            if yes == fifa.NO:
                parts.append(f"{gap}No, {there} is not forged.")
                share = self._marked(query, seen)
                if share >= _MARKED:
                    against.append(f"Its map marks {percent(share)} of {there} all the same.")
                continue
            if yes != fifa.YES:
                refusals.append(f"It has nothing to say of {there}.")
                parts.append(f"{gap}{refusals[-1]}")
                continue
            mask = self._part(place, query, face, affine, seen)
            whole_place = Place(face.at, place.region, place.box if mask is None else mask.box, mask)
            claim = _grounded_claim(why) if self._is_about(why, place, query, face, affine) else ""
            strength = self._worth(self._score(seen))
            findings.append(Finding((whole_place,), claim or f"{capital(there)} is forged.", strength))
            silence = "It has nothing to say of what is wrong there."
            parts += [f"{gap}Yes, ", there, Mark(findings[-1]), f" is forged. {claim or silence}"]
        score = self._score(seen)
        answered: Label | None = "fake" if findings else None
        accused = [finding.region for finding in findings if finding.region is not None]
        notes = _words.of_a_region(answered, accused, decided(score, self.calibration), f"the score, {score:.2f},")
        return Reply(None, None, tuple(parts), tuple(findings), refusals=tuple(refusals), notes=(*notes, *against))

    def _marked(self, query: Query, seen: Seen) -> float:
        """How much of a place the map marks, from one half on."""
        where = self._map(seen.where[0])
        there = torch.nn.functional.interpolate(torch.from_numpy(query.map)[None, None], where.shape)[0, 0].numpy()
        return float(((where >= _grounded.SEEN) * there).sum() / max(float(there.sum()), 1e-6))

    def _is_about(self, why: str, place: Place, query: Query, face: Face, affine: geometry.Affine) -> bool:
        """Whether what is said of a place that was pointed at is about it: all regions it names lie there."""
        if why == fifa.NOTHING:
            return False
        names = _grounded.mentioned(_grounded_claim(why))
        if place.region is not None:
            return all(_same(name, place.region) for name in names)
        shares = [self._shared(name, query, face, affine) for name in names]
        return all(share >= _THERE for share in shares)

    def _shared(self, name: str, query: Query, face: Face, affine: geometry.Affine) -> float:
        """How much of a place lies in a region, or of the region in the place, whichever is more; 0 without a mesh."""
        if face.landmarks is None:
            return 0.0
        rings = [geometry.transform(_to_map(affine, self._size), ring)
                 for ring in regions.polygons(name, face.landmarks)]  # fmt: skip
        inside, there = geometry.fill(rings, *query.map.shape), query.map >= 0.5 * query.map.max()
        both = float((inside & there).sum())
        return both / max(1.0, min(float(inside.sum()), float(there.sum())))

    def _part(self, place: Place, query: Query, face: Face, affine: geometry.Affine, seen: Seen) -> Mask | None:
        """What of the whole mask lies in a place that a question points at."""
        where = self._map(seen.where[0])
        there = torch.nn.functional.interpolate(torch.from_numpy(query.map)[None, None], where.shape)[0, 0].numpy()
        return self._shown((where * (there >= 0.3)).astype(np.float32), face, affine)

    def _query(self, place: Place, face: Face, affine: geometry.Affine) -> Query:
        """A place as the network is asked about it. Raises InputError where nothing of it is on the crop."""
        to_map = _to_map(affine, self._size)
        x1, y1, x2, y2 = place.box
        corners = geometry.transform(to_map, np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64))
        middle = corners.mean(0)
        if not (corners.max(0) > 0).all() or not (corners.min(0) < _MAP).all():
            raise InputError("fifa: expected a place on the face that is looked at, got one that lies outside its crop")
        if place.mask is not None:
            whole = geometry.place(place.mask, face.at.height, face.at.width)
            return Query("mask", np.clip(geometry.crop(whole, to_map, _MAP), 0, 1).astype(np.float32))
        if place.region is not None and face.landmarks is not None:
            rings = [geometry.transform(to_map, ring) for ring in regions.polygons(place.region, face.landmarks)]
            return Query("name", geometry.fill(rings, _MAP, _MAP).astype(np.float32))
        if max(x2 - x1, y2 - y1) <= CLICK:
            return Query("click", fifa.click_map(float(middle[0]) / _MAP, float(middle[1]) / _MAP, _MAP))
        low, high = corners.min(0) / _MAP, corners.max(0) / _MAP
        return Query("box", fifa.box_map((float(low[0]), float(low[1]), float(high[0]), float(high[1])), _MAP))


_ASKED: Mapping[str, str] = {  # what a question asks for, by its words; else it is explained
    "kind": r"\bkind\b|\btype\b|\bhow was\b|\bhow (is|were)\b.*\bmade\b",
    "region_detection": r"\b(which|what) (parts?|regions?|areas?)\b",
    "localisation": r"\bshow\b.*\bwhere\b",
    "detection": r"^(is|was|are)\b.*\b(real|fake|forged|genuine|manipulated|a deepfake)\b",
}


def _title(name: str) -> str:
    return fifa.title(name)


def _to_map(affine: geometry.Affine, size: int) -> geometry.Affine:
    """From the frame to a map that a question points with, by way of a crop of `size` pixels."""
    return geometry.compose(np.array([[_MAP / size, 0, 0], [0, _MAP / size, 0]]), affine)


def _same(a: str, b: str) -> bool:
    return regions.within(a, b) or regions.within(b, a)


def _same_words(title: str, region: str | None, claim: str) -> bool:
    """Whether a concept's words hold those that a region is called by: "area under the left eye" holds "left eye"."""
    return region is None or regions.title(region) in title


def _grounded_claim(text: str) -> str:
    """A sentence about a place without tags and placeholders."""
    return " ".join(text.replace(fifa.OPEN, "").replace(fifa.CLOSE, "").replace(SEG, "").replace(REG, "").split())
