"""Where on a face a word points: the tree of facial concepts, their polygons, and the words people use for them.

Three questions are answered here, from the standard library and numpy alone:

    polygons("left_eyebrow", landmarks)      where is it?            → rings of points, in the landmarks' coordinates
    mentioned("The left brow is too sharp")  what does a text name?  → ("left_eyebrow",)
    to_mare("celebamask", "u_lip")           what is it elsewhere?   → ("mouth",)

The tree goes from the face to its areas and from these to their parts, after the facial image concept tree of
Fake-in-Facext (arXiv 2510.20531). Only that paper's abstract was at hand, so the nodes are ours. A part *belongs* to
its area; it need not lie inside the area's outline (an eyelid belongs to the eye and lies around its opening).

Sides are the subject's: `left_eye` has the Face Mesh points 263 and 362, and lies on the right of an upright picture.

Holes. `polygons` returns several rings, to be filled together by the even-odd rule, as `geometry.fill` does: a ring
inside another one is a hole (skin is the face's outline with the eyes, brows and lips cut out), a ring beside it a
second part (both ears). Rings of one region never cross on a face seen from the front; on one turned far, they may.
On a face turned by more than about 30° the far ear and the far end of the hairline are hidden, yet still get a ring.

Extrapolated regions. Face Mesh ends at the face's outline and at a line on the forehead, so it has no points on hair,
ears and neck. Theirs are laid outside it at fixed multiples of distances inside the face, `p + k (b − a)` for three
landmarks: they follow scale, rotation and, roughly, pose, but not a person's haircut. The multiples were fitted to the
face parsings of CelebAMask-HQ (486 faces turned by less than 12°); they say where such things *usually* are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness.errors import InputError, UnknownName
from facewitness.types import Landmarks
from facewitness.words import normal

# a landmark's index, or start + k (to − from), written (start, k, from, to)
Point = int | tuple[int, float, int, int]
Ring = tuple[Point, ...]


# ------------------------------------------------------------------------------------------------- the average face


@cache
def _average_face() -> tuple[NDArray[np.intp], Landmarks]:
    table = np.loadtxt(Path(__file__).with_name("average_face.csv"), delimiter=",", skiprows=1, dtype=np.float64)
    mirrored, points = table[:, 0].astype(np.intp), table[:, 1:].astype(np.float32)
    mirrored.flags.writeable = points.flags.writeable = False
    return mirrored, points


def average_landmarks() -> Landmarks:
    """An average face seen from the front: float32 (468, 3), symmetric about x = 0.5, y from 0 (top) to 1 (chin).

    x, y and z share one scale; z is smaller towards the camera. Face Mesh was run on portraits of CelebAMask-HQ; 237
    frontal ones and their mirror images were laid over each other (translation, scale, in-plane rotation) and averaged.

    Returns:
        float32 (468, 3), x in [0, 1], y from 0 to 1.
    """
    return _average_face()[1].copy()


def mirrored_indices() -> NDArray[np.intp]:
    """For each of the 468 landmarks, the index of its twin on the other side; points on the midline are their own.

    A picture flipped left to right has the landmarks `landmarks[mirrored_indices()]` with x replaced by width − x.

    Returns:
        (468,) whole numbers.
    """
    return _average_face()[0].copy()


def _other_side(ring: Iterable[Point]) -> Ring:
    twin = _average_face()[0].tolist()
    return tuple(twin[p] if isinstance(p, int) else (twin[p[0]], p[1], twin[p[2]], twin[p[3]]) for p in ring)


def _symmetric(path: Ring) -> Ring:
    """The ring of a path that runs along the subject's right side, closed by its mirror image."""
    back = reversed(_other_side(path))
    return path + tuple(p for p in back if p not in path)


# ------------------------------------------------------------------------------------- outlines, on the subject's right

# The face's outline from the middle of the forehead over the right temple and cheek to the chin's tip.
_OVAL = (10, 109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152)
_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
# The mesh's brow is thinner than most: its lower and upper lines are moved apart by 0.4 and 0.1 of its height, which
# took the overlap (IoU) with CelebAMask-HQ's brows from 0.47 to 0.55 on faces that the two numbers were not fitted to.
_EYEBROW_LINES = ((46, 70), (53, 63), (52, 105), (65, 66), (55, 107))
_EYEBROW: Ring = tuple((low, 0.4, high, low) for low, high in _EYEBROW_LINES)
_EYEBROW += tuple((high, 0.1, low, high) for low, high in reversed(_EYEBROW_LINES))
_LIPS = (0, 37, 39, 40, 185, 61, 146, 91, 181, 84, 17)
_LIPS_INSIDE = (13, 82, 81, 80, 191, 78, 95, 88, 178, 87, 14)


def _beyond(centre: int, *steps: tuple[int, float]) -> Ring:
    """Points on the rays from a central landmark through others, moved outwards by k of that distance."""
    return tuple((p, k, centre, p) for p, k in steps)


# Multiples of the way from between the eyes (168) to the outline at which hair begins (median), and a band around it.
_HAIR_BEGINS = ((10, 0.42), (109, 0.40), (67, 0.28), (103, 0.12), (54, 0.02), (21, 0.0), (162, -0.02), (127, 0.0))
_HAIRLINE_BELOW = _beyond(168, *((p, k - 0.10) for p, k in _HAIR_BEGINS))
_HAIRLINE_ABOVE = _beyond(168, *((p, k + 0.20) for p, k in _HAIR_BEGINS))
_HAIR_ENDS = _beyond(
    168, (10, 1.28), (109, 1.22), (67, 1.02), (103, 0.74), (54, 0.56), (21, 0.48), (162, 0.40), (127, 0.40)
)

_BEARD: Ring = (2, 97, 98, 206, 207, 213, 132, 58, 172, 136)
_BEARD += _beyond(13, (150, 0.06), (149, 0.09), (176, 0.1), (148, 0.1), (152, 0.1))

# An ear stands out from the contour along the line that joins the two sides of the face, from the eyes' height to the
# mouth's. Fitted to faces that show both ears; hair hides most ears in part.
_EAR: Ring = (127, (162, 0.07, 389, 162), (127, 0.11, 454, 127), (234, 0.11, 454, 234), (93, 0.10, 454, 234))
_EAR += ((132, 0.05, 454, 234), 132, 93, 234)

# The neck hangs under the jaw, along the line from the forehead to the chin.
_NECK: Ring = ((152, 0.18, 10, 152), (149, 0.24, 10, 152), (136, 0.24, 10, 152), (172, 0.16, 10, 152))
_NECK += (172, 136, 150, 149, 176, 148, 152)


# --------------------------------------------------------------------------------------------------------- the tree


