"""What a JPEG's coding says of its history: whose tables it was saved with, and whether it was saved before.

tables       the 64 steps by which coefficients were divided: libjpeg's own, scaled by a quality, are most programs'
             and many telephones'; some families are written by web software alone
saved_twice  a coefficient rounded to a multiple of q₁ and then of q₂ leaves a histogram over q₂ with gaps and peaks
             that repeat (Popescu & Farid 2004, "Statistical tools for digital forensics"). Single compression
             leaves one that falls smoothly
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

# ITU-T T.81, annex K.1, which libjpeg scales: row by row
_LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
# N. Robidoux's table, the default of mozjpeg, symmetric
_ROBIDOUX = (
    16, 16, 16, 18, 25, 37, 56, 85,
    16, 17, 20, 27, 34, 40, 53, 75,
    16, 20, 24, 31, 43, 62, 91, 135,
    18, 27, 31, 40, 53, 74, 106, 156,
    25, 34, 43, 53, 69, 94, 131, 189,
    37, 40, 62, 74, 94, 124, 169, 238,
    56, 53, 91, 106, 131, 169, 226, 311,
    85, 75, 135, 156, 189, 238, 311, 418,
)  # fmt: skip
_LEVELS = 63  # of a coefficient, that are counted
_BLOCKS = 4_096  # at most so many are looked at
_PIECE = (
    256  # blocks a product: OpenBLAS puts larger ones on all cores, whose threads wait for each other on a busy one
)
_FEWEST = 256  # blocks with something in them, below which nothing is said
_MODES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (2, 2), (0, 3), (3, 0))  # low frequencies
WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue in the luminance that a JPEG stores
LEVEL = 15.0  # of `saved_twice`: 377 pictures saved once had at most 6.5 (LOG.md)


@dataclass(frozen=True, slots=True)
class Tables:
    """Whose tables a JPEG was saved with."""

    maker: str  # libjpeg, mozjpeg, or "" for tables of a camera's or program's own
    quality: int | None  # of libjpeg's scale, where the table is one of its


def tables(luminance: tuple[int, ...]) -> Tables:
    """Which family a luminance table is of; 64 steps, row by row.

    Args:
        luminance: 64 quantisation steps, row by row.
    """
    return _known().get(luminance) or (Tables("libjpeg", 100) if set(luminance) == {1} else Tables("", None))


@cache
def _known() -> dict[tuple[int, ...], Tables]:
    """Each scaled table → whose it is; one that two families share is the first one's, at its lowest quality."""
    every: dict[tuple[int, ...], Tables] = {}
    for maker, base in (("libjpeg", _LUMINANCE), ("mozjpeg", _ROBIDOUX)):
        for quality in range(1, 100):
            every.setdefault(scaled(base, quality), Tables(maker, quality))
    return every


