"""What happens to pictures on their way: compression, resizing, blur, noise and tone, to real and forged ones alike.

`degrade` draws a short chain of operations and never sees a label; give a genuine face and its forgery generators with
the same seed and both go the same way. It is no forger: it changes no label, so this leaf has `degrade` where others
have `forge`. Each operation is also there by name with an explicit strength, for benchmarks.

`h264_like` is an approximation made in memory, not a codec: see there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from facewitness.errors import InputError, UnknownName
from facewitness.forge import _blocks, _face
from facewitness.types import Pixels

Record = tuple[Mapping[str, Any], ...]

SUBSAMPLINGS = {
    "420": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "422": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "444": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
}
INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}


def degrade(
    pixels: Pixels,
    rng: np.random.Generator,
    *,
    strength: float = 1.0,
    operations: Sequence[str] | None = None,
    counts: Sequence[float] = (0.12, 0.3, 0.3, 0.18, 0.1),
) -> tuple[Pixels, Record]:
    """A picture of the same size after a random chain of operations, and the record of what was drawn.

    `strength` in [0, 1] says how far from harmless the drawn parameters may go; at 1 JPEG goes down to quality 30.
    `operations` limits the chain to some of OPERATIONS. `counts` are the probabilities of a chain of 0, 1, 2 …
    different operations.

    Args:
        pixels: RGB uint8 (H, W, 3).
        rng: What is drawn.
        strength: In [0, 1], how far from harmless the drawn parameters may go; at 1 JPEG goes down to quality 30.
        operations: Some of OPERATIONS; None for all.
        counts: Probabilities of a chain of 0, 1, 2 … different operations.

    Returns:
        RGB uint8 (H, W, 3), and the record.

    Raises:
        UnknownName: For an operation that does not exist.
    """
    if not 0 <= strength <= 1:
        raise InputError(f"strength: expected a number in [0, 1], got {strength!r}")
    names = list(OPERATIONS) if operations is None else list(operations)
    for name in names:
        if name not in OPERATIONS:
            raise UnknownName("operation", name, OPERATIONS)
    shares = np.array([OPERATIONS[name][0] for name in names])
    count = min(int(rng.choice(len(counts), p=np.asarray(counts) / sum(counts))), len(names))
    record = []
    for i in rng.choice(len(names), count, replace=False, p=shares / shares.sum()):
        pixels, drawn = OPERATIONS[names[i]][1](pixels, rng, strength)
        record.append({"operation": names[i], **drawn})
    return pixels, tuple(record)


# --------------------------------------------------------------------------------- the operations, with their strength


def jpeg(pixels: Pixels, quality: int, subsampling: str = "420") -> Pixels:
    """The picture after JPEG at a quality of 1 to 100 with chroma at "420", "422" or "444".

    Args:
        pixels: RGB uint8 (H, W, 3).
        quality: 1 to 100.
        subsampling: Of the chroma: "420", "422" or "444".

    Returns:
        RGB uint8, of the picture's size.
    """
    if subsampling not in SUBSAMPLINGS:
        raise UnknownName("chroma subsampling", subsampling, SUBSAMPLINGS)
    options = [cv2.IMWRITE_JPEG_QUALITY, int(quality), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SUBSAMPLINGS[subsampling]]
    return _through(".jpg", pixels, options)


def webp(pixels: Pixels, quality: int) -> Pixels:
    """The picture after lossy WebP at a quality of 1 to 100.

    Args:
        pixels: RGB uint8 (H, W, 3).
        quality: 1 to 100.

    Returns:
        RGB uint8, of the picture's size.
    """
    return _through(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, int(quality)])


def _through(extension: str, pixels: Pixels, options: list[int]) -> Pixels:
    _, encoded = cv2.imencode(extension, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    return np.asarray(cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def h264_like(pixels: Pixels, crf: float, block: int = 8, offset: tuple[int, int] = (0, 0)) -> Pixels:
    """What an H.264 intra picture at about this CRF (0 to 51) loses: an approximation, quick and in memory.

    Kept of the standard: 4:2:0 chroma, a block transform quantised with the step 0.625 · 2^(QP/6) and a dead zone, a
    coarser chroma scale at high QP, and a deblocking filter with the standard's fits of its thresholds. Left out:
    prediction (so coefficients, not residuals, are quantised), motion, rate control, and entropy coding, which loses
    nothing. CRF is taken as QP. `block` is 4 or 8; blocks start `offset` (y, x) pixels before the picture, as in a
    crop from a larger frame.

    Args:
        pixels: RGB uint8 (H, W, 3).
        crf: 0 to 51.
        block: Side of a block, 4 or 8 pixels.
        offset: Blocks start so many pixels (y, x) before the picture, as in a crop from a larger frame.

    Returns:
        RGB uint8, of the picture's size.
    """
    height, width = pixels.shape[:2]
    planes = list(cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb).astype(np.float32)))
    half = ((width + 1) // 2, (height + 1) // 2)
    softer = crf if crf < 30 else 30 + 0.45 * (crf - 30)
    planes[0] = _coded(planes[0], crf, block, offset)
    for i in (1, 2):
        chroma = cv2.resize(planes[i], half, interpolation=cv2.INTER_AREA)
        chroma = _coded(chroma, softer, block, (offset[0] // 2, offset[1] // 2))
        planes[i] = cv2.resize(chroma, (width, height), interpolation=cv2.INTER_LINEAR)
    decoded = _face.rounded(cv2.merge(planes))
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_YCrCb2RGB), np.uint8)


def _coded(plane: Any, qp: float, n: int, offset: tuple[int, int]) -> Any:
    step = np.float32(0.625 * 2 ** (qp / 6))
    coefficients = _blocks.to_cosines(plane, n, offset)
    # the blocks' means are transformed once more, four by four, as in the standard, so that flat areas keep their tone
    means = _blocks.to_cosines(np.ascontiguousarray(coefficients[:, 0, :, 0]), 4)
    overall = np.rint(means[:, 0, :, 0] / step) * step
    coefficients, means = _quantised(coefficients, step), _quantised(means, step)
    means[:, 0, :, 0] = overall
    coefficients[:, 0, :, 0] = _blocks.to_plane(means, coefficients.shape[0], coefficients.shape[2])
    decoded = _blocks.to_plane(coefficients, plane.shape[0], plane.shape[1], offset)
    alpha, beta = 0.8 * (2 ** (qp / 6) - 1), 0.5 * qp - 7
    if beta > 0:
        _deblock(decoded, n, offset[1], alpha, beta)
        _deblock(decoded.T, n, offset[0], alpha, beta)
    return decoded


def _quantised(coefficients: Any, step: np.float32) -> Any:
    levels = np.floor(np.abs(coefficients) / step + np.float32(1 / 3))  # an encoder's usual rounding in intra pictures
    return np.copysign(levels * step, coefficients)


def _deblock(plane: Any, n: int, offset: int, alpha: float, beta: float) -> None:
    """Smooths, in place, the steps between columns at block borders that are small enough to be the codec's own."""
    at = np.arange(-offset % n or n, plane.shape[1] - 1, n)
    at = at[at >= 2]
    p1, p0, q0, q1 = (plane[:, at + i] for i in (-2, -1, 0, 1))
    weak = (np.abs(q0 - p0) < alpha) & (np.abs(p1 - p0) < beta) & (np.abs(q1 - q0) < beta)
    change = np.clip((4 * (q0 - p0) + p1 - q1) / 8, -0.15 * alpha, 0.15 * alpha) * weak
    plane[:, at - 1], plane[:, at] = p0 + change, q0 - change