@dataclass(frozen=True, slots=True)
class Region:
    """One node of the tree. Without rings of its own it is the sum of its parts."""

    name: str
    parent: str | None  # None for the root
    mare: tuple[str, ...]  # what MARE's twelve call it; empty where they have no word
    rings: tuple[Ring, ...] = ()


def _pair(name: str, parent: str, ring: Ring, mare: str = "") -> Iterator[Region]:
    """The same region on both sides; `{side}` stands for the side in names. Left is made from the right's ring."""
    for side, sided in (("left", _other_side(ring)), ("right", ring)):
        names = (name.format(side=side), parent.format(side=side), (mare or name).format(side=side))
        yield Region(names[0], names[1], (names[2],), (sided,))


def _tree() -> Iterator[Region]:
    """Every region, each after its parent."""
    oval, lips = _symmetric(_OVAL), _symmetric(_LIPS)
    holes = (_EYE, _other_side(_EYE), _EYEBROW, _other_side(_EYEBROW), lips)
    # Table 6 of MARE files the word "face" under skin
    yield Region("face", None, ("skin",), (oval,))

    yield Region("skin", "face", ("skin",), (oval, *holes))
    forehead = (10, 109, 67, 103, 54, 21, 71, 70, 63, 105, 66, 107, 55, 193, 168)
    yield Region("forehead", "skin", ("skin",), (_symmetric(forehead),))
    yield Region("glabella", "forehead", ("skin",), (_symmetric((9, 107, 55, 193, 168)),))
    yield Region("temples", "skin", ("skin",))
    yield from _pair("{side}_temple", "temples", (21, 162, 127, 34, 143, 124, 46, 70, 71), "skin")
    yield Region("cheeks", "skin", ("skin",))
    cheek = (34, 234, 93, 132, 58, 192, 212, 216, 206, 203, 129, 209, 217, 114, 128)
    under_eye = (232, 231, 230, 229, 228, 31)
    yield from _pair("{side}_cheek", "cheeks", (*cheek, *under_eye, 35, 143), "skin")
    fold = (129, 203, 206, 216, 212, 57, 186, 92, 165, 98, 64)
    yield from _pair("{side}_nasolabial_fold", "{side}_cheek", fold, "skin")
    yield Region("philtrum", "skin", ("skin",), (_symmetric((2, 97, 167, 37, 0)),))

    yield Region("eyebrows", "face", ("left_eyebrow", "right_eyebrow"))
    yield from _pair("{side}_eyebrow", "eyebrows", _EYEBROW)

    yield Region("eyes", "face", ("left_eye", "right_eye"))
    yield from _pair("{side}_eye", "eyes", _EYE)
    upper = (33, 246, 161, 160, 159, 158, 157, 173, 133, 243, 190, 56, 28, 27, 29, 30, 247, 130)
    yield from _pair("{side}_upper_eyelid", "{side}_eye", upper, "{side}_eye")
    lower = (33, 7, 163, 144, 145, 153, 154, 155, 133, 243, 112, 26, 22, 23, 24, 110, 25, 130)
    yield from _pair("{side}_lower_eyelid", "{side}_eye", lower, "{side}_eye")
    bag = (25, 110, 24, 23, 22, 26, 112, 233, *under_eye)
    yield from _pair("{side}_under_eye", "{side}_eye", bag, "{side}_eye")

    nose = (168, 193, 245, 128, 114, 217, 209, 129, 64, 98, 97, 2)
    yield Region("nose", "face", ("nose",), (_symmetric(nose),))
    yield Region("nose_bridge", "nose", ("nose",), (_symmetric((168, 193, 245, 188, 174, 236, 51, 5)),))
    yield Region("nose_tip", "nose", ("nose",), (_symmetric((5, 51, 134, 220, 237, 241, 94)),))
    yield Region("nostrils", "nose", ("nose",))
    yield from _pair("{side}_nostril", "nostrils", (129, 198, 134, 220, 237, 99, 97, 98, 64), "nose")

    yield Region("mouth", "face", ("mouth",), (lips,))
    yield Region("upper_lip", "mouth", ("mouth",), (_symmetric((*_LIPS[:6], *reversed(_LIPS_INSIDE[:6]))),))
    yield Region("lower_lip", "mouth", ("mouth",), (_symmetric((*reversed(_LIPS[5:]), *_LIPS_INSIDE[5:])),))
    # between the lips; a thin sliver where they are closed
    yield Region("teeth", "mouth", ("teeth",), (_symmetric(_LIPS_INSIDE),))

    # Table 6 files jaw, jawline and lower face under chin
    yield Region("lower_face", "face", ("chin",))
    chin = (18, 83, 182, 106, 204, 211, 170, 149, 176, 148, 152)
    yield Region("chin", "lower_face", ("chin",), (_symmetric(chin),))
    yield Region("jaw", "lower_face", ("chin",))
    yield from _pair("{side}_jaw", "jaw", (58, 172, 136, 150, 149, 170, 211, 204, 106, 43, 57, 212, 192), "chin")

    yield Region("beard", "face", ("beard",), (_symmetric(_BEARD), lips))
    mustache = (2, 97, 98, 165, 92, 186, 61, 185, 40, 39, 37, 0)
    yield Region("mustache", "beard", ("beard",), (_symmetric(mustache),))

    yield Region("hair", "face", ("hairline",), (_band(_HAIR_ENDS, _beyond(168, *_HAIR_BEGINS)),))
    yield Region("hairline", "hair", ("hairline",), (_band(_HAIRLINE_ABOVE, _HAIRLINE_BELOW),))
    yield Region("ear", "face", ("ear",))
    yield from _pair("{side}_ear", "ear", _EAR, "ear")
    yield Region("neck", "face", (), (_symmetric(_NECK),))


def _band(above: Ring, below: Ring) -> Ring:
    """The strip between two arches, each given from the midline down the subject's right side."""
    left_above, left_below = _other_side(above), _other_side(below)
    return (*reversed(above), *left_above[1:], *reversed(left_below), *below[1:])


# ------------------------------------------------------------------------------------------------ the atomic concepts

# Fake-in-Facext's tree has 112 atomic concepts, as its authors say in public; which, they do not say there. These 112
# are ours: the leaves below the regions above, so fine that an artefact has one place (the head of a brow, an iris, the
# wing of a nose). They lie on the mesh and, where it ends, at the multiples of the regions that they are parts of.