def scaled(base: tuple[int, ...], quality: int) -> tuple[int, ...]:
    """libjpeg's `jpeg_set_quality` for 8 bits: 5000 / q percent below 50, 200 − 2 q from there on.

    Args:
        base: The table at quality 50.
        quality: 1 to 100.
    """
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(min(max((step * percent + 50) // 100, 1), 255) for step in base)


def saved_twice(luminance: NDArray[np.floating], steps: tuple[int, ...]) -> float | None:
    """How strongly the picture's coefficients repeat, as those of a picture that was saved as JPEG twice do.

    Args:
        luminance: (H, W) of the decoded picture, 0 to 255, its block grid at the upper left corner; or its colours,
            RGB (H, W, 3), of which no more is weighed than is looked at.
        steps: the 64 steps of its luminance table, row by row.

    Returns:
        The mean over low frequencies of the largest power of their histogram's detrended residuals, 1 for noise;
        `LEVEL` and more is called saved twice. None where the picture is too small or too flat to tell.
    """
    coefficients = _coefficients(luminance) if all(steps) else None  # a step of 0 keeps nothing
    if coefficients is None:
        return None
    divisors = np.array([steps[row * 8 + column] for row, column in _MODES], np.float32)[:, None]
    levels = np.minimum(np.abs(np.rint(coefficients / divisors)), _LEVELS + 1).astype(np.int64)
    levels += (_LEVELS + 2) * np.arange(len(_MODES))[:, None]  # one count for all of them
    counts = np.bincount(levels.ravel(), minlength=(_LEVELS + 2) * len(_MODES)).reshape(len(_MODES), -1)
    powers = _periodicities(counts[:, 1:-1].astype(np.float64))
    return float(np.median(powers)) if len(powers) >= 3 else None


def _coefficients(luminance: NDArray[np.floating]) -> NDArray[np.float32] | None:
    """The DCT coefficients (_MODES, n) of at most _BLOCKS blocks that are neither flat nor burnt out."""
    height, width = (size // 8 for size in luminance.shape[:2])
    if height * width < _FEWEST:
        return None
    blocks = luminance[: height * 8, : width * 8].reshape(height, 8, width, 8, -1)
    row, column = np.divmod(np.arange(0, height * width, max(1, height * width // _BLOCKS)), width)
    blocks = blocks[row, :, column].astype(np.float32)  # (n, 8, 8, channels)
    if blocks.shape[-1] == 3:
        blocks = _weighed(blocks.reshape(-1, 3))
    blocks = np.ascontiguousarray(blocks.reshape(-1, 64).T)  # beside each other what is compared and added
    # where decoding cut values off at black or white, coefficients are not the stored ones
    blocks = blocks.compress((blocks.min(axis=0) > 2) & (blocks.max(axis=0) < 253), axis=1)
    if blocks.shape[1] < _FEWEST:
        return None
    blocks -= 128
    coefficients = np.empty((len(_MODES), blocks.shape[1]), np.float32)
    for start in range(0, blocks.shape[1], _PIECE):
        part = slice(start, start + _PIECE)
        np.matmul(_basis(), blocks[:, part], out=coefficients[:, part])
    return coefficients


def _weighed(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """The luminance (n,) of colours (n, 3)."""
    whole = len(colours) // 1024 * 1024
    pieces = (colours[:whole].reshape(-1, 1024, 3) @ WEIGHTS).ravel()
    return np.concatenate([pieces, colours[whole:] @ WEIGHTS])


@cache
def _basis() -> NDArray[np.float32]:
    """The basis functions of _MODES, (_MODES, 64)."""
    i = np.arange(8)
    waves = np.cos((2 * i[None] + 1) * i[:, None] * np.pi / 16) * np.where(i == 0, np.sqrt(1 / 8), 0.5)[:, None]
    return np.array([np.outer(waves[row], waves[column]).ravel() for row, column in _MODES], np.float32)


def _periodicities(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest power of each histogram's residuals after a smooth fall is taken off; the too short are left out.

    Args:
        counts: (histograms, _LEVELS), of the levels from 1 on.
    """
    used = np.array([int(np.flatnonzero(row >= 3).max(initial=-1)) + 1 for row in counts])
    long = [i for i, length in enumerate(used) if length >= 8 and counts[i, :length].sum() >= 200]
    design, waves = np.zeros((len(long), _LEVELS, 4)), np.zeros((len(long), 96, _LEVELS), complex)
    seen = np.zeros((len(long), _LEVELS))
    for n, i in enumerate(long):  # beyond its length a histogram is 0 and counts for nothing
        design[n, : used[i]], waves[n, :, : used[i]] = _bases(int(used[i]))
        seen[n, : used[i]] = counts[i, : used[i]]
    target, mean = np.log(seen + 0.5), seen + 0.5
    for _ in range(12):
        weighted = (design * mean[..., None]).swapaxes(1, 2)
        fit = np.linalg.solve(weighted @ design + 1e-6 * np.eye(4), weighted @ target[..., None])
        line = np.clip((design @ fit)[..., 0], -8.0, 16.0)
        mean = np.exp(line)
        target = line + (seen - mean) / mean
    residual = (seen - mean) / np.sqrt(mean + 1.0)
    # by einsum: a product of this size would go to all cores (_PIECE)
    powers = np.einsum("nfk,nk->nf", waves.real, residual) ** 2 + np.einsum("nfk,nk->nf", waves.imag, residual) ** 2
    return powers.max(axis=1, initial=0) / used[long]


@lru_cache(64)
def _bases(used: int) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """For a histogram of so many levels: what falls smoothly, (used, 4), and waves of 96 frequencies, (96, used).

    The fall is log m = a + b log k + c k + d √k, fitted by reweighted least squares (a Poisson fit).
    """
    k = np.arange(1, used + 1, dtype=np.float64)
    design = np.stack([np.ones(used), np.log(k), k / used, np.sqrt(k / used)], axis=1)
    return design, np.exp(-2j * np.pi * np.linspace(0.12, 0.5, 96)[:, None] * k[None])
