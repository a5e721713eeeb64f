"""The deletion test: cover the place a claim names, and see whether the score falls; if not, the claim is only words.

For every claim of a face judged by a witness, its place is inpainted and the same crop examined again. Beside it stands
an equally large other place of the same face, the same outline moved to where it overlaps the claim least. Covering
changes the score by itself (inpainting is a forgery, too), so what counts is the difference between the two falls:

    faithfulness = mean over claims of  [p − p(claim covered)] − [p − p(other place covered)]

in calibrated probability, with a 95 % interval by bootstrap over groups. It is the deletion of Petsiuk et al. ("RISE",
BMVC 2018), with one step and a control, and as there a witness whose explanation does not depend on the picture gets 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, media
from facewitness.bench import measures
from facewitness.errors import FacewitnessError
from facewitness.explain import claimable
from facewitness.film import Frames
from facewitness.phrases import listed
from facewitness.pipeline import Analyzer
from facewitness.types import Box, Clip, Face, Finding, Frame, Pixels, Sample, Track

FEWEST = 10  # groups from which an interval is given: drawn from fewer, it is too narrow, and of one it has no width


@dataclass(frozen=True, slots=True)
class Deletion:
    """One claim: the calibrated probability before, with its place covered, and with another place covered."""

    file: str
    group: str
    label: str
    region: str
    strength: float | None
    before: float
    covered: float
    elsewhere: float

    @property
    def faithfulness(self) -> float:
        """How much further the score falls when the claim's own place is covered."""
        return self.elsewhere - self.covered


def deletions(
    samples: Iterable[Sample], root: Path, analyzer: Analyzer, *, progress: Callable[[int], None] = lambda done: None
) -> tuple[list[Deletion], dict[str, int]]:
    """All claims of all faces, by the analyzer's first witness; and how many pictures were used or why not.

    Args:
        samples: Pictures with their truth.
        root: Where the items' files lie; not looked at where the samples hold their pictures.
        analyzer: Whose first witness is tested.
        progress: Is called with the number of items done.

    Returns:
        The claims, and how many pictures were used or why not.
    """
    witness = analyzer.witnesses[0]
    calibration = analyzer.calibrations.get(witness.name)
    result: list[Deletion] = []
    tally = {"pictures": 0, "without_claim": 0, "without_face": 0, "failed": 0}
    video = Frames()
    for number, sample in enumerate(samples):
        try:
            source = root / sample.file if sample.image is None else sample.image
            clip = media.read(source if sample.frame is None else video.frame(root / sample.file, sample.frame))
            faces = _meant(analyzer.finder.find(clip.frame), sample.box)
        except (FacewitnessError, OSError):
            tally["failed"] += 1
            continue
        tally["pictures"] += 1
        if not faces:
            tally["without_face"] += 1
        for face in faces:
            track = Track(0, (face,))
            testimony = witness.examine(track, clip)
            claims = claimable(testimony.findings)
            if testimony.fake is None or not claims:
                tally["without_claim"] += 1
                continue

            if calibration is not None and calibration.apply(testimony.fake)[0] < calibration.real_below:
                tally["without_claim"] += 1  # of a face without a sign of forgery nothing is claimed
                continue

            def probability(clip: Clip, track: Track = track) -> float:
                score = witness.examine(track, clip).fake
                assert score is not None
                return score if calibration is None else calibration.apply(score)[0]

            before = probability(clip)
            for finding in claims:
                places = _places(face, finding)
                if places is None:
                    continue
                named, other = places
                result.append(
                    Deletion(
                        sample.file, f"{sample.dataset}/{sample.group}", sample.truth.label, finding.region or "",
                        finding.strength, before,
                        probability(_with(clip, cover(clip.frame.pixels, named))),
                        probability(_with(clip, cover(clip.frame.pixels, other))),
                    )
                )  # fmt: skip
        progress(number + 1)
    return result, tally


def _meant(faces: Sequence[Face], box: Box | None) -> Sequence[Face]:
    """The face that a sample is about: the one at its box, or the first."""
    if box is None:
        return faces[:1]
    number = geometry.meant([face.box for face in faces], box)
    return () if number is None else (faces[number],)


def cover(pixels: Pixels, place: NDArray[np.bool_]) -> Pixels:
    """The picture with a place (H, W) inpainted from its surroundings (Telea 2004).

    Args:
        pixels: RGB uint8 (H, W, 3).
        place: Pixels (H, W) of the place.

    Returns:
        RGB uint8 (H, W, 3).
    """
    radius = max(3, round(np.sqrt(place.sum()) / 8))
    return np.asarray(cv2.inpaint(pixels, place.astype(np.uint8) * 255, radius, cv2.INPAINT_TELEA), np.uint8)


def _with(clip: Clip, pixels: Pixels) -> Clip:
    """A photo with other pixels."""
    return replace(clip, kept=(Frame(pixels, clip.frame.index, clip.frame.seconds),))