def _atoms() -> Iterator[Region]:
    """The atomic concepts that are no region of the tree above, each after its parent."""

    def both(name: str, parent: str, ring: Ring, mare: str) -> Iterator[Region]:
        yield from _pair(f"{{side}}_{name}", parent, ring, mare)

    def middle(name: str, parent: str, path: Ring, mare: str) -> Iterator[Region]:
        yield Region(name, parent, (mare,), (_symmetric(path),))

    skin, eye, brow = "skin", "{side}_eye", "{side}_eyebrow"
    # forehead: its middle and its sides, above and below
    yield from middle("middle_upper_forehead", "forehead", (10, 109, 108, 151), skin)
    yield from middle("middle_lower_forehead", "forehead", (151, 108, 107, 9), skin)
    yield from both("upper_forehead", "forehead", (109, 67, 103, 54, 68, 104, 69, 108), skin)
    yield from both("lower_forehead", "forehead", (108, 69, 104, 68, 21, 71, 70, 63, 105, 66, 107), skin)
    # cheeks, from the bone below the eye down to the jaw and out to the ear
    cheek = "{side}_cheek"
    yield from both("cheekbone", cheek, (34, 143, 35, 31, 228, 229, 118, 50, 123, 93, 234), skin)
    yield from both("inner_cheek", cheek, (230, 231, 232, 128, 114, 217, 209, 129, 36, 101, 119), skin)
    yield from both("middle_cheek", cheek, (229, 230, 119, 101, 36, 205, 50, 118), skin)
    yield from both("outer_cheek", cheek, (93, 123, 50, 187, 192, 58, 132), skin)
    yield from both("lower_cheek", cheek, (50, 205, 206, 216, 212, 192, 187), skin)
    yield from both("crows_feet", "skin", (124, 113, 226, 31, 111, 143), skin)
    # eyebrows: head, body, tail from the nose outwards
    low: Ring = tuple((a, 0.4, b, a) for a, b in _EYEBROW_LINES)
    high: Ring = tuple((b, 0.1, a, b) for a, b in _EYEBROW_LINES)
    for name, part in (("eyebrow_head", slice(3, 5)), ("eyebrow_body", slice(1, 4)), ("eyebrow_tail", slice(0, 2))):
        yield from both(name, brow, (*low[part], *reversed(high[part])), brow)
    # eyes; the mesh has no iris: it is laid over 39 % of the eye's width, as wide as it is on the average (11.7 mm)
    axis = (33, 133)
    iris: Ring = ((159, -0.1, *axis), (159, 0.1, *axis), (33, 0.695, *axis), (145, 0.1, *axis), (145, -0.1, *axis))
    yield from both("iris", eye, (*iris, (33, 0.305, *axis)), eye)
    pupil: Ring = ((159, 0.22, 159, 145), (33, 0.59, *axis), (145, 0.22, 145, 159), (33, 0.41, *axis))
    yield from both("pupil", eye, pupil, eye)
    yield from both("outer_eye_white", eye, (33, 7, 163, 144, (33, 0.305, *axis), 160, 161, 246), eye)
    yield from both("inner_eye_white", eye, (153, 154, 155, 133, 173, 157, 158, (33, 0.695, *axis)), eye)
    yield from both("inner_eye_corner", eye, (190, 243, 112, 155, 133, 173), eye)
    yield from both("outer_eye_corner", eye, (247, 130, 25, 7, 33, 246), eye)
    lid = ((173, 190), (157, 56), (158, 28), (159, 27), (160, 29), (161, 30), (246, 247))
    lashes: Ring = tuple((a, 0.35, a, b) for a, b in lid)
    upper = "{side}_upper_eyelid"
    yield from both("upper_lashes", upper, (*(a for a, _ in lid), *reversed(lashes)), eye)
    yield from both("eyelid_crease", upper, (*lashes, *(b for _, b in reversed(lid))), eye)
    lid = ((155, 112), (154, 26), (153, 22), (145, 23), (144, 24), (163, 110), (7, 25))
    lashes = tuple((a, 0.45, a, b) for a, b in lid)
    lower = "{side}_lower_eyelid"
    yield from both("lower_lashes", lower, (*(a for a, _ in lid), *reversed(lashes)), eye)
    yield from both("lower_lid_fold", lower, (*lashes, *(b for _, b in reversed(lid))), eye)
    # nose
    yield from middle("nose_root", "nose_bridge", (168, 193, 245, 6), "nose")
    yield from middle("upper_nose_bridge", "nose_bridge", (6, 245, 188, 196, 197), "nose")
    yield from middle("lower_nose_bridge", "nose_bridge", (197, 196, 174, 236, 51, 5), "nose")
    yield from middle("columella", "nose", (19, 125, 241, 97, 2), "nose")
    yield from both("nose_side", "nose", (245, 128, 114, 217, 209, 198, 236, 174, 188), "nose")
    yield from both("nose_wing", "{side}_nostril", (129, 198, 134, 220, 237, 239, 79, 59, 235, 64), "nose")
    yield from both("nostril_opening", "{side}_nostril", (59, 79, 239, 238, 20, 99, 240, 235), "nose")
    # lips and what is between them
    yield from middle("upper_lip_centre", "upper_lip", (0, 37, 39, 81, 82, 13), "mouth")
    yield from both("upper_lip_side", "upper_lip", (39, 40, 185, 61, 78, 191, 80, 81), "mouth")
    yield from middle("lower_lip_centre", "lower_lip", (14, 87, 178, 181, 84, 17), "mouth")
    yield from both("lower_lip_side", "lower_lip", (61, 146, 91, 181, 178, 88, 95, 78), "mouth")
    yield from both("mouth_corner", "mouth", (57, 186, 185, 61, 146, 43), "mouth")
    half: Ring = ((80, 0.5, 80, 88), (81, 0.5, 81, 178), (82, 0.5, 82, 87), (13, 0.5, 13, 14))
    yield from middle("upper_teeth", "teeth", (13, 82, 81, 80, 191, 78, *half), "teeth")
    yield from middle("lower_teeth", "teeth", (*reversed(half), 78, 95, 88, 178, 87, 14), "teeth")
    yield from middle("tongue", "teeth", (half[3], half[2], half[1], 178, 87, 14), "mouth")
    # chin and jaw
    yield from middle("chin_crease", "chin", (18, 83, 182, 194, 201, 200), "chin")
    yield from middle("chin_centre", "chin", (200, 201, 194, 32, 140, 208, 199), "chin")
    yield from middle("chin_tip", "chin", (199, 208, 140, 176, 148, 152), "chin")
    yield from both("chin_side", "chin", (106, 204, 211, 170, 149, 140, 32, 194, 182), "chin")
    jaw = "{side}_jaw"
    yield from both("jaw_angle", jaw, (58, 192, 212, 214, 135, 172), "chin")
    yield from both("jaw_body", jaw, (172, 135, 210, 204, 211, 170, 149, 150, 136), "chin")
    yield from both("marionette_line", jaw, (57, 43, 106, 204, 210, 212), "chin")
    # beard: above the mouth, on the cheeks, on the chin
    yield from both("mustache_half", "mustache", (2, 97, 98, 165, 92, 186, 61, 185, 40, 39, 37, 0), "beard")
    yield from both("beard_side", "beard", (206, 207, 213, 132, 58, 172, 214, 212, 216), "beard")
    edge = _beyond(13, (149, 0.09), (176, 0.1), (148, 0.1), (152, 0.1))
    yield from middle("chin_beard", "beard", (18, 83, 182, 204, *edge), "beard")
    # hair and the line where it begins, above the forehead and beside it
    yield Region("top_hair", "hair", ("hairline",), (_band(_HAIR_ENDS[:4], _HAIRLINE_ABOVE[:4]),))
    yield from both("side_hair", "hair", (*_HAIRLINE_ABOVE[3:], *reversed(_HAIR_ENDS[3:])), "hairline")
    yield Region("middle_hairline", "hairline", ("hairline",), (_band(_HAIRLINE_ABOVE[:4], _HAIRLINE_BELOW[:4]),))
    yield from both("side_hairline", "hairline", (*_HAIRLINE_BELOW[3:], *reversed(_HAIRLINE_ABOVE[3:])), "hairline")
    yield from both("upper_ear", "{side}_ear", (*_EAR[:4], 234), "ear")
    yield from both("middle_ear", "{side}_ear", (234, *_EAR[3:5], 93), "ear")
    yield from both("ear_lobe", "{side}_ear", (93, *_EAR[4:7]), "ear")
    yield Region("left_neck", "neck", (), (_other_side(_NECK),))
    yield Region("right_neck", "neck", (), (_NECK,))
    # the face's outline, where a pasted face ends: a strip inside it
    yield Region("contour", "face", ("skin",))
    for name, path in (("forehead_contour", (10, 109, 67, 103, 54)), ("chin_contour", (149, 176, 148, 152))):
        inner = _beyond(4, *((point, -0.09) for point in path))
        ring = _band(path, inner) if path[0] == 10 else _band(tuple(reversed(inner)), tuple(reversed(path)))
        yield Region(name, "contour", ("skin" if path[0] == 10 else "chin",), (ring,))
    for name, path, mare in (
        ("temple_contour", (54, 21, 162, 127, 234), skin), ("cheek_contour", (234, 93, 132, 58), skin),
        ("jaw_contour", (58, 172, 136, 150, 149), "chin"),
    ):  # fmt: skip
        yield from both(name, "contour", (*path, *reversed(_beyond(4, *((p, -0.09) for p in path)))), mare)


