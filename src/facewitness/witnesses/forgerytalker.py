"""ForgeryTalker: a mask of what was edited, and a report about it whose every mention of a region shows its part of it.

Trained by `train/forgerytalker`; how well it does is in `runs/forgerytalker/`. No weights travel with the package: see
`load`. It was made to say where a forgery is, not whether there is one: the score is the largest of the prompter
network's probabilities, and without a calibration the judge hears it and lets it decide nothing.

Text, mask and prompter may disagree. The report is written about those of the prompter's areas that the mask touches,
where there are any; what is named and not in the mask gets no mark, and the reply says so.

It was taught one instruction, so it has no words of its own for a question. A place that a question points at, by name,
box, mask or click, is answered from the mask and the prompter; to any other question it gives its report.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from facewitness import geometry, regions
from facewitness.calibration import decided
from facewitness.errors import BackendError, InputError, WeightsError
from facewitness.models.fifa import title as spoken
from facewitness.models.forgerytalker import ForgeryTalker
from facewitness.phrases import capital, listed, percent
from facewitness.types import (
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
    "The network's weights do not travel with facewitness. Take runs/forgerytalker/forgerytalker.safetensors of its "
    "repository with the .json files beside it, or make them: facewitness train forgerytalker "
    "runs/forgerytalker/small.toml … (runs/forgerytalker/README.md), and name the file: --option "
    "forgerytalker.weights=FILE"
)
TOUCHED = 0.15  # of a region in the mask, from which on a mention of it is shown there
COVERED = 0.5  # of a region in the mask, from which on a report that leaves it out is told to
AREAS = regions.DIALECTS["mmtt"]  # the tree's regions of each of the 21 labels, as far as it has them


def load(
    weights: str | None = None, device: str = "cpu", words: bool = True, max_tokens: int = 120, beams: int = 1
) -> Talker:
    """The witness, ready to examine.

    Args:
        weights: Path of a network that `train/forgerytalker` saved; None looks for forgerytalker.safetensors where
            `facewitness.weights` looks.
        device: torch's name of one.
        words: Whether it writes a report; without it examines faster.
        max_tokens: Of a report.
        beams: Beginnings of a report that are followed at once: 1 writes the likeliest word each time, its authors'
            numbers are of 5.

    Raises:
        WeightsError: The weights are missing, damaged or of another kind.
        InputError: The device is unknown, or a number cannot be.
    """
    return Talker(weights, device, words, max_tokens, beams)


class Talker(_grounded.Loaded):
    """One loaded network. `examine` takes a track, of any finder, and returns its testimony."""

    name = "forgerytalker"
    network: ForgeryTalker

    def __init__(self, path: str | None, device: str, words: bool, max_tokens: int, beams: int = 1):
        if not 1 <= beams <= 100:
            raise InputError(f"forgerytalker.beams: expected a number from 1 to 100, got {beams}")
        super().__init__(HOW, ForgeryTalker.load, path, device, words, max_tokens)
        self._beams = beams
        self._options |= {"beams": beams} if beams > 1 else {}
        learned = self.facts.get("artefacts", [])  # how the sentences end that it learned; none of people's reports
        if not isinstance(learned, list) or not all(isinstance(words, str) and words for words in learned):
            raise WeightsError(f"forgerytalker: expected on the card artefacts as texts, got {learned!r:.80}. {HOW}")
        self._artefacts: tuple[str, ...] = tuple(learned)

    def examine(self, track: Track, clip: Clip) -> Testimony:
        """Testimony on one person; the report is about the face that can be judged best.

        Args:
            track: One person's faces.
            clip: The file's pixels; a photo is a clip of one frame.
        """
        testimony = _tracks.over(track, clip, self._look)
        if not self._talks:
            return testimony
        face = track.face
        reply = self._reply(face, clip.at(face.at).pixels)
        findings = reply.findings or testimony.findings
        return replace(testimony, reply=reply, findings=findings)

    def answer(
        self, track: Track, clip: Clip, question: Question, history: Sequence[Turn] = (), hear: Hear | None = None
    ) -> Reply:
        """What the mask has at the places that a question points at; its report where it points at none.

        Args:
            track: One person's faces; the answer is about the one that can be judged best.
            clip: The file's pixels; a photo is a clip of one frame.
            question: The question in words, and the places it points at.
            history: Earlier questions, which change nothing.
            hear: Is called with the reply, which comes at once; None to wait for it.

        Raises:
            BackendError: It was loaded without words, and the question points at nothing.
        """
        face = track.face
        pixels = clip.at(face.at).pixels
        if not question.places and not self._talks:
            raise BackendError(
                "forgerytalker was loaded without words: expected a question that points at a place, got one that "
                "points at none. Leave out --option forgerytalker.words=false."
            )
        reply = self._about(face, pixels, question.places) if question.places else self._reply(face, pixels)
        if hear is not None:
            hear(reply.text)
        return reply

    def _about(self, face: Face, pixels: Pixels, places: Sequence[Place]) -> Reply:
        """Whether each place is forged: how much of it lies in the mask, and what the prompter gives its area."""
        affine, crop = self._crop(face, pixels)
        areas, values = self.network.look(crop)
        mask, to_grid = _places.on_frame(values, face, affine, self._size)
        score = max(areas.values())
        turned = frozenset() if face.landmarks is None else regions.hidden(face.landmarks)
        parts: list[str | Mark] = []
        findings: list[Finding] = []
        for place in places:
            gap = " " if parts else ""
            there = "that place" if place.region is None else _title(place.region)
            if place.region in turned:
                parts.append(f"{gap}{capital(there)} cannot be seen in this pose; nothing is said of it.")
                continue
            named = place.region is not None and face.landmarks is not None
            inside = self._inside(str(place.region), face, mask, to_grid) if named else _cells(place, mask)
            if inside is None or not inside.any():
                parts.append(f"{gap}{capital(there)} lies outside what was looked at; nothing is said of it.")
                continue
            share = float((mask.values[inside] >= _grounded.SEEN).mean())
            chances = [areas[label] for label, names in AREAS.items() if place.region in names and label in areas]
            why = f"{percent(share)} of it lies in the mask"
            why += f", and the prompter network gives its area {percent(max(chances))}" if chances else ""
            shown = _grounded.tight(Mask(mask.box, mask.values * inside)) if share >= TOUCHED else None
            if shown is None:
                parts.append(f"{gap}No, {there} is not forged: {why}.")
                continue
            whole = Place(face.at, place.region, shown.box, shown)
            findings.append(Finding((whole,), f"{capital(there)} is forged.", self._worth(score)))
            parts += [f"{gap}Yes, ", there, Mark(findings[-1]), f" is forged: {why}."]
        accused = [finding.region for finding in findings if finding.region is not None]
        answered: Label | None = "fake" if findings else None
        notes = _words.of_a_region(answered, accused, decided(score, self.calibration), f"the score, {score:.2f},")
        return Reply(None, None, tuple(parts), tuple(findings), notes=notes)

    def _look(self, face: Face, pixels: Pixels) -> Testimony:
        affine, crop = self._crop(face, pixels)
        areas, values = self.network.look(crop)
        mask, _ = _places.on_frame(values, face, affine, self._size)
        return Testimony(self.name, max(areas.values()), mask)

    def _crop(self, face: Face, pixels: Pixels) -> tuple[geometry.Affine, torch.Tensor]:
        affine = _places.crop_map(face, self._size, self._margin, self._whole)
        crop = geometry.crop(pixels, affine, self._size)
        return affine, torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1)))[None].to(self._device).float()

    def _reply(self, face: Face, pixels: Pixels) -> Reply:
        affine, crop = self._crop(face, pixels)
        areas, values = self.network.look(crop)
        mask, to_grid = _places.on_frame(values, face, affine, self._size)
        named = tuple(name for name, chance in areas.items() if chance >= 0.5)
        touched = tuple(name for name in named if self._touches(name, face, mask, to_grid))
        score = max(areas.values())
        closed = bool(named) and self.calibration is not None and decided(score, self.calibration) == "real"
        about = [() if closed else touched or named]
        answer = self.network.speak(crop, self._max_tokens, named=about, beams=self._beams)[0]
        text, repeated = _once(answer.text)
        text, broken = _whole(text, self._artefacts)
        parts, findings, without = _grounded.marked(
            text, face, lambda name: self._part(name, face, mask, to_grid), self._worth(score)
        )
        names = _grounded.mentioned(text)
        label: Label = "fake" if names else "real"
        there = _grounded.tight(mask) is not None
        note = f"The prompter network names: {listed(list(named)) if named else 'no area'}."
        if closed:  # as often of genuine faces as not: the report is not asked about what the score does not bear
            note = f"The prompter network names {listed(list(named))}, by a score that counts as no sign of forgery."
        quarrels = [] if label == ("fake" if there else "real") else [
            _words.beside(label, "fake" if there else "real", "the mask")
        ]  # fmt: skip
        if repeated:
            quarrels.append("The report repeated itself, or broke off; each of its sentences stands here once.")
        if broken:
            quarrels.append(f"What it said of {listed(broken)} is no sentence that it learned, and is left out.")
        if without:
            quarrels.append(f"The report names, and the mask does not show: {listed(list(map(_title, without)))}.")
        silent = [name for name in self._covered(face, mask, to_grid) if not _named(name, names)]
        if silent:
            quarrels.append(f"The mask covers, and the report does not name: {listed(list(map(_title, silent)))}.")
        # a quarrel of text and mask breaks no form, and this network was asked for none: `refusals` stays None
        return Reply(label, None, parts, findings, notes=(note, *quarrels))

    # ------------------------------------------------------------------------------------------------ text and mask

    def _inside(self, name: str, face: Face, mask: Mask, to_grid: geometry.Affine) -> NDArray[np.bool_] | None:
        place = _places.region_on(face, name, mask, to_grid)
        return None if place is None or not place[1].any() else place[1]

    def _share(self, name: str, face: Face, mask: Mask, to_grid: geometry.Affine) -> float:
        inside = self._inside(name, face, mask, to_grid)
        return 0.0 if inside is None else float((mask.values[inside] >= _grounded.SEEN).mean())

    def _touches(self, label: str, face: Face, mask: Mask, to_grid: geometry.Affine) -> bool:
        return any(self._share(name, face, mask, to_grid) >= TOUCHED for name in AREAS.get(label, ()))

    def _part(self, name: str, face: Face, mask: Mask, to_grid: geometry.Affine) -> Mask | None:
        """The mask within a region; None where it hardly touches it. Without a mesh it is the whole mask."""
        if face.landmarks is None:
            return _grounded.tight(mask)
        inside = self._inside(name, face, mask, to_grid)
        if inside is None or self._share(name, face, mask, to_grid) < TOUCHED:
            return None
        return _grounded.tight(Mask(mask.box, mask.values * inside))

    def _covered(self, face: Face, mask: Mask, to_grid: geometry.Affine) -> list[str]:
        names = ("left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "nose", "mouth", "chin", "forehead",
                 "left_cheek", "right_cheek")  # fmt: skip
        return [name for name in names if self._share(name, face, mask, to_grid) >= COVERED]


def _once(text: str) -> tuple[str, bool]:
    """A report without sentences said again and without one that breaks off behind others; whether any was left out."""
    sentences = re.split(r"(?<=[.!?])\s+", text.strip())
    kept = list(dict.fromkeys(sentences))
    if len(kept) > 1 and not kept[-1].endswith((".", "!", "?")):
        kept.pop()
    return " ".join(kept), len(kept) < len(sentences)


def _whole(text: str, artefacts: Sequence[str]) -> tuple[str, list[str]]:
    """A report whose sentences end as those that were learned, and of what it said something else.

    Args:
        text: The report.
        artefacts: How sentences about a region end, without the full stop; empty where that is not known.
    """
    broken: list[str] = []
    kept = []
    for sentence in re.split(r"(?<=[.!?])\s+", text) if artefacts else [text]:
        names = _grounded.mentioned(sentence)
        if artefacts and names and not sentence.rstrip(".").endswith(tuple(artefacts)):
            broken += [_title(name) for name in names]
            sentence = " ".join(_places.claim(name) for name in names)
        kept.append(sentence)
    return " ".join(kept), list(dict.fromkeys(broken))


def _named(name: str, names: tuple[str, ...]) -> bool:
    return any(regions.within(name, other) or regions.within(other, name) for other in names)


def _cells(place: Place, mask: Mask) -> NDArray[np.bool_]:
    """The mask's cells whose middle lies in a place, (h, w)."""
    height, width = mask.values.shape
    x1, y1, x2, y2 = mask.box
    xs = x1 + (np.arange(width) + 0.5) * (x2 - x1) / width
    ys = y1 + (np.arange(height) + 0.5) * (y2 - y1) / height
    left, top, right, bottom = place.box
    inside = ((ys >= top) & (ys <= bottom))[:, None] & ((xs >= left) & (xs <= right))[None]
    if not inside.any():  # smaller than a cell, as a click is: the cell that it lies in
        x, y = (left + right) / 2, (top + bottom) / 2
        if x1 <= x <= x2 and y1 <= y <= y2:
            inside[np.abs(ys - y).argmin(), np.abs(xs - x).argmin()] = True
    if place.mask is None:
        return inside
    a, b, c, d = place.mask.box
    rows, columns = place.mask.values.shape
    j = np.clip(((xs - a) / (c - a) * columns).astype(int), 0, columns - 1)
    i = np.clip(((ys - b) / (d - b) * rows).astype(int), 0, rows - 1)
    return inside & (place.mask.values[np.ix_(i, j)] >= _grounded.SEEN)


def _title(name: str) -> str:
    return f"the {spoken(name)}"