def _places(face: Face, finding: Finding) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """The claim's place (its region's outline), and the same outline elsewhere on the face.

    The outline, not the soft mask inside it: what is deleted must be as large as what the sentence names. None where
    there is no mesh, or the place covers so much of the face that no other of its size is left.
    """
    from facewitness import regions

    if face.landmarks is None or finding.region is None:
        return None
    height, width = face.at.height, face.at.width
    named = geometry.fill(list(regions.polygons(finding.region, face.landmarks)), height, width)
    hull = cv2.convexHull(face.landmarks[:, :2].astype(np.float32))[:, 0]
    oval = geometry.fill([hull], height, width)
    named &= oval if (named & oval).any() else named
    area = int(named.sum())
    if area < 16 or area > 0.4 * oval.sum():
        return None
    x1, y1, x2, y2 = geometry.bounds(hull)
    step = max(2, round((x2 - x1) / 12))
    best, least = None, np.inf
    down, across = min(round(y2 - y1), height - 1), min(round(x2 - x1), width - 1)  # a face may be cut off by the frame
    for dy in range(-down, down + 1, step):
        for dx in range(-across, across + 1, step):
            moved = np.zeros_like(named)
            moved[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)] = named[
                max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)
            ]
            inside = int((moved & oval).sum())
            if inside < 0.95 * area:
                continue
            # as little overlap as can be, then as near as can be: far corners of a face are hair and background
            cost = int((moved & named).sum()) + 1e-3 * np.hypot(dx, dy)
            if cost < least:
                best, least = moved, cost
    if best is None or (best & named).sum() > 0.1 * area:
        return None
    return named, best


def summary(deletions: list[Deletion], seed: int = 0) -> dict[str, Any]:
    """Means over claims, an interval by groups, and the share of claims that beat the other place.

    Args:
        deletions: One a claim.
        seed: Of the bootstrap and of the controls.

    Returns:
        Name → number, JSON-ready; `interval` is None below FEWEST groups.
    """
    if not deletions:
        return {"claims": 0, "why": "no claim could be tested"}
    fall = np.array([d.before - d.covered for d in deletions])
    other = np.array([d.before - d.elsewhere for d in deletions])
    group, ones = np.array([d.group for d in deletions]), np.ones(len(deletions))
    value = measures.ratios({"faithfulness": (fall - other, ones)}, group, seed=seed)["faithfulness"]
    by_region = {
        name: {
            "claims": sum(d.region == name for d in deletions),
            "faithfulness": float(np.mean([d.faithfulness for d in deletions if d.region == name])),
        }
        for name in sorted({d.region for d in deletions})
    }
    groups = int(np.unique(group).size)
    return {
        "claims": len(deletions), "groups": groups,
        "fall_claimed": float(fall.mean()), "fall_elsewhere": float(other.mean()),
        "faithfulness": value.value,
        "interval": None if value.low is None or groups < FEWEST else [value.low, value.high],
        "better_than_elsewhere": float((fall > other).mean()), "by_region": by_region,
    }  # fmt: skip


def in_words(numbers: Mapping[str, Any]) -> str:
    """The numbers of `summary`, with the tally, as sentences and a small table.

    Args:
        numbers: As `summary` gives them.
    """
    left = [
        f"{numbers[name]} {what}"
        for name, what in (("without_face", "without a face"), ("without_claim", "faces without a claim"),
                           ("failed", "that could not be read"))
        if numbers.get(name)
    ]  # fmt: skip
    pictures = f"{_counted(numbers.get('pictures', 0), 'picture')}{f' ({listed(left)})' if left else ''}"
    if not numbers["claims"]:
        return f"{pictures}: {numbers['why']}, so nothing is known of what the explanations rest on."
    interval, value = numbers["interval"], numbers["faithfulness"]
    if interval is None:
        bounds = "no interval"
        verdict = (
            "These are too few claims to tell whether the score falls further where a claim points: expected "
            f"{FEWEST} groups of pictures, got {numbers['groups']}. Name a folder with more."
        )
    else:
        bounds = f"95 % interval {interval[0]:+.4f} … {interval[1]:+.4f}"
        verdict = (
            "The score falls further where a claim points: the test is passed."
            if interval[0] > 0
            else "The score does not fall further where a claim points: the test is not passed."
        )
    lines = [
        f"{_counted(numbers['claims'], 'claim')} of {_counted(numbers['groups'], 'group')} in {pictures}.",
        f"The probability falls by {numbers['fall_claimed']:+.4f} where the claimed place is covered, by "
        f"{numbers['fall_elsewhere']:+.4f} where another of its size is.",
        f"Faithfulness {value:+.4f} ({bounds}); {numbers['better_than_elsewhere']:.0%} of claims beat the other place.",
        verdict,
        "",
        f"{'region':<16}{'claims':>8}{'faithfulness':>14}",
    ]
    lines += [
        f"{name or 'no region':<16}{each['claims']:>8}{each['faithfulness']:>+14.4f}"
        for name, each in numbers["by_region"].items()
    ]
    return "\n".join(lines)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
