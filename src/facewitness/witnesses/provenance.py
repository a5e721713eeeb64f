"""Testifies by what the file says of itself: credentials, generators' traces, camera, thumbnail, how it was saved.

It looks at bytes, not at faces, so it speaks of the whole file, also of one without a face. A statement by a generator
that it made the picture decides; that there is none never does, for metadata is lost with every upload. Nothing is sent
anywhere. What the outcomes prove and what they do not is told in docs/provenance.md.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facewitness import weights
from facewitness.errors import InputError
from facewitness.metadata import container, credentials, exif, generators, jpeg, shown, tags, xmp
from facewitness.types import Box, Clip, Finding, FrameRef, Testimony

MOST_FINDINGS = 24
_THUMBNAIL_SIDE = 1_024  # pixels; a larger one is no thumbnail
_CAMERA_QUALITY = 88  # of libjpeg's scale; most cameras and telephones save above it, which was not measured


def load(anchors: str | None = None) -> Provenance:
    """The witness, ready to inspect.

    Args:
        anchors: a file of certificates (PEM) whose signatures on C2PA manifests are trusted besides the built-in lists.

    Raises:
        InputError: the file cannot be read, or holds no certificates.
    """
    return Provenance(anchors)


class Provenance:
    """Reads a file's metadata. `inspect` takes a clip; it has nothing to say of single faces."""

    name = "provenance"
    decisive = True  # a generator that says it made the picture is believed; its score is 1 then, and None otherwise

    def __init__(self, anchors: str | None = None):
        self._anchors = "" if anchors is None else _certificates(Path(anchors))
        self._options = {"anchors": None if anchors is None else Path(anchors).name}

    def made_by(self) -> dict[str, Any]:
        """What it takes to run it again: options, the date of the trust list, the library that checks signatures.

        Returns:
            JSON-ready.
        """
        try:
            checks: str | None = version("c2pa-python") if credentials.installed() else None
        except PackageNotFoundError:
            checks = None
        return {
            "options": self._options,
            "weights": {},
            "trusted_as_of": credentials.TRUSTED_AS_OF,
            "c2pa": checks,
        }

    def inspect(self, clip: Clip) -> Testimony:
        """What the file says of itself: a finding for each thing, those that decide first; `fake` is 1 or None.

        Args:
            clip: The file's pixels; a photo is a clip of one frame.
        """
        if clip.content is None:
            file = clip.file()
            if file is None:  # an array, or a film that is gone
                return Testimony(witness=self.name, fake=None)
            with file:
                return self._inspect_film(file, clip)
        parts = container.split(clip.content)
        from_exif = exif.read(parts.exif)
        properties, refused = xmp.read(parts.xmp or from_exif.xmp)
        checked = credentials.check(clip.content, parts.format, parts.manifest, self._anchors, parts.unread)
        traces = [*credentials.traces(checked), *generators.traces(parts.texts, from_exif, properties)]
        further = [*_camera(from_exif, clip), *_saving(parts, from_exif, clip), *parts.left_out, *from_exif.left_out]
        has_thumbnail = from_exif.thumbnail and parts.format in ("jpeg", "tiff")
        thumbnail = _thumbnail(from_exif, clip) if has_thumbnail else None
        elsewhere = _elsewhere(properties) if checked.outcome == "absent" else ""
        return self._testimony(clip, traces, elsewhere or checked.why, [*further, refused], thumbnail)

    def _inspect_film(self, file: BinaryIO, clip: Clip) -> Testimony:
        """The same of a film: its C2PA manifest, its XMP and its container's tags."""
        parts = container.split_film(file)
        properties, refused = xmp.read(parts.xmp or clip.tags.get("xmp", "").encode())
        checked = credentials.check(file, parts.format, parts.manifest, self._anchors, parts.unread)
        traces = [*credentials.traces(checked), *tags.traces(clip.tags, properties)]
        traces += generators.traces(parts.texts, exif.read(b""), {})  # comments of a GIF
        elsewhere = _elsewhere(properties) if checked.outcome == "absent" else ""
        further = [*tags.claims(clip.tags), *parts.left_out, refused]
        return self._testimony(clip, traces, elsewhere or checked.why, further)

    def _testimony(
        self,
        clip: Clip,
        traces: Sequence[generators.Trace],
        manifest: str,
        further: Sequence[str],
        last: Finding | None = None,
    ) -> Testimony:
        """What decides, what the manifest says, the other traces, then everything else; each claim once."""
        claims = [trace.claim for trace in traces if trace.decides]
        claims.append(manifest)
        claims += [trace.claim for trace in traces if not trace.decides]
        claims += [claim for claim in further if claim]
        findings = [_about_file(clip.frame.at, claim) for claim in dict.fromkeys(claims)]
        if last is not None:
            findings.append(last)
        decided = any(trace.decides for trace in traces)
        return Testimony(self.name, 1.0 if decided else None, findings=tuple(findings[:MOST_FINDINGS]))