def resize(pixels: Pixels, factor: float, down: str = "area", up: str = "linear") -> Pixels:
    """The picture scaled by `factor` and back to its size; below 1 it loses detail.

    Args:
        pixels: RGB uint8 (H, W, 3).
        factor: Of the side; below 1 detail is lost.
        down: Name of the kernel that makes it smaller.
        up: Name of the kernel that makes it larger.

    Returns:
        RGB uint8, of the picture's size.
    """
    for kernel in (down, up):
        if kernel not in INTERPOLATIONS:
            raise UnknownName("interpolation", kernel, INTERPOLATIONS)
    height, width = pixels.shape[:2]
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    between = cv2.resize(pixels, small, interpolation=INTERPOLATIONS[down])
    return np.asarray(cv2.resize(between, (width, height), interpolation=INTERPOLATIONS[up]), np.uint8)


def blur(pixels: Pixels, sigma: float) -> Pixels:
    """Gaussian blur; `sigma` in pixels.

    Args:
        pixels: RGB uint8 (H, W, 3).
        sigma: In pixels.

    Returns:
        RGB uint8, of the picture's size.
    """
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


def motion(pixels: Pixels, length: float, degrees: float) -> Pixels:
    """Blur along a straight line of `length` pixels.

    Args:
        pixels: RGB uint8 (H, W, 3).
        length: In pixels.
        degrees: Direction of the line.

    Returns:
        RGB uint8, of the picture's size.
    """
    reach = int(np.ceil(length / 2)) + 1
    ahead = np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))]) * length / 2
    ends = np.rint((np.stack([-ahead, ahead]) + reach) * 256).astype(int).tolist()
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    cv2.line(kernel, ends[0], ends[1], 255, 1, cv2.LINE_AA, 8)
    return np.asarray(cv2.filter2D(pixels, -1, kernel.astype(np.float32) / kernel.sum()), np.uint8)


