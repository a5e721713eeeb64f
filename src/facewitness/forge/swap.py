"""Another person's face laid over this one: warped onto its landmarks, matched in colour, blended in.

The classical face swap (as in FaceForensics++'s FaceSwap): the donor's landmarks are carried onto the target's by a
map that is affine in each triangle of a Delaunay triangulation, the donor's colours are moved to the target's, and the
result is blended into the target inside the hull of the landmarks. Only donor pixels that exist are used: where the
donor's face is cut by its own frame, the mask is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facewitness import regions
from facewitness.errors import InputError, UnknownName
from facewitness.forge import Forged, _face
from facewitness.types import Landmarks, Pixels

HULLS = ("face", "below_forehead", "inner")
PARTS = ("left_eye", "right_eye", "eyes", "nose", "mouth", "chin")  # "parts" takes one to three of these
COLOURS = ("moments", "histogram", "none")
BLENDS = ("soft", "poisson", "alpha")
_MOST_BURNT = 0.03  # of the face: more than that newly black or white, and Poisson blending is not believed
_INNER = ("eyebrows", "eyes", "nose", "mouth")
# Every third landmark and all of the outlines: the triangles between carry the rest, at a third of the time.
_OUTLINES = ("face", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "nose", "mouth", "teeth")


def forge(
    pixels: Pixels,
    landmarks: Landmarks,
    rng: np.random.Generator,
    *,
    donor: tuple[Pixels, Landmarks],
    hulls: Sequence[str] = HULLS,
    colours: Sequence[str] = ("moments", "moments", "moments", "histogram", "none"),
    blends: Sequence[str] = ("soft", "soft", "poisson", "alpha"),
) -> Forged:
    """Lay the donor's face over the target's.

    pixels, landmarks: the target, RGB uint8 (H, W, 3) and (468, 2+) in its pixels; donor: the same of another face, in
    a picture of any size. Hull, colour transfer and blending are drawn evenly from the options: `hulls` may also hold
    "parts", single features of the donor as a montage has them; colours move in Lab by mean and spread ("moments"),
    channel by channel by "histogram", or not at all; "soft" has a wide border, "poisson" takes the target's colours
    from its border inwards, "alpha" has a narrow border and may be translucent. Poisson blending that would burn the
    face out is replaced by plain blending with the same mask, and the record says so.

    Args:
        pixels: The target, RGB uint8 (H, W, 3).
        landmarks: The target's mesh, (468, 2+), in pixels.
        rng: What everything is drawn from; the same state gives the same result.
        donor: The same of another face, in a picture of any size.
        hulls: Outlines of the pasted part, drawn evenly; "parts" are single features of the donor, as a montage has
            them.
        colours: Ways to move the colours, drawn evenly: "moments" by mean and spread in Lab, "histogram" channel by
            channel, "none" not at all.
        blends: Drawn evenly: "soft" has a wide border, "poisson" takes the target's colours from its border inwards,
            "alpha" has a narrow border and may be translucent.

    Raises:
        InputError: For a degenerate mesh of either face and when hardly any of the donor's face lies in its picture.
    """
    points, source = _face.mesh(pixels, landmarks), _face.mesh(*donor, whose="donor's ")
    for what, drawn, known in (
        ("hull", hulls, (*HULLS, "parts")),
        ("colour transfer", colours, COLOURS),
        ("blend", blends, BLENDS),
    ):
        for name in drawn:
            if name not in known:
                raise UnknownName(what, name, known)
    hull, colour, blend = (str(rng.choice(list(names))) for names in (hulls, colours, blends))
    height, width = pixels.shape[:2]

    warped, there = _warp(donor[0], source, points, height, width)
    how: dict[str, Any] = {"operation": "swap", "hull": hull, "colour": colour, "blend": blend}
    if hull == "parts":
        how["parts"] = [PARTS[i] for i in sorted(rng.permutation(len(PARTS))[: rng.integers(1, 4)])]
        grown = _face.number(rng.uniform(1.1, 1.7), 3)  # a feature is cut out with the skin around it
        how["grown"] = grown
        pieces = [_grown(np.concatenate(list(regions.polygons(name, points))), grown) for name in how["parts"]]
        whole = np.max([_face.hull(piece, height, width) for piece in pieces], axis=0)
    else:
        whole = _face.hull(_corners(points, hull), height, width)
    inside = np.minimum(whole, there)
    how["donor_scale"] = _face.number(_face.size(points) / _face.size(source), 3)
    # the border of a single feature is as soft against its size as that of a face
    mask, drawn_mask = _mask(inside, there, _face.size(points) * (0.4 if hull == "parts" else 1.0), blend, rng)
    if mask.max() < 0.5:
        raise InputError(
            "donor: expected a face of which some lies in its picture and, warped, in the target's, got too little; "
            "choose another donor"
        )
    warped = _recolour(warped, pixels, inside, colour)
    forged = (_face.poisson if blend == "poisson" else _face.blend)(warped, pixels, mask)
    if blend == "poisson" and _burnt(forged, mask) > _burnt(warped, mask) + _MOST_BURNT:
        how["gave_up"] = "poisson"  # dark hair at the border drags a whole face to white or black
        forged = _face.blend(warped, pixels, mask)
    kind = "attribute_manipulation" if hull == "parts" else "identity_exchange"
    return Forged(forged, mask, _face.covered(mask, points), kind, ({**how, **drawn_mask},))


def _burnt(pixels: Pixels, mask: Any) -> float:
    """The share of the pasted pixels in which a channel has reached black or white."""
    return float(((pixels == 0) | (pixels == 255)).any(axis=2)[mask > 0.5 * mask.max()].mean())


def _corners(points: Landmarks, hull: str) -> Landmarks:
    if hull == "face":
        return points
    if hull == "inner":
        return np.concatenate([p for name in _INNER for p in regions.polygons(name, points)])
    down = points[152] - points[10]
    brows = np.concatenate([p for name in ("left_eyebrow", "right_eyebrow") for p in regions.polygons(name, points)])
    return points[points @ down >= float((brows @ down).min())]


def _grown(points: Landmarks, factor: float) -> Landmarks:
    centre = points.mean(axis=0)
    return np.asarray((points - centre) * factor + centre, np.float32)


def _anchors() -> NDArray[np.intp]:
    indices = {i for name in _OUTLINES for ring in regions.REGIONS[name].rings for i in ring if isinstance(i, int)}
    return np.array(sorted(indices | set(range(0, 468, 3))))


def _warp(donor: Pixels, source: Landmarks, target: Landmarks, height: int, width: int) -> tuple[Pixels, Any]:
    """The donor on the target's mesh, (height, width, 3), and a mask of where it has pixels."""
    anchors = _anchors()
    source, target = source[anchors], target[anchors]
    triangles = _delaunay(target)
    # Each triangle's number painted where it lies; a map is then looked up for every pixel.
    number = np.zeros((height, width), np.int32)
    corners = np.rint((np.clip(target, -4 * width - 4 * height, 5 * width + 5 * height) - 0.5) * 16).astype(np.int32)
    for i, triangle in enumerate(triangles, start=1):
        cv2.fillConvexPoly(number, corners[triangle], i, cv2.LINE_8, 4)

    # rows (x, y, 1) of the target's corners times the map give the donor's
    ones = np.ones((len(triangles), 3, 1), np.float32)
    maps = np.linalg.solve(np.concatenate([target[triangles], ones], axis=2).astype(np.float64), source[triangles])
    ys, xs = np.nonzero(number)
    m = maps[number[ys, xs] - 1]
    at = (xs[:, None] + 0.5) * m[:, 0] + (ys[:, None] + 0.5) * m[:, 1] + m[:, 2] - 0.5
    field = np.full((height, width, 2), -1e4, np.float32)
    field[ys, xs] = at

    # a donor larger than the target is shrunk first, so that its fine detail does not turn into noise
    shrink = min(1.0, _face.size(target) / _face.size(source))
    if shrink < 0.75:
        before = donor.shape[1::-1]
        donor = cv2.resize(donor, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        factor = np.array(donor.shape[1::-1], np.float32) / np.array(before, np.float32)
        field = ((field + 0.5) * factor - 0.5).astype(np.float32)
    high, wide = donor.shape[:2]
    there = (number > 0) & (field >= -0.5).all(axis=2) & (field[..., 0] <= wide - 0.5) & (field[..., 1] <= high - 0.5)
    warped = cv2.remap(donor, field, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8), there.astype(np.float32)


def _delaunay(points: Landmarks) -> NDArray[np.intp]:
    """Triangles (n, 3) of indices into points, without those of no area."""
    low, high = points.min(axis=0), points.max(axis=0)
    spread = float((high - low).max())
    # OpenCV keeps 1/1000 of a unit apart at best: count in units of a thousandth of the face
    scaled = np.round((points - low) / spread * 1000, 2).astype(np.float32)
    division = cv2.Subdiv2D((-10, -10, 1020, 1020))
    index: dict[tuple[float, ...], int] = {}
    for i, (x, y) in enumerate(scaled.tolist()):
        division.insert((x, y))
        index.setdefault((x, y), i)
    triangles_of = []
    for x1, y1, x2, y2, x3, y3 in np.asarray(division.getTriangleList()).tolist():
        triangle = [index.get(corner) for corner in ((x1, y1), (x2, y2), (x3, y3))]
        if None not in triangle:  # OpenCV adds corners of its own far outside
            triangles_of.append(triangle)
    triangles = np.array(triangles_of, np.intp).reshape(-1, 3)
    a, b, c = (points[triangles[:, i]].astype(np.float64) for i in range(3))
    area = np.abs((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0]))
    return triangles[area > 1e-6 * spread**2]


