"""What people, phones and networks do to photographs without forging them: tones, sharpening, smoothing, stickers.

`edit` draws a short chain of operations and never sees a label; give a genuine face and its forgery generators with
the same seed and both go the same way, so that no such edit can stand for "forged" or "genuine". Where `degrade` is
what a picture suffers on its way, this is what somebody wanted, or a device did unasked. It is no forger and changes no
label, but it may cover: text and stickers hide what lies under them, and a mask has to follow (`Edited.cover`).

Each operation is also there by name with explicit strengths, for benchmarks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facewitness.errors import UnknownName
from facewitness.forge import _face, degrade
from facewitness.types import Box, Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Edited:
    """A picture after routine edits, of the size it had."""

    pixels: Pixels  # RGB uint8 (H, W, 3)
    cover: NDArray[np.float32] | None  # (H, W) in [0, 1]: how far text or stickers hide the face; None: nothing does
    record: tuple[Mapping[str, Any], ...]  # every operation in order, with its drawn parameters; JSON-ready

    def uncovered(self, mask: NDArray[np.float32]) -> NDArray[np.float32]:
        """What a mask (H, W) of forged pixels still shows.

        Args:
            mask: Forged pixels, float (H, W) in [0, 1].

        Returns:
            float32 (H, W) in [0, 1].
        """
        return mask if self.cover is None else np.asarray(mask * (1 - self.cover), np.float32)


def edit(
    pixels: Pixels,
    rng: np.random.Generator,
    *,
    place: Box | None = None,
    operations: Sequence[str] | Mapping[str, float] | None = None,
    counts: Sequence[float] = (0.0, 0.65, 0.25, 0.1),
) -> Edited:
    """A picture of the same size after a random chain of routine edits.

    Two pictures of different sizes go the same way for the same seed: nothing that is drawn depends on the pixels.

    Args:
        pixels: RGB uint8 (H, W, 3).
        rng: The generator to draw from.
        place: The face, in pixels; text and stickers lie over parts of it. None for the whole picture.
        operations: Names out of OPERATIONS to draw from; none for all. With numbers: all, these so many times as often.
        counts: Probabilities of a chain of 0, 1, 2 … different operations.

    Returns:
        The picture, what of it is covered, and the record.

    Raises:
        UnknownName: For an operation that does not exist.
    """
    for name in operations or ():
        if name not in OPERATIONS:
            raise UnknownName("operation", name, OPERATIONS)
    times = operations if isinstance(operations, Mapping) else {}
    names = list(operations) if operations and not times else list(OPERATIONS)
    shares = np.array([OPERATIONS[name][0] * times.get(name, 1.0) for name in names])
    count = min(int(rng.choice(len(counts), p=np.asarray(counts) / sum(counts))), int((shares > 0).sum()))
    cover: NDArray[np.float32] | None = None
    record = []
    box = place or (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0]))
    for i in rng.choice(len(names), count, replace=False, p=shares / shares.sum()):
        own = np.random.default_rng(int(rng.integers(2**63)))  # noise takes as many numbers as there are pixels
        pixels, hidden, drawn = OPERATIONS[names[i]][1](pixels, own, box)
        if hidden is not None:
            cover = hidden if cover is None else np.maximum(cover, hidden)
        record.append({"operation": names[i], **drawn})
    return Edited(pixels, cover, tuple(record))


# -------------------------------------------------------------------------------------------------- tone and colour

GREYS = {
    "luma": (0.299, 0.587, 0.114),
    "mean": (1 / 3, 1 / 3, 1 / 3),
    "green": (0.15, 0.8, 0.05),
    "red": (0.7, 0.25, 0.05),
}


def monochrome(pixels: Pixels, grey: str = "luma") -> Pixels:
    """Black and white, by one of GREYS: how a camera or an app weighs the three colours.

    Args:
        pixels: RGB uint8 (H, W, 3).
        grey: One of GREYS.

    Returns:
        RGB uint8, of the picture's size.
    """
    if grey not in GREYS:
        raise UnknownName("grey", grey, GREYS)
    return np.asarray(cv2.transform(pixels, np.array([GREYS[grey]] * 3, np.float32)), np.uint8)


# each row gives one channel of the toned picture from red, green and blue
_SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]], np.float32)


def toned(pixels: Pixels, tone: str = "sepia", share: float = 1.0) -> Pixels:
    """The picture in one tone, mixed with itself by 1 − `share`: "sepia", "cyanotype", "selenium" or "gold".

    Args:
        pixels: RGB uint8 (H, W, 3).
        tone: "sepia", "cyanotype", "selenium" or "gold".
        share: Of the toned picture, in [0, 1].

    Returns:
        RGB uint8, of the picture's size.
    """
    if tone not in TONES:
        raise UnknownName("tone", tone, TONES)
    matrix = TONES[tone] * np.float32(share) + np.eye(3, dtype=np.float32) * np.float32(1 - share)
    return np.asarray(cv2.transform(pixels, matrix), np.uint8)


def _single(r: float, g: float, b: float) -> NDArray[np.float32]:
    return np.outer(np.array([r, g, b], np.float32), np.array(GREYS["luma"], np.float32)).astype(np.float32)


TONES = {
    "sepia": _SEPIA,
    "cyanotype": _single(0.75, 0.95, 1.15),
    "selenium": _single(1.05, 0.95, 1.02),
    "gold": _single(1.15, 1.0, 0.7),
}


def white_balance(pixels: Pixels, temperature: float = 0.0, tint: float = 0.0) -> Pixels:
    """Red against blue by `temperature`, green against both by `tint`; each in stops, 0.3 is plainly to be seen.

    Args:
        pixels: RGB uint8 (H, W, 3).
        temperature: Red against blue, stops.
        tint: Green against both, stops.

    Returns:
        RGB uint8, of the picture's size.
    """
    gains = np.exp2(np.array([temperature / 2 - tint / 4, tint / 2, -temperature / 2 - tint / 4], np.float32))
    return _face.rounded(pixels * gains)


def curve(pixels: Pixels, gamma: float = 1.0, contrast: float = 0.0, fade: float = 0.0) -> Pixels:
    """A filter's tone curve: gamma, then an S of `contrast` (−1 … 1), then blacks lifted to `fade` (0 … 0.3).

    Args:
        pixels: RGB uint8 (H, W, 3).
        gamma: Exponent; 1 changes nothing.
        contrast: −1 … 1.
        fade: Of the blacks, 0 … 0.3.

    Returns:
        RGB uint8, of the picture's size.
    """
    ramp = (np.arange(256, dtype=np.float32) / 255) ** np.float32(gamma)
    ramp = ramp + np.float32(contrast) * (np.float32(0.5) - np.float32(0.5) * np.cos(np.pi * ramp) - ramp)
    return np.asarray(cv2.LUT(pixels, _face.rounded((fade + (1 - fade) * ramp) * 255)), np.uint8)


def vignette(pixels: Pixels, strength: float) -> Pixels:
    """Corners darker by `strength` (0 … 1), as cos⁴ of a lens.

    Args:
        pixels: RGB uint8 (H, W, 3).
        strength: 0 … 1.

    Returns:
        RGB uint8, of the picture's size.
    """
    height, width = pixels.shape[:2]
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    r = ((xs / width - 0.5) ** 2 + (ys / height - 0.5) ** 2) * 2
    fall = 1 - np.float32(strength) * (1 - 1 / (1 + r) ** 2) / np.float32(0.75)
    return _face.rounded(pixels * fall[..., None])


# ----------------------------------------------------------------------------------------------- sharper and smoother


def unsharp(pixels: Pixels, sigma: float, amount: float) -> Pixels:
    """Unsharp mask: what a Gaussian blur of `sigma` pixels takes away, added `amount` times.

    Args:
        pixels: RGB uint8 (H, W, 3).
        sigma: In pixels.
        amount: How often what the blur took away is added.

    Returns:
        RGB uint8, of the picture's size.
    """
    return np.asarray(
        cv2.addWeighted(pixels, 1 + amount, cv2.GaussianBlur(pixels, (0, 0), sigma), -amount, 0), np.uint8
    )


def local_contrast(pixels: Pixels, limit: float = 2.0, tiles: int = 8) -> Pixels:
    """CLAHE of the lightness (Zuiderveld 1994), by OpenCV: `limit` clips the histograms of tiles × tiles fields.

    Args:
        pixels: RGB uint8 (H, W, 3).
        limit: Clips the histograms.
        tiles: A side.

    Returns:
        RGB uint8, of the picture's size.
    """
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(limit, (tiles, tiles)).apply(np.ascontiguousarray(lab[..., 0]))
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)


def bilateral(pixels: Pixels, levels: float = 40.0, sigma: float = 3.0) -> Pixels:
    """Smoothing that keeps edges of more than about `levels` grey levels; `sigma` in pixels.

    Args:
        pixels: RGB uint8 (H, W, 3).
        levels: Grey levels from which an edge is kept.
        sigma: In pixels.

    Returns:
        RGB uint8, of the picture's size.
    """
    return np.asarray(cv2.bilateralFilter(pixels, min(9, 2 * round(sigma) + 1), levels, sigma), np.uint8)


def median(pixels: Pixels, side: int = 3) -> Pixels:
    """The median of `side` × `side` pixels, side odd.

    Args:
        pixels: RGB uint8 (H, W, 3).
        side: Odd, pixels.

    Returns:
        RGB uint8, of the picture's size.
    """
    return np.asarray(cv2.medianBlur(pixels, side), np.uint8)


def non_local_means(pixels: Pixels, strength: float = 5.0) -> Pixels:
    """Denoising by similar patches (Buades et al. 2005), by OpenCV, of 5 px within 11; `strength` in grey levels.

    Args:
        pixels: RGB uint8 (H, W, 3).
        strength: In grey levels.

    Returns:
        RGB uint8, of the picture's size.
    """
    return np.asarray(cv2.fastNlMeansDenoisingColored(pixels, None, strength, strength, 5, 11), np.uint8)


def smooth_skin(pixels: Pixels, amount: float = 0.7, grain: float = 0.15) -> Pixels:
    """A beauty filter: `amount` of a bilateral smoothing where the colour is a skin's, `grain` of the texture kept.

    Skin is told by the usual bounds in YCrCb (Chai and Ngan 1999), softened, so that eyes, lips and hair stay sharp. A
    picture without colour is smoothed all over.

    Args:
        pixels: RGB uint8 (H, W, 3).
        amount: 0 … 1.
        grain: Share of the texture that is kept, in [0, 1].

    Returns:
        RGB uint8, of the picture's size.
    """
    side = min(pixels.shape[:2])
    smooth = cv2.bilateralFilter(pixels, 9, 45, max(2.0, side / 60))
    smooth = cv2.addWeighted(smooth, 1 - grain, pixels, grain, 0)
    ycrcb = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)
    skin = cv2.inRange(ycrcb, np.array([40, 133, 77]), np.array([255, 180, 130])).astype(np.float32) / 255
    if skin.mean() < 0.02:
        skin[:] = 1
    weight = cv2.GaussianBlur(skin, (0, 0), max(1.0, side / 80)) * np.float32(amount)
    return np.asarray(cv2.blendLinear(smooth, pixels, weight, 1 - weight), np.uint8)


def phone(pixels: Pixels, amount: float = 1.0) -> Pixels:
    """What phones do to every picture: chroma and grain smoothed, edges sharpened with a halo, shadows lifted.

    Args:
        pixels: RGB uint8 (H, W, 3).
        amount: 0 … 1.

    Returns:
        RGB uint8, of the picture's size.
    """
    smooth = bilateral(pixels, 14 * amount, 2.0)
    ycrcb = cv2.cvtColor(smooth, cv2.COLOR_RGB2YCrCb)
    for i in (1, 2):
        ycrcb[..., i] = cv2.GaussianBlur(np.ascontiguousarray(ycrcb[..., i]), (0, 0), 1 + amount)
    luma = np.ascontiguousarray(ycrcb[..., 0])
    ycrcb[..., 0] = cv2.addWeighted(luma, 1 + 1.1 * amount, cv2.GaussianBlur(luma, (0, 0), 1.1), -1.1 * amount, 0)
    lifted = curve(cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2RGB), 1 - 0.12 * amount, 0.25 * amount)
    return degrade.saturate(lifted, 1 + 0.15 * amount)


# ------------------------------------------------------------------------------------------------ patterns and grain


def print_screen(pixels: Pixels, period: float = 4.0, amount: float = 0.25, degrees: float = 15.0) -> Pixels:
    """A print's halftone: one dot screen a colour, `period` pixels wide, turned 30° from the last; `amount` 0 … 1.

    Dots are strong where ink is half and vanish in black and white, as on paper.

    Args:
        pixels: RGB uint8 (H, W, 3).
        period: Of dots or stripes, pixels.
        amount: 0 … 1.
        degrees: By which they are turned.

    Returns:
        RGB uint8, of the picture's size.
    """
    height, width = pixels.shape[:2]
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    out = pixels.astype(np.float32)
    for channel in range(3):
        turn = np.deg2rad(degrees + 30 * channel)
        u = (xs * np.cos(turn) + ys * np.sin(turn)) * np.float32(2 * np.pi / period)
        v = (ys * np.cos(turn) - xs * np.sin(turn)) * np.float32(2 * np.pi / period)
        ink = out[..., channel] / 255
        out[..., channel] += np.cos(u) * np.cos(v) * (4 * ink * (1 - ink)) * np.float32(127 * amount)
    return _face.rounded(out)


def moire(pixels: Pixels, period: float = 2.6, amount: float = 0.12, degrees: float = 4.0) -> Pixels:
    """A screen photographed: its stripes of red, green and blue beat with the sensor's pixels; `amount` 0 … 1.

    Args:
        pixels: RGB uint8 (H, W, 3).
        period: Of dots or stripes, pixels.
        amount: 0 … 1.
        degrees: By which they are turned.

    Returns:
        RGB uint8, of the picture's size.
    """
    height, width = pixels.shape[:2]
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    turn = np.deg2rad(degrees)
    along = (xs * np.cos(turn) + ys * np.sin(turn)) / np.float32(period)
    lines = 1 + np.float32(amount / 2) * np.cos(ys * np.float32(2 * np.pi / (period * 1.07)))
    stripes = np.cos(2 * np.pi * (along[..., None] + np.array([0, 1 / 3, 2 / 3], np.float32)))
    return _face.rounded(pixels * lines[..., None] * (1 + np.float32(amount) * stripes))


def grain(pixels: Pixels, sigma: float, size: float, rng: np.random.Generator) -> Pixels:
    """Film grain: grey noise of `sigma` grey levels in clumps of `size` pixels, strongest in the middle tones.

    Args:
        pixels: RGB uint8 (H, W, 3).
        sigma: In grey levels.
        size: Of a clump, pixels.
        rng: What everything is drawn from; the same state gives the same result.

    Returns:
        RGB uint8, of the picture's size.
    """
    noise = rng.standard_normal(pixels.shape[:2], np.float32)
    if size > 0.3:
        noise = cv2.GaussianBlur(noise, (0, 0), size)
        noise /= max(float(noise.std()), 1e-6)
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    weight = np.float32(0.4) + np.float32(2.4) * luma * (1 - luma)
    return _face.rounded(pixels + (noise * weight * np.float32(sigma))[..., None])


def night(pixels: Pixels, dark: float, photons: float, rng: np.random.Generator) -> Pixels:
    """Little light: `dark` stops underexposed, few photons, coloured noise, lifted again and smoothed by the phone.

    Args:
        pixels: RGB uint8 (H, W, 3).
        dark: Stops underexposed.
        photons: Counted at white.
        rng: What everything is drawn from; the same state gives the same result.

    Returns:
        RGB uint8, of the picture's size.
    """
    under = np.asarray(pixels, np.float32) * np.float32(2.0**-dark)
    counted = under + np.sqrt(np.maximum(under, 1) * np.float32(255 / photons)) * rng.standard_normal(
        under.shape, np.float32
    )
    lifted = np.clip(counted * np.float32(2.0 ** (dark * 0.75)), 0, 255).astype(np.uint8)
    ycrcb = cv2.cvtColor(lifted, cv2.COLOR_RGB2YCrCb)
    for i in (1, 2):
        ycrcb[..., i] = cv2.GaussianBlur(np.ascontiguousarray(ycrcb[..., i]), (0, 0), 1.6)
    return bilateral(np.asarray(cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2RGB), np.uint8), 18, 1.5)


# -------------------------------------------------------------------------------------------------- saved and shared


def double_jpeg(pixels: Pixels, first: int, second: int, shift: tuple[int, int] = (0, 0)) -> Pixels:
    """Saved twice, at two qualities, the second time `shift` (y, x) pixels off the first one's 8 × 8 grid.

    Args:
        pixels: RGB uint8 (H, W, 3).
        first: Quality of the first JPEG, 1 to 100.
        second: Quality of the second JPEG, 1 to 100.
        shift: Pixels (y, x) off the first one's grid.

    Returns:
        RGB uint8, of the picture's size.
    """
    once = degrade.jpeg(pixels, first)
    y, x = shift
    moved = cv2.copyMakeBorder(once, y, 0, x, 0, cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(degrade.jpeg(moved, second)[y:, x:])


def screenshot(pixels: Pixels, factor: float, kernel: str = "linear") -> Pixels:
    """Shown at `factor` of its size, stored without loss, and brought back: two rescalings off the pixel grid.

    Args:
        pixels: RGB uint8 (H, W, 3).
        factor: Of the side.
        kernel: Name of OpenCV's.

    Returns:
        RGB uint8, of the picture's size.
    """
    height, width = pixels.shape[:2]
    shown = (max(8, round(width * factor)), max(8, round(height * factor)))
    flag = degrade.INTERPOLATIONS[kernel]
    seen = cv2.resize(pixels, shown, interpolation=flag if factor > 1 else cv2.INTER_AREA)
    return np.asarray(cv2.resize(seen, (width, height), interpolation=cv2.INTER_AREA if factor > 1 else flag), np.uint8)


def social(pixels: Pixels, factor: float = 0.7, quality: int = 70, sharpen: float = 0.3, times: int = 1) -> Pixels:
    """Through a network `times` times: reduced, sharpened, saved as JPEG with 4:2:0, shown at the size it had.

    Args:
        pixels: RGB uint8 (H, W, 3).
        factor: Of the side.
        quality: Of the JPEG, 1 to 100.
        sharpen: Amount of the unsharp mask.
        times: How often it travels.

    Returns:
        RGB uint8, of the picture's size.
    """
    height, width = pixels.shape[:2]
    for i in range(times):
        scale = factor if i == 0 else 0.92
        small = cv2.resize(pixels, (max(8, round(width * scale)), max(8, round(height * scale))), interpolation=3)
        if sharpen > 0:
            small = unsharp(np.asarray(small, np.uint8), 0.7, sharpen)
        small = degrade.jpeg(np.asarray(small, np.uint8), quality - 4 * i)
        pixels = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    return pixels


# ------------------------------------------------------------------------------------------------------------ covers


def text(pixels: Pixels, place: Box, words: str, at: float, size: float, bar: float, colour: Sequence[int]) -> Edited:
    """A line of words across the face, `at` a share of its height, `size` of it high, on a bar of opacity `bar`.

    Args:
        pixels: RGB uint8 (H, W, 3).
        place: The face's box, pixels.
        words: What is written.
        at: Share of the face's height.
        size: Of the words, a share of the face's height.
        bar: Opacity of the bar behind the words, in [0, 1].
        colour: RGB, 0 … 255.
    """
    x1, y1, x2, y2 = place
    layer, cover = pixels.copy(), np.zeros(pixels.shape[:2], np.float32)
    letters = max(6.0, size * (y2 - y1))
    (w, h), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, letters / 22, max(1, round(letters / 12)))
    x, y = round((x1 + x2) / 2 - w / 2), round(y1 + at * (y2 - y1))
    if bar > 0:
        box = np.zeros(pixels.shape[:2], np.uint8)
        cv2.rectangle(box, (x - 4, y - h - 4), (x + w + 4, y + 5), 255, -1)
        weight = (box / 255).astype(np.float32) * np.float32(bar)
        dark = np.full_like(pixels, 255 - np.array(colour, np.uint8))
        layer = np.asarray(cv2.blendLinear(dark, layer, weight, 1 - weight), np.uint8)
        cover = np.maximum(cover, weight)
    glyphs = np.zeros(pixels.shape[:2], np.uint8)
    cv2.putText(
        glyphs, words, (x, y), cv2.FONT_HERSHEY_DUPLEX, letters / 22, 255, max(1, round(letters / 12)), cv2.LINE_AA
    )
    weight = (glyphs / 255).astype(np.float32)
    layer = np.asarray(cv2.blendLinear(np.full_like(layer, colour), layer, weight, 1 - weight), np.uint8)
    return Edited(layer, np.maximum(cover, weight), ({"words": words},))


def sticker(
    pixels: Pixels, place: Box, shape: str, at: tuple[float, float], size: float, degrees: float, colour: Sequence[int]
) -> Edited:
    """An opaque "disc" (with a drawn smile), "bar" or "star" at a place (x, y) and of a size in shares of the face.

    Args:
        pixels: RGB uint8 (H, W, 3).
        place: The face's box, pixels.
        shape: "disc", "bar" or "star".
        at: (x, y), in shares of the face.
        size: In shares of the face.
        degrees: By which they are turned.
        colour: RGB, 0 … 255.
    """
    if shape not in ("disc", "bar", "star"):
        raise UnknownName("sticker", shape, ("disc", "bar", "star"))
    x1, y1, x2, y2 = place
    side = max(x2 - x1, y2 - y1) * size
    x, y = x1 + at[0] * (x2 - x1), y1 + at[1] * (y2 - y1)
    layer, shown = pixels.copy(), np.zeros(pixels.shape[:2], np.uint8)
    turn = np.deg2rad(degrees)
    if shape == "disc":
        centre, r = (round(x), round(y)), max(2, round(side / 2))
        cv2.circle(shown, centre, r, 255, -1, cv2.LINE_AA)
        layer[:] = np.array(colour, np.uint8)
        for dx in (-0.35, 0.35):
            cv2.circle(layer, (round(x + dx * r), round(y - 0.25 * r)), max(1, r // 7), (20, 20, 20), -1, cv2.LINE_AA)
        cv2.ellipse(
            layer, centre, (max(1, r // 2), max(1, r // 2)), 0, 20, 160, (20, 20, 20), max(1, r // 9), cv2.LINE_AA
        )
    else:
        if shape == "bar":
            corners = np.array([(-1, -0.28), (1, -0.28), (1, 0.28), (-1, 0.28)]) * side / 2
        else:
            angles = np.arange(10) * np.pi / 5
            corners = np.stack([np.sin(angles), -np.cos(angles)], 1) * np.where(np.arange(10) % 2, 0.45, 1.0)[:, None]
            corners *= side / 2
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        ring = np.rint((corners @ rotation.T + (x, y)) * 16).astype(np.int32)
        cv2.fillPoly(shown, [ring], 255, cv2.LINE_AA, shift=4)
        layer[:] = np.array(colour, np.uint8)
    cover = (shown / 255).astype(np.float32)
    return Edited(np.asarray(cv2.blendLinear(layer, pixels, cover, 1 - cover), np.uint8), cover, ({"shape": shape},))


# ---------------------------------------------------------------------------------- the same with drawn parameters

_Drawn = tuple[Pixels, NDArray[np.float32] | None, dict[str, Any]]
_Draw = Callable[[Pixels, np.random.Generator, Box], _Drawn]
_WORDS = (
    "BREAKING",
    "LOL",
    "live now",
    "@user",
    "follow",
    "2024",
    "WOW!",
    "Ha ha ha",
    "read more",
    "No comment",
    "OMG",
)


def _uniform(rng: np.random.Generator, low: float, high: float, digits: int = 3) -> float:
    return _face.number(rng.uniform(low, high), digits)


def _of(function: Callable[..., Pixels], draw: Callable[[np.random.Generator], dict[str, Any]]) -> _Draw:
    """An operation whose parameters `draw` draws; one that needs noise takes the generator after them."""
    noisy = "rng" in function.__annotations__

    def drawn(pixels: Pixels, rng: np.random.Generator, place: Box) -> _Drawn:
        how = draw(rng)
        return function(pixels, **how, **({"rng": rng} if noisy else {})), None, how

    return drawn


def _text(pixels: Pixels, rng: np.random.Generator, place: Box) -> _Drawn:
    how: dict[str, Any] = {
        "words": str(rng.choice(_WORDS)),
        "at": _uniform(rng, 0.05, 1.0),
        "size": _uniform(rng, 0.06, 0.16),
        "bar": _uniform(rng, 0.3, 1.0) if rng.random() < 0.5 else 0.0,
        "colour": _colour(rng),
    }
    made = text(pixels, place, **how)
    return made.pixels, made.cover, how


def _sticker(pixels: Pixels, rng: np.random.Generator, place: Box) -> _Drawn:
    shape = str(rng.choice(["disc", "disc", "bar", "star"]))
    how: dict[str, Any] = {"shape": shape, "at": [_uniform(rng, 0, 1), _uniform(rng, 0, 1)]}
    how |= {"size": _uniform(rng, 0.12, 0.4), "degrees": _uniform(rng, -30, 30, 1), "colour": _colour(rng)}
    if shape == "bar" and rng.random() < 0.5:  # over the eyes, as papers do
        how |= {"at": [0.5, _uniform(rng, 0.28, 0.42)], "size": _uniform(rng, 0.6, 0.9), "colour": [10, 10, 10]}
    made = sticker(pixels, place, **how)
    return made.pixels, made.cover, how


def _colour(rng: np.random.Generator) -> list[int]:
    return [[255, 255, 255], [250, 215, 60], [20, 20, 20], [int(v) for v in rng.integers(0, 256, 3)]][rng.integers(4)]


# name → (share of draws, the operation with drawn parameters)
OPERATIONS: dict[str, tuple[float, _Draw]] = {
    "monochrome": (0.14, _of(monochrome, lambda r: {"grey": str(r.choice(list(GREYS), p=[0.55, 0.2, 0.15, 0.1]))})),
    "toned": (0.10, _of(toned, lambda r: {"tone": str(r.choice(list(TONES), p=[0.55, 0.15, 0.15, 0.15])),
                                          "share": _uniform(r, 0.4, 1.0)})),
    "white_balance": (0.08, _of(white_balance, lambda r: {"temperature": _uniform(r, -0.7, 0.7),
                                                          "tint": _uniform(r, -0.3, 0.3)})),
    "curve": (0.05, _of(curve, lambda r: {"gamma": _face.number(2 ** r.uniform(-0.8, 0.8), 3),
                                          "contrast": _uniform(r, -0.5, 1.0), "fade": _uniform(r, -0.1, 0.15)
                                          if r.random() < 0.5 else 0.0})),
    "vignette": (0.03, _of(vignette, lambda r: {"strength": _uniform(r, 0.2, 0.8)})),
    "unsharp": (0.14, _of(unsharp, lambda r: {"sigma": _uniform(r, 0.5, 2.5), "amount": _uniform(r, 0.3, 2.2)})),
    "local_contrast": (0.07, _of(local_contrast, lambda r: {"limit": _uniform(r, 1.2, 4.0),
                                                            "tiles": int(r.choice([2, 4, 8]))})),
    "bilateral": (0.06, _of(bilateral, lambda r: {"levels": _uniform(r, 12, 60, 1), "sigma": _uniform(r, 1.5, 4)})),
    "median": (0.04, _of(median, lambda r: {"side": int(r.choice([3, 3, 5]))})),
    "non_local_means": (0.02, _of(non_local_means, lambda r: {"strength": _uniform(r, 2, 9)})),
    "smooth_skin": (0.07, _of(smooth_skin, lambda r: {"amount": _uniform(r, 0.3, 1.0), "grain": _uniform(r, 0, 0.4)})),
    "phone": (0.05, _of(phone, lambda r: {"amount": _uniform(r, 0.3, 1.2)})),
    "print_screen": (0.05, _of(print_screen, lambda r: {"period": _uniform(r, 2.6, 7), "amount": _uniform(r, 0.05, 0.4),
                                                        "degrees": _uniform(r, 0, 90, 1)})),
    "moire": (0.03, _of(moire, lambda r: {"period": _uniform(r, 2.1, 5), "amount": _uniform(r, 0.03, 0.2),
                                          "degrees": _uniform(r, -15, 15, 1)})),
    "grain": (0.04, _of(grain, lambda r: {"sigma": _uniform(r, 3, 18, 1), "size": _uniform(r, 0.0, 1.2)})),
    "night": (0.03, _of(night, lambda r: {"dark": _uniform(r, 1, 3), "photons": _uniform(r, 120, 900, 0)})),
    "double_jpeg": (0.04, _of(double_jpeg, lambda r: {"first": int(r.integers(40, 95)),
                                                      "second": int(r.integers(50, 97)),
                                                      "shift": tuple(int(v) for v in r.integers(0, 8, 2))})),
    "screenshot": (0.05, _of(screenshot, lambda r: {"factor": _uniform(r, 0.55, 1.8),
                                                    "kernel": str(r.choice(["linear", "cubic", "lanczos"]))})),
    "social": (0.06, _of(social, lambda r: {"factor": _uniform(r, 0.45, 1.0), "quality": int(r.integers(52, 90)),
                                            "sharpen": _uniform(r, 0, 0.6), "times": int(r.integers(1, 4))})),
    "text": (0.03, _text),
    "sticker": (0.03, _sticker),
}  # fmt: skip
