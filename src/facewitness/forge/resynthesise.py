"""The traces of a generator laid on a face that none has made: a whole picture or the face in it drawn anew.

Generators leave more than faces: their upsampling repeats itself (Odena et al., "Deconvolution and Checkerboard
Artifacts", 2016; Zhang et al., "Detecting and Simulating Artifacts in GAN Fake Images", 2019, who simulate it as is
done here), their bottleneck loses fine detail, their textures are too smooth or have a noise of their own. Five such
traces are imitated by plain image processing; no network is asked, so no one network's fingerprint is learned:

    upsample    shrunk and enlarged again by a generator's kernels, some with a checkerboard
    truncate    block by block only the strong cosines kept, shrunk: a bottleneck
    grid        faint waves of period 2, 4 or 8: the peaks such pictures show in their spectrum
    retexture   texture smoothed away along edges and replaced by another grain
    decode      few channels at a half or a quarter of the resolution, as latent diffusion has them, and a decoder that
                is fitted anew to every picture: a drawn layer of rectifiers, then a ridge regression (Huang et al.,
                "Extreme Learning Machine", 2006). What it leaves follows its way of enlarging, as a trained one's does
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from facewitness import regions
from facewitness.errors import InputError, UnknownName
from facewitness.forge import Forged, _blocks, _face
from facewitness.types import Landmarks, Pixels

PARTS = ("eyes", "left_eye", "right_eye", "eyebrows", "nose", "mouth", "chin", "forehead", "left_cheek", "right_cheek")
_TRIES = 4
_VISIBLE = 0.8  # grey levels: fainter traces than this do not survive rounding and any compression


def forge(
    pixels: Pixels,
    landmarks: Landmarks,
    rng: np.random.Generator,
    *,
    whole: float = 0.5,
    parts: float = 0.0,
    traces: Sequence[str] = ("upsample", "truncate", "grid", "retexture"),
    max_traces: int = 3,
    drawn: Pixels | None = None,
) -> Forged:
    """Draw the whole picture (with probability `whole`), a few regions (`parts`) or the face in it anew.

    One to `max_traces` of `traces` are laid on. A whole picture has a mask of ones and the kind `entire_synthesis`; a
    face alone has a soft hull and the kind `identity_exchange`, because it is how swaps made by autoencoders are
    pasted; one to three regions, as an inpainting decodes them, are an `attribute_manipulation`. A draw that changed
    almost nothing is drawn again. Where a network has `drawn` the same picture anew, no trace is imitated: its picture
    is laid on whole, in the face or in regions.

    Args:
        pixels: The genuine picture, RGB uint8 (H, W, 3).
        landmarks: The face's mesh, (468, 2+), in pixels of the picture.
        rng: What everything is drawn from; the same state gives the same result.
        whole: Probability that the whole picture is drawn anew, in [0, 1].
        parts: Probability that one to three regions are, in [0, 1 − `whole`].
        traces: Of generators, drawn from.
        max_traces: Traces that are laid on at most.
        drawn: The same picture as a network drew it, RGB uint8 (H, W, 3), pixel on pixel; None to imitate traces.

    Raises:
        InputError: For a degenerate mesh, or a drawn picture of another size.
        UnknownName: For a trace that does not exist.
    """
    points = _face.mesh(pixels, landmarks)
    for name in traces:
        if name not in _TRACES:
            raise UnknownName("trace", name, _TRACES)
    if drawn is not None and drawn.shape != pixels.shape:
        raise InputError(f"Expected the picture drawn anew as {pixels.shape}, as it was, got {drawn.shape}.")
    record: list[dict[str, Any]] = []
    extent = rng.random()
    if extent < whole:
        mask, kind = np.ones(pixels.shape[:2], np.float32), "entire_synthesis"
        record.append({"operation": "extent", "whole": True})
    elif extent < whole + parts:
        names = [PARTS[i] for i in sorted(rng.permutation(len(PARTS))[: rng.integers(1, 4)])]
        soften = _face.number(rng.uniform(0.005, 0.04) * _face.size(points), 2)
        mask, kind = _regions(points, names, soften, *pixels.shape[:2]), "attribute_manipulation"
        record.append({"operation": "extent", "whole": False, "parts": names, "soften": soften})
    else:
        grow, soften = (_face.number(v * _face.size(points), 2) for v in rng.uniform((0.9, 0.01), (1.06, 0.05)))
        mask, kind = _hull(points, grow / _face.size(points), soften, *pixels.shape[:2]), "identity_exchange"
        record.append({"operation": "extent", "whole": False, "size": grow, "soften": soften})

    if drawn is not None:
        forged = _face.blend(drawn, pixels, mask)
        return Forged(forged, mask, _face.covered(mask, points), kind, (*record, {"operation": "drawn"}))
    for attempt in range(1, _TRIES + 1):
        foreign, laid = pixels.astype(np.float32), []
        count = min(int(rng.integers(1, max_traces + 1)), len(traces))
        for i in sorted(rng.permutation(len(traces))[:count]):
            foreign, how = _TRACES[traces[i]](foreign, rng)
            laid.append({"operation": traces[i], **how, "attempt": attempt})
        forged = _face.blend(_face.rounded(foreign), pixels, mask)
        if _face.visible(forged, pixels, mask) >= _VISIBLE:
            break
    return Forged(forged, mask, _face.covered(mask, points), kind, (*record, *laid))


def _hull(points: Landmarks, grow: float, soften: float, height: int, width: int) -> Any:
    centre = points.mean(axis=0)
    mask = _face.hull(centre + (points - centre) * grow, height, width)
    return _face.settle(cv2.GaussianBlur(mask, (0, 0), max(0.5, soften), borderType=cv2.BORDER_REPLICATE))


def _regions(points: Landmarks, names: Sequence[str], soften: float, height: int, width: int) -> Any:
    mask = np.zeros((height, width), np.float32)
    for name in names:
        for polygon in regions.polygons(name, points):
            mask = np.maximum(mask, _face.hull(polygon, height, width))
    return _face.settle(cv2.GaussianBlur(mask, (0, 0), max(0.5, soften), borderType=cv2.BORDER_REPLICATE))


# ---------------------------------------------------------------------------- the traces, on float32 (H, W, 3)


def _upsample(image: Any, rng: np.random.Generator) -> tuple[Any, dict[str, Any]]:
    """Shrink, enlarge by a generator's kernel, and give back a share of the detail that was lost."""
    height, width = image.shape[:2]
    kernel = str(rng.choice(["nearest", "transposed", "transposed", "linear", "cubic", "lanczos"]))
    factor = _face.number(rng.choice([2, 4]) if kernel in ("nearest", "transposed") else rng.uniform(1.4, 3.5))
    # a generator draws sharp pictures: the coarser its first grid, the more of the detail comes from later layers
    detail = _face.number(rng.uniform(0.1, 0.6) if factor < 3 else rng.uniform(0.45, 0.8))
    how: dict[str, Any] = {"kernel": kernel, "factor": factor, "detail": detail}

    small = cv2.resize(
        image, (-int(-width // factor), -int(-height // factor)), interpolation=cv2.INTER_AREA
    )  # rounded up: enlarging must reach the edge
    if kernel == "transposed":
        how["unevenness"] = unevenness = _face.number(rng.uniform(0.03, 0.15))
        large = small
        while large.shape[0] < height or large.shape[1] < width:
            large = _transposed(large, unevenness, rng)
        large = large[:height, :width]
    elif kernel == "nearest":
        large = np.repeat(np.repeat(small, int(factor), axis=0), int(factor), axis=1)[:height, :width]
        mix = 1 + rng.uniform(-0.6, 0.6, (3, 3))  # the convolution that follows, with weights nobody chose
        how["mix"] = [_face.number(v, 3) for v in (mix / mix.sum()).ravel()]
        large = cv2.filter2D(np.ascontiguousarray(large), -1, np.float32(how["mix"]).reshape(3, 3))
    else:
        flag = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}[kernel]
        large = cv2.resize(small, (width, height), interpolation=flag)
    return cv2.addWeighted(image, detail, large, 1 - detail, 0), how


def _transposed(image: Any, unevenness: float, rng: np.random.Generator) -> Any:
    """Twice the size by zero insertion and a kernel of four taps; uneven taps leave a checkerboard."""
    spread = np.zeros((2 * image.shape[0], 2 * image.shape[1], 3), np.float32)
    spread[::2, ::2] = image
    taps = np.array([0.25, 0.75, 0.75, 0.25], np.float32) * (1 + unevenness * rng.standard_normal((2, 4))).astype(
        np.float32
    )
    rows, columns = taps * 2 / taps.sum(axis=1, keepdims=True)
    return cv2.sepFilter2D(spread, -1, rows, columns, anchor=(2, 2), borderType=cv2.BORDER_REFLECT_101)


def _truncate(image: Any, rng: np.random.Generator) -> tuple[Any, dict[str, Any]]:
    """Keep only strong cosines of low frequency in each block, shrunk; averaged over one or two block grids."""
    height, width = image.shape[:2]
    n, grids = int(rng.choice([8, 16])), int(rng.integers(1, 3))
    reach = _face.number(rng.uniform(0.45, 1.1))  # share of the block's frequencies
    threshold = _face.number(rng.uniform(1, 9))
    radius = np.hypot(*np.mgrid[0:n, 0:n]).astype(np.float32) / n
    passed = np.clip((reach - radius) * 6 + 0.5, 0, 1)[:, None, :]
    floor = (threshold * np.minimum(1, 2 * radius))[:, None, :]  # the mean stays, fine detail must be strong

    planes = []
    for plane in cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)):
        total = np.zeros((height, width), np.float32)
        for g in range(grids):
            offset = (g * n // 2, g * n // 2)
            c = _blocks.to_cosines(plane, n, offset)
            c = np.copysign(np.maximum(np.abs(c) - floor, 0), c) * passed
            total += _blocks.to_plane(c, height, width, offset)
        planes.append(total / grids)
    return cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2RGB), {
        "block": n, "grids": grids, "reach": reach, "threshold": threshold,
    }  # fmt: skip


