"""Forged faces with the truth about each: which regions were changed, by what, with a mask and words for each of them.

    drawn = draw(pixels, landmarks, rng, family="attribute")     one forgery of a genuine face
    drawn.mask                  where anything is foreign, over all regions: float32 (H, W)
    drawn.places["left_eye"]    the known mask ∩ the region: bool (H, W)
    drawn.reply                 a sentence for each region that the report names, with a `Mark` on its words
    drawn.text, drawn.interleaved     the same as words, and with <p>…</p> [SEG]

What `mmtt` and `fifa` are made of, and what their networks learn from as they go. MMTT has four paradigms: a face swap,
an edited attribute, and two inpaintings. Ours are four forgers of this house (`FAMILIES`); `OTHERS` adds the rest of
them, as reviewers of both papers ask for more than one forger, and a diffusion model where one is named. Outlines come
from the mesh (`regions.polygons`), where the papers have a face parser: hair and ears lie where they usually are.

A report says what was done and what is left of it to see. Each artefact of `ARTEFACTS` is tied to the operation that
causes it: what a forger recorded (it moved, turned, scaled, copied, removed, drew anew), and what can be measured
inside the region, on the forged picture against the genuine one (colour, light, sharpness). A forger that did neither
to a region leads to no such words. Reports are self-contained: none speaks of the genuine picture.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, plugins, regions
from facewitness.errors import InputError, UnknownName
from facewitness.grammars import interleaved
from facewitness.types import Box, Finding, Landmarks, Mark, Mask, Pixels, Reply

Bools = NDArray[np.bool_]

MOST_WORDS = 120  # "Each description is limited to a maximum of 120 words" (MMTT, 2.2)
MOST_PLACES = 5  # "2-5 concurrent modifications being common" (MMTT, 2)
TOUCHED = 1 / 3  # a region is manipulated where the mask covers this share of it: the rule of the forgers
SMALLEST = 6  # pixels of a region that are forged: fewer are a point, and no mask of it means anything
_LARGE = ("face", "skin", "contour", "lower_face", "beard", "hair", "cheeks")
_UNSEEN = ("tongue", "beard", "mustache")  # not on every face, so no report of ours names them or their parts
LONGEST = 2_000  # characters of a text that a check reads word by word


@dataclass(frozen=True, slots=True)
class Family:
    """One way to forge: a forger of this house with what is asked of it."""

    forger: str
    options: Mapping[str, Any] = field(default_factory=dict)
    stands_for: str = ""  # MMTT's paradigm


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "swap": Family("swap", {"hulls": ("face", "below_forehead", "inner")}, "face swap (E4S)"),
        "attribute": Family("region_edit", {"max_regions": MOST_PLACES}, "face editing (StyleCLIP, HFGI)"),
        "inpainting": Family(
            "inpaint", {"max_holes": MOST_PLACES, "fills": ("exemplar",)}, "transformer inpainting (MAT)"
        ),
        "smooth_inpainting": Family(
            "inpaint", {"max_holes": MOST_PLACES, "fills": ("telea", "navier_stokes")}, "diffusion inpainting (SDXL)"
        ),
    }
)
OTHERS: Mapping[str, Family] = MappingProxyType(
    {
        "parts": Family("swap", {"hulls": ("parts",)}, "features of another person"),
        "lip_sync": Family("lip_sync", {}, "another mouth"),
        "self_blend": Family("self_blend", {}, "a face over itself (SBI)"),
        "resynthesise": Family("resynthesise", {"whole": 0.0}, "a face drawn anew"),
        "diffusion": Family("diffusers", {}, "inpainting by a diffusion model of the hub"),
    }
)
EVERY: Mapping[str, Family] = MappingProxyType({**FAMILIES, **OTHERS})

# what a report may name
NAMES = tuple(name for name in regions.REGIONS if not any(regions.within(name, each) for each in _UNSEEN))

# ------------------------------------------------------------------------------------------------------ the artefacts

# cue → how it is said. "{be}" is "is" or "are", as the region wants it; "{its}" is "its" or "their".
ARTEFACTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # measured inside the region
        "bright": ("{be} brighter than the skin around", "{be} too light for the rest of the face"),
        "dark": ("{be} darker than the skin around", "{be} too dark for the light on the face"),
        "red": ("{have} a reddish tint", "{be} redder than the neighbouring skin"),
        "green": ("{have} a greenish tint", "{be} paler and greener than the neighbouring skin"),
        "yellow": ("{have} a yellowish tint", "{be} yellower than the neighbouring skin"),
        "blue": ("{have} a bluish tint", "{be} colder in colour than the neighbouring skin"),
        "blurred": ("{be} blurred", "{be} too smooth, without pores and grain"),
        "sharp": ("{be} oversharpened", "{have} harsher detail than the rest of the face"),
        # recorded by the forger
        "moved": ("{be} out of place", "{be} shifted against the other features"),
        "turned": ("{be} tilted", "{be} turned against the axis of the face"),
        "large": ("{be} too large", "{be} enlarged against the other features"),
        "small": ("{be} too small", "{be} shrunken against the other features"),
        "copied": ("repeat{s} texture from elsewhere on the face", "{be} covered by a patch of other skin"),
        "smeared": ("{be} smeared", "{be} filled with flat, washed-out colour"),
        "foreign": ("{do} not belong to this face", "{be} those of another person|{be} that of another person"),
        "seam": ("{have} a visible seam at {its} border", "{be} framed by a hard edge"),
        "halo": ("{have} a soft halo at {its} border", "fade{s} unevenly into the surrounding skin"),
        "grid": ("show{s} a regular grid", "{have} a checkerboard pattern"),
        "coarse": ("{be} drawn at a lower resolution", "{be} pixelated"),
        "spoken": ("{do} not fit the rest of the expression", "{be} bent into an unnatural shape"),
        "generated": ("{have} texture that looks generated", "{be} painted without natural structure"),
    }
)

# what a forger did → the artefacts that it may leave; measured ones may come of any operation
CAUSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "replace": ("moved", "turned", "large", "small", "seam"),
        "change": ("bright", "dark", "red", "green", "yellow", "blue", "blurred", "sharp"),
        "remove:exemplar": ("copied",),
        "remove:telea": ("smeared",),
        "remove:navier_stokes": ("smeared",),
        "swap": ("foreign", "seam", "halo"),
        "blend": ("halo", "seam"),
        "speak": ("spoken",),
        "redraw": ("coarse", "blurred"),
        "paste": ("halo", "seam"),
        "upsample": ("grid", "coarse"),
        "truncate": ("blurred", "coarse"),
        "grid": ("grid",),
        "retexture": ("generated",),
        "diffusion": ("generated", "seam"),
    }
)
_MANY = re.compile(r"(?:eyes|eyebrows|cheeks|temples|nostrils|teeth|lips|lashes|ears|corners|feet)\Z")
_REAL = ("This face is real. No part of it shows traces of forgery.", "This face is real. Nothing on it was altered.")


# -------------------------------------------------------------------------------------------------------- the sample


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """One face with everything that is known of it. A genuine one has no family, an empty mask and no places."""

    pixels: Pixels  # RGB uint8 (H, W, 3)
    original: Pixels  # the genuine picture; equal to `pixels` where nothing was forged
    landmarks: Landmarks  # (468, 2), pixels
    mask: NDArray[np.float32]  # (H, W) in [0, 1], the union over all that was changed
    places: Mapping[str, Bools]  # every manipulated region → known mask ∩ region, (H, W)
    named: tuple[str, ...]  # those that the report names, in its order
    family: str | None
    kind: str  # one of KINDS
    record: tuple[Mapping[str, Any], ...]
    artefacts: Mapping[str, tuple[str, ...]]  # named region → the cues that its sentence says
    reply: Reply  # parts with a `Mark` after each named region's words

    @property
    def label(self) -> str:
        return "real" if self.family is None else "fake"

    @property
    def text(self) -> str:
        """The report in words."""
        return self.reply.text

    @property
    def interleaved(self) -> str:
        """The report with <p>…</p> [SEG], one [SEG] for each of `named`."""
        return interleaved.render(self.reply)

    @property
    def labels(self) -> tuple[str, ...]:
        """MMTT's labels of the report: those whose synonyms it has."""
        return regions.captioned(self.text)


