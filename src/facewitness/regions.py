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
    """
    return _average_face()[1].copy()


def mirrored_indices() -> NDArray[np.intp]:
    """For each of the 468 landmarks, the index of its twin on the other side; points on the midline are their own.

    A picture flipped left to right has the landmarks `landmarks[mirrored_indices()]` with x replaced by width − x.
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


REGIONS: Mapping[str, Region] = MappingProxyType({region.name: region for region in _tree()})


def _region(name: str) -> Region:
    if name not in REGIONS:
        raise UnknownName("region", name, REGIONS)
    return REGIONS[name]


def parts(name: str) -> tuple[str, ...]:
    """Names of a region's direct parts, in the tree's order; empty for a leaf. Raises UnknownName."""
    _region(name)
    return tuple(region.name for region in REGIONS.values() if region.parent == name)


def within(inner: str, outer: str) -> bool:
    """Whether a region is another, or a part of it."""
    node: str | None = inner
    while node is not None:
        if node == outer:
            return True
        node = REGIONS[node].parent if node in REGIONS else None
    return False


def title(name: str) -> str:
    """The region's name in words: "left eye". Raises UnknownName."""
    return _region(name).name.replace("_", " ")


def called(phrase: str) -> str | None:
    """The one region that a phrase such as "left eye" or "the eyes" calls by its name; None where it calls none.

    A title of the tree is taken as it is, with or without an article; other words as `mentioned` reads them, where
    they name a single region of MARE's.
    """
    words = re.sub(r"[\s_\-\u2010-\u2015]+", " ", normal(phrase)).strip(" .,;:!?\"'()")
    words = re.sub(r"\A(?:the|a|an|his|her|their|its|this|both|subject's|person's)\s+", "", words)
    name = words.replace(" ", "_")
    if name in REGIONS:
        return name
    named = mentioned(words)
    return named[0] if len(named) == 1 else None


def mirrored(name: str) -> str:
    """The region's name in a picture flipped left to right: "left_eye" becomes "right_eye". Raises UnknownName."""
    _region(name)
    sides = {"left": "right", "right": "left"}
    return "_".join(sides.get(word, word) for word in name.split("_"))


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
    Raises UnknownName for a name the tree does not have, InputError for landmarks of another shape or not finite.
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
    "pupil": (("left_eye", "right_eye"), ("pupil", "pupils")),
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
    "tongue": (("teeth",), ("tongue", "tongues", "glossa", "lingua")),
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
    """The tree's regions for a dialect's name; empty for one without a place on the mesh. Raises UnknownName."""
    if dialect not in DIALECTS:
        raise UnknownName("dialect of regions", dialect, DIALECTS)
    if name not in DIALECTS[dialect]:
        raise UnknownName(f"name in the dialect {dialect}", name, DIALECTS[dialect])
    return DIALECTS[dialect][name]


def to_mare(dialect: str, name: str) -> tuple[str, ...]:
    """MARE's names for a dialect's name, in MARE's order; empty where MARE has none (a hat). Raises UnknownName."""
    parts = {mare for region in regions_of(dialect, name) for mare in REGIONS[region].mare}
    return tuple(mare for mare in MARE if mare in parts)


_SYNONYM = {
    label: re.compile(rf"\b(?:{'|'.join(re.escape(word) for word in words)})\b") for label, words in SYNONYMS.items()
}


def captioned(text: str) -> tuple[str, ...]:
    """MMTT's labels that a caption has, in their order: those of which a synonym occurs as a word, in any case.

    The rule of the authors' code, so that a vector over `MMTT` is their `multilabel`. Without grammar: "not the nose"
    has the nose, "facial hair" both beard and hair.
    """
    text = normal(text)
    return tuple(label for label, pattern in _SYNONYM.items() if pattern.search(text))


def to_mmtt(region: str) -> tuple[str, ...]:
    """The labels of MMTT that a region of the tree goes under, as a report of it would be labelled.

    A part goes under the nearest of its areas that has a label: an upper eyelid is an eye, an upper lip a lip and no
    mouth. Empty where none has one (the face as a whole, the neck). Raises UnknownName.
    """
    node: str | None = _region(region).name
    while node is not None:
        labels = tuple(label for label, (places, _) in _MMTT.items() if node in _all_of(places) and label not in _FINE)
        if labels:
            return labels
        node = REGIONS[node].parent
    return ()


_FINE = ("pupil", "tongue")  # of an eye and a mouth, whose outlines they borrow


def _all_of(places: tuple[str, ...]) -> tuple[str, ...]:
    """The regions, and the one that is all of them: "eyes" for the two eyes."""
    whole = tuple(name for name in REGIONS if len(places) > 1 and set(parts(name)) == set(places))
    return places + whole


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


def _retrieval() -> re.Pattern[str]:
    """One expression for [sides [adjectives]] noun [on the sides], its repetitions bounded: long texts stay cheap."""
    start, end = r"(?<![^\W_])", r"(?![^\W_])"  # borders of words; an underscore parts words
    dash = r"\s_\-\u2010-\u2015"
    gap = rf"[{dash}]+"
    nouns = sorted(_WORDS, key=len, reverse=True)  # the longest first: "hair line" before "hair"
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


_RETRIEVAL = _retrieval()


def _singular(noun: str) -> str | None:
    """The word of `_WORDS` that a noun is; None where it is one by other letters, as "noſe" with a long s."""
    word = re.sub(r"[\s_\-\u2010-\u2015]+", " ", noun)
    return next((form for form in (word, word.removesuffix("s"), word.removesuffix("es")) if form in _WORDS), None)


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
    """
    return tuple(dict.fromkeys(name for named, sided in _mentions(text) for name in sided or named))


def sided(text: str) -> tuple[str, ...]:
    """Of the regions in `mentioned`, those named with their side: "left eye and both brows" gives left_eye alone."""
    return tuple(dict.fromkeys(name for _, sided in _mentions(text) for name in sided))


def _mentions(text: str) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """For each mention in turn: the regions its noun may mean, and those of them its sides choose."""
    text = normal(text)
    for match in _RETRIEVAL.finditer(text):
        word = _singular(match["noun"])
        if word is None:
            continue
        named = _WORDS[word]
        given = match["before"] or match["after"] or ""
        if match["before"] and _OF_ANOTHER.search(text, max(0, match.start() - 16), match.start()):
            given = ""
        sides = re.findall(r"[lr](?=eft|ight|\b)", given.replace("_", " "))
        yield named, tuple(r for side in sides for r in named if r.startswith({"l": "left_", "r": "right_"}[side]))
