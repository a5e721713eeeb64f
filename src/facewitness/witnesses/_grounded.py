"""Words that point: from a text and a mask to a reply whose mentions of regions carry their part of the mask."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from facewitness import regions
from facewitness.calibration import logistic
from facewitness.errors import InputError, WeightsError
from facewitness.types import Box, Face, Finding, Mark, Mask, Place
from facewitness.witnesses import _device

SEEN = 0.5  # of a mask, from which on a sample is forged
# what texts call regions besides their titles in the tree; sides are the subject's
_MORE = {
    "area under the left eye": "left_under_eye", "area under the right eye": "right_under_eye", "beard area": "beard",
    "lips": "mouth", "lip": "mouth", "ears": "ear", "tooth": "teeth", "moustache": "mustache", "eye": "eyes",
    "eyebrow": "eyebrows", "brows": "eyebrows", "cheek": "cheeks", "nostril": "nostrils",
}  # fmt: skip


def _names() -> dict[str, str]:
    named = {regions.title(name): name for name in regions.REGIONS if name not in ("face", "skin")}
    return named | _MORE


_NAMES = _names()
_MENTION = re.compile(r"(?<!\w)(" + "|".join(sorted(map(re.escape, _NAMES), key=len, reverse=True)) + r")(?!\w)", re.I)
_SENTENCE = re.compile(r"[^.!?]*[.!?]?")


def tight(mask: Mask, least: float = SEEN) -> Mask | None:
    """The part of a mask around what is forged in it; None where nothing is."""
    there = mask.values >= least
    if not there.any():
        return None
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    x1, y1, x2, y2 = mask.box
    sx, sy = (x2 - x1) / mask.values.shape[1], (y2 - y1) / mask.values.shape[0]
    box: Box = (x1 + left * sx, y1 + top * sy, x1 + right * sx, y1 + bottom * sy)
    values = np.where(there, mask.values, np.float32(0))[top:bottom, left:right]
    return Mask(box, np.ascontiguousarray(values, np.float32))


def marked(
    text: str, face: Face, of: Callable[[str], Mask | None], strength: float | None = None
) -> tuple[tuple[str | Mark, ...], tuple[Finding, ...], tuple[str, ...]]:
    """A text as parts, with a mark after each region that it names and that has a mask.

    Args:
        text: Somebody's words.
        face: Whom they are about.
        of: A region's name → its part of the mask, None where the mask has nothing there.
        strength: Share of such mentions that are right; None where nobody measured.

    Returns:
        The parts, whose strings joined are the text; one finding for each mark; regions that are named and not in the
        mask, each once.
    """
    parts: list[str | Mark] = []
    findings: dict[str, Finding] = {}
    without: dict[str, None] = {}
    begin = 0
    for match in _MENTION.finditer(text):
        name = _NAMES[match[1].lower()]
        mask = of(name)
        if mask is None:
            without[name] = None
            continue
        parts.append(text[begin : match.end()])
        begin = match.end()
        if name not in findings:
            place = Place(face.at, name, mask.box, mask)
            findings[name] = Finding((place,), _sentence(text, match.start()), strength)
        parts.append(Mark(findings[name]))
    if text[begin:]:
        parts.append(text[begin:])
    return tuple(parts), tuple(findings.values()), tuple(without)


def mentioned(text: str) -> tuple[str, ...]:
    """The regions that a text names, each once, in their order."""
    return tuple(dict.fromkeys(_NAMES[match[1].lower()] for match in _MENTION.finditer(text)))


def _sentence(text: str, at: int) -> str:
    for match in _SENTENCE.finditer(text):
        if match.start() <= at < match.end():
            return match[0].strip()
    return text.strip()


class Loaded:
    """What the grounding witnesses share: a network from its file, the crop it takes, and what stands on its card.

    Args:
        how: Where weights come from, in words.
        load: A file → the network.
        path: The network's file; None looks for `name`.safetensors where `facewitness.weights` looks.
        device: torch's name of one.
        words: Whether it explains what it examines.
        max_tokens: Of its words.

    Raises:
        WeightsError: The weights are missing, or their card lacks the crop.
        InputError: The device is unknown, or no token is left.
    """

    name = ""

    def __init__(
        self, how: str, load: Callable[[Path], Any], path: str | None, device: str, words: bool, max_tokens: int
    ):
        file = _device.file_of(f"{self.name}.safetensors", path, "network", how)
        if max_tokens < 1:
            raise InputError(f"{self.name}.max_tokens: expected at least 1, got {max_tokens}")
        self._device, self.network = _device.on(device, lambda: load(file))
        facts = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        margin = facts.get("crop", {}).get("margin") if isinstance(facts.get("crop"), dict) else None
        if margin is None or not number(margin, 0.5, 10):
            what = "which is missing" if margin is None else f"from 0.5 to 10, got {margin!r:.80}"
            raise WeightsError(f"'{file.with_suffix('.json')}': expected crop.margin, {what}. {how}")
        self._margin, self._size, self._talks, self._max_tokens = float(margin), self.network.size, words, max_tokens
        self._whole = facts["crop"].get("whole") is True  # it learned from whole portraits
        # strength: share of mentions that were right, None where nobody measured; least: chance of a region from which
        # on words may name it, chosen where it was measured
        self._strength, least = facts.get("strength"), facts.get("least", 0.0)
        for name, value in (("strength", self._strength), ("least", least)):
            if not (number(value, 0, 1) or (value is None and name == "strength")):
                raise WeightsError(
                    f"'{file.with_suffix('.json')}': expected {name} in [0, 1], got {value!r:.80}. {how}"
                )
        self._least = float(least)
        self.facts: Mapping[str, Any] = facts
        self._options = {"weights": None if path is None else file.name, "device": device, "words": words,
                         "max_tokens": max_tokens}  # fmt: skip
        self.calibration: Mapping[str, Any] | None = facts.get("calibration")
        self.card: Mapping[str, str] | None = facts.get("card")

    def _worth(self, score: float) -> float | None:
        """Strength of a region that is named on a face of this score.

        How often named regions were right was measured on forged faces: it counts as far as the face is likely forged.
        """
        if self._strength is None:
            return None
        fit = self.calibration
        forged = score if fit is None else float(logistic(np.array(score), fit["slope"], fit["offset"]))
        return float(self._strength) * forged

    def made_by(self) -> dict[str, Any]:
        """What it takes to run this witness again: its options and its weights' SHA-256."""
        return {"options": self._options, "weights": {f"{self.name}.safetensors": self.network.sha256}}


def number(value: Any, low: float, high: float) -> bool:
    """Whether a card's value is a number in [low, high]; NaN and truth values are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
