"""What happens to pictures on their way, at five strengths each: the x-axes of the robustness curves.

Strengths follow what a picture meets: messengers (JPEG down to 30), video platforms (H.264 at a CRF of 18 to 40, with
23 and 40 as in FaceForensics++'s c23 and c40), thumbnails (down to a quarter), bad lenses, bad light; and ROUTINE
edits, which people and phones make without forging anything (`forge/routine`), from hardly to plainly seen. A
perturbation sees pixels and a generator, never a label, so real and fake pictures go the same way. `crop_shift` moves
what the finder found, as another finder might have, and leaves the pixels alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from facewitness import geometry, plugins
from facewitness.errors import InputError, UnknownName
from facewitness.forge import degrade, routine
from facewitness.types import Face, Frame, Pixels

STRENGTHS = (1, 2, 3, 4, 5)
Perturbation = tuple[str, int]  # name and strength; ("none", 0) is the picture as it is


def _brightness(pixels: Pixels, levels: float, rng: np.random.Generator) -> Pixels:
    return degrade.tone(pixels, offset=float(levels if rng.random() < 0.5 else -levels))


def _white_balance(pixels: Pixels, stops: float, rng: np.random.Generator) -> Pixels:
    side = 1 if rng.random() < 0.5 else -1
    return routine.white_balance(pixels, side * stops, side * stops / 4)


def _gamma(pixels: Pixels, stops: float, rng: np.random.Generator) -> Pixels:
    return routine.curve(pixels, float(2.0 ** (stops if rng.random() < 0.5 else -stops)))


def _text(pixels: Pixels, size: float, rng: np.random.Generator) -> Pixels:
    place = (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0]))
    at = float(rng.uniform(0.55, 0.95))
    return routine.text(pixels, place, "BREAKING NEWS", at, size, 0.6 * (rng.random() < 0.5), (255, 255, 255)).pixels


def _sticker(pixels: Pixels, size: float, rng: np.random.Generator) -> Pixels:
    place = (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0]))
    shape, (x, y) = str(rng.choice(["disc", "bar", "star"])), rng.uniform(0.25, 0.75, 2)
    return routine.sticker(pixels, place, shape, (float(x), float(y)), size, 0.0, (250, 215, 60)).pixels


_Function = Callable[[Pixels, float, np.random.Generator], Pixels]

# What is no forgery: the same in form as PIXELS below, which holds them, too.
ROUTINE: dict[str, tuple[str, tuple[float, ...], _Function]] = {
    "monochrome": (
        "which grey: 1 luma, 2 mean, 3 green, 4 red, 5 luma with more contrast", (1, 2, 3, 4, 5),
        lambda p, v, rng: routine.curve(routine.monochrome(p), 1.0, 0.8) if v == 5
        else routine.monochrome(p, list(routine.GREYS)[int(v) - 1]),
    ),
    "sepia": ("share of the tone", (0.3, 0.5, 0.7, 0.85, 1.0), lambda p, v, rng: routine.toned(p, "sepia", v)),
    "cyanotype": ("share of the tone", (0.3, 0.5, 0.7, 0.85, 1.0), lambda p, v, rng: routine.toned(p, "cyanotype", v)),
    "white_balance": ("stops, warm or cold", (0.1, 0.2, 0.35, 0.5, 0.7), _white_balance),
    "gamma": ("stops, up or down", (0.15, 0.3, 0.45, 0.6, 0.8), _gamma),
    "vignette": ("strength", (0.2, 0.35, 0.5, 0.65, 0.8), lambda p, v, rng: routine.vignette(p, v)),
    "sharpened": ("amount, sigma 1.2 px", (0.4, 0.8, 1.2, 1.6, 2.2), lambda p, v, rng: routine.unsharp(p, 1.2, v)),
    "local_contrast": ("clip limit, 8 x 8", (1.2, 1.7, 2.3, 3, 4), lambda p, v, rng: routine.local_contrast(p, v)),
    "bilateral": ("grey levels", (12, 22, 34, 46, 60), lambda p, v, rng: routine.bilateral(p, v)),
    "median": (
        "side in pixels, or twice 5", (3, 3.2, 5, 5.2, 7),
        lambda p, v, rng: routine.median(routine.median(p, int(v)), int(v)) if v % 1 else routine.median(p, int(v)),
    ),
    "non_local_means": ("grey levels", (2, 4, 6, 8, 10), lambda p, v, rng: routine.non_local_means(p, v)),
    "smooth_skin": ("amount", (0.3, 0.5, 0.7, 0.85, 1.0), lambda p, v, rng: routine.smooth_skin(p, v)),
    "phone": ("amount", (0.3, 0.55, 0.8, 1.0, 1.2), lambda p, v, rng: routine.phone(p, v)),
    "print_screen": ("amount, 4 px", (0.06, 0.12, 0.2, 0.3, 0.4), lambda p, v, rng: routine.print_screen(p, 4, v)),
    "moire": ("amount, every 2.6 px", (0.03, 0.06, 0.1, 0.15, 0.2), lambda p, v, rng: routine.moire(p, 2.6, v)),
    "grain": ("sigma, grey levels", (3, 6, 10, 14, 18), lambda p, v, rng: routine.grain(p, v, 0.6, rng)),
    "night": ("stops underexposed", (0.5, 1, 1.5, 2, 3), lambda p, v, rng: routine.night(p, v, 300, rng)),
    "double_jpeg": (
        "first quality, then 85 off the grid", (90, 80, 70, 55, 40),
        lambda p, v, rng: routine.double_jpeg(p, int(v), 85, (3, 5)),
    ),
    "screenshot": ("scale, there and back", (1.5, 1.2, 0.9, 0.75, 0.6), lambda p, v, rng: routine.screenshot(p, v)),
    "social": (
        "times through a network", (1, 2, 3, 4, 5), lambda p, v, rng: routine.social(p, 0.75, 72, 0.3, int(v)),
    ),
    "text": ("height of the letters, share of the picture", (0.04, 0.06, 0.08, 0.1, 0.13), _text),
    "sticker": ("side, share of the picture", (0.06, 0.1, 0.14, 0.18, 0.24), _sticker),
}  # fmt: skip

# name -> (what its numbers mean, one number for each strength, the function)
PIXELS: dict[str, tuple[str, tuple[float, ...], _Function]] = {
    "jpeg": ("JPEG quality", (90, 75, 60, 45, 30), lambda p, v, rng: degrade.jpeg(p, int(v))),
    "h264": ("CRF, intra pictures only", (18, 23, 30, 35, 40), lambda p, v, rng: degrade.h264_like(p, v)),
    "resize": ("scale, there and back", (0.8, 0.65, 0.5, 0.35, 0.25), lambda p, v, rng: degrade.resize(p, v)),
    "blur": ("Gaussian sigma, pixels", (0.5, 1.0, 1.5, 2.0, 3.0), lambda p, v, rng: degrade.blur(p, v)),
    "noise": ("Gaussian sigma, grey levels", (2, 5, 10, 15, 20), lambda p, v, rng: degrade.noise(p, v, rng)),
    "brightness": ("grey levels, up or down", (15, 30, 45, 60, 75), _brightness),
    **ROUTINE,
}
CROP_SHIFT = ("share of the face's longer side", (0.02, 0.04, 0.06, 0.09, 0.12))
NAMES = (*PIXELS, "crop_shift")


def parse(words: Iterable[str]) -> tuple[Perturbation, ...]:
    """`jpeg:3` is one strength, `jpeg` all five, `routine` all ROUTINE, `all` everything; "none" always comes first.

    Args:
        words: Such as "jpeg:3", "jpeg", "routine", "all".

    Returns:
        "none", then each once.
    """
    chosen: dict[Perturbation, None] = {("none", 0): None}
    for word in words:
        name, _, strength = word.partition(":")
        if name == "none":
            continue
        if name not in ("all", "routine", *NAMES):
            raise UnknownName("perturbation", name, (*NAMES, "all", "routine", "none"))
        if strength and strength not in map(str, STRENGTHS):
            raise InputError(f"perturbation {word!r}: expected a strength of 1 to 5, got {strength!r}")
        for each in {"all": NAMES, "routine": tuple(ROUTINE)}.get(name, (name,)):
            chosen |= dict.fromkeys((each, s) for s in ([int(strength)] if strength else STRENGTHS))
    return tuple(chosen)


def value(perturbation: Perturbation) -> float | None:
    """The number behind a strength, in the unit of its perturbation; None for "none".

    Args:
        perturbation: One perturbation at one strength.
    """
    name, strength = perturbation
    if name == "none":
        return None
    return (CROP_SHIFT if name == "crop_shift" else PIXELS[name])[1][strength - 1]


def apply(pixels: Pixels, perturbation: Perturbation, *, seed: int, group: str) -> Pixels:
    """The picture after a perturbation of pixels; others leave it as it is.

    What is drawn depends on the seed and the group alone: a fake and its pristine counterpart draw the same.

    Args:
        pixels: RGB uint8 (H, W, 3).
        perturbation: One perturbation at one strength.
        seed: Of what is drawn.
        group: Whose picture it is; a fake and its pristine counterpart share it.

    Returns:
        RGB uint8 (H, W, 3).
    """
    name, strength = perturbation
    if name not in PIXELS:
        return pixels
    rng = np.random.default_rng([seed, zlib.crc32(f"{group}/{name}/{strength}".encode())])
    _, numbers, function = PIXELS[name]
    return function(pixels, numbers[strength - 1], rng)


class ShiftedFinder:
    """Another finder whose faces are all moved by a share of their size, in a direction drawn from where they are.

    Boxes are cut at the picture's edge: a face beyond it would be refused as one that is not there.
    """

    name = "shifted"

    def __init__(self, finder: str, options: dict[str, Any], share: float, seed: int = 0):
        self._finder = plugins.get("finders", finder).load(**options)
        self._asked, self._options, self._share, self._seed = finder, options, share, seed

    def __reduce__(self) -> tuple[Any, ...]:  # a loaded finder does not travel between processes; its recipe does
        return type(self), (self._asked, self._options, self._share, self._seed)

    def made_by(self) -> dict[str, Any]:
        """What the finder below was made by, and the shift.

        Returns:
            JSON-ready.
        """
        return {**self._finder.made_by(), "shifted": self._share}

    def find(self, frame: Frame) -> tuple[Face, ...]:
        """All faces, shifted.

        Args:
            frame: One frame, RGB.
        """
        return tuple(self._shifted(face, frame) for face in self._finder.find(frame))

    def _shifted(self, face: Face, frame: Frame) -> Face:
        x1, y1, x2, y2 = face.box
        rng = np.random.default_rng([self._seed, zlib.crc32(np.round([x1, y1, x2, y2]).tobytes())])
        angle, reach = rng.random() * 2 * np.pi, self._share * max(x2 - x1, y2 - y1)
        dx, dy = float(np.cos(angle) * reach), float(np.sin(angle) * reach)
        landmarks = face.landmarks
        if landmarks is not None:
            landmarks = landmarks.copy()
            landmarks[:, :2] += np.array([dx, dy], np.float32)
        box = geometry.clip((x1 + dx, y1 + dy, x2 + dx, y2 + dy), frame.width, frame.height)
        return replace(face, box=box or face.box, landmarks=landmarks)