def _grid(image: Any, rng: np.random.Generator) -> tuple[Any, dict[str, Any]]:
    """Faint waves whose periods are powers of two, across, along, or both."""
    height, width = image.shape[:2]
    waves = []
    total = np.zeros((height, width), np.float32)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    for _ in range(int(rng.integers(1, 4))):
        period, way = int(rng.choice([2, 4, 8])), str(rng.choice(["across", "along", "both"]))
        amplitude, phase = _face.number(rng.uniform(0.8, 3)), _face.number(rng.uniform(0, 2 * np.pi))
        waves.append({"period": period, "way": way, "amplitude": amplitude, "phase": phase})
        if period == 2:
            phase = 0.0  # a wave of two samples has no other phase that keeps its amplitude
        along, across = np.cos(2 * np.pi * y / period + phase), np.cos(2 * np.pi * x / period + phase)
        total += amplitude * {"across": across, "along": along, "both": across * along}[way]
    # a network's trace follows the picture: stronger where there is light
    light = 0.5 + cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / 255
    return image + (total * light)[..., None], {"waves": waves}


def _retexture(image: Any, rng: np.random.Generator) -> tuple[Any, dict[str, Any]]:
    """Smooth along edges, then lay another grain over it."""
    contrast, sigma = _face.number(rng.uniform(10, 32)), _face.number(rng.uniform(1, 3))
    grain, size, grey = (_face.number(rng.uniform(*limits)) for limits in ((0, 4), (0.4, 1.1), (0.3, 1)))
    smooth = cv2.bilateralFilter(_face.rounded(image), 7, contrast, sigma)
    noise = rng.standard_normal(image.shape, np.float32)
    noise += np.float32(grey) * (noise[..., :1] - noise)  # grain is partly the same in all channels
    noise = cv2.GaussianBlur(noise, (0, 0), size)
    noise *= np.float32(grain) / max(float(noise.std()), 1e-3)
    return smooth + noise, {"contrast": contrast, "sigma": sigma, "grain": grain, "size": size, "grey": grey}


