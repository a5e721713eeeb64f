"""The strongest honest case for "genuine" and for "forged": clauses that are measured, each with its place.

A clause is a number that another witness or `portrait` gave, turned into a sentence about a place: nothing is said that
was not measured, and a side for which nothing speaks has no case. Clauses are also numbers (`states`), so that a judge
of answers without a language model (`models/deciding`) can read a case as it reads a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, portrait, regions
from facewitness.portrait import Portrait
from facewitness.types import Box, Face, Mask, Pixels, Testimony

# what a clause can be about; the order is that of the numbers in a trained judge's file
TYPES = (
    "score", "region", "kind", "seam", "noise", "parts", "light", "quality", "blank",
)  # fmt: skip
WIDTH = len(TYPES) + 3 + len(regions.MARE)  # type, side, strength, bias, region
GRID = 6  # cells along a side of the crop
CELL = 5  # numbers of a cell: mask, brightness, fine detail, saturation, and how much of it is face
_EYES = (("left_eye", "right_eye"), ("left_eyebrow", "right_eyebrow"), ("left_cheek", "right_cheek"))
_UNEQUAL = 0.7  # log ratio between two sides of a face beyond which light does not explain it: the 98th percentile
_PARTS = {"left_cheek": "skin", "right_cheek": "skin", "forehead": "skin"}


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing that was measured, for one side.

    Attributes:
        side: What it speaks for.
        type: One of TYPES.
        text: The sentence.
        strength: From 0, hardly, to 1, clearly.
        region: Of the tree; None for the whole face.
        box: The place on the frame.
    """

    side: str
    type: str
    text: str
    strength: float
    region: str | None
    box: Box


def clauses(testimony: Testimony, probability: float | None, seen: Portrait | None, face: Face) -> tuple[Clause, ...]:
    """Everything that speaks for one side or the other, the strongest first.

    Args:
        testimony: Of the witness that the cases rest on.
        probability: That its score stands for; None where it would not say.
        seen: What was measured of the face; None without a mesh.
        face: Gives places their boxes.
    """
    gathered: list[Clause] = []
    whole = _box(face, "face")
    if probability is not None:
        side = "fake" if probability >= 0.5 else "real"
        sure = abs(probability - 0.5) * 2
        share = round(100 * (probability if side == "fake" else 1 - probability))
        meaning = "forged" if side == "fake" else "genuine"
        gathered.append(
            Clause(
                side, "score", f"Of faces that look like this one to the network, about {share} in 100 are {meaning}.",
                sure, None, whole,
            )
        )  # fmt: skip
    for finding in testimony.findings[:4]:
        gathered.append(Clause("fake", "region", finding.claim, finding.strength or 0.0, finding.region, finding.box))
    if not testimony.findings and face.landmarks is not None:
        gathered.append(Clause("real", "region", "No part of the face was suspected by itself.", 0.4, None, whole))
    if testimony.kind:
        kind, likely = max(testimony.kind.items(), key=lambda item: item[1])
        if kind != "pristine" and likely > 0.5:
            gathered.append(Clause("fake", "kind", f"It looks most like {_KINDS[kind]}.", float(likely), None, whole))
        elif kind == "pristine" and likely > 0.5:
            gathered.append(
                Clause(
                    "real", "kind", "It looks most like a photograph that nobody changed.", float(likely), None, whole
                )
            )
    if seen is not None:
        gathered += _measured(seen, face, whole)
    return tuple(sorted(gathered, key=lambda clause: -clause.strength))


_KINDS = {
    "identity_exchange": "a face that was exchanged for another person's",
    "attribute_manipulation": "a face of which features were changed",
    "entire_synthesis": "a face that a generator made as a whole",
}


