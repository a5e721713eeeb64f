"""Places of a question as callers write them (a region's name, a box, a mask, a point) → `Place`s on the frame."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from facewitness import geometry, media, regions
from facewitness.errors import InputError, UnknownName
from facewitness.phrases import listed
from facewitness.types import Box, FrameRef, Mask, Place, Report

MOST = 8  # places of one question
_LONGEST = 60  # letters of a name that is told to be none
_MASK_BYTES = 8_000_000


def placed(report: Report, face: int | None, places: Iterable[Mapping[str, Any]]) -> tuple[Place, ...]:
    """Places on the report's frames.

    Args:
        report: what is asked about.
        face: whom, from 0, where a region is named; None for the most suspicious one.
        places: each has one of the keys `region` (a name of the tree), `box` (x1, y1, x2, y2), `point` (x, y) and
            `mask` (a PNG in base64, white from one half on where it is meant, of the proportions of the whole frame or,
            where `box` stands beside it, of that box), in pixels of the original; `frame` names a film's frame by its
            number.

    Raises:
        InputError, UnknownName: says which place is none, and why.
    """
    if report.medium is None or not report.people:
        raise InputError("places: expected a report with a face in it, got one without; ask without places")
    given = list(places)
    if len(given) > MOST:
        raise InputError(f"places: expected at most {MOST}, got {len(given)}")
    scored = [person.verdict.probability or 0.0 for person in report.people]
    whom = int(np.argmax(scored)) if face is None else face
    if not 0 <= whom < len(report.people):
        raise InputError(f"face: expected a number from 0 to {len(report.people) - 1}, got {face}")
    person = report.people[whom].face
    return tuple(_placed(f"places[{i}]", person, report, place) for i, place in enumerate(given))


def _placed(where: str, person: Any, report: Report, place: Mapping[str, Any]) -> Place:
    assert report.medium is not None
    width, height = report.medium.width, report.medium.height
    at = _frame(where, report, place.get("frame"))
    named = [key for key in ("region", "box", "point", "mask") if place.get(key) is not None]
    if len(named) > 1 and named != ["box", "mask"]:
        raise InputError(f"{where}: expected one of region, box, point and mask, got {listed(named)}")
    if place.get("region") is not None:
        words = str(place["region"])
        name = regions.called(words)
        if name is None:
            raise UnknownName("region", words.strip()[:_LONGEST], regions.REGIONS, regions.LISTED)
        box = None
        if person.landmarks is not None:
            rings = np.concatenate(list(regions.polygons(name, person.landmarks)))
            box = geometry.clip(geometry.bounds(rings), width, height)
        return Place(at, name, box or person.box)
    if place.get("point") is not None:
        x, y = (float(value) for value in place["point"])
        if not (0 <= x < width and 0 <= y < height):
            raise InputError(
                f"{where}.point: expected one on the picture of {width} × {height} pixels, got {x:g}, {y:g}"
            )
        return Place(at, None, (float(int(x)), float(int(y)), int(x) + 1.0, int(y) + 1.0))
    box = None if place.get("box") is None else _box(where, place["box"], width, height)
    if place.get("mask") is not None:
        mask = _mask(where, str(place["mask"]), box or (0.0, 0.0, float(width), float(height)))
        return Place(at, None, mask.box, mask)
    if box is None:
        raise InputError(f"{where}: expected one of region, box, point and mask, got none")
    return Place(at, None, box)


def _box(where: str, box: Any, width: int, height: int) -> Box:
    x1, y1, x2, y2 = (float(value) for value in box)
    clipped = geometry.clip((x1, y1, x2, y2), width, height) if x1 < x2 and y1 < y2 else None
    if clipped is None:
        raise InputError(f"{where}.box: expected x1 < x2 and y1 < y2 on the picture of {width} × {height} pixels")
    return clipped


def _frame(where: str, report: Report, number: Any) -> FrameRef | None:
    if number is None:
        return None
    frames = {face.at.index: face.at for person in report.people for face in person.track.faces}
    if number not in frames:
        raise InputError(f"{where}.frame: expected the number of a frame in which a face was judged, got {number}")
    return frames[number]


def _mask(where: str, png: str, box: Box) -> Mask:
    from PIL import Image

    try:
        content = base64.b64decode(png, validate=True)
    except (binascii.Error, ValueError):
        raise InputError(f"{where}.mask: expected a PNG in base64, got something else") from None
    if len(content) > _MASK_BYTES:
        raise InputError(f"{where}.mask: expected at most {_MASK_BYTES / 1e6:g} MB, got {len(content) / 1e6:.1f}")
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        raise InputError(f"{where}.mask: expected a PNG in base64, got another kind of file, or none")
    media.check(content, f"{where}.mask", max_pixels=40_000_000)
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            several, clear = getattr(image, "n_frames", 1) > 1, image.has_transparency_data
            if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip
                values = np.asarray(image, np.float32) / np.float32(65535)
            else:
                clear = clear and int(np.asarray(image.convert("RGBA"))[..., 3].min()) < 255
                values = np.asarray(image.convert("L"), np.float32) / np.float32(255)
    except Exception as error:  # a broken file makes decoders raise almost anything
        raise InputError(f"{where}.mask: expected a PNG in base64, got a damaged one ({error})") from error
    if several:
        raise InputError(f"{where}.mask: expected one picture, got an animated PNG")
    if clear:
        raise InputError(f"{where}.mask: expected white on black, got a PNG that is transparent in places")
    across, down = (box[2] - box[0]) / values.shape[1], (box[3] - box[1]) / values.shape[0]
    if abs(across * values.shape[1] - down * values.shape[1]) > max(1.0, 0.02 * down * values.shape[1]):
        raise InputError(
            f"{where}.mask: expected the proportions of its place, {box[2] - box[0]:g} × {box[3] - box[1]:g}, got "
            f"{values.shape[1]} × {values.shape[0]}"
        )
    if ((values > 0.1) & (values < 0.9)).mean() >= 0.5:  # as the command has it
        raise InputError(f"{where}.mask: expected white on black, got a picture most of which is neither")
    there = values >= 0.5
    seen = np.argwhere(there)
    if not len(seen):
        raise InputError(
            f"{where}.mask: expected a mask that marks something in white, got one whose lightest pixel has "
            f"{values.max() * 255:.0f} of 255"
        )
    (top, left), (bottom, right) = seen.min(axis=0), seen.max(axis=0) + 1
    tight = (box[0] + left * across, box[1] + top * down, box[0] + right * across, box[1] + bottom * down)
    return Mask(tuple(map(float, tight)), there[top:bottom, left:right].astype(np.float32))  # type: ignore[arg-type]