_FINEST = tuple(_atoms())
ATOMS: tuple[str, ...] = tuple(region.name for region in _FINEST)  # what `_atoms` adds to the tree
REGIONS: Mapping[str, Region] = MappingProxyType({region.name: region for region in (*_tree(), *_FINEST)})
LISTED = "docs/regions.md and facewitness.regions.REGIONS"  # where all names are: too many for a message
# the leaves: 112 concepts that are divided no further
_PARTS: dict[str, tuple[str, ...]] = dict.fromkeys(REGIONS, ())
for _inner in REGIONS.values():
    if _inner.parent is not None:
        _PARTS[_inner.parent] += (_inner.name,)
ATOMIC: tuple[str, ...] = tuple(name for name, below in _PARTS.items() if not below)


def _region(name: str) -> Region:
    if name not in REGIONS:
        raise UnknownName("region", name, REGIONS, LISTED)
    return REGIONS[name]


def parts(name: str) -> tuple[str, ...]:
    """Names of a region's direct parts, in the tree's order; empty for a leaf.

    Args:
        name: Name of a region of the tree.

    Raises:
        UnknownName: There is no such region.
    """
    return _PARTS[_region(name).name]


def within(inner: str, outer: str) -> bool:
    """Whether a region is another, or a part of it.

    Args:
        inner: Name of a region.
        outer: Name of a region.
    """
    node: str | None = inner
    while node is not None:
        if node == outer:
            return True
        node = REGIONS[node].parent if node in REGIONS else None
    return False


def title(name: str) -> str:
    """The region's name in words: "left eye".

    Args:
        name: Name of a region of the tree.

    Raises:
        UnknownName: There is no such region.
    """
    return _region(name).name.replace("_", " ")


# "the area under the left eye" is that area, and no eye
_UNDER = re.compile(
    r"\b(?:area|areas|skin|region|bag|bags|part)\s+(?:under|below|beneath)\s+(?:(?:the|his|her|their|its|subject's)\s+)*"
    r"(left|right)\s+eye\b", re.I,
)  # fmt: skip


def under_eyes(text: str) -> str:
    """A text whose areas under an eye are called by their title: "area under the left eye" as "left under eye".

    Args:
        text: Any text.
    """
    return _UNDER.sub(r"\1 under eye", text)


def spoken(name: str) -> str:
    """The region's name as a sentence has it behind "the": its title, and "area under the left eye".

    Args:
        name: Name of a region of the tree.

    Raises:
        UnknownName: There is no such region.
    """
    side, _, part = name.partition("_")
    return f"area under the {side} eye" if part == "under_eye" else title(name)


def called(phrase: str) -> str | None:
    """The one region that a phrase such as "left eye" or "the eyes" calls by its name; None where it calls none.

    A title of the tree is taken as it is, with or without an article; other words as `named` and `mentioned` read
    them, where they name a single region.

    Args:
        phrase: In any spelling.
    """
    words = re.sub(r"[\s_\-\u2010-\u2015]+", " ", normal(phrase)).strip(" .,;:!?\"'()")
    words = re.sub(r"\A(?:the|a|an|his|her|their|its|this|both|subject's|person's)\s+", "", words)
    name = words.replace(" ", "_")
    if name in REGIONS:
        return name
    for reading in (named(words), tuple((region,) for region in mentioned(words))):
        if len(reading) == 1 and len(reading[0]) == 1:
            return reading[0][0]
    return None


def mirrored(name: str) -> str:
    """The region's name in a picture flipped left to right: "left_eye" becomes "right_eye".

    Args:
        name: Name of a region of the tree.

    Raises:
        UnknownName: There is no such region.
    """
    _region(name)
    sides = {"left": "right", "right": "left"}
    return "_".join(sides.get(word, word) for word in name.split("_"))


@cache
def covering(name: str) -> str | None:
    """The area of the tree that a region lies in: its parent where that holds half of it, else the smallest that does.

    Mostly the parent. Where it is another one, the parent says what the region is a part of, and this says where it
    lies: an under-eye is the eye's and lies on the skin. None where nothing holds it. Judged on the average face.

    Args:
        name: Name of a region of the tree.

    Raises:
        UnknownName: There is no such region.
    """
    one = _drawn(name)
    sizes: dict[str, int] = {}
    for other in REGIONS:
        if other in ATOMIC or other == name or within(other, name):
            continue
        area = _drawn(other)
        if (area & one).sum() >= 0.5 * one.sum():
            sizes[other] = int(area.sum())
    parent = _region(name).parent
    return parent if parent in sizes else min(sizes, key=lambda other: sizes[other], default=None)