def draw(
    pixels: Pixels,
    landmarks: Landmarks,
    rng: np.random.Generator,
    *,
    family: str | None = None,
    donor: tuple[Pixels, Landmarks] | None = None,
    names: Sequence[str] | None = None,
    max_places: int = MOST_PLACES,
    verdict: bool = True,
    options: Mapping[str, Any] | None = None,
) -> Drawn:
    """One forgery of a genuine face.

    Args:
        pixels: The genuine picture, RGB uint8 (H, W, 3); crop it first with `cropped`.
        landmarks: Its mesh, (468, 2+), in pixels.
        rng: What everything is drawn from; the same state gives the same sample.
        family: One of EVERY; drawn evenly from FAMILIES where None, without "swap" where there is no donor.
        donor: Another face for the families that need one, as (pixels, landmarks).
        names: Regions of the tree that a report may name; where None all but what not every face shows.
        max_places: Places that a report names, at most.
        verdict: Whether the report begins with "This face is fake.".
        options: For the forger, over the family's own: a hub's name for "diffusion".

    Raises:
        UnknownName: a family or region that does not exist.
        InputError: the face cannot be forged so, or nothing visible came of it.
    """
    known = [name for name, each in FAMILIES.items() if donor is not None or each.forger != "swap"]
    chosen = family if family is not None else str(known[int(rng.integers(len(known)))])
    if chosen not in EVERY:
        raise UnknownName("family of forgeries", chosen, EVERY)
    for name in names or ():
        regions.title(name)
    way = EVERY[chosen]
    given = {**way.options, **(options or {})}
    if way.forger == "swap":
        if donor is None:
            raise InputError(f"{chosen}: expected a donor, the face of another person, got none")
        given["donor"] = donor
    made = plugins.get("forge", way.forger).forge(pixels, landmarks, rng, **given)
    points = np.asarray(landmarks, np.float32)[:, :2]
    touched = manipulated(made.mask >= 0.5 * made.mask.max(), points, NAMES if names is None else names)
    if not touched:
        raise InputError(f"{chosen}: nothing that a region's name could say was forged; draw again")
    chosen_names = _named(touched, made.record, rng, max_places)
    artefacts = {name: _cues(touched[name], made.pixels, pixels, made.record, name, rng) for name in chosen_names}
    reply = _report(chosen_names, artefacts, touched, rng, verdict)
    return Drawn(
        made.pixels, pixels, points, made.mask, touched, chosen_names, chosen, made.kind, made.record, artefacts, reply
    )


