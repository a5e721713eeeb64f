"""Whether a face looks drawn or is shown in a few colours, as far as that can be measured; it is then not decided.

Witnesses learned from photographs, and what they say of a drawing is about the drawing's hand. Two things are told:

    posterised   of the face's levels of brightness a quarter holds nearly everything: a photograph has every shade
                 between its darkest and its lightest place, one of eight colours has eight
    drawn        flat areas beside hard outlines, and few soft shades between them: how steep the face's shades are, as
                 shares in eight steps on a crop of 128 pixels, weighed by a logistic; above the mouth too, for a curly
                 beard is nothing but hard outlines

Some kinds of photograph measure like them and are told apart (`runs/photograph/hard.py`). Noise and patterns leave no
place flat; where much is white or black without shades there is little left of which to tell; and strong compression
leaves flat squares whose edges lie eight pixels apart. These are not judged either, for their quality. What covers
the mouth with one colour, as a mask does, is flat below and nothing of it is above: such a face is judged like others.

Fitted and measured by `runs/photograph/fit.py`: at most one genuine photograph in a hundred of a source is taken for
one of them. What has soft shades is not told: oil paintings, wax, statues and masks, rendered people, and pictures of a
screen or a print. That nothing is said of a picture does not make it a photograph.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facewitness.types import Box, Pixels

SIDE = 128  # pixels of the crop for outlines
LEAST = 48  # pixels of a face, below which nothing is measured
_REACH = 0.6  # of the box's longer side, to each side of its middle
_MOST = 320  # pixels along the crop's longer side, of which levels are counted
_RANGE = 64  # levels from the darkest to the lightest that a face must have
_FAINT = 20.0  # levels of contrast, below which steepness is nothing but noise
STEEPNESS = np.linspace(-2.0, 6.5, 9)  # edges of the steps, log2 of per cent of the face's contrast a pixel, and 1/4
POSTERISED = 0.78
WEIGHTS = (-10.137, -23.064, -18.151, -9.609, -30.908, 42.957, -84.574, 2.679)  # steps but the first, log contrast
OFFSET = 0.354
DRAWN = 2.4
UPPER = 0.55  # of the crop's height, from the top: brows, eyes and most of the nose
DRAWN_ABOVE = 1.0  # what the upper part has to reach as well
LEAST_FLAT = 0.015  # share of a drawing's steps that are the two flattest; noise has fewer
MUCH_LOST = 0.25  # share of white and black from which shades are lost; drawings have less
SQUARED = 1.4  # times as steep where squares of eight pixels meet as elsewhere; drawings that are told have 1.1 at most
_GRID, _STEEP = 8, 16  # pixels of JPEG's squares; levels from which on a step is an outline, and counts no more
COVERED = 0.4  # share of the lower half in one level that is nearly absent above: a mask
_ABOVE, _ABSENT = 0.42, 0.1  # of the crop's height; share of its pixels
_BLACK, _WHITE = 3, 252  # levels
FEW_COLOURS = (
    "The face is shown in a few colours only, as posters and pictures of few colours are: this is not judged as a "
    "photograph."
)
OUTLINES = (
    "The face looks drawn (flat areas, hard outlines, few soft shades) or is sharpened like a drawing: this is not "
    "judged as a photograph."
)
SENTENCES = (FEW_COLOURS, OUTLINES)
NOISE = (
    "The face is covered by noise or a fine pattern, as in little light or in a picture of a screen: its own shades "
    "cannot be told from it, and it is not judged."
)
LOST = (
    "Much of the face is white or black without any shade, as in a picture that is over-exposed or of which the "
    "contrast was raised: too little of it is left to be judged."
)
BLOCKS = (
    "The face is compressed so strongly that it consists of squares of eight pixels: its own shades are lost in them, "
    "and it is not judged."
)
POOR = (NOISE, LOST, BLOCKS)  # of photographs that measure like drawings
TOLD = (
    "drawings of hard outlines and pictures of few colours, of which this shows no sign. Paintings, statues, masks, "
    "rendered people and pictures of a screen are not told from photographs."
)


def doubt(box: Box, pixels: Pixels) -> str:
    """A sentence on why a face is not judged as a photograph; empty where neither measure says so.

    Args:
        box: Of the face, (x1, y1, x2, y2) in pixels of the picture.
        pixels: RGB uint8 (H, W, 3).
    """
    return doubt_of(around(box, pixels))


def doubt_of(crop: Pixels) -> str:
    """As `doubt`, of a face that was cut out.

    Args:
        crop: RGB uint8 (h, w, 3), as `around` gives it.
    """
    if min(crop.shape[:2]) < LEAST:
        return ""
    few = posterised(crop) > POSTERISED
    if not few and (drawn(crop) <= DRAWN or drawn(crop, UPPER) <= DRAWN_ABOVE):
        return ""
    if squared(crop) > SQUARED:
        return BLOCKS
    if covered(crop) and posterised(crop[: len(crop) // 2]) <= POSTERISED:
        return ""
    if few:
        return LOST if lost(crop) > MUCH_LOST and posterised(crop, within=True) <= POSTERISED else FEW_COLOURS
    if lost(crop) > MUCH_LOST:
        return LOST
    shares = outlines(crop)[:-1]
    return NOISE if 1 - shares[1:].sum() < LEAST_FLAT else OUTLINES


def lost(crop: Pixels) -> float:
    """The share of a face's pixels that are as good as white or black.

    Args:
        crop: RGB uint8 (h, w, 3), as `around` gives it.
    """
    step = -(-max(crop.shape[:2]) // _MOST)
    brightness = _brightness(crop[::step, ::step])
    return float(np.mean((brightness <= _BLACK) | (brightness >= _WHITE)))


def squared(crop: Pixels) -> float:
    """How much steeper brightness is where JPEG's squares meet than in any other eighth, across and down alike.

    Args:
        crop: RGB uint8 (h, w, 3), as `around` gives it, at the size at which it was saved.

    Returns:
        About 1 without squares, both ways; lines at other distances than eight pixels lie in more than one eighth.
    """
    brightness, times = _brightness(crop), []
    for pixels in (brightness, brightness.T):
        steps = np.minimum(np.abs(np.diff(pixels, axis=1)), _STEEP).mean(axis=0)
        steps = np.sort(steps[: len(steps) // _GRID * _GRID].reshape(-1, _GRID).mean(axis=0))
        times.append(float(steps[-1] / (steps[-2] + 0.1)))
    return min(times)


def covered(crop: Pixels) -> bool:
    """Whether one colour that the upper part hardly has fills the lower half, as a mask does.

    Args:
        crop: RGB uint8 (h, w, 3), as `around` gives it.
    """
    step = -(-max(crop.shape[:2]) // _MOST)
    brightness = np.rint(_brightness(crop[::step, ::step])).astype(np.int64)
    inside, height = _ellipse(*brightness.shape), len(brightness)
    below = brightness[height // 2 :][inside[height // 2 :]]
    above = brightness[: int(_ABOVE * height)][inside[: int(_ABOVE * height)]]
    near = np.convolve(np.bincount(below, minlength=256), np.ones(5), "same")
    level = int(near.argmax())
    return bool(near[level] / below.size > COVERED and np.mean(np.abs(above - level) <= 2) < _ABSENT)


def around(box: Box, pixels: Pixels) -> Pixels:
    """The square around a face that is measured, as far as the picture reaches.

    Args:
        box: Of the face.
        pixels: RGB uint8 (H, W, 3).

    Returns:
        RGB uint8 (h, w, 3), a part of the same array.
    """
    x1, y1, x2, y2 = box
    reach, x, y = _REACH * max(x2 - x1, y2 - y1), (x1 + x2) / 2, (y1 + y2) / 2
    height, width = pixels.shape[:2]
    left, top, right, bottom = max(0, x - reach), max(0, y - reach), min(width, x + reach), min(height, y + reach)
    return pixels[int(top) : int(bottom), int(left) : int(right)]


def posterised(crop: Pixels, within: bool = False) -> float:
    """The share of a face's pixels in the fullest quarter of its levels, in threes; 0 where it has hardly any contrast.

    Args:
        crop: RGB uint8 (h, w, 3), as `around` gives it.
        within: What is as good as white or black is left out.
    """
    step = -(-max(crop.shape[:2]) // _MOST)  # pixels are left out, not mixed: mixing makes new levels
    brightness = np.rint(_brightness(crop[::step, ::step])).astype(np.int64)
    inside = brightness[_ellipse(*brightness.shape)]
    if within:
        inside = inside[(inside > _BLACK) & (inside < _WHITE)]
        if inside.size < LEAST:  # nothing else is there: two colours
            return 1.0
    low, high = np.percentile(inside, (3, 97)).astype(int)
    levels = int(high - low + 1)
    if levels < _RANGE:
        return 0.0
    left = np.bincount(inside, minlength=256)[low : high + 1].astype(np.float64)
    left /= left.sum()
    share = 0.0
    for _ in range(levels // 4 // 3):
        threes = np.convolve(left, (1, 1, 1), "same")
        at = int(threes.argmax())
        share += float(threes[at])
        left[max(0, at - 1) : at + 2] = 0.0
    return share


def drawn(crop: Pixels, share: float = 1.0) -> float:
    """How much a face looks drawn, as a logistic's log-odds; -inf where it has hardly any contrast.

    Args:
        crop: RGB uint8 (h, w, 3), as `around` gives it.
        share: Of its height that is measured, from the top.
    """
    measured = outlines(crop, share)
    return float(measured @ WEIGHTS + OFFSET) if measured[-1] > np.log(_FAINT) else -np.inf


def outlines(crop: Pixels, share: float = 1.0) -> NDArray[np.float64]:
    """How steep the face's shades are.

    Args:
        crop: RGB uint8 (h, w, 3), as `around` gives it.
        share: Of its height whose steps are counted, from the top; the contrast is the whole face's.

    Returns:
        float64 (8,): shares of the seven upper steps, and the contrast's logarithm.
    """
    from PIL import Image  # the trunk is light without it

    step = max(1, max(crop.shape[:2]) // (4 * SIDE))  # of a large face every n-th pixel is enough
    crop = crop[::step, ::step]
    height, width = crop.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    brightness = _brightness(np.asarray(Image.fromarray(np.ascontiguousarray(crop)).resize(size, how)))
    inside = _ellipse(*brightness.shape)
    low, high = np.percentile(brightness[inside], (5, 95))
    contrast = max(float(high - low), _FAINT)
    inside[round(share * len(inside)) :] = False
    across, down = np.diff(brightness, axis=1)[:-1], np.diff(brightness, axis=0)[:, :-1]
    steep = np.log2(np.hypot(across, down)[inside[:-1, :-1]] / contrast * 100 + 0.25)
    shares = np.histogram(steep, STEEPNESS)[0] / max(1, len(steep))
    return np.array([*shares[1:], np.log(contrast)])


def _brightness(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32))


def _ellipse(height: int, width: int) -> NDArray[np.bool_]:
    y, x = np.ogrid[0:height, 0:width]
    return np.asarray(((x - width / 2) / (0.46 * width)) ** 2 + ((y - height / 2) / (0.46 * height)) ** 2 < 1)