def _about_file(at: FrameRef, claim: str) -> Finding:
    return Finding.on(None, at.box, None, claim, None, at)


def _certificates(path: Path) -> str:
    try:
        text = weights.bytes_of(path).decode("utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"provenance.anchors: '{path}' cannot be read ({why}). Name a file of certificates."
        ) from error
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise InputError(f"provenance.anchors: expected certificates (PEM) in '{path}', got none. Name another file.")
    return text


def _elsewhere(properties: dict[str, tuple[str, ...]]) -> str:
    """Of a manifest that lies at an address (C2PA 2.1, 11.5); empty where the file names none."""
    for address in properties.get(xmp.DCTERMS + "provenance", ())[:1]:
        return (
            f"The file says that its C2PA manifest lies at {shown(address)}, which is not fetched: it is not checked."
        )
    return ""


# -------------------------------------------------------------------------------------------------------------- camera


def _camera(of: exif.Exif, clip: Clip) -> list[str]:
    claims = []
    make, model = of.texts.get("Make", ""), of.texts.get("Model", "")
    shots = [name for name in ("ExposureTime", "FNumber", "ISOSpeed", "FocalLength") if name in of.numbers]
    if (make or model) and (shots or of.maker_note) and ":{" not in make + model:
        when = of.texts.get("DateTimeOriginal", "")
        taken = f", taken {shown(when, 20)}" if when else ""
        name = model if model.lower().startswith(make.lower()) else f"{make} {model}"
        claims.append(f"The EXIF names a camera, {shown(name)}{taken}. It can be written by anyone and proves nothing.")
    if software := of.texts.get("Software", ""):
        known = {claim.generator for claim in generators.traces((), exif.Exif({"Software": software}), {})}
        if not known:
            claims.append(f"The EXIF names the software {shown(software)}.")
    width, height = (of.numbers.get(name) for name in ("PixelXDimension", "PixelYDimension"))
    size = (clip.frame.width, clip.frame.height)
    if width and height and width * height < 1e12 and sorted((int(width), int(height))) != sorted(size):
        claims.append(
            f"The EXIF gives the size as {int(width)} × {int(height)}, the picture has {size[0]} × {size[1]}: "
            "it was cut or scaled since."
        )
    return claims


def _thumbnail(of: exif.Exif, clip: Clip) -> Finding | None:
    """A finding where the small picture in the EXIF shows something else than the picture; None where it does not."""
    small = _decoded(of.thumbnail)
    if small is None:
        return None
    small, at = _upright(small, int(of.numbers.get("Orientation", 1))), clip.frame.at
    if not _of_shape(small, at):
        small = _without_bars(small)
    if min(small.shape) < 24:
        return None
    if not _of_shape(small, at):
        claim = "The thumbnail in the EXIF has another shape than the picture: the picture was cut or turned since."
        return _about_file(at, claim)
    size = (small.shape[1], small.shape[0])
    large = np.asarray(Image.fromarray(clip.frame.pixels).convert("L").resize(size, Image.Resampling.BOX), np.float32)
    box = _difference(small, large)
    if box is None:
        return None
    x, y = at.width / size[0], at.height / size[1]
    place = (box[0] * x, box[1] * y, min(box[2] * x, at.width), min(box[3] * y, at.height))
    claim = "The thumbnail in the EXIF shows something else here than the picture: the picture was changed since."
    return Finding.on(None, place, None, claim, None, at)


