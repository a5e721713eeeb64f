"""Looks for photographs that stand inside a picture of a screen, on a page or between bars, and says where they are.

A face in a photo of a chat is small on the screenshot, and the words around it are no part of the photograph. What is
proposed are rectangles of many colours on a ground of few: the ground is the three commonest colours of the picture, or
fewer of them, as a photograph may hold one of these itself; a rectangle is a connected part of the rest whose box it
fills, found on a coarse grid and then brought to the pixel. Nothing is cut off by itself: a proposal is a note, and
whoever looks decides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facewitness.types import Pixels

_CELLS = 64  # along the longer side of the coarse grid
_NEAR = 10  # levels of 255 by which the ground may differ from its colour: JPEG and anti-aliasing
_GROUND = (0.12, 0.04)  # least share of the picture that is ground, and that one of its colours has
_AREA = (0.06, 0.92)  # least and most share of the picture that a photograph takes
_AMONG = 0.03  # least share of one among several
_MOST = 24  # photographs of one page
_FILLED = (0.93, 0.7)  # shares of a photograph's box, and of each of its corners, that are not ground
_COLOURS = 250  # in 32 levels a channel, of 4,096 samples: photographs have more, drawings and text fewer
_LEAST = 96  # pixels, the shorter side of a photograph


def photographs_in(pixels: Pixels) -> tuple[tuple[int, int, int, int], ...]:
    """The boxes of photographs inside a picture, row by row; none where none is seen, or the picture is one itself.

    Args:
        pixels: RGB uint8 (H, W, 3).

    Returns:
        Each (x1, y1, x2, y2) in pixels, x2 and y2 excluded.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < 2 * _LEAST:
        return ()
    step = max(1, round(max(height, width) / (4 * _CELLS)))
    small = pixels[step // 2 :: step, step // 2 :: step]
    colours = _ground(small[::2, ::2])
    for count in range(len(colours), 0, -1):
        ground = colours[:count]
        if _is_near(small[::2, ::2], ground).mean() < _GROUND[0]:
            continue
        cells = _coarse(~_is_near(small, ground))
        candidates = (_photograph(pixels, cells, box, ground, step) for box in _parts(cells))
        boxes = [box for box in candidates if box is not None]
        if len(boxes) > 2 or any(_share(box, pixels) >= _AREA[0] for box in boxes):
            return tuple(sorted(boxes, key=lambda box: (box[1] * 8 // height, box[0])))
    return ()


def _share(box: tuple[int, ...], pixels: Pixels) -> float:
    return (box[2] - box[0]) * (box[3] - box[1]) / (pixels.shape[0] * pixels.shape[1])


def _photograph(
    pixels: Pixels, cells: NDArray[np.bool_], box: tuple[int, ...], ground: list[NDArray[np.uint8]], step: int
) -> tuple[int, int, int, int] | None:
    """The box of a part, to the pixel, where it is a photograph."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = box
    share = (x2 - x1) * (y2 - y1) / cells.size
    if cells[y1:y2, x1:x2].mean() < 0.9 or not 0.8 * _AMONG <= share <= 1.05 * _AREA[1]:
        return None
    x1, y1, x2, y2 = (edge * 4 * step for edge in box)
    left, top, right, bottom = _refined(pixels, ground, (x1, y1, min(x2, width), min(y2, height)), 6 * step)
    if min(right - left, bottom - top) < _LEAST:
        return None
    if not _AMONG <= _share((left, top, right, bottom), pixels) <= _AREA[1]:
        return None
    inside = pixels[top:bottom, left:right]
    across = max(1, int(np.sqrt(inside.shape[0] * inside.shape[1] / 4096)))
    sample = inside[across // 2 :: across, across // 2 :: across].reshape(-1, 3)
    if (~_is_near(sample[None], ground)).mean() < _FILLED[0] or len(np.unique(_packed(sample))) < _COLOURS:
        return None
    wide, high = max(8, (right - left) // 10), max(8, (bottom - top) // 10)
    corners = (inside[rows, columns] for rows in _ends(high) for columns in _ends(wide))
    if any((~_is_near(corner, ground)).mean() < _FILLED[1] for corner in corners):
        return None  # a disc, a head on white
    return left, top, right, bottom


def _ends(size: int) -> tuple[slice, slice]:
    return slice(None, size), slice(-size, None)


def _packed(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Colours as numbers, in 32 levels a channel."""
    levels = pixels.astype(np.int32) >> 3
    return levels[..., 0] << 10 | levels[..., 1] << 5 | levels[..., 2]


def _ground(small: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The commonest colours, where they take enough of the picture; none where they do not."""
    flat = small.reshape(-1, 3)
    coarse = _packed(flat)
    often = np.bincount(coarse, minlength=1 << 15) >= _GROUND[1] * len(flat)  # what is seldom together is so alone
    exact = flat[often[coarse]].astype(np.int32)
    colours, counts = np.unique(exact[:, 0] << 16 | exact[:, 1] << 8 | exact[:, 2], return_counts=True)
    chosen: list[NDArray[np.uint8]] = []
    for index in np.argsort(-counts, kind="stable")[:12]:
        if counts[index] < _GROUND[1] * len(flat) or len(chosen) == 3:
            break
        number = int(colours[index])
        colour = np.array([number >> 16, number >> 8 & 255, number & 255], np.uint8)
        if not any(np.abs(colour.astype(int) - other).max() <= _NEAR for other in chosen):
            chosen.append(colour)
    return chosen if chosen and _is_near(small, chosen).mean() >= _GROUND[0] else []


def _is_near(pixels: NDArray[np.uint8], ground: list[NDArray[np.uint8]]) -> NDArray[np.bool_]:
    near = np.zeros(pixels.shape[:-1], bool)
    for colour in ground:
        alike = np.ones(pixels.shape[:-1], bool)
        for channel, level in enumerate(colour.tolist()):
            values = pixels[..., channel]
            alike &= (values >= max(level - _NEAR, 0)) & (values <= min(level + _NEAR, 255))
        near |= alike
    return near


def _coarse(rest: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which cells of 4 × 4 samples are more than half of it."""
    rows, columns = rest.shape[0] // 4, rest.shape[1] // 4
    lines = rest[: rows * 4, : columns * 4].view(np.uint8).reshape(rows, 4, columns * 4).sum(axis=1, dtype=np.uint8)
    return np.asarray(lines.reshape(rows, columns, 4).sum(axis=2, dtype=np.uint8) > 8)


def _parts(cells: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """The boxes of the connected parts, in cells, the largest first."""
    edges = np.diff(np.pad(cells.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    y, begins = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    runs = list(zip(y.tolist(), begins.tolist(), ends.tolist(), strict=True))  # of cells beside each other, row by row
    parent = list(range(len(runs)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = run = parent[parent[run]]
        return run

    above = 0
    for run, (row, begin, end) in enumerate(runs):  # joined with those of the row above that it touches
        while runs[above][0] < row - 1 or (runs[above][0] == row - 1 and runs[above][2] <= begin):
            above += 1
        other = above
        while runs[other][0] == row - 1 and runs[other][1] < end:
            parent[root(run)] = root(other)
            other += 1
    parts: dict[int, list[int]] = {}
    for run in range(len(runs)):
        parts.setdefault(root(run), []).append(run)
    sizes = {name: sum(runs[run][2] - runs[run][1] for run in part) for name, part in parts.items()}
    boxes = []
    for name in sorted(parts, key=lambda name: -sizes[name])[:_MOST]:
        rows, left, right = zip(*(runs[run] for run in parts[name]), strict=True)
        boxes.append((min(left), min(rows), max(right), max(rows) + 1))
    return boxes


def _refined(pixels: Pixels, ground: list[NDArray[np.uint8]], box: tuple[int, ...], reach: int) -> tuple[int, ...]:
    """The box to the pixel: each side to the outermost line of which more than half is not ground, within reach."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = (int(edge) for edge in box)
    left, top, right, bottom = max(0, x1 - reach), max(0, y1 - reach), min(width, x2 + reach), min(height, y2 + reach)
    columns = ~_is_near(pixels[y1:y2, left:right], ground)
    rows = ~_is_near(pixels[top:bottom, x1:x2], ground)
    wide, high = np.flatnonzero(columns.mean(axis=0) > 0.5), np.flatnonzero(rows.mean(axis=1) > 0.5)
    if not len(wide) or not len(high):
        return 0, 0, 0, 0
    return left + int(wide[0]), top + int(high[0]), left + int(wide[-1]) + 1, top + int(high[-1]) + 1
