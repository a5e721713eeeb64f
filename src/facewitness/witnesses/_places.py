"""From a crop's numbers to places on the picture, for every witness that looks at an aligned crop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, regions
from facewitness.types import Box, Face, Mask

GRID = 96  # samples along the longer side of a mask's box: the networks' masks have 48 to 56, or a crop's own 224


_PORTRAIT = 2.0  # sides of a portrait over its face's longer side, at most


def crop_map(face: Face, size: int, margin: float, whole: bool = False) -> geometry.Affine:
    """The map from a face's frame to its upright crop of `size` pixels.

    With `whole` a portrait is shown as it is, its sides stretched to the square, as a network learned from it.
    """
    if face.landmarks is None:
        return geometry.align(face.box, size, 1.0)  # a ready crop has its margin already
    extent = float(np.ptp(np.asarray(face.landmarks)[:, :2], axis=0).max())
    width, height = face.at.width, face.at.height
    if whole and max(width, height) <= _PORTRAIT * extent:
        return np.array([[size / width, 0, 0], [0, size / height, 0]])
    return geometry.align(face.landmarks, size, margin)


def on_frame(
    values: NDArray[np.float32], face: Face, affine: geometry.Affine, size: int
) -> tuple[Mask, geometry.Affine]:
    """A crop's mask (h, h) in [0, 1] as a `Mask` on the frame, and the map from the frame to the mask's samples."""
    height, width = face.at.height, face.at.width
    to_frame = geometry.invert(affine)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64) * size
    box = geometry.clip(geometry.bounds(geometry.transform(to_frame, corners)), width, height) or face.box
    rows, columns = _grid(box)
    to_grid = np.array([[columns / (box[2] - box[0]), 0, 0], [0, rows / (box[3] - box[1]), 0]])
    to_grid[:, 2] = -to_grid[:, :2] @ box[:2]
    scale = size / values.shape[0]
    to_crop = np.array([[scale, 0, 0], [0, scale, 0]])
    way = geometry.compose(to_grid, geometry.compose(to_frame, to_crop))
    return Mask(box, geometry.crop(values, way, (rows, columns))), to_grid


def region_on(face: Face, name: str, mask: Mask, to_grid: geometry.Affine) -> tuple[Box, NDArray[np.bool_]] | None:
    """A region's box on the frame and where its polygons lie on a mask's samples; None where it is outside the picture.

    The face has landmarks.
    """
    if face.landmarks is None:
        return None
    polygons = regions.polygons(name, face.landmarks)
    height, width = face.at.height, face.at.width
    box = geometry.clip(geometry.bounds(np.concatenate(polygons)), width, height)
    if box is None:
        return None
    return box, geometry.fill([geometry.transform(to_grid, p) for p in polygons], *mask.values.shape)


def parsed(
    names: Sequence[str], face: Face, affine: geometry.Affine, size: int, grid: int
) -> NDArray[np.float32] | None:
    """How much of each sample of a crop's grid lies in each region, (K, grid, grid) in [0, 1]; None without a mesh.

    Args:
        names: K regions of the tree.
        face: Whose mesh is taken.
        affine: From the frame to the crop; size   of it, pixels.
        grid: Samples along a side.
    """
    if face.landmarks is None:
        return None
    fine = geometry.compose(np.array([[2 * grid / size, 0, 0], [0, 2 * grid / size, 0]]), affine)
    mesh = geometry.transform(fine, np.asarray(face.landmarks)[:, :2])
    there = geometry.fills([list(regions.polygons(name, mesh)) for name in names], 2 * grid, 2 * grid)
    return np.asarray(there.reshape(len(names), grid, 2, grid, 2).mean((2, 4)), np.float32)


def claim(name: str) -> str:
    """A sentence about a region. Sides are the subject's, teeth are many, and not every beard area has a beard."""
    title = "beard area" if name == "beard" else regions.title(name)
    whose = "subject's " if title.startswith(("left ", "right ")) else ""
    return f"The {whose}{title} {'show' if title == 'teeth' else 'shows'} traces of forgery."


def _grid(box: Box) -> tuple[int, int]:
    width, height = box[2] - box[0], box[3] - box[1]
    unit = max(width, height) / GRID
    return max(1, round(height / unit)), max(1, round(width / unit))
