"""What of a face can be seen: the regions that something covers, and whether there is a beard.

A forgery detector answers for every region of a face mesh, and the mesh runs on below a bar, a microphone, a mask or
hair. Nobody can look at skin that is not in the picture, so what a witness finds there is no finding
(`pipeline`), and a question about it is answered with that (`dialogue`).

How it is told. On an upright crop of 112 pixels, each region's brightness, colour, texture and likeness to its twin are
compared with the face's own skin, the median of forehead, cheeks and bridge of the nose: fifteen numbers a region. A
small network (fifteen numbers and the area's name, two hidden layers of 24 and 16) says how likely the region is
covered; a logistic over the beard area and the chin says whether there is a beard. Fits, thresholds and what they were
measured to be worth: `runs/surface`. A hand is made of skin, and half of the hands are not told.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, regions, weights
from facewitness.errors import WeightsError
from facewitness.phrases import listed
from facewitness.types import Face, Finding, Landmarks, Pixels, Place, Testimony

SCHEMA = "facewitness.surface/1"
SIZE = 112  # side of the crop in pixels
MARGIN = 1.25  # crop side over the mesh's longer side
AREAS = ("eye", "eyebrow", "nose", "mouth", "chin", "beard", "forehead", "cheek")
REGIONS = (
    "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "nose", "mouth", "chin", "beard", "forehead",
    "left_cheek", "right_cheek",
)  # fmt: skip
MEASURES = 15  # numbers a region
_SKIN = ("forehead", "left_cheek", "right_cheek", "nose_bridge")
_LEAST = 6  # pixels of a region that say something
_LIMIT = 4.0  # measures beyond it say no more


def seen(face: Face, pixels: Pixels) -> Face:
    """The face with its `unseen` regions filled in; as it is where it has no landmarks.

    Args:
        face: With landmarks in pixels of the frame.
        pixels: The frame, RGB uint8 (H, W, 3).

    Raises:
        WeightsError: The fits are missing or damaged.
    """
    if face.landmarks is None:
        return face
    affine = geometry.align(face.landmarks, SIZE, MARGIN)
    measured = measures(geometry.crop(pixels, affine, SIZE), places(face.landmarks, affine))
    return replace(face, unseen=unseen(measured))


def without_unseen(testimony: Testimony, faces: Iterable[Face]) -> Testimony:
    """The testimony without what it finds in regions that cannot be seen.

    What it finds on the beard area of a face without a beard is on the lower face.

    Args:
        testimony: On a person.
        faces: The person's faces after `seen`.
    """
    hidden = {face.at: face.unseen for face in faces if face.unseen}
    if not hidden or not testimony.findings:
        return testimony
    findings: list[Finding] = []
    gone: dict[str, None] = {}
    for finding in testimony.findings:
        left = tuple(p for p in finding.places if p.at is None or not _is_hidden(p, hidden.get(p.at, frozenset())))
        if not left:
            gone.update(dict.fromkeys(regions.title(p.region) for p in finding.places if p.region is not None))
            continue
        if finding.region == "beard" and any(p.at in hidden and "beard" in hidden[p.at] for p in left if p.at):
            left = tuple(replace(p, region="lower_face") for p in left)
            finding = replace(finding, claim=finding.claim.replace("beard area", "lower face"))
        findings.append(replace(finding, places=left))
    reply = testimony.reply
    if reply is not None and gone and any(name in reply.text.lower() for name in gone):
        are = "is" if len(gone) == 1 else "are"
        note = f"Its words name {listed([f'the {name}' for name in gone])}, which {are} covered or cannot be seen."
        reply = replace(reply, notes=(*reply.notes, note))
    return replace(testimony, findings=tuple(findings), reply=reply)


def _is_hidden(place: Place, unseen: frozenset[str]) -> bool:
    return place.region in unseen and (place.region != "beard" or "jaw" in unseen)


def unseen(measured: Mapping[str, NDArray[np.float64]]) -> frozenset[str]:
    """The names of regions that cannot be seen, from the `measures` of a face: covered ones, and a beard that is none.

    Teeth go with the mouth, the jaw with the beard area, the skin as a whole with forehead and both cheeks: a beard
    that is unseen where the jaw is not is no beard.

    Args:
        measured: As `measures` gives it.
    """
    fits = _fits()
    names = [name for name in REGIONS if name in measured]
    if not names:
        return frozenset()
    inputs = np.stack([np.concatenate([measured[name], np.eye(len(AREAS))[AREAS.index(area(name))]]) for name in names])
    covered = {
        name for name, p in zip(names, _covered(inputs, fits), strict=True) if p >= fits["threshold"][area(name)]
    }
    if "mouth" in covered:
        covered.add("teeth")
    if {"forehead", "left_cheek", "right_cheek"} <= covered:
        covered.add("skin")
    if "beard" in covered:
        covered.add("jaw")
    if "beard" in measured and "chin" in measured and not _bearded(measured, fits):
        covered.add("beard")
    return frozenset(covered & set(regions.REGIONS))


def area(name: str) -> str:
    """A region without its side.

    Args:
        name: Of a region.
    """
    return name.removeprefix("left_").removeprefix("right_")


def places(landmarks: Landmarks, affine: geometry.Affine) -> dict[str, NDArray[np.bool_]]:
    """Where the regions lie on the crop: name -> bool (SIZE, SIZE).

    Args:
        landmarks: The face's mesh, (468, 2+), in pixels.
        affine: From the picture to the crop.

    Returns:
        Region → its pixels.
    """
    points = landmarks.copy()
    points[:, :2] = geometry.transform(affine, landmarks[:, :2])
    names = dict.fromkeys((*REGIONS, *_SKIN))
    filled = geometry.fills([list(regions.polygons(name, points)) for name in names], SIZE, SIZE)
    return dict(zip(names, filled, strict=True))


def measures(crop: Pixels, where: Mapping[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.float64]]:
    """How each region that is large enough differs from the face's skin, as float64 (MEASURES,).

    Brightness and colour differences are in units of the skin's brightness, so that light does not count.

    Args:
        crop: RGB uint8 (SIZE, SIZE, 3).
        where: As `places` gives it.

    Returns:
        Region → its measurements.
    """
    rgb = crop.astype(np.float32)
    brightness = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    image = np.stack([brightness, rgb[..., 2] - brightness, rgb[..., 0] - brightness], axis=-1)
    steps = np.abs(np.diff(brightness, axis=1, prepend=brightness[:, :1]))
    steps += np.abs(np.diff(brightness, axis=0, prepend=brightness[:1]))
    planes, steps = np.ascontiguousarray(image.reshape(-1, 3).T), steps.ravel()
    at = {name: np.flatnonzero(inside) for name, inside in where.items()}
    samples_of = {name: planes.take(inside, axis=1) for name, inside in at.items() if len(inside) >= _LEAST}
    median_of = {name: _quantiles(np.sort(samples, axis=1), 0.5)[0] for name, samples in samples_of.items()}
    medians = [median_of[name] for name in _SKIN if len(at[name]) >= _LEAST + 2]
    if not medians:
        return {}
    skin = np.median(medians, axis=0)
    unit = max(float(skin[0]), 20.0)
    uneven = max(float(np.abs(a - b).sum()) for a in medians for b in medians) / unit
    result = {}
    for name in REGIONS:
        if name not in samples_of:
            continue
        samples, median = samples_of[name], median_of[name]
        relative = (samples[0] - skin[0]) / unit
        colour = np.hypot(samples[1] - skin[1], samples[2] - skin[2]) / unit
        twin = median_of.get(regions.mirrored(name), median)
        changes = steps.take(at[name])
        ordered = np.sort([relative, colour, changes], axis=1)
        low, high = _quantiles(ordered[0], 0.1, 0.9)
        middle, most = _quantiles(ordered[1], 0.5, 0.9)
        offset = (median - skin) / unit
        result[name] = np.array(
            [
                offset[0], abs(offset[0]), offset[1], offset[2],
                middle, most, float(samples[0].std()) / unit,
                float(_quantiles(ordered[2], 0.5)[0]) / unit, float(changes.mean()) / unit,
                np.count_nonzero(relative < -0.45) / len(relative), np.count_nonzero(relative > 0.35) / len(relative),
                low, high, float(np.abs(median - twin).sum()) / unit, uneven,
            ], np.float64,
        ).clip(-_LIMIT, _LIMIT)  # fmt: skip
    return result


def _quantiles(ordered: NDArray[np.floating], *shares: float) -> list[Any]:
    """What so many of the values (…, n), in their order, do not exceed, between two of them in a straight line.

    As numpy has it, whose own take ten times as long on the few hundred pixels of a region.
    """
    last = ordered.shape[-1] - 1
    below = [last * share for share in shares]
    return [
        ordered[..., int(at)] + (ordered[..., min(int(at) + 1, last)] - ordered[..., int(at)]) * (at - int(at))
        for at in below
    ]


def _covered(inputs: NDArray[np.float64], fits: Mapping[str, Any]) -> NDArray[np.float64]:
    """The probability that each region (n, MEASURES + areas) is covered."""
    values = inputs.copy()
    values[:, :MEASURES] = (values[:, :MEASURES] - fits["mean"]) / fits["spread"]
    last = len(fits["weights"]) - 1
    for i, (matrix, offset) in enumerate(zip(fits["weights"], fits["offsets"], strict=True)):
        values = values @ matrix + offset
        if i < last:
            values = np.maximum(values, 0)
    return np.asarray(1 / (1 + np.exp(-np.clip(values[:, 0], -30, 30))))


def _bearded(measured: Mapping[str, NDArray[np.float64]], fits: Mapping[str, Any]) -> bool:
    both = np.concatenate([measured["beard"], measured["chin"]])
    beard = fits["beard"]
    return bool(((both - beard["mean"]) / beard["spread"]) @ beard["slopes"] + beard["offset"] >= beard["threshold"])


@cache
def _fits() -> Mapping[str, Any]:
    content, _ = weights.read("surface.json")
    try:
        fits = json.loads(content)
        if fits["schema"] != SCHEMA or tuple(fits["areas"]) != AREAS:
            raise ValueError(f"expected schema {SCHEMA} and the areas {', '.join(AREAS)}")
        beard = {key: np.float64(fits["beard"][key]) for key in ("mean", "spread", "slopes", "offset", "threshold")}
        return {
            "mean": np.float64(fits["mean"]), "spread": np.float64(fits["spread"]),
            "weights": [np.float64(a) for a in fits["weights"]], "offsets": [np.float64(a) for a in fits["offsets"]],
            "threshold": {name: float(fits["threshold"][name]) for name in AREAS}, "beard": beard,
        }  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"surface.json is damaged ({error}). Install facewitness again.") from error