def _recolour(warped: Pixels, target: Pixels, inside: Any, colour: str) -> Pixels:
    """The donor with the target's colours, both measured inside the mask."""
    if colour == "none":
        return warped
    where = (inside > 0.5).view(np.uint8)
    if colour == "moments":
        lab, goal = (cv2.cvtColor(p.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for p in (warped, target))
        (mean, spread), (to_mean, to_spread) = (cv2.meanStdDev(p, mask=where) for p in (lab, goal))
        gain = np.clip(to_spread / np.maximum(spread, 1e-3), 0.6, 1.6)  # a flat face must not be blown up to noise
        lab = (lab - mean.ravel()) * gain.ravel() + to_mean.ravel()
        rgb = cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB)
        return _face.rounded(rgb * 255)
    table = np.empty((1, 256, 3), np.uint8)
    for channel in range(3):
        shares = [np.cumsum(cv2.calcHist([p], [channel], where, [256], [0, 256])) for p in (warped, target)]
        table[0, :, channel] = np.clip(np.searchsorted(shares[1], shares[0] - 0.5), 0, 255)
    return np.asarray(cv2.LUT(warped, table), np.uint8)


def _mask(inside: Any, there: Any, size: float, blend: str, rng: np.random.Generator) -> tuple[Any, dict[str, Any]]:
    """The hull shrunk, so that the soft border does not reach over the donor's edge, then blurred."""
    widest = {"soft": 0.06, "poisson": 0.025, "alpha": 0.015}[blend]
    soften = _face.number(max(0.5, rng.uniform(widest / 4, widest) * size), 2)
    shrink = _face.number(rng.uniform(0.5, 1.2) * soften, 2)
    ratio = float(rng.choice([0.75, 0.9, 1.0, 1.0])) if blend == "alpha" else 1.0
    reach = 2 * round(shrink) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    mask = cv2.erode(inside, kernel, borderType=cv2.BORDER_REPLICATE)
    mask = cv2.GaussianBlur(mask, (0, 0), soften, borderType=cv2.BORDER_REPLICATE)
    # a blur reaches further than the shrinking, and beyond the donor there is nothing to blend
    edge = cv2.distanceTransform(
        cv2.copyMakeBorder((there > 0).view(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE), cv2.DIST_L2, 3
    )
    mask *= np.clip(edge[1:-1, 1:-1] / max(2.0, soften), 0, 1)
    return _face.settle(mask * ratio), {"soften": soften, "shrink": shrink, "ratio": ratio}
