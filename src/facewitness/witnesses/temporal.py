"""What changes from frame to frame: seams of colour and sharpness, flicker, jitter of landmarks, eyes and mouth.

Its measurements over a person's judged frames, each as the mean and the spread over them:

    luma, red, blue     step of colour from inside the face's outline to the skin and hair around it (log ratio)
    sharp, noise        the same step for gradients and for what a small blur takes away
    grain               what a small blur takes away inside the face
    eyes, mouth         spread of how far they are open, of the face's height
    shape               spread of the face's shape once the head's place, size and turn are taken out (rms)

Three more need consecutive frames (`Track.bursts`) and are given in words, but weigh nothing, since no consecutive
forged frames were there to learn from:

    jitter, jerk        second and third differences of the landmarks once the head's motion is taken out, of its height
    flicker             how much more the aligned face changes from frame to frame than what surrounds it (log ratio)

A logistic regression over the first turns them into a score; `weights/temporal.json` holds it, with the numbers it
was measured by (`runs/temporal/fit.py`). It says nothing of a photo. It has a calibration, and so a voice in the
verdict, only if it was measured to help the default witness.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, regions, weights
from facewitness.errors import InputError, WeightsError
from facewitness.types import Clip, Face, Finding, Frame, Pixels, Place, Testimony, Track

SCHEMA = "facewitness.temporal/1"
LEAST = 4  # judged frames with landmarks: fewer have no spread
SPREAD = ("luma", "red", "blue", "sharp", "noise", "grain")
FEATURES = (*(f"{name}_{kind}" for name in SPREAD for kind in ("mean", "spread")), "eyes", "mouth", "shape")

_SIZE, _MARGIN = 96, 1.5
_EYES = ((159, 145, 33, 133), (386, 374, 362, 263))  # Face Mesh: lids and corners of the subject's right and left eye
_LIPS = (13, 14)
_STEADY = (
    33,
    133,
    362,
    263,
    168,
    6,
    197,
    195,
    5,
    4,
    10,
    151,
    9,
    8,
)  # corners of the eyes, bridge of the nose, forehead

Floats = NDArray[np.float64]


BURST = 4  # consecutive frames from each judged one on, for jitter, jerk and flicker


class Temporal:
    """The witness. `examine` needs a film with landmarks; of anything else it says that it does not say."""

    name = "temporal"
    burst = BURST

    def __init__(self, model: Mapping[str, Any] | None = None):
        if model is None:
            try:
                model = json.loads(weights.read("temporal.json")[0])
            except ValueError as error:
                raise WeightsError(f"temporal.json is no JSON ({error}). Make it with runs/temporal/fit.py.") from error
        self.model = _checked(model)
        self.calibration: Mapping[str, Any] | None = self.model.get("calibration")

    def made_by(self) -> dict[str, Any]:
        """Its weights' SHA-256.

        Returns:
            JSON-ready.
        """
        return {"options": {}, "weights": {"temporal.json": weights.find("temporal.json").sha256}}

    def examine(self, track: Track, clip: Clip) -> Testimony:
        """The score, and findings with the frames in which a measurement is farthest from genuine ones.

        Args:
            track: One person's faces.
            clip: The file's pixels; a photo is a clip of one frame.
        """
        faces = [face for face in track.faces if face.landmarks is not None]
        if len(faces) < LEAST:
            return Testimony(self.name, None)
        values, each = measured((face, clip.at(face.at)) for face in faces)
        x = np.array([values[name] for name in FEATURES])
        centred = (x - np.array(self.model["mean"])) / np.array(self.model["scale"])
        centred = np.clip(centred, -4, 4)
        logit = float(centred @ np.array(self.model["weights"]) + self.model["offset"])
        fake = 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))
        return Testimony(self.name, fake, findings=self._findings(track, clip, centred, each, fake))

    def _findings(
        self, track: Track, clip: Clip, centred: Floats, each: Sequence[tuple[Face, Mapping[str, float]]], fake: float
    ) -> tuple[Finding, ...]:
        """What pulled the score towards fake most, where it did; the places are the frames farthest from the mean."""
        if fake < 0.5:
            return ()
        pull = centred * np.array(self.model["weights"])
        if pull.max() <= 0:
            return ()
        name = FEATURES[int(np.argmax(pull))]
        base = name.split("_")[0]
        if base in SPREAD:
            middle = float(np.mean([values[base] for _, values in each]))
            far = sorted(each, key=lambda entry: -abs(entry[1][base] - middle))[:3]
        else:
            far = list(each[:1])
        places = tuple(Place(face.at, "face", face.box) for face, _ in sorted(far, key=lambda e: e[0].at.index))
        words = _WORDS[base]
        moving = moved(track, clip)
        if moving:
            shares = ", ".join(f"{key} {value:.3g}" for key, value in moving.items())
            words += f" (between consecutive frames: {shares}; these weigh nothing)"
        return (Finding(places, f"{words}.", None),)


_WORDS = {
    "luma": "The step of brightness from the face to what surrounds it is unusual",
    "red": "The step of colour (red) from the face to what surrounds it is unusual",
    "blue": "The step of colour (blue) from the face to what surrounds it is unusual",
    "sharp": "The face is sharper or softer than what surrounds it",
    "noise": "The grain inside the face differs from that around it",
    "grain": "The grain inside the face is unusual, or changes from frame to frame",
    "eyes": "The eyes open and close in an unusual way",
    "mouth": "The mouth opens and closes in an unusual way",
    "shape": "The shape of the face changes in an unusual way",
}


def load() -> Temporal:
    """The witness of what changes over time. It has no options."""
    return Temporal()


def _checked(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raises WeightsError for a model that is not laid out as this witness reads it."""
    numbers = [model.get(key) for key in ("mean", "scale", "weights")]
    fine = (
        model.get("schema") == SCHEMA
        and model.get("features") == list(FEATURES)
        and all(isinstance(n, list) and len(n) == len(FEATURES) for n in numbers)
        and all(isinstance(v, int | float) and math.isfinite(v) for n in numbers if isinstance(n, list) for v in n)
        and isinstance(model.get("offset"), int | float)
        and all(v > 0 for v in model["scale"])
    )
    if not fine:
        raise WeightsError(f"temporal.json: expected schema {SCHEMA} with {len(FEATURES)} features; make it again.")
    return model