@cache
def _drawn(name: str, side: int = 256) -> NDArray[np.bool_]:
    """A region of the average face, which is half as high as the picture; bool (side, side)."""
    landmarks = (average_landmarks()[:, :2] * 0.5 + 0.25) * side
    return _filled(polygons(name, landmarks.astype(np.float32)), side)


def _filled(rings: Iterable[NDArray[np.float32]], side: int) -> NDArray[np.bool_]:
    """The pixels inside rings by the even-odd rule, bool (side, side); coarse, for what is compared with itself."""
    y, x = np.mgrid[0:side, 0:side] + 0.5
    inside = np.zeros((side, side), bool)
    for ring in rings:
        for (xa, ya), (xb, yb) in zip(ring.tolist(), np.roll(ring, -1, axis=0).tolist(), strict=True):
            if ya != yb:
                inside ^= ((ya > y) != (yb > y)) & (x < (xb - xa) * (y - ya) / (yb - ya) + xa)
    return inside


# A region is hidden where its outline has turned over, or has less than this share of the average face's.
_SEEN = 0.05
_TURNED = 30.0  # degrees, at which a far ear is behind the cheek
_BEHIND = ("ear", "side_hair", "side_hairline")  # beside the mesh: these go with the contour that they stand on


def hidden(landmarks: Landmarks) -> frozenset[str]:
    """The regions that cannot be seen on a face: turned away by its pose, or closed (the teeth behind closed lips).

    On a face turned far the mesh still has all its points, and the far side's outlines lie folded over the near one's.
    Ears and hair have no points: those of a side are hidden where that side of the face is as narrow against the other
    one as on the average face at 30°. Only x and y are used. A hand or hair in front of a face is not seen here.

    Args:
        landmarks: The face's mesh, (468, 2+), in pixels.

    Raises:
        InputError: As `polygons` does.
    """
    points = np.asarray(landmarks)
    polygons("face", points)  # checks them
    xy = points[:, :2].astype(np.float64)
    scale = float(np.hypot(*(xy[152] - xy[10])))
    names, usual = _outlined(), _usual_areas()
    now = _areas(xy)
    # a picture flipped left to right has all outlines turned over, and hides nothing
    flipped = np.sign(now[0]) * np.sign(usual[0])
    seen = now * flipped * np.sign(usual) > _SEEN * np.abs(usual) * scale * scale
    unseen = {name for name, there in zip(names, seen.tolist(), strict=True) if not there}
    axis = xy[[263, 362]].mean(axis=0) - xy[[33, 133]].mean(axis=0)
    right, left = ((xy[168] - xy[234]) @ axis, (xy[454] - xy[168]) @ axis)
    for side, near, far in (("left", right, left), ("right", left, right)):
        if far < _at_thirty_degrees() * near:
            unseen |= {name for name in REGIONS if name.startswith(f"{side}_") and _is_beside(name)}
    for name in reversed(tuple(REGIONS)):
        below = _PARTS[name]
        if below and not REGIONS[name].rings and unseen.issuperset(below):
            unseen.add(name)
    return frozenset(unseen)


def _is_beside(name: str) -> bool:
    return any(name.removeprefix("left_").removeprefix("right_") == each for each in _BEHIND) or within(name, "ear")


@cache
def _outlined() -> tuple[str, ...]:
    """The regions with an outline of their own, the face first."""
    return tuple(name for name, region in REGIONS.items() if region.rings)


@cache
def _all_columns() -> tuple[tuple[NDArray[Any], ...], NDArray[np.intp], NDArray[np.intp]]:
    """The first rings of all outlines as columns in a row, for each point the next of its ring, and the rings' starts.

    One sum over all of them is ten times as fast as one after another.
    """
    rings = [_columns(name)[0] for name in _outlined()]
    lengths = np.array([len(ring[0]) for ring in rings])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    following = np.arange(lengths.sum()) + 1
    following[starts + lengths - 1] = starts
    return tuple(np.concatenate(column) for column in zip(*rings, strict=True)), following, starts


def _areas(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area of each outline's first ring, negative where it runs the other way round."""
    (start, k, a, b), following, starts = _all_columns()
    p = xy[start] + k * (xy[b] - xy[a]) - xy.mean(axis=0)
    q = p[following]
    return np.asarray(np.add.reduceat(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0], starts) / 2)


@cache
def _usual_areas() -> NDArray[np.float64]:
    """Those of the average face, 1 high from forehead to chin."""
    face = average_landmarks()[:, :2].astype(np.float64)
    return _areas(face / (face[152, 1] - face[10, 1]))


@cache
def _at_thirty_degrees() -> float:
    """How wide the far half of the average face is against its near half, turned so far."""
    face = average_landmarks().astype(np.float64)
    turn = np.deg2rad(_TURNED)
    x = (face[:, 0] - 0.5) * np.cos(turn) + face[:, 2] * np.sin(turn)
    sides = sorted((abs(x[168] - x[234]), abs(x[454] - x[168])))
    return float(sides[0] / sides[1])


def draw_tree() -> str:
    """The tree as lines of text, one region a line, with MARE's word where it is another one."""
    lines: list[str] = []

    def draw(name: str, lead: str, branch: str) -> None:
        region = REGIONS[name]
        mare = "" if region.mare == (name,) else f"  ({', '.join(map(title, region.mare)) or 'not in MARE'})"
        lines.append(f"{lead}{branch}{title(name)}{mare}")
        below = parts(name)
        lead += {"": "", "├── ": "│   ", "└── ": "    "}[branch]
        for part in below:
            draw(part, lead, "└── " if part == below[-1] else "├── ")

    draw("face", "", "")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------------- polygons


def _rings(name: str) -> tuple[Ring, ...]:
    region = _region(name)
    return region.rings or tuple(ring for part in parts(name) for ring in _rings(part))


@cache
def _columns(name: str) -> tuple[tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]], ...]:
    """Each ring as columns (start, k, from, to) over its points; a plain landmark moves by k = 0."""
    columns = []
    for ring in _rings(name):
        rows = [(point, 0.0, point, point) if isinstance(point, int) else point for point in ring]
        start, k, a, b = (np.array(column) for column in zip(*rows, strict=True))
        columns.append((start, k[:, None], a, b))
    return tuple(columns)