def _decode(image: Any, rng: np.random.Generator) -> tuple[Any, dict[str, Any]]:
    """Few channels of a smaller grid, a little noise on them, and a decoder fitted to draw the picture from them."""
    height, width = image.shape[:2]
    # one layer enlarges twice and stays sharp; four times only where every place of the small grid draws its own block
    enlarging = str(rng.choice(["shuffle", "shuffle", "nearest", "linear"]))
    f = int(rng.choice([2, 4])) if enlarging == "shuffle" else 2
    channels = int(rng.integers(4, 8) if f == 2 else rng.integers(9, 21))
    noise = _face.number(rng.uniform(0, 0.03), 4)
    how = {"factor": f, "enlarging": enlarging, "channels": channels, "noise": noise}
    padded = cv2.copyMakeBorder(image, 0, -height % f, 0, -width % f, cv2.BORDER_REFLECT_101) / 255 - 0.5
    rows, columns = padded.shape[0] // f, padded.shape[1] // f
    blocks = padded.reshape(rows, f, columns, f, 3).swapaxes(1, 2).reshape(-1, f * f * 3)

    # encoder: the strongest directions of the blocks, mixed by a drawn rotation, with noise as a latent's sampling adds
    some = blocks[rng.integers(0, len(blocks), 2000)]
    mean = some.mean(0)
    strongest = np.linalg.svd(some - mean, full_matrices=False)[2][:channels].T
    latents = (blocks - mean) @ strongest
    latents /= latents.std(0) + 1e-4
    latents = (latents @ np.linalg.qr(rng.standard_normal((channels, channels)))[0]).astype(np.float32)
    latents += np.float32(noise) * rng.standard_normal(latents.shape, np.float32)
    hidden = rng.standard_normal((channels, 8)).astype(np.float32) / np.float32(np.sqrt(channels))
    latents = np.concatenate([latents, np.maximum(latents @ hidden + rng.standard_normal(8, np.float32), 0)], 1)
    grid = latents.reshape(rows, columns, -1)

    if enlarging == "shuffle":
        drawn = _fitted(_neighbours(grid), blocks, rng)
        return _values(drawn.reshape(rows, columns, f, f, 3).swapaxes(1, 2).reshape(padded.shape), image), how
    if enlarging == "nearest":
        large = grid.repeat(f, axis=0).repeat(f, axis=1)
    else:
        shape = (columns * f, rows * f)
        planes = np.moveaxis(grid, 2, 0)
        large = np.dstack([cv2.resize(plane, shape, interpolation=cv2.INTER_LINEAR) for plane in planes])
    return _values(_fitted(_neighbours(large), padded.reshape(-1, 3), rng).reshape(padded.shape), image), how