def genuine(pixels: Pixels, landmarks: Landmarks, rng: np.random.Generator) -> Drawn:
    """A face of which nothing was changed, and a report that says so.

    Args:
        pixels: RGB uint8 (H, W, 3).
        landmarks: The face's mesh, (468, 2+), in pixels of the picture.
        rng: What everything is drawn from; the same state gives the same result.
    """
    text = _REAL[int(rng.integers(len(_REAL)))]
    nothing = np.zeros(pixels.shape[:2], np.float32)
    points = np.asarray(landmarks, np.float32)[:, :2]
    return Drawn(pixels, pixels, points, nothing, {}, (), None, "pristine", (), {}, Reply("real", parts=(text,)))


def cropped(pixels: Pixels, landmarks: Landmarks, size: int, margin: float = 1.5) -> tuple[Pixels, Landmarks]:
    """The upright square of `size` pixels around a face, `margin` times its mesh, and the mesh in it.

    Args:
        pixels: RGB uint8 (H, W, 3).
        landmarks: The face's mesh, (468, 2+), in pixels of the picture.
        size: Side of the square crop, pixels.
        margin: Side of the crop over the mesh's longer side.

    Returns:
        The crop, RGB uint8 (size, size, 3), and the mesh (468, 2+) in its pixels.

    Raises:
        InputError: For landmarks that are not finite.
    """
    if not np.isfinite(landmarks).all():
        raise InputError("expected finite landmarks, got NaN or infinity; find the face again")
    affine = geometry.align(landmarks, size, margin)
    return geometry.crop(pixels, affine, size), geometry.transform(affine, landmarks[:, :2])


# ------------------------------------------------------------------------------------------------------- which regions


def outline(name: str, landmarks: Landmarks, height: int, width: int) -> Bools:
    """The pixels of a region on a picture, bool (H, W): those whose centres lie in its polygons, by the even-odd rule.

    Args:
        name: Of a region of the tree.
        landmarks: The face's mesh, (468, 2+), in pixels of the picture.
        height: Of the picture, pixels.
        width: Of the picture, pixels.
    """
    return geometry.fill(list(regions.polygons(name, landmarks)), height, width)