def polygons(name: str, landmarks: Landmarks) -> tuple[NDArray[np.float32], ...]:
    """Outlines of a region on one face, in the landmarks' coordinates: closed rings, each float32 (n, 2).

    `landmarks` is (468, 2) or (468, 3), in any scale and rotation; z is not used. Fill all rings together by the
    even-odd rule. Rings may reach beyond the face's box and beyond the picture (hair, ears, neck, beard). Equivariant:
    mapping the landmarks by any affine map (shift, rotation, scale, mirror) maps the rings in the same way.

    Args:
        name: Name of a region of the tree.
        landmarks: The face's mesh, (468, 2+), in pixels.

    Returns:
        For each ring float32 (n, 2), in the unit of the landmarks.

    Raises:
        UnknownName: For a name the tree does not have.
        InputError: For landmarks of another shape or not finite.
    """
    points = np.asarray(landmarks)
    if points.ndim != 2 or points.shape[0] != 468 or points.shape[1] not in (2, 3):
        raise InputError(f"polygons: expected landmarks (468, 2) or (468, 3), got {points.shape}")
    xy = points[:, :2].astype(np.float64)
    if not np.isfinite(xy).all():
        raise InputError("polygons: expected finite landmarks, got NaN or infinity; leave such a face without regions")

    return tuple((xy[start] + k * (xy[b] - xy[a])).astype(np.float32) for start, k, a, b in _columns(name))


# ------------------------------------------------------------------------------------------------------- dialects

MARE: tuple[str, ...] = (
    "skin", "nose", "mouth", "teeth", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "chin", "beard",
    "hairline", "ear",
)  # fmt: skip

# The ForgeryTalker paper speaks of 21 facial semantics and lists none of them ("left eye", "nose bridge" and "right
# eyebrow" occur in its text). These 21 are ours: MARE's twelve and the nine parts that reports name most, with sides.
# The 21 that its authors' code uses are another dialect, `MMTT`, without sides.
FORGERYTALKER: tuple[str, ...] = (
    "skin", "forehead", "left_cheek", "right_cheek", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow",
    "nose", "nose_bridge", "nose_tip", "nostrils", "mouth", "upper_lip", "lower_lip", "teeth", "chin", "jaw",
    "beard", "hairline", "ear",
)  # fmt: skip

# The labels of the MMTT data set in the order of its `multilabel` vectors, as its authors' public code has them
# (scripts/data_preparation/to_mutilabel.py), each with the words that give it to a caption. They know no sides, "brow"
# is the forehead and "buccal" both cheek and mouth. The four last of the skin can be anywhere on it.
_MMTT: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "eye": (("left_eye", "right_eye"), ("eye", "eyes", "ocular", "optic", "vision")),
    "pupil": (("left_pupil", "right_pupil"), ("pupil", "pupils")),
    "lip": (("upper_lip", "lower_lip"), ("lip", "lips", "labium", "labia")),
    "mouth": (("mouth",), ("mouth", "mouths", "oral cavity", "buccal")),
    "nose": (("nose",), ("nose", "noses", "nasal", "nostril", "nostrils")),
    "ear": (("ear",), ("ear", "ears", "auricle", "pinna", "pinnae")),
    "cheek": (("left_cheek", "right_cheek"), ("cheek", "cheeks", "buccal", "malar")),
    "forehead": (("forehead",), ("forehead", "frontal", "brow", "brows")),
    "chin": (("chin",), ("chin", "chins", "mentum")),
    "jaw": (("jaw",), ("jaw", "jaws", "mandible", "maxilla")),
    "eyebrow": (("left_eyebrow", "right_eyebrow"), ("eyebrow", "eyebrows")),
    "tooth": (("teeth",), ("tooth", "teeth", "dentition")),
    "tongue": (("tongue",), ("tongue", "tongues", "glossa", "lingua")),
    "beard": (("beard",), ("beard", "beards", "facial hair")),
    "mustache": (("mustache",), ("mustache", "mustaches", "moustache", "moustaches")),
    "skin": (("skin",), ("skin", "derma", "epidermis", "cutis")),
    "hair": (("hair",), ("hair", "hairs", "locks", "tresses", "strands")),
    "wrinkle": ((), ("wrinkle", "wrinkles", "line", "lines", "crease", "creases")),
    "freckle": ((), ("freckle", "freckles", "lentigo", "lentigines")),
    "scar": ((), ("scar", "scars", "cicatrix", "cicatrices")),
    "dimple": ((), ("dimple", "dimples", "fossa", "fossae")),
}
MMTT: tuple[str, ...] = tuple(_MMTT)
SYNONYMS: Mapping[str, tuple[str, ...]] = MappingProxyType({label: words for label, (_, words) in _MMTT.items()})

# In the order of CelebAMask-HQ's class ids 0 … 18, with the regions of our tree each one shows. Its "l" is the
# subject's left: in 94 of 100 parsings (1,100 looked at) class 4 lies on the picture's right, in the others all sides
# are exchanged. "mouth" is the inside of the mouth; glasses and jewellery (eye_g, ear_r, neck_l) stand where worn.
_CELEBAMASK: dict[str, tuple[str, ...]] = {
    "background": (), "skin": ("skin",), "nose": ("nose",), "eye_g": ("eyes",), "l_eye": ("left_eye",),
    "r_eye": ("right_eye",), "l_brow": ("left_eyebrow",), "r_brow": ("right_eyebrow",), "l_ear": ("left_ear",),
    "r_ear": ("right_ear",), "mouth": ("teeth",), "u_lip": ("upper_lip",), "l_lip": ("lower_lip",), "hair": ("hair",),
    "hat": (), "ear_r": ("ear",), "neck_l": ("neck",), "neck": ("neck",), "cloth": (),
}  # fmt: skip
CELEBAMASK: tuple[str, ...] = tuple(_CELEBAMASK)

# DD-VQA asks "Does the image looks real/fake?" and then, where an annotator saw something, after these five.
_DDVQA: dict[str, tuple[str, ...]] = {
    "image": (), "skin": ("skin",), "eyebrows": ("eyebrows",), "eyes": ("eyes",), "nose": ("nose",),
    "mouth": ("mouth",),
}  # fmt: skip
DDVQA: tuple[str, ...] = tuple(_DDVQA)

# dialect → its names in order → regions of the tree; empty where the tree has no place for it
DIALECTS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "mare": {name: (name,) for name in MARE},
        "forgerytalker": {name: (name,) for name in FORGERYTALKER},
        "mmtt": {label: places for label, (places, _) in _MMTT.items()},
        "celebamask": _CELEBAMASK,
        "ddvqa": _DDVQA,
    }
)


def regions_of(dialect: str, name: str) -> tuple[str, ...]:
    """The tree's regions for a dialect's name; empty for one without a place on the mesh.

    Args:
        dialect: Such as "mmtt" or "celebamask_hq".
        name: In the dialect.

    Raises:
        UnknownName: There is no such dialect, or no such name in it.
    """
    if dialect not in DIALECTS:
        raise UnknownName("dialect of regions", dialect, DIALECTS)
    if name not in DIALECTS[dialect]:
        raise UnknownName(f"name in the dialect {dialect}", name, DIALECTS[dialect])
    return DIALECTS[dialect][name]