def _neighbours(grid: Any) -> Any:
    """What a convolution of 3 × 3 sees at every place of a grid (H, W, C): (H · W, 9 C + 1), a constant last."""
    height, width, count = grid.shape
    framed = np.pad(grid, ((1, 1), (1, 1), (0, 0)), "edge")
    seen = np.empty((height, width, 9 * count + 1), np.float32)
    for k in range(9):
        seen[..., k * count : (k + 1) * count] = framed[k // 3 : k // 3 + height, k % 3 : k % 3 + width]
    seen[..., -1] = 1
    return seen.reshape(height * width, -1)


def _fitted(seen: Any, wanted: Any, rng: np.random.Generator) -> Any:
    """A ridge regression of `wanted` on `seen`, fitted on 3,000 places at most, at every place."""
    at = rng.integers(0, len(seen), min(len(seen), 3000))
    x, y = seen[at], wanted[at]
    weights = np.linalg.solve(x.T @ x + 0.03 * len(x) / 100 * np.eye(x.shape[1], dtype=np.float32), x.T @ y)
    return seen @ weights.astype(np.float32)


def _values(drawn: Any, image: Any) -> Any:
    """From −0.5..0.5 to the picture's values and size."""
    return ((drawn + 0.5) * 255).astype(np.float32)[: image.shape[0], : image.shape[1]]


_TRACES: dict[str, Callable[[Any, np.random.Generator], tuple[Any, dict[str, Any]]]] = {
    "upsample": _upsample,
    "truncate": _truncate,
    "grid": _grid,
    "retexture": _retexture,
    "decode": _decode,
}