def manipulated(
    mask: Bools, landmarks: Landmarks, names: Iterable[str] | None = None, least: float = TOUCHED
) -> dict[str, Bools]:
    """The regions of which a mask (H, W) covers at least `least`, each with mask ∩ region.

    Regions that the pose hides, or that lie off the picture, are left out: nothing can be seen there. A mask so small
    that it covers that share of no region is filed under the smallest one that holds half of it.

    Args:
        mask: Forged pixels, (H, W), in [0, 1] or bool.
        landmarks: The face's mesh, (468, 2+), in pixels of the picture.
        names: Regions of the tree; None for all but what not every face shows.
        least: Share of a region that the mask has to cover, in [0, 1].

    Returns:
        Region → its pixels, bool (H, W).
    """
    height, width = mask.shape
    hidden = regions.hidden(landmarks)
    touched: dict[str, Bools] = {}
    holding: dict[str, tuple[int, Bools]] = {}
    total = int(mask.sum())
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if ys.size == 0:
        return {}
    for name in regions.REGIONS if names is None else names:
        if name in hidden:
            continue
        corners = np.concatenate(regions.polygons(name, landmarks))
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        if left > xs[-1] + 1 or right < xs[0] or top > ys[-1] + 1 or bottom < ys[0]:
            continue
        area = outline(name, landmarks, height, width)
        size = int(area.sum())
        both = area & mask
        shared = int(both.sum())
        if shared < SMALLEST:
            continue
        if shared >= least * size:
            touched[name] = both
        elif shared >= 0.5 * total:
            holding[name] = (size, both)
    if not touched and holding:
        name = min(holding, key=lambda each: holding[each][0])
        touched[name] = holding[name][1]
    return touched


def _named(
    touched: Mapping[str, Bools], record: Sequence[Mapping[str, Any]], rng: np.random.Generator, max_places: int
) -> tuple[str, ...]:
    """Regions for a report: what the forger says it changed first, then others, none within another one."""
    recorded = [str(step["region"]) for step in record if step.get("region") in touched]
    recorded += [str(part) for step in record for part in step.get("parts", ()) if part in touched]
    # areas as large as a face say little: rather their parts
    rest = [name for name in touched if name not in _LARGE] or list(touched)
    rest = [rest[i] for i in rng.permutation(len(rest))]
    count = int(rng.integers(min(2, max_places), max_places + 1))
    chosen: list[str] = []
    for name in dict.fromkeys((*recorded, *rest)):
        if len(chosen) >= (max_places if name in recorded else count):
            continue
        if any(regions.within(name, other) or regions.within(other, name) for other in chosen):
            continue
        if any(_overlap(touched[name], touched[other]) > 0.6 for other in chosen):
            continue
        chosen.append(name)
    return tuple(chosen)


def _overlap(a: Bools, b: Bools) -> float:
    return float((a & b).sum() / max(1, min(a.sum(), b.sum())))


# -------------------------------------------------------------------------------------------------------------- words


def cues(place: Bools, drawn: Drawn, name: str, rng: np.random.Generator) -> tuple[str, ...]:
    """The artefacts of a manipulated region that its report left out.

    Args:
        place: Pixels (H, W) of the place.
        drawn: The face with its truth.
        name: Of a region of the tree.
        rng: What everything is drawn from; the same state gives the same result.
    """
    return _cues(place, drawn.pixels, drawn.original, drawn.record, name, rng)


def _cues(
    place: Bools, forged: Pixels, original: Pixels, record: Sequence[Mapping[str, Any]], name: str,
    rng: np.random.Generator,
) -> tuple[str, ...]:  # fmt: skip
    """One or two artefacts of a region: one that the forger recorded, and one that can be measured there."""
    recorded = [cue for step in record for cue in _of_step(step, name)]
    measured = list(_of_pixels(place, forged, original))
    first = [recorded[int(rng.integers(len(recorded)))]] if recorded else []
    cues = dict.fromkeys([*first, *measured[:1]])
    return tuple(cues) or ("halo",)


def _of_step(step: Mapping[str, Any], name: str) -> Sequence[str]:
    """What one recorded operation leaves on a region."""
    about = step.get("region")
    if about is not None and about != "blob" and not (regions.within(name, about) or regions.within(about, name)):
        return ()
    match step.get("operation"):
        case "replace":
            return _of_move(step)
        case "remove":
            return CAUSES[f"remove:{step['fill']}"]
        case "swap":
            soft = step.get("soften", 0.0) > 4.0 or step.get("blend") == "poisson"
            return ("foreign", "halo" if soft else "seam")
        case "blend":
            return ("halo",)
        case "change":
            return ()  # measured instead
        case str(operation) if operation in CAUSES:
            return CAUSES[operation]
        case _:
            return ()