def noise(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Gaussian noise, independent in every pixel and channel; `sigma` in grey levels.

    Args:
        pixels: RGB uint8 (H, W, 3).
        sigma: In grey levels.
        rng: What is drawn.

    Returns:
        RGB uint8, of the picture's size.
    """
    return _face.rounded(pixels + np.float32(sigma) * rng.standard_normal(pixels.shape, np.float32))


def shot(pixels: Pixels, photons: float, rng: np.random.Generator) -> Pixels:
    """Poisson noise of a sensor that counts `photons` at white, by its normal approximation (good from about 20 on).

    Args:
        pixels: RGB uint8 (H, W, 3).
        photons: Counted at white.
        rng: What is drawn.

    Returns:
        RGB uint8, of the picture's size.
    """
    spread = np.sqrt(np.arange(256, dtype=np.float32) * np.float32(255 / photons))
    return _face.rounded(pixels + spread[pixels] * rng.standard_normal(pixels.shape, np.float32))


def tone(pixels: Pixels, gamma: float = 1.0, gain: float = 1.0, offset: float = 0.0) -> Pixels:
    """Gamma, then contrast `gain` about middle grey, then brightness `offset` in grey levels.

    Args:
        pixels: RGB uint8 (H, W, 3).
        gamma: Exponent; 1 changes nothing.
        gain: Contrast about middle grey; 1 changes nothing.
        offset: Brightness, grey levels.

    Returns:
        RGB uint8, of the picture's size.
    """
    ramp = (np.arange(256, dtype=np.float32) / 255) ** np.float32(gamma) * 255
    levels = _face.rounded((ramp - 128) * np.float32(gain) + 128 + np.float32(offset))
    return np.asarray(cv2.LUT(pixels, levels), np.uint8)


def saturate(pixels: Pixels, factor: float) -> Pixels:
    """Colours moved away from (above 1) or towards (below 1) the grey of the same brightness.

    Args:
        pixels: RGB uint8 (H, W, 3).
        factor: Above 1 away from grey, below 1 towards it.

    Returns:
        RGB uint8, of the picture's size.
    """
    grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(pixels, factor, grey, 1 - factor, 0), np.uint8)


# ---------------------------------------------------------------------------------- the same with drawn parameters


def _jpeg(pixels: Pixels, rng: np.random.Generator, strength: float) -> tuple[Pixels, dict[str, Any]]:
    quality, chroma = round(98 - 68 * strength * rng.random()), str(rng.choice(["420", "420", "444"]))
    return jpeg(pixels, quality, chroma), {"quality": quality, "subsampling": chroma}


def _webp(pixels: Pixels, rng: np.random.Generator, strength: float) -> tuple[Pixels, dict[str, Any]]:
    drawn = {"quality": round(95 - 65 * strength * rng.random())}
    return webp(pixels, **drawn), drawn


def _h264_like(pixels: Pixels, rng: np.random.Generator, strength: float) -> tuple[Pixels, dict[str, Any]]:
    crf, block = _face.number(16 + 26 * strength * rng.random(), 1), int(rng.choice([4, 8, 8]))
    y, x = (int(v) for v in rng.integers(0, block, 2))
    return h264_like(pixels, crf, block, (y, x)), {"crf": crf, "block": block, "offset": [y, x]}


def _resize(pixels: Pixels, rng: np.random.Generator, strength: float) -> tuple[Pixels, dict[str, Any]]:
    drawn: dict[str, Any] = {"factor": _face.number(1 - 0.6 * strength * rng.random())}
    drawn["down"] = str(rng.choice(["area", "area", "linear", "cubic", "nearest"]))
    drawn["up"] = str(rng.choice(["linear", "cubic", "lanczos", "nearest"], p=[0.4, 0.4, 0.15, 0.05]))
    return resize(pixels, **drawn), drawn


def _blur(pixels: Pixels, rng: np.random.Generator, strength: float) -> tuple[Pixels, dict[str, Any]]:
    drawn = {"sigma": _face.number(0.3 + 1.4 * strength * rng.random())}
    return blur(pixels, **drawn), drawn


def _motion(pixels: Pixels, rng: np.random.Generator, strength: float) -> tuple[Pixels, dict[str, Any]]:
    drawn = {
        "length": _face.number(1.5 + 5 * strength * rng.random(), 2),
        "degrees": _face.number(180 * rng.random(), 1),
    }
    return motion(pixels, **drawn), drawn


def _noise(pixels: Pixels, rng: np.random.Generator, strength: float) -> tuple[Pixels, dict[str, Any]]:
    sigma = _face.number(0.5 + 8 * strength * rng.random() ** 2, 2)
    return noise(pixels, sigma, rng), {"sigma": sigma}


def _shot(pixels: Pixels, rng: np.random.Generator, strength: float) -> tuple[Pixels, dict[str, Any]]:
    photons = _face.number(10 ** (4 - 1.5 * strength * rng.random()), 0)
    return shot(pixels, photons, rng), {"photons": photons}


def _tone(pixels: Pixels, rng: np.random.Generator, strength: float) -> tuple[Pixels, dict[str, Any]]:
    gamma, gain, offset = strength * rng.uniform(-1, 1, 3)
    drawn = {
        "gamma": _face.number(1.4**gamma),
        "gain": _face.number(1.25**gain),
        "offset": _face.number(25 * offset, 1),
    }
    return tone(pixels, **drawn), drawn


def _saturate(pixels: Pixels, rng: np.random.Generator, strength: float) -> tuple[Pixels, dict[str, Any]]:
    drawn = {"factor": _face.number(1 + 0.4 * strength * rng.uniform(-1, 1))}
    return saturate(pixels, **drawn), drawn


_Draw = Callable[[Pixels, np.random.Generator, float], tuple[Pixels, dict[str, Any]]]

# name → (share of draws, the operation with drawn parameters). Compression and resizing are what most pictures have
# met; WebP is drawn seldom, because its encoder takes ten times as long as all the others.
OPERATIONS: dict[str, tuple[float, _Draw]] = {
    "jpeg": (0.26, _jpeg),
    "h264_like": (0.14, _h264_like),
    "webp": (0.03, _webp),
    "resize": (0.20, _resize),
    "blur": (0.08, _blur),
    "motion": (0.04, _motion),
    "noise": (0.07, _noise),
    "shot": (0.04, _shot),
    "tone": (0.09, _tone),
    "saturate": (0.05, _saturate),
}