# ------------------------------------------------------------------------------------------------------- measurements


def measured(
    seen: Iterable[tuple[Face, Frame]],
) -> tuple[dict[str, float], list[tuple[Face, dict[str, float]]]]:
    """The measurements over a person's frames, and those of each frame.

    Args:
        seen: faces with landmarks and their frames, in the order of time; at least two. No frame is kept.

    Returns:
        Name → the measurement over all frames; and for each frame its face with its measurements.
    """
    each = [(face, _of_frame(face, frame.pixels)) for face, frame in seen]
    values: dict[str, float] = {}
    for name in SPREAD:
        column = np.array([frame_values[name] for _, frame_values in each])
        values[f"{name}_mean"], values[f"{name}_spread"] = float(column.mean()), float(column.std())
    points = [_points(face) for face, _ in each]
    height = [float(np.ptp(p[:, 1])) for p in points]
    opened = [[float(np.linalg.norm(p[a] - p[b])) / float(np.linalg.norm(p[c] - p[d]) + 1e-6) for a, b, c, d in _EYES]
              for p in points]  # fmt: skip
    values["eyes"] = float(np.std(np.mean(opened, axis=1)))
    mouth = [float(np.linalg.norm(p[_LIPS[0]] - p[_LIPS[1]])) / h for p, h in zip(points, height, strict=True)]
    values["mouth"] = float(np.std(mouth))
    shapes = [_shape(p) for p in points]
    middle = np.mean(shapes, axis=0)
    values["shape"] = float(np.sqrt(np.mean([((shape - middle) ** 2).sum(axis=1).mean() for shape in shapes])))
    return values, each


def _points(face: Face) -> Floats:
    if face.landmarks is None:
        raise InputError("temporal: expected faces with landmarks, got one without")
    return face.landmarks.astype(np.float64)


def _shape(points: Floats) -> Floats:
    """A face's shape without place, size and turn, (468, 3), fitted to the average face (Kabsch 1976)."""
    average = regions.average_landmarks().astype(np.float64)
    flat = points if points.shape[1] == 3 else np.column_stack([points, np.zeros(len(points))])
    flat = flat - flat.mean(axis=0)
    flat /= np.sqrt((flat**2).sum(axis=1).mean())
    average -= average.mean(axis=0)
    u, _, vt = np.linalg.svd(flat.T @ average)
    return np.asarray(flat @ (u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt))


