"""What is written about a self-made edit: only areas that were edited, each with the artefact its operation causes.

    sentences(row, mesh, mask, rng)  →  (("left_eyebrow", "The left eyebrow is smeared and has lost its detail."), …)

The mask is known, and so is every operation. A region of the tree is spoken of where at least half of it was edited,
by the mesh's polygon: that stands for the face parser of MMTT and FiFa. The words for an artefact name no region, so a
text names what was edited and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, regions
from facewitness.builders import grounded
from facewitness.models.fifa import NO_FORGERY, title
from facewitness.train.edits import Edits
from facewitness.types import Landmarks

# Regions that a report speaks of, in its order: what is large or told apart by people, without their own parts.
SPOKEN: tuple[str, ...] = (
    "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "nose", "mouth", "chin", "forehead", "left_cheek",
    "right_cheek", "left_under_eye", "right_under_eye", "hairline", "left_ear", "right_ear", "beard",
)  # fmt: skip
MOST = 4  # regions of a report: MMTT's have 27 words on the average
# of more than that, as after a swap, those come first
FIRST = ("nose", "mouth", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "chin", "forehead")
COVERED = 0.5  # of a region that lies in the mask, from which on it was edited
NOTHING = NO_FORGERY
_FINE = 8
ARTEFACTS: Mapping[str, tuple[str, ...]] = {
    "swap": (
        "does not match its surroundings in colour",
        "is lit in another way than what is around it",
        "looks pasted, with a soft seam at its border",
    ),
    "replace": (
        "is shifted a little and no longer fits its surroundings",
        "is turned and stretched against the rest",
        "has a faint doubled edge",
    ),
    "telea": (
        "is smeared and has lost its detail",
        "is a smooth patch without any grain",
        "fades into a blur",
    ),
    "navier_stokes": (
        "is drawn out into streaks",
        "is smooth where detail belongs",
        "flows into its surroundings",
    ),
    "exemplar": (
        "repeats a piece from elsewhere",
        "is covered by a patch that does not belong there",
        "was filled with a copied texture",
    ),
    "blend": (
        "differs a little in tone and sharpness",
        "has a veil of another colour over it",
        "is blended in with a faint seam",
    ),
}


def inside(name: str, mesh: Landmarks, size: int, grid: int) -> NDArray[np.bool_]:
    """A region's polygon on a crop of `size` pixels, sampled by grid × grid.

    Args:
        name: Of a region.
        mesh: (468, 2), in the crop's pixels.
        size: Side of the crop, pixels.
        grid: Cells a side.

    Returns:
        bool (grid, grid).
    """
    scale = np.array([[grid / size, 0, 0], [0, grid / size, 0]])
    return geometry.fill([geometry.transform(scale, ring) for ring in regions.polygons(name, mesh)], grid, grid)


def parsing(mesh: Landmarks, size: int, grid: int) -> NDArray[np.uint8]:
    """How much of each sample of a grid × grid lies in each region of SPOKEN, uint8 (K, grid, grid), 255 all of it.

    Args:
        mesh: (468, 2), in the crop's pixels.
        size: Side of the crop, pixels.
        grid: Cells a side.

    Returns:
        uint8 (K, grid, grid).
    """
    return np.stack([np.asarray(np.rint(covered(name, mesh, size, grid) * 255), np.uint8) for name in SPOKEN])


def parsed(made: Edits, grid: int) -> NDArray[np.uint8]:
    """`parsing` of every crop, uint8 (N, K, grid, grid), kept in the edits' folder once it is made.

    Args:
        made: The edits.
        grid: Cells a side.

    Returns:
        uint8 (N, K, grid, grid).
    """
    file = made.folder / f"parsing-{grid}.npy"
    if not file.exists():
        part, size = file.with_suffix(".part.npy"), int(made.pixels.shape[1])
        kept = np.lib.format.open_memmap(part, "w+", np.uint8, (len(made), len(SPOKEN), grid, grid))
        for i, mesh in enumerate(made.meshes):
            kept[i] = parsing(mesh, size, grid)
        kept.flush()
        part.replace(file)
    return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))


def covered(name: str, mesh: Landmarks, size: int, grid: int) -> NDArray[np.float32]:
    """How much of each sample of a grid × grid lies in a region, (grid, grid) in [0, 1].

    Drawn eight times as fine, as at the resolution of a mask an eyebrow is a sample or two high.

    Args:
        name: Of a region.
        mesh: (468, 2), in the crop's pixels.
        size: Side of the crop, pixels.
        grid: Cells a side.

    Returns:
        float32 (grid, grid) in [0, 1].
    """
    fine = np.asarray(mesh, np.float32)[:, :2] * (_FINE * grid / size)
    there = grounded.outline(name, fine, _FINE * grid, _FINE * grid).view(np.uint8)
    return cv2.resize(there.astype(np.float32), (grid, grid), interpolation=cv2.INTER_AREA)


def edited(mesh: Landmarks, mask: NDArray[np.uint8], size: int) -> tuple[str, ...]:
    """The regions that a mask edits, in the order of SPOKEN; where none is edited by half, the one that is most.

    Args:
        mesh: (468, 2) in the crop's pixels.
        mask: (g, g), 255 forged.
        size: Side of the crop, pixels.
    """
    grid = 64
    small = cv2.resize(mask, (grid, grid), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    shares: dict[str, float] = {}
    for name in SPOKEN:
        there = inside(name, mesh, size, grid)
        if there.sum() >= 6:  # outside the crop, or hidden by the pose
            shares[name] = float((small[there] >= 0.5).mean())
    names = tuple(name for name, share in shares.items() if share >= COVERED)
    best = max(shares, key=lambda name: shares[name], default=None)
    return names or ((best,) if best is not None and shares[best] > 0.05 else ())


def sentences(
    row: Mapping[str, Any], mesh: Landmarks, mask: NDArray[np.uint8], size: int, rng: np.random.Generator
) -> tuple[tuple[str, str], ...]:
    """(region, sentence) of every edited region that is spoken of; empty for a genuine picture.

    Args:
        row: Of the edits.
        mesh: (468, 2), in the crop's pixels.
        mask: (g, g), 255 forged.
        size: Side of the crop, pixels.
        rng: What everything is drawn from; the same state gives the same result.

    Returns:
        (region, sentence) of each region.
    """
    if not row["fake"]:
        return ()
    names = edited(mesh, mask, size)
    first = sorted(names, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))[:MOST]
    return tuple(
        (name, f"The {title(name)} {rng.choice(ARTEFACTS[_operation(row['record'], name)])}.")
        for name in names
        if name in first
    )


def text(sentences_of: Sequence[tuple[str, str]]) -> str:
    """The report as plain text.

    Args:
        sentences_of: (region, sentence) of each edited region.
    """
    return " ".join(sentence for _, sentence in sentences_of) or NOTHING


def _operation(record: Sequence[Mapping[str, Any]], name: str) -> str:
    """What was done to a region: the operation on the region itself, or on one that holds it, else the first one."""
    done = [entry for entry in record if entry.get("operation") in ("swap", "replace", "remove")]
    own = [e for e in done if e.get("region") and (
        regions.within(name, str(e["region"])) or regions.within(str(e["region"]), name))
        if str(e["region"]) in regions.REGIONS]  # fmt: skip
    entry = (own or done or [{}])[-1]
    operation = str(entry.get("operation", "blend"))
    return str(entry["fill"]) if operation == "remove" else operation


# ------------------------------------------------------------------------------------------------- the 21 labels

AREAS = regions.MMTT  # in the order of the FPN's answers
areas = regions.captioned  # the labels that a text has
_FIND = re.compile(
    r"\b(?:"
    + "|".join(sorted({re.escape(w) for words in regions.SYNONYMS.values() for w in words}, key=len)[::-1])
    + r")\b",
    re.IGNORECASE,
)


def spans(words: str) -> list[tuple[int, int]]:
    """Where a text names one of the 21 areas, as (begin, end): what pretraining masks.

    Args:
        words: A text.

    Returns:
        (begin, end) in characters.
    """
    return [match.span() for match in _FIND.finditer(words)]