def _of_shape(grey: NDArray[Any], at: FrameRef) -> bool:
    return 0.95 < (grey.shape[1] / grey.shape[0]) / (at.width / at.height) < 1.05


def _decoded(content: bytes) -> NDArray[np.float32] | None:
    """Grey values (H, W) of a JPEG; None for one that is damaged, or no thumbnail by its size."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
                if max(image.size) > _THUMBNAIL_SIDE:
                    return None
                return np.asarray(image.convert("L"), np.float32)
    except Exception:  # a stranger's bytes make decoders raise almost anything; the picture itself was read
        return None


def _upright(stored: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Stored rows turned as EXIF says."""
    turns = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: np.swapaxes(a, 0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.swapaxes(a[::-1, ::-1], 0, 1),
        8: lambda a: np.rot90(a, 1),
    }
    return turns.get(orientation, lambda a: a)(stored)


def _as_stored(upright: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The way back: 6 and 8 undo each other, the others themselves."""
    return _upright(upright, {6: 8, 8: 6}.get(orientation, orientation))


def _without_bars(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without the black bars that fill a thumbnail of 160 × 120 where the picture has another shape."""
    for axis in (0, 1):
        dark = np.flatnonzero(grey.max(axis=1 - axis) > 24)
        if dark.size and dark[-1] - dark[0] >= 8:
            grey = grey.take(np.arange(dark[0], dark[-1] + 1), axis=axis)
    return grey


def _difference(small: NDArray[np.float32], large: NDArray[np.float32]) -> Box | None:
    """Where two grey pictures of one size differ after light and contrast are made alike; None where nowhere.

    Both are averaged over 5 × 5 first; what is burnt out in either is left aside. The place is the box around what
    differs by more than 36 grey levels, and has to have at least 1 % of the picture.
    """
    small, large = _averaged(small), _averaged(large)
    kept = (np.minimum(small, large) > 6) & (np.maximum(small, large) < 248)
    if kept.mean() < 0.2:
        return None
    first, second = small - small[kept].mean(), large - large[kept].mean()
    gain = float((first[kept] * second[kept]).mean()) / max(float((second[kept] ** 2).mean()), 1e-6)
    gap = np.abs(first - np.clip(gain, 0.5, 2.0) * second)
    rows, columns = np.nonzero((gap > 36) & kept)
    if rows.size < 0.01 * gap.size:
        return None
    return (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))


def _averaged(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    padded = np.pad(grey, 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    return windows.mean(axis=(2, 3), dtype=np.float32)


# -------------------------------------------------------------------------------------------------------------- saving


def _saving(parts: container.Parts, of: exif.Exif, clip: Clip) -> list[str]:
    """What a JPEG's tables and coefficients say of how it was saved."""
    if parts.format != "jpeg" or 0 not in parts.tables or parts.components not in (1, 3):
        return []
    claims, signs = [], []
    known = jpeg.tables(parts.tables[0])
    if known.maker == "mozjpeg":
        signs.append("the tables of mozjpeg, a program for the web")
    elif known.quality is not None and known.quality < _CAMERA_QUALITY:
        signs.append(f"libjpeg's tables at quality {known.quality}, lower than most cameras save at")
    if parts.progressive:
        signs.append("several passes (progressive)")
    if signs:
        claims.append(f"The JPEG was most likely saved by a program, not by a camera: it has {' and '.join(signs)}.")
    stored = _as_stored(clip.frame.pixels, int(of.numbers.get("Orientation", 1)))[:1024, :1024]
    power = jpeg.saved_twice(stored, parts.tables[0])
    if power is not None and power >= jpeg.LEVEL:
        claims.append("The picture was saved as JPEG at least twice. Every upload does that; it is no sign of forgery.")
    return claims