def to_mare(dialect: str, name: str) -> tuple[str, ...]:
    """MARE's names for a dialect's name, in MARE's order; empty where MARE has none (a hat).

    Args:
        dialect: Such as "mmtt" or "celebamask_hq".
        name: In the dialect.

    Raises:
        UnknownName: There is no such dialect, or no such name in it.
    """
    parts = {mare for region in regions_of(dialect, name) for mare in REGIONS[region].mare}
    return tuple(mare for mare in MARE if mare in parts)


_SYNONYM = {
    label: re.compile(rf"\b(?:{'|'.join(re.escape(word) for word in words)})\b") for label, words in SYNONYMS.items()
}


def captioned(text: str) -> tuple[str, ...]:
    """MMTT's labels that a caption has, in their order: those of which a synonym occurs as a word, in any case.

    The rule of the authors' code, so that a vector over `MMTT` is their `multilabel`. Without grammar: "not the nose"
    has the nose, "facial hair" both beard and hair.

    Args:
        text: Any text.
    """
    text = normal(text)
    return tuple(label for label, pattern in _SYNONYM.items() if pattern.search(text))


# ---------------------------------------------------------------------------------------------------------- words

# MARE, Table 6, word for word.
KEYWORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "skin": ("skin", "cheek", "forehead", "complexion", "dermal", "face"),
        "nose": ("nose", "nostril", "nasal"),
        "mouth": ("mouth", "lip", "lips"),
        "teeth": ("tooth", "teeth"),
        "left_eye": ("left eye", "left-eye", "l eye", "lefteye", "eye", "ocular"),
        "right_eye": ("right eye", "right-eye", "r eye", "righteye", "eye", "ocular"),
        "left_eyebrow": ("left eyebrow", "left brow", "left-eyebrow", "eyebrow", "brow"),
        "right_eyebrow": ("right eyebrow", "right brow", "right-eyebrow", "eyebrow", "brow"),
        "chin": ("chin", "jaw", "jawline", "lower face"),
        "beard": ("beard", "mustache", "moustache", "goatee"),
        "hairline": ("hairline", "hair line", "hair"),
        "ear": ("ear", "ears"),
    }
)

# Ours: parts and spellings that Table 6 leaves out and human reports use. A part counts for its region, an eyelid for
# the eye. A phrase takes its words with it: "facial hair" is a beard and no hairline.
_BOTH_EYES, _BOTH_EYEBROWS = ("left_eye", "right_eye"), ("left_eyebrow", "right_eyebrow")
MORE_KEYWORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "cheekbone": ("skin",), "temple": ("skin",), "philtrum": ("skin",), "nosetip": ("nose",),
        "eyelid": _BOTH_EYES, "eyelash": _BOTH_EYES, "eyelashes": _BOTH_EYES, "eyeball": _BOTH_EYES,
        "pupil": _BOTH_EYES, "iris": _BOTH_EYES, "irises": _BOTH_EYES, "eye brow": _BOTH_EYEBROWS,
        "jaw line": ("chin",), "facial hair": ("beard",), "sideburn": ("beard",), "stubble": ("beard",),
        "hairstyle": ("hairline",), "bangs": ("hairline",), "earlobe": ("ear",), "ear lobe": ("ear",),
    }
)  # fmt: skip


def _words() -> dict[str, tuple[str, ...]]:
    """Each word without its side → the regions it may mean."""
    words: dict[str, list[str]] = {}
    for region, keywords in KEYWORDS.items():
        for keyword in keywords:
            if not re.match(r"(left|right|l |r )", keyword):  # sides are the grammar's business, below
                words.setdefault(keyword, []).append(region)
    return {word: tuple(regions) for word, regions in words.items()} | dict(MORE_KEYWORDS)


_WORDS = _words()


# whose left and right are not the subject's
_NOT_THE_SUBJECT = "(?:viewer|observer|onlooker|camera|image|picture|photo|photograph|frame|screen)"
_OF_ANOTHER = re.compile(rf"{_NOT_THE_SUBJECT}(?:['\u2019]s?\s+|[-\u2010-\u2015])\Z")


def _retrieval(known: Iterable[str]) -> re.Pattern[str]:
    """One expression for [sides [adjectives]] noun [on the sides], its repetitions bounded: long texts stay cheap."""
    start, end = r"(?<![^\W_])", r"(?![^\W_])"  # borders of words; an underscore parts words
    dash = r"\s_\-\u2010-\u2015"
    gap = rf"[{dash}]+"
    nouns = sorted(known, key=len, reverse=True)  # the longest first: "hair line" before "hair"
    noun = rf"(?:{'|'.join(word.replace(' ', gap) for word in nouns)})(?:e?s)?{end}"
    # a single letter is a side only right before its noun
    side = rf"(?:left|right|[lr](?={gap}(?:eye|brow)))"
    links = rf"(?:[{dash},/&]+(?:(?:and|or|nor|but|not|the)[{dash},]+){{0,3}})"
    sides = rf"{side}(?:{links}{side}){{0,2}}"
    # These words end a side's reach: "left of the eyes", "right above his eyes", "the left is fine but eyes are not".
    barrier = (
        "left|right|of|the|an?|to|on|in|at|by|for|from|with|than|as|and|or|nor|but|not|is|are|was|were|be|has|have|had|"
        "looks?|seems?|appears?|above|below|under|over|through|across|around|near|next|between|beside|out|"
        "his|her|their|its|this|that|these|those|both|most"
    )
    adjective = rf"(?!(?:{barrier}){end}|{noun})[^\W_]+{gap}"
    # "eye on the left (side)", "eye (left)"; not "eyes on the left cheek", "to the left of", "on the viewer's left",
    # "on the left side of the picture"
    whose = rf"(?:the{gap}(?:subject's|person's|man's|woman's)|the|his|her|their){gap}"
    another = rf"{gap}(?:of{end}|(?:{adjective}){{0,2}}{noun})"
    picture = rf"{gap}of{gap}(?:the|this|an?){gap}{_NOT_THE_SUBJECT}{end}"
    reach = rf"(?:{gap}side{end}(?!{picture})|(?!{another}|{gap}side{end}))"
    after = rf"[{dash}]*(?:\(|(?:on|to|at){gap}{whose})(?P<after>{sides}){end}{reach}"
    before = rf"(?P<before>{sides})(?:{gap}(?:{adjective}){{0,2}}?)?"
    return re.compile(rf"{start}(?:{before})?(?P<noun>{noun})(?:{after})?")


_RETRIEVAL = _retrieval(_WORDS)


def _singular(noun: str, known: Mapping[str, tuple[str, ...]]) -> str | None:
    """The known word that a noun is; None where it is one by other letters, as "noſe" with a long s."""
    word = re.sub(r"[\s_\-\u2010-\u2015]+", " ", noun)
    forms = (word, word.removesuffix("s"), word.removesuffix("es"))
    return next((form for form in forms if form in known), None)


