"""What happens to pictures on their way, at five strengths each: the x-axes of the robustness curves.

Strengths follow what a picture meets: messengers (JPEG down to 30), video platforms (H.264 at a CRF of 18 to 40, with
23 and 40 as in FaceForensics++'s c23 and c40), thumbnails (down to a quarter), bad lenses, bad light. A perturbation
sees pixels and a generator, never a label, so real and fake pictures go the same way. `crop_shift` moves what the
finder found, as another finder might have, and leaves the pixels alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from facewitness import plugins
from facewitness.errors import InputError, UnknownName
from facewitness.forge import degrade
from facewitness.types import Face, Frame, Pixels

STRENGTHS = (1, 2, 3, 4, 5)
Perturbation = tuple[str, int]  # name and strength; ("none", 0) is the picture as it is


def _brightness(pixels: Pixels, levels: float, rng: np.random.Generator) -> Pixels:
    return degrade.tone(pixels, offset=float(levels if rng.random() < 0.5 else -levels))


# name -> (what its numbers mean, one number for each strength, the function)
PIXELS: dict[str, tuple[str, tuple[float, ...], Callable[[Pixels, float, np.random.Generator], Pixels]]] = {
    "jpeg": ("JPEG quality", (90, 75, 60, 45, 30), lambda p, v, rng: degrade.jpeg(p, int(v))),
    "h264": ("CRF, intra pictures only", (18, 23, 30, 35, 40), lambda p, v, rng: degrade.h264_like(p, v)),
    "resize": ("scale, there and back", (0.8, 0.65, 0.5, 0.35, 0.25), lambda p, v, rng: degrade.resize(p, v)),
    "blur": ("Gaussian sigma, pixels", (0.5, 1.0, 1.5, 2.0, 3.0), lambda p, v, rng: degrade.blur(p, v)),
    "noise": ("Gaussian sigma, grey levels", (2, 5, 10, 15, 20), lambda p, v, rng: degrade.noise(p, v, rng)),
    "brightness": ("grey levels, up or down", (15, 30, 45, 60, 75), _brightness),
}
CROP_SHIFT = ("share of the face's longer side", (0.02, 0.04, 0.06, 0.09, 0.12))
NAMES = (*PIXELS, "crop_shift")


def parse(words: Iterable[str]) -> tuple[Perturbation, ...]:
    """`jpeg:3` is one strength, `jpeg` all five, `all` everything; "none" always comes first."""
    chosen: dict[Perturbation, None] = {("none", 0): None}
    for word in words:
        name, _, strength = word.partition(":")
        if name == "none":
            continue
        if name != "all" and name not in NAMES:
            raise UnknownName("perturbation", name, (*NAMES, "all", "none"))
        if strength and strength not in map(str, STRENGTHS):
            raise InputError(f"perturbation {word!r}: expected a strength of 1 to 5, got {strength!r}")
        for each in NAMES if name == "all" else (name,):
            chosen |= dict.fromkeys((each, s) for s in ([int(strength)] if strength else STRENGTHS))
    return tuple(chosen)


def value(perturbation: Perturbation) -> float | None:
    """The number behind a strength, in the unit of its perturbation; None for "none"."""
    name, strength = perturbation
    if name == "none":
        return None
    return (CROP_SHIFT if name == "crop_shift" else PIXELS[name])[1][strength - 1]


def apply(pixels: Pixels, perturbation: Perturbation, *, seed: int, group: str) -> Pixels:
    """The picture after a perturbation of pixels; others leave it as it is.

    What is drawn depends on the seed and the group alone: a fake and its pristine counterpart draw the same.
    """
    name, strength = perturbation
    if name not in PIXELS:
        return pixels
    rng = np.random.default_rng([seed, zlib.crc32(f"{group}/{name}/{strength}".encode())])
    _, numbers, function = PIXELS[name]
    return function(pixels, numbers[strength - 1], rng)


class ShiftedFinder:
    """Another finder whose faces are all moved by a share of their size, in a direction drawn from where they are."""

    name = "shifted"

    def __init__(self, finder: str, options: dict[str, Any], share: float, seed: int = 0):
        self._finder = plugins.get("finders", finder).load(**options)
        self._asked, self._options, self._share, self._seed = finder, options, share, seed

    def __reduce__(self) -> tuple[Any, ...]:  # a loaded finder does not travel between processes; its recipe does
        return type(self), (self._asked, self._options, self._share, self._seed)

    def made_by(self) -> dict[str, Any]:
        """What the finder below was made by, and the shift."""
        return {**self._finder.made_by(), "shifted": self._share}

    def find(self, frame: Frame) -> tuple[Face, ...]:
        """All faces, shifted."""
        return tuple(self._shifted(face) for face in self._finder.find(frame))

    def _shifted(self, face: Face) -> Face:
        x1, y1, x2, y2 = face.box
        rng = np.random.default_rng([self._seed, zlib.crc32(np.round([x1, y1, x2, y2]).tobytes())])
        angle, reach = rng.random() * 2 * np.pi, self._share * max(x2 - x1, y2 - y1)
        dx, dy = float(np.cos(angle) * reach), float(np.sin(angle) * reach)
        landmarks = face.landmarks
        if landmarks is not None:
            landmarks = landmarks.copy()
            landmarks[:, :2] += np.array([dx, dy], np.float32)
        return replace(face, box=(x1 + dx, y1 + dy, x2 + dx, y2 + dy), landmarks=landmarks)