def _of_move(step: Mapping[str, Any]) -> list[str]:
    """The two largest of what an affine map did, each against the most that it may do."""
    scale = float(np.mean(step.get("scale", (1.0,))))
    sizes = {
        "turned": abs(step.get("degrees", 0.0)) / 7,
        "large" if scale > 1 else "small": abs(scale - 1) / 0.12,
        "moved": float(np.hypot(*step.get("shift", (0.0, 0.0)))) / 8,
    }
    return sorted(sizes, key=lambda cue: -sizes[cue])[:2]


def _of_pixels(place: Bools, forged: Pixels, original: Pixels) -> list[str]:
    """Measured artefacts inside a region, the strongest first: how far light, colour and detail went."""
    near = _bounds(place)
    inside = place[near].view(np.uint8)
    lab, before = (cv2.cvtColor(p[near].astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for p in (forged, original))
    light, red, yellow = (np.subtract(cv2.mean(lab, inside), cv2.mean(before, inside))[:3]).tolist()
    fine, was = (_detail(p[near], inside) for p in (forged, original))
    ratio = np.log2((fine + 0.5) / (was + 0.5))
    strengths = {
        "bright" if light > 0 else "dark": abs(light) / 4,
        "red" if red > 0 else "green": abs(red) / 3,
        "yellow" if yellow > 0 else "blue": abs(yellow) / 3,
        "sharp" if ratio > 0 else "blurred": float(abs(ratio)) / 0.6,
    }
    return [cue for cue in sorted(strengths, key=lambda each: -strengths[each]) if strengths[cue] >= 1]


def _detail(pixels: Pixels, inside: NDArray[np.uint8]) -> float:
    """Grey levels of fine detail: the spread of the Laplacian inside."""
    _, spread = cv2.meanStdDev(cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_32F), mask=inside)
    return float(spread[0, 0])


def _bounds(place: Bools, room: int = 2) -> tuple[slice, slice]:
    x, y, w, h = cv2.boundingRect(place.view(np.uint8))
    return slice(max(0, y - room), y + h + room), slice(max(0, x - room), x + w + room)


def worded(cue: str, name: str, rng: np.random.Generator) -> str:
    """An artefact of a region in words: "is blurred".

    Args:
        cue: Name of an artefact.
        name: Of a region of the tree.
        rng: What everything is drawn from; the same state gives the same result.

    Raises:
        UnknownName: For a cue that does not exist.
    """
    if cue not in ARTEFACTS:
        raise UnknownName("artefact", cue, ARTEFACTS)
    many = bool(_MANY.search(regions.title(name)))
    phrase = ARTEFACTS[cue][int(rng.integers(len(ARTEFACTS[cue])))]
    plural, _, single = phrase.partition("|")
    phrase = plural if many or not single else single
    forms = {"be": "are", "have": "have", "do": "do", "its": "their", "s": ""}
    if not many:
        forms = {"be": "is", "have": "has", "do": "does", "its": "its", "s": "s"}
    return phrase.format(**forms)


def _report(
    named: Sequence[str], artefacts: Mapping[str, Sequence[str]], touched: Mapping[str, Bools],
    rng: np.random.Generator, verdict: bool,
) -> Reply:  # fmt: skip
    """A sentence for each named region, with a mark on its words."""
    parts: list[str | Mark] = ["This face is fake. "] if verdict else []
    findings: list[Finding] = []
    for number, name in enumerate(named):
        claim = " and ".join(worded(cue, name, rng) for cue in artefacts[name])
        title = regions.spoken(name)
        mask = boxed(touched[name])
        finding = Finding.on(name, mask.box, mask, f"The {title} {claim}.", None)
        parts += ["The " if number == 0 or verdict else " The ", title, Mark(finding)]
        parts.append(f" {claim}." + (" " if verdict and number + 1 < len(named) else ""))
        findings.append(finding)
    return Reply("fake", None, tuple(parts), tuple(findings))