def _measured(seen: Portrait, face: Face, whole: Box) -> list[Clause]:
    gathered = []
    seam = abs(seen.seam)
    if seam > portrait.SEAM:
        gathered.append(
            Clause(
                "fake", "seam", "Fine detail changes where the face ends.", _above(seam, portrait.SEAM), "face", whole
            )
        )  # fmt: skip
    elif seam < portrait.SEAM / 3:
        gathered.append(
            Clause("real", "seam", "Fine detail goes on across the outline of the face.", 0.3, "face", whole)
        )
    for pair in _EYES:
        if all(name in seen.parts for name in pair):
            difference = seen.parts[pair[0]] - seen.parts[pair[1]]
            if abs(difference) > _UNEQUAL and abs(seen.turn) < portrait.TURNED:
                weak = pair[0] if difference < 0 else pair[1]
                text = f"The subject's {regions.title(weak)} is much softer than that of the other side."
                gathered.append(
                    Clause("fake", "parts", text, _above(abs(difference), _UNEQUAL), weak, _box(face, weak))
                )
    if portrait.SMOOTH <= seen.noise <= portrait.NOISY:
        gathered.append(
            Clause(
                "real",
                "noise",
                "The skin has as much noise as photographs of this size have.",
                0.25,
                "skin",
                _box(face, "skin"),
            )
        )
    elif seen.noise < portrait.SMOOTH:
        gathered.append(
            Clause(
                "fake",
                "noise",
                "The skin is smoother than nine of ten photographs have it.",
                0.3,
                "skin",
                _box(face, "skin"),
            )
        )
    if abs(seen.side) > portrait.SIDE:
        gathered.append(
            Clause(
                "real",
                "light",
                "The face is lit from one side, and its two halves fit that light.",
                0.15,
                "face",
                whole,
            )
        )
    return gathered


def _above(value: float, threshold: float) -> float:
    return float(min(1.0, 0.3 + 0.5 * (value / threshold - 1)))


def _box(face: Face, name: str) -> Box:
    if face.landmarks is None:
        return face.box
    try:
        around = geometry.bounds(np.concatenate(regions.polygons(name, face.landmarks)))
    except ValueError:
        return face.box
    return geometry.clip(around, face.at.width, face.at.height) or face.box


# ---------------------------------------------------------------------------------------------- as numbers, for a judge


def states(clauses: Sequence[Clause], supposed: str, limit: int = 12) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The clauses of one case as states (T, WIDTH), and which are no padding (T,); T is `limit`.

    An empty case is one blank clause. The result of the case is not in it (masked); which side it argues is.
    """
    rows_out, seen = np.zeros((limit, WIDTH), np.float32), np.zeros(limit, bool)
    for row, clause in enumerate(clauses[:limit]):
        rows_out[row, TYPES.index(clause.type)] = 1.0
        rows_out[row, len(TYPES)] = 1.0 if clause.side == "fake" else -1.0
        rows_out[row, len(TYPES) + 1] = clause.strength
        region = _PARTS.get(clause.region or "", clause.region or "")
        if region in regions.MARE:
            rows_out[row, len(TYPES) + 3 + regions.MARE.index(region)] = 1.0
        seen[row] = True
    if not clauses:
        rows_out[0, TYPES.index("blank")], seen[0] = 1.0, True
    rows_out[:, len(TYPES) + 2] = 1.0 if supposed == "fake" else -1.0
    return rows_out, seen


def grids(pixels: Pixels, face: Face, mask: Mask | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a judge sees of the picture: cells of the upright crop, fine (1 + 36, CELL) and coarse (1 + 9, CELL)."""
    at = face.landmarks if face.landmarks is not None else face.box
    affine = geometry.align(at, portrait.SIZE, portrait.MARGIN if face.landmarks is not None else 1.0)
    crop = geometry.crop(pixels, affine, portrait.SIZE).astype(np.float32) / 255
    luma = crop.mean(axis=2)
    fine = np.pad(np.abs(np.diff(luma, axis=0)), ((0, 1), (0, 0))) + np.pad(
        np.abs(np.diff(luma, axis=1)), ((0, 0), (0, 1))
    )
    high, low = crop.max(axis=2), crop.min(axis=2)
    suspected = np.zeros_like(luma)
    if mask is not None:
        height, width = mask.values.shape
        to_mask = np.array([[width / (mask.box[2] - mask.box[0]), 0, 0], [0, height / (mask.box[3] - mask.box[1]), 0]])
        to_mask[:, 2] = -to_mask[:, :2] @ mask.box[:2]
        suspected = np.asarray(
            geometry.crop(mask.values, geometry.compose(affine, geometry.invert(to_mask)), portrait.SIZE), np.float32
        )
    inside = np.ones_like(luma)
    if face.landmarks is not None:
        points = geometry.transform(affine, np.asarray(face.landmarks))
        inside = geometry.fill(regions.polygons("face", points), portrait.SIZE, portrait.SIZE).astype(np.float32)
    maps = np.stack([suspected, luma - 0.5, np.log(fine * 50 + 0.1), high - low, inside], axis=-1)
    return _cells(maps, GRID), _cells(maps, GRID // 2)


def _cells(maps: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    step = portrait.SIZE // side
    cells = maps.reshape(side, step, side, step, -1).mean(axis=(1, 3)).reshape(side * side, -1)
    return np.concatenate([cells.mean(axis=0, keepdims=True), cells]).astype(np.float32)