def mentioned(text: str) -> tuple[str, ...]:
    """MARE's names of the regions a text speaks of, each once, in the order of their first mention.

    Keyword retrieval in the sense of MARE's Table 6 (`KEYWORDS`, and `MORE_KEYWORDS` of ours), with a small grammar of
    sides. "left eye" is one region; "eye", "eyes" and "both eyes" are two; "right and left eyebrows" are two in the
    order named. A side reaches over up to two adjectives ("left overlapped eyebrow") or comes after ("the eye on the
    left"), and never reaches another noun: in "left eye and nose", "left eye and eyebrows" it is the eye's alone. Sides
    are taken as the subject's: the viewer's and the picture's ("on the viewer's left", "the image's left eye", "on the
    left side of the photo") name no side. Whole words only, in any case and number, with
    spaces, hyphens or underscores: neither "year" nor "noseless" nor "earring" names a region. A part names its region
    (eyelid → eye). Denial counts: "no beard" speaks of the beard.

    Args:
        text: Any text.
    """
    return tuple(dict.fromkeys(name for named, sided in _mentions(text) for name in sided or named))


def sided(text: str) -> tuple[str, ...]:
    """Of the regions in `mentioned`, those named with their side: "left eye and both brows" gives left_eye alone.

    Args:
        text: Any text.
    """
    return tuple(dict.fromkeys(name for _, sided in _mentions(text) for name in sided))


def _mentions(
    text: str, pattern: re.Pattern[str] = _RETRIEVAL, known: Mapping[str, tuple[str, ...]] = _WORDS
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """For each mention in turn: the regions its noun may mean, and those of them its sides choose."""
    text = normal(text)
    for match in pattern.finditer(text):
        word = _singular(match["noun"], known)
        if word is None:
            continue
        named = known[word]
        given = match["before"] or match["after"] or ""
        if match["before"] and _OF_ANOTHER.search(text, max(0, match.start() - 16), match.start()):
            given = ""
        sides = re.findall(r"[lr](?=eft|ight|\b)", given.replace("_", " "))
        yield named, tuple(r for side in sides for r in named if r.startswith({"l": "left_", "r": "right_"}[side]))


# What people call the tree's regions besides their titles: region without its side → words.
CONCEPT_KEYWORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "face": ("facial area", "countenance"),
        "skin": ("complexion", "facial skin"),
        "middle_upper_forehead": ("middle of the forehead",),
        "glabella": ("frown lines", "area between the eyebrows"),
        "upper_forehead": ("forehead near the hairline",),
        "lower_forehead": ("forehead above the eyebrow", "brow ridge"),
        "temple": ("side of the forehead",),
        "cheekbone": ("zygomatic", "malar"),
        "inner_cheek": ("cheek beside the nose",),
        "middle_cheek": ("apple of the cheek",),
        "outer_cheek": ("cheek near the ear",),
        "lower_cheek": ("jowl",),
        "nasolabial_fold": ("smile line", "laugh line"),
        "crows_feet": ("crow's feet", "crows foot"),
        "philtrum": ("groove above the lip",),
        "eyebrow": ("brow", "eye brow"),
        "eyebrow_head": ("inner eyebrow",),
        "eyebrow_body": ("eyebrow arch",),
        "eyebrow_tail": ("outer eyebrow", "tail of the eyebrow"),
        "eye": ("ocular", "eyeball"),
        "iris": ("irises",),
        "pupil": (),
        "outer_eye_white": ("outer sclera",),
        "inner_eye_white": ("inner sclera", "sclera", "white of the eye"),
        "inner_eye_corner": ("inner canthus",),
        "outer_eye_corner": ("outer canthus",),
        "upper_lashes": ("upper eyelashes", "eyelash", "eyelashes"),
        "eyelid_crease": ("crease of the eyelid",),
        "upper_eyelid": ("eyelid", "upper lid"),
        "lower_eyelid": ("lower lid",),
        "lower_lashes": ("lower eyelashes",),
        "lower_lid_fold": ("fold below the eye",),
        "under_eye": ("eye bag", "under-eye", "dark circle", "tear trough"),
        "nose": ("nasal",),
        "nose_root": ("root of the nose", "nasion"),
        "nose_bridge": ("bridge of the nose", "nasal bridge"),
        "nose_tip": ("tip of the nose", "nosetip"),
        "columella": ("nasal septum",),
        "nose_side": ("side of the nose",),
        "nose_wing": ("nasal ala", "wing of the nose"),
        "nostril": (),
        "mouth": ("lips",),
        "teeth": ("tooth",),
        "upper_lip_centre": ("cupid's bow", "middle of the upper lip"),
        "lower_lip_centre": ("middle of the lower lip",),
        "mouth_corner": ("corner of the mouth",),
        "upper_teeth": ("upper row of teeth",),
        "tongue": (),
        "chin_crease": ("mental crease",),
        "chin_tip": ("tip of the chin",),
        "jaw": ("jaw line", "jawline"),
        "jaw_angle": ("corner of the jaw",),
        "marionette_line": ("marionette fold",),
        "mustache": ("moustache",),
        "beard": ("facial hair", "goatee", "stubble"),
        "beard_side": ("sideburn",),
        "hair": ("hairstyle", "bangs"),
        "hairline": ("hair line",),
        "ear_lobe": ("earlobe",),
        "upper_ear": ("helix",),
        "contour": ("face contour", "facial outline", "outline of the face"),
        "lower_face": (),
        "jaw_contour": ("edge of the jaw",),
        "neck": ("throat",),
    }
)


def _titles() -> dict[str, tuple[str, ...]]:
    """Each noun without its side → the regions of the tree that it may mean."""
    bases: dict[str, list[str]] = {}
    for name in REGIONS:
        bases.setdefault(name.removeprefix("left_").removeprefix("right_"), []).append(name)
    words = {keyword: bases[base] for base, keywords in CONCEPT_KEYWORDS.items() for keyword in keywords}
    words |= {base.replace("_", " "): names for base, names in bases.items()}
    return {word: tuple(names) for word, names in words.items()}


_TITLES = _titles()


@cache
def _by_title() -> re.Pattern[str]:
    """For the titles of all regions; it takes 0.07 s to make, which a process that is asked nothing need not spend."""
    return _retrieval(_TITLES)


def named(text: str) -> tuple[tuple[str, ...], ...]:
    """What a text speaks of, on all levels of the tree: for each mention in turn, the regions that it may mean.

    One region where a mention has a side or needs none, several where it leaves the side open: "the left iris and the
    eyebrow" gives (left_iris), (left_eyebrow, right_eyebrow). The grammar is `mentioned`'s, the words are the titles of
    the tree and `CONCEPT_KEYWORDS`, the longest first: an upper lip is no lip.

    Args:
        text: Any text.
    """
    text = under_eyes(text)
    return tuple(sided or candidates for candidates, sided in _mentions(text, _by_title(), _TITLES))