def boxed(place: NDArray[Any]) -> Mask:
    """A region's pixels (H, W), bool or in [0, 1], as a `Mask` in its box.

    Args:
        place: Pixels (H, W) of the place.

    Raises:
        InputError: Where there are none.
    """
    ys, xs = np.flatnonzero(place.any(axis=1)), np.flatnonzero(place.any(axis=0))
    if ys.size == 0:
        raise InputError("mask: expected at least one pixel, got an empty one")
    box: Box = (float(xs[0]), float(ys[0]), float(xs[-1] + 1), float(ys[-1] + 1))
    return Mask(box, np.ascontiguousarray(place[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1], np.float32))


# ------------------------------------------------------------------------------------------------------------- checks

_ORIGINAL = re.compile(
    r"\b(?:original|source|reference|unedited|unaltered|authentic|first)\s+(?:image|picture|photo|face|version)\b"
    r"|\bthe\s+original\b|\bcompared\s+(?:to|with)\s+the\s+(?:original|real|genuine)\b|\bbefore\s+and\s+after\b"
    r"|\b(?:ground[ -]truth|mask(?:ed)?)\b"
)


def faults(text: str, mask: NDArray[Any], landmarks: Landmarks, max_words: int = MOST_WORDS) -> tuple[str, ...]:
    """What is wrong with a report about a mask, each with a detail after a colon; empty where it may stand.

    MMTT's guideline (2.2) as checks: "exclusively within the manipulated regions", "self-contained descriptions that
    do not reference the original image", at most 120 words; "descriptions referencing regions outside the ground-truth
    mask are automatically flagged for review". A region counts as inside where the mask covers `TOUCHED` of it, or has
    a third of its own pixels there. Never raises on a text.

    Args:
        text: The report, with or without <p> and [SEG].
        mask: The union of what was changed, (H, W), bool or in [0, 1].
        landmarks: The face's, on that picture.
        max_words: More are refused.
    """
    # half of the peak, as in `draw`: a forgery pasted at a quarter of its weight is forged in the same places
    where = mask if mask.dtype == np.bool_ else mask >= max(0.5 * float(mask.max()), 1e-6)
    total = int(where.sum())
    return _faults(text, lambda name: _touches(where, total, name, landmarks), regions.hidden(landmarks), max_words)


def nameable(mask: NDArray[Any], landmarks: Landmarks) -> tuple[str, ...]:
    """The regions that a report about a mask may name, by the rule of `faults`: touched by it and seen in this pose.

    Args:
        mask: As `faults` takes it.
        landmarks: As `faults` takes them.
    """
    where = mask if mask.dtype == np.bool_ else mask >= max(0.5 * float(mask.max()), 1e-6)
    total, hidden = int(where.sum()), regions.hidden(landmarks)
    return tuple(n for n in regions.REGIONS if n not in hidden and _touches(where, total, n, landmarks))


def faults_by(text: str, names: Collection[str], max_words: int = MOST_WORDS) -> tuple[str, ...]:
    """As `faults`, where mask and mesh are not at hand and the regions that may be named are.

    Args:
        text: As `faults` takes it.
        names: As `nameable` gives them.
        max_words: As `faults` takes it.
    """
    return _faults(text, lambda name: name in names, frozenset(), max_words)


def _faults(text: str, touched: Callable[[str], bool], hidden: Collection[str], max_words: int) -> tuple[str, ...]:
    plain = re.sub(r"</?p>|\[SEG\]", "", text)
    reasons: list[str] = []
    count = len(plain.split())
    if not count:
        return ("empty: expected a report, got no words",)
    if count > max_words:
        reasons.append(f"too long: expected at most {max_words} words, got {count}")
        plain = plain[:LONGEST]
    if _ORIGINAL.search(plain.lower()):
        reasons.append("not self-contained: expected no word of the original picture")
    mentions = regions.named(plain)
    if not mentions:
        reasons.append("no region: expected the name of a manipulated region")
    for candidates in dict.fromkeys(mentions):
        if all(name in hidden for name in candidates):
            reasons.append(f"hidden: the {regions.title(candidates[0])} cannot be seen in this pose")
            continue
        if not any(touched(name) for name in candidates):
            reasons.append(f"outside: the {regions.title(candidates[0])} was not changed")
    return tuple(reasons)


def _touches(where: Bools, total: int, name: str, landmarks: Landmarks) -> bool:
    area = outline(name, landmarks, *where.shape)
    shared, size = int((area & where).sum()), int(area.sum())
    return shared > 0 and (shared >= TOUCHED * size or shared >= total / 3)