def _rings(to_crop: geometry.Affine, face: Face) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Pixels of the crop just inside the face's outline, just outside it, and well inside."""
    (outline,) = regions.polygons("face", _points(face).astype(np.float32))
    ring = geometry.transform(to_crop, outline)
    centre = ring.mean(axis=0)
    grown = [geometry.fill([centre + k * (ring - centre)], _SIZE, _SIZE) for k in (0.82, 0.98, 1.04, 1.22)]
    return grown[1] & ~grown[0], grown[3] & ~grown[2], grown[0]


def _of_frame(face: Face, pixels: Pixels) -> dict[str, float]:
    to_crop = geometry.align(_points(face).astype(np.float32), _SIZE, _MARGIN)
    crop = geometry.crop(pixels, to_crop, _SIZE).astype(np.float64)
    near, around, inside = _rings(to_crop, face)
    # beyond the frame a crop repeats its border: that is no surround
    corner = geometry.transform(geometry.invert(to_crop), np.argwhere(np.ones((_SIZE, _SIZE)))[:, ::-1] + 0.5)
    there = ((corner > 0) & (corner < (pixels.shape[1], pixels.shape[0]))).all(axis=1).reshape(_SIZE, _SIZE)
    near, around, inside = near & there, around & there, inside & there
    luma = crop @ (0.299, 0.587, 0.114)
    log = np.log(crop + 8)
    gradient = np.hypot(*np.gradient(luma))
    smooth = sum(np.roll(luma, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)) / 9
    fine = np.abs(luma - smooth)

    def step(values: Floats) -> float:
        if near.sum() < 20 or around.sum() < 20:
            return 0.0
        return float(np.median(values[near]) - np.median(values[around]))

    return {
        "luma": step(np.log(luma + 8)),
        "red": step(log[:, :, 0] - log[:, :, 1]),
        "blue": step(log[:, :, 2] - log[:, :, 1]),
        "sharp": step(np.log(gradient + 1)),
        "noise": step(np.log(fine + 0.5)),
        "grain": float(np.log(np.median(fine[inside]) + 0.1)) if inside.any() else 0.0,
    }


def moved(track: Track, clip: Clip) -> dict[str, float]:
    """Jitter, jerk and flicker over the bursts of consecutive frames; empty where there are none of four frames.

    Args:
        track: One person's faces.
        clip: The file's pixels; a photo is a clip of one frame.

    Returns:
        Name → number.
    """
    jitter, jerk, flicker = [], [], []
    for burst in track.bursts:
        faces = [face for face in burst if face.landmarks is not None]
        if len(faces) < 4:
            continue
        points = [_points(face)[:, :2] for face in faces]
        still = np.stack([_without_motion(p, points[0]) for p in points])
        height = float(np.ptp(points[0][:, 1]))
        jitter.append(float(np.linalg.norm(np.diff(still, 2, axis=0), axis=2).mean()) / height)
        jerk.append(float(np.linalg.norm(np.diff(still, 3, axis=0), axis=2).mean()) / height)
        crops, masks = [], []
        for face in faces:
            to_crop = geometry.align(_points(face).astype(np.float32), _SIZE, _MARGIN)
            crops.append(geometry.crop(clip.at(face.at).pixels, to_crop, _SIZE).astype(np.float64).mean(axis=2))
            masks.append(_rings(to_crop, face))
        change = np.abs(np.diff(crops, axis=0)).mean(axis=0)
        inside, around = masks[0][2], masks[0][1]
        flicker.append(float(np.log((change[inside].mean() + 0.5) / (change[around].mean() + 0.5))))
    if not jitter:
        return {}
    return {"jitter": float(np.mean(jitter)), "jerk": float(np.mean(jerk)), "flicker": float(np.mean(flicker))}


def _without_motion(points: Floats, onto: Floats) -> Floats:
    """Landmarks with the head's place, size and roll taken out: the similarity that fits the steady points best."""
    a, b = points[list(_STEADY)], onto[list(_STEADY)]
    za, zb = a - a.mean(axis=0), b - b.mean(axis=0)
    turn = complex(*((za * zb).sum(), (za[:, 0] * zb[:, 1] - za[:, 1] * zb[:, 0]).sum())) / float((za**2).sum())
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.asarray((points - a.mean(axis=0)) @ linear.T + b.mean(axis=0))
